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

/* Backing files that the user lets be read, besides those that lie beside the image. */
struct base_wish {
	char *const *files; /* named by the user */
	size_t count;
	bool all;
	const char *folder; /* of the description, ends in a slash: what lies there belongs to its guest; NULL: images alone are named */
};

struct image_base {
	char *path;
	const char *driver;
	uint64_t size;
	bool is_named; /* by the user */
};

struct image_source {
	char *path;    /* absolute */
	char *packed;  /* the file that the user has, of which this was unpacked; NULL: it was not */
	bool is_block; /* a block device, which is a raw disk whatever is in it */
	bool is_slice; /* a member of an OVA: so many bytes at that offset */
	uint64_t offset, size;
	char **extents; /* names of files beside it that it consists of */
	size_t extent_count;
	const char *driver;		      /* QEMU's: "vmdk", "raw" … */
	bool is_own;			      /* made by this user: qemu-img is not held to anything */
	bool is_raw;			      /* the user says so, whatever it looks like */
	bool was_raw;			      /* in what it was unpacked from: what its guest wrote there is no header */
	uint64_t virtual_bytes, needed_bytes; /* what its guest sees, and what about that takes; convert_measure() sets them */
	const struct base_wish *may;	      /* NULL: it may have no base */
	bool is_base;			      /* of another, whose bases are looked for there */
	struct image_base *bases;	      /* image-base.h: it is on the first, that on the second … */
	size_t base_count;
	unsigned snapshots; /* within it, which do not come along */
	bool by_size; /* a VHD whose size is what it says, and not what its cylinders, heads and sectors make: QEMU before 10 may think otherwise */
};

/*
 * Sets driver, and size where it is the whole file. format: what the description says it is; NULL: what its header says it is.
 * 0; -EINVAL: it cannot be imported, and why; -errno: it cannot be read. Files with other owners of names (links) are not followed
 * for extents.
 */
int image_examine(struct image_source *s, const char *format, struct err *e);
/* Whatever a QEMU that guesses its format takes it for, it reads no other file through it. 0; -EINVAL: it might; -errno: it cannot be read. */
int image_check_alone(const char *path, struct err *e);
/* As the user knows it. */
const char *image_source_label(const struct image_source *s);
/* The image as qemu-img takes it, with nothing left to be guessed: "json:{…}"; malloc'ed. */
char *image_source_name(const struct image_source *s);
/* The names of its snapshots, with commas, as far as there are few; malloc'ed, for people. */
char *image_snapshot_names(const struct image_source *s);
/* For reading: a regular file or a block device. A descriptor, or -errno; -EINVAL: it is something else. */
int image_open(const char *path);
void image_source_fini(struct image_source *s);

#endif
