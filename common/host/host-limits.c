/* host-limits.c: see host-limits.h. */
#include "host-limits.h"
#include "config-file.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OF_HOST "/etc/vmferry/host"

static int take_number(unsigned *to, const char *value, struct err *e)
{
	char *end;
	unsigned long n = strtoul(value, &end, 10);

	if (!strcmp(value, "any")) {
		*to = 0;
		return 0;
	}
	if (*value < '0' || *value > '9' || *end || !n || n > HOST_LIMITS_MAX)
		return err_set(e, EINVAL, "'%s' is not a number from 1 to %d, or any", value, HOST_LIMITS_MAX);
	*to = (unsigned)n;
	return 0;
}

static int take_line(struct host_limits *l, char *line, struct err *e)
{
	static const char blanks[] = " \t\r";
	char *rest = line, *word = strsep(&rest, blanks), *value = rest ? rest + strspn(rest, blanks) : line + strlen(line);
	size_t n;

	for (n = strlen(value); n && strchr(blanks, value[n - 1]); n--)
		value[n - 1] = '\0';
	if (!strcmp(word, "in"))
		return take_number(&l->in, value, e);
	if (!strcmp(word, "out"))
		return take_number(&l->out, value, e);
	return err_set(e, EINVAL, "'%s' is not known: in and out are", word);
}

int host_limits_parse(struct host_limits *l, char *text, const char *name, struct err *e)
{
	unsigned number = 0;
	char *line;
	int r = 0;

	while (!r && (line = strsep(&text, "\n"))) {
		number++;
		line += strspn(line, " \t\r");
		if (*line && *line != '#')
			r = take_line(l, line, e);
	}
	return r ? err_prefix(e, "%s, line %u", name, number) : 0;
}

int host_limits_read(struct host_limits *l, struct err *e)
{
	const char *named = getenv("VMFERRY_HOST"), *path = named ?: OF_HOST;
	AUTO_FREE char *text = NULL;
	int r = *path ? config_file_read(path, &text, e) : 0;

	*l = (struct host_limits){.in = HOST_LIMITS_DEFAULT, .out = HOST_LIMITS_DEFAULT};
	return r || !text ? r : host_limits_parse(l, text, path, e);
}
