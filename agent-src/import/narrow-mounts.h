/* narrow-mounts.h: restricts a process to a few files by a mount namespace, if root has no Landlock. For narrow.c only. */
#ifndef VMFERRY_NARROW_MOUNTS_H
#define VMFERRY_NARROW_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>

struct left {
	const char *path; /* absolute */
	bool writable;
};

/*
 * What is in directories of the list must come behind these. For a process of one thread, for good. 0; -ENOTSUP: this process may have no namespace of
 * its own, and sees what it saw; -errno: it must not go on.
 */
int narrow_mounts(const struct left *l, size_t count);

#endif
