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

/* A dirty bitmap that the guest had before (a backup tool's) and that is carried along. */
struct carried_bitmap {
	char *name, *node;
	unsigned granularity; /* bytes */
	bool persistent, recording;
	bool dropped; /* the bitmap is not the one any more that was copied */
};

/* Progress of the copy of a disk. */
struct disk_progress {
	unsigned round;	 /* number of the round in progress, or of the last one */
	unsigned bitmap; /* generation of the recording bitmap */
	bool started;
	bool in_flight;	     /* queued by us or not yet durable there */
	bool queued;	     /* the reader has queued every block of the round */
	bool bulk_read;	     /* the reader has queued every block of the first round */
	bool arrived;	     /* the first round has reached the destination, maybe not its storage */
	bool final;	     /* this round is the last one: the guest is stopped */
	bool finished;	     /* the final round is queued */
	bool looked_at;	     /* the bitmap's count was asked for since the guest was stopped */
	bool recording;	     /* the bitmap still records: no one has switched it off */
	uint64_t dirty;	     /* bytes in the recording bitmap, as last asked */
	uint64_t last_dirty; /* bytes that the last round covered */
	uint64_t read_bytes;
};

/* Bytes of a disk that a replica's points lack. */
struct disk_lag {
	bool left_out;	   /* the replica's points lack this disk: all of it travels */
	uint64_t bytes;	   /* upper bound of bytes written since a point of the replica */
	uint64_t least[2]; /* lower bounds: since the newest point, and since the one before it */
};

struct disk {
	const struct guest_disk *guest;
	uint32_t object;
	char *to;    /* path at the destination */
	int mark_fd; /* mark by which the destination recognises the file (image-mark.h), until it has answered; -1: none */
	int64_t mark;
	char *old;		   /* path of an older copy there; NULL: none */
	struct have *have, *notes; /* contents of that copy; what this attempt leaves for the next pass of a head start; NULL: none */
	bool knows;		   /* have comes from such notes */
	bool alike;		   /* have comes from other images there: want.h */
	bool stays;		   /* both hosts see it: nothing of it is copied */
	bool by_word;		   /* `stays` is the user's word (network, block device): we cannot see the disk, nor when it was written */
	bool refused;		   /* cannot be moved; only its path is described */
	bool left_behind;	   /* an empty disk takes its place there */
	struct disk_lag since;
	bool to_device;		 /* `to` is an existing block device */
	json_int_t device_bytes; /* size of that device if larger than the disk; else 0 */
	bool fills;		 /* qcow2: zeros must be written there, not discarded */
	bool replaces;		 /* the disk replaces `old` */
	bool begun;		 /* `old` is the rest of an earlier move and becomes the disk */
	struct disk_progress progress;
	bool has_throttle; /* an I/O limit of the user's own */
	bool limits_told;  /* the user was told that the limits have changed since the beginning */
	struct carried_bitmap *carried;
	unsigned carried_count;
};

struct disks_frozen;
struct disks_onward;
struct replica_sync;

/* Search for blocks of the disks in other images at the destination. */
struct alike_plan {
	unsigned images;
	unsigned ms; /* time limit of the search; 0: no search */
};

/* Disks of which nothing is copied. */
struct disks_uncopied {
	struct disk *stay[OBJECT_DISK_MAX + 1]; /* disks that both hosts see, not copied */
	unsigned stays;
	struct disk *behind[OBJECT_DISK_MAX + 1]; /* disks left behind */
	unsigned behinds;
};

/* Writing back of what QEMU has cached, at the end. */
struct disks_writeback {
	struct writeback *jobs; /* NULL: not begun */
	unsigned left;
	uint64_t began_ns; /* time when the writeback began */
};

/* End of the copy of all disks. */
struct disks_end {
	bool done_said, closed;
	uint64_t durable_ns; /* time when the last round became durable */
};

/* Blocks that other images at the destination may have. */
struct disks_alike {
	struct alike_plan alike;
	struct want *want; /* NULL: no search in other images there, or not started */
};

