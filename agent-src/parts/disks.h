/*
 * disks.h: a transfer's disks. Per disk: a bulk copy of what is allocated, then rounds of what was written since, each taken from a dirty
 * bitmap that is rotated out in one QMP transaction; the last one after the guest has stopped.
 *
 * A round of a disk is over when the destination has it on stable storage (DURABLE); only then the next one begins.
 */
#ifndef VMFERRY_DISKS_H
#define VMFERRY_DISKS_H

#include "locked-images.h"
#include "data-plane.h"
#include "disk-read.h"
#include "head-start.h"
#include "point-bitmaps.h"
#include "source.h"
#include "want.h"

/* A dirty bitmap of the guest's own (a backup tool's), which goes along. */
struct carried_bitmap {
	char *name, *node;
	unsigned granularity; /* bytes */
	bool persistent, recording;
	bool dropped; /* it is another by now */
};

struct disk {
	const struct guest_disk *guest;
	uint32_t object;
	char *to;    /* path at the destination */
	int mark_fd; /* by which the destination knows it again, until it has said so (image-mark.h); -1: none */
	int64_t mark;
	char *old;		   /* an old copy of it there, and what that has; NULL: there is none */
	struct have *have, *notes; /* notes: what this attempt leaves there, for the next of a head start; NULL: there is none */
	bool knows;		   /* have is such notes */
	bool alike;		   /* have is what other images there gave for it: want.h */
	bool stays;		   /* both hosts see it: nothing of it is copied */
	bool by_word; /* that it does is the user's word: nobody can see it, nor when it was written (behind a network, a block device) */
	bool refused; /* it cannot be moved, and only its place is told */
	bool left_behind;	 /* an empty one takes its place there */
	bool left_out;		 /* no point of its replica has it, and it goes there as it runs: all of it travels */
	bool to_device;		 /* to is a block device, which is there already */
	json_int_t device_bytes; /* of that, if it has more than the disk; else 0 */
	bool fills;		 /* qcow2: zeros are written there as contents are, so that they may be told as zeros */
	bool replaces;		 /* the disk takes its place */
	bool begun;		 /* old is what an earlier move has left of it, and becomes the disk */
	unsigned round;		 /* being copied, or copied last */
	unsigned bitmap;	 /* generation of the recording bitmap */
	bool started;
	bool in_flight;	     /* queued by us or not yet durable there */
	bool queued;	     /* the reader has queued every block of the round */
	bool bulk_read;	     /* so it has of the first round */
	bool arrived;	     /* the first round is there, if not yet durable */
	bool final;	     /* this round is the last: the guest is stopped */
	bool finished;	     /* the final round is queued */
	bool has_throttle;   /* an I/O limit of the user's own */
	bool limits_told;    /* that these are others than at the begin */
	bool looked_at;	     /* since the guest was stopped: of its bitmap is known what is in it */
	bool recording;	     /* and that was not switched off by somebody */
	uint64_t dirty;	     /* of the recording bitmap, as last asked */
	uint64_t last_dirty; /* that the last round covered */
	uint64_t read_bytes;
	uint64_t since_bytes;	 /* that were written since a point of its replica, at most */
	uint64_t since_least[2]; /* and at least: since the newest point, and since the one before it */
	struct carried_bitmap *carried;
	unsigned carried_count;
};

struct disks_frozen;
struct disks_onward;
struct replica_sync;

/* Blocks of them that other images there may have. */
struct alike_plan {
	unsigned images;
	unsigned ms; /* so long they are looked through; 0: not at all */
};

struct disks {
	struct part part;
	struct source *src;
	struct data_plane *data;
	struct disk at[OBJECT_DISK_MAX + 1];	/* by object id */
	struct disk *list[OBJECT_DISK_MAX + 1]; /* those that are copied */
	unsigned count;
	struct disk *stay[OBJECT_DISK_MAX + 1]; /* those that both hosts see, and that are not */
	unsigned stays;
	struct disk *left[OBJECT_DISK_MAX + 1]; /* those that are left behind */
	unsigned lefts;
	json_t *described;	     /* as the destination was told */
	struct locked_images locked; /* of a guest at rest */
	char *nbd_socket;
	struct disk_reader *reader; /* NULL: not yet, or no more */
	struct queue results;
	struct alike_plan alike;
	struct want *want;	     /* NULL: nothing is looked for in other images there, or not yet */
	bool has_jobs;		     /* of somebody else: found by the plan */
	bool rests;		     /* they are files of a guest that is shut down */
	bool final;		     /* the guest is stopped */
	struct writeback *writeback; /* NULL: not begun */
	unsigned writebacks_left;
	uint64_t writeback_ns; /* when it began */
	bool query_pending, throttled, done_said, closed;
	uint64_t durable_ns; /* when the last round was */
	struct point_bitmaps since;
	bool makes_point;	     /* of a replica; false: they are a move's */
	struct disks_frozen *frozen; /* as they are at one moment; NULL: they are not to be */
	struct disks_onward *onward; /* of a point that is here; NULL: they are a guest's */
};

