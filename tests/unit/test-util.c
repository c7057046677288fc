/*
 * test-util.c: sizes in words, scope cleanup, and the error object.
 */
#include "err.h"
#include "hex.h"
#include "json-members.h"
#include "json-text.h"
#include "log.h"
#include "output.h"
#include "shell-quote.h"
#include "text-code.h"
#include "nearest.h"
#include "util.h"
#include "words.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void sizes_with_every_unit_are_understood(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} cases[] = {
		{"0", 0},
		{"1", 1},
		{"512B", 512},
		{"4k", 4096},
		{"4K", 4096},
		{"4KiB", 4096},
		{"4kb", 4096},
		{"10M", 10 * MIB},
		{"10MiB", 10 * MIB},
		{"10mb", 10 * MIB},
		{"1.5GiB", GIB * 3 / 2},
		{"2g", 2 * GIB},
		{"1T", GIB * 1024},
		{"1TiB", GIB * 1024},
		{"0.5k", 512},
		{"800k", 800 * KIB},
		{"18.25M", 19136512},
		{"1e3", 1000},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		uint64_t v = 77;

		if (parse_bytes(cases[i].text, &v) || v != cases[i].bytes)
			fail_msg("%s gave %llu", cases[i].text, (unsigned long long)v);
	}
}

static void what_is_not_a_size_is_refused_and_leaves_the_result_alone(void **state)
{
	static const char *const bad[] = {"",	 "k",	 "M10",	  "10x",  "10kk", "10MiBs", "10 M", "-1",  "-5M", "nan",
					  "inf", "1e30", "9e18k", "10iB", "10BB", "1e400",  "10M ", "ten", ".",	  "10Mi B"};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		uint64_t v = 77;

		if (parse_bytes(bad[i], &v) != -EINVAL)
			fail_msg("\"%s\" was taken for %llu", bad[i], (unsigned long long)v);
		assert_int_equal(v, 77);
	}
}

static void sizes_are_written_with_the_unit_that_reads_best(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
		{0, "0 B"},
		{1, "1 B"},
		{1023, "1023 B"},
		{1024, "1.0 KiB"},
		{1536, "1.5 KiB"},
		{100 * KIB, "100 KiB"},
		{10 * MIB, "10.0 MiB"},
		{GIB * 3 / 2, "1.5 GiB"},
		{GIB * 1024, "1.0 TiB"},
		{UINT64_MAX, "16.0 EiB"},
	};
	char buf[24];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++)
		assert_string_equal(format_bytes(buf, cases[i].bytes), cases[i].text);
}

static void what_is_written_can_be_read_again_without_its_space(void **state)
{
	uint64_t v, back;
	char buf[24], *space;

	(void)state;
	for (v = 1; v < 1ULL << 49; v = v * 3 + 1) {
		format_bytes(buf, v);
		if (strstr(buf, "PiB"))
			break;
		space = strchr(buf, ' ');
		memmove(space, space + 1, strlen(space));
		assert_int_equal(parse_bytes(buf, &back), 0);
		assert_true((double)back > (double)v * 0.94 && (double)back < (double)v * 1.06);
	}
}

static int open_and_forget(void)
{
	AUTO_CLOSE int fd = open("/dev/null", O_RDONLY);
	AUTO_CLOSE int none = -1;
	AUTO_FREE char *p = xstrdup("freed by its scope"); /* asan says when not */

	(void)none, (void)p;
	assert_true(fd >= 0);
	return fd;
}

static void what_a_scope_owns_is_closed_when_it_ends(void **state)
{
	int fd = open_and_forget();

	(void)state;
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_int_equal(errno, EBADF);
}

static void allocation_of_nothing_is_still_a_pointer(void **state)
{
	void *a = xmalloc(0), *b = xcalloc(0, 8), *c = xrealloc(NULL, 0);
	AUTO_FREE char *s = xasprintf("%s-%d", "vm", 7);

	(void)state;
	assert_non_null(a);
	assert_non_null(b);
	assert_non_null(c);
	assert_string_equal(s, "vm-7");
	free(a);
	free(b);
	free(c);
}

