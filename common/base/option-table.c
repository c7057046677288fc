/* option-table.c: see option-table.h. */
#include "option-table.h"
#include "nearest.h"
#include "util.h"

#include <stdio.h>
#include <string.h>

#define OPTIONS_MAX 128

bool option_take(const struct option_row *rows, size_t n, void *into, int option, const char *arg)
{
	for (size_t i = 0; i < n; i++) {
		void *member = (char *)into + rows[i].offset;

		if (rows[i].option != option)
			continue;
		if (rows[i].kind == OPTION_FLAG)
			*(bool *)member = true;
		else
			*(const char **)member = arg;
		return true;
	}
	return false;
}

static void suggest(const char *typed, const struct option *options)
{
	AUTO_FREE char *name = xstrndup(typed + 2, strcspn(typed + 2, "="));
	const char *names[OPTIONS_MAX], *meant;
	size_t n;

	for (n = 0; n < OPTIONS_MAX && options[n].name; n++)
		names[n] = options[n].name;
	meant = nearest_word(name, names, n);
	if (meant)
		fprintf(stderr, "did you mean --%s?\n", meant);
}

int option_next(int argc, char *const *argv, const char *letters, const struct option *options)
{
	int before = optind, option = getopt_long(argc, argv, letters, options, NULL);

	/* optopt is set where a known option lacks its value, or has one too many */
	if (option == '?' && !optopt && optind > before && !strncmp(argv[optind - 1], "--", 2))
		suggest(argv[optind - 1], options);
	return option;
}