void disks_init(struct disks *d, struct source *src, struct data_plane *data);

/* With the next object id; there is room for it. */
struct disk *disk_add(struct disks *ds, const struct guest_disk *g);
/* For whoever reads it: its file, or what it is behind a network. Of one that stays by word: as the command line has it. */
const char *disk_name(const struct disk *d);
/* The old copy that the user wants to be used, "auto", or NULL. */
const char *disk_reuse(const struct disks *ds, const struct guest_disk *d);
/* The bundle there in which it may be, of a first point; NULL: none, or that is not asked for. */
const char *disk_bundle(const struct disks *ds, const struct guest_disk *d);
/* They are files of a guest that is shut down, each of which is copied once, as it is, whatever is in it (disks-at-rest.c). */
void disks_rest(struct disks *d);
/* A point of the guest's replica is made of them, all as they are at one moment, while it runs (disks-frozen.c). sync: what was asked, and gets the result;
 * NULL: of an earlier life, which is only undone. */
void disks_for_point(struct disks *d, struct replica_sync *sync);
/* A point of the guest's replica on this host goes on to a further one (disks-onward.c). sync: as above. */
void disks_for_onward(struct disks *d, struct replica_sync *sync);
/* Describes the guest of the newest point, as that has it, in d->src. */
int disks_find_point(struct disks *d, struct err *e);
/* Contents of the guest's TPM in that point, borrowed; NULL: none. */
json_t *disks_onward_tpm(const struct disks *d);
/* They begin, at the destination, as the newest point of the guest's replica (disks-since.c). */
void disks_begin_on_point(struct disks *d, struct replica_sync *sync);
/* The moment of the point is now, if it has not been: what was written since the round before is the last one. */
int disks_freeze(struct disks *d, struct err *e);
bool disks_are_frozen(const struct disks *d);
/* The point's contents, all that was to come, are durable there. */
bool disks_frozen_are_there(const struct disks *d);
/* Into PREPARE. */
void disks_decide(const struct disks *d, json_t *prepare);
/* At rest: nobody has written to them since they were looked at. */
int disks_unchanged(const struct disks *d, struct err *e);
/* All that was to come is durable: what the destination has is known to the next attempt. */
void disks_note_known(struct disks *d);
void disks_forget_known(struct head_start *h);
/* Reads them from now on into data's senders. */
int disks_connect(struct disks *d, struct err *e);
/* Starts a further round of all disks, if none is under way and at least this many bytes are dirty. */
int disks_next_round(struct disks *d, uint64_t at_least, struct err *e);
/* Begins to bring what the guest has written to stable storage, here, and says whether that has been waited for enough. */
bool disks_written_back(struct disks *d);
/* The guest is stopped: the last round. */
int disks_final(struct disks *d, struct err *e);
/* Tells the destination that the disks are complete, so that it lets go of them. */
void disks_say_done(struct disks *d);

uint64_t disks_left(const struct disks *d);
uint64_t disks_allocated(const struct disks *d);
unsigned disks_rounds(const struct disks *d);
bool disks_have_begun(const struct disks *d); /* at least one goes on from what was kept of an earlier move */
bool disks_idle(const struct disks *d);
bool disks_read(const struct disks *d);	   /* every block was queued at least once */
bool disks_arrived(const struct disks *d); /* and has been written there, in whatever memory */
/* Asks QEMU how much is dirty; the answer comes while the loop runs. */
void disks_query_dirty(struct disks *d);
/* Limits the guest's writes to so many bytes a second over all disks, journaled. */
int disks_throttle(struct disks *d, uint64_t bytes_per_s, struct err *e);

/* Ends the reader's thread; disks_free_reader once the senders have stopped, too. */
void disks_stop(struct disks *d);
void disks_free_reader(struct disks *d);

#endif
