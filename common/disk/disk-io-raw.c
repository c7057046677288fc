/*
 * disk-io-raw.c: a disk that is a raw file or a block device: disk-io.h over io_uring. A device differs in that it has no map, and in that
 * zeros may have to be written to it where a file needs no write. Direct I/O leaves the page cache to others; but parts of a file that are
 * in it already (most of a guest's image, if it ran without cache=none) are read from there if nobody writes to the file.
 */
#include "disk-io.h"
#include "log.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

struct raw {
	struct disk_io base;
	int direct_fd;	 /* O_DIRECT; -1 where it is refused, or not wanted */
	bool drops;	 /* the file leaves the page cache when it is closed */
	int buffered_fd; /* descriptor for unaligned requests, holes and sync */
	uint64_t end;	 /* end of the file: caps.size, unless that is padded */
	bool changes;	 /* another process writes to the file: it may end before that, or behind it */
	uint8_t *mapped; /* the file, mapped only to ask which pages are in the page cache; NULL: we do not ask */
	bool is_device, closing;
	const struct disk_map *map; /* the caller's, in place of its holes; NULL: those */
	bool hoards;		    /* the file system reserves room behind each small write in a hole */
	unsigned in_flight;
};

/* ext4 reserves up to 8 MiB around a write in a hole for the writes that follow, until no process has the file open for writing: 10,000
 * writes of 4 KiB all over a sparse disk may fill a file system, and the last close (QEMU's, when it stops its guest) waits until all of it
 * is given back. A write into a range that was allocated before reserves nothing. Larger writes are part of longer runs, which should lie
 * together. */
#define HOARDED_FOR (256 * KIB) /* less than this */

#define MISSING_PART 16 /* share of a request's pages that may be missing in the page cache: one in so many */

static struct raw *of(struct disk_io *d)
{
	return container_of(d, struct raw, base);
}

/* ---- the map ---- */

/* The offset at or behind `at` where data begins, or (SEEK_HOLE) ends; the disk's size if there is none. A device has no holes. */
static int64_t seek(const struct raw *o, uint64_t at, int whence)
{
	int64_t size = (int64_t)o->base.caps.size, found = o->is_device ? size : lseek(o->buffered_fd, (off_t)at, whence);

	if (found < 0 && errno == EINVAL) /* the file system does not support this */
		return whence == SEEK_DATA ? (int64_t)at : size;
	if (found < 0)
		return errno == ENXIO ? size : -errno;
	if (o->changes) /* the file's present end counts as the beginning of a hole, within a sector */
		found = (int64_t)disk_padded((uint64_t)found);
	return found >= (int64_t)o->end ? size : found;
}

static int copy_map(const struct raw *o, struct disk_map *m, struct err *e)
{
	uint64_t sum = 0;
	int r = 0;

	for (size_t i = 0; i < o->map->count && !r; i++) {
		const struct disk_extent *x = &o->map->extent[i];

		r = disk_map_add(m, x->length, x->content, x->selected, e);
		sum += x->length;
	}
	return r || sum == o->base.caps.size ? r
					     : err_set(e, ESTALE, "its map is of %llu bytes, and the file has %llu",
						       (unsigned long long)sum, (unsigned long long)o->base.caps.size);
}

static int raw_map(struct disk_io *d, struct disk_map *m, struct err *e)
{
	struct raw *o = of(d);
	uint64_t at = 0, size = d->caps.size;
	bool data = o->is_device;
	int r = 0;

	if (o->map)
		return copy_map(o, m, e);
	while (at < size && !r) {
		int64_t end = seek(o, at, data ? SEEK_HOLE : SEEK_DATA);

		if (end < 0)
			return err_sys(e, (int)-end, "cannot find the file's holes at byte %llu", (unsigned long long)at);
		if ((uint64_t)end > at)
			r = disk_map_add(m, (uint64_t)end - at, data ? DISK_DATA : DISK_HOLE, true, e);
		at = (uint64_t)end;
		data = !data;
	}
	if (!r && !o->changes && lseek(o->buffered_fd, 0, SEEK_END) != (off_t)o->end)
		return err_set(e, ESTALE, "the size changed from %llu bytes while the file's holes were looked for",
			       (unsigned long long)o->end);
	return r;
}

/* ---- requests ---- */

static void finish(struct disk_req *r, int res)
{
	of(r->io)->in_flight--;
	r->done(r, res);
}

