/*
 * disk-device.h: a disk that goes onto a block device that is here already (a volume of LVM, a partition, a zvol), in place of a new file. Only
 * where the user has named it, and only onto one that is blank: a disk that is in use has a partition table or a file system at one of its
 * ends, and one that both hosts see is the guest's own.
 */
#ifndef VMFERRY_DST_DISK_DEVICE_H
#define VMFERRY_DST_DISK_DEVICE_H

#include "target.h"

bool disk_device_is(const char *path);
/* A raw disk of so many bytes can go there; the device may have more (*has), which are left alone. -EINVAL: the size; -EBUSY: it is in use; -EEXIST: it
 * is not blank. */
int disk_device_check(const char *path, uint64_t bytes, uint64_t *has, struct err *e);
/* Owned by the journal, then all zeros. *fd keeps it from being mounted meanwhile; for close(). Pumps the attempt's loop. */
int disk_device_take(struct attempt *a, const char *path, uint64_t bytes, int *fd, struct err *e);
/* Still the one that was taken, as far as can be told. detail: the journal's. */
bool disk_device_is_there(const json_t *detail, bool rebooted);
/* Blank again. -EUCLEAN: it stays as it is, as somebody uses it, or may have used it since the agent that took it ended. */
int disk_device_undo(struct target *t, const json_t *detail, struct err *e);

#endif
