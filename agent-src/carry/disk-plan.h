/*
 * disk-plan.h: what a round of a disk covers, and how the destination is told, on all data channels: the round's beginning, its deltas, the holes in it,
 * and its end. The contents are disk-read.c's.
 */
#ifndef VMFERRY_DISK_PLAN_H
#define VMFERRY_DISK_PLAN_H

#include "disk-read.h"

/* The senders of a disk's round, one for each data channel; place_channel() says which has a place. */
struct round_senders {
	struct sender **senders;
	unsigned count;
};

void disk_plan_broadcast(const struct round_senders *to, uint16_t type, const struct writer *w);
/* The round's beginning, and before round 0 the disk. */
void disk_plan_announce(const struct disk_round *d, const struct round_senders *to);
/* Cuts the extents of its map that hold nothing where the target's units (fills) begin and end, so that no more than their ends are read: a large hole
 * that is read would be zeros there, each with a block of its own. */
void disk_plan_cut(struct disk_round *d);
/* Tells the senders which extents the round covers, those first that need not be read. Sets dirty_bytes; returns how many bytes are to be read. */
uint64_t disk_plan_tell(struct disk_round *d, const struct round_senders *to);
/* True if that extent of its map is to be read. */
bool disk_plan_reads(const struct disk_round *d, const struct disk_extent *x);
/* Ends a round once all of it has been queued. */
void disk_plan_end(const struct disk_round *d, const struct round_senders *to);

#endif
