/*
 * point-spool.h: files in which what is to be sent of a guest's disks lies on this host until it is (disks-frozen.c): a sparse one for each disk. Its file system
 * may be that of the disks, which grow: were it full, the guest would stand.
 */
#ifndef VMFERRY_PARTS_POINT_SPOOL_H
#define VMFERRY_PARTS_POINT_SPOOL_H

#include "disks.h"

/* Malloc'ed: the directory for that disk's: the one that was wished for (NULL: none was), or beside the disk; a block device has its place beside the
 * first disk that is a file. NULL: there is none. */
char *point_spool_dir(const struct disks *ds, const struct guest_disk *g, const char *wished);
/* -ENOTSUP: there is none for some disk. */
int point_spool_places(const struct disks *ds, const char *wished, struct err *e);
int point_spool_make(const char *path, const struct guest_disk *g, struct err *e);
/* -ENOSPC: where these files are is no room for so many bytes more, and some that stay free. */
int point_spool_room(char *const *files, const uint64_t *need, size_t count, struct err *e);

#endif
