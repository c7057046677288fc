/* command-options.c: see command-options.h. */
#include "command-options.h"
#include "exit-code.h"
#include "moment.h"
#include "nearest.h"
#include "text-wrap.h"
#include "util.h"
#include "words.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#define HELP_COLUMN  24
#define HELP_WIDTH   120
#define FIRST_NUMBER 256 /* number that getopt_long(3) returns for the first row without a letter */

static const struct command_option *row_at(const struct option_table *t, size_t i, size_t *at)
{
	size_t n;

	for (; t->rows; t++, i -= n) {
		for (n = 0; t->rows[n].name && n < i; n++)
			;
		*at = t->at;
		if (t->rows[n].name)
			return &t->rows[n];
	}
	return NULL;
}

static size_t count_rows(const struct option_table *tables)
{
	size_t n, at;

	for (n = 0; row_at(tables, n, &at); n++)
		;
	return n;
}

const struct command_option *option_find(const struct option_table *tables, const char *name)
{
	const struct command_option *o;
	size_t i, at;

	for (i = 0; (o = row_at(tables, i, &at)) && strcmp(o->name, name); i++)
		;
	return o;
}

bool option_may_have_value(const struct command_option *o)
{
	return o->argument && !strncmp(o->argument, "[=", 2);
}

/* ---- --help, and --options for completion ---- */

static void print_option(const struct command_option *o, size_t width)
{
	AUTO_FREE char *letter = o->letter ? xasprintf("-%c, ", o->letter) : xstrdup("");
	AUTO_FREE char *label =
		xasprintf("  %s--%s%s%s", letter, o->name, o->argument && !option_may_have_value(o) ? " " : "", o->argument ?: "");
	size_t length = strlen(label);
	const char *at;

	/* each line of the help is a cell */
	printf("%s%s", label, length < HELP_COLUMN ? "" : "\n");
	for (at = o->help; *at; at += *at == '\n') {
		size_t n = strcspn(at, "\n"), indent = at == o->help && length < HELP_COLUMN ? HELP_COLUMN - length : HELP_COLUMN;
		AUTO_FREE char *line = xasprintf("%*s%.*s", HELP_COLUMN, "", (int)n, at);
		AUTO_FREE char *folded = text_fold(line, width);

		printf("%*s%s\n", (int)indent, "", folded + HELP_COLUMN);
		at += n;
	}
}

/* The width of the terminal: standard output's, or standard error's if a pager reads standard output. */
static size_t help_width(void)
{
	size_t columns = text_wrap_columns(1) ?: text_wrap_columns(2);

	return columns && columns < HELP_WIDTH ? columns : HELP_WIDTH;
}

static void print_folded(const char *text, size_t width)
{
	AUTO_FREE char *folded = text_fold(text, width);

	fputs(folded, stdout);
}

static void print_help(const struct command_usage *u)
{
	const struct command_option *o;
	size_t i, at, width = help_width();

	print_folded(u->before, width);
	for (i = 0; (o = row_at(u->tables, i, &at)); i++) {
		if (u->shown && word_index(u->shown, o->name) < 0)
			continue;
		if (o->heading && !u->shown)
			printf("%s%s\n", i ? "\n" : "", o->heading);
		print_option(o, width);
	}
	print_folded(u->after ?: "", width);
}

static void print_values(const struct command_option *o)
{
	static const char *const places[][2] = {{"FILE", "@file"},    {"DIR", "@dir"},	    {"DEST", "@host"},	    {"DISK=PATH", "@disk"},
						{"NIC=WHAT", "@nic"}, {"VM,...", "@guest"}, {"VM,VM,...", "@guest"}};
	const char *const *words = o->offered ?: o->words;

	if (!o->argument || option_may_have_value(o)) {
		puts("");
		return;
	}
	for (size_t i = 0; words && words[i]; i++)
		printf(" %s", words[i]);
	printf("%s%s\n", o->words ? "" : " ", o->words ? "" : PAIR_OF(places, o->argument) ?: "@any");
}

/* A line an option: its name, and the values that it may have, or @file, @dir, @host, @disk, @nic, @any. */
static void print_for_completion(const struct command_usage *u)
{
	const struct command_option *o;
	size_t i, at;

	for (i = 0; (o = row_at(u->tables, i, &at)); i++) {
		if (u->takes_shown && word_index(u->shown, o->name) < 0)
			continue;
		printf("--%s", o->name);
		print_values(o);
		if (!o->letter)
			continue;
		printf("-%c", o->letter);
		print_values(o);
	}
	puts("--help");
}

