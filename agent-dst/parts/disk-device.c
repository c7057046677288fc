/* disk-device.c: see disk-device.h. */
#include "disk-device.h"
#include "codec.h"
#include "disk-io.h"
#include "json-text.h"
#include "made.h"
#include "process.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define ENDS	    (1U << 20)	 /* bytes that are looked at, and that are zeros afterwards in any case */
#define CLEAR_BYTES (256U << 20) /* at a time */
_Static_assert(CLEAR_BYTES <= DISK_ZERO_MAX, "one request clears as much");

bool disk_device_is(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISBLK(st.st_mode);
}

/* Nobody has it, and nobody can mount it, or make it a part of another, until *fd is closed. */
static int open_alone(const char *path, int *fd, struct err *e)
{
	pid_t user = process_that_opened(path, 0);

	if (user)
		return err_set(e, EBUSY, "block device %s at the destination is open in process %d: it must be left alone", path,
			       (int)user);
	*fd = open(path, O_RDWR | O_EXCL | O_CLOEXEC);
	if (*fd < 0 && errno == EBUSY)
		return err_set(e, EBUSY, "block device %s at the destination is in use: it is mounted, or a part of another device", path);
	return *fd < 0 ? err_sys(e, errno, "cannot open block device %s at the destination", path) : 0;
}

static int check_end(int fd, const char *path, uint64_t at, size_t bytes, struct err *e)
{
	AUTO_FREE uint8_t *end = xmalloc(bytes);
	ssize_t n = pread(fd, end, bytes, (off_t)at);

	if (n != (ssize_t)bytes)
		return err_sys(e, n < 0 ? errno : EIO, "cannot read block device %s at the destination", path);
	if (bytes_are_zero(end, bytes))
		return 0;
	return err_set(
		e, EEXIST,
		"block device %s at the destination is not blank: it may be somebody's, or the guest's own disk, which both hosts see. If "
		"nobody needs what it holds, clear it there (blkdiscard -z %s), and move again",
		path, path);
}

static int check_blank(int fd, const char *path, uint64_t bytes, struct err *e)
{
	size_t ends = (size_t)MIN((uint64_t)ENDS, bytes);
	int r = check_end(fd, path, 0, ends, e);

	return r ? r : check_end(fd, path, bytes - ends, ends, e);
}

static int check(int fd, const char *path, uint64_t bytes, struct err *e)
{
	off_t size = lseek(fd, 0, SEEK_END);

	if (size < 0)
		return err_sys(e, errno, "the size of block device %s at the destination", path);
	if ((uint64_t)size != bytes)
		return err_set(
			e, EINVAL,
			"block device %s at the destination has %llu bytes and the disk %llu: a guest sees the size of its disk, so they "
			"must be equal",
			path, (unsigned long long)size, (unsigned long long)bytes);
	return check_blank(fd, path, bytes, e);
}

int disk_device_check(const char *path, uint64_t bytes, struct err *e)
{
	int fd, r = open_alone(path, &fd, e);

	if (r)
		return r;
	r = check(fd, path, bytes, e);
	close(fd);
	return r;
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
	return c->res ? err_sys(e, -c->res, "cannot clear block device %s at the destination", path) : 0;
}

static int clear(struct loop *l, const char *path, uint64_t bytes, struct err *e)
{
	struct clearing c = {.req.done = on_cleared};
	struct disk_io *d;
	uint64_t at;
	int r = disk_io_open(&d, l, &(struct disk_at){.path = path, .writable = true}, e);

	if (r)
		return r;
	for (at = 0; at < bytes && !r; at += CLEAR_BYTES)
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
	int r = open_alone(path, fd, e);

	if (r)
		return r;
	r = check(*fd, path, bytes, e);
	r = r ? r : attempt_own(a, "device", known(path, bytes), e);
	return r ? r : clear(a->loop, path, bytes, e);
}

/* After a reboot another device may have the number, and this one another: the path and the size must do. */
bool disk_device_is_there(const json_t *detail, bool rebooted)
{
	const char *path = json_text(detail, "path");
	json_t *now = path && disk_device_is(path) ? known(path, (uint64_t)json_integer_value(json_object_get(detail, "bytes"))) : NULL;
	bool yes = now && (rebooted || json_equal(now, detail));

	json_decref(now);
	return yes;
}

static int blank_ends(int fd, uint64_t bytes)
{
	AUTO_FREE uint8_t *zeros = xcalloc(1, ENDS);
	size_t n = MIN(ENDS, bytes);

	/* quick where the device can; else what a disk is known by */
	(void)fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)bytes);
	if (pwrite(fd, zeros, n, 0) != (ssize_t)n || pwrite(fd, zeros, n, (off_t)(bytes - n)) != (ssize_t)n)
		return -EIO;
	return fsync(fd) ? -errno : 0;
}

int disk_device_undo(struct target *t, const json_t *detail, struct err *e)
{
	const char *path = json_text(detail, "path");
	bool rebooted = made_is_rebooted(t);
	struct err why;
	int fd, r;

	if (t->keep_guest || !path || !disk_device_is(path))
		return 0;
	if (rebooted || !disk_device_is_there(detail, rebooted))
		return err_set(
			e, EUCLEAN,
			"whether block device %s is the one that was written to cannot be told since: clear it (blkdiscard -z %s) if nobody "
			"needs what it holds",
			path, path);
	if (open_alone(path, &fd, &why))
		return err_set(e, EUCLEAN, "%s, and holds a part of the guest's disk", why.msg);
	r = blank_ends(fd, (uint64_t)json_integer_value(json_object_get(detail, "bytes")));
	close(fd);
	return r ? err_sys(e, -r, "cannot clear block device %s", path) : 0;
}