struct disks {
	struct part part;
	struct source *src;
	struct data_plane *data;
	struct disk at[OBJECT_DISK_MAX + 1];	/* disks by object id */
	struct disk *list[OBJECT_DISK_MAX + 1]; /* disks that are copied */
	unsigned count;
	struct disks_uncopied uncopied;
	json_t *described;	     /* description that DESCRIBE carried */
	struct locked_images locked; /* images of a guest that is shut down */
	char *nbd_socket;
	struct disk_reader *reader; /* NULL: not started, or ended */
	struct queue results;
	struct disks_alike others;
	bool has_jobs; /* the plan has found another client's block jobs */
	bool rests;    /* the guest is shut down: the disks are files */
	bool final;    /* the guest is stopped */
	struct disks_writeback writing;
	struct disks_end end;
	bool query_pending, throttled;
	struct point_bitmaps since;
	bool makes_point;	     /* disks of a replica; false: of a move */
	struct disks_frozen *frozen; /* copied as of one moment; NULL: not asked for */
	struct disks_onward *onward; /* disks of a point that is here; NULL: of a guest */
};

void disks_init(struct disks *d, struct source *src, struct data_plane *data);

/* Adds a disk with the next object id; the caller checks that there is room. */
struct disk *disk_add(struct disks *ds, const struct guest_disk *g);
/* Name for messages: the disk's file, or its network address. A disk that stays by the user's word: as in the command line. */
const char *disk_name(const struct disk *d);
/* --reuse for this disk: an older copy's path, "auto", or NULL. */
const char *disk_reuse(const struct disks *ds, const struct guest_disk *d);
/* Bundle at the destination that may hold the disk, for a first point; NULL: none, or not asked for. */
const char *disk_bundle(const struct disks *ds, const struct guest_disk *d);
/* Sets the disks up as files of a guest that is shut down: each is copied once, as a file (disks-at-rest.c). */
void disks_rest(struct disks *d);
/* Sets the disks up for a point of the guest's replica: all as of one moment, while the guest runs (disks-frozen.c). sync: the request,
 * and gets the result; NULL: of an earlier life, only to be undone. */
void disks_for_point(struct disks *d, struct replica_sync *sync);
/* Sets the disks up to pass a replica's point on to a further host (disks-onward.c). sync: as above. */
void disks_for_onward(struct disks *d, struct replica_sync *sync);
/* Describes in d->src the guest as the newest point has it. */
int disks_find_point(struct disks *d, struct err *e);
/* TPM state in that point, borrowed; NULL: none. */
json_t *disks_onward_tpm(const struct disks *d);
/* The disks at the destination start as the newest point of the guest's replica (disks-since.c). */
void disks_begin_on_point(struct disks *d, struct replica_sync *sync);
/* Takes the point's moment now, unless it was taken: what was written since the round before is the last round. */
int disks_freeze(struct disks *d, struct err *e);
bool disks_are_frozen(const struct disks *d);
/* True once all contents of the point are durable there. */
bool disks_frozen_are_there(const struct disks *d);
/* Adds the disks to PREPARE. */
void disks_decide(const struct disks *d, json_t *prepare);
/* Checks files of a guest at rest: 0 if none has been written to since it was looked at. */
int disks_unchanged(const struct disks *d, struct err *e);
/* Notes for the next attempt what the destination has; call once all rounds are durable. */
void disks_note_known(struct disks *d);
void disks_forget_known(struct head_start *h);
/* Starts the reader, which feeds data's senders. */
int disks_connect(struct disks *d, struct err *e);
/* Starts a further round of all disks, if none is under way and at least this many bytes are dirty. */
int disks_next_round(struct disks *d, uint64_t at_least, struct err *e);
/* Starts writeback of the guest's writes on this host; true once that has been waited for long enough. */
bool disks_written_back(struct disks *d);
/* Starts the last round: the guest is stopped. */
int disks_final(struct disks *d, struct err *e);
/* Tells the destination that the disks are complete, so that it lets go of them. */
void disks_say_done(struct disks *d);

uint64_t disks_left(const struct disks *d);
uint64_t disks_allocated(const struct disks *d);
unsigned disks_rounds(const struct disks *d);
bool disks_have_begun(const struct disks *d); /* at least one disk goes on from what an earlier move left */
bool disks_idle(const struct disks *d);
bool disks_read(const struct disks *d); /* every block was queued at least once */
/* true if every block was queued at least once and has reached the destination, although perhaps not its storage */
bool disks_arrived(const struct disks *d);
/* Asks QEMU how much is dirty; the answer comes while the loop runs. */
void disks_query_dirty(struct disks *d);
/* Limits the guest's writes to so many bytes a second over all disks, journaled. */
int disks_throttle(struct disks *d, uint64_t bytes_per_s, struct err *e);

/* Ends the reader's thread; disks_free_reader once the senders have stopped, too. */
void disks_stop(struct disks *d);
void disks_free_reader(struct disks *d);

#endif
