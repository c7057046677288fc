/* test-codec-choice.c: how much work --codec auto spends on contents, batch by batch, on a model of a channel and its link. */
#include "codec-choice.h"
#include "util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MB     1000000ULL
#define MS     1000000ULL
#define BATCH  (256 * KIB)
#define FRAMES 25 /* frames that the window holds, whatever is in them */

/* A kind of content: the part that is left of it, and the CPU seconds per GiB that this takes, by effort. */
struct content {
	double part[4], cpu_s[4];
};

static const struct content living = {{1, 0.36, 0.27, 0.25}, {0, 1.4, 2.4, 4.2}};
static const struct content noise = {{1, 1, 1, 1}, {0, 0.02, 0.03, 0.05}}; /* hardly ever tried */

struct model {
	const struct content *content;
	double link_bps, content_cpu_s, wire_cpu_s; /* per GiB, for everything else that is done to a byte */
	bool peer_is_slow;
	int fixed; /* an effort; -1: as it is chosen */
	unsigned used[4];
};

/* Content bytes per second over so many batches. */
static double runs(struct model *m, unsigned batches)
{
	double now_s = 1, waits = 0, frames[FRAMES] = {0}, given = 0;
	struct codec_choice c;
	bool full = false;
	unsigned i, oldest;

	memset(m->used, 0, sizeof(m->used));
	codec_choice_init(&c, (uint64_t)(now_s * 1e9));
	for (i = 0; i < batches; i++) {
		struct codec_sample s = {.now_ns = (uint64_t)(now_s * 1e9),
					 .given_bytes = (uint64_t)given,
					 .backlog_bytes = (uint64_t)waits,
					 .window_bytes = FRAMES * BATCH,
					 .window_was_full = full,
					 .peer_is_slow = m->peer_is_slow};
		enum codec_effort e = m->fixed < 0 ? codec_choice_step(&c, &s) : (enum codec_effort)m->fixed;
		double bytes = BATCH * m->content->part[e], space, s_spent;

		/* the frame that is FRAMES older must have left */
		oldest = i % FRAMES;
		for (space = 0, s_spent = 0; s_spent < FRAMES - 1; s_spent++)
			space += frames[(oldest + 1 + (unsigned)s_spent) % FRAMES];
		full = waits > space;
		if (full)
			now_s += (waits - space) / m->link_bps, waits = space;
		s_spent = (BATCH * (m->content_cpu_s + m->content->cpu_s[e]) + bytes * m->wire_cpu_s) / (double)GIB;
		now_s += s_spent;
		waits = MAX(waits - s_spent * m->link_bps, 0) + bytes;
		given += bytes;
		frames[oldest] = bytes;
		m->used[e]++;
	}
	return (double)batches * BATCH / (now_s - 1);
}

static void it_carries_about_as_much_as_the_best_of_all(void **state)
{
	static const double links_mb[] = {6, 12, 31, 62, 125, 190, 250, 375, 600, 1250, 4000};
	static const double cpu_s[][2] = {{0.25, 0.5}, {0.6, 0.4}, {0.1, 0.1}, {1.2, 1.0}};
	const struct content *const contents[] = {&living, &noise};
	unsigned failed = 0;
	size_t i, j, k;
	int e;

	(void)state;
	for (i = 0; i < ARRAY_LEN(links_mb) * ARRAY_LEN(cpu_s) * ARRAY_LEN(contents); i++) {
		double best = 0, got;
		struct model m = {0};

		j = i / ARRAY_LEN(links_mb) % ARRAY_LEN(cpu_s), k = i / ARRAY_LEN(links_mb) / ARRAY_LEN(cpu_s);
		m.content = contents[k];
		m.link_bps = links_mb[i % ARRAY_LEN(links_mb)] * 1e6;
		m.content_cpu_s = cpu_s[j][0], m.wire_cpu_s = cpu_s[j][1];
		for (e = 0; e < 4; e++)
			m.fixed = e, best = MAX(best, runs(&m, 8000));
		m.fixed = -1;
		got = runs(&m, 8000);
		if (got < 0.9 * best)
			failed++,
				print_error(
					"%s, %.0f MB/s, CPU %.2f + %.2f s/GiB: %.0f MB/s, the best has %.0f (batches by effort: %u %u %u %u)\n",
					k ? "noise" : "living", m.link_bps / 1e6, m.content_cpu_s, m.wire_cpu_s, got / 1e6, best / 1e6,
					m.used[0], m.used[1], m.used[2], m.used[3]);
	}
	assert_int_equal(failed, 0);
}

