/* space.h: do the files that are to be written on this host fit onto its file systems? All that goes to one file system counts together. */
#ifndef VMFERRY_SPACE_H
#define VMFERRY_SPACE_H

#include "err.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct volume {
	dev_t device;
	char *dir; /* a directory on it */
	uint64_t need, files;
};

/* Begins zeroed. */
struct space {
	struct volume *volumes;
	size_t count;
};

/* Counts bytes that go to dir. -errno: it cannot be looked at. */
int space_add(struct space *s, const char *dir, uint64_t bytes, struct err *e);
/* -ENOSPC: what ("the disks") needs more than one of the volumes has; -errno: that cannot be told. */
int space_check(const struct space *s, struct err *e);
int space_check_volume(const struct volume *v, const char *what, struct err *e);
void space_fini(struct space *s);
/* Does the same as space_check() for one directory. */
int space_check_dir(const char *dir, uint64_t bytes, const char *what, struct err *e);

#endif
