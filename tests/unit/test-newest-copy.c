/* test-newest-copy.c: which host has the newest copy of a guest (newest-copy.h), by what is remembered (whereabouts.h) and by journals. */
#include "journal.h"
#include "json-text.h"
#include "newest-copy.h"
#include "util.h"
#include "whereabouts.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <sys/wait.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static char dir[] = "/tmp/vmferry-test-newest.XXXXXX";
static struct err e;
static char *old_disk, *new_disk;
static struct newest_answer answer;

static char *make_disk(const char *name)
{
	char *path = xasprintf("%s/%s", dir, name);

	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	return path;
}

static int setup(void **state)
{
	(void)state;
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	old_disk = make_disk("old");
	new_disk = make_disk("new");
	return 0;
}

static int teardown(void **state)
{
	AUTO_FREE char *cmd = xasprintf("rm -rf '%s'", dir);

	(void)state;
	free(old_disk);
	free(new_disk);
	newest_answer_fini(&answer);
	return system(cmd);
}

/* gone: with copied disks, or with shared ones; otherwise the guest came. */
static void remember(const char *guest, const char *gone_to, const char *disk, bool shared)
{
	AUTO_FREE char *path = whereabouts_path(dir, guest);
	json_t *entry = json_pack("{s:s,s:s,s:s,s:[s],s:[]}", "guest", guest, "attempt", "02", gone_to ? "gone_to" : "came_from",
				  gone_to ?: "host-a", shared ? "shared" : "disks", disk, shared ? "disks" : "shared");

	assert_int_equal(whereabouts_add(path, entry, &e), 0);
	json_decref(entry);
}

/* disk: that its script names; NULL: asked by name. Why not, or what is known, is in said. */
static char said[ERR_MAX];

static int ask_fenced(const char *guest, const char *disk, bool fenced)
{
	json_t *disks = disk ? json_pack("[s]", disk) : NULL;
	struct newest_question q = {.state_dir = dir, .guest = guest, .disks = disks, .fenced = fenced};
	int r;

	newest_answer_fini(&answer);
	r = newest_copy_is_here(&q, &answer, &e);
	assert_int_equal(!r, answer.known != NULL);
	snprintf(said, sizeof(said), "%s", answer.known ?: e.msg);
	json_decref(disks);
	return r;
}

static int ask(const char *guest, const char *disk)
{
	return ask_fenced(guest, disk, false);
}

static void guest_that_no_move_has_touched_may_start(void **state)
{
	(void)state;
	assert_int_equal(ask("vm1", old_disk), 0);
	assert_int_equal(ask("vm1", NULL), -ENOENT);
	assert_int_equal(ask("vm1", "/nowhere/disk"), -ENOENT);
}

static void old_copy_may_not_start(void **state)
{
	(void)state;
	remember("vm1", "host-b", old_disk, false);
	assert_int_equal(ask("vm1", old_disk), -EBUSY);
	assert_non_null(strstr(said, "host-b"));
	assert_string_equal(answer.gone_to, "host-b");
	assert_false(answer.shared);
	assert_false(answer.unsettled);
	assert_int_equal(ask_fenced("vm1", old_disk, true), -EBUSY);
	assert_int_equal(ask("vm1", NULL), -EBUSY);
	assert_int_equal(ask("vm1", new_disk), 0); /* another guest of that name */
}

/* An agent that died notes late that the guest came by attempt 01, as the file was empty; it has left by attempt 02, whatever the clock
 * says. */
static void guest_that_has_left_since_is_not_back(void **state)
{
	AUTO_FREE char *path = whereabouts_path(dir, "vm1");
	json_t *late =
		json_pack("{s:s,s:s,s:s,s:[s],s:[]}", "guest", "vm1", "attempt", "01", "came_from", "host-a", "disks", old_disk, "known");
	json_t *all;

	(void)state;
	remember("vm1", "host-c", old_disk, false);
	assert_int_equal(whereabouts_add(path, late, &e), 0);
	assert_int_equal(ask("vm1", old_disk), -EBUSY);
	assert_int_equal(whereabouts_read(path, &all, &e), 0);
	json_object_set_new(late, "known", whereabouts_attempts(all)); /* the guest came back afterwards */
	assert_int_equal(whereabouts_add(path, late, &e), 0);
	assert_int_equal(ask("vm1", old_disk), 0);
	json_decref(all);
	json_decref(late);
}

/* A guest that came back onto other disks may start from those, but not from the old ones; if it came back onto the same ones it may. */
static void guest_that_came_back_may_start(void **state)
{
	(void)state;
	remember("vm1", "host-b", old_disk, false);
	remember("vm1", NULL, new_disk, false);
	assert_int_equal(ask("vm1", new_disk), 0);
	assert_non_null(strstr(said, "host-a"));
	assert_true(answer.came_at > 0);
	assert_int_equal(ask("vm1", NULL), 0);
	assert_int_equal(ask("vm1", old_disk), -EBUSY);
	assert_int_equal(answer.came_at, 0);
	remember("vm1", NULL, old_disk, false);
	assert_int_equal(ask("vm1", old_disk), 0);
}

static void shared_disk_starts_by_a_word_alone(void **state)
{
	(void)state;
	remember("vm1", "host-b", old_disk, true);
	assert_int_equal(ask("vm1", old_disk), -EBUSY);
	assert_non_null(strstr(said, "--peer-is-fenced"));
	assert_true(answer.shared);
	assert_int_equal(ask_fenced("vm1", old_disk, true), 0);
	assert_false(answer.shared);
	assert_int_equal(ask("vm1", NULL), -EBUSY);
	assert_int_equal(ask_fenced("vm1", NULL, true), 0);
}