static void on_done(struct op *op, int res, uint32_t flags)
{
	(void)flags;
	finish(container_of(op, struct disk_req, op), res < 0 ? res : 0);
}

static void on_refused(struct op *op, int res, uint32_t flags)
{
	struct disk_req *r = container_of(op, struct disk_req, op);

	(void)res, (void)flags;
	finish(r, r->res);
}

/* True if another process has truncated the file. A write behind its end would make it as long as before, with the old contents lost. */
static bool was_cut(const struct raw *o)
{
	struct stat st;

	return !o->is_device && !fstat(o->buffered_fd, &st) && (uint64_t)st.st_size < o->end;
}

/* 0: r is in flight; else it will end with that error. */
static int begin(struct raw *o, struct disk_req *r, bool changes, uint32_t most)
{
	const struct disk_caps *c = &o->base.caps;
	struct io_uring_sqe *sqe;

	o->in_flight++;
	r->res = 0;
	if (o->closing)
		r->res = -ECANCELED;
	else if (changes && c->read_only)
		r->res = -EROFS;
	else if (changes && was_cut(o))
		r->res = -ESTALE;
	else if (!r->bytes || r->bytes > most || r->offset > c->size || r->bytes > c->size - r->offset)
		r->res = -EINVAL;
	if (r->res) {
		sqe = loop_sqe(o->base.loop);
		io_uring_prep_nop(sqe);
		r->op.done = on_refused;
		loop_bind(sqe, &r->op);
	}
	return r->res;
}

/* True if nearly all of the range is in the page cache: a few pages that the kernel has reclaimed do not justify reading the rest from the
 * disk. The answer may be outdated at once. */
static bool is_cached(const struct raw *o, uint64_t offset, uint32_t bytes)
{
	uint8_t there[DISK_REQUEST_MAX / DISK_ALIGN]; /* the smallest page size */
	size_t page = (size_t)sysconf(_SC_PAGESIZE), i, n, missing = 0;

	if (!o->mapped || offset % page || bytes > DISK_REQUEST_MAX || bytes > o->end || offset > o->end - bytes)
		return false;
	n = (bytes + page - 1) / page;
	if (mincore(o->mapped + offset, bytes, there))
		return false;
	for (i = 0; i < n; i++)
		missing += !(there[i] & 1);
	return missing <= n / MISSING_PART;
}

static void transfer(struct raw *o, struct disk_req *r)
{
	uint8_t *p = r->buf == disk_zeros ? r->buf : r->buf + r->moved;
	uint64_t at = r->offset + r->moved;
	uint32_t left = r->bytes - r->moved;
	struct io_uring_sqe *sqe = loop_sqe(o->base.loop);
	bool direct;
	int fd;

	if (r->buf == disk_zeros)
		left = MIN(left, (uint32_t)sizeof(disk_zeros));
	direct = o->direct_fd >= 0 && at % DISK_ALIGN == 0 && left % DISK_ALIGN == 0 && (uintptr_t)p % DISK_ALIGN == 0 &&
		 !(r->reads && is_cached(o, at, left));
	fd = direct ? o->direct_fd : o->buffered_fd;
	if (r->reads) {
		r->iov = (struct iovec){p, left};
		io_uring_prep_readv(sqe, fd, &r->iov, 1, at);
	} else {
		io_uring_prep_write(sqe, fd, p, left, at);
	}
	loop_bind(sqe, &r->op);
}

/* Fills a read with zeros behind the file's end: in its last, partial sector, or where the file has become shorter. */
static int pad(const struct raw *o, struct disk_req *r)
{
	if (!r->reads || (!o->changes && (o->end == o->base.caps.size || r->offset + r->moved < o->end)))
		return 0;
	memset(r->buf + r->moved, 0, r->bytes - r->moved);
	return (int)(r->bytes - r->moved);
}

static void on_transferred(struct op *op, int res, uint32_t flags)
{
	struct disk_req *r = container_of(op, struct disk_req, op);
	struct raw *o = of(r->io);

	(void)flags;
	if (res == 0)
		res = pad(o, r);
	if (res == -EINTR || res == -EAGAIN)
		res = 0;
	else if (res == 0)
		res = -EIO;
	if (res < 0) {
		finish(r, res);
		return;
	}
	r->moved += (uint32_t)res;
	if (r->moved < r->bytes && o->closing)
		finish(r, -ECANCELED);
	else if (r->moved < r->bytes)
		transfer(o, r);
	else
		finish(r, 0);
}

