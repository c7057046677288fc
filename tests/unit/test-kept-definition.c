/* kept-definition.c: what is taken for a guest's definition, and that it is read back from a file as it was written. */
#include "kept-definition.h"
#include "util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define UUID "aaaaaaaa-bbbb-4000-8000-0000000000aa"

static json_t *sound(void)
{
	return json_pack("{s:s,s:s,s:s,s:b,s:[s,s]}", "name", "web", "uuid", UUID, "xml", "<domain/>", "autostart", 1, "snapshots", "<a/>",
			 "<b/>");
}

static void takes_what_is_sound_only(void **state)
{
	static const char *const uuids[] = {"",
					    "web",
					    "aaaaaaaa-bbbb-4000-8000-0000000000a",
					    "aaaaaaaa-bbbb-4000-8000-0000000000aaa",
					    "aaaaaaaa+bbbb-4000-8000-0000000000aa",
					    "gaaaaaaa-bbbb-4000-8000-0000000000aa",
					    "aaaaaaaa-bbbb-4000-8000-0000000000a/"};
	static const char *const needed[] = {"name", "uuid", "xml"};
	struct err e;
	size_t i;
	json_t *k = sound();

	(void)state;
	assert_int_equal(kept_definition_check(k, &e), 0);
	for (i = 0; i < ARRAY_LEN(uuids); i++) {
		json_object_set_new(k, "uuid", json_string(uuids[i]));
		assert_int_equal(kept_definition_check(k, &e), -EPROTO);
	}
	json_decref(k);
	for (i = 0; i < ARRAY_LEN(needed); i++) {
		k = sound();
		json_object_del(k, needed[i]);
		assert_int_equal(kept_definition_check(k, &e), -EPROTO);
		json_decref(k);
	}
	k = sound();
	json_array_append_new(json_object_get(k, "snapshots"), json_integer(3));
	assert_int_equal(kept_definition_check(k, &e), -EPROTO);
	json_object_set_new(k, "snapshots", json_string("<a/>"));
	assert_int_equal(kept_definition_check(k, &e), -EPROTO);
	json_decref(k);
	assert_int_equal(kept_definition_check(NULL, &e), -EPROTO);
}

static void takes_what_one_message_holds(void **state)
{
	AUTO_FREE char *xml = xmalloc(KEPT_DEFINITION_MAX + 1);
	json_t *k = sound();
	struct err e;

	(void)state;
	memset(xml, 'x', KEPT_DEFINITION_MAX);
	xml[KEPT_DEFINITION_MAX] = '\0';
	json_object_set_new(k, "xml", json_string(xml));
	assert_int_equal(kept_definition_check(k, &e), -E2BIG);
	xml[KEPT_DEFINITION_MAX - 1000] = '\0';
	json_object_set_new(k, "xml", json_string(xml));
	assert_int_equal(kept_definition_check(k, &e), 0);
	json_decref(k);
}

static void is_read_as_it_was_written(void **state)
{
	char dir[] = "/tmp/test-kept-XXXXXX";
	AUTO_FREE char *path = NULL;
	json_t *k = sound(), *back;
	struct stat st;
	struct err e;

	(void)state;
	assert_true(mkdtemp(dir) != NULL);
	path = xasprintf("%s/definition", dir);
	assert_int_equal(kept_definition_read(path, &back, &e), -ENOENT);
	assert_int_equal(kept_definition_write(path, k, &e), 0);
	assert_true(!stat(path, &st) && (st.st_mode & 0777) == 0600);
	assert_int_equal(kept_definition_read(path, &back, &e), 0);
	assert_true(json_equal(k, back));
	json_decref(back);
	assert_int_equal(kept_definition_write(path, k, &e), -EEXIST);
	assert_true(!truncate(path, 20));
	assert_int_equal(kept_definition_read(path, &back, &e), -EBADMSG);
	assert_true(!back);
	unlink(path);
	rmdir(dir);
	json_decref(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_what_is_sound_only),
		cmocka_unit_test(takes_what_one_message_holds),
		cmocka_unit_test(is_read_as_it_was_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
