/* test-life.c: what commands have in common (life.h): their journals, of this life and a later one, their guard, and their history. */
#include "guard.h"
#include "exit-code.h"
#include "history.h"
#include "journal-kinds.h"
#include "journal.h"
#include "keep.h"
#include "life.h"
#include "spool.h"
#include "storage.h"
#include "util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64];
static struct life life;
static struct err e;
static const uint8_t id[ATTEMPT_ID_LEN] = {1};

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/vmferry-test-life.XXXXXX");
	if (!mkdtemp(dir) || life_begin(&life, "export", &(struct life_options){.state_dir = dir}, &e))
		return -1;
	life.report.quiet = true;
	life_about(&life, "vm1", "there", 17);
	return 0;
}

static int teardown(void **state)
{
	AUTO_FREE char *rm = xasprintf("rm -rf '%s'", dir);

	(void)state;
	life_fini(&life);
	return system(rm);
}

static char *begin(void)
{
	assert_int_equal(life_create_journal(&life, id, json_pack("{s:s}", "guest", "vm1"), &e), 0);
	return xstrdup(journal_path(life.journal));
}

/* An unpacked archive is found again by `recover`, whenever we are killed; a plan leaves nothing to be found. */
static void a_spool_is_journaled_before_it_is_there(void **state)
{
	struct spool s;

	(void)state;
	assert_null(life.journal);
	life.is_trial = true;
	assert_int_equal(spool_make_in(&s, dir, &e), 0);
	assert_null(life.journal);
	spool_remove(&s);
	life.is_trial = false;
	assert_int_equal(spool_make_in(&s, dir, &e), 0);
	assert_non_null(life.journal);
	spool_remove(&s);
	life_end_journal(&life);
}

/* ---- how a journal ends ---- */

static bool is_over(const char *path)
{
	struct journal *j;
	bool over;

	assert_int_equal(journal_look(&j, path, &e), 0);
	over = journal_last_note(j, "over");
	journal_close(j);
	return over;
}

static void a_command_that_leaves_nothing_has_no_journal(void **state)
{
	AUTO_FREE char *path = begin();
	struct journal *j;

	(void)state;
	life_end_journal(&life);
	assert_null(life.journal);
	assert_int_equal(journal_look(&j, path, &e), -ENOENT);
	assert_int_equal(journal_look_finished(&j, path, &e), -ENOENT);
}

static void a_journal_that_is_kept_is_found_when_it_has_ended(void **state)
{
	AUTO_FREE char *path = begin();
	struct journal *j;

	(void)state;
	life.journal_is_kept = true;
	life_end_journal(&life);
	assert_int_equal(journal_look_finished(&j, path, &e), 0);
	journal_close(j);
}

static void what_is_left_is_in_nobody_s_way(void **state)
{
	AUTO_FREE char *path = begin();

	(void)state;
	life_leftover(&life, "a file");
	life_end_journal(&life);
	assert_true(is_over(path));
}

static void what_is_undecided_is_not_over(void **state)
{
	AUTO_FREE char *path = begin();

	(void)state;
	life.undecided = true;
	life_end_journal(&life);
	assert_false(is_over(path));
}

/* ---- a later life ---- */

static void dies(void *ctx)
{
	struct journal **held = ctx;

	journal_close(*held);
	*held = NULL;
}

static void an_agent_that_is_dying_is_waited_for(void **state)
{
	AUTO_FREE char *path = begin();
	struct journal *held = life.journal, *j;

	(void)state;
	life.journal = NULL;
	assert_int_equal(journal_open(&j, path, &e), -EBUSY);
	assert_int_equal(life_take_journal(&j, path, dies, &held, &e), 0);
	assert_null(held);
	journal_close(j);
}

static unsigned tries;

static bool tries_twice(const struct life_options *o, struct journal *j, struct keep *kept, struct err *words)
{
	(void)o, (void)kept;
	journal_close(j);
	err_set(words, EIO, "it does not hear");
	return ++tries == 2;
}

static void a_guard_tries_until_it_is_done(void **state)
{
	AUTO_FREE char *path = begin();

	(void)state;
	tries = 0;
	journal_close(life.journal);
	life.journal = NULL;
	assert_int_equal(guard_settle(path, NULL, tries_twice, NULL), 1);
	assert_int_equal(tries, 2);
}

static void a_guard_has_nothing_to_do_for_what_has_ended(void **state)
{
	AUTO_FREE char *path = begin();

	(void)state;
	tries = 0;
	life_end_journal(&life);
	assert_int_equal(guard_settle(path, NULL, tries_twice, NULL), 0);
	assert_int_equal(tries, 0);
}

/* The test's own program runs as the guard: it ends with 0 if it has no fault to reach. */
static void a_guard_has_no_fault_of_its_agent_s(void **state)
{
	struct guard g = {.pid = 0};
	int status;

	(void)state;
	setenv("VMFERRY_FAULT", "none", 1);
	setenv("VMFERRY_FAULT_BEFORE", "none", 1);
	assert_int_equal(guard_start(&g, "a journal", dir, 0, false, &e), 0);
	assert_int_equal(waitpid(g.pid, &status, 0), g.pid);
	assert_int_equal(status, 0);
	close(g.fd);
	unsetenv("VMFERRY_FAULT");
	unsetenv("VMFERRY_FAULT_BEFORE");
}

static void nobody_hears(void *ctx, int number)
{
	(void)ctx, (void)number;
}

