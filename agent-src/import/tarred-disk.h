/*
 * tarred-disk.h: an image of Google Compute Engine's: a tar, which is compressed, with one member: disk.raw, the disk, which may have a map of its
 * holes (tar --sparse), in the format oldgnu, gnu or posix (pax). A stream, read from its beginning to its end. Pure.
 */
#ifndef VMFERRY_IMPORT_TARRED_DISK_H
#define VMFERRY_IMPORT_TARRED_DISK_H

#include "bundle-tar.h"
#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TARRED_DISK	  "disk.raw"
#define TARRED_PIECES_MAX (1u << 20) /* pieces of its map */
#define TARRED_HEAD	  4096u	     /* bytes of a file that it is known by, at most */

/* Sets n bytes of to. 0; 1: the stream has ended before the first of them; -errno, also where it ends within. */
typedef int (*tarred_read_fn)(void *ctx, void *to, size_t n, struct err *e);
/* Takes n bytes of the disk, which are not all zeros. */
typedef int (*tarred_write_fn)(void *ctx, uint64_t at, const uint8_t *p, size_t n, struct err *e);

/* True if a file that begins with these n bytes (TARRED_HEAD, if it has as many) is such a tar; *bytes is then the size that its guest
 * sees. */
bool tarred_disk_is(const uint8_t *head, size_t n, uint64_t *bytes);
/* Reads the whole disk from its beginning; the disk must have that many bytes. 0; -EINVAL: the data is damaged or cut off, or has another
 * member; or what write() returns. */
int tarred_disk_read(uint64_t bytes, tarred_read_fn read, tarred_write_fn write, void *ctx, struct err *e);

#endif
