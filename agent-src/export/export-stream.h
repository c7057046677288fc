/* export-stream.h: a bundle that lies in a directory, sent as a tar. */
#ifndef VMFERRY_EXPORT_STREAM_H
#define VMFERRY_EXPORT_STREAM_H

#include "bundle.h"

/* Writes the whole bundle to fd, the manifest first. 0, -ECANCELED or -errno: what was sent is not a bundle then. */
int export_send(int fd, const char *dir, const struct bundle *b, struct err *e);

#endif
