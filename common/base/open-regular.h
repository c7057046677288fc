/* open-regular.h: reads files whose names come from elsewhere. */
#ifndef VMFERRY_OPEN_REGULAR_H
#define VMFERRY_OPEN_REGULAR_H

#include <stddef.h>

/* Opens a regular file for reading: a descriptor, or -errno. Any other kind is not opened (-EINVAL), as opening may act on a device and
 * blocks on a FIFO. */
int open_regular(const char *path);

/* Reads a whole open file from its beginning, with a NUL behind it; *text is malloc'ed. 0; -EFBIG: it has more than max bytes; or
 * -errno. */
int read_regular(int fd, size_t max, char **text, size_t *bytes);

#endif
