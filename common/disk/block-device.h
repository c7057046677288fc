/* block-device.h: checks whether a block device may be overwritten. A device in use has a partition table or a file system at one of its
 * ends. */
#ifndef VMFERRY_BLOCK_DEVICE_H
#define VMFERRY_BLOCK_DEVICE_H

#include "err.h"

#include <stdint.h>
#include <sys/types.h>

#define BLOCK_DEVICE_ENDS (1U << 20) /* bytes examined at either end */

/* Opens the device exclusively: until *fd is closed it cannot be mounted, or become a part of another device. -EBUSY: it is already, or a
 * process has it open. -EROFS: it is read-only. */
int block_device_open_alone(const char *path, int *fd, struct err *e);
int block_device_size(int fd, const char *path, uint64_t *bytes, struct err *e);
/* The device's identity, the same on every host: its World Wide Name, the UUID of a volume. malloc'ed; NULL: it has none. */
char *block_device_identity(const char *path);
/* sys: where sysfs is */
char *block_device_identity_in(const char *sys, dev_t device);
/* The device's identity on this host until the next boot, whatever its number or path is: as above, or by the backing file of a loop
 * device. A device with neither is identified by its number, which may be reused once it is gone. Malloc'ed. */
char *block_device_here(const char *sys, dev_t device);
/* 0: both ends of the device are zeros; -EEXIST: they are not. bytes: its size. */
int block_device_check_blank(int fd, const char *path, uint64_t bytes, struct err *e);

#endif
