/* test-unit-words.c: unit files of systemd, read as systemd.syntax(7), systemd.service(5) and systemd.exec(5) say. */
#include "unit-words.h"
#include "unit-text.h"
#include "util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct unit_names names = {.unit = "vm-lab@web\\x2d1.service",
					.home = "/root",
					.runtime_dir = "/run",
					.user = "root",
					.host = "h"};
static struct err e;

static void expect_words(const struct unit_word_list *w, const char *want)
{
	AUTO_FREE char *got = xstrdup("");
	size_t i;

	for (i = 0; i < w->n; i++) {
		char *longer = xasprintf("%s[%s]", got, w->v[i]);

		free(got);
		got = longer;
	}
	assert_string_equal(got, want);
}

static void splits(const char *value, const char *want)
{
	struct unit_word_list w;

	assert_int_equal(unit_split(&w, value, &e), 0);
	expect_words(&w, want);
	unit_words_fini(&w);
}

static void splits_not(const char *value, const char *why)
{
	struct unit_word_list w;

	assert_true(unit_split(&w, value, &e) < 0);
	if (!strstr(e.msg, why))
		fail_msg("no '%s' in: %s", why, e.msg);
	unit_words_fini(&w);
}

static void words_lose_their_quotes_and_escapes(void **state)
{
	(void)state;
	splits("  a \t b  ", "[a][b]");
	splits("-name \"web 1\" -append 'a \"b\"' \"\"", "[-name][web 1][-append][a \"b\"][]");
	splits("-drive file=\"/srv/a b\",if=virtio", "[-drive][file=/srv/a b,if=virtio]");
	splits("a\\sb \\x41\\101 \\\\ \"\\\"\"", "[a b][AA][\\][\"]");
	splits("a \\; b a;b", "[a][;][b][a;b]");
	splits_not("a ; b", "several commands");
	splits_not("a \"b", "quote that does not end");
	splits_not("a \\q", "escape");
	splits_not("a \\x0g", "escape");
	splits_not("a \\000", "escape");
	splits_not("a \\xc3\\xa4", "escape");
}

static void what_vmferry_writes_into_units_is_read_as_it_was(void **state)
{
	static const char *const words[] = {"a b", "\"'\\", "100%i $X ${Y}", "", "\t\n;", "ä", ";"};
	const struct kv_list env = {.n = 0};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(words); i++) {
		AUTO_FREE char *quoted = unit_quote(words[i]), *value = xasprintf("q %s", quoted);
		AUTO_FREE char *plain = NULL;
		struct unit_word_list w, out;

		assert_int_equal(unit_split(&w, value, &e), 0);
		plain = unit_specifiers(w.v[1], &names, &e);
		free(w.v[1]);
		w.v[1] = xstrdup(plain);
		assert_int_equal(unit_expand(&out, &w, &env, &e), 0);
		assert_int_equal(out.n, 2);
		assert_string_equal(out.v[1], words[i]);
		unit_words_fini(&w);
		unit_words_fini(&out);
	}
}

static void a_file_is_read_by_lines(void **state)
{
	struct kv_list l = {.n = 0};

	(void)state;
	assert_int_equal(
		unit_parse(
			&l,
			"[Unit]\nDescription=x\nExecStart=/no\n# c\n[Service]\n; c\nExecStart = /usr/bin/qemu \\\n  # between\n\t-m 64 \\\n"
			"-name a\\\\\nType=simple\n\n[Install]\nWantedBy=y\n",
			&e),
		0);
	assert_int_equal(l.n, 2);
	assert_string_equal(l.v[0].key, "ExecStart");
	assert_string_equal(l.v[0].value, "/usr/bin/qemu  -m 64  -name a\\\\");
	assert_string_equal(kv_get(&l, "Type", NULL), "simple");
	assert_true(unit_parse(&l, "[Service]\nnonsense\n", &e) < 0);
	kv_fini(&l);
}