static void the_clock_never_goes_back(void **state)
{
	uint64_t last = now_ns(), t;
	unsigned i;

	(void)state;
	for (i = 0; i < 100000; i++, last = t) {
		t = now_ns();
		assert_true(t >= last);
	}
}

static void an_error_says_what_and_why_and_gains_context_on_the_way_up(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(err_set(&e, EPROTO, "frame %d", 7), -EPROTO);
	assert_int_equal(e.code, EPROTO);
	assert_string_equal(e.msg, "frame 7");
	assert_int_equal(err_sys(&e, ENOENT, "cannot open %s", "/x"), -ENOENT);
	assert_string_equal(e.msg, "cannot open /x: No such file or directory");
	assert_int_equal(err_prefix(&e, "disk %s", "vda"), -ENOENT);
	assert_string_equal(e.msg, "disk vda: cannot open /x: No such file or directory");
	assert_int_equal(e.code, ENOENT);
}

static void an_error_too_long_is_cut_and_never_overruns(void **state)
{
	struct {
		struct err e;
		char after[8];
	} s = {.after = "canary"};
	char text[3 * ERR_MAX];
	unsigned i;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (i = ERR_MAX - 20; i < ERR_MAX + 20; i++) {
		err_set(&s.e, EIO, "%.*s", (int)i, text);
		assert_int_equal(strlen(s.e.msg), MIN(i, ERR_MAX - 1));
		err_sys(&s.e, EIO, "%.*s", (int)i, text);
		assert_int_equal(strlen(s.e.msg), MIN(i + strlen(": Input/output error"), ERR_MAX - 1));
		err_prefix(&s.e, "context");
		assert_int_equal(strncmp(s.e.msg, "context: xxx", 12), 0);
		assert_true(strlen(s.e.msg) < ERR_MAX);
		err_prefix(&s.e, "%s", text);
		assert_int_equal(strlen(s.e.msg), ERR_MAX - 1);
	}
	assert_string_equal(s.after, "canary");
}

static void what_is_no_utf8_or_no_text_in_an_error_becomes_question_marks(void **state)
{
	static const struct {
		const char *in, *out;
	} t[] = {
		{"plain", "plain"},
		{"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80", "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80"},
		{"a\xff"
		 "b",
		 "a?b"},
		{"\xc3", "?"}, /* cut */
		{"\xe2\x82", "??"},
		{"\xc0\xaf", "??"}, /* a longer form of '/' */
		{"\xe0\x80\xaf", "???"},
		{"\xed\xa0\x80", "???"},      /* half of a surrogate pair */
		{"\xf4\x90\x80\x80", "????"}, /* beyond the last character */
		{"\x80", "?"},
		{"a\033[2Jb\rc\177", "a?[2Jb?c?"}, /* escape sequences that a terminal would obey */
		{"\xc2\x9b"
		 "2J \xc2\xa0",
		 "??2J \xc2\xa0"},
		{"one\n\ttwo", "one  two"}, /* newlines cannot make a second message */
	};
	struct err e;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(t); i++) {
		err_set(&e, EIO, "%s", t[i].in);
		assert_string_equal(e.msg, t[i].out);
		assert_true(text_is_utf8(e.msg));
	}
}

static void utf8_is_told_from_what_is_not(void **state)
{
	(void)state;
	assert_true(text_is_utf8("plain \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80"));
	assert_false(text_is_utf8("a\xff"));
	assert_false(text_is_utf8("\xe2\x82"));
	assert_false(text_is_utf8("\xc0\xaf"));
}

static void a_text_is_compared_by_its_start_its_digits_and_as_a_whole(void **state)
{
	(void)state;
	assert_true(text_starts_with("unix:/run/x", "unix:"));
	assert_true(text_starts_with("unix:", "unix:"));
	assert_false(text_starts_with("unix", "unix:"));
	assert_false(text_starts_with(NULL, ""));
	assert_true(text_is_digits("0"));
	assert_true(text_is_digits("65535"));
	assert_false(text_is_digits(""));
	assert_false(text_is_digits(NULL));
	assert_false(text_is_digits("65535 "));
	assert_false(text_is_digits("-1"));
	assert_true(text_equal(NULL, NULL));
	assert_true(text_equal("a", "a"));
	assert_false(text_equal("a", "b"));
	assert_false(text_equal(NULL, ""));
	assert_false(text_equal("", NULL));
	assert_null(xstrdup(NULL));
}

