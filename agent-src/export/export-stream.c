/* export-stream.c: see export-stream.h. */
#include "export-stream.h"
#include "bundle-tar.h"
#include "life.h"
#include "open-regular.h"
#include "util.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define CHUNK	(1u << 20)
#define POLL_MS 200

struct sending {
	int fd;
	size_t at_once; /* bytes that are written without waiting once there is room: who does not read keeps nobody from asking, or cancelling */
	uint64_t sent, total;
};

static int say_why_not(int code, struct err *e)
{
	if (code != EPIPE)
		return err_sys(e, code, "cannot write the stream");
	return err_set(
		e, code,
		"the stream has no reader any more: its reader, or the connection to it, has ended. Over a connection that breaks export "
		"to a directory, copy that with rsync --partial until all is there, and import it there");
}

static int put(struct sending *s, const void *from, size_t n, struct err *e)
{
	const uint8_t *p = from;

	while (n) {
		struct pollfd can = {.fd = s->fd, .events = POLLOUT};
		ssize_t w;

		if (life_interrupted())
			return err_set(e, ECANCELED, "interrupted");
		if (!poll(&can, 1, POLL_MS))
			continue;
		w = write(s->fd, p, MIN(n, s->at_once));
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return say_why_not(errno, e);
		p += w;
		n -= (size_t)w;
	}
	return 0;
}

static int pad(struct sending *s, uint64_t size, struct err *e)
{
	static const uint8_t zeros[TAR_BLOCK];

	return put(s, zeros, tar_padding(size), e);
}

static int send_file(struct sending *s, const char *dir, const char *name, struct err *e)
{
	AUTO_FREE char *path = xasprintf("%s/%s", dir, name);
	AUTO_FREE uint8_t *buf = xmalloc(CHUNK);
	AUTO_CLOSE int fd = open_regular(path);
	uint8_t header[TAR_BLOCK];
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st))
		return err_sys(e, fd < 0 ? -fd : errno, "cannot read %s", path);
	tar_header(header, name, (uint64_t)st.st_size, (uint64_t)time(NULL));
	r = put(s, header, sizeof(header), e);
	for (uint64_t left = (uint64_t)st.st_size; left && !r;) {
		ssize_t n = read(fd, buf, MIN(left, CHUNK));

		if (n <= 0)
			return err_sys(e, n ? errno : EIO, "cannot read %s", path);
		r = put(s, buf, (size_t)n, e);
		left -= (uint64_t)n;
		s->sent += (uint64_t)n;
		life_percent(life_now(), s->total ? 100.0 * (double)s->sent / (double)s->total : 0);
	}
	return r ?: pad(s, (uint64_t)st.st_size, e);
}

int export_send(int fd, const char *dir, const struct bundle *b, struct err *e)
{
	static const uint8_t end[2 * TAR_BLOCK];
	struct stat to;
	struct sending s = {.fd = fd, .at_once = !fstat(fd, &to) && S_ISREG(to.st_mode) ? CHUNK : PIPE_BUF};
	const struct bundle_file *f;
	int r;

	for (size_t i = 0; (f = bundle_next(b, &i));)
		s.total += f->bytes;
	life_stage(life_now(), "sending");
	r = send_file(&s, dir, BUNDLE_MANIFEST, e) ?: send_file(&s, dir, BUNDLE_README, e);
	for (size_t i = 0; !r && (f = bundle_next(b, &i));)
		r = send_file(&s, dir, f->file, e);
	return r ?: put(&s, end, sizeof(end), e);
}