static void what_cannot_read_signals_goes_on_without(void **state)
{
	struct rlimit was, none;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = (struct rlimit){0, was.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	life_hear_signals(&life, nobody_hears);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_null(life.signals);
}

/* Journals have begun like this in all versions. */
static void journals_are_known_by_what_they_begin_with(void **state)
{
	json_auto_t *move = json_pack("{s:s,s:s,s:i}", "guest", "vm1", "dest", "host-b", "pid", 17);
	json_auto_t *storage = json_pack("{s:s,s:i,s:{s:[]}}", "guest", "vm1", "pid", 17, "storage", "disks");
	json_auto_t *import = json_pack("{s:s,s:{s:s,s:s}}", "guest", "vm1", "here", "how", "import", "to", "/vms");
	json_auto_t *other = json_pack("{s:s}", "guest", "vm1");

	(void)state;
	assert_string_equal(life_goes_to(move), "host-b");
	assert_true(journal_kind_of(move)->guard == move_guard);
	assert_string_equal(life_goes_to(storage), "other disks");
	assert_true(journal_kind_of(storage)->guard == storage_guard);
	assert_string_equal(life_goes_to(import), "/vms");
	assert_true(journal_kind_of(import)->apart && !journal_kind_of(import)->guard);
	assert_null(journal_kind_of(other));
}

/* ---- history ---- */

static size_t remembered(json_t **last)
{
	json_t *all = history_read(dir, NULL);
	size_t n = json_array_size(all);

	*last = json_incref(json_array_get(all, n - 1));
	json_decref(all);
	return n;
}

static void a_command_that_was_refused_is_not_remembered(void **state)
{
	json_t *last;

	(void)state;
	life_end(&life, LIFE_REFUSED, NULL, NULL);
	assert_int_equal(remembered(&last), 0);
}

static void a_plan_is_remembered_without_its_command_line(void **state)
{
	json_t *last;

	(void)state;
	life_emit(&life, "plan", json_pack("{s:s,s:s}", "command_line", "qemu -object secret", "title", "export vm1"));
	life_end(&life, LIFE_EXPORTED, NULL, NULL);
	assert_int_equal(remembered(&last), 1);
	assert_non_null(json_object_get(json_object_get(last, "plan"), "title"));
	assert_null(json_object_get(json_object_get(last, "plan"), "command_line"));
	json_decref(last);
}

/* ---- endings ---- */

static void expect_ending(enum life_ending ending, const struct err *why, const char *outcome, int exit_code, const char *text)
{
	const char *said;

	assert_int_equal(life_end(&life, ending, why, NULL), exit_code);
	said = json_string_value(json_object_get(life.told.result, "guest_text"));
	assert_int_equal(json_integer_value(json_object_get(life.told.result, "exit_code")), exit_code);
	assert_string_equal(json_string_value(json_object_get(life.told.result, "outcome")), outcome);
	assert_string_equal(said ?: "", text);
}

static void what_is_left_changes_the_exit_code_of_a_known_place(void **state)
{
	struct err cancelled, broken;

	(void)state;
	err_set(&cancelled, ECANCELED, "somebody cancelled it");
	err_set(&broken, EIO, "the disk is broken");
	expect_ending(LIFE_FAILED, &broken, "failed", EXIT_SOURCE, "nothing is left behind");
	expect_ending(LIFE_FAILED, &cancelled, "cancelled", EXIT_SOURCE, "nothing is left behind");
	expect_ending(LIFE_FAILED_PAUSED, &cancelled, "cancelled", EXIT_PAUSED, "");
	expect_ending(LIFE_REFUSED, &cancelled, "refused", EXIT_REFUSED, "nothing was touched");
	expect_ending(LIFE_UNDECIDED, &cancelled, "undecided", EXIT_UNDECIDED, "");
	expect_ending(LIFE_MOVED, NULL, "moved", EXIT_DESTINATION, "");
	life_leftover(&life, "a file");
	expect_ending(LIFE_FAILED, &broken, "failed", EXIT_LEFTOVERS, "what is left is listed");
	expect_ending(LIFE_MOVED, NULL, "moved", EXIT_LEFTOVERS, "");
	expect_ending(LIFE_IMPORTED, NULL, "imported", EXIT_LEFTOVERS, "");
	expect_ending(LIFE_FAILED_PAUSED, &broken, "failed", EXIT_PAUSED, "");
	expect_ending(LIFE_FAILED_NOWHERE, &broken, "failed", EXIT_NOWHERE, "");
	expect_ending(LIFE_MOVED_NOWHERE, NULL, "moved", EXIT_NOWHERE, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static int all_tests(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_spool_is_journaled_before_it_is_there),
		TEST(a_command_that_leaves_nothing_has_no_journal),
		TEST(a_journal_that_is_kept_is_found_when_it_has_ended),
		TEST(what_is_left_is_in_nobody_s_way),
		TEST(what_is_undecided_is_not_over),
		TEST(an_agent_that_is_dying_is_waited_for),
		TEST(a_guard_tries_until_it_is_done),
		TEST(a_guard_has_nothing_to_do_for_what_has_ended),
		TEST(a_guard_has_no_fault_of_its_agent_s),
		TEST(what_cannot_read_signals_goes_on_without),
		TEST(journals_are_known_by_what_they_begin_with),
		TEST(a_command_that_was_refused_is_not_remembered),
		TEST(a_plan_is_remembered_without_its_command_line),
		TEST(what_is_left_changes_the_exit_code_of_a_known_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], GUARD_WORD))
		return getenv("VMFERRY_FAULT") || getenv("VMFERRY_FAULT_BEFORE");
	return all_tests();
}