static void a_line_has_no_newline_once_it_is_printable(void **state)
{
	char s[] = "vm1\nvm2\t\033]0;title\a";

	(void)state;
	text_make_printable(s, false);
	assert_string_equal(s, "vm1?vm2??]0;title?");
}

static void what_is_foreign_is_shown_in_one_line_and_nothing_at_all_as_a_question_mark(void **state)
{
	AUTO_FREE char *odd = text_shown("vm\n\033[2J\177\xc2\x9b"
					 "2J\xc3\xa4\xff");
	AUTO_FREE char *none = text_shown(NULL);

	(void)state;
	assert_string_equal(odd, "vm??[2J???2J\xc3\xa4?");
	assert_string_equal(none, "?");
}

/* By Unicode's Bidi_Control, Default_Ignorable_Code_Point, and general categories Zl and Zp. */
static void what_no_reader_sees_is_shown_as_question_marks(void **state)
{
	static const char *const hidden[] = {
		"\xc2\x85",	"\xc2\xad",	"\xd8\x9c",	"\xe2\x80\x8b", "\xe2\x80\x8f",	    "\xe2\x80\xa8",	"\xe2\x80\xa9",
		"\xe2\x80\xaa", "\xe2\x80\xae", "\xe2\x81\xa0", "\xe2\x81\xa6", "\xe2\x81\xa9",	    "\xef\xbb\xbf",	"\xe3\x85\xa4",
		"\xef\xb8\x8f", "\xe1\xa0\x8e", "\xef\xbf\xb9", "\xcd\x8f",	"\xf3\xa0\x80\x81", "\xf3\xa0\x81\xbf", "\xf3\xa0\x84\x80",
	};
	static const char *const seen[] = {"a",
					   "~",
					   "\xc2\xa0",
					   "\xc2\xae",
					   "\xd7\x90",
					   "\xd8\xa7",
					   "\xe2\x80\x90",
					   "\xe2\x80\xa7",
					   "\xe2\x80\xaf",
					   "\xe2\x82\xac",
					   "\xe4\xb8\xad",
					   "\xf0\x9f\x98\x80"};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(hidden); i++) {
		AUTO_FREE char *name = xasprintf("file %s-> B", hidden[i]);
		AUTO_FREE char *want = xasprintf("file %.*s-> B", (int)strlen(hidden[i]), "????");
		AUTO_FREE char *shown = text_shown(name);
		AUTO_FREE char *quoted = shell_quote_shown(name);
		json_t *v = json_string(name), *again;
		AUTO_FREE char *json = json_text_dump(v, JSON_ENCODE_ANY);
		struct err e;

		assert_string_equal(shown, want);
		err_set(&e, EINVAL, "%s", name);
		assert_string_equal(e.msg, want);
		assert_null(strstr(json, hidden[i]));
		assert_null(strstr(quoted, hidden[i]));
		again = json_loads(json, JSON_DECODE_ANY, NULL);
		assert_true(json_equal(v, again));
		json_decref(v);
		json_decref(again);
	}
	for (i = 0; i < ARRAY_LEN(seen); i++) {
		AUTO_FREE char *shown = text_shown(seen[i]);

		assert_string_equal(shown, seen[i]);
	}
}

static void a_log_line_is_one_line_whatever_is_in_it(void **state)
{
	char text[4096], long_one[2000];
	int fds[2];
	ssize_t n;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	log_init("test", LOG_LEVEL_ERROR, fds[1]);
	log_error("guest vm1\n1.0 dst: all is well\033[2J\xc2\x9b"
		  "2J");
	memset(long_one, 'x', sizeof(long_one) - 1);
	long_one[sizeof(long_one) - 1] = '\0';
	log_error("%s\n%s", long_one, long_one);
	output_flush(2000);
	log_init("vmferry", LOG_LEVEL_ERROR, 2);
	close(fds[1]);
	n = read(fds[0], text, sizeof(text) - 1);
	close(fds[0]);
	assert_true(n > 0);
	text[n] = '\0';
	assert_non_null(strstr(text, "guest vm1?1.0 dst: all is well?[2J??2J\n"));
	assert_ptr_equal(strchr(strchr(text, '\n') + 1, '\n'), text + n - 1); /* two lines, each ends */
}

