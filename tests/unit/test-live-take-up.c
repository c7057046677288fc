/*
 * test-live-take-up.c: a guest of libvirt's that was handed over, whose QEMU here is not held any more when the move is recovered: that it has not run
 * since counts only if libvirt says so. libvirt is played.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "transfer.h"
#include "process.h"

#include <errno.h>

#include "../lib/played-libvirtd-home.h"

static struct transfer t;
static struct move_options options;
static char state_dir[96];
static const struct recipe recipe = {.left_in = "postmigrate"};

static void nothing_fails(void *ctx, const struct err *why)
{
	(void)ctx;
	fail_msg("%s", why->msg);
}

static int setup(void **state)
{
	json_t *begin = json_pack("{s:s}", "guest", "web");
	int r = home_open();

	(void)state;
	memset(&t, 0, sizeof(t));
	home.monitor = "{\"return\": {\"status\": \"postmigrate\", \"running\": false}}";
	snprintf(state_dir, sizeof(state_dir), "%s/state", home.dir);
	options.dirs.state = state_dir;
	t.a.id[0] = 1;
	t.opt = &options;
	t.recipe = &recipe;
	r = r ? r : loop_new(&t.a.loop, 64, &err);
	conductor_init(&t.a.con, t.a.loop, NULL, NULL, nothing_fails);
	r = r ? r : attempt_begin(&t.a, state_dir, HO_SOURCE, begin, &err);
	json_decref(begin);
	home_starts_qemu();
	source_init(&t.src, &t.a, &options, NULL);
	t.src.guest = (struct guest){.pid = home.qemu, .name = (char *)"web"};
	t.src.libvirt.uuid = (char *)HOME_UUID;
	handoff_init(&t.a.handoff, HO_SOURCE);
	t.a.handoff.state = HO_SRC_COMMITTED;
	return r ? r : process_start_time(home.qemu, &t.src.guest.start_time);
}

static int teardown(void **state)
{
	(void)state;
	qmp_close(t.src.qmp);
	json_decref(t.src.disk_paths);
	json_decref(t.src.shared_paths);
	json_decref(t.src.disks_by_word);
	journal_close(t.a.journal);
	conductor_fini(&t.a.con);
	loop_free(t.a.loop);
	return home_close();
}

static bool is_held(void)
{
	return process_is_held(home.qemu, t.src.guest.start_time);
}

static void refuse_state(unsigned times)
{
	home.refuses.procedure = LV_DOMAIN_GET_STATE;
	home.refuses.number = HOME_INTERNAL;
	home.refuses.times = times;
}

static void one_that_stands_is_held_again(void **state)
{
	(void)state;
	assert_int_equal(live_take_up(&t, &err), 0);
	assert_true(is_held());
	assert_int_equal(live_take_up(&t, &err), 0);
	assert_false(t.end.ran_on);
}

/* A guest of which libvirt reports nothing stays held: waiting for libvirt would let it run, and the next life does not take the silence
 * for an answer. */
static void one_of_which_libvirt_says_nothing_stays_held(void **state)
{
	(void)state;
	refuse_state(HOME_FOR_GOOD);
	assert_int_equal(live_take_up(&t, &err), -EAGAIN);
	assert_true(is_held());
	assert_int_equal(live_take_up(&t, &err), -EAGAIN);
	assert_non_null(strstr(err.msg, "cannot tell"));
	assert_true(is_held());
	assert_false(t.end.ran_on);
	refuse_state(0);
	assert_int_equal(live_take_up(&t, &err), 0);
	refuse_state(HOME_FOR_GOOD);
	assert_int_equal(live_take_up(&t, &err), 0); /* the answer is known from the first call */
	assert_true(is_held());
}

static void nor_is_one_held_that_ran_as_libvirt_says_later(void **state)
{
	(void)state;
	refuse_state(HOME_FOR_GOOD);
	assert_int_equal(live_take_up(&t, &err), -EAGAIN);
	refuse_state(0);
	home.state = LV_RUNNING;
	assert_int_equal(live_take_up(&t, &err), -EBUSY);
	assert_true(t.end.ran_on);
	assert_true(is_held());
}

static void one_that_runs_is_not_held(void **state)
{
	(void)state;
	home.monitor = "{\"return\": {\"status\": \"running\", \"running\": true}}";
	assert_int_equal(live_take_up(&t, &err), -EBUSY);
	assert_true(t.end.ran_on);
	assert_false(is_held());
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_that_stands_is_held_again, setup, teardown),
		cmocka_unit_test_setup_teardown(one_of_which_libvirt_says_nothing_stays_held, setup, teardown),
		cmocka_unit_test_setup_teardown(nor_is_one_held_that_ran_as_libvirt_says_later, setup, teardown),
		cmocka_unit_test_setup_teardown(one_that_runs_is_not_held, setup, teardown),
	};

	(void)argv;
	home_main(argc);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
