/*
 * bundle-receive.h: a bundle that comes as a stream, verified as it comes: nothing that the manifest does not name is written, and what is
 * not as it says ends it.
 */
#ifndef VMFERRY_BUNDLE_RECEIVE_H
#define VMFERRY_BUNDLE_RECEIVE_H

#include "bundle-digest.h"

/* Reads the manifest, which comes first. 0; -EINVAL: it is no bundle; -ECANCELED. bundle_fini(b) after 0. progress is asked at least five
 * times a second. */
int bundle_receive_manifest(int fd, struct bundle *b, bundle_progress_fn progress, void *ctx, struct err *e);
/* Then the files, into dir, under their names. 0: all are there, and as the manifest says; -EBADMSG, -EINVAL: they are not. What was written
 * stays, for the caller to remove. */
int bundle_receive_files(int fd, const struct bundle *b, const char *dir, bundle_progress_fn progress, void *ctx, struct err *e);

#endif
