/* bench-heartbeat.c: see bench-heartbeat.h. */
#include "bench-heartbeat.h"

#include "util.h"

#include <string.h>

#define LATE_NS 1000000000ULL /* no datagram is overtaken by so much */

/* ---- gaps ---- */

struct gap_list {
	struct gap *gaps; /* the longest first */
	size_t count, max;
	uint64_t from_ns, to_ns;
};

static void gap_add(struct gap_list *list, uint64_t begin_ns, uint64_t end_ns)
{
	struct gap gap = {begin_ns, end_ns - begin_ns};
	size_t i;

	if (end_ns <= begin_ns || end_ns <= list->from_ns || begin_ns >= list->to_ns)
		return;
	if (list->count == list->max && (!list->max || list->gaps[list->max - 1].ns >= gap.ns))
		return;
	if (list->count < list->max)
		list->count++;
	for (i = list->count - 1; i > 0 && list->gaps[i - 1].ns < gap.ns; i--)
		list->gaps[i] = list->gaps[i - 1];
	list->gaps[i] = gap;
}

size_t beats_gaps(const struct beat *beats, size_t count, uint64_t from_ns, uint64_t to_ns, struct gap *out, size_t max)
{
	struct gap_list list = {out, 0, max, from_ns, to_ns};
	uint64_t last_ns = from_ns, highest = 0;

	for (size_t i = 0; i < count; i++) {
		if (i && beats[i].sequence <= highest)
			continue;
		highest = beats[i].sequence;
		gap_add(&list, last_ns, beats[i].at_ns);
		last_ns = beats[i].at_ns;
	}
	gap_add(&list, last_ns, to_ns);
	return list.count;
}

bool beats_go_on(const struct beat *beats, size_t count, uint64_t after_ns)
{
	const struct beat *newest = NULL;

	for (size_t i = 0; i < count; i++) {
		const struct beat *b = &beats[i];

		if (newest && b->guest_ns + LATE_NS < newest->guest_ns)
			return false;
		if (newest && (b->sequence <= newest->sequence || b->guest_ns <= newest->guest_ns))
			continue;
		if (newest && b->at_ns >= after_ns)
			return true;
		newest = b;
	}
	return false;
}

/* ---- numbers ---- */

static int compare_numbers(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

struct beat_count beats_count(const struct beat *beats, size_t count, uint64_t from_ns, uint64_t to_ns)
{
	AUTO_FREE uint64_t *numbers = xmalloc(count * sizeof(*numbers));
	struct beat_count c = {0};
	size_t n = 0, i;

	for (i = 0; i < count; i++)
		if (beats[i].at_ns >= from_ns && beats[i].at_ns < to_ns)
			numbers[n++] = beats[i].sequence;
	if (!n)
		return c;
	qsort(numbers, n, sizeof(*numbers), compare_numbers);
	for (i = 0; i < n; i++)
		c.received += !i || numbers[i] != numbers[i - 1];
	c.lost = numbers[n - 1] - numbers[0] - (c.received - 1);
	c.sent = c.received + c.lost;
	return c;
}

/* ---- work ---- */

/* Turns the counters that a step ended with into what was done in it. */
static uint64_t take_done(uint64_t *counter, uint64_t *before)
{
	uint64_t end = *counter;

	*counter = end > *before ? end - *before : 0;
	return MAX(end, *before);
}

void beats_steps(const struct beat *beats, size_t count, uint64_t from_ns, uint64_t step_ns, struct beat_step *out, size_t steps)
{
	uint64_t ram_before = 0, disk_before = 0;

	memset(out, 0, steps * sizeof(*out));
	for (size_t i = 0; i < count; i++) {
		const struct beat *b = &beats[i];
		struct beat_step *step;

		if (!i || b->at_ns < from_ns) { /* nothing is known of what was done before the first */
			ram_before = MAX(ram_before, b->ram_ops);
			disk_before = MAX(disk_before, b->disk_ops);
		}
		if (b->at_ns < from_ns || (b->at_ns - from_ns) / step_ns >= steps)
			continue;
		step = &out[(b->at_ns - from_ns) / step_ns];
		step->beats++;
		step->ram_ops = MAX(step->ram_ops, b->ram_ops);
		step->disk_ops = MAX(step->disk_ops, b->disk_ops);
	}
	for (size_t i = 0; i < steps; i++) {
		if (!out[i].beats)
			continue;
		ram_before = take_done(&out[i].ram_ops, &ram_before);
		disk_before = take_done(&out[i].disk_ops, &disk_before);
	}
}