static void raw_read(struct disk_io *d, struct disk_req *r)
{
	if (begin(of(d), r, false, d->caps.max_request))
		return;
	r->op.done = on_transferred;
	transfer(of(d), r);
}

/* Allocates or deallocates the request's range. */
static void room(struct raw *o, struct disk_req *r, int mode, void (*done)(struct op *op, int res, uint32_t flags))
{
	struct io_uring_sqe *sqe = loop_sqe(o->base.loop);

	r->op.done = done;
	io_uring_prep_fallocate(sqe, o->buffered_fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)r->offset, (off_t)r->bytes);
	loop_bind(sqe, &r->op);
}

static void write_allocated(struct raw *o, struct disk_req *r)
{
	r->op.done = on_transferred;
	transfer(o, r);
}

static void on_allocated(struct op *op, int res, uint32_t flags)
{
	struct disk_req *r = container_of(op, struct disk_req, op);
	struct raw *o = of(r->io);

	(void)flags;
	if (res == -EOPNOTSUPP) /* ext3 */
		o->hoards = false;
	if (o->closing)
		finish(r, -ECANCELED);
	else
		write_allocated(o, r); /* this write reports any other failure, such as a full disk */
}

static void raw_write(struct disk_io *d, struct disk_req *r)
{
	struct raw *o = of(d);

	if (begin(o, r, true, d->caps.max_request))
		return;
	if (!o->hoards || r->bytes >= HOARDED_FOR)
		write_allocated(o, r);
	else
		room(o, r, 0, on_allocated);
}

static void write_zeros(struct raw *o, struct disk_req *r)
{
	r->buf = (uint8_t *)(uintptr_t)disk_zeros;
	r->op.done = on_transferred;
	transfer(o, r);
}

static void on_punched(struct op *op, int res, uint32_t flags)
{
	struct disk_req *r = container_of(op, struct disk_req, op);
	struct raw *o = of(r->io);

	if (res == -EOPNOTSUPP || res == -ENODEV) /* no holes here: write the zeros */
		o->base.caps.can_punch = false;
	else if (!(res == -EINVAL && o->is_device)) { /* a device only takes whole blocks of its own */
		on_done(op, res, flags);
		return;
	}
	if (o->closing)
		finish(r, -ECANCELED);
	else
		write_zeros(o, r);
}

static void raw_zero(struct disk_io *d, struct disk_req *r)
{
	struct raw *o = of(d);

	if (begin(o, r, true, DISK_ZERO_MAX))
		return;
	if (d->caps.can_punch)
		room(o, r, FALLOC_FL_PUNCH_HOLE, on_punched);
	else
		write_zeros(o, r);
}

/* Unwritten blocks, where the file system supports them. */
static void on_filled(struct op *op, int res, uint32_t flags)
{
	struct disk_req *r = container_of(op, struct disk_req, op);
	struct raw *o = of(r->io);

	if (res != -EOPNOTSUPP && res != -ENODEV && res != -EINVAL)
		on_done(op, res, flags);
	else if (o->closing)
		finish(r, -ECANCELED);
	else
		write_zeros(o, r);
}

static void raw_fill(struct disk_io *d, struct disk_req *r)
{
	struct raw *o = of(d);

	if (!begin(o, r, true, DISK_FILL_MAX))
		room(o, r, FALLOC_FL_ZERO_RANGE, on_filled);
}

static void raw_sync(struct disk_io *d, struct disk_req *r)
{
	struct raw *o = of(d);
	struct io_uring_sqe *sqe = loop_sqe(d->loop);

	o->in_flight++;
	r->op.done = on_done;
	io_uring_prep_fsync(sqe, o->buffered_fd, IORING_FSYNC_DATASYNC);
	loop_bind(sqe, &r->op);
}

/* Shares whole blocks only; a range refused with EINVAL does not rule out others. */
static int raw_share(struct disk_io *d, struct disk_io *from, uint64_t offset, uint32_t bytes)
{
	struct file_clone_range range = {.src_fd = of(from)->buffered_fd, .src_offset = offset, .src_length = bytes, .dest_offset = offset};

	if (of(from)->is_device)
		return -EOPNOTSUPP;
	if (!ioctl(of(d)->buffered_fd, FICLONERANGE, &range))
		return 0;
	d->caps.can_share = errno == EINVAL;
	return -errno;
}

