/* moving.h: what the files of this room share: an attempt to move disks, and one disk of it. */
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

struct moving_disk {
	const struct guest_disk *guest; /* NULL in a later life */
	char *device;			/* QOM path, or a drive's id: how QEMU knows who uses it */
	char *node;			/* of the old image */
	char *from, *to;		/* real paths */
	char *from_format, *format;
	bool from_device, to_device;
	bool another;		       /* file has the name of the old one by now: it is somebody's, and left alone */
	uint64_t from_begins;	       /* where the disk is in the old one (offset= of the raw driver) */
	uint64_t from_shows, to_shows; /* bytes of them that the guest sees, as they are larger (size= of the raw driver); 0: all */
	json_t *old_nodes;	       /* of the old image, that have names of their own */
	json_t *bitmaps;	       /* names of the dirty bitmaps that go along */
	uint64_t bytes;		       /* of the disk */
	uint64_t needed;	       /* about what the new image takes */
	unsigned cluster;	       /* of a qcow2 image; 0: the format's default */
	const json_t *qcow2;	       /* the guest's; NULL: as QEMU makes one */
	struct disk_line_options o;    /* how QEMU uses the old one */
	bool options_known;
	bool direct, no_flush; /* its cache */
	char detect_zeroes[8];
	char *aside; /* the old image's other name, if it is to have one */
	json_t *was; /* what the old image is known by (own-file.h); NULL: a block device, or not known */
	struct {
		char file[NODE_MAX], format[NODE_MAX], filter[NODE_MAX], job[NODE_MAX];
	} names; /* of what is ours in QEMU */
	struct {
		bool is_open;
		int from, to;
		off_t at, size; /* which bytes of the old image are copied */
	} rest;			/* of a guest that is shut down */
	bool switched;		/* QEMU uses the new image */
	uint64_t done, total;	/* progress, as QEMU counts it */
};

/* What starts the guest. */
struct starter {
	char *path;	 /* its script; NULL: not known */
	char *draft;	 /* the same with the new images, until it has its name */
	char *text;	 /* as it was when it was read */
	char *why;	 /* of NULL: a sentence */
	bool other_line; /* it lies beside the guest's files, and the guest was started otherwise */
	char *other;	 /* something else that would start the guest, from its old images; NULL: nothing that is known */
};

struct storage {
	const struct storage_options *o;
	struct life life;
	struct guest guest;
	bool rest;     /* it is shut down */
	bool rebooted; /* since it was begun */
	struct qmp *qmp;
	bool qmp_lost, unreachable; /* its monitor, though QEMU lives */
	bool stop_heard;	    /* QEMU has said that it stopped the guest */
	const char *broken;	    /* the run state in which an error has stopped the guest since; NULL: none has */
	pid_t known_as;		    /* by its control socket */
	struct guard guard;
	uint8_t id[ATTEMPT_ID_LEN];
	char prefix[QEMU_PREFIX_MAX]; /* of what is ours in QEMU */
	struct moving_disk *disks;
	unsigned count;
	struct starter starter;
	enum old_image old; /* decided */
	uint64_t bwlimit;
	bool committed, mixed;		 /* mixed: some disks were switched, in the end */
	uint64_t held_since_ns, held_ns; /* requests to disks wait; for so long they did; 0: not measured */
	struct locked_images locked;	 /* of a guest that is shut down */
};

/* The name of this command in events: of a guest that is shut down (rest), or that runs. */
static inline const char *storage_how(bool rest)
{
	return rest ? "storage-cold" : "storage";
}

/* The image of a guest that is shut down is copied as a file, whatever is inside, and not as the disk alone. */
static inline bool goes_as_it_is(const struct storage *s, const struct moving_disk *d)
{
	return s->rest && !d->from_begins && !d->from_shows && !d->from_device && !d->to_device;
}

/* ---- plan.c ---- */

/* Finds the guest and describes it; -EBUSY if something is under way with it. */
int storage_find(struct storage *s, struct err *e);
/* May it be done, and how? Changes nothing. */
int storage_examine(struct storage *s, struct err *e);
/* QEMU's run state. */
int storage_run_state(struct storage *s, char out[32], struct err *e);

/* ---- images.c ---- */

