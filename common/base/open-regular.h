/* open-regular.h: reading files that somebody else named. */
#ifndef VMFERRY_OPEN_REGULAR_H
#define VMFERRY_OPEN_REGULAR_H

/* For reading. What is no regular file is not opened, as a device may do something then, and a FIFO waits: -EINVAL. A descriptor,
 * or -errno. */
int open_regular(const char *path);

#endif
