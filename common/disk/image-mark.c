/* image-mark.c: see image-mark.h. */
#include "image-mark.h"

#include "util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* The offsets of marks: no file is so long, and no other program's lock begins there. */
#define MARK_MIN (1LL << 44)
#define MARK_MAX (1LL << 61)
/* image-lock.c */
#define QEMU_LOCKS     100
#define QEMU_LOCKS_LEN 200
/* Number of tries, in one of which no other partition of the disk will be written to. */
#define MOMENTS 100

static struct flock byte_at(int64_t mark, short type)
{
	return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = mark, .l_len = 1};
}

static int open_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd >= 0 && (fstat(fd, &st) || !S_ISREG(st.st_mode))) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Time of a regular file (STATX_MTIME, STATX_CTIME), in ns; a network file system asks its server for it. 0: unknown. */
static int64_t file_time_ns(const char *path, unsigned which)
{
	int fd = open_file(path);
	struct statx x;
	bool told = fd >= 0 && !statx(fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, which, &x) && x.stx_mask & which;
	const struct statx_timestamp *at = which == STATX_CTIME ? &x.stx_ctime : &x.stx_mtime;

	if (fd >= 0)
		close(fd);
	return told ? (int64_t)at->tv_sec * 1000000000 + at->tv_nsec : 0;
}

int64_t file_written_ns(const char *path)
{
	return file_time_ns(path, STATX_MTIME);
}

/* Reads the first line of a block device's file in sysfs; false: there is none. */
static bool read_device_line(dev_t device, const char *name, char *line, size_t size)
{
	AUTO_FREE char *path = xasprintf("/sys/dev/block/%u:%u/%s", major(device), minor(device), name);
	FILE *f = fopen(path, "re");
	bool got = f && fgets(line, (int)size, f);

	if (f)
		fclose(f);
	if (got)
		line[strcspn(line, "\n")] = '\0';
	return got;
}

/* Sectors that were written and discarded since the host was started, as a `stat` in sysfs has them (Documentation/block/stat.rst). */
static bool read_sectors(dev_t device, const char *stat, unsigned long long *sectors)
{
	unsigned long long written, discarded = 0;
	char line[4096];

	if (!read_device_line(device, stat, line, sizeof(line)) ||
	    sscanf(line, "%*u %*u %*u %*u %*u %*u %llu %*u %*u %*u %*u %*u %*u %llu", &written, &discarded) < 1)
		return false;
	*sectors = written + discarded;
	return true;
}

/* Adds up what was written to the whole device of a partition by way of none of its partitions: that may be this partition's blocks, and its
 * own counter does not have it. */
static bool add_sectors_of_whole(dev_t partition, unsigned long long *sectors)
{
	AUTO_FREE char *link = xasprintf("/sys/dev/block/%u:%u/..", major(partition), minor(partition)), *whole = realpath(link, NULL);
	AUTO_FREE char *node = whole ? xasprintf("/dev/%s", strrchr(whole, '/') + 1) : NULL;
	AUTO_CLOSE int fd = node ? open(node, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
	DIR *d = fd >= 0 && !fsync(fd) ? opendir(whole) : NULL; /* pending writes count, too */
	unsigned long long before, after, one, parts = 0;
	bool told = d && read_sectors(partition, "../stat", &before);
	struct dirent *entry;

	while (told && (entry = readdir(d))) {
		AUTO_FREE char *number = xasprintf("%s/%s/partition", whole, entry->d_name), *stat = xasprintf("../%s/stat", entry->d_name);

		if (access(number, F_OK))
			continue;
		told = read_sectors(partition, stat, &one);
		parts += told ? one : 0;
	}
	if (d)
		closedir(d);
	if (!told || !read_sectors(partition, "../stat", &after) || before != after)
		return false; /* another partition may have just been written to */
	*sectors += after - parts;
	return true;
}

/* The write stamp of a block device. A loop device changes with its backing file, which others may write to as well. For other devices the
 * kernel counts. */
static int64_t device_write_stamp(int fd, dev_t device)
{
	unsigned long long sectors, whole;
	char line[4096];
	bool is_partition;

	if (fsync(fd) && errno != EINVAL) /* pending writes count, too */
		return 0;
	if (read_device_line(device, "loop/backing_file", line, sizeof(line)))
		return file_written_ns(line);
	/* some devices do not count, or were told not to */
	if (!(read_device_line(device, "queue/iostats", line, sizeof(line)) ||
	      read_device_line(device, "../queue/iostats", line, sizeof(line))) ||
	    strcmp(line, "1"))
		return 0;
	is_partition = read_device_line(device, "partition", line, sizeof(line));
	for (int left = is_partition ? MOMENTS : 1; left; left--) {
		whole = 0;
		if ((!is_partition || add_sectors_of_whole(device, &whole)) && read_sectors(device, "stat", &sectors))
			return (int64_t)((sectors + whole) & INT64_MAX >> 1);
	}
	return 0;
}

/* True if a file system is mounted from the device, or a volume group is active on it: the kernel then writes at any time. */
static bool is_claimed(const char *device)
{
	AUTO_CLOSE int fd = open(device, O_RDONLY | O_EXCL | O_CLOEXEC | O_NONBLOCK);

	return fd < 0 && errno == EBUSY;
}

int64_t image_write_stamp(const char *path)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return 0;
	if (!S_ISBLK(st.st_mode))
		return file_written_ns(path);
	return is_claimed(path) ? 0 : device_write_stamp(fd, st.st_rdev);
}

int64_t image_change_stamp(const char *path)
{
	struct stat st;
	char line[4096];

	if (stat(path, &st))
		return 0;
	if (!S_ISBLK(st.st_mode))
		return file_time_ns(path, STATX_CTIME);
	return read_device_line(st.st_rdev, "loop/backing_file", line, sizeof(line)) ? file_time_ns(line, STATX_CTIME) : 0;
}

const char *file_written_since(const json_t *then, const char **why)
{
	const char *path;
	json_t *ns;

	json_object_foreach((json_t *)then, path, ns) {
		int64_t now = file_written_ns(path);

		*why = now ? "was written" : "cannot be looked at";
		if (!now || now != json_integer_value(ns))
			return path;
	}
	return NULL;
}

bool image_has_locks(const char *path)
{
	int fd = open_file(path);
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = QEMU_LOCKS, .l_len = QEMU_LOCKS_LEN};
	bool yes = fd >= 0 && !fcntl(fd, F_OFD_GETLK, &l) && l.l_type != F_UNLCK;

	if (fd >= 0)
		close(fd);
	return yes;
}

int image_mark(const char *path, int64_t *mark)
{
	int fd = open_file(path);
	struct flock l;
	uint64_t any;

	if (fd < 0)
		return -1;
	if (getrandom(&any, sizeof(any), 0) == sizeof(any)) {
		*mark = MARK_MIN + (int64_t)(any % (MARK_MAX - MARK_MIN));
		l = byte_at(*mark, F_RDLCK);
		if (!fcntl(fd, F_OFD_SETLK, &l))
			return fd;
	}
	close(fd);
	return -1;
}

bool image_is_marked(const char *path, int64_t mark)
{
	int fd = mark >= MARK_MIN && mark < MARK_MAX ? open_file(path) : -1;
	struct flock l = byte_at(mark, F_WRLCK);
	bool yes = fd >= 0 && !fcntl(fd, F_OFD_GETLK, &l) && l.l_type == F_RDLCK && l.l_start == mark && l.l_len == 1;

	if (fd >= 0)
		close(fd);
	return yes;
}
