/* test-bench-heartbeat.c: gaps, losses and work from beats as they arrived. */
#include "bench-heartbeat.h"
#include "util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define MS 1000000ULL
#define T0 (1000 * MS)

/* Beats at T0 + ms, each with its number; ram_ops are ten per number, disk_ops one. */
static struct beat beat(uint64_t ms, uint64_t sequence)
{
	return (struct beat){T0 + ms * MS, sequence, ms * MS, 10 * sequence, sequence};
}

static void gaps_are_the_longest_silences_the_longest_first(void **state)
{
	struct beat b[] = {beat(0, 1), beat(1, 2), beat(41, 3), beat(42, 4), beat(142, 5), beat(143, 6), beat(150, 7)};
	struct gap gaps[4];

	(void)state;
	assert_int_equal(beats_gaps(b, ARRAY_LEN(b), T0, T0 + 151 * MS, gaps, 3), 3);
	assert_int_equal(gaps[0].ns, 100 * MS);
	assert_int_equal(gaps[0].begin_ns, T0 + 42 * MS);
	assert_int_equal(gaps[1].ns, 40 * MS);
	assert_int_equal(gaps[1].begin_ns, T0 + 1 * MS);
	assert_int_equal(gaps[2].ns, 7 * MS);
	assert_int_equal(beats_gaps(b, ARRAY_LEN(b), T0, T0 + 151 * MS, gaps, 1), 1);
	assert_int_equal(gaps[0].ns, 100 * MS);
	assert_int_equal(beats_gaps(b, ARRAY_LEN(b), T0, T0 + 151 * MS, gaps, 0), 0);
}

static void a_guest_goes_on_if_it_counts_on(void **state)
{
	struct beat on[] = {beat(0, 7), beat(1, 8), beat(200, 9)}, anew[] = {beat(0, 7), beat(1, 8), beat(200, 1), beat(201, 2)};
	struct beat late[] = {beat(0, 7), beat(1, 9), beat(200, 8)}, back[] = {beat(0, 7), beat(1, 8), beat(200, 9)};
	struct beat young[4];
	unsigned i;

	(void)state;
	assert_true(beats_go_on(on, ARRAY_LEN(on), T0 + 100 * MS));
	assert_true(beats_go_on(on, ARRAY_LEN(on), T0 + 200 * MS));
	assert_false(beats_go_on(on, ARRAY_LEN(on), T0 + 201 * MS));
	assert_false(beats_go_on(on, 2, T0 + 100 * MS));
	assert_false(beats_go_on(on, 0, T0));
	assert_false(beats_go_on(anew, ARRAY_LEN(anew), T0 + 100 * MS));
	assert_false(beats_go_on(late, ARRAY_LEN(late), T0 + 100 * MS));
	back[2].guest_ns = 0; /* the guest's clock has not gone on */
	assert_false(beats_go_on(back, ARRAY_LEN(back), T0 + 100 * MS));
	for (i = 0; i < 4; i++) /* young guests: the new one is older now than that before became */
		young[i] =
			(struct beat){.at_ns = T0 + i * 1500 * MS, .sequence = 10 + i / 2, .guest_ns = (i < 2 ? 2 + i : i - 2) * 1000 * MS};
	young[3].sequence = 99, young[3].guest_ns = 9000 * MS;
	assert_false(beats_go_on(young, ARRAY_LEN(young), T0 + 4000 * MS));
}

static void gaps_that_reach_into_the_time_asked_for_are_given_whole(void **state)
{
	struct beat b[] = {beat(0, 1), beat(100, 2), beat(101, 3), beat(102, 4), beat(152, 5)};
	struct gap gaps[4];

	(void)state;
	assert_int_equal(beats_gaps(b, ARRAY_LEN(b), T0 + 90 * MS, T0 + 101 * MS, gaps, 4), 2);
	assert_int_equal(gaps[0].ns, 100 * MS);
	assert_int_equal(beats_gaps(b, ARRAY_LEN(b), T0 + 101 * MS, T0 + 102 * MS, gaps, 4), 1);
	assert_int_equal(gaps[0].ns, 1 * MS);
}

static void guest_that_is_heard_no_more_has_a_gap_until_the_end(void **state)
{
	struct beat b[] = {beat(5, 1), beat(6, 2)};
	struct gap gaps[2];

	(void)state;
	assert_int_equal(beats_gaps(b, ARRAY_LEN(b), T0, T0 + 506 * MS, gaps, 2), 2);
	assert_int_equal(gaps[0].begin_ns, T0 + 6 * MS);
	assert_int_equal(gaps[0].ns, 500 * MS);
	assert_int_equal(gaps[1].begin_ns, T0);
	assert_int_equal(gaps[1].ns, 5 * MS);
	assert_int_equal(beats_gaps(NULL, 0, T0, T0 + 10 * MS, gaps, 2), 1);
	assert_int_equal(gaps[0].ns, 10 * MS);
}

