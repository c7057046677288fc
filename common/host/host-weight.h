/*
 * host-weight.h: how much a thread of others that wants this host's processors weighs beside one of ours: 1 where the scheduler gives both the same,
 * less where theirs are niced. Threads of our own compute for a moment, one for each processor, and the clock tells.
 *
 * That is to be done while nothing else of ours computes. It takes a while: of 1 ms beside 8 busy threads on 2 processors, what a thread takes is 4
 * to 18 times as long, of 8 ms 5.0 to 6.2, and of 50 ms 5.1 to 5.3.
 */
#ifndef VMFERRY_HOST_WEIGHT_H
#define VMFERRY_HOST_WEIGHT_H

#include <sys/types.h>

struct host_weight;
/* In threads of its own, of which the last to end knows. What that process computes (0: none) is ours, too. */
struct host_weight *host_weight_begin(pid_t guest);
/* NULL ok. Ends it at once if it is still under way. */
void host_weight_free(struct host_weight *w);
/* 1 as long as it is not known. NULL ok. */
double host_weight_of(struct host_weight *w);
/* Where threads, as many as processors, took so many times as long as they computed, while so many of ours, they included, and of others were
 * runnable on average. */
double host_weight_from(double took, unsigned processors, double ours, double others);

#endif
