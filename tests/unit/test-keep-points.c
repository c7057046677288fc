/* test-keep-points.c: which points of a replica stay: cases by hand, and what must hold of any list of points. */
#include "keep-points.h"
#include "util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define POINTS_MAX 300
#define RUNS	   400

static struct err e;

static struct keep_rule parsed(const char *text)
{
	struct keep_rule k = {99, 99};

	if (keep_rule_parse(text, &k, &e))
		fail_msg("%s", e.msg);
	return k;
}

static void words_say_how_many_are_kept(void **state)
{
	static const char *const wrong[] = {"",		  "0",	      "-1",	      "+3",  "12,",   "12,hourly",
					    "12,hourly:", "hourly:3", "12,hourly:3x", "401", "99999", "12, hourly:3",
					    "3 "};
	struct keep_rule k = parsed("12");
	size_t i;

	(void)state;
	assert_int_equal(k.newest, 12);
	assert_int_equal(k.hourly, 0);
	k = parsed("1,hourly:24");
	assert_int_equal(k.newest, 1);
	assert_int_equal(k.hourly, 24);
	for (i = 0; i < ARRAY_LEN(wrong); i++)
		if (keep_rule_parse(wrong[i], &k, &e) != -EINVAL)
			fail_msg("'%s' is taken", wrong[i]);
	assert_int_equal(k.newest, 1);
}

static void the_newest_of_each_hour_stay(void **state)
{
	/* two in the first hour, one in the second, none in the third, three in the fourth */
	static const int64_t times[] = {100, 200, 3700, 10900, 11000, 11100};
	static const struct {
		const char *keep, *dropped; /* x: goes */
	} cases[] = {
		{"6", "......"},	  {"2", "xxxx.."},	    {"1", "xxxxx."},	      {"1,hourly:1", "xxxxx."},
		{"1,hourly:2", "xx.xx."}, {"1,hourly:3", "x..xx."}, {"2,hourly:9", "x..x.."},
	};
	bool drop[6];
	size_t i, k;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		struct keep_rule keep = parsed(cases[i].keep);

		keep_rule_choose(&keep, times, 6, drop);
		for (k = 0; k < 6; k++)
			if (drop[k] != (cases[i].dropped[k] == 'x'))
				fail_msg("keep %s: point %zu", cases[i].keep, k);
	}
}

static size_t drop_from(const struct keep_rule *k, int64_t *times, size_t n)
{
	bool drop[POINTS_MAX];
	size_t i, left = 0;

	keep_rule_choose(k, times, n, drop);
	for (i = 0; i < n; i++)
		if (!drop[i])
			times[left++] = times[i];
	return left;
}

/* Points come at odd intervals, and the clock may be set back by less than the hours that are kept. */
static size_t make_times(int64_t *times, bool steps_back)
{
	size_t n = 1 + (size_t)rand() % POINTS_MAX, i;
	int64_t at = 1700000000;

	for (i = 0; i < n; i++) {
		at += rand() % 10 ? rand() % 900 : rand() % 20000;
		if (steps_back && !(rand() % 20))
			at -= rand() % 7200;
		times[i] = at;
	}
	return n;
}

static void any_list_keeps_what_it_must(void **state)
{
	int64_t times[POINTS_MAX], kept[POINTS_MAX];
	unsigned run;
	size_t n, left, i;

	(void)state;
	srand(7);
	for (run = 0; run < RUNS; run++) {
		struct keep_rule k = {1 + (unsigned)rand() % 20, (unsigned)rand() % 30};

		n = make_times(times, run % 2);
		memcpy(kept, times, sizeof(kept));
		left = drop_from(&k, kept, n);
		assert_true(left >= MIN(n, k.newest) && left <= k.newest + k.hourly);
		for (i = 1; i <= MIN(n, k.newest); i++)
			assert_int_equal(kept[left - i], times[n - i]);
		assert_int_equal(drop_from(&k, kept, left), left);
	}
}

static void after_each_point_or_after_many_is_the_same(void **state)
{
	int64_t times[POINTS_MAX], at_once[POINTS_MAX], one_by_one[POINTS_MAX];
	unsigned run;
	size_t n, a, b, i;

	(void)state;
	srand(8);
	for (run = 0; run < RUNS; run++) {
		struct keep_rule k = {1 + (unsigned)rand() % 20, (unsigned)rand() % 30};

		n = make_times(times, false);
		memcpy(at_once, times, sizeof(at_once));
		a = drop_from(&k, at_once, n);
		for (i = b = 0; i < n; i++) {
			one_by_one[b++] = times[i];
			b = drop_from(&k, one_by_one, b);
		}
		assert_int_equal(a, b);
		assert_memory_equal(at_once, one_by_one, a * sizeof(*at_once));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_say_how_many_are_kept),
		cmocka_unit_test(the_newest_of_each_hour_stay),
		cmocka_unit_test(any_list_keeps_what_it_must),
		cmocka_unit_test(after_each_point_or_after_many_is_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
