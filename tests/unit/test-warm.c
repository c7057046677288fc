/*
 * test-warm.c: a guest is told to shut down for its move, or is not, and what its QEMU's words are taken for; against a QEMU that is played
 * here. The hand-off of such a move is played by test-both-conductors.
 */
#include "transfer.h"
#include "start-script.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../lib/played-qemu.h"

static struct {
	const char *status;
	unsigned presses, conts, resets;
} qemu;

static char dir[64], script[96];
static struct move_options opt;
static struct transfer t;

static json_t *answer(const char *command, const json_t *args)
{
	(void)args;
	if (!strcmp(command, "query-status"))
		return done(json_pack("{s:s}", "status", qemu.status));
	if (!strcmp(command, "cont")) {
		qemu.conts++;
		qemu.status = "running";
	}
	if (!strcmp(command, "system_reset")) {
		qemu.resets++;
		qemu.status = "prelaunch";
	}
	qemu.presses += !strcmp(command, "system_powerdown");
	return done(json_object());
}

/* A guest that runs, of a move that is under way; its script lies beside its disks. */
static int setup(void **state)
{
	json_t *begin = json_pack("{s:s}", "guest", "vm1");
	int r;

	(void)state;
	memset(&qemu, 0, sizeof(qemu));
	memset(&t, 0, sizeof(t));
	qemu.status = "running";
	strcpy(dir, "/tmp/test-warm-XXXXXX");
	if (!mkdtemp(dir) || played_begin(answer))
		return -1;
	snprintf(script, sizeof(script), "%s/vm1.sh", dir);
	close(open(script, O_WRONLY | O_CREAT | O_CLOEXEC, 0700));
	opt = (struct move_options){.how = HOW_WARM, .warm = {.shutdown_timeout_s = 60}};
	t.opt = &opt;
	t.a.loop = loop;
	t.a.id[0] = 1;
	t.life.report.quiet = true;
	source_init(&t.src, &t.a, &opt, &t.life.report);
	t.src.qmp = q;
	t.src.traits = (struct traits){.guest_runs = true, .boots_after = true};
	t.src.guest.name = xstrdup("vm1");
	unit_init(&t.around.unit, &t.src);
	aside_init(&t.around.aside, &t.src, &t.around.unit);
	power_init(&t.around.power, &t.src);
	r = attempt_begin(&t.a, dir, HO_SOURCE, begin, &e);
	json_decref(begin);
	return r;
}

static int teardown(void **state)
{
	AUTO_FREE char *rm = xasprintf("rm -rf '%s'", dir);

	(void)state;
	guest_scripts_fini(&t.around.aside.scripts);
	journal_close(t.a.journal);
	json_decref(t.src.disk_paths);
	json_decref(t.src.shared_paths);
	json_decref(t.src.disks_by_word);
	played_end();
	free(t.src.guest.name);
	return system(rm);
}

static int enter(void)
{
	return warm_stages[ST_SWITCHOVER].enter(&t, &e);
}

/* ---- the power button ---- */

static bool is_asked(void)
{
	return json_is_true(json_object_get(journal_last_note(t.a.journal, "power"), "asked"));
}

static void a_guest_that_runs_is_told_to_shut_down(void **state)
{
	(void)state;
	if (enter())
		fail_msg("%s", e.msg);
	assert_int_equal(qemu.presses, 1);
	assert_true(is_asked());
}

/* The guest would only shut down when that person resumes it, long after the move. */
static void a_guest_that_somebody_has_paused_is_not_told(void **state)
{
	(void)state;
	qemu.status = "paused";
	t.src.run.paused = true;
	assert_int_equal(enter(), -EBUSY);
	assert_non_null(strstr(e.msg, "another client has paused it"));
	assert_int_equal(qemu.presses, 0);
	assert_false(is_asked());
}

static void a_guest_that_was_migrated_away_is_not_told(void **state)
{
	(void)state;
	qemu.status = "postmigrate";
	assert_int_equal(enter(), -ECANCELED);
	assert_int_equal(qemu.presses, 0);
	assert_true(t.end.migrated_away);
}

/* ---- what would start it here again ---- */

static void a_script_of_ours_has_lost_its_name_when_it_is_told(void **state)
{
	AUTO_FREE char *aside = xasprintf("%s.moved-01000000", script);

	(void)state;
	t.around.aside.scripts.list = xcalloc(1, sizeof(*t.around.aside.scripts.list));
	t.around.aside.scripts.count = 1;
	t.around.aside.scripts.list[0] = (struct guest_script){.path = xstrdup(script), .plain = true, .ours = true};
	if (enter())
		fail_msg("%s", e.msg);
	assert_int_equal(access(script, F_OK), -1);
	assert_int_equal(access(aside, F_OK), 0);
}

/* ---- has it shut down? ---- */

