/* bundle-receive.h: receives a bundle as a stream and verifies it on the way: writes only files that the manifest names, and fails if
 * one does not match it. */
#ifndef VMFERRY_BUNDLE_RECEIVE_H
#define VMFERRY_BUNDLE_RECEIVE_H

#include "bundle-digest.h"

/* Reads the manifest, which comes first. 0; -EINVAL: not a bundle; -ECANCELED. bundle_fini(b) after 0. Calls progress at least five
 * times a second. */
int bundle_receive_manifest(int fd, struct bundle *b, bundle_progress_fn progress, void *ctx, struct err *e);
/* Reads the files into dir. 0: all match the manifest; -EBADMSG, -EINVAL: they do not. The caller removes files that were written. */
int bundle_receive_files(int fd, const struct bundle *b, const char *dir, bundle_progress_fn progress, void *ctx, struct err *e);

#endif
