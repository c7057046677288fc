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
	uint64_t sent, received, lost; /* received: without duplicates; sent: from the first to the last received */
};

struct beat_step {
	uint64_t beats;		    /* datagrams that arrived; 0: the other members mean nothing */
	uint64_t ram_ops, disk_ops; /* done since the last beat of an earlier step */
};

/*
 * Finds the longest silences that reach into [from_ns, to_ns), longest first, each in full length; returns their number, at most max. A
 * silence ends with news: a beat with a higher number than any before. Before the first news it begins at from_ns; after the last it ends
 * at to_ns.
 */
size_t beats_gaps(const struct beat *beats, size_t count, uint64_t from_ns, uint64_t to_ns, struct gap *out, size_t max);
/* True if the guest was heard at or after that time and continues its count: it has not been restarted. */
bool beats_go_on(const struct beat *beats, size_t count, uint64_t after_ns);
/* Counts the beats that arrived in [from_ns, to_ns). */
struct beat_count beats_count(const struct beat *beats, size_t count, uint64_t from_ns, uint64_t to_ns);
/* Fills out[0] to out[steps - 1]; step i is [from_ns + i * step_ns, from_ns + (i + 1) * step_ns). step_ns is not 0. */
void beats_steps(const struct beat *beats, size_t count, uint64_t from_ns, uint64_t step_ns, struct beat_step *out, size_t steps);

#endif
