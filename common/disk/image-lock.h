/*
 * image-lock.h: the locks that QEMU takes on its image files (OFD locks on single bytes of the file; QEMU's docs/system/images: image
 * locking), held by us in a QEMU's place. They are gone when the descriptor is closed, also by the death of the process.
 */
#ifndef VMFERRY_IMAGE_LOCK_H
#define VMFERRY_IMAGE_LOCK_H

#include "err.h"

enum image_use {
	IMAGE_READ, /* nobody may write to it meanwhile */
	IMAGE_OWN,  /* nobody else may have it, not even to read */
};

/* *fd: for close(). -EBUSY: a QEMU has it open in a way that does not go with this, or another of our agents has it. Block devices and
 * file systems without locks: -errno of fcntl. */
int image_lock(const char *path, enum image_use use, int *fd, struct err *e);

#endif
