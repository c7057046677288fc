/* arriving-disks.h: the disks that arrive: where each goes, its empty image, and how the data channels write to it. */
#ifndef VMFERRY_ARRIVING_DISKS_H
#define VMFERRY_ARRIVING_DISKS_H

#include "alike-images.h"
#include "data-receive.h"
#include "old-copy.h"
#include "old-read.h"
#include "partial.h"
#include "qemu-helper.h"
#include "rights.h"
#include "target.h"
#include "unit-set.h"

/* Dirty bitmaps that come with a disk. */
struct arriving_bitmaps {
	struct arriving_bitmap *list;
	unsigned count, shift;
	char *node;		 /* node at which the bitmaps are made; NULL: not known yet */
	struct unit_set written; /* units written since the bitmaps were copied */
};

/* Contents that a disk has here before anything of it has come. */
struct arriving_begin {
	struct old_copy old;
	struct partial partial; /* partial copy that the disk begins with */
	bool known;		/* the source knows what is in the disk already */
	bool above;		/* the disk begins as an overlay of what the source is to compare */
	bool alike;		/* the disk may be filled from other images here first; the source decides */
};

/* A disk's name and kind at the source. */
struct arriving_source {
	char *name;	/* name in the source's argv */
	bool part;	/* the disk begins in the middle of its file at the source (offset=): here it has its own file */
	bool is_qcow2;	/* the disk is a qcow2 image at the source, whatever it becomes here */
	bool is_unsafe; /* QEMU claims to have made the disk durable, and does nothing for that (cache=unsafe) */
};

struct arriving_disk {
	uint32_t object;
	struct arriving_source source;
	char *path; /* path on this host */
	char *format;
	char *node;			/* node in the destination QEMU, for formats that go through it */
	char *backing, *backing_format; /* backing file as the image is to refer to it; NULL: the image stands alone */
	uint64_t virtual_size, allocated;
	uint64_t least;	       /* bytes of allocated that a point needs in any case, as it is not known what is the same there already */
	uint64_t device_bytes; /* size of the block device that the disk goes onto; what lies behind the disk's own bytes is left alone */
	bool set_aside;	       /* the file has blocks that nobody has written to, and is to have them here, too */
	bool device;	       /* path is a block device that exists already */
	bool empty;	       /* nothing of the disk is sent: what is in it is left behind */
	bool as_file;	       /* the file is copied with whatever format is in it: its bytes are not looked at */
	uint64_t file_bytes;   /* size of the file, up to the last byte, if as_file */
	int lock_fd;	       /* lock that keeps every QEMU from opening a raw or as_file disk before it may; -1: none */
	unsigned cluster_size;
	json_t *qcow2; /* options as the source sent them (qcow2_options_add()), or NULL */
	struct rights rights;
	struct arriving_begin begins;
	struct arriving_bitmaps bitmaps;
	int held_fd; /* image, open until its name was checked once more; -1: none */
};

/* Dirty bitmap of the guest's own (a backup tool's), which is made in its QEMU here: bitmaps.h. */
struct arriving_bitmap {
	char *name;
	uint32_t granularity; /* bytes */
	bool persistent, recording;
	bool complete, dropped; /* complete: all of it is here; dropped: it is not to be made */
	bool has_node;		/* the disk of no contents exists (bitmaps.h) */
	/* units of 1 << bitmap_shift bytes each; once the bitmap is complete: those that the disk of no contents has, if there is one */
	struct unit_set bits;
};

/* Disk that stays in place: a file on storage that both hosts see, or anything that the source's user says both see. */
struct staying_disk {
	uint32_t object;
	bool by_word;
	char *from, *real; /* name in the source's argv, and path of the file itself there; by_word: real is NULL */
	char *path;	   /* path on this host; by_word: name of the disk */
	char *format;
};

/* True if a disk goes onto a block device of more bytes: the guest's command line says then how many are the disk's. */
static inline bool disk_is_on_larger(const struct arriving_disk *d)
{
	return d->device_bytes > d->virtual_size;
}

#define HELD_DEVICES_MAX 64 /* a guest has no more disks (args) */

struct arriving_point;

struct disks {
	struct part part;
	struct target *target;
	struct arriving_point *point; /* point of a replica that the disks become; NULL: they are the guest's */
	const char *state_dir;
	struct arriving_disk *list;
	size_t count;
	bool refused; /* at least one disk is not in the list, as it cannot be made here */
	struct staying_disk *stay;
	size_t stays;
	struct partials partials; /* partial copies of this guest that exist here */
	char *nbd_socket;
	bool nbd_running;
	bool late;			    /* the guest's own QEMU has not been started yet */
	struct qemu_helper helper;	    /* helper QEMU that writes the disks while `late`; qmp NULL: there is none */
	uint64_t cache_bytes;		    /* memory that old copies kept in memory may still take */
	struct old_reader *old_reader;	    /* NULL: not started yet, or ended */
	struct alike_images images;	    /* images here that may have some of what is sent */
	unsigned alike_ms;		    /* time for looking through these images; 0: they are not looked at */
	struct alike_fill *alike;	    /* NULL: no other image is read, or not yet */
	int held_devices[HELD_DEVICES_MAX]; /* locks on devices whose guest may be taken back (image-held.h) */
	size_t held_device_count;
};