static void json_for_a_terminal_has_no_control_characters_and_says_the_same(void **state)
{
	json_t *v = json_pack("{s:s,s:s}", "a\177",
			      "\033[2J\n\xc2\x9b"
			      "2J",
			      "b", "\xc3\xa4\xc2\xa0"),
	       *again;
	AUTO_FREE char *text = json_text_dump(v, JSON_COMPACT | JSON_SORT_KEYS);
	AUTO_FREE char *shown = text_shown(text);

	(void)state;
	assert_string_equal(shown, text);
	assert_string_equal(text, "{\"a\\u007f\":\"\\u001B[2J\\n\\u009b2J\",\"b\":\"\xc3\xa4\xc2\xa0\"}");
	again = json_loads(text, 0, NULL);
	assert_true(json_equal(v, again));
	json_decref(again);
	json_decref(v);
	assert_null(json_text_dump(NULL, 0));
}

static void reals_of_a_line_have_three_decimals_at_most(void **state)
{
	json_t *v = json_pack("{s:f,s:f,s:[f,{s:f}],s:I}", "t_ms", 1429.5547899999999, "bps", 123456789012.34567, "more", 0.00049, "x",
			      -0.0625, "n", (json_int_t)1 << 53);
	AUTO_FREE char *text = json_text_line(v);

	(void)state;
	assert_string_equal(text, "{\"t_ms\":1429.555,\"bps\":123456789012.346,\"more\":[0.0,{\"x\":-0.063}],\"n\":9007199254740992}");
	json_decref(v);
	assert_null(json_text_line(NULL));
}

/* Checks how sh reads a word. */
static void expect_word(const char *s)
{
	AUTO_FREE char *word = shell_quote_shown(s);
	AUTO_FREE char *command = xasprintf("printf %%s %s", word);
	AUTO_FREE char *shown = xstrdup(word);
	char back[256];
	FILE *f = popen(command, "r");
	size_t n;

	assert_non_null(f);
	n = fread(back, 1, sizeof(back) - 1, f);
	back[n] = '\0';
	assert_int_equal(pclose(f), 0);
	assert_string_equal(back, s);
	text_make_printable(shown, true);
	assert_string_equal(shown, word);
}

static void a_word_for_sh_that_is_shown_is_printable_and_read_back_byte_for_byte(void **state)
{
	char every[256];
	unsigned i;

	(void)state;
	for (i = 1; i < 256; i++)
		every[i - 1] = (char)i;
	every[255] = '\0';
	expect_word(every);
	expect_word("plain");
	expect_word("it's $x `y` \\ 100% %s");
	expect_word("it's \033 $x `y` \\ 100% %s \\033 -");
	expect_word("-\033");
	expect_word("\033\n\n");
	expect_word("\n");
	expect_word("");
	expect_word("/srv/\xc3\xa4\xc2\x9b/\xff");
}

static void digits_of_either_case_are_bytes_and_nothing_else_is(void **state)
{
	static const char *const wrong[] = {"00fg", "00 f", "000x", "00f", "", "-1ff", "00+f"};
	unsigned char bytes[2];
	char text[5];
	size_t i;

	(void)state;
	assert_true(hex_parse("0aFE, and so on", bytes, 2));
	assert_int_equal(bytes[0], 0x0a);
	assert_int_equal(bytes[1], 0xfe);
	assert_string_equal(hex_format(bytes, 2, text), "0afe");
	for (i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_false(hex_parse(wrong[i], bytes, 2));
}

static void rates_are_read_in_bytes_and_in_bits(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes_per_s;
	} cases[] = {{"100M", 100 * MIB},
		     {"0", 0},
		     {"0bit", 0},
		     {"800bit", 100},
		     {"8kbit", 1000},
		     {"100Mbit", 12500000},
		     {"1gbit", 125000000},
		     {"2.5Gbit", 312500000},
		     {"1tbit", 125000000000}};
	static const char *const bad[] = {"",	    "bit",	 "mbit", "100 mbit",	    "1xbit", "1mmbit",
					  "-1mbit", "1.2.3mbit", "1bit", "99999999999tbit", "1mibit"};
	uint64_t rate;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++)
		if (parse_rate(cases[i].text, &rate) || rate != cases[i].bytes_per_s)
			fail_msg("%s", cases[i].text);
	for (i = 0; i < ARRAY_LEN(bad); i++)
		if (parse_rate(bad[i], &rate) != -EINVAL)
			fail_msg("%s", bad[i]);
}

