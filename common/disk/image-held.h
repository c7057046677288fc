/*
 * image-held.h: a mark beside an image: the host that its guest came from holds that guest, and may take it back (--revert-within). Moving
 * the guest elsewhere meanwhile, or starting its images under another name, would make it run twice.
 *
 * The mark lies beside the image, so every vmferry of this host finds it, whichever state directory or user it has. It outlives its agent
 * and a reboot, as the right of the other host does. A block device has no place beside it: its mark lies in /run until the next boot,
 * named after the device's identity, where only root can make it; a lock is there as well, for as long as the agent lives.
 */
#ifndef VMFERRY_IMAGE_HELD_H
#define VMFERRY_IMAGE_HELD_H

#include "err.h"

#include <stdbool.h>

/* The mark's own path, malloc'ed. */
char *image_held_path(const char *image);
/* Makes the mark, durably. owner: the id of an attempt. -EEXIST: another attempt has made it. */
int image_hold(const char *mark, const char *owner, struct err *e);
/* Removes the mark if it is that owner's, also an unfinished one whose owner died. It is an error, too, if the owner cannot be told. */
int image_let_go(const char *mark, const char *owner, struct err *e);
/* Locks a block device: a descriptor, which holds the lock until it is closed; or -errno. */
int image_hold_device(const char *device, struct err *e);
/* The image has a mark or a lock; true, too, if that cannot be told. */
bool image_is_held(const char *image);

#endif
