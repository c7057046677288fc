/* bundle-receive.c: see bundle-receive.h. */
#include "bundle-receive.h"
#include "bundle-tar.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>

#define CHUNK	(1u << 20)
#define POLL_MS 200
#define REST	(1u << 20) /* bytes behind the end that are taken, so that a sender that fills up its last block is not cut off */

#define CUT_OFF "the stream is cut off: see what its sender says, and send it again"

struct receiving {
	int fd;
	bundle_progress_fn progress;
	void *ctx;
};

/* Takes at most n bytes; 0: the end. */
static ssize_t take(struct receiving *r, void *to, size_t n, struct err *e)
{
	struct pollfd p = {.fd = r->fd, .events = POLLIN};
	ssize_t got;

	for (;;) {
		if (r->progress && r->progress(r->ctx, 0) < 0)
			return err_set(e, ECANCELED, "interrupted");
		if (poll(&p, 1, POLL_MS) <= 0)
			continue;
		got = read(r->fd, to, n);
		if (got >= 0)
			return got;
		if (errno != EINTR && errno != EAGAIN)
			return err_sys(e, errno, "cannot read the stream");
	}
}

static int take_all(struct receiving *r, void *to, size_t n, struct err *e)
{
	uint8_t *p = to;

	while (n) {
		ssize_t got = take(r, p, n, e);

		if (got < 0)
			return (int)got;
		if (!got)
			return err_set(e, EINVAL, CUT_OFF);
		p += got;
		n -= (size_t)got;
	}
	return 0;
}

static int take_padding(struct receiving *r, uint64_t size, struct err *e)
{
	uint8_t zeros[TAR_BLOCK];

	return take_all(r, zeros, tar_padding(size), e);
}

/* 1: *m; 0: the end. */
static int take_header(struct receiving *r, struct tar_member *m, struct err *e)
{
	uint8_t h[TAR_BLOCK];
	int got = take_all(r, h, sizeof(h), e);

	return got ? got : tar_header_parse(h, m, e);
}

int bundle_receive_manifest(int fd, struct bundle *b, bundle_progress_fn progress, void *ctx, struct err *e)
{
	struct receiving r = {fd, progress, ctx};
	AUTO_FREE char *text = NULL;
	struct tar_member m;
	int got = take_header(&r, &m, e);

	if (got < 0)
		return got;
	if (!got || strcmp(m.name, BUNDLE_MANIFEST))
		return err_set(e, EINVAL, "it does not begin with the manifest of a bundle");
	if (m.size > BUNDLE_MANIFEST_MAX)
		return err_set(e, EINVAL, "its manifest is longer than %u MiB", BUNDLE_MANIFEST_MAX >> 20);
	text = xmalloc(m.size + 1);
	got = take_all(&r, text, m.size, e);
	if (!got)
		got = take_padding(&r, m.size, e);
	return got ? got : bundle_parse(b, text, m.size, e);
}

/* ---- files ---- */

static int put(int fd, const uint8_t *p, size_t n, uint64_t at)
{
	while (n) {
		ssize_t w = pwrite(fd, p, n, (off_t)at);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return w ? -errno : -EIO;
		p += w;
		at += (uint64_t)w;
		n -= (size_t)w;
	}
	return 0;
}

/* Copies `size` bytes to out, or drops them if out is -1; adds them to the digest. */
static int take_contents(struct receiving *r, uint64_t size, int out, struct bundle_digest *d, struct err *e)
{
	AUTO_FREE uint8_t *buf = xmalloc(CHUNK);
	uint64_t at = 0;
	int failed = 0;

	while (at < size) {
		ssize_t n = take(r, buf, MIN(size - at, CHUNK), e);

		if (n < 0)
			return (int)n;
		if (!n)
			return err_set(e, EINVAL, CUT_OFF);
		bundle_digest_add(d, buf, (size_t)n);
		if (out >= 0 && !bytes_are_zero(buf, (size_t)n))
			failed = put(out, buf, (size_t)n, at);
		if (failed)
			return err_sys(e, -failed, "cannot write what comes");
		at += (uint64_t)n;
		if (r->progress && r->progress(r->ctx, (uint64_t)n) < 0)
			return err_set(e, ECANCELED, "interrupted");
	}
	if (out >= 0 && ftruncate(out, (off_t)size))
		return err_sys(e, errno, "cannot write what comes");
	return take_padding(r, size, e);
}

static int take_member(struct receiving *r, const struct tar_member *m, const struct bundle_file *f, const char *dir, struct err *e)
{
	AUTO_FREE char *path = f ? xasprintf("%s/%s", dir, f->file) : NULL;
	AUTO_CLOSE int out = path ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600) : -1;
	char hex[BUNDLE_DIGEST + 1];
	struct bundle_digest d;
	int failed;

	if (path && out < 0)
		return errno == EEXIST ? err_set(e, EINVAL, "it has two members '%s'", m->name)
				       : err_sys(e, errno, "cannot create %s", path);
	bundle_digest_begin(&d);
	failed = take_contents(r, m->size, out, &d, e);
	bundle_digest_end(&d, hex);
	if (failed)
		return failed;
	return f && strcmp(hex, f->sha256) ? err_set(e, EBADMSG, "%s is damaged: its SHA-256 is not what the manifest says", m->name) : 0;
}

static int check_all(const struct bundle *b, const char *dir, struct err *e)
{
	const struct bundle_file *f;
	size_t i = 0;

	while ((f = bundle_next(b, &i))) {
		AUTO_FREE char *path = xasprintf("%s/%s", dir, f->file);

		if (access(path, F_OK))
			return err_set(e, EBADMSG, "%s is not in the stream", f->file);
	}
	return 0;
}

int bundle_receive_files(int fd, const struct bundle *b, const char *dir, bundle_progress_fn progress, void *ctx, struct err *e)
{
	struct receiving r = {fd, progress, ctx};
	uint8_t rest[TAR_BLOCK];
	struct tar_member m;
	int got;

	while ((got = take_header(&r, &m, e)) > 0) {
		const struct bundle_file *f = bundle_find(b, m.name);

		if (!f && (strcmp(m.name, BUNDLE_README) || m.size > BUNDLE_README_MAX))
			return err_set(e, EINVAL, "it has a member '%s', which the manifest does not name", m.name);
		if (f && f->bytes != m.size)
			return err_set(e, EBADMSG, "%s is damaged: it has not the length that the manifest says", m.name);
		got = take_member(&r, &m, f, dir, e);
		if (got)
			return got;
	}
	if (got)
		return got;
	for (size_t more = 0; more < REST && take(&r, rest, sizeof(rest), e) > 0; more += sizeof(rest))
		;
	return check_all(b, dir, e);
}
