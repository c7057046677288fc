/*
 * foreign-image.h: a disk image that somebody else made: of which format it is, and whether qemu-img may be let at it.
 *
 * An image can name other files (a backing file, extents, a file of data), which a program that opens it then reads: one from a
 * stranger could name any file of this host. So headers are read here first; only extents that lie beside their descriptor are let
 * through, and a format is never left to be guessed.
 */
#ifndef VMFERRY_FOREIGN_IMAGE_H
#define VMFERRY_FOREIGN_IMAGE_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Backing files that may be read in addition to those beside the image. */
struct base_wish {
	char *const *files; /* named by the user */
	size_t count;
	bool all;
	const char *folder; /* the description's directory, ends in a slash: its files are the guest's; NULL: there is none */
};

struct image_base {
	char *path;
	const char *driver;
	uint64_t size;
	bool is_named; /* the user has named it */
};

struct image_source {
	char *path;    /* absolute */
	char *packed;  /* the user's file from which this was unpacked; NULL: it was not packed */
	bool is_block; /* a block device: always a raw disk */
	bool is_slice; /* a member of an OVA: size bytes at offset */
	uint64_t offset, size;
	char **extents; /* names of its extents, files beside it */
	size_t extent_count;
	const char *driver;		      /* QEMU's: "vmdk", "raw" … */
	bool is_own;			      /* made by this user: qemu-img runs without restrictions */
	bool is_raw;			      /* raw by the user's word, whatever it looks like */
	bool was_raw;			      /* raw in its archive: its first bytes are the guest's data, not a header */
	uint64_t virtual_bytes, needed_bytes; /* size that the guest sees, and estimated size of the new image, by convert_measure() */
	const struct base_wish *may;	      /* NULL: no base is permitted */
	bool is_base;			      /* image is another one's base: that one's list has the bases of this, too */
	struct image_base *bases;	      /* image-base.h: it is on the first, that on the second … */
	size_t base_count;
	unsigned snapshots; /* internal snapshots, which are lost */
	/* a VHD whose size is what it says, and not what its cylinders, heads and sectors make: QEMU before 10 may think otherwise */
	bool by_size;
};

/*
 * Sets driver, and size where it is the whole file. format: what the description says it is; NULL: what its header says it is.
 * 0; -EINVAL: it cannot be imported, and why; -errno: it cannot be read. Files with other owners of names (links) are not followed
 * for extents.
 */
int image_examine(struct image_source *s, const char *format, struct err *e);
/* Checks that no format that QEMU may guess for the file makes it read another file. 0; -EINVAL: one might; -errno: it cannot be read. */
int image_check_alone(const char *path, struct err *e);
/* Name of the image for messages, as the user knows it. */
const char *image_source_label(const struct image_source *s);
/* Name for qemu-img that leaves nothing to be guessed: "json:{…}"; malloc'ed. */
char *image_source_name(const struct image_source *s);
/* Names of its snapshots, with commas, cut if there are many; malloc'ed, for messages. */
char *image_snapshot_names(const struct image_source *s);
/* Opens a regular file or a block device for reading. Returns a descriptor, or -errno; -EINVAL: another kind of file. */
int image_open(const char *path);
void image_source_fini(struct image_source *s);

#endif