/* Another process with that file open, until it is killed. */
static pid_t holder_of(const char *path)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		if (open(path, O_RDWR) < 0 || write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static void disk_that_is_open_may_not_start(void **state)
{
	int fd = open(old_disk, O_RDWR | O_CLOEXEC);
	pid_t holder;

	(void)state;
	close(fd);
	holder = holder_of(old_disk);
	assert_int_equal(ask("vm1", old_disk), -EBUSY);
	assert_non_null(strstr(said, "it may run already"));
	kill(holder, SIGKILL);
	waitpid(holder, NULL, 0);
}

static void with_journal(const char *guest, bool source, json_t *begin, const enum handoff_state *states, size_t n, int expected)
{
	static uint8_t id[ATTEMPT_ID_LEN];
	struct journal *j;
	size_t i;

	id[0]++;
	json_object_set_new(begin, "guest", json_string("vm1"));
	assert_int_equal(journal_create(&j, dir, id, source, begin, &e), 0);
	for (i = 0; i < n; i++)
		assert_int_equal(journal_state(j, states[i], &e), 0);
	assert_int_equal(ask(guest, old_disk), expected);
	assert_int_equal(journal_remove(j, false, &e), 0);
	json_decref(begin);
}

static void journal_that_is_not_over_decides(void **state)
{
	static const enum handoff_state released[] = {HO_SRC_COMMITTED, HO_SRC_RELEASED},
					started[] = {HO_DST_PREPARED, HO_DST_START, HO_DST_STARTED};
	size_t i;

	(void)state;
	with_journal("vm1", true, json_pack("{s:s}", "dest", "host-b"), released, 0, -EAGAIN);
	with_journal("vm1", true, json_pack("{s:s}", "dest", "host-b"), released, 1, -EAGAIN);
	assert_true(answer.unsettled);
	with_journal("vm1", true, json_pack("{s:s}", "dest", "host-b"), released, 2, -EBUSY);
	assert_non_null(strstr(said, "it has gone to host-b"));
	assert_string_equal(answer.gone_to, "host-b");
	assert_false(answer.unsettled);
	with_journal("vm2", true, json_pack("{s:s}", "dest", "host-b"), released, 2, 0);
	for (i = 0; i < 3; i++)
		with_journal("vm1", false, json_object(), started, i, -EAGAIN);
	with_journal("vm1", false, json_object(), started, 3, 0);
	with_journal("vm1", false, json_pack("{s:b}", "revertible", 1), started, 3, -EAGAIN);
	assert_false(answer.unsettled); /* a person decides */
	with_journal("vm1", true, json_pack("{s:{}}", "storage"), released, 0, -EAGAIN);
	with_journal("vm1", true, json_pack("{s:{}}", "here"), released, 0, 0);
}

static void copy_that_is_not_over_leaves_the_guest_here(void **state)
{
	static const enum handoff_state begun[] = {HO_DST_PREPARED};

	(void)state;
	with_journal("vm1", true, json_pack("{s:s,s:s}", "dest", "host-b", "how", "replica"), begun, 0, 0);
	with_journal("vm1", true, json_pack("{s:s,s:s}", "dest", "host-b", "how", "disks"), begun, 0, 0);
	with_journal("vm1", false, json_pack("{s:s}", "how", "replica"), begun, 1, 0);
	with_journal("vm1", false, json_pack("{s:s}", "how", "disks"), begun, 1, -EAGAIN);
	with_journal("vm1", true, json_pack("{s:s,s:s,s:b}", "dest", "host-b", "how", "live", "to_replica", 1), begun, 0, -EAGAIN);
}

static void write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	fputs(text, f);
	fclose(f);
}

static void damaged_file_is_no_yes(void **state)
{
	AUTO_FREE char *path = whereabouts_path(dir, "vm1");

	(void)state;
	remember("vm1", NULL, old_disk, false);
	write_text(path, "[{}, 3]");
	assert_int_equal(ask("vm1", old_disk), -EBADMSG);
	write_text(path, "");
	assert_int_equal(ask("vm1", old_disk), -EBADMSG);
}

static void only_the_newest_entries_of_a_name_are_kept(void **state)
{
	AUTO_FREE char *path = whereabouts_path(dir, "vm1");
	json_t *all;
	int i;

	(void)state;
	for (i = 0; i < WHEREABOUTS_KEPT + 2; i++) {
		AUTO_FREE char *disk = xasprintf("/disk%d", i);

		remember("vm1", "host-b", disk, false);
	}
	assert_int_equal(whereabouts_read(path, &all, &e), 0);
	assert_int_equal(json_array_size(all), WHEREABOUTS_KEPT);
	assert_string_equal(json_string_value(json_array_get(json_object_get(json_array_get(all, 0), "disks"), 0)), "/disk2");
	json_decref(all);
}

static void any_name_has_a_file(void **state)
{
	char name[300];

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	remember(name, "host-b", old_disk, false);
	assert_int_equal(ask(name, old_disk), -EBUSY);
	remember("../a/b", "host-b", old_disk, false);
	assert_int_equal(ask("../a/b", NULL), -EBUSY);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(guest_that_no_move_has_touched_may_start),
		TEST(old_copy_may_not_start),
		TEST(guest_that_has_left_since_is_not_back),
		TEST(guest_that_came_back_may_start),
		TEST(shared_disk_starts_by_a_word_alone),
		TEST(disk_that_is_open_may_not_start),
		TEST(journal_that_is_not_over_decides),
		TEST(damaged_file_is_no_yes),
		TEST(copy_that_is_not_over_leaves_the_guest_here),
		TEST(only_the_newest_entries_of_a_name_are_kept),
		TEST(any_name_has_a_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