static void a_mixture_carries_more_than_any_of_its_parts(void **state)
{
	struct model m = {.content = &living, .link_bps = 600e6, .content_cpu_s = 0.25, .wire_cpu_s = 0.5};
	double best = 0;
	int e;

	(void)state;
	for (e = 0; e < 4; e++)
		m.fixed = e, best = MAX(best, runs(&m, 8000));
	m.fixed = -1;
	assert_true(runs(&m, 8000) > 1.2 * best);
	assert_true(m.used[EFFORT_NONE] > 2000 && m.used[EFFORT_LZ4] > 2000);
}

static void a_link_that_keeps_up_is_not_compressed_for(void **state)
{
	struct model m = {.content = &living, .link_bps = 5e9, .content_cpu_s = 0.25, .wire_cpu_s = 0.5, .fixed = -1};

	(void)state;
	runs(&m, 2000);
	assert_true(m.used[EFFORT_NONE] > 1950);
}

static void a_slow_link_soon_has_all_there_is(void **state)
{
	struct model m = {.content = &living, .link_bps = 12.5e6, .content_cpu_s = 0.25, .wire_cpu_s = 0.5, .fixed = -1};

	(void)state;
	runs(&m, 2000);
	assert_true(m.used[EFFORT_ZSTD_HARD] > 1900);
}

/* The peer is short of CPU, and unpacking would take more. */
static void a_slow_peer_is_not_compressed_for(void **state)
{
	struct model m = {.content = &living, .link_bps = 20e6, .content_cpu_s = 0.25, .peer_is_slow = true, .fixed = -1};
	struct codec_sample s = {.now_ns = 1000 * MS, .window_bytes = 8 * MIB};
	struct codec_choice c;
	unsigned i;

	(void)state;
	runs(&m, 2000);
	assert_int_equal(m.used[EFFORT_LZ4], 2000);

	codec_choice_init(&c, s.now_ns);
	for (i = 0; i < 300; i++, s.now_ns += 10 * MS, s.given_bytes += MB / 5) /* 20 MB/s */
		s.backlog_bytes = 6 * MB, codec_choice_step(&c, &s);
	assert_int_equal(c.now, EFFORT_ZSTD_HARD);
	s.peer_is_slow = true;
	for (i = 0; i < 4; i++, s.now_ns += 10 * MS, s.given_bytes += MB / 5)
		assert_int_equal(codec_choice_step(&c, &s), EFFORT_ZSTD_HARD); /* a moment of it is nothing */
	for (i = 0; i < 100; i++, s.now_ns += 10 * MS, s.given_bytes += MB / 5)
		codec_choice_step(&c, &s);
	assert_int_equal(c.now, EFFORT_LZ4);
}

/* Between two rounds nothing is sent, which says nothing of the network. */
static void what_the_network_takes_is_not_forgotten_in_a_pause(void **state)
{
	struct codec_sample s = {.now_ns = 1000 * MS, .window_bytes = 8 * MIB};
	struct codec_choice c;
	double before;
	unsigned i;

	(void)state;
	codec_choice_init(&c, s.now_ns);
	for (i = 0; i < 100; i++, s.now_ns += 10 * MS, s.given_bytes += MB)
		s.backlog_bytes = MB, codec_choice_step(&c, &s);
	before = c.channel[0].drain_bps;
	assert_in_range((uint64_t)before, 95 * MB, 105 * MB);
	s.backlog_bytes = 0;
	for (i = 0; i < 100; i++, s.now_ns += 10 * MS)
		codec_choice_step(&c, &s);
	assert_true(c.channel[0].drain_bps >= before);
	for (i = 0; i < 40; i++, s.now_ns += 10 * MS, s.given_bytes += MB)
		s.backlog_bytes = MB, codec_choice_step(&c, &s);
	assert_int_equal(c.now, EFFORT_ZSTD);
}