static void doubles_and_stragglers_are_no_news_and_end_no_gap(void **state)
{
	struct beat b[] = {beat(0, 7), beat(1, 8), beat(50, 8), beat(60, 7), beat(101, 9), beat(102, 10)};
	struct gap gap;

	(void)state;
	assert_int_equal(beats_gaps(b, ARRAY_LEN(b), T0, T0 + 103 * MS, &gap, 1), 1);
	assert_int_equal(gap.ns, 100 * MS);
	assert_int_equal(gap.begin_ns, T0 + 1 * MS);
}

static void clock_that_is_set_back_makes_no_gap(void **state)
{
	struct beat b[] = {beat(5000, 1), beat(1, 2), beat(2, 3)};
	struct gap gap;

	(void)state;
	assert_int_equal(beats_gaps(b, ARRAY_LEN(b), T0 + 1 * MS, T0 + 3 * MS, &gap, 1), 1);
	assert_true(gap.ns <= 5000 * MS);
}

static void lost_ones_are_those_between_the_first_and_the_last_that_never_came(void **state)
{
	struct beat b[] = {beat(0, 10), beat(1, 12), beat(2, 11), beat(3, 12), beat(4, 15), beat(5, 20)};
	struct beat_count c = beats_count(b, ARRAY_LEN(b), T0, T0 + 10 * MS);

	(void)state;
	assert_int_equal(c.received, 5);
	assert_int_equal(c.lost, 6);
	assert_int_equal(c.sent, 11);
	c = beats_count(b, ARRAY_LEN(b), T0, T0 + 4 * MS);
	assert_int_equal(c.received, 3);
	assert_int_equal(c.lost, 0);
	c = beats_count(b, ARRAY_LEN(b), T0 + 100 * MS, T0 + 200 * MS);
	assert_int_equal(c.sent, 0);
}

static void numbers_at_the_ends_of_their_range_do_no_harm(void **state)
{
	struct beat b[] = {beat(0, 0), beat(1, UINT64_MAX), beat(2, 5)};
	struct beat_count c = beats_count(b, ARRAY_LEN(b), 0, UINT64_MAX);
	struct beat_step steps[3];
	struct gap gap;

	(void)state;
	assert_int_equal(c.received, 3);
	assert_int_equal(c.lost, UINT64_MAX - 2);
	assert_int_equal(beats_gaps(b, ARRAY_LEN(b), 0, UINT64_MAX, &gap, 1), 1);
	beats_steps(b, ARRAY_LEN(b), 0, 1, steps, ARRAY_LEN(steps));
	assert_int_equal(steps[0].beats, 0);
}

static void work_of_a_step_is_what_was_done_since_the_last_beat_before_it(void **state)
{
	struct beat b[] = {beat(0, 1), beat(1, 2), beat(10, 4), beat(11, 3), beat(19, 5), beat(35, 9), beat(40, 10), beat(99, 11)};
	struct beat_step s[4];

	(void)state;
	beats_steps(b, ARRAY_LEN(b), T0 + 1 * MS, 10 * MS, s, ARRAY_LEN(s));
	assert_int_equal(s[0].beats, 2); /* numbers 2 and 4; number 1 came before */
	assert_int_equal(s[0].ram_ops, 30);
	assert_int_equal(s[0].disk_ops, 3);
	assert_int_equal(s[1].beats, 2); /* the straggler, and 5 */
	assert_int_equal(s[1].disk_ops, 1);
	assert_int_equal(s[2].beats, 0);
	assert_int_equal(s[3].beats, 2);
	assert_int_equal(s[3].disk_ops, 5);
}

static void work_before_the_first_beat_belongs_to_no_step(void **state)
{
	struct beat b[] = {beat(0, 1000), beat(1, 1003)};
	struct beat_step s[2];

	(void)state;
	beats_steps(b, ARRAY_LEN(b), T0, 10 * MS, s, ARRAY_LEN(s));
	assert_int_equal(s[0].disk_ops, 3);
	assert_int_equal(s[1].beats, 0);
}

static void counters_that_go_back_are_no_work(void **state)
{
	struct beat b[] = {beat(0, 1000), beat(11, 1001)};
	struct beat_step s[2];

	(void)state;
	b[1].ram_ops = 3;
	beats_steps(b, ARRAY_LEN(b), T0, 10 * MS, s, ARRAY_LEN(s));
	assert_int_equal(s[1].ram_ops, 0);
	assert_int_equal(s[1].disk_ops, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gaps_are_the_longest_silences_the_longest_first),
		cmocka_unit_test(a_guest_goes_on_if_it_counts_on),
		cmocka_unit_test(gaps_that_reach_into_the_time_asked_for_are_given_whole),
		cmocka_unit_test(guest_that_is_heard_no_more_has_a_gap_until_the_end),
		cmocka_unit_test(doubles_and_stragglers_are_no_news_and_end_no_gap),
		cmocka_unit_test(clock_that_is_set_back_makes_no_gap),
		cmocka_unit_test(lost_ones_are_those_between_the_first_and_the_last_that_never_came),
		cmocka_unit_test(numbers_at_the_ends_of_their_range_do_no_harm),
		cmocka_unit_test(work_of_a_step_is_what_was_done_since_the_last_beat_before_it),
		cmocka_unit_test(work_before_the_first_beat_belongs_to_no_step),
		cmocka_unit_test(counters_that_go_back_are_no_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
