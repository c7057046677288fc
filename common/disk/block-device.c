/* block-device.c: see block-device.h. */
#include "block-device.h"
#include "process.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int block_device_open_alone(const char *path, int *fd, struct err *e)
{
	pid_t user = process_that_opened(path, 0);

	if (user)
		return err_set(e, EBUSY, "block device %s is open in process %d: it must be left alone", path, (int)user);
	*fd = open(path, O_RDWR | O_EXCL | O_CLOEXEC);
	if (*fd < 0 && errno == EBUSY)
		return err_set(e, EBUSY, "block device %s is in use: it is mounted, or a part of another device", path);
	return *fd < 0 ? err_sys(e, errno, "cannot open block device %s", path) : 0;
}

int block_device_size(int fd, const char *path, uint64_t *bytes, struct err *e)
{
	off_t size = lseek(fd, 0, SEEK_END);

	if (size < 0)
		return err_sys(e, errno, "the size of block device %s", path);
	*bytes = (uint64_t)size;
	return 0;
}

static int check_end(int fd, const char *path, uint64_t at, size_t bytes, struct err *e)
{
	AUTO_FREE uint8_t *end = xmalloc(bytes);
	ssize_t n = pread(fd, end, bytes, (off_t)at);

	if (n != (ssize_t)bytes)
		return err_sys(e, n < 0 ? errno : EIO, "cannot read block device %s", path);
	if (!bytes || (!end[0] && !memcmp(end, end + 1, bytes - 1)))
		return 0;
	return err_set(
		e, EEXIST,
		"block device %s is not blank: it may be somebody's, or the guest's own disk, which both hosts see. If nobody needs what "
		"it holds, clear it (blkdiscard -z %s), and try again",
		path, path);
}

int block_device_check_blank(int fd, const char *path, uint64_t bytes, struct err *e)
{
	size_t ends = (size_t)MIN((uint64_t)BLOCK_DEVICE_ENDS, bytes);
	int r = check_end(fd, path, 0, ends, e);

	return r ? r : check_end(fd, path, bytes - ends, ends, e);
}