static int heard(const char *name)
{
	struct event ev = {.kind = EVENT_QMP, .name = (char *)(uintptr_t)name, .at_ns = 7};

	return t.around.power.part.ops->event(&t.around.power.part, &ev, &e);
}

static void it_is_off_when_its_shutdown_stops_it(void **state)
{
	(void)state;
	assert_int_equal(heard("SHUTDOWN"), 0);
	assert_false(t.around.power.off);
	assert_int_equal(heard("STOP"), 0);
	assert_true(t.around.power.off);
	assert_int_equal(t.around.power.off_ns, 7);
}

static void somebody_elses_stop_is_no_shutdown(void **state)
{
	(void)state;
	assert_int_equal(heard("STOP"), PART_NOT_MINE);
	assert_false(t.around.power.off);
}

/* The guest was off, and another client has started it again: it writes to its disks, and is only paused. */
static void nor_is_it_after_an_earlier_one(void **state)
{
	(void)state;
	heard("SHUTDOWN");
	heard("STOP");
	assert_int_equal(heard("RESUME"), PART_NOT_MINE);
	assert_false(t.around.power.off);
	assert_int_equal(heard("STOP"), PART_NOT_MINE);
	assert_false(t.around.power.off);
}

/* ---- stopped ---- */

static bool is_stopped_by_us(void)
{
	return t.src.run.stopped && json_is_true(json_object_get(journal_last_note(t.a.journal, "stopped"), "ours"));
}

static void whom_somebody_has_paused_meanwhile_we_have_not_stopped(void **state)
{
	(void)state;
	qemu.status = "paused";
	assert_int_equal(source_stop(&t.src, false, &e), 0);
	assert_true(t.src.run.paused);
	assert_false(is_stopped_by_us());
}

/* The order does not matter: a guest whose plug was pulled boots elsewhere. */
static void unless_it_is_all_the_same(void **state)
{
	(void)state;
	qemu.status = "paused";
	assert_int_equal(source_stop(&t.src, true, &e), 0);
	assert_false(t.src.run.paused);
	assert_true(is_stopped_by_us());
}

static void whom_nobody_has_paused_we_have(void **state)
{
	(void)state;
	assert_int_equal(source_stop(&t.src, false, &e), 0);
	assert_false(t.src.run.paused);
	assert_true(is_stopped_by_us());
}

/* ---- taken back ---- */

static void whom_somebody_has_paused_stays_so_when_it_is_taken_back(void **state)
{
	(void)state;
	qemu.status = "paused";
	assert_int_equal(power_take_back(&t.around.power, &e), -ECANCELED);
	assert_non_null(strstr(e.msg, "stopped at the source by another client"));
	assert_int_equal(qemu.conts, 0);
	t.src.run.paused = true; /* the stop was heard in time */
	assert_int_equal(power_take_back(&t.around.power, &e), 0);
	assert_int_equal(qemu.conts, 0);
}

static void whom_we_have_stopped_goes_on(void **state)
{
	(void)state;
	qemu.status = "paused";
	t.src.run.stopped = true;
	assert_int_equal(power_take_back(&t.around.power, &e), 0);
	assert_int_equal(qemu.conts, 1);
	assert_int_equal(qemu.resets, 0);
}

static void who_was_told_to_shut_down_boots_again(void **state)
{
	(void)state;
	assert_int_equal(power_is_wanted(&t.around.power, &e), 0);
	qemu.status = "shutdown";
	assert_int_equal(power_take_back(&t.around.power, &e), 0);
	assert_int_equal(qemu.resets, 1);
	assert_int_equal(qemu.conts, 1);
	assert_false(is_asked());
}

static void who_has_shut_down_by_itself_stays_off(void **state)
{
	(void)state;
	qemu.status = "shutdown";
	assert_int_equal(power_take_back(&t.around.power, &e), 0);
	assert_int_equal(qemu.resets + qemu.conts, 0);
	assert_true(t.around.power.by_itself);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_guest_that_runs_is_told_to_shut_down),
		T(a_guest_that_somebody_has_paused_is_not_told),
		T(a_guest_that_was_migrated_away_is_not_told),
		T(a_script_of_ours_has_lost_its_name_when_it_is_told),
		T(it_is_off_when_its_shutdown_stops_it),
		T(somebody_elses_stop_is_no_shutdown),
		T(nor_is_it_after_an_earlier_one),
		T(whom_somebody_has_paused_meanwhile_we_have_not_stopped),
		T(unless_it_is_all_the_same),
		T(whom_nobody_has_paused_we_have),
		T(whom_somebody_has_paused_stays_so_when_it_is_taken_back),
		T(whom_we_have_stopped_goes_on),
		T(who_was_told_to_shut_down_boots_again),
		T(who_has_shut_down_by_itself_stays_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
