/*
 * image-mark.h: is the file that two hosts call by some name one and the same, on storage that both see? One of them locks a byte far behind
 * its end, at an offset that nobody can guess; the other sees that lock, or does not. What shows a lock keeps QEMU's own locks on its images,
 * too. Nothing is written, and a mark is gone when its descriptor is closed, also by the death of the process.
 */
#ifndef VMFERRY_IMAGE_MARK_H
#define VMFERRY_IMAGE_MARK_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* Marks a regular file: *mark is where. A descriptor; -1: it cannot be read, or locked. */
int image_mark(const char *path, int64_t *mark);
/* By somebody else, whichever host that is on. */
bool image_is_marked(const char *path, int64_t mark);
/* Some QEMU has locked it as it does images that it uses: one that was told not to (locking=off) has not. */
bool image_has_locks(const char *path);
/* When a regular file was written last, on whichever host (ns since 1970); 0: that cannot be told. */
int64_t file_written_ns(const char *path);
/* A number that changes when an image is written to on this host: of a regular file as above, of a block device what the kernel counts. 0: that
 * cannot be told (it is mounted, say), which is no sign that it was not. */
int64_t image_write_stamp(const char *path);
/* The first of these files, {path: file_written_ns() of then}, that has been written since; *why: that it "was written", or that it cannot be told.
 * Borrowed; NULL: none has. */
const char *file_written_since(const json_t *then, const char **why);

#endif
