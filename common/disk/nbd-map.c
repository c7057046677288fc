/* nbd-map.c: builds the map of an export from several answers: nbd_map() of nbd.h. */
#include "nbd.h"
#include "util.h"

#include <errno.h>

#define MAP_MS 30000 /* time for one answer of block status */

struct map {
	struct nbd_req req;
	unsigned ctx;
	bool over;
	int res;
	struct nbd_extent *extent;
	size_t count, room;
	uint64_t upto; /* the map is complete so far */
};

static void map_done(struct nbd_req *r, int res)
{
	struct map *m = container_of(r, struct map, req);

	m->over = true;
	if (!m->res)
		m->res = res;
}

static bool map_grow(struct map *m)
{
	size_t room = m->room ? m->room * 2 : 256;
	struct nbd_extent *p;

	if (m->count < m->room)
		return true;
	p = m->count < NBD_MAX_EXTENTS ? realloc(m->extent, room * sizeof(*p)) : NULL;
	if (!p)
		return false;
	m->extent = p;
	m->room = room;
	return true;
}

static void map_extent(void *arg, unsigned ctx, uint64_t offset, uint64_t length, uint32_t flags)
{
	struct map *m = arg;
	struct nbd_extent *last = m->count ? &m->extent[m->count - 1] : NULL;

	if (ctx != m->ctx || m->res)
		return;
	m->upto = offset + length;
	if (last && last->flags == flags) {
		last->length += length;
		return;
	}
	if (!map_grow(m)) {
		m->res = -ENOMEM;
		return;
	}
	m->extent[m->count++] = (struct nbd_extent){offset, length, flags};
}

int nbd_map(struct nbd *n, struct loop *l, unsigned ctx, uint64_t from, uint64_t end, struct nbd_extent **extents, size_t *count,
	    struct err *e)
{
	uint64_t until;
	struct map *m;
	int r;

	if (ctx >= nbd_info(n)->contexts)
		return err_set(e, EINVAL, "the NBD connection has no meta context %u", ctx);
	m = xcalloc(1, sizeof(*m));
	m->ctx = ctx;
	m->upto = from;
	m->req.done = map_done;
	while (m->upto < end && !m->res) {
		m->over = false;
		nbd_block_status(n, &m->req, m->upto, (uint32_t)MIN(end - m->upto, NBD_MAX_SPAN), map_extent, m);
		until = now_ns() + MAP_MS * 1000000ULL;
		while (!m->over) {
			if (now_ns() > until) /* a hung server: the request ends with the connection */
				nbd_drop(n);
			if (loop_step(l, 1000, e) < 0)
				return -e->code; /* m is still the request's: leaked with the broken ring */
		}
	}
	r = m->res;
	if (r < 0) {
		free(m->extent);
		if (nbd_error(n))
			r = err_set(e, -r, "cannot get the NBD export's map: %s", nbd_error(n)->msg);
		else
			r = err_sys(e, -r, "cannot get the NBD export's map at %llu", (unsigned long long)m->upto);
	} else {
		*extents = m->extent;
		*count = m->count;
	}
	free(m);
	return r;
}
