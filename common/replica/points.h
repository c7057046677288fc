/*
 * points.h: the points of a replica on this host: the state of a guest's disks at several times.
 *
 *     DIR/vm1.replica/replica.json             pair, term, keep, guest, from, store (a name that no other has)
 *     DIR/vm1.replica/lock, session            held while what is below changes; while a point is made
 *     DIR/vm1.replica/points/000123/point.json number, id, term, time, line, disks: [{"file", "format", "bytes", "from"} ...]
 *     DIR/vm1.replica/points/000123/disk0.qcow2 …
 *
 * The oldest point has whole images, each other one overlays of those of the point before it: what was written in between. A point is there when its
 * directory has its name, all disks of it or none; until then that ends with ".tmp". A directory is named by the point that it was made for; when a
 * point is dropped its directory takes the next point's contents, and is that point from then on (merge.h). So the order of points is that of the numbers
 * in their point.json, and each image refers to the one before it by a path that is relative.
 *
 * Agents of both ends call this: vmferry-dst as points arrive, vmferry where a guest runs from one.
 */
#ifndef VMFERRY_POINTS_H
#define VMFERRY_POINTS_H

#include "err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define POINT_DISKS_MAX 64
#define POINT_TMP	".tmp"

struct point {
	char *slot; /* the name of its directory */
	uint64_t number, term;
	int64_t at_ms; /* since 1970, when its disks were so */
	json_t *json;  /* point.json */
};

/* A slot that cannot be read may be a point that others are above: its images stay, and nothing is merged across it. */
struct damaged_point {
	char *slot, *why;
};

struct points {
	char *dir;	    /* DIR/vm1.replica */
	json_t *replica;    /* replica.json */
	struct point *list; /* the oldest first */
	size_t count;
	struct damaged_point *damaged; /* points in the order of their slots, the lowest first */
	size_t damaged_count;
	char *merging, *into; /* slots: a merge that is to be gone on with; NULL: there is none */
};

/* Malloc'ed: where the replica of that guest is, below the directory of its disks. */
char *points_dir(const char *disk_dir, const char *guest);
/* A new one without points, also where one is over; replica is borrowed. -EEXIST. */
int points_create(const char *dir, const json_t *replica, struct err *e);
/* Locks the store; *fd: for close(). Waits for a while: -EBUSY. */
int points_lock(const char *dir, int *fd, struct err *e);
/* Locks the store without a wait: a guest stands meanwhile. */
int points_lock_now(const char *dir, int *fd, struct err *e);
/* Locks out others who make a point, or remove any; taken before points_lock(). Waits for whoever has just made a point, and drops what
 * does not stay. */
int points_session(const char *dir, int *fd, struct err *e);
/* The lock of points_session() without a wait. */
int points_session_now(const char *dir, int *fd, struct err *e);
/* -ENOENT: there is none. points_close() in any case. Where points cannot be read p->replica may be there all the same. */
int points_read(struct points *p, const char *dir, struct err *e);
void points_close(struct points *p);
/* Changes a member of replica.json (value: the reference is taken), durably. With the lock. */
int points_set(struct points *p, const char *key, json_t *value, struct err *e);

/* The newest, or NULL. */
const struct point *points_newest(const struct points *p);
/* Finds a point by its number ("123"), or as the newest before a time of day or date ("14:05", "2026-11-29 14:05"); NULL: the newest.
 * -ENOENT: there is none. */
int points_find(const struct points *p, const char *word, const struct point **out, struct err *e);
/* Malloc'ed: the path of a file of that slot. */
char *points_path(const struct points *p, const char *slot, const char *file);
/* The number of the next, which is neither a point's nor the name of a slot that is there. */
uint64_t points_next_number(const struct points *p);
/* A damaged one whose slot is above that one, and below the other, if that is not NULL; NULL: there is none. */
const struct damaged_point *points_damaged_between(const struct points *p, const char *above, const char *below);
/* Disk i of a point; borrowed. NULL: it has no more. */
const json_t *point_disk(const struct point *pt, size_t i);

/* A disk that is left out is in no point: whatever its images have, a run begins with an empty one. */
bool point_disk_is_left_out(const struct point *pt, size_t i);
/* Paths of those disks at the primary; a new array. */
json_t *point_left_out(const struct point *pt);

/* The answer to another host that asks about the store: {"pair", "term", "taken_over", "taken_over_at", "unsettled", "past", "onward"
 * (onward.h)}; a new reference. unsettled: the guest was to come here as it ran, and the journal of that in state_dir is not over. */
json_t *points_told(const struct points *p, const char *state_dir);

/* Malloc'ed: the directory in which the point of that number is made by that attempt; not there yet. */
char *points_draft(const struct points *p, uint64_t number, const char *attempt);
/* Publishes a draft of which all files are whole: syncs them, writes point.json (borrowed), and gives the directory its name. 0: the point
 * is durable. Call with the lock. */
int points_publish(const struct points *p, const char *draft, const json_t *point, struct err *e);
/* Removes drafts, and directories of which nothing is needed any more. With the lock. */
int points_sweep(struct points *p, struct err *e);
/* Removes one of points/, files first; -ENOENT counts as removed. */
int points_remove_slot(const struct points *p, const char *slot, struct err *e);
/* Removes all of it, replica.json last, and the lock, which is to be held. Where somebody was replaced here, in a lower term or as an
 * earlier pair, *stays is set: replica.json stays, and the lock, as whoever that was may ask still. */
int points_remove_all(struct points *p, bool *stays, struct err *e);
/* Removes the points, and leaves replica.json, with pair and term: the guest is this host's for good, and who was its primary is refused
 * still. With the lock, which stays. */
int points_retire(struct points *p, struct err *e);
/* The store was retired: it has no points, and takes none of its pair. */
bool points_are_over(const struct points *p);
/* True if the store was retired, or its points were removed: any pair may begin there, also its own. */
bool points_are_vacant(const struct points *p);
/* past: of replica.json: pairs that were here before another one took their place. The term in which whoever has that pair in that term was
 * replaced here; 0: it was not. */
json_int_t points_replaced_in(const json_t *past, const char *pair, json_int_t term);

/* Writes point.json of a slot, durably, for merge.c. */
int points_write(const struct points *p, const char *slot, const json_t *point, struct err *e);

#endif
