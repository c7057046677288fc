/* disk-scan.c: see disk-scan.h. */
#include "disk-scan.h"
#include "util.h"

#include <stdlib.h>

#define PIECES 8 /* read at once */

struct piece {
	struct disk_req req;
	struct disk_scan *scan;
	uint8_t *buf;
	uint64_t at;
	uint32_t bytes; /* 0: nothing is there to be read */
	int res;
};

struct disk_scan {
	struct loop *loop;
	struct piece piece[PIECES];
	unsigned in_flight;
	/* map of the disk at hand */
	struct disk_map map;
	size_t extent;
};

static void piece_done(struct disk_req *req, int res)
{
	struct piece *p = container_of(req, struct piece, req);

	p->res = res;
	p->scan->in_flight--;
}

static bool has_contents(struct disk_scan *s, uint64_t from, uint64_t to)
{
	const struct disk_map *m = &s->map;

	while (s->extent < m->count && m->extent[s->extent].offset + m->extent[s->extent].length <= from)
		s->extent++;
	for (size_t i = s->extent; i < m->count && m->extent[i].offset < to; i++)
		if (m->extent[i].content == DISK_DATA)
			return true;
	return false;
}

/* The offset of the piece within a step. It varies, as the wanted contents may lie at regular distances, too. */
static uint64_t within_step(uint64_t at, uint64_t step)
{
	return (at * 0x9E3779B97F4A7C15ULL >> 33) % (step / SCAN_PIECE) * SCAN_PIECE;
}

static int read_window(struct disk_scan *s, struct disk_io *d, uint64_t from, uint64_t step, uint64_t end, struct err *e)
{
	for (unsigned i = 0; i < PIECES; i++) {
		struct piece *p = &s->piece[i];

		p->at = from + i * step;
		p->at += within_step(p->at, step);
		p->res = 0;
		p->bytes = p->at < end ? (uint32_t)MIN(SCAN_PIECE, end - p->at) : 0;
		if (p->bytes && !has_contents(s, p->at, p->at + p->bytes))
			p->bytes = 0;
		if (!p->bytes)
			continue;
		s->in_flight++;
		disk_io_read(d, &p->req, p->buf, p->bytes, p->at);
	}
	while (s->in_flight)
		if (loop_step(s->loop, 1000, e))
			return -e->code;
	return 0;
}

static int hand_over(const struct disk_scan *s, const struct disk_scan_for *f, struct err *e)
{
	int r = 0;

	for (unsigned i = 0; i < PIECES && !r; i++) {
		const struct piece *p = &s->piece[i];

		if (p->res)
			return err_sys(e, -p->res, "cannot read it at byte %llu", (unsigned long long)p->at);
		if (p->bytes)
			r = f->piece(f->ctx, p->at, p->buf, p->bytes, e);
	}
	return r;
}

int disk_scan_run(struct disk_scan *s, struct disk_io *d, uint64_t bytes, uint64_t step, const struct disk_scan_for *f, struct err *e)
{
	uint64_t from, end = MIN(bytes, d->caps.size);
	int r = disk_io_map(d, &s->map, e);

	s->extent = 0;
	for (from = 0; !r && from < end; from += PIECES * step) {
		r = f->before(f->ctx, e) ?: read_window(s, d, from, step, end, e) ?: hand_over(s, f, e);
	}
	disk_map_free(&s->map);
	return MIN(r, 0);
}

struct disk_scan *disk_scan_new(struct loop *l)
{
	struct disk_scan *s = xcalloc(1, sizeof(*s));

	s->loop = l;
	for (unsigned i = 0; i < PIECES; i++) {
		s->piece[i].req.done = piece_done;
		s->piece[i].scan = s;
		s->piece[i].buf = aligned_alloc(DISK_ALIGN, SCAN_PIECE);
		if (!s->piece[i].buf)
			abort();
	}
	return s;
}

void disk_scan_free(struct disk_scan *s)
{
	for (unsigned i = 0; s && i < PIECES; i++)
		free(s->piece[i].buf);
	free(s);
}
