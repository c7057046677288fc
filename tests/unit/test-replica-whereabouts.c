/* test-replica-whereabouts.c: what the host of a replica remembers of where its guest is. */
#include "journal.h"
#include "replica-whereabouts.h"
#include "util.h"
#include "whereabouts.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64];
static struct err e;
static struct point point;
static struct points store;

static char *path_of(const char *name)
{
	return xasprintf("%s/%s", dir, name);
}

static int setup(void **state)
{
	AUTO_FREE char *link = NULL, *real = NULL, *run = NULL;

	(void)state;
	strcpy(dir, "/tmp/test-whereabouts-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	link = path_of("link");
	real = path_of("vm1.replica");
	run = path_of("vm1.replica/run");
	if (mkdir(real, 0700) || mkdir(run, 0700) || symlink("vm1.replica", link))
		return -1;
	point = (struct point){.slot = (char *)"000001",
			       .number = 1,
			       .at_ms = ((int64_t)time(NULL) - 60) * 1000,
			       .json = json_pack("{s:[{s:s},{s:s}]}", "disks", "file", "disk0.qcow2", "file", "disk1.qcow2")};
	store = (struct points){.dir = path_of("link"), .list = &point, .count = 1};
	return 0;
}

static int teardown(void **state)
{
	AUTO_FREE char *command = xasprintf("rm -r %s", dir);

	(void)state;
	json_decref(point.json);
	free(store.dir);
	return system(command);
}

static void remember(const char *way, const char *disk)
{
	AUTO_FREE char *path = whereabouts_path(dir, "vm1"), *real = path_of(disk);
	json_t *entry = json_pack("{s:s,s:s,s:s,s:[s]}", "guest", "vm1", "attempt", "00", way, "host-c", "disks", real);

	assert_int_equal(whereabouts_add(path, entry, &e), 0);
	json_decref(entry);
}

static void put(const char *name)
{
	AUTO_FREE char *path = path_of(name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fclose(f);
}

static void guest_that_went_on_is_not_taken_back(void **state)
{
	(void)state;
	assert_int_equal(replica_check_stayed(dir, "vm1", &store, &e), 0);
	remember("came_from", "vm1.replica/run/disk0.qcow2");
	assert_int_equal(replica_check_stayed(dir, "vm1", &store, &e), 0);
	remember("gone_to", "vm1.replica/run/disk1.qcow2"); /* by its real name */
	assert_int_equal(replica_check_stayed(dir, "vm1", &store, &e), -EREMOTE);
	assert_non_null(strstr(e.msg, "went on from here to host-c"));
	remember("gone_to", "another.qcow2");
	assert_int_equal(replica_check_stayed(dir, "vm1", &store, &e), -EREMOTE);
	remember("came_from", "vm1.replica/run/disk1.qcow2"); /* a later run is of the same names */
	assert_int_equal(replica_check_stayed(dir, "vm1", &store, &e), 0);
}

static void begin(struct journal **j, const char *how, const char *guest, bool source)
{
	static const uint8_t id[ATTEMPT_ID_LEN] = {7};

	json_t *what = json_pack("{s:s,s:s}", "how", how, "guest", guest);

	assert_int_equal(journal_create(j, dir, id, source, what, &e), 0);
	json_decref(what);
}

static void command_that_is_not_over_may_take_it_away(void **state)
{
	static const struct {
		const char *how, *guest;
		bool source;
		int code;
	} rows[] = {
		{"live", "vm1", true, -EBUSY}, {"storage", "vm1", true, -EBUSY}, {"replica", "vm1", true, 0},
		{"live", "vm2", true, 0},      {"live", "vm1", false, 0},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct journal *j;

		begin(&j, rows[i].how, rows[i].guest, rows[i].source);
		assert_int_equal(replica_check_stayed(dir, "vm1", &store, &e), rows[i].code);
		assert_int_equal(unlink(journal_path(j)), 0);
		journal_close(j);
	}
}

static void damaged_notes_are_no_answer(void **state)
{
	AUTO_FREE char *path = path_of("0700000000000000000000000000000000-src.journal"), *note = whereabouts_path(dir, "vm1");

	(void)state;
	put("07000000000000000000000000000000-src.journal");
	assert_int_equal(replica_check_stayed(dir, "vm1", &store, &e), -EBUSY);
	assert_non_null(strstr(e.msg, "cannot tell"));
	free(path);
	path = path_of("07000000000000000000000000000000-src.journal");
	assert_int_equal(unlink(path), 0);
	remember("gone_to", "another.qcow2");
	assert_int_equal(truncate(note, 5), 0);
	assert_true(replica_check_stayed(dir, "vm1", &store, &e) < 0);
	assert_true(replica_check_came(dir, "vm1", &store, &e) < 0);
}

static void came_by(const char *attempt)
{
	AUTO_FREE char *path = whereabouts_path(dir, "vm1");
	json_t *entry = json_pack("{s:s,s:s,s:s,s:[]}", "guest", "vm1", "attempt", attempt, "came_from", "host-c", "disks");

	assert_int_equal(whereabouts_add(path, entry, &e), 0);
	json_decref(entry);
}

/* Clocks of two hosts are not compared: a point knows who had come before it began. */
static void guest_that_came_by_another_way_is_here(void **state)
{
	(void)state;
	json_object_set_new(point.json, "known", json_array());
	store.replica = json_pack("{s:s,s:[{s:s,s:i}]}", "pair", "aa", "past", "pair", "99", "term", 3);
	assert_int_equal(replica_check_came(dir, "vm1", &store, &e), 0);
	came_by("aa"); /* a run from the replica itself, which was thrown away */
	assert_int_equal(replica_check_came(dir, "vm1", &store, &e), 0);
	came_by("99");
	assert_int_equal(replica_check_came(dir, "vm1", &store, &e), 0);
	came_by("07");
	assert_int_equal(replica_check_came(dir, "vm1", &store, &e), -EEXIST);
	assert_non_null(strstr(e.msg, "from host-c"));
	point.at_ms += 120000;
	assert_int_equal(replica_check_came(dir, "vm1", &store, &e), -EEXIST);
	json_object_set_new(point.json, "known", json_pack("[s,s]", "06", "07")); /* points were made since */
	assert_int_equal(replica_check_came(dir, "vm1", &store, &e), 0);
	came_by("08");
	assert_int_equal(replica_check_came(dir, "vm1", &store, &e), -EEXIST);
	json_object_del(point.json, "known"); /* a point of an earlier vmferry has but its time */
	assert_int_equal(replica_check_came(dir, "vm1", &store, &e), 0);
	point.at_ms -= 120000;
	assert_int_equal(replica_check_came(dir, "vm1", &store, &e), -EEXIST);
	remember("gone_to", "vda.qcow2");
	assert_int_equal(replica_check_came(dir, "vm1", &store, &e), 0);
	json_decref(store.replica);
}

/* A move here whose guest runs, or may, is over for nobody who wants to start a point. */
static void guest_that_is_on_its_way_is_not_absent(void **state)
{
	static const struct {
		const char *how, *guest;
		bool source;
		int code;
	} rows[] = {
		{"live", "vm1", false, -EBUSY}, {"cold", "vm1", false, -EBUSY},	  {"replica", "vm1", false, 0},
		{"live", "vm2", false, 0},	{"storage", "vm1", true, -EBUSY},
	};
	size_t i;

	(void)state;
	store.replica = json_object();
	assert_int_equal(replica_check_absent(dir, "vm1", &store, &e), 0);
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct journal *j;

		begin(&j, rows[i].how, rows[i].guest, rows[i].source);
		assert_int_equal(replica_check_absent(dir, "vm1", &store, &e), rows[i].code);
		assert_int_equal(unlink(journal_path(j)), 0);
		journal_close(j);
	}
	put("07000000000000000000000000000000-dst.journal");
	assert_int_not_equal(replica_check_absent(dir, "vm1", &store, &e), 0);
	json_decref(store.replica);
}

static void put_disk(const char *name)
{
	AUTO_FREE char *path = path_of(name), *command = xasprintf("qemu-img create -q -f qcow2 %s 1M", path);

	assert_int_equal(system(command), 0);
}

static void write_script(const char *path, const char *first, const char *second)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fprintf(f, "#!/bin/sh\nexec qemu-system-x86_64 -name vm1 -drive file=%s/%s,format=qcow2 -drive file=%s/%s,format=qcow2\n", dir,
		first, dir, second);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0700), 0);
}

