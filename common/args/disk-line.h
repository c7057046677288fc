/*
 * disk-line.h: what a QEMU command line says of one disk, and the same line with another image in that one's place. Pure.
 *
 * Nothing else of the line changes. What is known of a disk's options is in a table: with one that is not, whether the line still
 * means the same with another image (another format, say) is not known either, and it is refused.
 */
#ifndef VMFERRY_GUEST_DISK_LINE_H
#define VMFERRY_GUEST_DISK_LINE_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of the node of a format, and of the file below it; 0: not said. */
struct disk_line_options {
	uint64_t begins, shows; /* which part of the file is the disk: offset= and size= of the raw driver */
	char aio[16];		/* "threads", "native", "io_uring"; "": not said */
	bool unmap, file_unmap;
	bool file_direct, file_no_flush; /* the file's own cache options were given, and this is what they were */
	bool has_file_cache;
	bool no_locking;
};

struct disk_line_change {
	/* Is this file, as the line names it, the image? */
	bool (*is_it)(void *ctx, const char *path);
	void *ctx;
	const char *to;	    /* NULL: only look */
	const char *format; /* of that: "raw" or "qcow2" */
	bool to_device;	    /* it is a block device */
	uint64_t begins;    /* offset= of the raw driver; 0: the disk begins where it does */
	uint64_t shows;	    /* bytes of it that the guest sees, as it is larger: size= of the raw driver; 0: all of it */
	bool same_bytes;    /* it is what the old one was, byte for byte: offset= and size= stay as they are */
	bool may_have_base; /* so the line must not say what it is based on, as {"backing": null} does */
};

/*
 * 1: the line has the disk, once; *out (may be NULL without `to`) has argc or more strings and a NULL, *count of them, to be freed by
 * args_free_strings(). 0: it does not name the image. -ENOTSUP: it does in a way that cannot be changed, or more than once.
 */
int disk_line_change(char *const *argv, size_t argc, const struct disk_line_change *c, char ***out, size_t *count,
		     struct disk_line_options *options, struct err *e);

/*
 * The line with an overlay (to, a qcow2 image) in the place of a disk that it calls by one of these names (real: with links followed; either may be NULL). *argv, *argc
 * are changed. -ENOTSUP: not so, or it does not name the disk.
 */
int disk_line_overlay(char ***argv, size_t *argc, const char *named, const char *real, const char *to, struct err *e);

/* Names no line what an image is based on? It would be put below one that is whole, and be read where that is empty. why: ends the sentence. 0, -ENOTSUP. */
int disk_line_check_bases(char *const *argv, size_t argc, const char *why, struct err *e);

#endif
