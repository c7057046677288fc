/* journal-file.c: see journal-file.h. */
#include "journal-file.h"
#include "durable-file.h"
#include "journal-record.h"
#include "open-regular.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK_BYTES (64 * 1024)
#define WISH_OFFSET ((off_t)1 << 40)

static char *name_before(const char *path)
{
	return xasprintf("%s.new", path);
}

/* Opens with O_EXCL, and replaces the leftover of a creation that crashed: no other process has this attempt's id. */
static int open_new(const char *tmp)
{
	const int flags = O_RDWR | O_CREAT | O_EXCL | O_DSYNC | O_CLOEXEC | O_NOFOLLOW;
	int fd = open(tmp, flags, 0600);

	if (fd < 0 && errno == EEXIST && !unlink(tmp))
		fd = open(tmp, flags, 0600);
	return fd;
}

/* ---- reading ---- */

int journal_file_read(int fd, const char *path, uint8_t **out, size_t *size, struct err *e)
{
	struct stat st;
	char *bytes;
	int r = fstat(fd, &st) ? -errno : 0;

	if (!r && !S_ISREG(st.st_mode))
		r = -EFBIG;
	r = r ?: read_regular(fd, JOURNAL_FILE_MAX_BYTES, &bytes, size);
	if (r)
		return r == -EFBIG ? err_set(e, EBADMSG, "%s is not a journal", path) : err_sys(e, -r, "cannot read journal %s", path);
	*out = (uint8_t *)bytes;
	return 0;
}

/* ---- appending ---- */

static int write_at_end(struct journal_file *f, const uint8_t *buf, size_t len, struct err *e)
{
	uint64_t begun = now_ns();
	int r = pwrite_all(f->fd, buf, len, f->end);

	f->write_ns += now_ns() - begun;
	f->writes++;
	if (!r)
		return 0;
	f->broken = true;
	return err_sys(e, -r, "cannot write journal %s", f->path);
}

/* True if only zeros follow the end. After a failed write some of its bytes may be there, and reach the disk later. */
static bool nothing_there(const struct journal_file *f, size_t len)
{
	AUTO_FREE char *buf = xmalloc(len);
	ssize_t n = pread(f->fd, buf, len, f->end), i;

	for (i = 0; i < n && !buf[i];)
		i++;
	return n >= 0 && i == n;
}

/*
 * Makes room for len more bytes, and a record's header of zeros behind them. The zeros are written, not only allocated: a record that
 * overwrites them reaches stable storage by itself, while the first record in an allocated block also waits for the file system's own
 * journal, and for everything in that.
 */
static int reserve(struct journal_file *f, size_t len, off_t limit, struct err *e)
{
	off_t need = f->end + (off_t)len + RECORD_HEADER_BYTES;
	AUTO_FREE uint8_t *zeros = NULL;
	int r;

	if (need > limit)
		return err_set(e, EFBIG, "journal %s is full", f->path);
	if (need <= f->allocated)
		return 0;
	need = (need + CHUNK_BYTES - 1) / CHUNK_BYTES * CHUNK_BYTES;
	zeros = xcalloc(1, (size_t)(need - f->allocated));
	r = pwrite_all(f->fd, zeros, (size_t)(need - f->allocated), f->allocated);
	if (r)
		return err_sys(e, -r, "cannot extend journal %s", f->path);
	f->allocated = need;
	return 0;
}

int journal_file_append(struct journal_file *f, const uint8_t *buf, size_t len, off_t limit, struct err *e)
{
	int r;

	if (f->broken)
		return err_set(e, EIO, "journal %s: an earlier write failed", f->path);
	r = reserve(f, len, limit, e);
	f->refused = r != 0;
	if (r)
		return r;
	r = write_at_end(f, buf, len, e);
	f->refused = r && nothing_there(f, len);
	if (r)
		return r;
	f->end += (off_t)len;
	return 0;
}

int journal_file_zero_tail(struct journal_file *f, struct err *e)
{
	size_t len = (size_t)(f->allocated - f->end);
	AUTO_FREE uint8_t *zeros = xcalloc(1, len + 1);

	return write_at_end(f, zeros, len, e);
}

/* ---- writing it anew ---- */

