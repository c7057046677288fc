/*
 * arriving-point.h: a point of a guest's replica as it arrives (points.h): where its disks go, and when it is complete. All of its disks
 * arrive or none.
 *
 * The disks of a point are overlays of the disks of the newest point, or, for the first point, whole raw images. They are made in a draft,
 * a directory that the journal owns. The draft gets the point's name once the source says that everything was sent, and everything is
 * durable.
 *
 * The guest itself may come as it runs to the host of its replica. Its disks then begin as overlays of the newest point, and this host has
 * become the primary, in a higher term, before the guest runs (taken-over.h).
 */
#ifndef VMFERRY_DST_ARRIVING_POINT_H
#define VMFERRY_DST_ARRIVING_POINT_H

#include "arriving-disks.h"
#include "points.h"

struct data_plane;

struct arriving_point {
	struct part part;
	struct target *target;
	struct disks *disks;
	const struct data_plane *data;
	const char *state_dir;
	struct points store; /* dir is NULL until it was looked for */
	bool planned;	     /* the guest itself comes, as it runs */
	bool is_first;	     /* the guest has no replica here yet */
	uint64_t number, from;
	uint64_t term;
	json_t *known; /* attempts of whereabouts.h when the point began; NULL: not read yet */
	char *draft;
	int session_fd;	  /* the store here is the asking primary's: points here are kept and dropped as it asks */
	int lock_fd;	  /* lock that keeps others from changing the store, if planned; -1: not held yet, or no more */
	bool is_primarys; /* the term and number that the source asks with bind the points here */
	bool made;
	/* answer {"start", "why": [sentences], "cautions": [sentences], "qemu", "qemu_version"} (would-start.h); NULL: nobody has asked */
	json_t *would_start;
	bool replaced; /* the guest was taken over here, and the host that sends points has not heard of that */
};

void arriving_point_init(struct arriving_point *a, struct target *target, struct disks *disks, const struct data_plane *data,
			 const char *state_dir);
/* Sets where a disk of the plan goes, and as what. Does the same as in any other move where disks.point is NULL. */
int arriving_point_place(struct arriving_point *a, struct arriving_disk *d, const json_t *o, struct err *e);
/* Completes a disk of the point; o: the source's description of it. */
void arriving_point_dress(const struct arriving_point *a, struct arriving_disk *d, const json_t *o);
/* True if dir is the directory of the point's disks, which does not exist yet. */
bool arriving_point_makes(const struct arriving_point *a, const char *dir);
/* Drops the points that do not stay, once the attempt is over. */
void arriving_point_prune(struct arriving_point *a);

#endif
