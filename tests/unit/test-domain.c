/*
 * test-domain.c: a libvirt guest that came as it ran is let run: when that counts as done, when as "it never ran", and that what cannot be
 * told is neither. The destination agent's; libvirt is played, a real one is asked by e2e/libvirt.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../agent-dst/parts/domain.h"
#include "process.h"

#include "vcpu-time.h"

#include <errno.h>
#include <sys/prctl.h>
#include <time.h>

#include "../lib/played-libvirtd-home.h"

static struct attempt attempt;
static struct target target;
static struct domain d;
static enum handoff_event what;

#define VCPU                                                                                                                               \
	"VMFERRY_TEST_VCPU" /* in the environment: its QEMU's only thread is a virtual processor, which runs for a moment when it is sent SIGUSR1 */
#define RUNS_NS 3000000

static void nothing_fails(void *ctx, const struct err *why)
{
	(void)ctx;
	fail_msg("%s", why->msg);
}

static uint64_t vcpu_ns(void)
{
	struct vcpu_time t;

	vcpu_time_of(home.qemu, &t);
	return t.threads ? t.each[0].ns : 0;
}

static int setup(void **state)
{
	int r = home_open();

	(void)state;
	memset(&attempt, 0, sizeof(attempt));
	r = r ? r : loop_new(&attempt.loop, 64, &err);
	conductor_init(&attempt.con, attempt.loop, NULL, NULL, nothing_fails);
	home_starts_qemu();
	target = (struct target){.libvirt.uuid = (char *)HOME_UUID, .qemu = {.pid = home.qemu, .pidfd = -1}, .description = json_object()};
	target.part.a = &attempt;
	domain_init(&d, &target);
	domain_restore(&d);
	what = EV_QEMU_DEAD;
	r = r ? r : process_start_time(home.qemu, &target.qemu.start_time);
	while (!r && getenv(VCPU) && !vcpu_ns())
		poll(NULL, 0, 1);
	return r ? r : process_hold(home.qemu, target.qemu.start_time, PATIENCE_MS, &err);
}

static int setup_with_vcpu(void **state)
{
	return setenv(VCPU, "yes", 1) ? -1 : setup(state);
}

