/*
 * host-share.h: the factor by which a thread of ours takes longer than it computes on this host just now, as others want its processors,
 * too.
 *
 * The share that our own threads got of the time that they wanted (they run, or wait to) gives the scale: while each of ours gets a fifth,
 * other processes that get two processors in all count as ten threads like ours. That is exact while few wait, and too high while many do:
 * our threads then work for less than a ms at a time, and one that wakes waits for the others' turns to end.
 */
#ifndef VMFERRY_HOST_SHARE_H
#define VMFERRY_HOST_SHARE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct host_share {
	int stat_fd;	  /* /proc/stat; -1: cannot be told */
	struct host_use { /* counters at the last look, since some moment */
		uint64_t at_ns;
		uint64_t idle_ns;	    /* idle time of all processors that we may run on */
		uint64_t moves_ns;	    /* the processes of the move computed */
		uint64_t ran_ns, waited_ns; /* this process's threads ran, and waited to */
	} last;
	double elapsed, others; /* the last second or so, and what others ran of it; ns */
	double ran, waited;	/* the last quarter of a second or so that we ran */
};

void host_share_open(struct host_share *h);
void host_share_close(struct host_share *h);
/* Reads the kernel's figures; called every few ms. of_move: pids of the move's other processes, 0 for none. */
void host_share_look(struct host_share *h, const pid_t *of_move, size_t count);
void host_share_note(struct host_share *h, const struct host_use *now, unsigned processors);
/* The number of threads like ours, always busy, that would take what others take; INFINITY: the kernel does not say, or was not asked twice
 * yet. */
double host_share_others(const struct host_share *h);
/* Factor, at least 1, by which other load stretches work of so many threads on so many processors (0 is 1) when nothing else of the move
 * runs. */
double host_share_stretch(double others, unsigned threads, unsigned processors);

#endif
