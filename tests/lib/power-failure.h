/*
 * power-failure.h: a host whose power can fail, under vmferry or under a unit test. To be included once in a program or library: the calls
 * below take the place of libc's.
 *
 * Whatever changes a file or a name below power_root is done, and written down in a log first: what it was. A change counts as
 * durable when its file was synced afterwards or is O_DSYNC (contents), or its directory was (names). power_fails() takes back all
 * that is not, the last one first, so that what is left is what the host finds when it starts again: the least that the file
 * system promises.
 *
 * It sees system calls that are made by name, so io_uring must not be in use. Contents that are written through stdio or a mapping,
 * owners and modes are not taken back.
 */
#ifndef VMFERRY_POWER_FAILURE_H
#define VMFERRY_POWER_FAILURE_H

#undef _FORTIFY_SOURCE /* with which these have bodies of libc's */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum power_kind { POWER_CONTENT, POWER_SIZE, POWER_NEW_NAME, POWER_OLD_NAME, POWER_SYNC };

struct power_record {
	uint64_t when;
	uint32_t kind, bytes; /* bytes: of old content, which follow */
	uint64_t ino, offset, size;
	char path[512], kept[512]; /* kept: the file of a name that was removed */
};

static pthread_mutex_t power_lock = PTHREAD_MUTEX_INITIALIZER;
static char power_root[256], power_logs[256]; /* directories, both without links in their paths */
static int power_log = -1;

/* Further faults: */
static size_t power_write_most;	  /* the longest write; 0: any length */
static bool power_write_nothing;  /* each writes nothing */
static int power_write_error;	  /* error of pwrite */
static bool power_no_holes;	  /* the file system has no holes */
static bool power_no_allocation;  /* the file system allocates on writing only */
static unsigned power_asked;	  /* how often something was to be allocated; */
static off_t power_allocated;	  /* bytes of that */
static int power_sync_error;	  /* error of fsync and fdatasync */
static bool power_ends_at_rename; /* the process does, before it */

__attribute__((unused)) static void power_begins(const char *root, const char *logs)
{
	char path[300];

	if (!realpath(root, path) || strlen(path) >= sizeof(power_root))
		abort();
	strcpy(power_root, path);
	snprintf(power_logs, sizeof(power_logs), "%s", logs);
	snprintf(path, sizeof(path), "%s/%d.log", logs, (int)getpid());
	power_log = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (power_log < 0)
		abort();
}

/* ---- writing down ---- */

static bool power_is_below(const char *path)
{
	size_t n = strlen(power_root);

	return n && !strncmp(path, power_root, n) && path[n] == '/';
}

/* The path of a descriptor of ours; false for what is not below the root. */
static bool power_path_of(int fd, char path[512])
{
	char link[40];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = power_log < 0 ? -1 : readlink(link, path, 511);
	if (n < 0)
		return false;
	path[n] = '\0';
	return power_is_below(path);
}

/* The same as power_path_of, for a name whose directory exists. */
static bool power_path_of_name(const char *name, char path[512])
{
	char dir[PATH_MAX], real[PATH_MAX], *slash;

	if (power_log < 0 || strlen(name) >= sizeof(dir))
		return false;
	strcpy(dir, name);
	slash = strrchr(dir, '/');
	if (slash)
		*slash = '\0';
	if (!realpath(slash ? (*dir ? dir : "/") : ".", real))
		return false;
	return snprintf(path, 512, "%s/%s", real, slash ? slash + 1 : dir) < 512 && power_is_below(path);
}

static void power_write_down(struct power_record *r, const void *content)
{
	struct iovec v[2] = {{r, sizeof(*r)}, {(void *)(uintptr_t)content, r->bytes}};
	struct timespec t;
	int was = errno;

	clock_gettime(CLOCK_MONOTONIC, &t);
	r->when = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
	if (writev(power_log, v, 2) != (ssize_t)(sizeof(*r) + r->bytes)) /* whole, whatever other processes write there */
		abort();
	errno = was;
}

/* Before a write, or whatever changes content. */
static void power_note_content(int fd, off_t offset, size_t n)
{
	struct power_record r = {.kind = POWER_CONTENT, .offset = (uint64_t)offset};
	struct stat st;
	uint8_t *old;
	ssize_t k = 0;
	int flags = fcntl(fd, F_GETFL), again;
	char link[40];

	if (!power_path_of(fd, r.path) || fstat(fd, &st) || !S_ISREG(st.st_mode))
		return;
	r.ino = st.st_ino;
	r.size = (uint64_t)st.st_size;
	if (flags & O_DSYNC)
		return;
	old = aligned_alloc(4096, (n + 4095) / 4096 * 4096);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd); /* for reading; whatever it is called now */
	again = (int)syscall(SYS_openat, AT_FDCWD, link, O_RDONLY | O_CLOEXEC);
	if (again >= 0)
		k = pread(again, old, n, offset);
	close(again);
	r.bytes = k > 0 ? (uint32_t)k : 0;
	power_write_down(&r, old);
	free(old);
}

