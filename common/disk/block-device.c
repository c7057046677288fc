/* block-device.c: see block-device.h. */
#include "block-device.h"
#include "log.h"
#include "process.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define LOOKED_AT_MS 2000
#define PAUSE_MS     20

/* A process that keeps the device open; 0: none. Waits a little, as udev opens a device for some milliseconds after it was closed. */
static pid_t user_of(const char *path)
{
	uint64_t until = now_ns() + LOOKED_AT_MS * 1000000ULL;
	pid_t user;

	while ((user = process_that_opened(path, 0)) && now_ns() < until)
		poll(NULL, 0, PAUSE_MS);
	if (user)
		log_info("block device %s is still open in process %d", path, (int)user);
	return user;
}

/* True for a read-only device: Linux opens many of them for writing, and fails the writes. */
static bool is_read_only(int fd)
{
	int yes = 0;

	return !ioctl(fd, BLKROGET, &yes) && yes;
}

int block_device_open_alone(const char *path, int *fd, struct err *e)
{
	pid_t user = user_of(path);
	AUTO_FREE char *who = process_text(user);

	if (user)
		return err_set(e, EBUSY, "block device %s is open in %s: it must be left alone", path, who);
	*fd = open(path, O_RDWR | O_EXCL | O_CLOEXEC);
	if (*fd < 0 && errno == EBUSY)
		return err_set(e, EBUSY, "block device %s is in use: it is mounted, or a part of another device", path);
	if (*fd < 0)
		return err_sys(e, errno, "cannot open block device %s", path);
	if (!is_read_only(*fd))
		return 0;
	close(*fd);
	return err_set(e, EROFS, "block device %s is read-only (blockdev --getro): nothing can be written to it", path);
}

int block_device_size(int fd, const char *path, uint64_t *bytes, struct err *e)
{
	off_t size = lseek(fd, 0, SEEK_END);

	if (size < 0)
		return err_sys(e, errno, "the size of block device %s", path);
	*bytes = (uint64_t)size;
	return 0;
}

static char *read_line(const char *path)
{
	FILE *f = fopen(path, "re");
	char line[PATH_MAX + 32] = "";

	if (f && !fgets(line, sizeof(line), f))
		line[0] = '\0';
	if (f)
		fclose(f);
	line[strcspn(line, "\n")] = '\0';
	return *line ? xstrdup(line) : NULL;
}

/* Documentation/ABI/ of Linux: testing/sysfs-block-dm, stable/sysfs-block, testing/sysfs-bus-scsi, testing/sysfs-nvme */
char *block_device_identity_in(const char *sys, dev_t device)
{
	static const char *const where[] = {"dm/uuid", "wwid", "device/wwid", "../wwid", "../device/wwid"};
	AUTO_FREE char *partition_path = NULL, *partition = NULL, *id = NULL;

	partition_path = xasprintf("%s/dev/block/%u:%u/partition", sys, major(device), minor(device));
	partition = read_line(partition_path);
	for (size_t i = 0; i < ARRAY_LEN(where) && !id; i++) {
		AUTO_FREE char *file = xasprintf("%s/dev/block/%u:%u/%s", sys, major(device), minor(device), where[i]);

		if ((where[i][0] == '.') == (partition != NULL))
			id = read_line(file);
	}
	return id ? xasprintf("%s%s%s", id, partition ? " part " : "", partition ?: "") : NULL;
}

/* The backing file of a loop device, which identifies it whatever its number is. NULL: it is not a loop device, or that cannot be told. */
static char *loop_content(const char *at)
{
	AUTO_FREE char *file = xasprintf("%s/loop/backing_file", at), *skips = xasprintf("%s/loop/offset", at);
	AUTO_FREE char *backing = read_line(file), *offset = backing ? read_line(skips) : NULL;
	struct stat st;

	if (!backing || stat(backing, &st))
		return NULL;
	return xasprintf("loop-%jx-%ju-%s", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino, offset ?: "0");
}

char *block_device_here(const char *sys, dev_t device)
{
	AUTO_FREE char *at = xasprintf("%s/dev/block/%u:%u", sys, major(device), minor(device)), *above = xasprintf("%s/..", at);
	AUTO_FREE char *number = xasprintf("%s/partition", at), *partition = read_line(number);
	AUTO_FREE char *id = block_device_identity_in(sys, device), *loop = id ? NULL : loop_content(partition ? above : at);

	if (id)
		return xstrdup(id);
	if (loop)
		return xasprintf("%s%s%s", loop, partition ? "-" : "", partition ?: "");
	return xasprintf("%u:%u", major(device), minor(device));
}

char *block_device_identity(const char *path)
{
	struct stat st;

	return stat(path, &st) || !S_ISBLK(st.st_mode) ? NULL : block_device_identity_in("/sys", st.st_rdev);
}

static int check_end(int fd, const char *path, uint64_t at, size_t bytes, struct err *e)
{
	AUTO_FREE uint8_t *end = xmalloc(bytes);
	ssize_t n = pread(fd, end, bytes, (off_t)at);

	if (n != (ssize_t)bytes)
		return err_sys(e, n < 0 ? errno : EIO, "cannot read block device %s", path);
	if (bytes_are_zero(end, bytes))
		return 0;
	return err_set(
		e, EEXIST,
		"block device %s is not blank: another program may use it, or it is the guest's own disk, which both hosts see. If its "
		"contents are not needed, clear it (blkdiscard -z %s), and try again",
		path, path);
}

int block_device_check_blank(int fd, const char *path, uint64_t bytes, struct err *e)
{
	size_t ends = (size_t)MIN((uint64_t)BLOCK_DEVICE_ENDS, bytes);

	return check_end(fd, path, 0, ends, e) ?: check_end(fd, path, bytes - ends, ends, e);
}
