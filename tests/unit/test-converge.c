/* test-converge.c: when a move switches over. */
#include "converge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define MB 1000000ULL

/* However little is left. */
static double takes(double round_trip_ms, double journals_ms)
{
	return converge_fixed_ms(&(struct converge_fixed){.round_trip_ms = round_trip_ms, .journals_ms = journals_ms});
}

static enum converge_verdict at(struct converge *c, uint64_t pass, uint64_t ram, uint64_t disk)
{
	struct converge_sample s = {.ram_left = ram,
				    .disk_left = disk,
				    .pass = pass,
				    .rate_bps = 100.0 * MB,
				    .dirty_bps = 100.0 * MB,
				    .fixed.round_trip_ms = 1,
				    .now_ms = (double)pass * 500};

	return converge_step(c, &s);
}

static void never_switches_before_memory_was_copied_once(void **state)
{
	struct converge c;

	(void)state;
	converge_init(&c, 300);
	assert_int_equal(at(&c, 0, 0, 0), CONVERGE_GO_ON);
	assert_int_equal(at(&c, 1, 0, 0), CONVERGE_GO_ON);
	assert_int_equal(at(&c, 2, 0, 0), CONVERGE_SWITCH);
}

static void predicts_what_is_left_over_the_rate_plus_the_fixed_part(void **state)
{
	struct converge c;

	(void)state;
	converge_init(&c, 300);
	at(&c, 2, 10 * MB, 5 * MB);
	assert_float_equal(c.predicted_ms, 150 + takes(1, 0), 0.001);
	assert_true(takes(10, 0) > takes(1, 0));
	assert_float_equal(takes(1, 30), takes(1, 0) + 30, 0.001);
}

/* Data on the wire has been read and packed, but still has to arrive. */
static void what_is_on_the_wire_counts_at_the_wire_s_rate(void **state)
{
	struct converge_sample s = {.ram_left = 1 * MB,
				    .pass = 5,
				    .rate_bps = 100.0 * MB,
				    .dirty_bps = 100.0 * MB,
				    .fixed.round_trip_ms = 1,
				    .wire_left = 4 * MB,
				    .wire_bps = 10.0 * MB,
				    .now_ms = 1000};
	struct converge c;

	(void)state;
	converge_init(&c, 300);
	assert_int_equal(converge_step(&c, &s), CONVERGE_GO_ON);
	assert_float_equal(c.predicted_ms, 10 + 399 + takes(1, 0), 0.001);
	s.wire_left = MB / 10;
	assert_int_equal(converge_step(&c, &s), CONVERGE_SWITCH);
}

/* QEMU is not read until all of it is there: what counts is what the guest writes meanwhile. */
static void what_a_calm_guest_has_on_the_wire_goes_first(void **state)
{
	struct converge_sample s = {.ram_left = MB / 10,
				    .pass = 5,
				    .rate_bps = 100.0 * MB,
				    .dirty_bps = 1.0 * MB,
				    .fixed.round_trip_ms = 1,
				    .queue_left = 10 * MB,
				    .wire_left = 4 * MB,
				    .wire_bps = 10.0 * MB,
				    .now_ms = 1000};
	struct converge c;

	(void)state;
	converge_init(&c, 30);
	assert_int_equal(converge_step(&c, &s), CONVERGE_SWITCH);
	assert_float_equal(c.dry_ms, 1 + (399 + 100) / 100.0 + takes(1, 0), 0.001);
	assert_float_equal(c.predicted_ms, 1 + 399 + 100 + takes(1, 0), 0.001);
	assert_false(converge_is_dry(&c));
	s.queue_left = 0;
	converge_step(&c, &s);
	assert_false(converge_is_dry(&c));
	s.wire_left = 30000;
	converge_step(&c, &s);
	assert_true(converge_is_dry(&c));
	s.queue_left = MB;
	converge_step(&c, &s);
	assert_false(converge_is_dry(&c));
	s.dirty_bps = 10.0 * MB;
	s.wire_left = 4 * MB;
	assert_int_equal(converge_step(&c, &s), CONVERGE_GO_ON);
}

