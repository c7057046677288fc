/* moving.h: shared by the files of this folder: an attempt to move disks, and one disk of it. */
#ifndef VMFERRY_STORAGE_MOVING_H
#define VMFERRY_STORAGE_MOVING_H

#include "locked-images.h"
#include "attempt-id.h"
#include "disk-line.h"
#include "guard.h"
#include "life.h"
#include "qemu-discover.h"
#include "qemu-names.h"
#include "storage.h"

#include <sys/stat.h>

#define NODE_MAX (QEMU_PREFIX_MAX + 16)

/* The image that a disk leaves. */
struct old_image_of {
	char *format;
	bool is_device;
	bool another;	 /* another file has the old image's name by now: not ours, left alone */
	uint64_t begins; /* offset of the disk in the old image (offset= of the raw driver) */
	uint64_t shows;	 /* bytes that the guest sees of larger images (size= of the raw driver); 0: all */
	json_t *nodes;	 /* named nodes of the old image */
	char *aside;	 /* the old image's new name, if it gets one */
	json_t *was;	 /* identity of the old image (own-file.h); NULL: a block device, or not known */
};

struct moving_disk {
	const struct guest_disk *guest; /* NULL in a later life */
	char *device;			/* QOM path, or a drive's id: QEMU's name for its user */
	char *node;			/* node of the old image */
	char *from, *to;		/* real paths */
	struct old_image_of old;
	char *format;
	bool to_device;
	uint64_t to_shows;	    /* bytes that the guest sees of larger images (size= of the raw driver); 0: all */
	json_t *bitmaps;	    /* names of the dirty bitmaps that are copied */
	uint64_t bytes;		    /* size of the disk */
	uint64_t needed;	    /* estimated size of the new image */
	unsigned cluster;	    /* cluster size of a qcow2 image; 0: the format's default */
	const json_t *qcow2;	    /* the guest's options; NULL: QEMU's defaults */
	struct disk_line_options o; /* QEMU's options for the old image */
	bool options_known;
	bool direct, no_flush; /* cache mode */
	char detect_zeroes[8];
	struct {
		char file[NODE_MAX], format[NODE_MAX], filter[NODE_MAX], job[NODE_MAX];
	} names; /* our names in QEMU */
	struct {
		bool is_open;
		int from, to;
		off_t at, size; /* range of the old image that is copied */
	} rest;			/* copy under way, for a guest that is shut down */
	bool switched;		/* the guest uses the new image */
	uint64_t done, total;	/* progress, as QEMU counts it */
};

/* The script that starts the guest. */
struct starter {
	char *path;	 /* path of the script; NULL: not known */
	char *draft;	 /* new version with the new images, until it gets the script's name */
	char *text;	 /* text of the script when it was read */
	char *why;	 /* if path is NULL: why, as a sentence */
	bool other_line; /* the script lies beside the guest's files, but the guest was started otherwise */
	char *other;	 /* something else that would start the guest from its old images; NULL: none known */
};

struct storage {
	const struct storage_options *o;
	struct life life;
	struct guest guest;
	bool rest;     /* the guest is shut down */
	bool rebooted; /* the host was rebooted since the beginning */
	struct qmp *qmp;
	bool qmp_lost, unreachable; /* unreachable: QEMU is alive, but not its monitor */
	bool stop_heard;	    /* QEMU reported that it has stopped the guest */
	const char *broken;	    /* run state in which an error has stopped the guest since; NULL: none */
	pid_t known_as;		    /* pid in the name of the control socket */
	struct guard guard;
	uint8_t id[ATTEMPT_ID_LEN];
	char prefix[QEMU_PREFIX_MAX]; /* prefix of our names in QEMU */
	struct moving_disk *disks;
	unsigned count;
	struct starter starter;
	enum old_image old; /* the decision */
	uint64_t bwlimit;
	bool committed, mixed;		 /* mixed: in the end only some disks were switched */
	uint64_t held_since_ns, held_ns; /* since when requests to disks are held, and for how long they were; 0: not measured */
	struct locked_images locked;	 /* images of a guest that is shut down */
};

/* Name of this command in events; rest: the guest is shut down. */
static inline const char *storage_how(bool rest)
{
	return rest ? "storage-cold" : "storage";
}

/* True if the image is copied as a file with all that is in it, not as the disk alone. */
static inline bool goes_as_it_is(const struct storage *s, const struct moving_disk *d)
{
	return s->rest && !d->old.begins && !d->old.shows && !d->old.is_device && !d->to_device;
}

/* ---- plan.c ---- */

/* Finds the guest and describes it; -EBUSY: another command works on it. */
int storage_find(struct storage *s, struct err *e);
/* Checks whether and how it can be done. Changes nothing. */
int storage_examine(struct storage *s, struct err *e);
/* qmp_handlers.closed: ctx is the storage. */
void storage_qmp_closed(void *ctx, const struct err *why);
/* Reads QEMU's run state. */
int storage_run_state(struct storage *s, char out[32], struct err *e);

