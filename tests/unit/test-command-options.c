/* test-command-options.c: the options of a command, a row each: taken, refused, printed by --help and for completion, and given again. */
#include "command-options.h"
#include "exit-code.h"
#include "util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum colour { COLOUR_UNSAID, COLOUR_RED, COLOUR_BLUE };

struct way {
	const char *host;
	bool plain;
};

struct wishes {
	bool quick, json, json_fine, other, other_said, forever;
	enum colour colour;
	const char *name, *shape;
	struct option_list pairs;
	unsigned drops, timeout_ms, keep_s;
	int seen;
	uint64_t size, rate;
	time_t at;
	struct way way;
};

static int look_at_pair(void *into, const char *arg, struct err *e)
{
	struct wishes *w = into;

	if (!strcmp(arg, "all")) {
		w->seen += 10;
		return OPTION_TAKEN;
	}
	return strchr(arg, '=') ? 0 : option_bad(e, arg, "A=B");
}

static int take_seen(void *into, const char *arg, struct err *e)
{
	(void)e;
	((struct wishes *)into)->seen += arg ? 100 : 1;
	return 0;
}

#define MEMBER(name) offsetof(struct wishes, name)

static const char *const colours[] = {"red", "blue", NULL}, *const shapes[] = {"round", "square", NULL}, *const fine[] = {"fine", NULL},
			 *const sides[] = {"this", "that", NULL}, *const drops[] = {"a", "b", "c", NULL}, *const no[] = {"no", NULL},
			 *const all[] = {"all", NULL};

static const struct command_option rows[] = {
	{"quick", NULL, "be quick", OPT_FLAG, .offset = MEMBER(quick), .letter = 'q', .heading = "What is done:"},
	{"json", "[=fine]", "as JSON", OPT_FLAG, .offset = MEMBER(json), .also = MEMBER(json_fine), .words = fine, .once = true},
	{"blue", NULL, "the same as --colour blue", OPT_SET, .offset = MEMBER(colour), .base = COLOUR_BLUE},
	{"colour", "COLOUR", "red or blue", OPT_WORD, .offset = MEMBER(colour), .words = colours, .base = COLOUR_RED},
	{"shape", "SHAPE", "round or square", OPT_WORD_TEXT, .offset = MEMBER(shape), .words = shapes},
	{"side", "SIDE", "this or that", OPT_SECOND, .offset = MEMBER(other), .also = MEMBER(other_said), .words = sides},
	{"name", "FILE", "of a file", OPT_TEXT, .offset = MEMBER(name), .letter = 'n', .file = true},
	{"pair", "A=B", "two words", OPT_LIST, .offset = MEMBER(pairs), .words = all, .take = look_at_pair},
	{"drop", "WHAT,...", "leave behind", OPT_BITS, .offset = MEMBER(drops), .words = drops},
	{"timeout", "S", "how long", OPT_NUMBER, .offset = MEMBER(timeout_ms), .min = 1, .max = 60, .times = 1000, .unit = "seconds"},
	{"size", "SIZE", "how much", OPT_SIZE, .offset = MEMBER(size), .min = 1024, .max = 4 * GIB},
	{"rate", "RATE", "how fast", OPT_RATE, .offset = MEMBER(rate), .min = 1},
	{"keep", "TIME", "how long", OPT_SPAN, .offset = MEMBER(keep_s), .also = MEMBER(forever), .words = no, .max = 2 * 86400},
	{"at", "TIME", "when", OPT_MOMENT, .offset = MEMBER(at)},
	{"seen", NULL, "counts", OPT_CALL, .take = take_seen},
	{.name = NULL},
};

static const struct command_option way_rows[] = {
	{"host", "DEST", "where to", OPT_TEXT, .offset = offsetof(struct way, host), .heading = "How to get there:"},
	{"plain", NULL,
	 "in clear, which is for a network of one's own; a text that is longer than one line is broken where words end, and indented as "
	 "the first was\n(as is this)",
	 OPT_FLAG, .offset = offsetof(struct way, plain)},
	{.name = NULL},
};

static char heard[256];