static void disks_count_as_memory_does(void **state)
{
	struct converge c;

	(void)state;
	converge_init(&c, 300);
	assert_int_equal(at(&c, 2, 1 * MB, 40 * MB), CONVERGE_GO_ON);
	assert_int_equal(at(&c, 3, 1 * MB, 1 * MB), CONVERGE_SWITCH);
}

/* A calm guest costs a moment, and the rest is carried while the guest runs. */
static void a_calm_guest_is_worth_a_moment_and_no_more(void **state)
{
	struct converge_sample s = {.ram_left = 5 * MB, .pass = 3, .rate_bps = 100.0 * MB, .dirty_bps = 1.0 * MB, .now_ms = 1000};
	struct converge c;

	(void)state;
	converge_init(&c, 100);
	assert_int_equal(converge_step(&c, &s), CONVERGE_GO_ON);
	s.ram_left = MB / 10;
	assert_int_equal(converge_step(&c, &s), CONVERGE_SWITCH);
	s.ram_left = 5 * MB;
	s.now_ms = 1550;
	assert_int_equal(converge_step(&c, &s), CONVERGE_GO_ON);
	s.now_ms = 1601;
	assert_int_equal(converge_step(&c, &s), CONVERGE_SWITCH);
}

static void goes_on_while_it_gets_better(void **state)
{
	struct converge c;
	uint64_t left = 1000 * MB, pass;

	(void)state;
	converge_init(&c, 60);
	for (pass = 2; pass < 20; pass++, left = left * 9 / 10)
		assert_int_equal(at(&c, pass, left, 0), CONVERGE_GO_ON);
}

static void says_so_when_several_passes_brought_nothing(void **state)
{
	struct converge c;
	uint64_t pass = 2;

	(void)state;
	converge_init(&c, 60);
	while (at(&c, pass, 50 * MB, 0) == CONVERGE_GO_ON)
		assert_true(++pass < 20);
	assert_true(pass > 4);
	assert_int_equal(at(&c, pass, 50 * MB, 0), CONVERGE_STALLED);
	/* the decision is taken back when the guest calms down */
	assert_int_equal(at(&c, pass + 1, 20 * MB, 0), CONVERGE_GO_ON);
	assert_int_equal(at(&c, pass + 2, 1 * MB, 0), CONVERGE_SWITCH);
}

static void many_passes_in_a_moment_are_no_stall(void **state)
{
	struct converge_sample s = {.ram_left = 1 * MB, .disk_left = 100 * MB, .pass = 2, .rate_bps = 100.0 * MB, .now_ms = 1000};
	struct converge c;

	(void)state;
	converge_init(&c, 60);
	for (; s.now_ms < 2900; s.now_ms += 25, s.pass += 25)
		assert_int_equal(converge_step(&c, &s), CONVERGE_GO_ON);
	s.now_ms = 3000;
	assert_int_equal(converge_step(&c, &s), CONVERGE_STALLED);
}

/* Far away a switchover alone takes longer than is allowed. Waiting would bring nothing, and QEMU would pass over nothing a thousand times
 * a second. */
static void what_no_waiting_makes_shorter_is_not_waited_for(void **state)
{
	struct converge_sample s = {.ram_left = 20 * MB,
				    .pass = 2,
				    .rate_bps = 100.0 * MB,
				    .dirty_bps = 100.0 * MB,
				    .fixed.round_trip_ms = 100,
				    .now_ms = 1000};
	struct converge c;

	(void)state;
	converge_init(&c, 300);
	assert_true(converge_fixed_ms(&s.fixed) > 300);
	assert_int_equal(converge_step(&c, &s), CONVERGE_GO_ON);
	assert_float_equal(c.limit_ms, takes(100, 0) + 75, 0.001);
	s.ram_left = 7 * MB;
	assert_int_equal(converge_step(&c, &s), CONVERGE_SWITCH);
	s.wire_bps = 10.0 * MB; /* bytes that are always under way over such a distance do not count as left */
	s.wire_left = MB;
	assert_int_equal(converge_step(&c, &s), CONVERGE_SWITCH);
	s.wire_left = 0;
	s.fixed.round_trip_ms = 1; /* here what was said goes */
	s.ram_left = 29 * MB;
	assert_int_equal(converge_step(&c, &s), CONVERGE_GO_ON);
	assert_float_equal(c.limit_ms, 300, 0.001);
}

