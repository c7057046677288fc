/* block-device.h: may a block device that is there be written to? What is in use has a partition table or a file system at one of its ends. */
#ifndef VMFERRY_BLOCK_DEVICE_H
#define VMFERRY_BLOCK_DEVICE_H

#include "err.h"

#include <stdint.h>
#include <sys/types.h>

#define BLOCK_DEVICE_ENDS (1U << 20) /* bytes at either end that are looked at */

/* Until *fd is closed nobody can mount it, or make it a part of another. -EBUSY: somebody has done so, or has it open.
 * -EROFS: it is read-only. */
int block_device_open_alone(const char *path, int *fd, struct err *e);
int block_device_size(int fd, const char *path, uint64_t *bytes, struct err *e);
/* What any host calls the same device by: its World Wide Name, the UUID of a volume. malloc'ed; NULL: it has none. */
char *block_device_identity(const char *path);
/* sys: where sysfs is */
char *block_device_identity_in(const char *sys, dev_t device);
/* The name of a device on this host until the next boot, whatever its number or path is: as above, or by the file that a loop device is made of. A device
 * that has neither is called by its number, which may be another's once it has gone. Malloc'ed. */
char *block_device_here(const char *sys, dev_t device);
/* -EEXIST: it is not all zeros at its ends. bytes: its size. */
int block_device_check_blank(int fd, const char *path, uint64_t bytes, struct err *e);

#endif
