/* command-options.c: see command-options.h. */
#include "command-options.h"
#include "cmd.h"
#include "life.h"
#include "option-table.h"
#include "util.h"
#include "words.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#define ROWS_MAX     64
#define HELP_COLUMNS 23
#define FIRST_NUMBER 256 /* of what getopt_long(3) returns for the first row */
#define HELP_NUMBER  (FIRST_NUMBER + ROWS_MAX)

/* ---- --help ---- */

static void print_option(const struct command_option *o)
{
	bool maybe = o->argument && !strncmp(o->argument, "[=", 2);
	AUTO_FREE char *letter = o->letter ? xasprintf("-%c, ", o->letter) : xstrdup("");
	AUTO_FREE char *label =
		xasprintf("  %s--%s%s%s", letter, o->name, o->argument && !maybe ? " " : "", o->argument ? o->argument : "");
	const char *line = o->help, *end;

	if (strlen(label) + 1 < HELP_COLUMNS)
		printf("%-*s", HELP_COLUMNS, label);
	else
		printf("%s\n%*s", label, HELP_COLUMNS, "");
	for (; (end = strchr(line, '\n')); line = end + 1)
		printf("%.*s\n%*s", (int)(end - line), line, HELP_COLUMNS, "");
	printf("%s\n", line);
}

static void print_help(const struct command_usage *u)
{
	const struct command_option *o;

	fputs(u->before, stdout);
	for (o = u->options; o->name; o++)
		print_option(o);
	fputs(u->after, stdout);
}

/* ---- taking them ---- */

int command_bad(const char *command, const char *option, const char *value, const char *want)
{
	fprintf(stderr, "vmferry %s: %s: '%s' is not %s\n", command, option, value, want);
	return EXIT_USAGE;
}

static int take_json(const struct command_usage *u, const char *arg, struct life_options *o)
{
	if (arg && strcmp(arg, "fine"))
		return command_bad(u->name, "--json", arg, "fine, or nothing");
	o->json = true;
	o->json_fine |= arg != NULL;
	return 0;
}

static int take_word(const struct command_usage *u, const struct command_option *o, const char *arg, int *index)
{
	AUTO_FREE char *name = xasprintf("--%s", o->name), *want = words_or(o->words);

	*index = word_index(o->words, arg);
	return *index < 0 ? command_bad(u->name, name, arg, want) : 0;
}

static int take_rate(const struct command_usage *u, const struct command_option *o, const char *arg, uint64_t *rate)
{
	AUTO_FREE char *name = xasprintf("--%s", o->name);

	if (parse_rate(arg, rate) || *rate > INT64_MAX || (!*rate && o->kind == OPT_RATE_ABOVE))
		return command_bad(u->name, name, arg, "a rate such as 100M (bytes per second) or 800mbit");
	return 0;
}

static int take_option(const struct command_usage *u, const struct command_option *o, void *into, const char *arg)
{
	void *member = (char *)into + o->offset;
	int index, r;

	switch (o->kind) {
	case OPT_FLAG:
		*(bool *)member = true;
		return 0;
	case OPT_SET:
		*(int *)member = o->base;
		return 0;
	case OPT_JSON:
		return take_json(u, arg, member);
	case OPT_TEXT:
		*(const char **)member = arg;
		return 0;
	case OPT_WORD:
		r = take_word(u, o, arg, &index);
		*(int *)member = index + o->base;
		return r;
	case OPT_WORD_TEXT:
		*(const char **)member = arg;
		return take_word(u, o, arg, &index);
	case OPT_RATE:
	case OPT_RATE_ABOVE:
		return take_rate(u, o, arg, member);
	case OPT_CALL:
		break;
	}
	return o->take(into, arg);
}

static const struct command_option *row_of(const struct command_usage *u, int number)
{
	const struct command_option *o;

	for (o = u->options; o->name; o++)
		if (number == (o->letter ? o->letter : FIRST_NUMBER + (int)(o - u->options)))
			return o;
	return NULL;
}

/* For getopt_long(3). */
static void list_options(const struct command_usage *u, struct option out[ROWS_MAX + 2], char letters[ROWS_MAX + 1])
{
	const struct command_option *o;
	size_t n = 0, k = 0;

	for (o = u->options; o->name && n < ROWS_MAX; o++) {
		int has = !o->argument ? no_argument : !strncmp(o->argument, "[=", 2) ? optional_argument : required_argument;

		out[n++] = (struct option){o->name, has, NULL, o->letter ? o->letter : FIRST_NUMBER + (int)(o - u->options)};
		if (o->letter)
			letters[k++] = o->letter;
	}
	out[n++] = (struct option){"help", no_argument, NULL, HELP_NUMBER};
	out[n] = (struct option){NULL, 0, NULL, 0};
	letters[k] = '\0';
}

int command_take(const struct command_usage *u, int argc, char **argv, void *into, int *words)
{
	struct option options[ROWS_MAX + 2];
	char letters[ROWS_MAX + 1];
	int number, r;

	list_options(u, options, letters);
	while ((number = option_next(argc, argv, letters, options)) != -1) {
		const struct command_option *o = row_of(u, number);

		if (number == HELP_NUMBER) {
			print_help(u);
			return COMMAND_HELPED;
		}
		if (!o) {
			fprintf(stderr, "try: vmferry %s --help\n", u->name);
			return EXIT_USAGE;
		}
		r = take_option(u, o, into, optarg);
		if (r)
			return r;
	}
	*words = optind;
	return 0;
}

int command_words_before(int argc, char **argv, char ***behind, size_t *count)
{
	int i;

	for (i = 1; i < argc && strcmp(argv[i], "--"); i++)
		;
	*behind = i < argc ? argv + i + 1 : NULL;
	*count = i < argc ? (size_t)(argc - i - 1) : 0;
	return i;
}
