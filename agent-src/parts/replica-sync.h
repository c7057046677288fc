/* replica-sync.h: one point of a replica: what it is asked for with, and what became of it. Who asks for it (cli) and who makes it (disks-frozen.c, moves) share it. */
#ifndef VMFERRY_REPLICA_SYNC_H
#define VMFERRY_REPLICA_SYNC_H

struct option_list;

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define REPLICA_PAIR_LEN 16 /* hex digits */

struct replica_sync {
	char pair[REPLICA_PAIR_LEN + 1];    /* id of the pair of hosts: the same in the primary's settings and in the replica's store */
	uint64_t term;			    /* the primary's term, as far as it knows */
	const char *keep;		    /* see keep-points.h */
	const char *spool;		    /* directory for data to be sent; NULL: beside each disk */
	const char *initial;		    /* bundle there with contents for the first point; NULL: none */
	bool freezes;			    /* the guest's agent, if any, freezes its file systems for the moment */
	bool asks_start;		    /* asks whether the guest would start there */
	bool whole;			    /* compare everything, whatever the bitmaps say */
	const struct option_list *left_out; /* planned: DISK=empty for disks that no point has, which are sent whole; else NULL */
	const char *store;		    /* points directory whose newest point is passed on; NULL: a new point of the guest's disks */
	json_t *told;			    /* sentences about plan and points that people have been told; NULL: none; a new reference */
	bool planned;			    /* the running guest moves there, its disks based on the newest point: this is not a point */

	/* the result */
	struct {
		json_t *would_start;  /* the host's answer, from ACCEPT; NULL: not asked, or not known; a new reference */
		json_t *warnings;     /* sentences about its points; NULL: none; a new reference */
		json_t *event;	      /* result event; NULL: not reached; a new reference */
		json_t *disks;	      /* paths of the guest's disks, a new array; NULL: not reached */
		bool absent;	      /* no guest of that name runs here */
		bool replaced;	      /* the guest was taken over there, in a higher term */
		bool durable;	      /* the point is durable there */
		bool was_there;	      /* passed on: the point was there already, and the answer was lost */
		bool was_whole;	      /* everything was compared or sent */
		bool frozen;	      /* the file systems were frozen all the time */
		bool shut_down;	      /* the guest was shut down, in a QEMU that stays */
		uint64_t number;      /* number of the point */
		uint64_t points;      /* number of points there now */
		int64_t at_ms;	      /* moment of the disks' contents: since 1970 */
		uint64_t delta_bytes; /* bytes written since the point before */
	} outcome;
};

#endif
