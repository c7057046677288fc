/* disks.h: the disks that arrive: where each goes, its empty image, and how the data channels write to it. */
#ifndef VMFERRY_DST_DISKS_H
#define VMFERRY_DST_DISKS_H

#include "alike-images.h"
#include "data-receive.h"
#include "old-copy.h"
#include "old-read.h"
#include "partial.h"
#include "qemu-helper.h"
#include "rights.h"
#include "target.h"
#include "unit-set.h"

struct arriving_disk {
	uint32_t object;
	char *from; /* as it stands in the source's argv */
	char *path; /* here */
	char *format;
	char *node;			/* in the destination QEMU; of formats that go through it */
	char *backing, *backing_format; /* as the image is to refer to it; NULL: stands alone */
	uint64_t virtual_size, allocated;
	uint64_t least; /* of a point: bytes of allocated that it needs in any case, as it is not known what is the same there already */
	uint64_t device_bytes; /* of the block device that it goes onto; what is behind the disk's own is left alone */
	bool set_aside;	       /* its file has blocks that nobody has written to, and is to have them here */
	bool device;	       /* path is a block device that is there already */
	bool part;	       /* it begins in the middle of its file at the source (offset=): here it has one of its own */
	bool of_qcow2;	       /* it is such an image at the source, whatever it becomes here */
	bool unsafe;	       /* its QEMU says that it is durable, and does nothing for that (cache=unsafe) */
	bool empty;	       /* nothing of it comes: what is in it is left behind */
	bool as_file;	       /* with whatever format is in it: its bytes are not looked at */
	uint64_t file_bytes;   /* as_file: its size, up to the last byte */
	int lock_fd;	       /* so that no QEMU opens it before it may, of raw and as_file; -1: not */
	unsigned cluster_size;
	json_t *qcow2; /* as the source sent it (qcow2_options_add()), or NULL */
	struct rights rights;
	struct old_copy old;
	struct partial partial; /* that it begins with */
	bool known;		/* what is in there the source knows */
	bool above;		/* it begins as an overlay of what the source is to compare */
	bool alike;		/* it may be, and once the source says so is, filled from other images here first */
	struct arriving_bitmap *bitmap;
	unsigned bitmap_count, bitmap_shift;
	char *bitmap_node;	 /* where they are made; NULL: that is not known yet */
	struct unit_set written; /* since they were copied */
	int held_fd;		 /* of its image, until that was seen to have its name still; -1: not */
};

/* A dirty bitmap of the guest's own (a backup tool's), which is made in its QEMU here: bitmaps.h. */
struct arriving_bitmap {
	char *name;
	uint32_t granularity; /* bytes */
	bool persistent, recording;
	bool complete, dropped; /* all of it is here; it is not to be made */
	bool has_node;		/* the disk of no contents is there (bitmaps.h) */
	struct unit_set
		bits; /* of 1 << bitmap_shift bytes each; once it is complete: those that the disk of no contents has, if there is one */
};

/* A disk that stays in place: a file on storage that both hosts see, or anything that the source's user says both see. */
struct staying_disk {
	uint32_t object;
	bool by_word;
	char *from, *real; /* as it stands in the source's argv, and the file itself there; by_word: NULL */
	char *path;	   /* here; by_word: what it is called */
	char *format;
};

/* Whether a disk goes onto a block device of more bytes: the guest's command line says then how many are the disk's. */
static inline bool disk_is_on_larger(const struct arriving_disk *d)
{
	return d->device_bytes > d->virtual_size;
}

#define HELD_DEVICES_MAX 64 /* a guest has no more disks (args) */

struct arriving_point;

struct disks {
	struct part part;
	struct target *target;
	struct arriving_point *point; /* of a replica, which they become; NULL: they are the guest's */
	const char *state_dir;
	struct arriving_disk *list;
	size_t count;
	bool refused; /* some is not in the list, as it cannot be had here */
	struct staying_disk *stay;
	size_t stays;
	struct partials partials; /* that there are of this guest */
	char *nbd_socket;
	bool nbd_running;
	bool late;			    /* the guest's own QEMU is not there yet */
	struct qemu_helper helper;	    /* writes them where the guest's own QEMU is not there yet; qmp NULL: there is none */
	uint64_t cache_bytes;		    /* of memory that what is kept may still take */
	struct old_reader *old_reader;	    /* NULL: not yet, or no more */
	struct alike_images images;	    /* that may have some of what comes */
	unsigned alike_ms;		    /* so long they are looked through; 0: not at all */
	struct alike_fill *alike;	    /* NULL: they are not, or not yet */
	int held_devices[HELD_DEVICES_MAX]; /* locks on those whose guest may be taken back (image-held.h) */
	size_t held_device_count;
};