/* Writes a whole, durable journal under another name. */
static int write_beside(struct journal_file *anew, const char *tmp, const uint8_t *buf, size_t len)
{
	struct err ignored;

	*anew = (struct journal_file){.fd = open_new(tmp), .path = (char *)tmp};
	if (anew->fd < 0)
		return -1;
	if (!flock(anew->fd, LOCK_EX | LOCK_NB) && !journal_file_append(anew, buf, len, JOURNAL_FILE_MAX_BYTES, &ignored) &&
	    !fsync(anew->fd))
		return 0;
	close(anew->fd);
	unlink(tmp);
	return -1;
}

int journal_file_rewrite(struct journal_file *f, const uint8_t *buf, size_t len, bool *done, struct err *e)
{
	AUTO_FREE char *tmp = name_before(f->path);
	struct journal_file anew;

	*done = false;
	if (write_beside(&anew, tmp, buf, len))
		return 0;
	if (rename(tmp, f->path)) {
		close(anew.fd);
		unlink(tmp);
		return 0;
	}
	close(f->fd);
	f->fd = anew.fd;
	f->end = anew.end;
	f->allocated = anew.allocated;
	*done = true;
	if (!sync_parent_dir(f->path, e))
		return 0;
	f->broken = true; /* a crash may leave either file under that name */
	return -e->code;
}

/* ---- names ---- */

int journal_file_create(struct journal_file *f, const char *path, struct err *e)
{
	AUTO_FREE char *tmp = name_before(path);

	*f = (struct journal_file){.path = xstrdup(path)};
	f->fd = open_new(tmp);
	if (f->fd < 0 || flock(f->fd, LOCK_EX | LOCK_NB))
		return err_sys(e, errno, "cannot create journal %s", tmp);
	return 0;
}

void journal_file_discard(struct journal_file *f)
{
	AUTO_FREE char *tmp = name_before(f->path);

	unlink(tmp);
}

int journal_file_publish(struct journal_file *f, struct err *e)
{
	AUTO_FREE char *tmp = name_before(f->path);
	int r;

	if (fsync(f->fd) || link(tmp, f->path))
		return err_sys(e, errno, "cannot create journal %s", f->path);
	unlink(tmp);
	r = sync_parent_dir(f->path, e);
	if (r)
		unlink(f->path);
	return r;
}

static int open_locked(struct journal_file *f, const char *path, struct stat *st, struct err *e)
{
	f->fd = open(path, O_RDWR | O_DSYNC | O_CLOEXEC | O_NOFOLLOW);
	if (f->fd < 0 && errno == EROFS) { /* the file can still be read */
		f->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		f->broken = f->refused = true;
	}
	if (f->fd < 0)
		return err_sys(e, errno, "cannot open journal %s", path);
	if (flock(f->fd, LOCK_EX | LOCK_NB))
		return errno == EWOULDBLOCK ? err_set(e, EBUSY, "journal %s is in use by a running agent", path)
					    : err_sys(e, errno, "cannot lock journal %s", path);
	return fstat(f->fd, st) ? err_sys(e, errno, "cannot look at journal %s", path) : 0;
}

int journal_file_open(struct journal_file *f, const char *path, struct err *e)
{
	struct stat st;
	int r;

	*f = (struct journal_file){.path = xstrdup(path)};
	for (;;) {
		r = open_locked(f, path, &st, e);
		if (r)
			return r;
		if (st.st_nlink)
			break;
		close(f->fd); /* the agent that held it has removed or replaced it meanwhile */
	}
	f->allocated = st.st_size;
	return 0;
}

/* The wish is a lock of its own, far behind all bytes: it ends with the process that has it. */
static struct flock wish(short type)
{
	return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = WISH_OFFSET, .l_len = 1};
}

int journal_file_want(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct flock l = wish(F_RDLCK);

	if (fd >= 0 && fcntl(fd, F_OFD_SETLK, &l)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

bool journal_file_wanted(const struct journal_file *f)
{
	struct flock l = wish(F_WRLCK);

	return !fcntl(f->fd, F_OFD_GETLK, &l) && l.l_type != F_UNLCK;
}

void journal_file_close(struct journal_file *f)
{
	if (!f->path)
		return;
	if (f->fd >= 0)
		close(f->fd);
	free(f->path);
	f->path = NULL;
}

int journal_file_remove(struct journal_file *f, bool keep, struct err *e)
{
	AUTO_FREE char *done = xasprintf("%s.done", f->path);

	journal_file_discard(f); /* left by an agent that died while it wrote it */
	if (keep ? rename(f->path, done) : unlink(f->path))
		return err_sys(e, errno, "cannot remove journal %s", f->path);
	return sync_parent_dir(f->path, e);
}
