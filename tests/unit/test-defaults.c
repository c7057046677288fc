/* test-defaults.c: options that are written down in a file, and a directory named after a guest. */
#include "defaults.h"
#include "paths.h"
#include "util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static const struct command_option rows[] = {
	{.name = "disk-dir", .argument = "DIR"},
	{.name = "map-net", .argument = "NIC=WHAT"},
	{.name = "hold"},
	{.name = "json", .argument = "[=fine]"},
	{.name = NULL},
};
static const struct option_table tables[] = {{rows, 0}, {NULL, 0}};

static char *joined(const struct defaults *d)
{
	char *all = xstrdup(""), *longer;
	int i;

	for (i = 0; i < d->count; i++) {
		longer = xasprintf("%s%s%s", all, i ? " " : "", d->words[i]);
		free(all);
		all = longer;
	}
	return all;
}

static void assert_words(const char *text, const char *dest, const char *expected)
{
	struct defaults d = {.words = NULL};
	AUTO_FREE char *copy = xstrdup(text);
	AUTO_FREE char *got = NULL;
	struct err e;

	assert_int_equal(defaults_parse(&d, copy, "config", dest, tables, &e), 0);
	got = joined(&d);
	assert_string_equal(got, expected);
	assert_true(!d.count || !d.words[d.count]);
	defaults_fini(&d);
}

static void assert_refused(const char *text, const char *words)
{
	struct defaults d = {.words = NULL};
	AUTO_FREE char *copy = xstrdup(text);
	struct err e;

	assert_int_equal(defaults_parse(&d, copy, "config", "host-b", tables, &e), -EINVAL);
	assert_string_equal(e.msg, words);
	defaults_fini(&d);
}

static void a_destination_has_what_is_for_all_and_its_own(void **state)
{
	static const char text[] = "# for all\n\n  hold \r\ndisk-dir\t/srv/a b\n[root@host-b]\nmap-net n0=bridge:br1\nmap-net n1=user\n"
				   "[host-c]\ndisk-dir /c";

	(void)state;
	assert_words(text, "root@host-b", "--hold --disk-dir=/srv/a b --map-net=n0=bridge:br1 --map-net=n1=user");
	assert_words(text, "host-c", "--hold --disk-dir=/srv/a b --disk-dir=/c");
	assert_words(text, "host-d", "--hold --disk-dir=/srv/a b");
	assert_words(text, "", "--hold --disk-dir=/srv/a b");
	assert_words("json\n", "host-b", "--json");
	assert_words("json fine\n", "host-b", "--json=fine");
	assert_words("", "host-b", "");
}

static void what_is_wrong_is_said_with_its_line(void **state)
{
	(void)state;
	assert_refused("hold\n\ndisk-dri /a", "config, line 3: there is no option --disk-dri");
	assert_refused("disk-dir", "config, line 1: disk-dir needs a value");
	assert_refused("hold yes", "config, line 1: hold has no value");
	assert_refused("help", "config, line 1: there is no option --help");
	assert_refused("[host-b", "config, line 1: a section is [DESTINATION]");
	assert_refused("[host-c]\nno-such-thing", "config, line 2: there is no option --no-such-thing");
}

static int read_with_mode(mode_t mode, const char *text, struct err *e)
{
	char path[] = "/tmp/vmferry-test-defaults.XXXXXX";
	AUTO_CLOSE int fd = mkstemp(path);
	struct defaults d;
	int r;

	assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && !fchmod(fd, mode));
	setenv("VMFERRY_CONFIG", path, 1);
	r = defaults_read(&d, "", tables, e);
	unlink(path);
	if (!r)
		defaults_fini(&d);
	return r;
}

static void a_file_that_others_can_write_is_not_obeyed(void **state)
{
	AUTO_FREE char *long_text = NULL;
	struct defaults d;
	struct err e;

	(void)state;
	assert_int_equal(read_with_mode(0644, "hold\n", &e), 0);
	assert_int_equal(read_with_mode(0664, "hold\n", &e), -EPERM);
	assert_int_equal(read_with_mode(0646, "hold\n", &e), -EPERM);
	assert_int_equal(read_with_mode(0600, "hold\xff\n", &e), -EILSEQ);
	long_text = xcalloc(1, 64 * KIB + 2);
	memset(long_text, '#', 64 * KIB + 1);
	assert_int_equal(read_with_mode(0600, long_text, &e), -EFBIG);
	long_text[64 * KIB] = '\0';
	assert_int_equal(read_with_mode(0600, long_text, &e), 0);
	assert_int_equal(defaults_read(&d, "", tables, &e), 0); /* the file is gone */
	assert_int_equal(d.count, 0);
	setenv("VMFERRY_CONFIG", "", 1);
	assert_int_equal(defaults_read(&d, "", tables, &e), 0);
	assert_int_equal(d.count, 0);
}

static void a_directory_may_have_the_guest_s_name(void **state)
{
	static const struct {
		const char *path, *name, *made;
	} cases[] = {{"/srv/vm/%n", "web1", "/srv/vm/web1"}, {"/srv/%n/%n", "a b", "/srv/a b/a b"},
		     {"/srv/50%%", "x", "/srv/50%"},	     {"/srv/%x%", "x", "/srv/%x%"},
		     {"/srv/%n", "..", "/srv/-."},	     {"/srv/%n", "../../etc", "/srv/-.-..-etc"},
		     {"/srv/%n", "%n", "/srv/%n"},	     {"", "x", ""}};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_FREE char *made = path_with_name(cases[i].path, cases[i].name);

		assert_string_equal(made, cases[i].made);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_destination_has_what_is_for_all_and_its_own),
		cmocka_unit_test(what_is_wrong_is_said_with_its_line),
		cmocka_unit_test(a_file_that_others_can_write_is_not_obeyed),
		cmocka_unit_test(a_directory_may_have_the_guest_s_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
