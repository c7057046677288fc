/* test-revert.c: may a guest be had back? Both sides must be able to do it, and each disk must tell whether it is as the guest left it. */
#include "transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char file[] = "/tmp/test-revert-XXXXXX";
static struct move_options opt;
static struct transfer t;
static struct err e;

static int setup(void **state)
{
	(void)state;
	opt = (struct move_options){.revert_within_s = 60};
	memset(&t, 0, sizeof(t));
	t.opt = &opt;
	t.told.plan = json_pack("{s:b}", "revertible", 1);
	t.src.disk_paths = json_pack("[s]", file);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	json_decref(t.told.plan);
	json_decref(t.src.disk_paths);
	return 0;
}

static void both_sides_must_be_able_to(void **state)
{
	(void)state;
	assert_int_equal(revert_agreed(&t, &e), 0);
	json_object_del(t.told.plan, "revertible"); /* an older destination says nothing of it, and would go on with the guest for good */
	assert_int_equal(revert_agreed(&t, &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "gives no guest back"));
	opt.revert_within_s = 0;
	assert_int_equal(revert_agreed(&t, &e), 0);
}

static void each_disk_must_tell_when_it_was_written(void **state)
{
	(void)state;
	json_array_append_new(t.src.disk_paths, json_string("/dev/null"));
	assert_int_equal(revert_agreed(&t, &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "/dev/null"));
}

/* The process of one that has ended and was waited for. */
static pid_t ended_qemu(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return pid;
}

/* Sets up a QEMU that ended after its monitor was lost, so that no event reported the end. The destination cannot be reached. */
static int setup_with_ended_qemu(void **state)
{
	int r = setup(state);

	json_array_clear(t.src.disk_paths);
	r = r ? r : loop_new(&t.a.loop, 16, &e);
	t.life.report.quiet = true;
	t.src.guest = (struct guest){.pid = ended_qemu(), .start_time = 1, .name = (char *)"web"};
	t.src.traits.carries_memory = true;
	handoff_init(&t.a.handoff, HO_SOURCE);
	t.a.handoff.state = HO_SRC_COMMITTED;
	t.a.handoff.revertible = true;
	t.a.handoff.peer = HO_DST_STARTED;
	t.a.ops = &live_cutover;
	t.around.aside.part.a = &t.a;
	t.a.dead = t.revert.open = true;
	return r;
}

static int teardown_with_loop(void **state)
{
	loop_free(t.a.loop);
	return teardown(state);
}

static void guest_whose_qemu_here_has_ended_is_not_had_back(void **state)
{
	(void)state;
	assert_int_equal(revert_order(&t, ORDER_REVERT, &e), 0);
	assert_false(t.a.handoff.qemu_alive);
	assert_int_equal(t.a.handoff.state, HO_SRC_COMMITTED);
	assert_true(t.revert.open); /* the destination may still be told to keep the guest */
	assert_int_equal(attempt_step(&t.a, EV_REVERT, HO_NONE, &e), -EPROTO);
}

static void nor_is_one_held_that_is_to_stay_there(void **state)
{
	(void)state;
	assert_int_equal(revert_order(&t, ORDER_KEEP, &e), 0);
	assert_false(t.a.handoff.qemu_alive);
	assert_false(t.revert.open);
}

/* A guest that is shut down here needs no live QEMU. */
static void guest_that_boots_needs_no_qemu_here(void **state)
{
	char dir[] = "/tmp/test-revert-XXXXXX";
	json_t *begin = json_pack("{s:s}", "guest", "vm1");
	AUTO_FREE char *rm = xasprintf("rm -r %s", mkdtemp(dir));

	(void)state;
	t.src.traits = (struct traits){.boots_after = true};
	assert_int_equal(attempt_begin(&t.a, dir, HO_SOURCE, begin, &e), 0);
	t.a.handoff.state = HO_SRC_COMMITTED;
	assert_int_equal(revert_order(&t, ORDER_REVERT, &e), 0);
	assert_true(t.a.handoff.qemu_alive);
	journal_close(t.a.journal);
	json_decref(begin);
	assert_int_equal(system(rm), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(both_sides_must_be_able_to, setup, teardown),
		cmocka_unit_test_setup_teardown(each_disk_must_tell_when_it_was_written, setup, teardown),
		cmocka_unit_test_setup_teardown(guest_whose_qemu_here_has_ended_is_not_had_back, setup_with_ended_qemu, teardown_with_loop),
		cmocka_unit_test_setup_teardown(nor_is_one_held_that_is_to_stay_there, setup_with_ended_qemu, teardown_with_loop),
		cmocka_unit_test_setup_teardown(guest_that_boots_needs_no_qemu_here, setup_with_ended_qemu, teardown_with_loop),
	};
	int fd = mkostemp(file, O_CLOEXEC), r;

	close(fd);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(file);
	return r;
}