static void the_word_that_was_meant_is_found(void **state)
{
	static const char *const words[] = {"migrate", "list", NULL, "max-downtime",
					    "a-word-that-is-longer-than-anything-that-people-type-is"};
	static const struct {
		const char *typed, *meant;
	} cases[] = {{"migrat", "migrate"},
		     {"Migrate", "migrate"},
		     {"mirgate", "migrate"},
		     {"lits", "list"},
		     {"ls", NULL},
		     {"lost", "list"},
		     {"last one", NULL},
		     {"max-downtme", "max-downtime"},
		     {"maxdowntim", "max-downtime"},
		     {"maxdownti", NULL},
		     {"", NULL}};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		const char *meant = nearest_word(cases[i].typed, words, ARRAY_LEN(words));

		if (!meant != !cases[i].meant || (meant && strcmp(meant, cases[i].meant) != 0))
			fail_msg("%s: %s", cases[i].typed, meant ? meant : "none");
	}
}

static void a_text_takes_as_many_columns_as_a_terminal_may_need(void **state)
{
	(void)state;
	assert_int_equal(text_columns(""), 0);
	assert_int_equal(text_columns("gast"), 4);
	assert_int_equal(text_columns("g\303\244ste \342\200\223 2"), 9); /* an umlaut, a dash */
	assert_int_equal(text_columns("\344\270\255\346\226\207"), 4);	  /* two letters of Chinese */
	assert_int_equal(text_columns("\360\237\220\247"), 2);		  /* a penguin */
	assert_int_equal(text_columns("a\377b"), 3);			  /* no UTF-8 */
	assert_int_equal(text_fitting("\344\270\255\346\226\207", 3), 3);
	assert_int_equal(text_fitting("g\303\244ste", 2), 3);
}

static void a_word_leads_to_its_row_and_nothing_to_none(void **state)
{
	static const struct {
		int number;
		const char *word;
	} rows[] = {{1, "one"}, {0, NULL}, {2, "two"}};
	static const char *const pairs[][2] = {{"one", "eins"}, {"two", "zwei"}};

	(void)state;
	assert_int_equal(ROW_OF(rows, word, "two")->number, 2);
	assert_null(ROW_OF(rows, word, "Two"));
	assert_int_equal(ROW_OF_ANY_CASE(rows, word, "Two")->number, 2);
	assert_null(ROW_OF(rows, word, "three"));
	assert_null(ROW_OF(rows, word, NULL));
	assert_string_equal(PAIR_OF(pairs, "two"), "zwei");
	assert_null(PAIR_OF(pairs, "zwei"));
	assert_null(PAIR_OF(pairs, NULL));
}

static void an_element_of_a_list_is_found_by_a_text_in_it(void **state)
{
	json_t *list = json_pack("[s,i,{s:s},{s:s,s:i},{s:s}]", "one", 2, "other", "one", "name", "one", "is", 1, "name", "one");

	(void)state;
	assert_ptr_equal(json_find(list, NULL, "one"), json_array_get(list, 0));
	assert_ptr_equal(json_find(list, "name", "one"), json_array_get(list, 3));
	assert_null(json_find(list, "name", "two"));
	assert_null(json_find(list, "name", NULL));
	assert_null(json_find(NULL, "name", "one"));
	assert_true(json_has(list, json_array_get(list, 1)));
	assert_false(json_has(list, NULL));
	json_decref(list);
}