/* Memory is read once more while the guest stands still, by threads that share the processors with whoever else wants them. */
static void everything_that_is_known_is_in_what_is_decided_by(void **state)
{
	struct converge_sample s =
		{.ram_left = 3 * MB, .pass = 5, .rate_bps = 100.0 * MB, .dirty_bps = 100.0 * MB, .fixed.recheck_ms = 40, .now_ms = 1000};
	struct converge c;

	(void)state;
	converge_init(&c, 100);
	assert_int_equal(converge_step(&c, &s), CONVERGE_SWITCH);
	assert_float_equal(c.dry_ms, 30 + takes(0, 0) + 40, 0.001);
	s.fixed.stretch = 2;
	assert_float_equal(converge_recheck_ms(&s.fixed), 80, 0.001);
	assert_true(converge_fixed_ms(&s.fixed) > takes(0, 0) + 80);
	assert_int_equal(converge_step(&c, &s), CONVERGE_GO_ON);
	s.fixed.urgent = true; /* only QEMU's threads wait for others */
	assert_float_equal(converge_recheck_ms(&s.fixed), 40, 0.001);
	assert_float_equal(converge_fixed_ms(&s.fixed), 14 + 0.75 + 40, 0.001);
	s.fixed.libvirts = true; /* libvirt, too */
	assert_float_equal(converge_fixed_ms(&s.fixed), 14 + 0.75 + 40 + 20 + 8, 0.001);
	s.fixed.libvirts = false;
	s.fixed.urgent = false;
	s.fixed.stretch = 0; /* 0: unknown */
	assert_float_equal(converge_recheck_ms(&s.fixed), 40, 0.001);
	s.fixed.busy_there = 5; /* the destination has to load what comes */
	assert_int_equal(converge_step(&c, &s), CONVERGE_GO_ON);
}

static void without_a_rate_it_switches_only_if_nothing_is_left(void **state)
{
	struct converge_sample s = {.pass = 5, .fixed.round_trip_ms = 1, .ram_left = MB};
	struct converge c;

	(void)state;
	converge_init(&c, 300);
	assert_int_equal(converge_step(&c, &s), CONVERGE_GO_ON);
	s.queue_left = s.wire_left = MB; /* an unknown rest is not waited for */
	assert_int_equal(converge_step(&c, &s), CONVERGE_GO_ON);
	assert_true(converge_is_dry(&c));
	s.ram_left = s.queue_left = s.wire_left = 0; /* a guest that writes nothing at all */
	assert_int_equal(converge_step(&c, &s), CONVERGE_SWITCH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(never_switches_before_memory_was_copied_once),
		cmocka_unit_test(predicts_what_is_left_over_the_rate_plus_the_fixed_part),
		cmocka_unit_test(what_is_on_the_wire_counts_at_the_wire_s_rate),
		cmocka_unit_test(what_a_calm_guest_has_on_the_wire_goes_first),
		cmocka_unit_test(disks_count_as_memory_does),
		cmocka_unit_test(a_calm_guest_is_worth_a_moment_and_no_more),
		cmocka_unit_test(goes_on_while_it_gets_better),
		cmocka_unit_test(says_so_when_several_passes_brought_nothing),
		cmocka_unit_test(many_passes_in_a_moment_are_no_stall),
		cmocka_unit_test(what_no_waiting_makes_shorter_is_not_waited_for),
		cmocka_unit_test(everything_that_is_known_is_in_what_is_decided_by),
		cmocka_unit_test(without_a_rate_it_switches_only_if_nothing_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