/* ---- images.c ---- */

/* Checks that the new images can be made. */
int storage_images_check(const struct storage *s, struct err *e);
/* Makes an empty image for d with the old one's owner, mode and ACL; journals that before. */
int storage_image_make(struct storage *s, struct moving_disk *d, struct err *e);
/* Syncs the image and its name to stable storage. -ESTALE: another file has its name, or none. */
int storage_image_sync(const struct storage *s, const struct moving_disk *d, struct err *e);
/* Removes the image of storage_image_make(), if it is certainly that. */
int storage_image_remove(struct storage *s, const struct moving_disk *d, struct err *e);
/* Give the old image its other name, or its own again; may be repeated. */
int old_set_aside(struct storage *s, const struct moving_disk *d, struct err *e);
int old_put_back(const struct moving_disk *d, struct err *e);
/* Keeps, renames or removes the old image once the guest has the new one. */
void old_settle(struct storage *s, const struct moving_disk *d);

/* ---- starter.c ---- */

/* Finds what starts the guest, unless starter.path is set. -ENOTSUP: its disks cannot be changed there. */
int starter_find(struct storage *s, struct err *e);
/* Writes the draft durably. */
int starter_prepare(struct storage *s, struct err *e);
/* Renames the draft over the script, if that is unchanged; durable. */
int starter_switch(struct storage *s, struct err *e);
/* 1: the script names the new image of every disk; 0: of none; -errno: of some, or not known. */
int starter_names_new(struct storage *s, struct err *e);
/* Makes the script name, for each disk, the image that d->switched tells. */
int starter_set(struct storage *s, struct err *e);
void starter_remove_draft(struct storage *s);

/* ---- mirror.c ---- */

/* Adds the new image, still empty, to QEMU. */
int mirror_add(struct storage *s, struct moving_disk *d, struct err *e);
int mirror_begin(struct storage *s, struct moving_disk *d, struct err *e);
/* Gives the new image's node the old one's options. */
int mirror_settle_options(struct storage *s, struct moving_disk *d, struct err *e);
/* Looks at all jobs: *least is the state that all have reached. -EIO: one has failed; -ENOENT: one is missing. */
enum mirror_state { MIRROR_COPYING, MIRROR_READY, MIRROR_PENDING, MIRROR_CONCLUDED };
int mirrors_look(struct storage *s, enum mirror_state *least, struct err *e);
int mirrors_limit(struct storage *s, uint64_t bytes_per_s, struct err *e);
/* Sets each d->switched by what QEMU's devices use. -ESTALE: one uses neither image; the others are set all the same. */
int mirrors_look_at_devices(struct storage *s, struct err *e);
/* Has QEMU switch the pending jobs; others end as they are. In any case d->switched is set to the outcome. */
int mirrors_finalize(struct storage *s, struct err *e);
/* Cancels all jobs of ours; 0: none is left. */
int mirrors_cancel(struct storage *s, struct err *e);
/* Removes nodes of new images that are not used, and of old ones that are not used any more. */
int mirrors_remove_nodes(struct storage *s, struct err *e);

/* ---- bitmaps.c ---- */

/* Checks that all present dirty bitmaps can be copied; fills each d->bitmaps. -ENOTSUP: one cannot. */
int bitmaps_check(struct storage *s, struct err *e);
/* Copies them to the new images' nodes while all jobs are pending. */
int bitmaps_copy(struct storage *s, struct err *e);

/* ---- live.c, rest.c: until the disks are switched, or something fails ---- */

int storage_live(struct storage *s, struct err *e);
int storage_rest(struct storage *s, struct err *e);
/* Lock and unlock the old images of a guest that is shut down. */
int storage_rest_hold(struct storage *s, struct err *e);
void storage_rest_let_go(struct storage *s);
/* Lets the guest go on if we have stopped it, in any life. */
int storage_let_go_on(struct storage *s, struct err *e);
/* Pumps the loop for that long. -ECANCELED: the user has cancelled; -EPIPE: QEMU is gone. */
int storage_wait(struct storage *s, unsigned ms, struct err *e);

/* ---- settle.c ---- */

/* Finishes or undoes the attempt, whichever is right. 1: the guest has its new disks; 0: it has not; -errno: that could not be decided,
 * or done. */
int storage_settle(struct storage *s, struct err *e);

/* ---- tell.c ---- */

void storage_tell_plan(struct storage *s);
void storage_tell_progress(struct storage *s);
/* Reports the result, and returns the exit code. why: of a failure; ignored where the disks were moved. */
int storage_tell_result(struct storage *s, enum life_ending ending, const struct err *why);

#endif