/* ---- values ---- */

int option_bad(struct err *e, const char *arg, const char *want)
{
	return err_set(e, EINVAL, "'%s' is not %s", arg, want);
}

static int take_word(const struct command_option *o, const char *arg, int *index, struct err *e)
{
	AUTO_FREE char *want = words_or(o->offered ?: o->words);

	*index = word_index(o->words, arg);
	return *index < 0 ? option_bad(e, arg, want) : 0;
}

static int take_bits(const struct command_option *o, const char *arg, unsigned *bits, struct err *e)
{
	AUTO_FREE char *copy = xstrdup(arg);
	char *rest = copy, *word;
	int i, r = 0;

	while (!r && (word = strsep(&rest, ","))) {
		r = take_word(o, word, &i, e);
		if (!r)
			*bits |= 1u << i;
	}
	return r;
}

static int take_number(const struct command_option *o, const char *arg, unsigned *number, struct err *e)
{
	unsigned long long n;
	char *end;

	errno = 0;
	n = strtoull(arg, &end, 10);
	if (errno || end == arg || *end || n < o->min || n > o->max) {
		AUTO_FREE char *want = xasprintf("a number%s%s from %llu to %llu", o->unit ? " of " : "", o->unit ?: "",
						 (unsigned long long)o->min, (unsigned long long)o->max);

		return option_bad(e, arg, want);
	}
	*number = (unsigned)n * MAX(o->times, 1);
	return 0;
}

static int take_size(const struct command_option *o, const char *arg, uint64_t *bytes, struct err *e)
{
	char least[24], most[24];

	if (parse_bytes(arg, bytes) || *bytes < o->min || *bytes > o->max) {
		AUTO_FREE char *want =
			xasprintf("a size such as 4G, from %s to %s", format_bytes(least, o->min), format_bytes(most, o->max));

		return option_bad(e, arg, want);
	}
	return 0;
}

static int take_rate(const struct command_option *o, const char *arg, uint64_t *rate, struct err *e)
{
	if (parse_rate(arg, rate) || *rate > INT64_MAX || *rate < o->min)
		return option_bad(e, arg, "a rate such as 100M (bytes per second) or 800mbit");
	return 0;
}

static int take_span(const struct command_option *o, const char *arg, unsigned *seconds, bool *is_word, struct err *e)
{
	long span = moment_span(arg);
	bool word = o->words && !strcmp(arg, o->words[0]);

	if (!word && (!span || (uint64_t)span > o->max)) {
		AUTO_FREE char *want = xasprintf("a time such as 90s, 10m or 2h, of at most %u days%s%s", (unsigned)(o->max / 86400),
						 o->words ? ", or " : "", o->words ? o->words[0] : "");

		return option_bad(e, arg, want);
	}
	*seconds = word ? 0 : (unsigned)span;
	if (is_word)
		*is_word = word;
	return 0;
}

/* Ten digits last until 2286. 0: it is no such number. */
static time_t since_1970(const char *text)
{
	size_t n = strspn(text, "0123456789");

	return n && n <= 10 && !text[n] ? (time_t)strtoll(text, NULL, 10) : 0;
}

static int take_moment(const char *arg, time_t *at, struct err *e)
{
	*at = *arg == '@' ? since_1970(arg + 1) : moment_read(arg, time(NULL));
	return *at ? 0 : option_bad(e, arg, "a time to come (3:00, '2026-12-24 3:00:00', +90m)");
}

static int take_more(const struct command_option *o, void *into, const char *arg, struct option_list *list, struct err *e)
{
	int r = o->take ? o->take(into, arg, e) : 0;

	if (r)
		return r;
	if (list->count == OPTION_LIST_MAX)
		return err_set(e, EINVAL, "at most %d of them", OPTION_LIST_MAX);
	list->at[list->count++] = arg;
	return 0;
}

