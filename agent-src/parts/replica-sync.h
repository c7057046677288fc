/* replica-sync.h: one point of a replica: what it is asked for with, and what became of it. Who asks for it (cli) and who makes it (disks-frozen.c, moves) share it. */
#ifndef VMFERRY_REPLICA_SYNC_H
#define VMFERRY_REPLICA_SYNC_H

struct option_list;

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define REPLICA_PAIR_LEN 16 /* hex digits */

struct replica_sync {
	char pair[REPLICA_PAIR_LEN + 1];    /* which two hold this guest: the same in the primary's settings and in the replica's store */
	uint64_t term;			    /* of the primary, as far as it knows */
	const char *keep;		    /* as keep-points.h has it */
	const char *spool;		    /* a directory for what is to be sent; NULL: beside each disk */
	const char *initial;		    /* a bundle there that has some of what the first point has; NULL: none */
	bool freezes;			    /* the guest's agent freezes its file systems for the moment, if it has one */
	bool asks_start;		    /* asks whether the guest would start there */
	bool whole;			    /* everything is compared, whatever the bitmaps say */
	const struct option_list *left_out; /* planned: DISK=empty of those that no point has: all of them travels; else NULL */
	const char *store; /* the newest point in this directory of points goes on, and no moment is made; NULL: of the guest's own disks */
	bool planned;	   /* no point: the guest itself goes there as it runs, and its disks begin as the newest point */

	/* the result */
	json_t *would_start;	/* what the host answered: ACCEPT; NULL: it was not asked, or does not know; a new reference */
	json_t *warnings;	/* of its points, likewise: sentences */
	json_t *result;		/* the event, likewise; NULL: it has not come to that */
	json_t *disks;		/* paths of the guest's, a new array; NULL: it has not come to that */
	bool replaced;		/* the guest was taken over there, in a higher term */
	bool durable;		/* the point is there */
	bool was_there;		/* of one that goes on: it was already, whose answer was lost */
	bool was_whole;		/* everything was compared, or sent */
	bool frozen;		/* so it did, all the time */
	uint64_t number;	/* of the point */
	uint64_t points;	/* that there are now */
	int64_t at_ms;		/* when the disks were so: since 1970 */
	uint64_t delta_bytes;	/* what was written since the point before */
	uint64_t bitmap_number; /* of the bitmaps that record from now on */
};

#endif
