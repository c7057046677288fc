/* disk-io.c: see disk-io.h. The code that all kinds of disk share. */
#include "disk-io.h"
#include "util.h"

#include <errno.h>

int disk_io_open(struct disk_io **out, struct loop *l, const struct disk_at *at, struct err *e)
{
	return at->export_name ? disk_io_open_nbd(out, l, at, e) : disk_io_open_raw(out, l, at, e);
}

/* ---- maps ---- */

int disk_map_add(struct disk_map *m, uint64_t length, enum disk_content content, bool selected, struct err *e)
{
	struct disk_extent *last = m->count ? &m->extent[m->count - 1] : NULL;

	if (last && last->content == content && last->selected == selected) {
		last->length += length;
		return 0;
	}
	if (m->count == DISK_EXTENTS_MAX)
		return err_set(e, ENOMEM, "more than %u extents", DISK_EXTENTS_MAX);
	if ((m->count & (m->count - 1)) == 0)
		m->extent = xrealloc(m->extent, MAX(m->count * 2, 16) * sizeof(*m->extent));
	last = m->count ? &m->extent[m->count - 1] : NULL;
	m->extent[m->count++] = (struct disk_extent){last ? last->offset + last->length : 0, length, content, selected};
	return 0;
}

void disk_map_free(struct disk_map *m)
{
	free(m->extent);
	*m = (struct disk_map){NULL, 0};
}

int disk_io_map(struct disk_io *d, struct disk_map *m, struct err *e)
{
	int r;

	*m = (struct disk_map){NULL, 0};
	r = d->ops->map(d, m, e);
	if (r)
		disk_map_free(m);
	return r;
}

/* ---- requests ---- */

const uint8_t disk_zeros[DISK_FILL_MAX] __attribute__((aligned(DISK_ALIGN)));

static void fill(struct disk_io *d, struct disk_req *r, const void *buf, uint32_t bytes, uint64_t offset)
{
	r->io = d;
	r->buf = (uint8_t *)(uintptr_t)buf;
	r->bytes = bytes;
	r->offset = offset;
	r->moved = 0;
	r->reads = false;
}

void disk_io_read(struct disk_io *d, struct disk_req *r, void *buf, uint32_t bytes, uint64_t offset)
{
	fill(d, r, buf, bytes, offset);
	r->reads = true;
	d->ops->read(d, r);
}

void disk_io_write(struct disk_io *d, struct disk_req *r, const void *buf, uint32_t bytes, uint64_t offset)
{
	fill(d, r, buf, bytes, offset);
	d->ops->write(d, r);
}

void disk_io_zero(struct disk_io *d, struct disk_req *r, uint64_t offset, uint32_t bytes)
{
	fill(d, r, NULL, bytes, offset);
	d->ops->zero(d, r);
}

void disk_io_fill(struct disk_io *d, struct disk_req *r, uint64_t offset, uint32_t bytes)
{
	fill(d, r, disk_zeros, bytes, offset);
	d->ops->fill(d, r);
}

int disk_io_share(struct disk_io *to, struct disk_io *from, uint64_t offset, uint32_t bytes)
{
	if (!to->caps.can_share || to->ops != from->ops)
		return -EOPNOTSUPP;
	return to->ops->share(to, from, offset, bytes);
}

void disk_io_sync(struct disk_io *d, struct disk_req *r)
{
	fill(d, r, NULL, 0, 0);
	d->ops->sync(d, r);
}

const struct err *disk_io_error(const struct disk_io *d)
{
	return d->ops->error(d);
}

void disk_io_close(struct disk_io *d)
{
	if (d)
		d->ops->close(d);
}
