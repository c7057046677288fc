/*
 * arriving-point.h: a point of a guest's replica as it arrives (points.h): where its disks go, and that it is there, all of them or none.
 *
 * Its disks are overlays of the newest point's, or, the first time, whole raw images. They are made in a draft, which has the point's name once the source
 * says that all has been sent, and it is durable. Until then that directory is the journal's.
 *
 * Or the guest itself comes, as it runs, to where its replica is: its disks begin as overlays of the newest point, and it has taken its primary's place, in a
 * higher term, before it runs (taken-over.h).
 */
#ifndef VMFERRY_DST_ARRIVING_POINT_H
#define VMFERRY_DST_ARRIVING_POINT_H

#include "disks.h"
#include "points.h"

struct data_plane;

struct arriving_point {
	struct part part;
	struct target *target;
	struct disks *disks;
	const struct data_plane *data;
	const char *state_dir;
	struct points store; /* dir NULL: not looked at yet */
	bool planned;	     /* the guest comes, as it runs */
	bool is_first;	     /* there is no replica of this guest here yet */
	uint64_t number, from;
	uint64_t term;
	json_t *known; /* attempts of whereabouts.h, as the point began; NULL: not yet */
	char *draft;
	int session_fd;	  /* nobody else makes a point of it meanwhile; -1: not yet */
	int lock_fd;	  /* planned: the store is not changed by others; -1: not yet, or no more */
	bool is_primarys; /* what is asked is for the points here to obey */
	bool made;
	json_t *would_start; /* {"start", "why": [sentences], "cautions": [sentences], "qemu", "qemu_version"} (would-start.h); NULL: nobody has asked */
	bool replaced; /* the guest was taken over here, and who sends points has not heard of that */
};

void arriving_point_init(struct arriving_point *a, struct target *target, struct disks *disks, const struct data_plane *data,
			 const char *state_dir);
/* A disk of the plan: where it goes, and as what. NULL of disks.point: as of any move. */
int arriving_point_place(struct arriving_point *a, struct arriving_disk *d, const json_t *o, struct err *e);
/* o: as the source describes it. */
void arriving_point_dress(const struct arriving_point *a, struct arriving_disk *d, const json_t *o);
/* The directory of its disks, which is not there yet. */
bool arriving_point_makes(const struct arriving_point *a, const char *dir);
/* Once the attempt is over: points that do not stay are dropped. */
void arriving_point_prune(struct arriving_point *a);

#endif
