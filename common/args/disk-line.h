/*
 * disk-line.h: reads one disk's options from a QEMU command line, and puts another image in that disk's place. Pure.
 *
 * The rest of the line stays as it is. A table lists the known options of a disk. A disk with an unknown option is refused, as the option
 * might mean something else with another image (of another format, say).
 */
#ifndef VMFERRY_GUEST_DISK_LINE_H
#define VMFERRY_GUEST_DISK_LINE_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The options of a format's node and of the file below it; 0: not given. */
struct disk_line_options {
	uint64_t begins, shows; /* the part of the file that is the disk: offset= and size= of the raw driver */
	char aio[16];		/* "threads", "native", "io_uring"; "": not given */
	bool unmap, file_unmap;
	bool file_direct, file_no_flush; /* the file's own cache options, if has_file_cache */
	bool has_file_cache;
	bool no_locking;
};

struct disk_line_change {
	/* True if this file, as the line names it, is the image. */
	bool (*is_it)(void *ctx, const char *path);
	void *ctx;
	const char *to;	    /* NULL: only look */
	const char *format; /* format of `to`: "raw" or "qcow2" */
	bool to_device;	    /* destination file is a block device */
	uint64_t begins;    /* offset= of the raw driver; 0: the disk begins where the image does */
	uint64_t shows;	    /* size= of the raw driver, in bytes, if the image is larger than the disk; 0: the guest sees all of it */
	bool same_bytes;    /* the image equals the old one byte for byte: offset= and size= stay */
	bool may_have_base; /* the line must not set its backing file, as {"backing": null} does */
};

/*
 * 1: the line names the image once; *out (may be NULL without `to`) gets *count strings (argc or more) and a NULL, to be freed by
 * args_free_strings(). 0: the line does not name it. -ENOTSUP: it does so in a way that cannot be changed, or more than once.
 */
int disk_line_change(char *const *argv, size_t argc, const struct disk_line_change *c, char ***out, size_t *count,
		     struct disk_line_options *options, struct err *e);

/*
 * Replaces a disk of the line by an overlay (to, a qcow2 image); the line calls the disk by one of these names (real: with links followed;
 * either may be NULL). Changes *argv and *argc. -ENOTSUP: that cannot be done, or the line does not name the disk.
 */
int disk_line_overlay(char ***argv, size_t *argc, const char *named, const char *real, const char *to, struct err *e);

/* 0: the line sets no backing file; -ENOTSUP: it does, and QEMU would put that below an image that is complete without, and read it where
 * the image is empty. why: the end of the error's sentence. */
int disk_line_check_bases(char *const *argv, size_t argc, const char *why, struct err *e);

#endif