/* 0 or OPTION_TAKEN; -errno: *e says what is wrong with the value. */
static int put_value(const struct command_option *o, void *into, const char *arg, struct err *e)
{
	void *member = (char *)into + o->offset;
	bool *also = o->also ? (bool *)((char *)into + o->also) : NULL;
	int index = 0, r = 0;

	if ((o->kind == OPT_TEXT || o->kind == OPT_WORD) && o->take)
		r = o->take(into, arg, e);
	if (!r && (o->kind == OPT_WORD || o->kind == OPT_WORD_TEXT || o->kind == OPT_SECOND || (o->kind == OPT_FLAG && arg)))
		r = take_word(o, arg, &index, e);
	if (r)
		return r;
	if (also && arg)
		*also = true;
	switch (o->kind) {
	case OPT_FLAG:
		*(bool *)member = true;
		return 0;
	case OPT_SET:
		*(int *)member = o->base;
		return 0;
	case OPT_TEXT:
	case OPT_WORD_TEXT:
		*(const char **)member = arg;
		return 0;
	case OPT_WORD:
		*(int *)member = index + o->base;
		return 0;
	case OPT_SECOND:
		*(bool *)member = index == 1;
		return 0;
	case OPT_LIST:
		return take_more(o, into, arg, member, e);
	case OPT_BITS:
		return take_bits(o, arg, member, e);
	case OPT_NUMBER:
		return take_number(o, arg, member, e);
	case OPT_SIZE:
		return take_size(o, arg, member, e);
	case OPT_RATE:
		return take_rate(o, arg, member, e);
	case OPT_SPAN:
		return take_span(o, arg, member, also, e);
	case OPT_MOMENT:
		return take_moment(arg, member, e);
	case OPT_CALL:
		break;
	}
	return o->take(into, arg, e);
}

/* ---- a command line ---- */

struct taker {
	struct option *long_options; /* options for getopt_long(3): those of the rows, and --help */
	char *letters;
	size_t count; /* number of rows */
};

static void taker_init(struct taker *t, const struct option_table *tables)
{
	const struct command_option *o;
	size_t at, i, k = 0;

	t->count = count_rows(tables);
	t->long_options = xcalloc(t->count + 2, sizeof(*t->long_options));
	t->letters = xcalloc(2 * t->count + 1, 1);
	for (i = 0; (o = row_at(tables, i, &at)); i++) {
		int has = !o->argument ? no_argument : option_may_have_value(o) ? optional_argument : required_argument;

		t->long_options[i] = (struct option){o->name, has, NULL, o->letter ?: FIRST_NUMBER + (int)i};
		if (!o->letter)
			continue;
		t->letters[k++] = o->letter;
		if (o->argument)
			t->letters[k++] = ':';
	}
	t->long_options[i] = (struct option){"help", no_argument, NULL, FIRST_NUMBER + (int)i};
	optind = 0; /* getopt_long(3): from the beginning */
}

static void taker_fini(struct taker *t)
{
	free(t->long_options);
	free(t->letters);
}

static void suggest(const char *typed, const struct taker *t)
{
	AUTO_FREE char *name = xstrndup(typed + 2, strcspn(typed + 2, "="));
	AUTO_FREE const char **names = xcalloc(t->count + 1, sizeof(*names));

	for (size_t i = 0; i <= t->count; i++)
		names[i] = t->long_options[i].name;
	nearest_propose("--", name, names, t->count + 1);
}

/* getopt_long(3), with the whole command in its errors; one line after that about an option that there is none says which was probably
 * meant. */
static int next_option(const struct taker *t, const char *name, int argc, char **argv)
{
	char *first = argv[0];
	int before = optind, number;

	argv[0] = (char *)(uintptr_t)name;
	number = getopt_long(argc, argv, t->letters, t->long_options, NULL);
	argv[0] = first;
	/* optopt is set where a known option lacks its value, or has one too many */
	if (number == '?' && !optopt && optind > before && !strncmp(argv[optind - 1], "--", 2))
		suggest(argv[optind - 1], t);
	return number;
}

/* The row of what getopt_long(3) returned. */
static const struct command_option *row_of(const struct taker *t, const struct option_table *tables, int number, size_t *at)
{
	size_t i;

	for (i = 0; i < t->count && t->long_options[i].val != number; i++)
		;
	return row_at(tables, i, at);
}

static int take_options(const struct command_usage *u, const struct taker *t, int argc, char **argv, void *into)
{
	int number, r;

	while ((number = next_option(t, u->name, argc, argv)) != -1) {
		size_t at;
		const struct command_option *o = row_of(t, u->tables, number, &at);
		struct err e;

		if (number == FIRST_NUMBER + (int)t->count) {
			print_help(u);
			return COMMAND_HELPED;
		}
		if (!o) {
			fprintf(stderr, "try: %s --help\n", u->name);
			return EXIT_USAGE;
		}
		if (u->takes_shown && word_index(u->shown, o->name) < 0) {
			fprintf(stderr, "%s: --%s is not for this command\ntry: %s --help\n", u->name, o->name, u->name);
			return EXIT_USAGE;
		}
		r = put_value(o, (char *)into + at, optarg, &e);
		if (r < 0) {
			fprintf(stderr, "%s: --%s: %s\n", u->name, o->name, e.msg);
			return EXIT_USAGE;
		}
		if (u->taken)
			u->taken(into, o, optarg);
	}
	return 0;
}