static int teardown(void **state)
{
	(void)state;
	unsetenv(VCPU);
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

static void it_never_ran_if_its_processors_have_not(void **state)
{
	it_never_ran_if_libvirt_says_no_each_time(state);
}

/* libvirt, which says that it stands, may not have heard of it yet. */
static void runs_for_a_moment(int32_t procedure)
{
	uint64_t before = vcpu_ns(), until = now_ns() + PATIENCE_MS * 1000000ULL;

	if (procedure != LV_DOMAIN_RESUME || home.calls[procedure] != 3)
		return;
	kill(home.qemu, SIGUSR1);
	while (vcpu_ns() - before < RUNS_NS && now_ns() < until)
		;
}

static void one_whose_processors_ran_is_not_untouched(void **state)
{
	(void)state;
	refuse(LV_DOMAIN_RESUME, HOME_INTERNAL, HOME_FOR_GOOD);
	home.called = runs_for_a_moment;
	assert_int_equal(domain_resume(&d, &what, &err), -EAGAIN);
	assert_int_not_equal(what, EV_CONT_FAILED_NEVER_RAN);
	assert_non_null(strstr(err.msg, "processors have run"));
}

/* The connection to libvirt's events says so long after libvirt was first asked. */
static void hears_of_it_late(int32_t procedure)
{
	runs_for_a_moment(procedure);
	if (procedure == LV_DOMAIN_GET_STATE && home.calls[procedure] == 8)
		home.state = LV_RUNNING;
}

static void who_resumed_it_is_waited_for(void **state)
{
	(void)state;
	refuse(LV_DOMAIN_RESUME, HOME_INTERNAL, HOME_FOR_GOOD);
	home.called = hears_of_it_late;
	assert_int_equal(domain_resume(&d, &what, &err), -EAGAIN);
	assert_non_null(strstr(err.msg, "by another client (virsh resume)"));
}

static uint64_t before_it_ran;

static void taken_over_once_it_has_run(int32_t procedure)
{
	uint64_t until = now_ns() + PATIENCE_MS * 1000000ULL;

	while (procedure == LV_DOMAIN_FINISH3 && vcpu_ns() - before_it_ran < RUNS_NS && now_ns() < until)
		;
}

static void runs_while_it_is_taken_over(int32_t procedure)
{
	if (procedure == LV_DOMAIN_FINISH3)
		kill(home.qemu, SIGUSR1);
	taken_over_once_it_has_run(procedure);
}

static int is_taken_over(void (*called)(int32_t procedure))
{
	before_it_ran = vcpu_ns();
	assert_int_equal(lv_open(&d.job, PATIENCE_MS, &err), 0);
	d.socket = xstrdup("/nowhere");
	assert_int_equal(domain_watch(&d, &err), 0);
	home.called = called;
	kill(home.qemu, SIGCONT);
	return domain_finish(&d, false, &err);
}

/* A guest that stood is not held back until libvirt would have heard of somebody who resumed it. */
static void what_it_does_once_it_is_loaded_is_no_run(void **state)
{
	(void)state;
	kill(home.qemu, SIGUSR1);
	assert_int_equal(is_taken_over(taken_over_once_it_has_run), 0);
	assert_true(is_held());
}

static void one_that_ran_as_it_was_taken_over_has_ended(void **state)
{
	(void)state;
	assert_int_equal(is_taken_over(runs_while_it_is_taken_over), -ECANCELED);
	assert_non_null(strstr(err.msg, "processors have run"));
	assert_false(qemu_is_alive(home.qemu, target.qemu.start_time));
	home.qemu = 0;
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
		assert_int_equal(target.libvirt.run_state(&target), MIGRATED);
	}
	for (i = 0; i < ARRAY_LEN(staying); i++) {
		home.reason = staying[i];
		assert_int_equal(target.libvirt.run_state(&target), STANDS);
	}
	home.reason = 0;
	home.state = LV_RUNNING;
	assert_int_equal(target.libvirt.run_state(&target), RUNS);
	assert_true(domain_has_heard(&d));
	home_goes_away();
	home_is_back();
	assert_int_equal(target.libvirt.run_state(&target), UNKNOWN); /* by the connection that is lost */
	assert_int_equal(target.libvirt.run_state(&target), RUNS);
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

/* The guest may be taken back: whether another client has moved it elsewhere is checked while it cannot run. */
static void it_is_held_while_it_is_looked_at(void **state)
{
	(void)state;
	kill(home.qemu, SIGCONT);
	assert_int_equal(domain_hear_out(&d, &err), 0);
	assert_true(is_held());
	domain_go_on(&d);
	assert_false(is_held());
}

static void what_somebody_else_holds_stays_so(void **state)
{
	(void)state;
	domain_go_on(&d); /* no look yet */
	assert_true(is_held());
}

/* libvirt may still be giving the images to root. */
static void libvirt_that_says_something_else_has_not_forgotten_it(void **state)
{
	unsigned before;

	(void)state;
	assert_int_equal(target.libvirt.run_state(&target), STANDS);
	home_ends_qemu();
	before = home.calls[LV_DOMAIN_LOOKUP_UUID];
	refuse(LV_DOMAIN_LOOKUP_UUID, HOME_INTERNAL, 3);
	domain_end(&d);
	assert_int_equal(home.calls[LV_DOMAIN_LOOKUP_UUID] - before, 4);
	before = home.calls[LV_DOMAIN_LOOKUP_UUID];
	refuse(LV_DOMAIN_LOOKUP_UUID, 0, 1); /* libvirt hangs up, and is asked over another connection */
	domain_end(&d);
	assert_int_equal(home.calls[LV_DOMAIN_LOOKUP_UUID] - before, 2);
}

static void definition_of_others_is_not_waited_for(void **state)
{
	unsigned before;

	(void)state;
	assert_int_equal(target.libvirt.run_state(&target), STANDS);
	home.is_defined = true;
	home_ends_qemu();
	before = home.calls[LV_DOMAIN_LOOKUP_UUID];
	domain_end(&d);
	assert_int_equal(home.calls[LV_DOMAIN_LOOKUP_UUID] - before, 1);
	home.is_defined = false;
}

static void runs(int signal)
{
	struct timespec now, from;

	(void)signal;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
	do
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	while ((now.tv_sec - from.tv_sec) * 1000000000L + now.tv_nsec - from.tv_nsec < RUNS_NS);
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
		cmocka_unit_test_setup_teardown(it_is_held_while_it_is_looked_at, setup, teardown),
		cmocka_unit_test_setup_teardown(what_somebody_else_holds_stays_so, setup, teardown),
		cmocka_unit_test_setup_teardown(libvirt_that_says_something_else_has_not_forgotten_it, setup, teardown),
		cmocka_unit_test_setup_teardown(definition_of_others_is_not_waited_for, setup, teardown),
		cmocka_unit_test_setup_teardown(it_never_ran_if_its_processors_have_not, setup_with_vcpu, teardown),
		cmocka_unit_test_setup_teardown(one_whose_processors_ran_is_not_untouched, setup_with_vcpu, teardown),
		cmocka_unit_test_setup_teardown(who_resumed_it_is_waited_for, setup_with_vcpu, teardown),
		cmocka_unit_test_setup_teardown(what_it_does_once_it_is_loaded_is_no_run, setup_with_vcpu, teardown),
		cmocka_unit_test_setup_teardown(one_that_ran_as_it_was_taken_over_has_ended, setup_with_vcpu, teardown),
	};

	(void)argv;
	if (argc > 1 && getenv(VCPU)) {
		signal(SIGUSR1, runs);
		prctl(PR_SET_NAME, "CPU 0/KVM");
	}
	home_main(argc);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
