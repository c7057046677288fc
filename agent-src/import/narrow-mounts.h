/* narrow-mounts.h: restricts a process to a few files by a mount namespace, if root has no Landlock. For narrow.c only. */
#ifndef VMFERRY_NARROW_MOUNTS_H
#define VMFERRY_NARROW_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>

struct left {
	const char *path; /* absolute */
	bool writable;
};

/* Mounts only what is in the list, for good, in a process of one thread. Entries within a directory of the list must come after it. 0;
 * -ENOTSUP: this process may not have a namespace of its own, and sees what it saw before; -errno: it must not go on. */
int narrow_mounts(const struct left *l, size_t count);

#endif
