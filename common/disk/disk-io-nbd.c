/* disk-io-nbd.c: a disk behind an NBD server, QEMU's as a rule: disk-io.h over nbd.h. */
#include "disk-io.h"
#include "util.h"

#include <string.h>

#define NBD_TIMEOUT_MS 10000

enum { CTX_ALLOCATION, CTX_SELECT };

struct disk_nbd {
	struct disk_io base;
	struct nbd *nbd;
	/* the selection is queried over a connection of its own: the server would add the allocation of the whole disk to each answer */
	char *path, *export_name, *apart; /* NULL: nothing is selected */
	uint32_t most;			  /* values from 1 to this one are selected */
};

static struct disk_nbd *of(struct disk_io *d)
{
	return container_of(d, struct disk_nbd, base);
}

/* ---- the map: allocation, crossed with the selection ---- */

static enum disk_content content_of(uint32_t flags)
{
	if (!(flags & NBD_STATE_ZERO))
		return DISK_DATA; /* data, or a hole whose contents are unknown */
	return flags & NBD_STATE_HOLE ? DISK_HOLE : DISK_ZERO;
}

struct nbd_extents {
	struct nbd_extent *x;
	size_t count;
};

static bool is_data(const struct nbd_extent *x)
{
	return content_of(x->flags) == DISK_DATA;
}

/* Aligns extents to sectors: a raw file may end within one, and QEMU reports its rest, which reads as zeros, separately. */
static void align(struct nbd_extents *a)
{
	const uint64_t sector = DISK_SECTOR;

	for (size_t i = 1; i < a->count; i++) {
		struct nbd_extent *left = &a->x[i - 1], *right = &a->x[i];
		uint64_t end = right->offset + right->length, at = right->offset & ~(sector - 1);

		if (at != right->offset && (is_data(left) || !is_data(right)))
			at += sector;
		at = MAX(at, left->offset);
		left->length = at - left->offset;
		right->length = end > at ? end - at : 0;
		right->offset = at;
	}
}

static bool is_selected(const struct nbd_extent *s, uint32_t most)
{
	return s && s->flags >= 1 && s->flags <= most;
}

static int cross(struct disk_map *m, const struct nbd_extents *alloc, const struct nbd_extents *select, uint32_t most, struct err *e)
{
	size_t i, k = 0;
	int r = 0;

	for (i = 0; i < alloc->count; i++) {
		uint64_t at = alloc->x[i].offset, end = at + alloc->x[i].length;

		while (at < end && !r) {
			const struct nbd_extent *s;
			uint64_t stop = end;

			while (k < select->count && select->x[k].offset + select->x[k].length <= at)
				k++;
			s = k < select->count ? &select->x[k] : NULL;
			if (s)
				stop = MIN(end, s->offset + s->length);
			r = disk_map_add(m, stop - at, content_of(alloc->x[i].flags), is_selected(s, most), e);
			at = stop;
		}
	}
	return r;
}

static int map_both(struct disk_io *d, struct disk_map *m, struct err *e)
{
	struct nbd_extent everything = {0, d->caps.size, 1};
	struct nbd_extents alloc = {NULL, 0}, select = {&everything, 1};
	struct nbd *n = of(d)->nbd;
	int r = nbd_map(n, d->loop, CTX_ALLOCATION, 0, d->caps.size, &alloc.x, &alloc.count, e);

	align(&alloc);
	if (!r && d->caps.selects) {
		select = (struct nbd_extents){NULL, 0};
		r = nbd_map(n, d->loop, CTX_SELECT, 0, d->caps.size, &select.x, &select.count, e);
	}
	r = r ?: cross(m, &alloc, &select, of(d)->most, e);
	free(alloc.x);
	if (d->caps.selects)
		free(select.x);
	return r;
}

static int add_selected(struct disk_io *d, struct disk_map *m, const struct nbd_extent *x, struct err *e)
{
	struct nbd_extents alloc = {NULL, 0}, all = {(struct nbd_extent *)(uintptr_t)x, 1};
	int r = nbd_map(of(d)->nbd, d->loop, CTX_ALLOCATION, x->offset, x->offset + x->length, &alloc.x, &alloc.count, e);

	align(&alloc);
	r = r ?: cross(m, &alloc, &all, 1, e);
	free(alloc.x);
	return r;
}

