/*
 * image-lock.h: the locks that QEMU takes on its image files (OFD locks on single bytes of the file; QEMU's docs/system/images: image
 * locking), held by us in a QEMU's place. They are gone when the descriptor is closed, also by the death of the process.
 * image_is_written sees users that take no locks (a mount, a copy, a QEMU with locking=off).
 */
#ifndef VMFERRY_IMAGE_LOCK_H
#define VMFERRY_IMAGE_LOCK_H

#include "err.h"

#include <stdbool.h>

enum image_use {
	IMAGE_SHARE,  /* no other process may write to it meanwhile */
	IMAGE_READ,   /* no other process may write to it, and no other agent of ours may lock it so */
	IMAGE_OWN,    /* no other process may have it open, not even to read */
	IMAGE_BESIDE, /* a QEMU that is held has it and keeps it; no other may open it to write, also once that one has ended */
};

/* True if the file is open for writing anywhere on this host, in any process, namespace or loop device; fd: a descriptor for reading, of
 * image_lock (not IMAGE_OWN) or other. False, too, where the file system does not tell. */
bool image_is_written(int fd);
/* True if a QEMU has locked the file as one that it writes to. False, too, where the file system does not tell, and with locking=off. */
bool image_is_locked_to_write(const char *path);
/* True if a QEMU or an agent of ours has locked it so that no QEMU may open it for writing (as a QEMU does that writes to it without
 * sharing). False as above. */
bool image_is_forbidden_to_write(const char *path);
/* Locks the image; close *fd to unlock. -EBUSY: a QEMU has it open in a conflicting way, or another of our agents has it. Block devices
 * and file systems without locks: -errno of fcntl. */
int image_lock(const char *path, enum image_use use, int *fd, struct err *e);
/* Lets go of what IMAGE_SHARE or IMAGE_BESIDE has locked, whoever else has a copy of the descriptor. */
void image_unlock(int fd);

#endif
