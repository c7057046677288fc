/* durable-file.c: see durable-file.h. */
#include "durable-file.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

int pwrite_all(int fd, const void *p, size_t n, off_t at)
{
	const char *from = p;

	while (n) {
		ssize_t r = pwrite(fd, from, n, at);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return r ? -errno : -EIO;
		from += r;
		at += r;
		n -= (size_t)r;
	}
	return 0;
}

/* True if the file has both names, as link() leaves them. */
static bool is_half_renamed(const char *from, const char *to)
{
	struct stat x, y;

	return !lstat(from, &x) && !lstat(to, &y) && x.st_nlink > 1 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* renameat2(2) with RENAME_NOREPLACE, also where a file system does not have that: then a file has both names for a moment. */
int rename_new(const char *from, const char *to)
{
	int r = renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) ? errno : 0;

	if (!r)
		return 0;
	if (r == EINVAL || r == ENOSYS)
		r = link(from, to) ? errno : 0;
	if (r == EEXIST && is_half_renamed(from, to))
		r = 0;
	return r ? -r : unlink(from) ? -errno : 0;
}

int sync_file(const char *path, struct err *e)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 || fsync(fd) ? err_sys(e, errno, "cannot write %s to stable storage", path) : 0;
}

int sync_parent_dir(const char *path, struct err *e)
{
	AUTO_FREE char *dir = xstrdup(path);
	AUTO_CLOSE int fd = -1;
	char *slash = strrchr(dir, '/');

	if (slash == dir)
		slash[1] = 0;
	else if (slash)
		*slash = 0;
	fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd))
		return err_sys(e, errno, "cannot sync the directory of %s", path);
	return 0;
}

/* Creates a file with O_EXCL and these contents, which are durable; its name is not. */
static int write_exclusive(const char *path, mode_t mode, const void *p, size_t n, struct err *e)
{
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	int r;

	if (fd < 0)
		return err_sys(e, errno, "cannot create %s", path);
	r = pwrite_all(fd, p, n, 0);
	if (!r && fsync(fd))
		r = -errno;
	if (r)
		unlink(path);
	return r ? err_sys(e, -r, "cannot write %s", path) : 0;
}

int write_new_file(const char *path, unsigned mode, const char *text, struct err *e)
{
	int r = write_exclusive(path, (mode_t)mode, text, strlen(text), e);

	if (r)
		return r;
	r = sync_parent_dir(path, e);
	if (r)
		unlink(path);
	return r;
}

int replace_file(const char *path, const void *p, size_t n, struct err *e)
{
	AUTO_FREE char *fresh = NULL;
	uint32_t number;
	int r;

	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		abort();
	fresh = xasprintf("%s.new-%08x", path, number); /* the name cannot be known beforehand */
	r = write_exclusive(fresh, 0666, p, n, e);
	if (r)
		return r;
	if (rename(fresh, path)) {
		r = err_sys(e, errno, "cannot replace %s", path);
		unlink(fresh);
		return r;
	}
	return sync_parent_dir(path, e);
}

int make_dir_as(const char *path, unsigned mode)
{
	return mkdir(path, mode) || chmod(path, mode) ? -1 : 0;
}

bool are_one_file(const char *a, const char *b)
{
	struct stat x, y;

	return !lstat(a, &x) && !lstat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}