/* Builds the map of a selection; the contents of unselected ranges do not matter. */
static int map_selected(struct disk_io *d, struct disk_map *m, struct err *e)
{
	const char *contexts[] = {of(d)->apart, NULL};
	struct nbd_extents select = {NULL, 0};
	struct nbd *n;
	int r = nbd_open(&n, d->loop, of(d)->path, of(d)->export_name, contexts, NBD_TIMEOUT_MS, e);

	if (r)
		return r;
	r = nbd_map(n, d->loop, 0, 0, d->caps.size, &select.x, &select.count, e);
	nbd_close(n);
	for (size_t i = 0; i < select.count && !r; i++)
		r = select.x[i].flags == 1 ? add_selected(d, m, &select.x[i], e) : disk_map_add(m, select.x[i].length, DISK_DATA, false, e);
	free(select.x);
	return r;
}

static int disk_nbd_map(struct disk_io *d, struct disk_map *m, struct err *e)
{
	if (!d->caps.can_map)
		return d->caps.size ? disk_map_add(m, d->caps.size, DISK_DATA, true, e) : 0;
	return of(d)->apart ? map_selected(d, m, e) : map_both(d, m, e);
}

/* ---- requests ---- */

static void on_done(struct nbd_req *n, int res)
{
	struct disk_req *r = container_of(n, struct disk_req, nbd);

	r->done(r, res);
}

static void disk_nbd_read(struct disk_io *d, struct disk_req *r)
{
	r->nbd.done = on_done;
	nbd_read(of(d)->nbd, &r->nbd, r->buf, r->bytes, r->offset);
}

static void disk_nbd_write(struct disk_io *d, struct disk_req *r)
{
	r->nbd.done = on_done;
	nbd_write(of(d)->nbd, &r->nbd, r->buf, r->bytes, r->offset);
}

static void disk_nbd_zero(struct disk_io *d, struct disk_req *r)
{
	r->nbd.done = on_done;
	nbd_zero(of(d)->nbd, &r->nbd, r->offset, r->bytes);
}

static void disk_nbd_sync(struct disk_io *d, struct disk_req *r)
{
	r->nbd.done = on_done;
	nbd_flush(of(d)->nbd, &r->nbd);
}

static const struct err *disk_nbd_error(const struct disk_io *d)
{
	return nbd_error(container_of(d, const struct disk_nbd, base)->nbd);
}

static void disk_nbd_close(struct disk_io *d)
{
	nbd_close(of(d)->nbd);
	free(of(d)->path);
	free(of(d)->export_name);
	free(of(d)->apart);
	free(of(d));
}

int disk_io_open_nbd(struct disk_io **out, struct loop *l, const struct disk_at *at, struct err *e)
{
	static const struct disk_io_ops ops = {
		.map = disk_nbd_map,
		.read = disk_nbd_read,
		.write = disk_nbd_write,
		.zero = disk_nbd_zero,
		.fill = disk_nbd_write,
		.sync = disk_nbd_sync,
		.error = disk_nbd_error,
		.close = disk_nbd_close,
	};
	bool apart = at->select && !strncmp(at->select, "qemu:dirty-bitmap:", 18);
	const char *contexts[] = {"base:allocation", apart ? NULL : at->select, NULL};
	const struct nbd_info *info;
	struct disk_nbd *d;
	struct nbd *n;
	int r;

	r = nbd_open(&n, l, at->path, at->export_name, at->writable ? NULL : contexts, NBD_TIMEOUT_MS, e);
	if (r)
		return r;
	if (!at->writable)
		nbd_set_read_only(n);
	info = nbd_info(n);
	d = xcalloc(1, sizeof(*d));
	d->nbd = n;
	d->most = MAX(at->depth, 1);
	d->base = (struct disk_io){&ops,
				   l,
				   {.size = info->size,
				    .align = info->min_block,
				    .max_request = info->max_block,
				    .read_only = info->read_only,
				    .can_punch = info->can_zero && !info->read_only,
				    .can_map = info->contexts > CTX_ALLOCATION,
				    .selects = apart || info->contexts > CTX_SELECT}};
	if (apart) {
		d->path = xstrdup(at->path);
		d->export_name = xstrdup(at->export_name);
		d->apart = xstrdup(at->select);
	}
	*out = &d->base;
	return 0;
}
