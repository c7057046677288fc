/* disk-write.c: see disk-write.h. */
#include "disk-write.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>

#define NBD_TIMEOUT_MS 10000

/* ---- raw file ---- */

struct raw_out {
	struct disk_out base;
	int direct_fd;	 /* O_DIRECT; -1 where it is refused */
	int buffered_fd; /* for what is not aligned, holes and sync */
};

static void raw_submit_write(struct raw_out *o, struct disk_req *r)
{
	uint64_t at = r->offset + r->written;
	uint32_t left = r->bytes - r->written;
	bool direct = o->direct_fd >= 0 && at % DISK_ALIGN == 0 && left % DISK_ALIGN == 0 &&
		      (uintptr_t)(r->buf + r->written) % DISK_ALIGN == 0;
	struct io_uring_sqe *sqe = loop_sqe(o->base.loop);

	io_uring_prep_write(sqe, direct ? o->direct_fd : o->buffered_fd, r->buf + r->written, left, at);
	loop_bind(sqe, &r->op);
}

static void raw_write_done(struct op *op, int res, uint32_t flags)
{
	struct disk_req *r = container_of(op, struct disk_req, op);
	struct raw_out *o = container_of(r->out, struct raw_out, base);

	(void)flags;
	if (res == -EINTR || res == -EAGAIN)
		res = 0;
	else if (res == 0)
		res = -EIO;
	if (res < 0) {
		r->done(r, res);
		return;
	}
	r->written += (uint32_t)res;
	if (r->written < r->bytes)
		raw_submit_write(o, r);
	else
		r->done(r, 0);
}

static void raw_write(struct disk_out *base, struct disk_req *r)
{
	r->op.done = raw_write_done;
	raw_submit_write(container_of(base, struct raw_out, base), r);
}

static void raw_done(struct op *op, int res, uint32_t flags)
{
	struct disk_req *r = container_of(op, struct disk_req, op);

	(void)flags;
	r->done(r, res < 0 ? res : 0);
}

static void raw_zero_done(struct op *op, int res, uint32_t flags)
{
	struct disk_req *r = container_of(op, struct disk_req, op);
	struct raw_out *o = container_of(r->out, struct raw_out, base);

	if (res == -EOPNOTSUPP || res == -ENODEV) { /* no holes here: write the zeros */
		static const uint8_t zeros[2 * 1024 * 1024] __attribute__((aligned(DISK_ALIGN)));

		r->buf = zeros;
		r->op.done = raw_write_done;
		raw_submit_write(o, r);
		return;
	}
	raw_done(op, res, flags);
}

static void raw_zero(struct disk_out *base, struct disk_req *r)
{
	struct raw_out *o = container_of(base, struct raw_out, base);
	struct io_uring_sqe *sqe = loop_sqe(base->loop);

	r->op.done = raw_zero_done;
	io_uring_prep_fallocate(sqe, o->buffered_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)r->offset,
				(off_t)r->bytes);
	loop_bind(sqe, &r->op);
}

static void raw_sync(struct disk_out *base, struct disk_req *r)
{
	struct raw_out *o = container_of(base, struct raw_out, base);
	struct io_uring_sqe *sqe = loop_sqe(base->loop);

	r->op.done = raw_done;
	io_uring_prep_fsync(sqe, o->buffered_fd, IORING_FSYNC_DATASYNC);
	loop_bind(sqe, &r->op);
}

static void raw_close(struct disk_out *base)
{
	struct raw_out *o = container_of(base, struct raw_out, base);

	if (o->direct_fd >= 0)
		close(o->direct_fd);
	close(o->buffered_fd);
	free(o);
}

static const struct disk_out_ops raw_ops = {raw_write, raw_zero, raw_sync, raw_close};

int disk_out_raw(struct disk_out **out, struct loop *l, const char *path, struct err *e)
{
	struct raw_out *o;
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, errno, "cannot open %s for writing", path);
	o = xcalloc(1, sizeof(*o));
	o->base.ops = &raw_ops;
	o->base.loop = l;
	o->buffered_fd = fd;
	o->direct_fd = open(path, O_RDWR | O_CLOEXEC | O_DIRECT);
	*out = &o->base;
	return 0;
}

/* ---- NBD export ---- */

struct nbd_out {
	struct disk_out base;
	struct nbd *nbd;
};

static void nbd_out_done(struct nbd_req *n, int res)
{
	struct disk_req *r = container_of(n, struct disk_req, nbd);

	r->done(r, res);
}

static void nbd_out_write(struct disk_out *base, struct disk_req *r)
{
	r->nbd.done = nbd_out_done;
	nbd_write(container_of(base, struct nbd_out, base)->nbd, &r->nbd, r->buf, r->bytes, r->offset);
}

static void nbd_out_zero(struct disk_out *base, struct disk_req *r)
{
	r->nbd.done = nbd_out_done;
	nbd_zero(container_of(base, struct nbd_out, base)->nbd, &r->nbd, r->offset, r->bytes);
}

static void nbd_out_sync(struct disk_out *base, struct disk_req *r)
{
	r->nbd.done = nbd_out_done;
	nbd_flush(container_of(base, struct nbd_out, base)->nbd, &r->nbd);
}

static void nbd_out_close(struct disk_out *base)
{
	struct nbd_out *o = container_of(base, struct nbd_out, base);

	nbd_close(o->nbd);
	free(o);
}

static const struct disk_out_ops nbd_ops = {nbd_out_write, nbd_out_zero, nbd_out_sync, nbd_out_close};

int disk_out_nbd(struct disk_out **out, struct loop *l, const char *socket, const char *export_name, struct err *e)
{
	struct nbd_out *o = xcalloc(1, sizeof(*o));
	int r;

	o->base.ops = &nbd_ops;
	o->base.loop = l;
	r = nbd_open(&o->nbd, l, socket, export_name, NULL, NBD_TIMEOUT_MS, e);
	if (r) {
		free(o);
		return r;
	}
	*out = &o->base;
	return 0;
}

/* ---- both ---- */

static void prepare(struct disk_out *o, struct disk_req *r, const uint8_t *buf, uint32_t bytes, uint64_t offset)
{
	r->out = o;
	r->buf = buf;
	r->bytes = bytes;
	r->offset = offset;
	r->written = 0;
}

void disk_out_write(struct disk_out *o, struct disk_req *r, const uint8_t *buf, uint32_t bytes, uint64_t offset)
{
	prepare(o, r, buf, bytes, offset);
	o->ops->write(o, r);
}

void disk_out_zero(struct disk_out *o, struct disk_req *r, uint64_t offset, uint32_t bytes)
{
	prepare(o, r, NULL, bytes, offset);
	o->ops->zero(o, r);
}

void disk_out_sync(struct disk_out *o, struct disk_req *r)
{
	prepare(o, r, NULL, 0, 0);
	o->ops->sync(o, r);
}

void disk_out_close(struct disk_out *o)
{
	if (o)
		o->ops->close(o);
}
