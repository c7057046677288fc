/*
 * test-domain.c: a libvirt guest that came as it ran is let run: when that counts as done, when as "it never ran", and that what cannot be told is neither. The
 * destination agent's; libvirt is played, a real one is asked by e2e/libvirt.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../agent-dst/parts/domain.h"
#include "process.h"

#include <errno.h>

#include "../lib/played-libvirtd-home.h"

static struct attempt attempt;
static struct target target;
static struct domain d;
static enum handoff_event what;

static void nothing_fails(void *ctx, const struct err *why)
{
	(void)ctx;
	fail_msg("%s", why->msg);
}

static int setup(void **state)
{
	int r = home_open();

	(void)state;
	memset(&attempt, 0, sizeof(attempt));
	r = r ? r : loop_new(&attempt.loop, 64, &err);
	conductor_init(&attempt.con, attempt.loop, NULL, NULL, nothing_fails);
	home_starts_qemu();
	target = (struct target){.uuid = (char *)HOME_UUID, .qemu = {.pid = home.qemu, .pidfd = -1}, .description = json_object()};
	target.part.a = &attempt;
	domain_init(&d, &target);
	domain_restore(&d);
	what = EV_QEMU_DEAD;
	r = r ? r : process_start_time(home.qemu, &target.qemu.start_time);
	return r ? r : process_hold(home.qemu, target.qemu.start_time, PATIENCE_MS, &err);
}

static int teardown(void **state)
{
	(void)state;
	d.part.ops->fini(&d.part);
	json_decref(target.description);
	conductor_fini(&attempt.con);
	loop_free(attempt.loop);
	return home_close();
}

static bool is_held(void)
{
	return process_is_held(home.qemu, target.qemu.start_time);
}

static void refuse(int32_t procedure, int number, unsigned times)
{
	home.refuses.procedure = procedure;
	home.refuses.number = number;
	home.refuses.times = times;
}

static void it_runs(void **state)
{
	(void)state;
	assert_int_equal(domain_resume(&d, &what, &err), 0);
	assert_int_equal(what, EV_CONT_OK);
	assert_int_equal(home.state, LV_RUNNING);
	assert_false(is_held());
}

static void one_that_was_paused_stays_so(void **state)
{
	(void)state;
	json_object_set_new(target.description, "paused", json_true());
	assert_int_equal(domain_resume(&d, &what, &err), 0);
	assert_int_equal(what, EV_CONT_OK);
	assert_int_equal(home.calls[LV_DOMAIN_RESUME], 0);
	assert_false(is_held());
}

static void it_never_ran_if_libvirt_says_no_each_time(void **state)
{
	(void)state;
	refuse(LV_DOMAIN_RESUME, HOME_INTERNAL, HOME_FOR_GOOD);
	assert_int_equal(domain_resume(&d, &what, &err), 0);
	assert_int_equal(what, EV_CONT_FAILED_NEVER_RAN);
	assert_int_equal(home.calls[LV_DOMAIN_RESUME], 3);
	assert_true(is_held());
	assert_non_null(strstr(err.msg, "its error 1"));
}

static void it_runs_if_libvirt_says_yes_at_last(void **state)
{
	(void)state;
	refuse(LV_DOMAIN_RESUME, HOME_INTERNAL, 2);
	assert_int_equal(domain_resume(&d, &what, &err), 0);
	assert_int_equal(what, EV_CONT_OK);
	assert_false(is_held());
}

/* A timeout, a busy guest or a lost connection may have let it run, or may do so yet. */
static void what_is_no_refusal_tells_nothing(void **state)
{
	static const int numbers[] = {HOME_BUSY, 0};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(numbers); i++) {
		refuse(LV_DOMAIN_RESUME, numbers[i], 1);
		assert_int_equal(domain_resume(&d, &what, &err), -EAGAIN);
		assert_int_not_equal(what, EV_CONT_FAILED_NEVER_RAN);
	}
	assert_int_equal(domain_resume(&d, &what, &err), 0); /* over a new connection */
	assert_int_equal(what, EV_CONT_OK);
}

