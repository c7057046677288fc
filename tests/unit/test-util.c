/*
 * test-util.c: sizes in words, scope cleanup, and the error object.
 */
#include "err.h"
#include "util.h"

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
		{"0", 0},	     {"1", 1},		  {"512B", 512},     {"4k", 4096},	      {"4K", 4096},
		{"4KiB", 4096},	     {"4kb", 4096},	  {"10M", 10 * MIB}, {"10MiB", 10 * MIB},     {"10mb", 10 * MIB},
		{"1.5GiB", GIB * 3 / 2}, {"2g", 2 * GIB}, {"1T", GIB * 1024}, {"1TiB", GIB * 1024},   {"0.5k", 512},
		{"800k", 800 * KIB}, {"18.25M", 19136512}, {"1e3", 1000},
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
	static const char *const bad[] = {"",	   "k",	   "M10",  "10x",  "10kk",   "10MiBs", "10 M", "-1",  "-5M", "nan",
					  "inf",   "1e30", "9e18k", "10iB", "10BB",  "1e400",  "10M ", "ten", ".",   "10Mi B"};
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
		{0, "0 B"},	     {1, "1 B"},	{1023, "1023 B"},	  {1024, "1.0 KiB"},  {1536, "1.5 KiB"},
		{100 * KIB, "100 KiB"}, {10 * MIB, "10.0 MiB"}, {GIB * 3 / 2, "1.5 GiB"}, {GIB * 1024, "1.0 TiB"},
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
		{"a\xff" "b", "a?b"},
		{"\xc3", "?"},		      /* cut */
		{"\xe2\x82", "??"},
		{"\xc0\xaf", "??"},	      /* a longer form of '/' */
		{"\xe0\x80\xaf", "???"},
		{"\xed\xa0\x80", "???"},	      /* half of a surrogate pair */
		{"\xf4\x90\x80\x80", "????"}, /* beyond the last character */
		{"\x80", "?"},
		{"a\033[2Jb\rc\177", "a?[2Jb?c?"}, /* what a terminal would obey */
		{"\xc2\x9b" "2J \xc2\xa0", "??2J \xc2\xa0"},
		{"one\n\ttwo", "one\n\ttwo"},
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

static void a_line_has_no_newline_once_it_is_printable(void **state)
{
	char s[] = "vm1\nvm2\t\033]0;title\a";

	(void)state;
	text_make_printable(s, false);
	assert_string_equal(s, "vm1?vm2??]0;title?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
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
		cmocka_unit_test(a_line_has_no_newline_once_it_is_printable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
