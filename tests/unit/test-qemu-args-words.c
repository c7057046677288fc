/* test-qemu-args-words.c: words of a line that its new QEMU does not know are written in others that say the same. */
#include "qemu-args-words.h"
#include "util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* Beginnings of what QEMU 7.2, 10.0 and 11.1 say. */
#define OTHERS                                                                                                                             \
	"{'name': '5', 'meta-type': 'builtin', 'json-type': 'string'}, {'name': '9', 'meta-type': 'enum', 'values': ['reconnect', 'iothread']}"
#define SECONDS                                                                                                                            \
	"{'name': '7', 'meta-type': 'object', 'members': [{'name': 'addr', 'type': '1'}, {'name': 'reconnect', 'default': null, 'type': 'int'}]}"
#define MILLISECONDS "{'name': '7', 'meta-type': 'object', 'members': [{'name': 'reconnect-ms', 'default': null, 'type': 'int'}]}"
#define OBJECTS	     "{'name': '8', 'meta-type': 'enum', 'members': [{'name': 'monitor-hmp'}], 'values': ['monitor-hmp', 'monitor-qmp']}"
static const char old[] = "[" OTHERS ", " SECONDS "]", both[] = "[" OTHERS ", " SECONDS ", " MILLISECONDS "]",
		  new[] = "[" OTHERS ", " MILLISECONDS ", " OBJECTS "]";

static struct args_words known_to(const char *schema)
{
	AUTO_FREE char *text = xstrdup(schema);
	struct args_words known;
	json_t *all;
	char *p;

	for (p = text; *p; p++)
		if (*p == '\'')
			*p = '"';
	all = json_loads(text, 0, NULL);
	assert_non_null(all);
	args_words_known(&known, all);
	json_decref(all);
	return known;
}

static void a_qemu_knows_what_its_schema_has(void **state)
{
	struct args_words known = known_to(old);

	(void)state;
	assert_true(known.reconnect && !known.reconnect_ms && !known.monitor_objects);
	known = known_to(both);
	assert_true(known.reconnect && known.reconnect_ms && !known.monitor_objects);
	known = known_to(new);
	assert_true(!known.reconnect && known.reconnect_ms && known.monitor_objects);
}

static void a_qemu_knows_what_its_help_has(void **state)
{
	static const char objects[] = "List of user creatable objects:\n  iothread\n  monitor-hmp\n  monitor-qmp\n  secret\n",
			  seconds[] = "chardev options:\n  port=<str>\n  reconnect=<num>\n  rows=<num>\n",
			  milliseconds[] = "chardev options:\n  port=<str>\n  reconnect-ms=<num>\n  rows=<num>\n";
	struct args_words known;

	(void)state;
	args_words_in_help(&known, "  iothread\n", seconds);
	assert_true(known.reconnect && !known.reconnect_ms && !known.monitor_objects);
	args_words_in_help(&known, objects, milliseconds);
	assert_true(!known.reconnect && known.reconnect_ms && known.monitor_objects);
	/* a program that does not answer keeps the words that it is given */
	args_words_in_help(&known, "", "");
	assert_true(!known.reconnect && !known.reconnect_ms && !known.monitor_objects);
}

/* Returns how many notes there are of it. */
static size_t becomes(const char *schema, const char *option, const char *value, const char *option_there, const char *there)
{
	const struct args_words known = known_to(schema);
	struct args_result r = {.argc = 0};
	size_t notes;

	r.argv = xcalloc(4, sizeof(*r.argv));
	r.argv[r.argc++] = xstrdup("qemu");
	r.argv[r.argc++] = xstrdup(option);
	r.argv[r.argc++] = xstrdup(value);
	assert_true(args_has_changed_words(r.argv, r.argc));
	args_write_known_words(&r, &known);
	assert_int_equal(r.argc, 3);
	assert_string_equal(r.argv[1], option_there);
	assert_string_equal(r.argv[2], there);
	notes = r.note_count;
	args_result_fini(&r);
	return notes;
}

static void monitors_that_are_objects_are_mon_where_there_are_none(void **state)
{
	static const char as_json[] = "{\"qom-type\":\"monitor-qmp\",\"id\":\"m\",\"chardev\":\"c,1\",\"pretty\":true}";

	(void)state;
	assert_int_equal(becomes(both, "-object", "monitor-qmp,id=m,chardev=c", "-mon", "chardev=c,mode=control,id=m"), 1);
	assert_int_equal(becomes(old, "--object", "qom-type=monitor-hmp,chardev=c,readline=off,id=m", "-mon",
				 "chardev=c,mode=readline,id=m"),
			 1);
	assert_int_equal(becomes(old, "-object", as_json, "-mon", "chardev=c,,1,mode=control,id=m,pretty=on"), 1);
	assert_int_equal(becomes(new, "-object", as_json, "-object", as_json), 0);
}

static void how_long_a_socket_waits_is_said_in_the_unit_that_is_known(void **state)
{
	(void)state;
	assert_int_equal(becomes(new, "-chardev", "socket,id=c,path=/p,reconnect=5", "-chardev", "socket,id=c,path=/p,reconnect-ms=5000"),
			 1);
	assert_int_equal(becomes(old, "-chardev", "socket,id=c,reconnect-ms=1500,path=/p", "-chardev", "socket,id=c,path=/p,reconnect=2"),
			 1);
	assert_int_equal(becomes(old, "-netdev", "stream,id=n,reconnect-ms=0", "-netdev", "stream,id=n,reconnect=0"), 1);
	assert_int_equal(becomes(new, "-serial", "tcp:192.0.2.1:99,reconnect=1", "-serial", "tcp:192.0.2.1:99,reconnect-ms=1000"), 1);
	assert_int_equal(becomes(new, "-netdev", "{\"type\":\"stream\",\"id\":\"n\",\"reconnect\":2}", "-netdev",
				 "{\"type\":\"stream\",\"id\":\"n\",\"reconnect-ms\":2000}"),
			 1);
	assert_int_equal(becomes(both, "-chardev", "socket,id=c,reconnect=5", "-chardev", "socket,id=c,reconnect=5"), 0);
	assert_int_equal(becomes(both, "-chardev", "socket,id=c,reconnect-ms=5", "-chardev", "socket,id=c,reconnect-ms=5"), 0);
	/* QEMU's to refuse */
	assert_int_equal(becomes(new, "-chardev", "socket,id=c,reconnect=x", "-chardev", "socket,id=c,reconnect=x"), 0);
}

static void of_other_lines_nothing_is_asked(void **state)
{
	static const char *const line[] = {"qemu",
					   "-append",
					   "x,reconnect=5",
					   "-chardev",
					   "socket,id=reconnect,path=/reconnect",
					   "-object",
					   "secret,id=s,data=monitor-qmp",
					   "-mon",
					   "c"};

	(void)state;
	assert_false(args_has_changed_words((char *const *)(uintptr_t)line, ARRAY_LEN(line)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_qemu_knows_what_its_schema_has),
		cmocka_unit_test(a_qemu_knows_what_its_help_has),
		cmocka_unit_test(monitors_that_are_objects_are_mon_where_there_are_none),
		cmocka_unit_test(how_long_a_socket_waits_is_said_in_the_unit_that_is_known),
		cmocka_unit_test(of_other_lines_nothing_is_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
