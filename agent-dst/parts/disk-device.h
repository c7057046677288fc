/*
 * disk-device.h: a disk that goes onto a block device that is here already (a volume of LVM, a partition, a zvol), in place of a new file.
 * Only where the user has named it, and only onto one that is blank: a disk that is in use has a partition table or a file system at one of
 * its ends, and one that both hosts see is the guest's own.
 */
#ifndef VMFERRY_DST_DISK_DEVICE_H
#define VMFERRY_DST_DISK_DEVICE_H

#include "target.h"

bool disk_device_is(const char *path);
/* A raw disk of so many bytes can go there; the device may have more (*has), which are left alone. -EINVAL: the size; -EBUSY: it is in use;
 * -EEXIST: it is not blank. */
int disk_device_check(const char *path, uint64_t bytes, uint64_t *has, struct err *e);
/* Journals the device as ours, then fills it with zeros. *fd keeps it from being mounted until it is closed. Pumps the attempt's loop. */
int disk_device_take(struct attempt *a, const char *path, uint64_t bytes, int *fd, struct err *e);
/* True if it is still the device that was taken, as far as can be told. detail: the journal's. */
bool disk_device_is_there(const json_t *detail, bool rebooted);
/* Blanks the device again. -EUCLEAN: it stays as it is, as a process uses it, or may have used it since the agent that took it ended. */
int disk_device_undo(struct target *t, const json_t *detail, struct err *e);

#endif
