/*
 * disk-plan.h: what a round of a disk covers, and how the destination is told, on all data channels: the round's beginning, its deltas, the holes in it,
 * and its end. The contents are disk-read.c's.
 */
#ifndef VMFERRY_DISK_PLAN_H
#define VMFERRY_DISK_PLAN_H

#include "disk-read.h"

/* Where a disk goes; a place of it has one of them (place_channel). */
struct round_senders {
	struct sender **senders;
	unsigned count;
};

void disk_plan_broadcast(const struct round_senders *to, uint16_t type, const struct writer *w);
/* The round's beginning, and before round 0 the disk. */
void disk_plan_announce(const struct disk_round *d, const struct round_senders *to);
/* What the round covers, of it first what need not be read; counts that (dirty_bytes), and returns how many bytes are to be read. */
uint64_t disk_plan_tell(struct disk_round *d, const struct round_senders *to);
/* Is that extent of its map to be read? */
bool disk_plan_reads(const struct disk_round *d, const struct disk_extent *x);
/* All of it has been queued. */
void disk_plan_end(const struct disk_round *d, const struct round_senders *to);

#endif
