/* packed.h: a file that may be compressed (gzip, zstd, xz, bzip2), read as what is in it, from its beginning to its end. */
#ifndef VMFERRY_IMPORT_PACKED_H
#define VMFERRY_IMPORT_PACKED_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct packed;

#define PACKED_HEAD 10u /* bytes that a compressed file is known by, at most */

/* A file that begins so is compressed in a way that is known here. Pure. */
bool packed_is(const void *head, size_t n);

/* True if the file's name says that it is compressed. Pure. */
bool packed_is_called_so(const char *path);

/* fd stays the caller's, and is read from where it is. 0; -EINVAL: it is compressed in another way; -errno. */
int packed_open(struct packed **out, int fd, struct err *e);
/* Sets *got to less than n only at the end. 0; -EINVAL: it is damaged or cut off; -errno. */
int packed_read(struct packed *p, void *to, size_t n, size_t *got, struct err *e);
/* Bytes of the file that are read so far. */
uint64_t packed_taken(const struct packed *p);
void packed_close(struct packed *p);

#endif
