/*
 * converge.h: when to switch over. Pure: measurements in, a decision out.
 *
 * The blackout is predicted as what is left of RAM and disks over the measured rate, plus what any switchover costs: everything that is
 * known of that is in what is decided by. What is in our own hands
 * already need not be part of it: before the guest stops, QEMU is not read for as long as that takes to arrive (the queue is dry then). Otherwise
 * QEMU, which passes over memory again and again, would keep it full with the few pages that any guest writes all the time, and over a slow
 * network nothing would ever fit.
 */
#ifndef VMFERRY_CONVERGE_H
#define VMFERRY_CONVERGE_H

#include <stdbool.h>
#include <stdint.h>

/* The parts of a blackout that do not depend on how much is left. */
struct converge_fixed {
	double round_trip_ms; /* round trip to the destination agent */
	double journals_ms;   /* time to bring the journals to stable storage, at both hosts, while the guest stands */
	double recheck_ms;    /* CPU time of each of the threads that recheck */
	/* factor by which a thread takes longer than it computes here, as others want the processors, too; below 1 is 1 */
	double stretch;
	double busy_there; /* threads of others that want each of the processors there */
	bool libvirts;	   /* libvirt at the destination takes the guest over meanwhile */
	bool urgent;	   /* our threads come before others' then (urgent.h), and only QEMU's wait */
};

struct converge_sample {
	uint64_t ram_left, disk_left; /* bytes the destination lacks right now */
	uint64_t pass;		      /* QEMU's passes over RAM so far: at least one whole one is needed */
	uint64_t queue_left;	      /* bytes that QEMU has given, and that are not packed yet */
	uint64_t wire_left;	      /* bytes that were sent or are about to be, and have not arrived */
	double rate_bps;	      /* bytes per second, of content, as measured while busy */
	double wire_bps;	      /* bytes per second that travel, compressed */
	double dirty_bps;	      /* rate at which the guest writes to memory */
	double now_ms;		      /* time by any clock */
	struct converge_fixed fixed;
};

/* A guest that writes less than so much of what is carried is calm: what is left soon will be little. */
#define CONVERGE_CALM 0.5

enum converge_verdict {
	CONVERGE_GO_ON,	  /* the prediction still improves */
	CONVERGE_SWITCH,  /* within the limit, and waiting a moment more would not make it much shorter */
	CONVERGE_STALLED, /* several passes, and some time, brought nothing: the guest writes as fast as we copy */
};

struct converge {
	double max_downtime_ms;
	/* limit for the last sample: a little more than max_downtime_ms where a switchover takes longer than that whatever is left */
	double limit_ms;
	double predicted_ms;	 /* blackout, by the last sample, if the guest stopped right then */
	double queue_ms, dry_ms; /* time that the queue takes; blackout predicted for when it is dry, with what is written until then */
	double best_ms;		 /* best of dry_ms so far */
	uint64_t best_pass;
	double best_at_ms;
	struct converge_fixed fixed; /* fixed parts of the last sample */
	bool within;		     /* the limit, once */
	double within_ms;	     /* since when */
};

void converge_init(struct converge *c, double max_downtime_ms);
enum converge_verdict converge_step(struct converge *c, const struct converge_sample *s);
/* True if nothing, or hardly anything, of what we have is still to arrive, by the last sample. */
bool converge_is_dry(const struct converge *c);
/* The part of a blackout that does not depend on how much is left; and of that the recheck, among all others who are busy. */
double converge_fixed_ms(const struct converge_fixed *f);
double converge_recheck_ms(const struct converge_fixed *f);
/* Number of other threads that wait for each processor that we could have, where there are more of them. */
double converge_busy(const struct converge_fixed *f);

#endif
