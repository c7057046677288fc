/*
 * host-weight.h: how much a thread of others that wants this host's processors weighs beside one of ours: 1 where the scheduler gives both the same,
 * less where theirs are niced. Threads of our own compute for a moment, one for each processor, and the clock tells.
 *
 * The probe needs a moment in which nothing else of ours computes, and a while, or it is too coarse: of 1 ms beside 8 busy threads on 2 processors, what a thread takes is 4
 * to 18 times as long, of 8 ms 5.0 to 6.2, and of 50 ms 5.1 to 5.3.
 */
#ifndef VMFERRY_HOST_WEIGHT_H
#define VMFERRY_HOST_WEIGHT_H

#include <sys/types.h>

struct host_weight;
/* Begins the probe in threads of its own. guest: a process whose work counts as ours; 0: none. */
struct host_weight *host_weight_begin(pid_t guest);
/* Ends the probe, at once if it is under way. NULL is allowed. */
void host_weight_free(struct host_weight *w);
/* The weight; 1 until the probe has ended. NULL is allowed. */
double host_weight_of(struct host_weight *w);
/* The weight by a probe of one thread a processor that took `took` times as long as it computed, while on average so many threads of ours (the
 * probe's included) and of others were runnable. */
double host_weight_from(double took, unsigned processors, double ours, double others);

#endif