/* n samples of 10 ms in each of which so many bytes are given, and one MB waits; idle_of of 10 of them find the network idle. */
static void feed(struct codec_choice *c, struct codec_sample *s, unsigned n, uint64_t bytes, unsigned idle_of)
{
	unsigned i;

	for (i = 0; i < n; i++, s->now_ns += 10 * MS, s->given_bytes += bytes) {
		s->backlog_bytes = MB;
		s->network_is_idle = i % 10 < idle_of;
		codec_choice_step(c, s);
	}
}

/* A network that takes 100 MB/s, and is given as much. */
static void find_slow(struct codec_choice *c, struct codec_sample *s)
{
	codec_choice_init(c, s->now_ns);
	feed(c, s, 100, MB, 1);
	assert_int_equal(c->now, EFFORT_ZSTD);
}

/* Little leaves, as processors are short: what waits does so in our own hands, while the network has taken all that it was given. */
static void an_idle_network_is_not_compressed_for_however_little_leaves(void **state)
{
	struct codec_sample s = {.now_ns = 1000 * MS, .window_bytes = 8 * MIB};
	struct codec_choice c;

	(void)state;
	codec_choice_init(&c, s.now_ns);
	feed(&c, &s, 100, MB / 2, 9);
	assert_int_equal(c.now, EFFORT_NONE);
}

/* zstd made it so: less of that, and more again when the network has as much as it takes. */
static void a_slow_network_that_becomes_idle_is_compressed_for_less(void **state)
{
	struct codec_sample s = {.now_ns = 1000 * MS, .window_bytes = 8 * MIB};
	struct codec_choice c;

	(void)state;
	find_slow(&c, &s);
	feed(&c, &s, 30, MB / 2, 9);
	assert_int_equal(c.now, EFFORT_LZ4); /* LZ4, not none, as none is known to be slow */
	feed(&c, &s, 60, MB, 1);
	assert_int_equal(c.now, EFFORT_ZSTD);
}

/* After a pause nothing waits, and the network is idle: as at the end of a copy, when all that the guest writes is sent at once. */
static void a_slow_network_is_compressed_for_after_a_pause(void **state)
{
	struct codec_sample s = {.now_ns = 1000 * MS, .window_bytes = 8 * MIB};
	struct codec_choice c;
	unsigned i;

	(void)state;
	find_slow(&c, &s);
	s.network_is_idle = true;
	for (i = 0; i < 300; i++, s.now_ns += 10 * MS, s.given_bytes += MB / 10) {
		s.backlog_bytes = i % 4 * (MB / 40);
		assert_true(codec_choice_step(&c, &s) >= EFFORT_LZ4);
	}
}

/* Over 100 Mb/s few frames leave in a tenth of a second: what leaves in one says little of the effort. */
static void a_few_frames_do_not_tell_what_an_effort_is_worth(void **state)
{
	struct codec_sample s = {.now_ns = 1000 * MS, .window_bytes = 8 * MIB};
	struct codec_choice c;
	unsigned i, hard = 0;

	(void)state;
	codec_choice_init(&c, s.now_ns);
	for (i = 0; i < 4000; i++) { /* 40 s at 12 MB/s, which come in bursts */
		feed(&c, &s, 1, i < 30 || i / 30 % 2 ? 180000 : 60000, 0);
		hard += c.now == EFFORT_ZSTD_HARD;
	}
	assert_true(hard > 3900);
}

/* The connection was only starting, or shared with others that have left: with LZ4 the network is idle now, though there is always more to
 * send. */
static void a_network_that_is_slow_no_more_is_found_out(void **state)
{
	struct codec_sample s = {.now_ns = 1000 * MS, .window_bytes = 8 * MIB};
	struct codec_choice c;

	(void)state;
	find_slow(&c, &s);
	feed(&c, &s, 50, MB, 9);
	assert_int_equal(c.now, EFFORT_ZSTD); /* a moment of it is nothing */
	feed(&c, &s, 250, MB, 9);
	assert_int_equal(c.now, EFFORT_NONE);

	s = (struct codec_sample){.now_ns = 1000 * MS, .window_bytes = 8 * MIB};
	find_slow(&c, &s);
	feed(&c, &s, 50, 2 * MB, 9); /* more than it ever took: no balance; but so little time is nothing either */
	assert_int_equal(c.now, EFFORT_LZ4);
	feed(&c, &s, 50, 2 * MB, 9);
	assert_int_equal(c.now, EFFORT_NONE);
}

