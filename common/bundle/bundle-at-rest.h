/* bundle-at-rest.h: a bundle that lies on this host, whoever brought it: a directory, or the stream of one in a file. It is only read. */
#ifndef VMFERRY_BUNDLE_AT_REST_H
#define VMFERRY_BUNDLE_AT_REST_H

#include "bundle.h"

/* The manifest of one that is a directory. bundle_fini(b) after 0; -ENOENT: there is none, so it is no bundle, or not finished. */
int bundle_read_dir(struct bundle *b, const char *dir, struct err *e);
/* Reads the manifest of a bundle that is a directory or a file, as bundle_read_dir() does. */
int bundle_read(struct bundle *b, const char *from, struct err *e);
/* Finds a file of the bundle: in *path, malloc'ed, from *offset on. -ENOENT: it is not there. */
int bundle_locate(const char *from, const struct bundle_file *f, char **path, uint64_t *offset, struct err *e);

#endif
