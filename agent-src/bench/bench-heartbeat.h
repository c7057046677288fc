/*
 * bench-heartbeat.h: what a guest's heartbeat says of it: when it was not heard, what was lost, how fast its load went.
 *
 * Pure. A beat is one datagram of the witness in the test guest (tests/guest/witness-net.c), which sends one each millisecond,
 * with the time at which the kernel got it. Beats come as they arrived: some may be lost, doubled or overtaken, and what is in
 * them is a guest's word.
 */
#ifndef VMFERRY_BENCH_HEARTBEAT_H
#define VMFERRY_BENCH_HEARTBEAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct beat {
	uint64_t at_ns; /* CLOCK_REALTIME */
	uint64_t sequence, guest_ns;
	uint64_t ram_ops, disk_ops; /* pages written, blocks and transactions done, since the guest started */
};

struct gap {
	uint64_t begin_ns, ns;
};

struct beat_count {
	uint64_t sent, received, lost; /* received: without doubles; sent: from the first to the last that was received */
};

struct beat_step {
	uint64_t beats;		    /* datagrams that arrived; 0: the others say nothing */
	uint64_t ram_ops, disk_ops; /* done since the last beat of an earlier step */
};

/*
 * The longest silences that reach into [from_ns, to_ns), the longest first, each in its whole length; returns how many, at most
 * max. A silence ends with news: a beat with a higher number than any before. Before the first news it begins at from_ns, and
 * after the last it ends at to_ns.
 */
size_t beats_gaps(const struct beat *beats, size_t count, uint64_t from_ns, uint64_t to_ns, struct gap *out, size_t max);
/* The guest was heard at or after that time, and counts on from what was heard before: it has not started anew. */
bool beats_go_on(const struct beat *beats, size_t count, uint64_t after_ns);
/* Of the beats that arrived in [from_ns, to_ns). */
struct beat_count beats_count(const struct beat *beats, size_t count, uint64_t from_ns, uint64_t to_ns);
/* Fills out[0] to out[steps - 1]; step i is [from_ns + i * step_ns, from_ns + (i + 1) * step_ns). step_ns is not 0. */
void beats_steps(const struct beat *beats, size_t count, uint64_t from_ns, uint64_t step_ns, struct beat_step *out, size_t steps);

#endif
