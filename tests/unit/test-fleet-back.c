/* test-fleet-back.c: the word and the options by which a guest that has gone comes back. */
#include "exit-code.h"
#include "fleet-back.h"
#include "util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct fleet_task task;
static struct fleet_way way = {.dest = "root@host-b"};

static int setup(void **state)
{
	(void)state;
	task = (struct fleet_task){.guest = xstrdup("vm1"), .ways = &way, .way_count = 1, .state = FLEET_ENDED, .tries = 1};
	task.plan = json_pack("{s:s,s:[]}", "guest", "vm1", "disks");
	task.result = json_pack("{s:s,s:i}", "outcome", "migrated", "destination_pid", 4711);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(task.guest);
	json_decref(task.plan);
	json_decref(task.result);
	return 0;
}

static void call(const char *word)
{
	free(task.guest);
	task.guest = xstrdup(word);
}

static void disk(const char *from, const char *to, const char *transfer)
{
	json_array_append_new(json_object_get(task.plan, "disks"),
			      json_pack("{s:s,s:s,s:s}", "from", from, "to", to, "transfer", transfer));
}

static void assert_guest(const char *expected)
{
	AUTO_FREE char *guest = fleet_back_guest(&task);

	if (expected)
		assert_string_equal(guest, expected);
	else
		assert_null(guest);
}

static void assert_options(const char *expected)
{
	json_t *words = fleet_back_options(&task), *word;
	char text[512] = "";
	size_t i;

	json_array_foreach(words, i, word) {
		strcat(text, i ? " " : "");
		strcat(text, json_string_value(word));
	}
	json_decref(words);
	assert_string_equal(text, expected);
}

static void test_by_its_name(void **state)
{
	(void)state;
	assert_guest("vm1");
	call("a b");
	assert_guest("a b");
	call("/run/vm1.qmp");
	assert_guest("vm1");
}

static void test_by_the_pid_that_it_has_there(void **state)
{
	(void)state;
	call("123");
	assert_guest("4711");
	task.is_off = true; /* 123 is the guest's name, not a pid */
	assert_guest("123");
	task.is_off = false;
	json_object_del(task.result, "destination_pid");
	assert_guest(NULL);
}

static void test_who_has_not_gone_does_not_come_back(void **state)
{
	(void)state;
	task.code = EXIT_PEER_LOST;
	assert_guest(NULL);
	task.code = 0;
	task.state = FLEET_WAITS;
	assert_guest(NULL);
	task.state = FLEET_ENDED;
	json_object_set_new(task.result, "outcome", json_string("disks-copied"));
	assert_guest(NULL);
	json_object_set_new(task.result, "outcome", json_string("migrated"));
	call("/srv/vm1.sh");
	task.is_off = true;
	assert_guest(NULL); /* there its script is called otherwise */
}

static void test_by_the_script_that_it_has_there(void **state)
{
	(void)state;
	json_object_set_new(task.result, "start_script", json_string("/vm/vm1.sh"));
	assert_guest("vm1"); /* the guest runs */
	json_object_set_new(task.plan, "how", json_string("cold"));
	json_object_set_new(task.plan, "pid", json_integer(17));
	assert_guest("vm1");
	json_object_set_new(task.plan, "pid", json_integer(0));
	call("vm1.sh");
	assert_guest("/vm/vm1.sh");
	task.is_off = true;
	call("/srv/vm1.sh");
	assert_guest("/vm/vm1.sh");
	task.only_off = true; /* libvirt has it there */
	call("vm1");
	assert_guest("vm1");
}

static void test_by_the_kind_that_it_went_by(void **state)
{
	(void)state;
	json_object_set_new(task.plan, "how", json_string("live"));
	assert_options("--reuse auto");
	json_object_set_new(task.plan, "how", json_string("warm"));
	assert_options("--reuse auto --how warm");
	task.is_off = true;
	assert_options("--reuse auto --how cold");
}

static void test_to_the_same_paths(void **state)
{
	(void)state;
	assert_options("--reuse auto");
	disk("/srv/vm/a.raw", "/srv/vm/a.raw", "copy");
	disk("/nfs/b.raw", "/nfs/b.raw", "shared");
	assert_options("--reuse auto");
	task.is_off = true;
	assert_options("--reuse auto --how cold");
}

static void test_to_the_directory_where_they_lay(void **state)
{
	(void)state;
	disk("/var/vm/a.raw", "/srv/a.raw", "copy");
	disk("/nfs/b.raw", "/nfs/b.raw", "shared");
	disk("/var/vm/c.raw", "/srv/c.raw", "copy");
	assert_options("--reuse auto --disk-dir /var/vm");
}

static void test_to_a_directory_of_its_name(void **state)
{
	(void)state;
	disk("/var/vm1/a.raw", "/srv/a.raw", "copy");
	assert_options("--reuse auto --disk-dir /var/%n");
	json_object_set_new(task.plan, "guest", json_string("m1"));
	assert_options("--reuse auto --disk-dir /var/vm1");
}

static void test_at_the_root(void **state)
{
	(void)state;
	disk("/a.raw", "/srv/a.raw", "copy");
	assert_options("--reuse auto --disk-dir /");
}

static void test_each_to_its_own(void **state)
{
	(void)state;
	disk("/var/a.raw", "/srv/a.raw", "copy");
	disk("/vol/b.raw", "/srv/b.raw", "copy");
	disk("/srv/c.raw", "/srv/c.raw", "copy");
	assert_options("--reuse auto --disk /srv/a.raw=/var/a.raw --disk /srv/b.raw=/vol/b.raw");
}

static void test_to_its_own_name(void **state)
{
	(void)state;
	disk("/var/a.raw", "/srv/x.raw", "copy");
	assert_options("--reuse auto --disk /srv/x.raw=/var/a.raw");
}

static void test_words_that_mean_something_else(void **state)
{
	(void)state;
	disk("/100%n/a.raw", "/srv/a.raw", "copy");
	assert_options("--reuse auto --disk /srv/a.raw=/100%n/a.raw");
	disk("/100%n/a=b.raw", "/srv/a=b.raw", "copy");
	assert_options("--reuse auto --disk /srv/a.raw=/100%n/a.raw");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_by_its_name, setup, teardown),
		cmocka_unit_test_setup_teardown(test_by_the_pid_that_it_has_there, setup, teardown),
		cmocka_unit_test_setup_teardown(test_who_has_not_gone_does_not_come_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_by_the_script_that_it_has_there, setup, teardown),
		cmocka_unit_test_setup_teardown(test_by_the_kind_that_it_went_by, setup, teardown),
		cmocka_unit_test_setup_teardown(test_to_the_same_paths, setup, teardown),
		cmocka_unit_test_setup_teardown(test_to_the_directory_where_they_lay, setup, teardown),
		cmocka_unit_test_setup_teardown(test_to_a_directory_of_its_name, setup, teardown),
		cmocka_unit_test_setup_teardown(test_at_the_root, setup, teardown),
		cmocka_unit_test_setup_teardown(test_each_to_its_own, setup, teardown),
		cmocka_unit_test_setup_teardown(test_to_its_own_name, setup, teardown),
		cmocka_unit_test_setup_teardown(test_words_that_mean_something_else, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
