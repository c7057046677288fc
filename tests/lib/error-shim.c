/*
 * error-shim.c: a file system with faults under the agents, by LD_PRELOAD (build/VARIANT/shared). ERRORS="CALL NTH WHAT PART" in the
 * environment: from the NTH CALL (create, write, sync, rename, list (of access control), slow) on of a file whose path has PART in it, and
 * as long as the file named by ERRORS_WHILE is there, WHAT happens: an error by its number, or for a write 0, half of it (and then that of
 * the rest, as a disk does that is nearly full: ENOSPC), or for slow a sync, and a write that is one (O_DSYNC), takes so many ms more. The
 * first time the call is
 * appended to the file named by ERRORS_SEEN. Other programs that they start go on as if it were not there. It does not see io_uring, which
 * is off.
 */
#undef _FORTIFY_SOURCE /* with which these have bodies of libc's */
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { CALL_BYTES = 16, PART_BYTES = 64, NUMBER_BYTES = 32 };

static char wanted[CALL_BYTES], part[PART_BYTES];
static const char *seen, *as_long_as;
static int what;
static unsigned nth, count;

__attribute__((constructor)) static void begin(void)
{
	const char *text = getenv("ERRORS");

	seen = getenv("ERRORS_SEEN");
	as_long_as = getenv("ERRORS_WHILE");
	if (!text || !seen || !as_long_as || !shim_is_under("vmferry") || sscanf(text, "%15s %u %d %63s", wanted, &nth, &what, part) != 4)
		wanted[0] = '\0';
}

/* Whether this call of that file goes wrong. */
static bool strikes(const char *call, const char *path)
{
	int was = errno, log;

	if (strcmp(call, wanted) != 0 || !strstr(path, part))
		return false;
	if (__atomic_add_fetch(&count, 1, __ATOMIC_RELAXED) < nth || access(as_long_as, F_OK) != 0) {
		errno = was;
		return false;
	}
	log = open(seen, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	dprintf(log, "%s %s\n", call, path);
	close(log);
	return true;
}

static bool strikes_fd(const char *call, int fd)
{
	char link[NUMBER_BYTES], path[PATH_MAX];
	ssize_t n;

	if (!wanted[0])
		return false;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		return false;
	path[n] = '\0';
	return strikes(call, path);
}

/* The result of a call that fails; *cut: for a write of n bytes that is cut, the number to write. */
static ssize_t fails(size_t n, size_t *cut)
{
	if (what == 0 && cut && n > 1) {
		what = ENOSPC;
		*cut = n / 2;
		return 0;
	}
	errno = what ? what : ENOSPC;
	return -1;
}

/* ---- the calls ---- */

int open(const char *path, int flags, ...)
{
	va_list list;
	mode_t mode;

	va_start(list, flags);
	mode = va_arg(list, mode_t);
	va_end(list);
	return openat(AT_FDCWD, path, flags, mode);
}

int openat(int dir, const char *path, int flags, ...)
{
	REAL("openat", int, int, const char *, int, ...);
	va_list list;
	mode_t mode;

	va_start(list, flags);
	mode = va_arg(list, mode_t);
	va_end(list);
	if (wanted[0] && flags & O_CREAT && strikes("create", path))
		return (int)fails(0, NULL);
	return real(dir, path, flags, mode);
}

ssize_t write(int fd, const void *p, size_t n)
{
	REAL("write", ssize_t, int, const void *, size_t);

	return strikes_fd("write", fd) && fails(n, &n) < 0 ? -1 : real(fd, p, n);
}

static void dawdle(int fd)
{
	if (strikes_fd("slow", fd))
		usleep((useconds_t)what * 1000);
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
	REAL("pwrite", ssize_t, int, const void *, size_t, off_t);

	if (wanted[0] && fcntl(fd, F_GETFL) & O_DSYNC)
		dawdle(fd);
	return strikes_fd("write", fd) && fails(n, &n) < 0 ? -1 : real(fd, p, n, at);
}

ssize_t writev(int fd, const struct iovec *v, int n)
{
	REAL("writev", ssize_t, int, const struct iovec *, int);

	return strikes_fd("write", fd) ? fails(0, NULL) : real(fd, v, n);
}

ssize_t pwritev(int fd, const struct iovec *v, int n, off_t at)
{
	REAL("pwritev", ssize_t, int, const struct iovec *, int, off_t);

	return strikes_fd("write", fd) ? fails(0, NULL) : real(fd, v, n, at);
}

ssize_t copy_file_range(int in, off64_t *in_at, int out, off64_t *out_at, size_t n, unsigned flags)
{
	REAL("copy_file_range", ssize_t, int, off64_t *, int, off64_t *, size_t, unsigned);

	return strikes_fd("write", out) ? fails(0, NULL) : real(in, in_at, out, out_at, n, flags);
}

int fsync(int fd)
{
	REAL("fsync", int, int);

	dawdle(fd);
	return strikes_fd("sync", fd) ? (int)fails(0, NULL) : real(fd);
}

int fdatasync(int fd)
{
	REAL("fdatasync", int, int);

	dawdle(fd);
	return strikes_fd("sync", fd) ? (int)fails(0, NULL) : real(fd);
}

int fsetxattr(int fd, const char *name, const void *value, size_t n, int flags)
{
	REAL("fsetxattr", int, int, const char *, const void *, size_t, int);

	return strikes_fd("list", fd) ? (int)fails(0, NULL) : real(fd, name, value, n, flags);
}

int rename(const char *from, const char *to)
{
	REAL("rename", int, const char *, const char *);

	return wanted[0] && strikes("rename", to) ? (int)fails(0, NULL) : real(from, to);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	REAL("renameat", int, int, const char *, int, const char *);

	return wanted[0] && strikes("rename", to) ? (int)fails(0, NULL) : real(from_dir, from, to_dir, to);
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	REAL("renameat2", int, int, const char *, int, const char *, unsigned);

	return wanted[0] && strikes("rename", to) ? (int)fails(0, NULL) : real(from_dir, from, to_dir, to, flags);
}

int link(const char *from, const char *to)
{
	REAL("link", int, const char *, const char *);

	return wanted[0] && strikes("rename", to) ? (int)fails(0, NULL) : real(from, to);
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	REAL("linkat", int, int, const char *, int, const char *, int);

	return wanted[0] && strikes("rename", to) ? (int)fails(0, NULL) : real(from_dir, from, to_dir, to, flags);
}

struct io_uring;
struct io_uring_params;
int io_uring_queue_init_params(unsigned entries, struct io_uring *ring, struct io_uring_params *p);

/* Writes by io_uring would not be seen here, so it is unavailable. */
int io_uring_queue_init_params(unsigned entries, struct io_uring *ring, struct io_uring_params *p)
{
	REAL("io_uring_queue_init_params", int, unsigned, struct io_uring *, struct io_uring_params *);

	if (wanted[0])
		return -EPERM;
	return real ? real(entries, ring, p) : -ENOSYS;
}
