/* export-copy.c: see export-copy.h. */
#include "export-copy.h"
#include "bundle-digest.h"
#include "durable-file.h"
#include "life.h"
#include "open-regular.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_CHUNK (1u << 20)

int export_copy_file(const char *from, const char *to, struct err *e)
{
	AUTO_CLOSE int in = open_regular(from), out = open(to, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	AUTO_FREE uint8_t *buf = xmalloc(COPY_CHUNK);
	struct stat before, after;
	uint64_t at = 0;
	ssize_t n;
	int r = 0;

	if (in < 0 || fstat(in, &before))
		return err_sys(e, in < 0 ? -in : errno, "cannot read %s", from);
	if (out < 0)
		return err_sys(e, errno, "cannot open %s", to);
	while (!r && (n = pread(in, buf, COPY_CHUNK, (off_t)at)) > 0) {
		if (!bytes_are_zero(buf, (size_t)n))
			r = pwrite_all(out, buf, (size_t)n, (off_t)at);
		at += (uint64_t)n;
		if (life_interrupted())
			return err_set(e, ECANCELED, "interrupted");
	}
	if (!r && n < 0)
		return err_sys(e, errno, "cannot read %s", from);
	if (!r && (ftruncate(out, (off_t)at) || fsync(out)))
		r = -errno;
	if (r)
		return err_sys(e, -r, "cannot write %s", to);
	if (fstat(in, &after) || after.st_size != (off_t)at || after.st_mtim.tv_sec != before.st_mtim.tv_sec ||
	    after.st_mtim.tv_nsec != before.st_mtim.tv_nsec)
		return err_set(e, ESTALE, "%s was changed while it was copied", from);
	return 0;
}

static int on_read(void *ctx, uint64_t bytes)
{
	(void)ctx;
	(void)bytes;
	return life_interrupted() ? -1 : 0;
}

struct syncing {
	int fd, error;
};

static void *run_sync(void *ctx)
{
	struct syncing *s = ctx;

	s->error = fsync(s->fd) ? errno : 0;
	return NULL;
}

int export_describe_file(struct bundle_file *f, const char *draft, struct err *e)
{
	AUTO_CLOSE int fd = open_regular(draft);
	struct syncing s = {.fd = fd};
	pthread_t thread;
	bool beside;
	int r;

	if (fd < 0)
		return err_sys(e, -fd, "cannot read %s", draft);
	beside = !pthread_create(&thread, NULL, run_sync, &s);
	r = bundle_digest_file(fd, draft, &f->bytes, f->sha256, on_read, NULL, e);
	if (beside)
		pthread_join(thread, NULL);
	else
		run_sync(&s);
	return r ? r : s.error ? err_sys(e, s.error, "cannot write %s", draft) : 0;
}
