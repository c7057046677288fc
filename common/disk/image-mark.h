/*
 * image-mark.h: tells whether a name leads to the same file on two hosts, on storage that both see. One of them locks a byte far behind the
 * file's end, at an offset that nobody can guess; the other sees that lock, or does not. Storage that shows such a lock also shows QEMU's
 * own locks on its images. Nothing is written, and a mark is gone when its descriptor is closed, also by the death of the process.
 */
#ifndef VMFERRY_IMAGE_MARK_H
#define VMFERRY_IMAGE_MARK_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* Marks a regular file: *mark is where. A descriptor; -1: it cannot be read, or locked. */
int image_mark(const char *path, int64_t *mark);
/* True if another process, on any host, has marked the image. */
bool image_is_marked(const char *path, int64_t mark);
/* True if a QEMU has locked it as one of its images; a QEMU with locking=off does not. */
bool image_has_locks(const char *path);
/* The time of the last write to a regular file, on whichever host (ns since 1970); 0: that cannot be told. */
int64_t file_written_ns(const char *path);
/* A number that changes when an image is written to on this host: for a regular file as above, for a block device the kernel's counters. 0:
 * unknown (it is mounted, say), which does not mean unwritten. */
int64_t image_write_stamp(const char *path);
/* The time when an image's file was last changed in any way (ctime, ns since 1970), which nobody can set back as the time of the last write: it
 * was written, or has another owner, mode, name or time. 0: unknown, or a device, whose counters nobody sets back. */
int64_t image_change_stamp(const char *path);
/* The first of these files, {path: file_written_ns() of then}, that has been written since; *why: that it "was written", or that it cannot
 * be told. Borrowed; NULL: none has. */
const char *file_written_since(const json_t *then, const char **why);

#endif