static void hear(void *into, const struct command_option *o, const char *arg)
{
	size_t n = strlen(heard);

	(void)into;
	snprintf(heard + n, sizeof(heard) - n, " %s=%s", o->name, arg ?: "");
}

static const struct option_table tables[] = {{rows, 0}, {way_rows, MEMBER(way)}, {NULL, 0}};
static const struct command_usage usage = {"program do", "usage: program do\n\n",      "\nthe end\n",
					   tables,	 .words = "two words at most", .most = 2,
					   .taken = hear};

/* The output meanwhile; to be freed. */
struct said {
	FILE *out, *err;
	char *on_out, *on_err;
	size_t out_size, err_size;
};

static void hear_begin(struct said *s)
{
	s->out = stdout;
	s->err = stderr;
	stdout = open_memstream(&s->on_out, &s->out_size);
	stderr = open_memstream(&s->on_err, &s->err_size);
	assert_true(stdout && stderr);
}

static void hear_end(struct said *s)
{
	fclose(stdout);
	fclose(stderr);
	stdout = s->out;
	stderr = s->err;
}

static void said_free(struct said *s)
{
	free(s->on_out);
	free(s->on_err);
}

static int take(const struct command_usage *u, const char *line, struct wishes *w, int *first, struct said *s)
{
	static char copy[1024];
	static char *argv[OPTION_LIST_MAX + 3];
	int argc = 0, r;
	char *rest = copy, *word;

	snprintf(copy, sizeof(copy), "%s", line);
	while ((word = strsep(&rest, " ")))
		argv[argc++] = word;
	argv[argc] = NULL;
	heard[0] = '\0';
	*w = (struct wishes){.colour = COLOUR_UNSAID};
	hear_begin(s);
	r = command_take(u, argc, argv, w, first);
	hear_end(s);
	return r;
}

static void assert_taken(const char *line, struct wishes *w, int words)
{
	struct said s;
	int first, argc = 1;
	const char *c;

	for (c = line; *c; c++)
		argc += *c == ' ';
	assert_int_equal(take(&usage, line, w, &first, &s), 0);
	assert_string_equal(s.on_err, "");
	assert_string_equal(s.on_out, "");
	assert_int_equal(argc - first, words);
	said_free(&s);
}

static void assert_refused(const char *line, const char *words)
{
	struct wishes w;
	struct said s;
	int first;

	assert_int_equal(take(&usage, line, &w, &first, &s), EXIT_USAGE);
	assert_string_equal(s.on_err, words);
	assert_string_equal(s.on_out, "");
	said_free(&s);
}

static void each_kind_goes_to_its_member(void **state)
{
	struct wishes w;

	(void)state;
	assert_taken("do --quick one --json --colour=red two", &w, 2);
	assert_true(w.quick && w.json && !w.json_fine && w.colour == COLOUR_RED);
	assert_taken("do -q --json=fine --blue --shape square -n file --side that", &w, 0);
	assert_true(w.quick && w.json_fine && w.colour == COLOUR_BLUE && w.other && w.other_said);
	assert_string_equal(w.shape, "square");
	assert_string_equal(w.name, "file");
	assert_taken("do --pair a=b --pair all --pair c=d --drop c,a --timeout 60 --size 1.5k --rate 8kbit --seen --seen", &w, 0);
	assert_int_equal(w.pairs.count, 2);
	assert_string_equal(w.pairs.at[1], "c=d");
	assert_int_equal(w.drops, 5);
	assert_int_equal(w.timeout_ms, 60000);
	assert_int_equal(w.size, 1536);
	assert_int_equal(w.rate, 1000);
	assert_int_equal(w.seen, 12);
	assert_taken("do --keep 90m --at @1000 --host there --plain --side this", &w, 0);
	assert_true(w.keep_s == 5400 && !w.forever && w.at == 1000 && w.way.plain && !w.other && w.other_said);
	assert_string_equal(w.way.host, "there");
	assert_taken("do --keep no", &w, 0);
	assert_true(!w.keep_s && w.forever);
	assert_taken("do --keep no --keep 2d", &w, 0);
	assert_true(w.keep_s == 172800 && !w.forever);
}

