/*
 * test-startup-there.c: what starts a guest that came, as a later life of the agent gives it to the user: a unit is not enabled if the
 * guest has left again meanwhile, as it would start an old copy at the next boot.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../agent-dst/parts/startup.c" /* for the headers of its room */

#include "whereabouts.h"

#include <stdlib.h>
#include <unistd.h>

static char dir[] = "/tmp/test-startup-XXXXXX";
static struct attempt attempt;
static struct target target;
static struct startup s;
static struct err err;
static char *unit_file;

static int setup(void **state)
{
	AUTO_FREE char *draft = NULL;
	AUTO_FREE char *script = NULL;
	json_t *begin = json_pack("{s:s}", "guest", "web"), *plan;
	int r;

	(void)state;
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	if (!mkdtemp(dir) || setenv("XDG_CONFIG_HOME", dir, 1))
		return -1;
	memset(&attempt, 0, sizeof(attempt));
	attempt.id[0] = 1;
	r = attempt_begin(&attempt, dir, HO_DESTINATION, begin, &err);
	json_decref(begin);
	draft = xasprintf("%s/.web.sh", dir);
	script = xasprintf("%s/web.sh", dir);
	unit_file = xasprintf("%s/systemd/user/vmferry-web.service", dir);
	plan = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:b}", "guest", "web", "dir", dir, "plain", "web", "script", script, "draft", draft,
			 "unit", "vmferry-web.service", "unit_file", unit_file, "user", 1);
	r = r ? r : afterwards_prepare(attempt.journal, plan, "#!/bin/sh\n", &err);
	json_decref(plan);
	target = (struct target){.part = {NULL, &attempt}};
	s = (struct startup){.part = {NULL, &attempt}, .target = &target};
	return r;
}

static int teardown(void **state)
{
	AUTO_FREE char *rm = xasprintf("rm -rf '%s'", dir);

	(void)state;
	json_decref(s.settled);
	journal_close(attempt.journal);
	free(unit_file);
	return system(rm);
}

/* Notes that the guest came by attempt 01, and perhaps left by another. */
static void note_arrival(bool left)
{
	AUTO_FREE char *where = whereabouts_path(dir, "web");
	json_t *gone = json_pack("{s:s,s:s,s:s,s:[s]}", "guest", "web", "attempt", "02", "gone_to", "host-c", "disks", "/vm/web");

	assert_int_equal(attempt_own(&attempt, "arrived",
				     json_pack("{s:s,s:{s:s,s:s,s:[s],s:[]}}", "path", where, "entry", "guest", "web", "attempt", "01",
					       "disks", "/vm/web", "known"),
				     &err),
			 0);
	if (left)
		assert_int_equal(whereabouts_add(where, gone, &err), 0);
	json_decref(gone);
}

static bool unit_is_written(bool restarted, bool went_on)
{
	attempt.handoff.restarted = restarted;
	startup_settle(&s, went_on); /* independent of the machine's systemd, as the file comes first */
	assert_non_null(json_text(s.settled, "start_script"));
	return !access(unit_file, F_OK);
}

static void guest_that_stayed_gets_its_unit_in_a_later_life(void **state)
{
	(void)state;
	note_arrival(false);
	assert_true(unit_is_written(true, false));
}

static void guest_that_came_in_this_life_gets_its_unit(void **state)
{
	(void)state;
	note_arrival(false);
	assert_true(unit_is_written(false, false));
}

static void unit_of_a_guest_that_has_left_is_not_enabled(void **state)
{
	(void)state;
	note_arrival(true);
	assert_false(unit_is_written(true, false));
	assert_non_null(strstr(json_text(s.settled, "after_error"), "may have left"));
}

static void nor_of_one_that_somebody_migrates_away(void **state)
{
	(void)state;
	note_arrival(false);
	assert_false(unit_is_written(false, true));
	assert_non_null(strstr(json_text(s.settled, "after_error"), "may have left"));
}

/* The file of whereabouts is a directory. */
static void unit_is_not_enabled_if_it_cannot_be_told(void **state)
{
	AUTO_FREE char *where = whereabouts_path(dir, "web");
	AUTO_FREE char *guests = xasprintf("%s/guests", dir);

	(void)state;
	note_arrival(false);
	assert_false(mkdir(guests, 0700) || mkdir(where, 0700));
	assert_false(unit_is_written(true, false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(guest_that_stayed_gets_its_unit_in_a_later_life, setup, teardown),
		cmocka_unit_test_setup_teardown(guest_that_came_in_this_life_gets_its_unit, setup, teardown),
		cmocka_unit_test_setup_teardown(unit_of_a_guest_that_has_left_is_not_enabled, setup, teardown),
		cmocka_unit_test_setup_teardown(nor_of_one_that_somebody_migrates_away, setup, teardown),
		cmocka_unit_test_setup_teardown(unit_is_not_enabled_if_it_cannot_be_told, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