/* Life of the disks: disks_init(), a plan (disks-plan.c), disks_open(), the receivers write, disks_close_exports(), disks_trim(),
 * disks_close_images(), disks_let_go(). A later life of the attempt (recover) has read the list from the journal; the comment of a
 * function that it may call says "in any life". */
void disks_init(struct disks *d, struct target *target, const char *state_dir);
/* True if a file is at that path, or a disk will be. */
bool disks_path_taken(const struct disks *d, const char *path);
/* Adds to the plan's obstacles that the directory of a disk is missing. Returns 0. */
int disks_refuse_dir(const struct disks *d, const char *dir, struct err *e);
/* Opens the images, and sets in shared where the receivers find each disk. */
int disks_open(struct disks *d, struct receive_shared *shared, struct err *e);

/* Starts a helper QEMU that writes what only a QEMU can write, until disks_close_exports(): the guest's own QEMU comes later. */
int disks_start_helper(struct disks *d, struct err *e);
/* Ends the helper of an earlier life, if there is one. */
void disks_restore(struct disks *d);
/* True if some disks are written through a QEMU of ours. */
bool disks_have_exports(const struct disks *d);
/* Starts the NBD server of the QEMU that writes disks, until disks_close_exports(). */
int disks_start_nbd(struct disks *d, struct err *e);
/* Finds the disk's node in that QEMU; *node: malloc'ed; *unsafe: QEMU does nothing to make it durable. */
int disks_find_node(const struct arriving_disk *d, struct qmp *q, char **node, bool *unsafe, struct err *e);
/* Closes the exports before the device state is loaded: a writable one would fight with the guest's own device. */
int disks_close_exports(struct disks *d, struct err *e);

/* Takes from PREPARE what the source has decided about other images here. */
void disks_take_alike(struct disks *d, const json_t *prepare);
/* Tells the source what the disks' old copies have, from now on until disks_stop(). */
int disks_compare(struct disks *d, struct receive_shared *shared, struct err *e);
/* Takes note that the disk's bulk round is here: nobody asks for its old copy any more. */
void disks_compared(struct disks *d, uint32_t object);
/* Ends what disks_compare() has begun, and waits until whoever helped to write is gone. */
void disks_stop(struct disks *d);

/* Gives disks that are carried as files (as_file) their final size, durably. */
int disks_trim(struct disks *d, struct err *e);
/* Checks that each image is as long as its disk. -ESTALE: a program that asked for no locks has cut one, or made it longer. Call it
 * often: one that was cut has its length again once its end is written. */
int disks_have_their_length(const struct disks *d, struct err *e);
/* Stops watching the images. is_over: nobody writes to them any more, and what is whole is noted (partial.h). */
void disks_close_images(struct disks *d, bool is_over);
/* Gives QEMU the locks on images that nobody else was to open, before it takes the images over. */
void disks_unlock(struct disks *d);
/* Leaves the images to the guest's QEMU, which has them open by their names and owns them from then on. -ESTALE: another program has
 * replaced one, or cut it. */
int disks_let_go(struct disks *d, struct err *e);
/* Closes all that we have of the images, and has every process that helped to write them close them, too; disks_stop() waits for its
 * end. */
void disks_leave(struct disks *d);

/* Checks that only the guest's QEMU has the files open: 0; else -EBUSY. */
int disks_are_nobody_else_s(const struct disks *d, struct err *e);
/* True if every file that this attempt has made is still the same. In any life. */
bool disks_are_here(const struct disks *d);
/* True if images that are held for another host (image-held.h) still have their names. In any life. */
bool disks_have_their_names(const struct disks *d);
/* Checks, where both hosts see some disks, that the names of all disks, also of those that have arrived, lead to the same files as when
 * the move began: else -EBUSY. In any life. */
int disks_are_named(const struct disks *d, struct err *e);
/* Notes in the journal when the disks that both hosts see were last written: nobody writes to them between our promise and the
 * hand-over. */
int disks_note_shared(struct disks *d, struct err *e);
/* Checks that disks that both hosts see have their names, and that nobody has written to them since disks_note_shared(): else -EBUSY. In
 * any life. */
int disks_shared_unwritten(const struct disks *d, struct err *e);
/* Checks that disks that stay by a person's word were in sight all the time. -EBUSY: the source's QEMU was gone when its agent began
 * anew. */
int disks_by_word_watched(const struct disks *d, struct err *e);
/* Checks that a person's word is enough for a dead source: every disk that stays can be looked at, and nobody has written to it. */
int disks_may_be_vouched_for(const struct disks *d, struct err *e);

#endif