/* True for the hidden option that completion uses. */
static bool asks_for_rows(int argc, char **argv)
{
	return argc == 2 && !strcmp(argv[1], "--options");
}

int command_take(const struct command_usage *u, int argc, char **argv, void *into, int *first)
{
	struct taker t;
	int r;

	if (asks_for_rows(argc, argv)) {
		print_for_completion(u);
		return COMMAND_HELPED;
	}
	taker_init(&t, u->tables);
	r = take_options(u, &t, argc, argv, into);
	taker_fini(&t);
	*first = optind;
	if (!r && u->words && (argc - optind < u->least || argc - optind > u->most)) {
		fprintf(stderr, "%s takes %s (--help tells more)\n%.*s\n", u->name, u->words, (int)strcspn(u->before, "\n"), u->before);
		return EXIT_USAGE;
	}
	return r;
}

int command_look(const struct command_usage *u, int argc, char **argv, bool *helps)
{
	struct taker t;
	bool good = true;
	int number;

	taker_init(&t, u->tables);
	*helps = asks_for_rows(argc, argv);
	opterr = 0;
	while ((number = getopt_long(argc, argv, t.letters, t.long_options, NULL)) != -1) {
		good &= number != '?';
		*helps |= number == FIRST_NUMBER + (int)t.count;
	}
	opterr = 1;
	taker_fini(&t);
	return good ? optind : -1;
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

/* ---- given again ---- */

/* "snapshots,bitmaps"; malloc'ed, NULL if there is none. */
static char *bits_text(const char *const *words, unsigned bits)
{
	char *all = NULL;

	for (unsigned i = 0; words[i]; i++) {
		char *longer = bits & 1u << i ? xasprintf("%s%s%s", all ?: "", all ? "," : "", words[i]) : NULL;

		if (!longer)
			continue;
		free(all);
		all = longer;
	}
	return all;
}

/* The value that makes a member what it is, "" for a flag; malloc'ed. NULL: the option was not given. */
static char *value_text(const struct command_option *o, const void *from)
{
	const void *member = (const char *)from + o->offset;
	const bool *also = o->also ? (const bool *)((const char *)from + o->also) : NULL;
	unsigned number;
	char at[MOMENT_TEXT];

	switch (o->kind) {
	case OPT_FLAG:
		return *(const bool *)member ? xstrdup("") : NULL;
	case OPT_TEXT:
	case OPT_WORD_TEXT:
		return *(const char *const *)member ? xstrdup(*(const char *const *)member) : NULL;
	case OPT_WORD:
		return *(const int *)member < o->base ? NULL : xstrdup(o->words[*(const int *)member - o->base]);
	case OPT_SECOND:
		return also && !*also ? NULL : xstrdup(o->words[*(const bool *)member]);
	case OPT_BITS:
		return bits_text(o->words, *(const unsigned *)member);
	case OPT_NUMBER:
		number = *(const unsigned *)member / MAX(o->times, 1);
		return number < o->min || number > o->max ? NULL : xasprintf("%u", number);
	case OPT_SIZE:
	case OPT_RATE:
		return *(const uint64_t *)member ? xasprintf("%llu", *(const unsigned long long *)member) : NULL;
	case OPT_SPAN:
		number = *(const unsigned *)member;
		return also && *also ? xstrdup(o->words[0]) : number ? xasprintf("%us", number) : NULL;
	case OPT_MOMENT:
		return *(const time_t *)member ? xstrdup(moment_text(at, *(const time_t *)member)) : NULL;
	case OPT_SET:
	case OPT_LIST:
	case OPT_CALL:
		break;
	}
	return NULL;
}

void options_print(const struct option_table *tables, const void *from, void (*put)(const char *name, const char *value))
{
	const struct command_option *o;
	size_t i, k, at;

	for (i = 0; (o = row_at(tables, i, &at)); i++) {
		const struct option_list *list = (const void *)((const char *)from + at + o->offset);
		AUTO_FREE char *value = o->once ? NULL : value_text(o, (const char *)from + at);

		for (k = 0; o->kind == OPT_LIST && k < list->count; k++)
			put(o->name, list->at[k]);
		if (value)
			put(o->name, o->argument ? value : NULL);
	}
}