static void what_is_wrong_is_said_with_the_command(void **state)
{
	static const char again[] = "try: program do --help\n";
	AUTO_FREE char *unknown = xasprintf("program do: unrecognized option '--coluor=red'\ndid you mean --colour?\n%s", again);
	AUTO_FREE char *strange = xasprintf("program do: unrecognized option '--xyzzy'\n%s", again);
	AUTO_FREE char *lacking = xasprintf("program do: option '--name' requires an argument\n%s", again);
	AUTO_FREE char *letter = xasprintf("program do: option requires an argument -- 'n'\n%s", again);

	(void)state;
	assert_refused("do --coluor=red", unknown);
	assert_refused("do --xyzzy", strange);
	assert_refused("do --name", lacking);
	assert_refused("do -n", letter);
	assert_refused("do --json=rough", "program do: --json: 'rough' is not fine\n");
	assert_refused("do --colour green", "program do: --colour: 'green' is not red or blue\n");
	assert_refused("do --shape flat", "program do: --shape: 'flat' is not round or square\n");
	assert_refused("do --side both", "program do: --side: 'both' is not this or that\n");
	assert_refused("do --pair a", "program do: --pair: 'a' is not A=B\n");
	assert_refused("do --drop a,d", "program do: --drop: 'd' is not a, b or c\n");
	assert_refused("do --timeout 0", "program do: --timeout: '0' is not a number of seconds from 1 to 60\n");
	assert_refused("do --timeout 61", "program do: --timeout: '61' is not a number of seconds from 1 to 60\n");
	assert_refused("do --timeout 6x", "program do: --timeout: '6x' is not a number of seconds from 1 to 60\n");
	assert_refused("do --timeout -1", "program do: --timeout: '-1' is not a number of seconds from 1 to 60\n");
	assert_refused("do --size 1023", "program do: --size: '1023' is not a size such as 4G, from 1.0 KiB to 4.0 GiB\n");
	assert_refused("do --size 5G", "program do: --size: '5G' is not a size such as 4G, from 1.0 KiB to 4.0 GiB\n");
	assert_refused("do --rate 0", "program do: --rate: '0' is not a rate such as 100M (bytes per second) or 800mbit\n");
	assert_refused("do --rate fast", "program do: --rate: 'fast' is not a rate such as 100M (bytes per second) or 800mbit\n");
	assert_refused("do --keep 3d", "program do: --keep: '3d' is not a time such as 90s, 10m or 2h, of at most 2 days, or no\n");
	assert_refused("do --at yesterday", "program do: --at: 'yesterday' is not a time to come (3:00, '2026-12-24 3:00:00', +90m)\n");
	assert_refused("do --at @", "program do: --at: '@' is not a time to come (3:00, '2026-12-24 3:00:00', +90m)\n");
	assert_refused("do a b c", "program do takes two words at most (--help tells more)\nusage: program do\n");
}

static void a_list_has_an_end(void **state)
{
	char line[1024] = "do";
	struct wishes w;
	size_t i;

	(void)state;
	for (i = 0; i < OPTION_LIST_MAX; i++)
		strcat(line, " --pair=a=b");
	assert_taken(line, &w, 0);
	assert_int_equal(w.pairs.count, OPTION_LIST_MAX);
	strcat(line, " --pair=a=b");
	assert_refused(line, "program do: --pair: at most 64 of them\n");
}

static void who_hears_of_options_hears_what_was_said(void **state)
{
	struct wishes w;

	(void)state;
	assert_taken("do --timeout=5 a --plain --json", &w, 1);
	assert_string_equal(heard, " timeout=5 plain= json=");
}