static void power_note_size(int fd)
{
	struct power_record r = {.kind = POWER_SIZE};
	struct stat st;

	if (!power_path_of(fd, r.path) || fstat(fd, &st) || !S_ISREG(st.st_mode))
		return;
	r.ino = st.st_ino;
	r.size = (uint64_t)st.st_size;
	power_write_down(&r, NULL);
}

static void power_note_sync(int fd)
{
	struct power_record r = {.kind = POWER_SYNC};
	struct stat st;

	if (power_log < 0 || fstat(fd, &st))
		return;
	r.ino = st.st_ino;
	power_write_down(&r, NULL);
}

static uint64_t power_ino_of_dir(const char *path)
{
	char dir[512];
	struct stat st;

	strcpy(dir, path);
	*strrchr(dir, '/') = '\0';
	return stat(dir, &st) ? 0 : st.st_ino;
}

static void power_note_name(enum power_kind kind, const char *path)
{
	struct power_record r = {.kind = kind};
	static unsigned n;

	r.ino = power_ino_of_dir(path);
	strcpy(r.path, path);
	if (kind == POWER_OLD_NAME) {
		snprintf(r.kept, sizeof(r.kept), "%s/%d.%u.kept", power_logs, (int)getpid(), n++);
		if (syscall(SYS_linkat, AT_FDCWD, path, AT_FDCWD, r.kept, 0))
			return;
	}
	power_write_down(&r, NULL);
}

/* ---- in place of libc's ---- */

#define POWER_CALL(note, call)                                                                                                             \
	do {                                                                                                                               \
		long result_;                                                                                                              \
		pthread_mutex_lock(&power_lock);                                                                                           \
		note;                                                                                                                      \
		result_ = call;                                                                                                            \
		pthread_mutex_unlock(&power_lock);                                                                                         \
		return (__typeof__(call))result_;                                                                                          \
	} while (0)

static long power_open(const char *path, int flags, mode_t mode)
{
	char real[512] = "";
	struct stat st;
	bool made = flags & O_CREAT && power_path_of_name(path, real) && lstat(real, &st);
	int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);

	if (fd >= 0 && made)
		power_note_name(POWER_NEW_NAME, real);
	else if (fd >= 0 && flags & O_TRUNC)
		abort(); /* contents are not kept */
	return fd;
}

int open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	va_start(ap, flags);
	if (flags & (O_CREAT | O_TMPFILE))
		mode = va_arg(ap, mode_t);
	va_end(ap);
	if (power_log < 0 || !(flags & (O_CREAT | O_TRUNC)))
		return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
	POWER_CALL((void)0, (int)power_open(path, flags, mode));
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t offset)
{
	if (power_write_nothing)
		return 0;
	if (power_write_error) {
		errno = power_write_error;
		return -1;
	}
	if (power_write_most)
		n = n < power_write_most ? n : power_write_most;
	POWER_CALL(power_note_content(fd, offset, n), syscall(SYS_pwrite64, fd, p, n, offset));
}

ssize_t write(int fd, const void *p, size_t n)
{
	off_t at = power_log < 0 ? -1 : lseek(fd, 0, SEEK_CUR);

	if (at < 0)
		return syscall(SYS_write, fd, p, n);
	POWER_CALL(power_note_content(fd, at, n), syscall(SYS_write, fd, p, n));
}

static int power_sync(int fd, long number)
{
	if (power_sync_error) {
		errno = power_sync_error;
		return -1;
	}
	POWER_CALL((void)0, syscall(number, fd) ? -1 : (power_note_sync(fd), 0));
}

int fsync(int fd)
{
	return power_sync(fd, SYS_fsync);
}

int fdatasync(int fd)
{
	return power_sync(fd, SYS_fdatasync);
}

int ftruncate(int fd, off_t size)
{
	POWER_CALL(power_note_size(fd), (int)syscall(SYS_ftruncate, fd, size));
}

int fallocate(int fd, int mode, off_t offset, off_t n)
{
	if (mode & FALLOC_FL_PUNCH_HOLE && power_no_holes) {
		errno = EOPNOTSUPP;
		return -1;
	}
	if (mode & FALLOC_FL_PUNCH_HOLE)
		POWER_CALL(power_note_content(fd, offset, (size_t)n), (int)syscall(SYS_fallocate, fd, mode, offset, n));
	power_asked++;
	if (power_no_allocation) {
		errno = EOPNOTSUPP;
		return -1;
	}
	power_allocated += n;
	POWER_CALL(power_note_size(fd), (int)syscall(SYS_fallocate, fd, mode, offset, n));
}

int posix_fallocate(int fd, off_t offset, off_t n)
{
	POWER_CALL(power_note_size(fd), syscall(SYS_fallocate, fd, 0, offset, n) ? errno : 0);
}

int link(const char *from, const char *to)
{
	char real[512] = "";
	long r;

	pthread_mutex_lock(&power_lock);
	r = syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
	if (!r && power_path_of_name(to, real))
		power_note_name(POWER_NEW_NAME, real);
	pthread_mutex_unlock(&power_lock);
	return (int)r;
}