static void becomes(const char *text, const char *want)
{
	AUTO_FREE char *got = unit_specifiers(text, &names, &e);

	assert_non_null(got);
	assert_string_equal(got, want);
}

static void specifiers_stand_for_what_the_unit_is(void **state)
{
	const struct unit_names plain = {.unit = "web.service", .is_user = true};
	AUTO_FREE char *p = NULL, *i = NULL;

	(void)state;
	becomes("100%%", "100%");
	becomes("%n|%N|%p|%i", "vm-lab@web\\x2d1.service|vm-lab@web\\x2d1|vm-lab|web\\x2d1");
	becomes("%I %P %j", "web-1 vm/lab lab");
	becomes("%h/%t/%u/%U/%H %S %C %L %E", "/root//run/root/0/h /var/lib /var/cache /var/log /etc");
	assert_null(unit_specifiers("a%b", &names, &e));
	assert_null(unit_specifiers("a%", &names, &e));
	assert_null(unit_specifiers("%h", &plain, &e));
	assert_null(unit_specifiers("%S", &plain, &e)); /* somewhere in the user's home */
	p = unit_specifiers("%p", &plain, &e);
	i = unit_specifiers("%i", &plain, &e);
	assert_string_equal(p, "web");
	assert_string_equal(i, "");
}

static void expands(const char *value, const char *want)
{
	struct kv_list env = {.n = 0};
	struct unit_word_list in, out;

	assert_int_equal(unit_environment(&env, "A=1 \"ARGS=-m 64 -name 'x y'\" NONE= NAME=%i", &names, &e), 0);
	assert_int_equal(unit_environment_text(&env, "# c\nA=2\n\n; c\nB = \"b c\" \n C='d\"e'\n", &e), -EINVAL); /* "B " is no name */
	assert_int_equal(unit_environment_text(&env, "# c\nA=2\n\n; c\nB= \"b c\" \n C='d\"e'\nD=f g  \n", &e), 0);
	assert_int_equal(unit_split(&in, value, &e), 0);
	if (want)
		assert_int_equal(unit_expand(&out, &in, &env, &e), 0);
	else
		assert_true(unit_expand(&out, &in, &env, &e) < 0);
	if (want)
		expect_words(&out, want);
	unit_words_fini(&in);
	unit_words_fini(&out);
	kv_fini(&env);
}

static void variables_are_those_of_the_unit(void **state)
{
	(void)state;
	expands("q $ARGS -x ${ARGS}", "[q][-m][64][-name][x y][-x][-m 64 -name 'x y']");
	expands("q a${A}b${NAME} ${B} ${C} ${D}", "[q][a2bweb\\x2d1][b c][d\"e][f g]");
	expands("q $NONE '${NONE}' $$A $${A}", "[q][][$A][${A}]");
	expands("q $UNKNOWN", NULL);
	expands("q ${UNKNOWN}", NULL);
	expands("q file=$A", NULL); /* systemd leaves it as it is, and nobody means that */
	expands("q ${A:-3}", NULL);
	expands("q $A,b", NULL);
	expands("$A", NULL);
}

static void an_environment_that_is_not_plain_is_refused(void **state)
{
	static const char *const texts[] = {"nonsense\n", "A=\"b\" c\n", "A=b\\\nc\n", "A=b\"c\"\n", "export A=1\n", "1A=b\n"};
	struct kv_list env = {.n = 0};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(texts); i++)
		assert_true(unit_environment_text(&env, texts[i], &e) < 0);
	assert_true(unit_environment(&env, "nonsense", &names, &e) < 0);
	kv_fini(&env);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_lose_their_quotes_and_escapes),
		cmocka_unit_test(a_file_is_read_by_lines),
		cmocka_unit_test(what_vmferry_writes_into_units_is_read_as_it_was),
		cmocka_unit_test(specifiers_stand_for_what_the_unit_is),
		cmocka_unit_test(variables_are_those_of_the_unit),
		cmocka_unit_test(an_environment_that_is_not_plain_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