static const struct err *raw_error(const struct disk_io *d)
{
	(void)d;
	return NULL;
}

/* ---- from open to close ---- */

static void raw_close(struct disk_io *d)
{
	struct raw *o = of(d);
	struct err e;

	o->closing = true;
	while (o->in_flight)
		if (loop_step(d->loop, 1000, &e) < 0) {
			log_error("disk: %s", e.msg);
			return; /* the kernel may still use a request: better leaked than freed */
		}
	if (o->mapped)
		munmap(o->mapped, o->end);
	if (o->direct_fd >= 0)
		close(o->direct_fd);
	if (o->drops)
		posix_fadvise(o->buffered_fd, 0, 0, POSIX_FADV_DONTNEED);
	close(o->buffered_fd);
	free(o);
}

/* The file system's magic number (statfs(2)); 0: unknown. */
static uint32_t file_system_of(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) ? 0 : (uint32_t)fs.f_type;
}

/* True for a local file system: no other host writes to the file behind the page cache. */
static bool is_local(int fd)
{
	switch (file_system_of(fd)) {
	case EXT4_SUPER_MAGIC:
	case XFS_SUPER_MAGIC:
	case BTRFS_SUPER_MAGIC:
	case F2FS_SUPER_MAGIC:
	case TMPFS_MAGIC:
		return true;
	}
	return false;
}

/* mincore(2) reports the true state only to users who may write to the file. */
static uint8_t *map_file(int fd, uint64_t bytes, uid_t owner, const char *path)
{
	void *p;

	if (!bytes || bytes > PTRDIFF_MAX / 2 || (geteuid() != owner && access(path, W_OK)) || !is_local(fd))
		return NULL;
	p = mmap(NULL, (size_t)bytes, PROT_NONE, MAP_SHARED, fd, 0);
	return p == MAP_FAILED ? NULL : p;
}

int disk_io_open_raw(struct disk_io **out, struct loop *l, const struct disk_at *at, struct err *e)
{
	static const struct disk_io_ops ops = {
		.map = raw_map,
		.read = raw_read,
		.write = raw_write,
		.zero = raw_zero,
		.fill = raw_fill,
		.sync = raw_sync,
		.share = raw_share,
		.error = raw_error,
		.close = raw_close,
	};
	int flags = (at->writable ? O_RDWR : O_RDONLY) | O_CLOEXEC, fd = open(at->path, flags);
	struct stat st;
	struct raw *o;
	bool stays;
	off_t size;

	if (fd < 0)
		return err_sys(e, errno, "cannot open %s for %s", at->path, at->writable ? "writing" : "reading");
	if (fstat(fd, &st) || (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) || (size = lseek(fd, 0, SEEK_END)) < 0) {
		close(fd);
		return err_set(e, ENOTBLK, "%s is neither a file nor a block device", at->path);
	}
	o = xcalloc(1, sizeof(*o));
	o->buffered_fd = fd;
	o->is_device = S_ISBLK(st.st_mode);
	o->drops = at->again && !at->writable && !o->is_device;
	stays = at->stays && !at->writable && !o->is_device && is_local(fd);
	o->direct_fd = o->drops || stays || (at->gathers && !o->is_device) ? -1 : open(at->path, flags | O_DIRECT);
	o->hoards = at->writable && !at->gathers && !o->is_device && file_system_of(fd) == EXT4_SUPER_MAGIC;
	o->changes = at->was_bytes && !at->writable && !o->is_device;
	o->map = at->map;
	o->end = o->changes ? at->was_bytes : (uint64_t)size;
	if (at->cached && o->direct_fd >= 0 && !at->writable && !o->is_device)
		o->mapped = map_file(fd, o->end, st.st_uid, at->path);
	o->base = (struct disk_io){&ops,
				   l,
				   {.size = at->pads && !at->writable ? disk_padded(o->end) : o->end,
				    .align = o->direct_fd < 0 ? 1 : DISK_ALIGN,
				    .max_request = DISK_REQUEST_MAX,
				    .read_only = !at->writable,
				    .can_punch = at->writable,
				    .can_map = !o->is_device,
				    .can_share = at->writable && !o->is_device}};
	*out = &o->base;
	return 0;
}