static void run_is_thrown_away_if_its_script_has_its_overlays(void **state)
{
	AUTO_FREE char *script = path_of("vm1.sh"), *first = path_of("vm1.replica/run/disk0.qcow2"),
		       *second = path_of("vm1.replica/run/disk1.qcow2");
	char *const overlays[] = {first, second};

	(void)state;
	put_disk("vm1.replica/run/disk0.qcow2");
	put_disk("vm1.replica/run/disk1.qcow2");
	put_disk("ssd.qcow2");
	assert_int_equal(replica_check_script(script, overlays, 2, &e), -EREMOTE); /* a move has set it aside */
	write_script(script, "vm1.replica/run/disk0.qcow2", "link/run/disk1.qcow2");
	if (replica_check_script(script, overlays, 2, &e))
		fail_msg("%s", e.msg);
	write_script(script, "vm1.replica/run/disk0.qcow2", "ssd.qcow2");
	assert_int_equal(replica_check_script(script, overlays, 2, &e), -EREMOTE);
	assert_non_null(strstr(e.msg, second));
	write_script(script, "vm1.replica/run/disk0.qcow2", "gone.qcow2");
	assert_int_not_equal(replica_check_script(script, overlays, 2, &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(guest_that_went_on_is_not_taken_back, setup, teardown),
		cmocka_unit_test_setup_teardown(command_that_is_not_over_may_take_it_away, setup, teardown),
		cmocka_unit_test_setup_teardown(damaged_notes_are_no_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(guest_that_came_by_another_way_is_here, setup, teardown),
		cmocka_unit_test_setup_teardown(guest_that_is_on_its_way_is_not_absent, setup, teardown),
		cmocka_unit_test_setup_teardown(run_is_thrown_away_if_its_script_has_its_overlays, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
