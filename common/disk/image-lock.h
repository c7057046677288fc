/*
 * image-lock.h: the locks that QEMU takes on its image files (OFD locks on single bytes of the file; QEMU's docs/system/images: image
 * locking), held by us in a QEMU's place. They are gone when the descriptor is closed, also by the death of the process. Who does not ask for
 * them (a mount, a copy, a QEMU with locking=off) is seen by image_is_written.
 */
#ifndef VMFERRY_IMAGE_LOCK_H
#define VMFERRY_IMAGE_LOCK_H

#include "err.h"

#include <stdbool.h>

enum image_use {
	IMAGE_SHARE, /* nobody may write to it meanwhile */
	IMAGE_READ,  /* and no other agent of ours may have it so */
	IMAGE_OWN,   /* nobody else may have it, not even to read */
};

/* Somebody has it open for writing, in whatever process, namespace or loop device; fd: a descriptor for reading, of image_lock (not
 * IMAGE_OWN) or other. False, too, where the file system does not tell. */
bool image_is_written(int fd);
/* A QEMU has locked the file of that name as one that it writes to. False, too, where the file system does not tell, and with locking=off. */
bool image_is_locked_to_write(const char *path);
/* A QEMU, or an agent of ours, has locked it so that no QEMU may open it to write (as one that writes to it and shares it with nobody does). False as above. */
bool image_is_forbidden_to_write(const char *path);
/* *fd: for close(). -EBUSY: a QEMU has it open in a way that does not go with this, or another of our agents has it. Block devices and
 * file systems without locks: -errno of fcntl. */
int image_lock(const char *path, enum image_use use, int *fd, struct err *e);

#endif
