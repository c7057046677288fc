/* export-stream.h: a bundle that lies in a directory, sent as a tar. */
#ifndef VMFERRY_EXPORT_STREAM_H
#define VMFERRY_EXPORT_STREAM_H

#include "bundle.h"

/* All of it to fd, the manifest first. 0, -ECANCELED, -errno: what was sent is no bundle then. */
int export_send(int fd, const char *dir, const struct bundle *b, struct err *e);

#endif