/*
 * Life of the disks: disks_init(), a plan (disks-plan.c), disks_open(), the receivers write, disks_close_exports(), disks_trim(),
 * disks_close_images(), disks_let_go(). A later life of the attempt (recover) has read the list from the journal; what may be called there,
 * too, says so.
 */
void disks_init(struct disks *d, struct target *target, const char *state_dir);
/* A file is at that path, or a disk will be. */
bool disks_path_taken(const struct disks *d, const char *path);
/* Adds to the plan's obstacles that the directory of a disk is missing. 0. */
int disks_refuse_dir(const struct disks *d, const char *dir, struct err *e);
/* Receivers find in shared where each disk is written. */
int disks_open(struct disks *d, struct receive_shared *shared, struct err *e);

/* A helper writes what only a QEMU can write, until disks_close_exports(): the guest's own QEMU comes later. */
int disks_start_helper(struct disks *d, struct err *e);
/* Ends the helper of an earlier life, if there is one. */
void disks_restore(struct disks *d);
/* Some disks are written through a QEMU of ours. */
bool disks_have_exports(const struct disks *d);
/* Starts the NBD server of the QEMU that writes disks, until disks_close_exports(). */
int disks_start_nbd(struct disks *d, struct err *e);
/* Finds the disk's node in that QEMU; *node: malloc'ed. *unsafe: QEMU does nothing for what is to be durable there. */
int disks_find_node(const struct arriving_disk *d, struct qmp *q, char **node, bool *unsafe, struct err *e);
/* Exports are closed before the device state is loaded: a writable one would fight with the guest's own device. */
int disks_close_exports(struct disks *d, struct err *e);

/* Takes from PREPARE what the source has decided about other images here. */
void disks_take_alike(struct disks *d, const json_t *prepare);
/* Tells the source what the disks' old copies have, from now on; until disks_stop(). */
int disks_compare(struct disks *d, struct receive_shared *shared, struct err *e);
/* The disk's bulk round is here: nobody asks for its old copy any more. */
void disks_compared(struct disks *d, uint32_t object);
/* Ends what disks_compare() has begun, and waits until whoever helped to write is gone. */
void disks_stop(struct disks *d);

/* Disks that are carried as files (as_file) get the size that they are to have, durably. */
int disks_trim(struct disks *d, struct err *e);
/* Each image is as long as its disk. -ESTALE: somebody who asked for no locks has cut one, or made it longer. To be asked often: one that
 * was cut has its length again once its end is written. */
int disks_have_their_length(const struct disks *d, struct err *e);
/* Images are not watched any more. is_over: nobody writes to them, and what is whole is noted (partial.h). */
void disks_close_images(struct disks *d, bool is_over);
/* QEMU gets the locks on images that nobody else was to open: before it takes them over. */
void disks_unlock(struct disks *d);
/* The guest's QEMU has the images open by their names, and owns them from then on. -ESTALE: somebody has replaced one, or cut it. */
int disks_let_go(struct disks *d, struct err *e);
/* Closes all that we have of the images, and has whoever helped to write them close them; disks_stop() waits until that one is gone. */
void disks_leave(struct disks *d);

/* 0: only the guest's QEMU has the files open; else -EBUSY. */
int disks_are_nobody_else_s(const struct disks *d, struct err *e);
/* Every file that this attempt has made is still the one that it was. In any life. */
bool disks_are_here(const struct disks *d);
/* Images that are held for another host (image-held.h) have their names still. In any life. */
bool disks_have_their_names(const struct disks *d);
/* Where both hosts see some of them, the names of all, of those that have arrived, too, lead to the files that they led to as the move
 * began: -EBUSY. In any life. */
int disks_are_named(const struct disks *d, struct err *e);
/* Notes in the journal when the disks that both hosts see were written last: nobody writes to them between our promise and the
 * hand-over. */
int disks_note_shared(struct disks *d, struct err *e);
/* Disks that both hosts see have their names, and nobody has written to them since disks_note_shared(): -EBUSY. In any life. */
int disks_shared_unwritten(const struct disks *d, struct err *e);
/* Disks that stay by a person's word were in sight all the time. -EBUSY: the source's QEMU was gone when its agent began anew. */
int disks_by_word_watched(const struct disks *d, struct err *e);
/* A person's word that the source is dead is enough: every disk that stays can be looked at, and nobody has written to it. */
int disks_may_be_vouched_for(const struct disks *d, struct err *e);

#endif
