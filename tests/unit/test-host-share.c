/* test-host-share.c: what others take of this host's processors, in threads like ours. */
#include "host-share.h"
#include "process.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#define MS 1000000ULL

/* A second on two processors, in ms: the idle time, the time of the move's processes, and the time that our threads ran and waited. */
static void second(struct host_share *h, uint64_t idle_ms, uint64_t move_ms, uint64_t ran_ms, uint64_t waited_ms)
{
	struct host_use now = h->last;

	now.at_ns += 1000 * MS;
	now.idle_ns += idle_ms * MS;
	now.moves_ns += move_ms * MS;
	now.ran_ns += ran_ms * MS;
	now.waited_ns += waited_ms * MS;
	host_share_note(h, &now, 2);
}

static struct host_share fresh(void)
{
	struct host_share h = {.stat_fd = -1};

	host_share_note(&h, &(struct host_use){.at_ns = MS}, 2);
	return h;
}

static void nothing_is_known_until_it_was_looked_at_twice(void **state)
{
	struct host_share h = fresh();

	(void)state;
	assert_true(isinf(host_share_others(&h)));
	second(&h, 1000, 1000, 500, 0);
	assert_float_equal(host_share_others(&h), 0, 0.001);
}

/* Two processors, of which the move has a half; its threads wait for each other. */
static void what_others_take_is_told_in_shares_of_ours(void **state)
{
	struct host_share h = fresh();

	(void)state;
	second(&h, 0, 1000, 500, 1500); /* a quarter of what they want, and others have four of them */
	assert_float_equal(host_share_others(&h), 4, 0.001);
	h = fresh();
	second(&h, 0, 1900, 500, 1500); /* threads that wait for our own */
	assert_float_equal(host_share_others(&h), 0.4, 0.001);
	h = fresh();
	second(&h, 1900, 1000, 500, 0); /* more than there is: it is counted at different moments */
	assert_float_equal(host_share_others(&h), 0, 0.001);
}

static void what_was_long_ago_counts_no_more(void **state)
{
	struct host_share h = fresh();
	unsigned i;

	(void)state;
	second(&h, 0, 1000, 500, 1500);
	for (i = 0; i < 10; i++)
		second(&h, 1000, 1000, 500, 0);
	assert_float_equal(host_share_others(&h), 0, 0.01);
	for (i = 0; i < 10; i++)
		second(&h, 0, 1000, 500, 1500);
	assert_float_equal(host_share_others(&h), 4, 0.01);
}

/* A thread that has ended is missing in what the kernel tells next. */
static void a_thread_that_has_ended_hides_nobody(void **state)
{
	struct host_share h = fresh();
	struct host_use less;
	unsigned i;

	(void)state;
	second(&h, 1000, 1000, 500, 0);
	less = (struct host_use){h.last.at_ns + 1000 * MS, h.last.idle_ns, h.last.moves_ns - MS, h.last.ran_ns, h.last.waited_ns};
	host_share_note(&h, &less, 2);
	assert_float_equal(host_share_others(&h), 0, 0.001);
	for (i = 0; i < 10; i++)
		second(&h, 0, 1000, 500, 1500);
	assert_float_equal(host_share_others(&h), 4, 0.01);
}

static void threads_share_processors_and_none_is_on_two(void **state)
{
	(void)state;
	assert_float_equal(host_share_stretch(0, 2, 2), 1, 0.001);
	assert_float_equal(host_share_stretch(2, 2, 2), 2, 0.001);
	assert_float_equal(host_share_stretch(2, 2, 8), 1, 0.001);
	assert_float_equal(host_share_stretch(2, 2, 0), 4, 0.001); /* unknown counts as one */
}

/* The kernel's own figures can be read; processors that we may not run on are not tested here. */
static void this_host_can_be_looked_at(void **state)
{
	struct host_share h;
	const pid_t nobody = 0;
	uint64_t ran = 0, waited;

	(void)state;
	while (!ran) /* a process that is new has not been charged with anything yet */
		process_times(getpid(), &ran, &waited);
	host_share_open(&h);
	host_share_look(&h, &nobody, 1);
	assert_true(h.last.at_ns && h.last.idle_ns && h.last.moves_ns && h.last.moves_ns == h.last.ran_ns);
	host_share_look(&h, (const pid_t[]){getpid()}, 1);
	assert_true(h.last.moves_ns > h.last.ran_ns);
	host_share_close(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_known_until_it_was_looked_at_twice),
		cmocka_unit_test(what_others_take_is_told_in_shares_of_ours),
		cmocka_unit_test(what_was_long_ago_counts_no_more),
		cmocka_unit_test(a_thread_that_has_ended_hides_nobody),
		cmocka_unit_test(threads_share_processors_and_none_is_on_two),
		cmocka_unit_test(this_host_can_be_looked_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
