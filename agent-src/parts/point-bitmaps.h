/*
 * point-bitmaps.h: what a guest has written to its disks since points of its replica: dirty bitmaps of its QEMU, "vmfr-PAIR-N": since point N.
 *
 * Bitmaps N+1 begin as those of N end, in one transaction, and both stay until it is known whether the destination has point N+1. Whoever dies before leaves
 * both, and the number of the newest point there tells the next what they are worth: with N+1 there N has served its time, and with N the newer is merged into
 * it, and N goes on recording.
 */
#ifndef VMFERRY_PARTS_POINT_BITMAPS_H
#define VMFERRY_PARTS_POINT_BITMAPS_H

#include "err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define POINT_BITMAP_NAME 64 /* bytes */

struct disk;
struct disks;
struct replica_sync;

struct point_bitmaps {
	struct replica_sync *sync; /* NULL: the attempt is not about a replica */
	bool records, two;	   /* on all disks bitmap `recording` does, and so did the one before, which was ended */
	uint64_t recording;
	uint64_t from; /* the point there on which what is sent is based; 0: all is sent, or compared */
};

void point_bitmap_name(const struct disks *ds, char out[POINT_BITMAP_NAME], uint64_t number);
/* True if the bitmap belongs to this pair; it is of no use at the destination. */
bool point_bitmap_is_own(const struct disks *ds, const char *name);
/* True if the first round of a move is what was written since the point on which its disks start. */
bool point_bitmaps_are_round_0(const struct disks *ds);
/* Asks QEMU which of the pair's bitmaps exist. */
int point_bitmaps_look(struct disks *ds, struct err *e);
/* Adds member `replica` to DESCRIBE. */
void point_bitmaps_describe(const struct disks *ds, json_t *out);
/* Takes ACCEPT's answer to it. -EPROTO. */
int point_bitmaps_agree(struct disks *ds, const json_t *accept, struct err *e);
/* Leaves bitmap `from` alone recording on all disks; or none. */
int point_bitmaps_settle(struct disks *ds, struct err *e);
/* Name of the bitmap that gives the disk's last delta: the replica's own, or that of the rounds so far. */
void point_bitmap_that_ends(const struct disks *ds, char out[POINT_BITMAP_NAME], const struct disk *d);
/* Bytes marked in it; nodes: from query-named-block-nodes. */
uint64_t point_bitmap_bytes(const struct disks *ds, json_t *nodes, const struct disk *d);
/*
 * Makes a twin of each bitmap that ends, which records what that does. A backup job keeps its bitmap to itself: it gets the twin, and the other can be ended
 * in the very moment in which the job holds the disk. nodes: of query-named-block-nodes. Twins go with the attempt's bitmaps.
 */
int point_bitmaps_double(struct disks *ds, json_t *nodes, struct err *e);
void point_bitmap_twin(const struct disks *ds, char out[POINT_BITMAP_NAME], const struct disk *d);
/* Adds to a transaction: bitmaps of the point that is to come begin, those that end are ended. */
void point_bitmaps_change(const struct disks *ds, json_t *actions);
/* Adds to it: bitmaps of the point before go. */
void point_bitmaps_drop_older(struct disks *ds, json_t *actions);
/* actions: stolen. */
int point_bitmaps_transact(struct disks *ds, json_t *actions, struct err *e);

#endif
