/* open-regular.h: reading files that somebody else named. */
#ifndef VMFERRY_OPEN_REGULAR_H
#define VMFERRY_OPEN_REGULAR_H

#include <stddef.h>

/* For reading. What is no regular file is not opened, as a device may do something then, and a FIFO waits: -EINVAL. A descriptor,
 * or -errno. */
int open_regular(const char *path);

/* All of an open file, from its beginning, with a NUL behind it; *text is malloc'ed. 0; -EFBIG: it has more than max bytes; or -errno. */
int read_regular(int fd, size_t max, char **text, size_t *bytes);

#endif