/* Can the new images be made? */
int storage_images_check(const struct storage *s, struct err *e);
/* Makes an empty image for d, with owner, mode and access control list of the old one; journaled before. */
int storage_image_make(struct storage *s, struct moving_disk *d, struct err *e);
/* Its content is on stable storage, under its name. -ESTALE: another file has that, or none. */
int storage_image_sync(const struct storage *s, const struct moving_disk *d, struct err *e);
/* Removes what storage_image_make made, if it is certainly that. */
int storage_image_remove(struct storage *s, const struct moving_disk *d, struct err *e);
/* Gives the old image its other name, or its own again; again, too. */
int old_set_aside(struct storage *s, const struct moving_disk *d, struct err *e);
int old_put_back(const struct moving_disk *d, struct err *e);
/* What is to become of the old image when the guest has the new one. */
void old_settle(struct storage *s, const struct moving_disk *d);

/* ---- starter.c ---- */

/* Finds what starts the guest, where starter.path is not set yet. -ENOTSUP: what it says of the disks cannot be changed. */
int starter_find(struct storage *s, struct err *e);
/* Writes the draft, durable. */
int starter_prepare(struct storage *s, struct err *e);
/* The draft becomes the script, which is what it was; durable. */
int starter_switch(struct storage *s, struct err *e);
/* 1: the script names the new image of every disk, 0: of none, -errno: neither, or it cannot be told. */
int starter_names_new(struct storage *s, struct err *e);
/* The script names of each disk the image that d->switched says. */
int starter_set(struct storage *s, struct err *e);
void starter_remove_draft(struct storage *s);

/* ---- mirror.c ---- */

/* The new image in QEMU, empty as yet. */
int mirror_add(struct storage *s, struct moving_disk *d, struct err *e);
int mirror_begin(struct storage *s, struct moving_disk *d, struct err *e);
/* The new image's node has the old one's options. */
int mirror_settle_options(struct storage *s, struct moving_disk *d, struct err *e);
/* Looks at all jobs: *least becomes the state that all have reached. -EIO: one has failed, -ENOENT: one is not there. */
enum mirror_state { MIRROR_COPYING, MIRROR_READY, MIRROR_PENDING, MIRROR_CONCLUDED };
int mirrors_look(struct storage *s, enum mirror_state *least, struct err *e);
int mirrors_limit(struct storage *s, uint64_t bytes_per_s, struct err *e);
/* Fills each d->switched by what QEMU's devices use. -ESTALE: one uses neither image; what is so is told all the same. */
int mirrors_look_at_devices(struct storage *s, struct err *e);
/* QEMU switches those that are pending, and the others end as they are. Whatever is returned, d->switched says what came of it. */
int mirrors_finalize(struct storage *s, struct err *e);
/* No job of ours is left. */
int mirrors_cancel(struct storage *s, struct err *e);
/* Removes the nodes of new images that are not used, and those of old ones that are not used any more. */
int mirrors_remove_nodes(struct storage *s, struct err *e);

/* ---- bitmaps.c ---- */

/* Can the dirty bitmaps that there are go along? Fills each d->bitmaps. -ENOTSUP: one cannot. */
int bitmaps_check(struct storage *s, struct err *e);
/* The new images' nodes have them, while all copies are pending. */
int bitmaps_copy(struct storage *s, struct err *e);

/* ---- live.c, rest.c: until the disks are switched, or something fails ---- */

int storage_live(struct storage *s, struct err *e);
int storage_rest(struct storage *s, struct err *e);
/* Of one that is shut down the old images are locked meanwhile. */
int storage_rest_hold(struct storage *s, struct err *e);
void storage_rest_let_go(struct storage *s);
/* The guest goes on if we have stopped it: in whatever life. */
int storage_let_go_on(struct storage *s, struct err *e);
/* Has somebody cancelled it? Pumps the loop for so long. -ECANCELED, -EPIPE (QEMU is gone). */
int storage_wait(struct storage *s, unsigned ms, struct err *e);

/* ---- settle.c ---- */

/* Finishes or undoes it, whichever is right. 0: it has ended; -errno: that could not be decided, or done. Returns whether the guest has its
 * new disks (1), or not (0). */
int storage_settle(struct storage *s, struct err *e);

/* ---- tell.c ---- */

void storage_tell_plan(struct storage *s);
void storage_tell_progress(struct storage *s);
/* why: NULL when it went well. */
void storage_tell_result(struct storage *s, bool moved, const struct err *why, int exit_code);

#endif