static void help_has_every_row(void **state)
{
	static const char text[] = "usage: program do\n\n"
				   "What is done:\n"
				   "  -q, --quick           be quick\n"
				   "  --json[=fine]         as JSON\n"
				   "  --blue                the same as --colour blue\n";
	static const char way[] =
		"\n"
		"How to get there:\n"
		"  --host DEST           where to\n"
		"  --plain               in clear, which is for a network of one's own; a text that is longer than one line is broken\n"
		"                        where words end, and indented as the first was\n"
		"                        (as is this)\n"
		"\nthe end\n";
	static const char *const shown[] = {"host", NULL};
	struct command_usage few = usage;
	struct wishes w;
	struct said s;
	int first;

	(void)state;
	assert_int_equal(take(&usage, "do a b c --help --no-such-option", &w, &first, &s), COMMAND_HELPED);
	assert_string_equal(s.on_err, "");
	assert_memory_equal(s.on_out, text, strlen(text));
	assert_non_null(strstr(s.on_out, way));
	said_free(&s);
	few.shown = shown;
	assert_int_equal(take(&few, "do --help", &w, &first, &s), COMMAND_HELPED);
	assert_string_equal(s.on_out, "usage: program do\n\n  --host DEST           where to\n\nthe end\n");
	said_free(&s);
}

static void completion_hears_of_values(void **state)
{
	static const char text[] =
		"--quick\n-q\n--json\n--blue\n--colour red blue\n--shape round square\n--side this that\n--name @file\n-n @file\n"
		"--pair all\n--drop a b c\n--timeout @any\n--size @any\n--rate @any\n--keep no\n--at @any\n--seen\n"
		"--host @host\n--plain\n--help\n";
	struct wishes w;
	struct said s;
	int first;

	(void)state;
	assert_int_equal(take(&usage, "do --options", &w, &first, &s), COMMAND_HELPED);
	assert_string_equal(s.on_out, text);
	said_free(&s);
	assert_refused("do --options a", "program do: unrecognized option '--options'\ntry: program do --help\n");
}

static char given[512];

static void give(const char *name, const char *value)
{
	size_t n = strlen(given);

	snprintf(given + n, sizeof(given) - n, " --%s%s%s", name, value ? "=" : "", value ?: "");
}

static void what_was_given_can_be_given_again(void **state)
{
	static const char line[] =
		"do --quick --colour=blue --shape=round --side=this --name=f --pair=a=b --pair=c=d --drop=a,c --timeout=7 "
		"--size=2048 --rate=5 --keep=90s --host=h --plain";
	struct wishes w;

	(void)state;
	assert_taken(line, &w, 0);
	given[0] = '\0';
	options_print(tables, &w, give);
	assert_string_equal(given, line + 2);
	assert_taken("do --keep no --json --seen --blue --size 1G", &w, 0);
	given[0] = '\0';
	options_print(tables, &w, give);
	assert_string_equal(given, " --colour=blue --size=1073741824 --keep=no");
	assert_taken("do", &w, 0);
	given[0] = '\0';
	options_print(tables, &w, give);
	assert_string_equal(given, "");
	w.at = time(NULL) + 3600;
	options_print(tables, &w, give);
	assert_memory_equal(given, " --at=20", 8);
}

static int look(bool *helps, char *const *words, int argc)
{
	char *argv[8];

	memcpy(argv, words, ((size_t)argc + 1) * sizeof(*argv));
	return command_look(&usage, argc, argv, helps);
}

static void a_look_takes_nothing_and_says_nothing(void **state)
{
	bool helps;
	struct said s;

	(void)state;
	hear_begin(&s);
	assert_int_equal(look(&helps, (char *[]){"do", "a", "--timeout", "0", "b", NULL}, 5), 3);
	assert_false(helps);
	assert_int_equal(look(&helps, (char *[]){"do", "--timeout", NULL}, 2), -1);
	assert_int_equal(look(&helps, (char *[]){"do", "--help", NULL}, 2), 2);
	assert_true(helps);
	look(&helps, (char *[]){"do", "--options", NULL}, 2);
	assert_true(helps);
	hear_end(&s);
	assert_string_equal(s.on_err, "");
	assert_string_equal(s.on_out, "");
	said_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_goes_to_its_member),
		cmocka_unit_test(what_is_wrong_is_said_with_the_command),
		cmocka_unit_test(a_list_has_an_end),
		cmocka_unit_test(who_hears_of_options_hears_what_was_said),
		cmocka_unit_test(help_has_every_row),
		cmocka_unit_test(completion_hears_of_values),
		cmocka_unit_test(what_was_given_can_be_given_again),
		cmocka_unit_test(a_look_takes_nothing_and_says_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