static void an_object_has_the_members_that_there_are(void **state)
{
	json_t *list = json_pack("[i]", 7), *o;

	(void)state;
	o = json_of(MEMBER_TEXT("text", "a"), MEMBER_TEXT("no_text", NULL), MEMBER_FLAG("flag", 4 & 6), MEMBER_FLAG("no_flag", false),
		    MEMBER_COUNT("count", UINT64_C(1) << 40), MEMBER_REAL("real", 0.5), MEMBER_SAME("same", list),
		    MEMBER_SAME("no_same", NULL), MEMBER_NEW("new", json_integer(3)), MEMBER_MAYBE("no_new", NULL), MEMBER_IF("is", 2),
		    MEMBER_IF("is_not", 0));
	json_decref(list);
	list = json_pack("{s:s,s:b,s:b,s:I,s:f,s:[i],s:i,s:b}", "text", "a", "flag", 1, "no_flag", 0, "count", (json_int_t)1 << 40, "real",
			 0.5, "same", 7, "new", 3, "is", 1);
	assert_true(json_equal(o, list));
	json_decref(o);
	json_decref(list);
}

static void an_object_whose_text_is_none_is_not_made_in_part(void **state)
{
	json_t *list = json_array();

	(void)state;
	assert_null(json_of(MEMBER_TEXT("name", "\xff"), MEMBER_SAME("list", list)));
	assert_null(json_of(MEMBER_SAME("list", list), MEMBER_REAL("ratio", 0.0 / 0.0)));
	assert_null(json_of(MEMBER_SAME("list", list), MEMBER_NEW("inner", json_of(MEMBER_TEXT("name", "\xff")))));
	assert_int_equal(list->refcount, 1);
	json_decref(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reals_of_a_line_have_three_decimals_at_most),
		cmocka_unit_test(sizes_with_every_unit_are_understood),
		cmocka_unit_test(what_is_not_a_size_is_refused_and_leaves_the_result_alone),
		cmocka_unit_test(sizes_are_written_with_the_unit_that_reads_best),
		cmocka_unit_test(what_is_written_can_be_read_again_without_its_space),
		cmocka_unit_test(what_a_scope_owns_is_closed_when_it_ends),
		cmocka_unit_test(allocation_of_nothing_is_still_a_pointer),
		cmocka_unit_test(the_clock_never_goes_back),
		cmocka_unit_test(an_error_says_what_and_why_and_gains_context_on_the_way_up),
		cmocka_unit_test(an_error_too_long_is_cut_and_never_overruns),
		cmocka_unit_test(what_is_no_utf8_or_no_text_in_an_error_becomes_question_marks),
		cmocka_unit_test(utf8_is_told_from_what_is_not),
		cmocka_unit_test(a_text_is_compared_by_its_start_its_digits_and_as_a_whole),
		cmocka_unit_test(a_line_has_no_newline_once_it_is_printable),
		cmocka_unit_test(what_is_foreign_is_shown_in_one_line_and_nothing_at_all_as_a_question_mark),
		cmocka_unit_test(what_no_reader_sees_is_shown_as_question_marks),
		cmocka_unit_test(a_log_line_is_one_line_whatever_is_in_it),
		cmocka_unit_test(json_for_a_terminal_has_no_control_characters_and_says_the_same),
		cmocka_unit_test(digits_of_either_case_are_bytes_and_nothing_else_is),
		cmocka_unit_test(a_word_for_sh_that_is_shown_is_printable_and_read_back_byte_for_byte),
		cmocka_unit_test(rates_are_read_in_bytes_and_in_bits),
		cmocka_unit_test(the_word_that_was_meant_is_found),
		cmocka_unit_test(a_text_takes_as_many_columns_as_a_terminal_may_need),
		cmocka_unit_test(a_word_leads_to_its_row_and_nothing_to_none),
		cmocka_unit_test(an_element_of_a_list_is_found_by_a_text_in_it),
		cmocka_unit_test(an_object_has_the_members_that_there_are),
		cmocka_unit_test(an_object_whose_text_is_none_is_not_made_in_part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
