/* bundle-digest.c: see bundle-digest.h. */
#include "bundle-digest.h"
#include "hex.h"
#include "util.h"

#include <errno.h>
#include <openssl/evp.h>

#define CHUNK (128u << 10) /* chunk that stays in a core's cache between the kernel's copy and the digest */

void bundle_digest_begin(struct bundle_digest *d)
{
	d->md = EVP_MD_CTX_new();
	if (!d->md || !EVP_DigestInit_ex(d->md, EVP_sha256(), NULL))
		abort();
}

void bundle_digest_add(struct bundle_digest *d, const void *p, size_t n)
{
	EVP_DigestUpdate(d->md, p, n);
}

void bundle_digest_end(struct bundle_digest *d, char hex[BUNDLE_DIGEST + 1])
{
	uint8_t value[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	EVP_DigestFinal_ex(d->md, value, &n);
	EVP_MD_CTX_free(d->md);
	hex_format(value, BUNDLE_DIGEST / 2, hex);
}

int bundle_digest_file(int fd, const char *name, uint64_t *bytes, char hex[BUNDLE_DIGEST + 1], bundle_progress_fn progress, void *ctx,
		       struct err *e)
{
	AUTO_FREE uint8_t *buf = xmalloc(CHUNK);
	struct bundle_digest d;
	ssize_t n;
	int r = 0;

	*bytes = 0;
	bundle_digest_begin(&d);
	while (!r && (n = pread(fd, buf, CHUNK, (off_t)*bytes)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			r = err_sys(e, errno, "cannot read %s", name);
		} else {
			bundle_digest_add(&d, buf, (size_t)n);
			*bytes += (uint64_t)n;
			if (progress && progress(ctx, (uint64_t)n) < 0)
				r = err_set(e, ECANCELED, "interrupted");
		}
	}
	bundle_digest_end(&d, hex);
	return r;
}
