/* bundle-digest.h: SHA-256 of data as it is read, in the form of a manifest. */
#ifndef VMFERRY_BUNDLE_DIGEST_H
#define VMFERRY_BUNDLE_DIGEST_H

#include "bundle.h"

struct evp_md_ctx_st;

struct bundle_digest {
	struct evp_md_ctx_st *md;
};

void bundle_digest_begin(struct bundle_digest *d);
void bundle_digest_add(struct bundle_digest *d, const void *p, size_t n);
/* Finishes the digest and frees its state. */
void bundle_digest_end(struct bundle_digest *d, char hex[BUNDLE_DIGEST + 1]);

/* Progress callback: bytes read since the last call; a negative result ends the reading. */
typedef int (*bundle_progress_fn)(void *ctx, uint64_t bytes);
/* Digests a whole open file: *bytes is its length. 0, -errno, -ECANCELED; name: for messages. */
int bundle_digest_file(int fd, const char *name, uint64_t *bytes, char hex[BUNDLE_DIGEST + 1], bundle_progress_fn progress, void *ctx,
		       struct err *e);

#endif