/* The number of samples with zstd, during which the network is idle and so many bytes leave; with a lower effort it is full. */
static unsigned with_zstd(struct codec_choice *c, struct codec_sample *s, unsigned samples, uint64_t bytes)
{
	unsigned i, n = 0;

	for (i = 0; i < samples; i++) {
		bool hard = c->now > EFFORT_LZ4;

		feed(c, s, 1, hard ? bytes : MB, hard);
		n += c->now > EFFORT_LZ4;
	}
	return n;
}

/* Tried, found to be what is waited for, and tried again after longer and longer. */
static void what_leaves_a_slow_network_idle_is_seldom_tried_again(void **state)
{
	struct codec_sample s = {.now_ns = 1000 * MS, .window_bytes = 8 * MIB};
	struct codec_choice c;

	(void)state;
	codec_choice_init(&c, s.now_ns);
	assert_in_range(with_zstd(&c, &s, 500, MB / 2), 1, 119);
}

/* The network is just full and nothing waits, so a higher effort gains nothing. */
static void what_just_fills_a_slow_network_stays(void **state)
{
	struct codec_sample s = {.now_ns = 1000 * MS, .window_bytes = 8 * MIB};
	struct codec_choice c;

	(void)state;
	find_slow(&c, &s);
	assert_in_range(with_zstd(&c, &s, 2000, MB * 9 / 10), 1400, 1900); /* with less, now and then, to see */
}

/* With LZ4 it is neither idle nor has it all that it takes: nothing says that more work would help. And what was chosen stays. */
static void a_network_that_is_idle_now_and_then_changes_nothing(void **state)
{
	struct codec_sample s = {.now_ns = 1000 * MS, .window_bytes = 8 * MIB};
	struct codec_choice c;

	(void)state;
	codec_choice_init(&c, s.now_ns);
	feed(&c, &s, 100, MB, 5);
	assert_true(c.now <= EFFORT_LZ4);
	feed(&c, &s, 100, MB, 1);
	assert_int_equal(c.now, EFFORT_ZSTD);
	feed(&c, &s, 100, MB, 5);
	assert_int_equal(c.now, EFFORT_ZSTD);
}

/* A limit that is set in the middle of a move. */
static void a_limit_counts_at_once_as_what_the_network_takes(void **state)
{
	struct codec_sample s = {.now_ns = 1000 * MS, .window_bytes = 8 * MIB};
	struct codec_choice c;

	(void)state;
	codec_choice_init(&c, s.now_ns);
	feed(&c, &s, 100, 10 * MB, 1);
	assert_true(c.now <= EFFORT_LZ4);
	s.limit_bps = 20 * MB;
	feed(&c, &s, 100, MB / 5, 0);
	assert_int_equal(c.now, EFFORT_ZSTD_HARD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_carries_about_as_much_as_the_best_of_all),
		cmocka_unit_test(a_mixture_carries_more_than_any_of_its_parts),
		cmocka_unit_test(a_link_that_keeps_up_is_not_compressed_for),
		cmocka_unit_test(a_slow_link_soon_has_all_there_is),
		cmocka_unit_test(a_slow_peer_is_not_compressed_for),
		cmocka_unit_test(what_the_network_takes_is_not_forgotten_in_a_pause),
		cmocka_unit_test(an_idle_network_is_not_compressed_for_however_little_leaves),
		cmocka_unit_test(a_slow_network_that_becomes_idle_is_compressed_for_less),
		cmocka_unit_test(a_slow_network_is_compressed_for_after_a_pause),
		cmocka_unit_test(a_few_frames_do_not_tell_what_an_effort_is_worth),
		cmocka_unit_test(a_network_that_is_slow_no_more_is_found_out),
		cmocka_unit_test(what_leaves_a_slow_network_idle_is_seldom_tried_again),
		cmocka_unit_test(what_just_fills_a_slow_network_stays),
		cmocka_unit_test(a_network_that_is_idle_now_and_then_changes_nothing),
		cmocka_unit_test(a_limit_counts_at_once_as_what_the_network_takes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