static void libvirt_that_is_away_tells_nothing(void **state)
{
	(void)state;
	home_goes_away();
	assert_int_equal(domain_resume(&d, &what, &err), -EAGAIN);
	assert_int_not_equal(what, EV_CONT_FAILED_NEVER_RAN);
	home_is_back();
	assert_int_equal(domain_resume(&d, &what, &err), 0);
	assert_int_equal(what, EV_CONT_OK);
}

static void resumed_by_somebody(int32_t procedure)
{
	if (procedure == LV_DOMAIN_RESUME)
		home.state = LV_RUNNING;
}

static void it_runs_if_somebody_else_has_resumed_it(void **state)
{
	(void)state;
	refuse(LV_DOMAIN_RESUME, HOME_INVALID, 1);
	home.called = resumed_by_somebody;
	assert_int_equal(domain_resume(&d, &what, &err), 0);
	assert_int_equal(what, EV_CONT_OK);
	assert_false(is_held());
}

/* The guest stands when it is looked at, and was running in between. */
static void nor_is_it_untouched_if_it_was_resumed_and_stands_again(void **state)
{
	(void)state;
	refuse(LV_DOMAIN_RESUME, HOME_INTERNAL, HOME_FOR_GOOD);
	conductor_qmp.event(&attempt.con, "RESUME", NULL, now_ns());
	assert_int_equal(domain_resume(&d, &what, &err), 0);
	assert_int_equal(what, EV_CONT_OK);
}

static void ends_at_last_refusal(int32_t procedure)
{
	if (procedure == LV_DOMAIN_RESUME && home.calls[procedure] == 3)
		home_ends_qemu();
}

static void guest_on_its_way_elsewhere_does_not_stand(void **state)
{
	static const unsigned leaving[] = {2 /* migration */, 3 /* save */, 12, 13 /* post-copy */};
	static const unsigned staying[] = {1 /* user */, 5 /* I/O error */, 7 /* from a snapshot */, 11 /* starting up */};
	size_t i;

	(void)state;
	home.state = LV_PAUSED;
	for (i = 0; i < ARRAY_LEN(leaving); i++) {
		home.reason = leaving[i];
		assert_int_equal(target.run_state(&target), MIGRATED);
	}
	for (i = 0; i < ARRAY_LEN(staying); i++) {
		home.reason = staying[i];
		assert_int_equal(target.run_state(&target), STANDS);
	}
	home.reason = 0;
	home.state = LV_RUNNING;
	assert_int_equal(target.run_state(&target), RUNS);
	assert_true(domain_has_heard(&d));
	home_goes_away();
	home_is_back();
	assert_int_equal(target.run_state(&target), UNKNOWN); /* by the connection that is lost */
	assert_int_equal(target.run_state(&target), RUNS);
	assert_false(domain_has_heard(&d));
}

static void qemu_that_has_ended_is_told(void **state)
{
	(void)state;
	refuse(LV_DOMAIN_RESUME, HOME_INTERNAL, HOME_FOR_GOOD);
	home.called = ends_at_last_refusal;
	home.is_defined = true;
	assert_int_equal(domain_resume(&d, &what, &err), 0);
	assert_int_equal(what, EV_QEMU_DEAD);
	what = EV_CONT_OK;
	assert_int_equal(domain_resume(&d, &what, &err), 0);
	assert_int_equal(what, EV_QEMU_DEAD);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_runs, setup, teardown),
		cmocka_unit_test_setup_teardown(one_that_was_paused_stays_so, setup, teardown),
		cmocka_unit_test_setup_teardown(it_never_ran_if_libvirt_says_no_each_time, setup, teardown),
		cmocka_unit_test_setup_teardown(it_runs_if_libvirt_says_yes_at_last, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_no_refusal_tells_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(libvirt_that_is_away_tells_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(it_runs_if_somebody_else_has_resumed_it, setup, teardown),
		cmocka_unit_test_setup_teardown(nor_is_it_untouched_if_it_was_resumed_and_stands_again, setup, teardown),
		cmocka_unit_test_setup_teardown(guest_on_its_way_elsewhere_does_not_stand, setup, teardown),
		cmocka_unit_test_setup_teardown(qemu_that_has_ended_is_told, setup, teardown),
	};

	(void)argv;
	home_main(argc);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
