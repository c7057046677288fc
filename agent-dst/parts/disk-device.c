/* disk-device.c: see disk-device.h. */
#include "disk-device.h"
#include "block-device.h"
#include "disk-io.h"
#include "json-text.h"
#include "made.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define CLEAR_BYTES (256U << 20) /* bytes cleared by one request */
_Static_assert(CLEAR_BYTES <= DISK_ZERO_MAX, "one request clears as much");

bool disk_device_is(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISBLK(st.st_mode);
}

/* Linux reads and writes whole sectors, and QEMU's raw driver lets no request go beyond its size: the end of such a disk could not be written. */
static int check_sectors(int fd, const char *path, uint64_t bytes, struct err *e)
{
	int sector = 0;

	return ioctl(fd, BLKSSZGET, &sector) || sector <= 0 || bytes % (unsigned)sector == 0
		       ? 0
		       : err_set(e, EINVAL, "block device %s has sectors of %d bytes, and the disk's %llu bytes are no multiple of that",
				 path, sector, (unsigned long long)bytes);
}

static int check(int fd, const char *path, uint64_t bytes, uint64_t *has, struct err *e)
{
	int r = block_device_size(fd, path, has, e);

	if (r)
		return r;
	if (*has < bytes)
		return err_set(e, EINVAL, "block device %s has %llu bytes and the disk %llu: give it a device that is as large, or larger",
			       path, (unsigned long long)*has, (unsigned long long)bytes);
	return check_sectors(fd, path, bytes, e) ?: block_device_check_blank(fd, path, *has, e);
}

int disk_device_check(const char *path, uint64_t bytes, uint64_t *has, struct err *e)
{
	int fd, r = block_device_open_alone(path, &fd, e);

	if (!r) {
		r = check(fd, path, bytes, has, e);
		close(fd);
	}
	return r ? err_prefix(e, "at the destination") : 0;
}

/* ---- all zeros ---- */

struct clearing {
	struct disk_req req;
	bool done;
	int res;
};

static void on_cleared(struct disk_req *req, int res)
{
	struct clearing *c = container_of(req, struct clearing, req);

	c->done = true;
	c->res = res;
}

static int clear_part(struct disk_io *d, struct clearing *c, const char *path, uint64_t at, uint32_t bytes, struct err *e)
{
	int r = 0;

	c->done = false;
	disk_io_zero(d, &c->req, at, bytes);
	while (!c->done && r >= 0)
		r = loop_step(d->loop, 1000, e);
	if (r < 0)
		return r;
	return c->res ? err_sys(e, -c->res, "cannot clear block device %s", path) : 0;
}

static int clear(struct loop *l, const char *path, uint64_t bytes, struct err *e)
{
	struct clearing c = {.req.done = on_cleared};
	struct disk_io *d;
	int r = disk_io_open(&d, l, &(struct disk_at){.path = path, .writable = true}, e);

	if (r)
		return r;
	for (uint64_t at = 0; at < bytes && !r; at += CLEAR_BYTES)
		r = clear_part(d, &c, path, at, (uint32_t)MIN((uint64_t)CLEAR_BYTES, bytes - at), e);
	disk_io_close(d);
	return r;
}

/* ---- ours, and not any more ---- */

static json_t *known(const char *path, uint64_t bytes)
{
	struct stat st = {0};

	stat(path, &st);
	return json_pack("{s:s,s:i,s:i,s:I}", "path", path, "major", (int)major(st.st_rdev), "minor", (int)minor(st.st_rdev), "bytes",
			 (json_int_t)bytes);
}

int disk_device_take(struct attempt *a, const char *path, uint64_t bytes, int *fd, struct err *e)
{
	uint64_t has;
	int r = block_device_open_alone(path, fd, e);

	r = r ?: check(*fd, path, bytes, &has, e) ?: attempt_own(a, "device", known(path, bytes), e);
	return r ?: clear(a->loop, path, bytes, e);
}

/* True if the device is still the one of the entry. After a reboot another device may have the number, and this one another: the path
 * and the size must do. */
bool disk_device_is_there(const json_t *detail, bool rebooted)
{
	const char *path = json_text(detail, "path");
	json_auto_t *now =
		path && disk_device_is(path) ? known(path, (uint64_t)json_integer_value(json_object_get(detail, "bytes"))) : NULL;

	return now && (rebooted || json_equal(now, detail));
}

static int blank_ends(int fd, uint64_t bytes)
{
	AUTO_FREE uint8_t *zeros = xcalloc(1, BLOCK_DEVICE_ENDS);
	size_t n = (size_t)MIN((uint64_t)BLOCK_DEVICE_ENDS, bytes);

	/* quick where the device can; else what a disk is known by */
	(void)fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)bytes);
	if (pwrite(fd, zeros, n, 0) != (ssize_t)n || pwrite(fd, zeros, n, (off_t)(bytes - n)) != (ssize_t)n)
		return -EIO;
	return fsync(fd) ? -errno : 0;
}

static bool is_blank(const char *path, uint64_t bytes)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct err e;

	return fd >= 0 && !block_device_check_blank(fd, path, bytes, &e);
}

/* Undoes the entry only in the agent that took the device, and at once: what is on it later may be somebody's, who found it unused. */
int disk_device_undo(struct target *t, const json_t *detail, struct err *e)
{
	const char *path = json_text(detail, "path");
	uint64_t bytes = (uint64_t)json_integer_value(json_object_get(detail, "bytes"));
	bool rebooted = made_is_rebooted(t);
	struct err why;
	int fd, r;

	if (t->keep_guest || !path || !disk_device_is(path))
		return 0;
	if (t->part.a->taken_up && is_blank(path, bytes))
		return 0;
	if (rebooted || !disk_device_is_there(detail, rebooted))
		return err_set(
			e, EUCLEAN,
			"cannot tell whether block device %s is still the one that the move wrote to: if its contents are not needed, "
			"clear it (blkdiscard -z %s)",
			path, path);
	if (t->part.a->taken_up)
		return err_set(e, EUCLEAN,
			       "a move that failed wrote to block device %s, which another program may use by now: if its contents are not "
			       "needed, clear it (blkdiscard -z %s)",
			       path, path);
	if (block_device_open_alone(path, &fd, &why))
		return err_set(e, EUCLEAN, "%s, and holds a part of the guest's disk", why.msg);
	r = blank_ends(fd, bytes);
	close(fd);
	return r ? err_sys(e, -r, "cannot clear block device %s", path) : 0;
}