int unlink(const char *path)
{
	char real[512] = "";
	struct stat st;

	POWER_CALL(if (power_path_of_name(path, real) && !lstat(real, &st) && S_ISREG(st.st_mode)) power_note_name(POWER_OLD_NAME, real),
		   (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0));
}

/* Counts as a link and an unlink of the old name: not atomic, and neither is durable before the directory is synced. */
int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	char real[512] = "", left[512] = "";
	long r;

	pthread_mutex_lock(&power_lock);
	if (power_path_of_name(from, left) && (!(flags & RENAME_NOREPLACE) || access(to, F_OK)))
		power_note_name(POWER_OLD_NAME, left);
	r = syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
	if (!r && power_path_of_name(to, real))
		power_note_name(POWER_NEW_NAME, real);
	pthread_mutex_unlock(&power_lock);
	return (int)r;
}

int rename(const char *from, const char *to)
{
	if (power_ends_at_rename)
		_exit(0);
	return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}

/* ---- the failure ---- */

struct power_entry {
	struct power_record r;
	uint8_t *content;
};

static int power_by_time(const void *a, const void *b)
{
	const struct power_entry *x = a, *y = b;

	return x->r.when < y->r.when ? -1 : x->r.when > y->r.when;
}

static size_t power_read_log(const char *path, struct power_entry **all, size_t n)
{
	FILE *f = fopen(path, "re");
	struct power_entry x = {.content = NULL};

	while (f && fread(&x.r, sizeof(x.r), 1, f) == 1) {
		x.content = x.r.bytes ? malloc(x.r.bytes) : NULL;
		if (x.r.bytes && fread(x.content, x.r.bytes, 1, f) != 1)
			break; /* the process ended here, before it did it */
		*all = realloc(*all, (n + 1) * sizeof(x));
		(*all)[n++] = x;
	}
	if (f)
		fclose(f);
	return n;
}

/* The file may have got another name in its directory since. */
static int power_open_again(const struct power_record *r)
{
	char dir[512], path[800];
	struct dirent *x;
	int fd = -1;
	DIR *d;

	strcpy(dir, r->path);
	*strrchr(dir, '/') = '\0';
	d = opendir(dir);
	while (d && fd < 0 && (x = readdir(d)))
		if (x->d_ino == r->ino) {
			snprintf(path, sizeof(path), "%s/%s", dir, x->d_name);
			fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC);
		}
	if (d)
		closedir(d);
	return fd;
}

static void power_undo(const struct power_entry *x)
{
	int fd;

	switch ((enum power_kind)x->r.kind) {
	case POWER_NEW_NAME:
		syscall(SYS_unlinkat, AT_FDCWD, x->r.path, 0);
		return;
	case POWER_OLD_NAME:
		syscall(SYS_linkat, AT_FDCWD, x->r.kept, AT_FDCWD, x->r.path, 0);
		return;
	case POWER_SYNC:
		return;
	case POWER_CONTENT:
	case POWER_SIZE:
		break;
	}
	fd = power_open_again(&x->r);
	if (fd < 0)
		return;
	if ((x->r.bytes && syscall(SYS_pwrite64, fd, x->content, (size_t)x->r.bytes, x->r.offset) < 0) ||
	    syscall(SYS_ftruncate, fd, x->r.size))
		abort();
	close(fd);
}

/* After the last process under it has ended (or, in a test, stopped writing). How many changes were taken back. */
__attribute__((unused)) static unsigned power_fails(const char *logs)
{
	struct power_entry *all = NULL;
	uint64_t *synced = NULL;
	size_t n = 0, m = 0, i, k;
	unsigned undone = 0;
	DIR *d = opendir(logs);
	struct dirent *x;
	char path[600];

	while (d && (x = readdir(d))) {
		snprintf(path, sizeof(path), "%s/%s", logs, x->d_name);
		if (strstr(x->d_name, ".log"))
			n = power_read_log(path, &all, n);
	}
	if (d)
		closedir(d);
	if (n)
		qsort(all, n, sizeof(*all), power_by_time);
	synced = calloc(n + 1, sizeof(*synced));
	for (i = n; i-- > 0;) {
		if (all[i].r.kind == POWER_SYNC)
			synced[m++] = all[i].r.ino;
		for (k = 0; k < m && synced[k] != all[i].r.ino; k++)
			;
		if (k == m) {
			power_undo(&all[i]);
			undone++;
		}
		free(all[i].content);
	}
	free(synced);
	free(all);
	return undone;
}

/* The caller goes on in a child (true), on a host whose power fails when that ends by _exit. In the parent (false) all of that has
 * happened: *status is what the child ended with (wait(2)); -1: there was none. */
__attribute__((unused)) static bool power_forks(const char *root, const char *logs, int *status)
{
	pid_t pid = fork();

	if (!pid) {
		power_begins(root, logs);
		return true;
	}
	if (pid < 0 || waitpid(pid, status, 0) != pid)
		*status = -1;
	power_fails(logs);
	return false;
}

#endif
