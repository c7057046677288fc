/* disk-plan.c: see disk-plan.h. */
#include "disk-plan.h"
#include "util.h"

void disk_plan_broadcast(const struct round_senders *to, uint16_t type, const struct writer *w)
{
	for (unsigned i = 0; i < to->count; i++)
		sender_put(to->senders[i], send_mark_new(type, w->start, writer_len(w)));
}

void disk_plan_announce(const struct disk_round *d, const struct round_senders *to)
{
	uint8_t buf[MSG_STR_MAX + 64];
	struct writer w = writer_of(buf, sizeof(buf));
	struct msg_round_begin begin = {.group = d->object, .number = d->number};

	if (!d->number) {
		struct msg_object m = {.id = d->object,
				       .kind = OBJECT_DISK,
				       .unit_shift = DISK_SHIFT,
				       .size = d->size,
				       .name = slice_of(d->name)};

		msg_object_encode(&w, &m);
		disk_plan_broadcast(to, MSG_OBJECT, &w);
		w = writer_of(buf, sizeof(buf));
	}
	msg_round_begin_encode(&w, &begin);
	disk_plan_broadcast(to, MSG_ROUND_BEGIN, &w);
}

void disk_plan_end(const struct disk_round *d, const struct round_senders *to)
{
	for (unsigned i = 0; i < to->count; i++) {
		struct send_item *it = send_mark_new(0, NULL, 0);

		it->mark = MARK_DISK_ROUND_END;
		it->object = d->object;
		it->number = d->number;
		sender_put(to->senders[i], it);
	}
}

struct delta {
	uint8_t runs[4096];
	struct writer w;
	uint64_t at;
};

/* The receivers of the pieces into which a round's extents are cut. */
struct pieces {
	const struct disk_round *d;
	const struct round_senders *to;
	struct delta *deltas; /* deltas of all channels, built side by side */
};

static void delta_send(const struct pieces *p, unsigned ch, bool final)
{
	struct delta *k = &p->deltas[ch];
	uint8_t buf[sizeof(k->runs) + 64];
	struct writer w = writer_of(buf, sizeof(buf));
	struct msg_delta m = {.object = p->d->object, .number = p->d->number, .final = final, .runs = {k->runs, writer_len(&k->w)}};

	if (m.runs.n) {
		msg_delta_encode(&w, &m);
		sender_put(p->to->senders[ch], send_mark_new(MSG_DELTA, buf, writer_len(&w)));
	}
	k->w = writer_of(k->runs, sizeof(k->runs));
	k->at = 0;
}

/* Calls fn for each piece of the extent that lies on one channel. */
static void split(struct pieces *p, const struct disk_extent *x,
		  void (*fn)(struct pieces *p, unsigned ch, uint64_t offset, uint64_t length))
{
	uint64_t offset = x->offset, length = x->length;

	while (length) {
		uint64_t k = MIN(length, (1ULL << PLACE_SHIFT) - (offset & ((1ULL << PLACE_SHIFT) - 1)));

		fn(p, place_channel(p->d->object, offset, p->to->count), offset, k);
		offset += k;
		length -= k;
	}
}

static void delta_piece(struct pieces *p, unsigned ch, uint64_t offset, uint64_t length)
{
	struct delta *k = &p->deltas[ch];

	if (!runs_put(&k->w, &k->at, offset >> DISK_SHIFT, length >> DISK_SHIFT)) {
		delta_send(p, ch, false);
		runs_put(&k->w, &k->at, offset >> DISK_SHIFT, length >> DISK_SHIFT);
	}
}

static void hole_piece(struct pieces *p, unsigned ch, uint64_t offset, uint64_t length)
{
	struct send_item *it = send_item_new(SEND_HOLE, p->d->object, 1);

	it->number = p->d->number;
	it->n = 1;
	it->u.part[0] = (struct send_part){offset, NULL, (uint32_t)length};
	sender_put(p->to->senders[ch], it);
}

/* A hole is told where something may be there already: after the bulk round, whose file is new as a rule, or above the rest of a chain. */
static bool is_covered(const struct disk_round *d, const struct disk_extent *x)
{
	return x->selected && (x->content == DISK_DATA || d->at.select || d->fills);
}

static bool is_whole(const struct disk_round *d, const struct disk_extent *x)
{
	return !d->fills || (x->offset % d->fills == 0 && (x->length % d->fills == 0 || x->offset + x->length == d->size));
}

bool disk_plan_reads(const struct disk_round *d, const struct disk_extent *x)
{
	return x->selected && (x->content == DISK_DATA || !is_whole(d, x));
}

static void put_extent(struct disk_map *m, const struct disk_extent *like, uint64_t from, uint64_t to)
{
	if ((m->count & (m->count - 1)) == 0)
		m->extent = xrealloc(m->extent, MAX(m->count * 2, 16) * sizeof(*m->extent));
	m->extent[m->count++] = (struct disk_extent){from, to - from, like->content, like->selected};
}

void disk_plan_cut(struct disk_round *d)
{
	struct disk_map m = {NULL, 0};

	if (!d->fills)
		return;
	for (size_t i = 0; i < d->work.map.count; i++) {
		const struct disk_extent *x = &d->work.map.extent[i];
		uint64_t at = x->offset, end = at + x->length;
		uint64_t from = (at + d->fills - 1) / d->fills * d->fills, to = end == d->size ? end : end / d->fills * d->fills;

		if (x->content != DISK_DATA && from < to) {
			if (at < from)
				put_extent(&m, x, at, from);
			put_extent(&m, x, from, to);
			at = to;
		}
		if (at < end)
			put_extent(&m, x, at, end);
	}
	disk_map_free(&d->work.map);
	d->work.map = m;
}

static void send_deltas(struct pieces *p, struct disk_round *d)
{
	p->deltas = xcalloc(p->to->count, sizeof(*p->deltas));
	for (unsigned ch = 0; ch < p->to->count; ch++)
		p->deltas[ch].w = writer_of(p->deltas[ch].runs, sizeof(p->deltas[ch].runs));
	for (size_t i = 0; i < d->work.map.count; i++)
		if (is_covered(d, &d->work.map.extent[i])) {
			d->dirty_bytes += d->work.map.extent[i].length;
			split(p, &d->work.map.extent[i], delta_piece);
		}
	for (unsigned ch = 0; ch < p->to->count; ch++)
		delta_send(p, ch, true);
	free(p->deltas);
}

uint64_t disk_plan_tell(struct disk_round *d, const struct round_senders *to)
{
	struct pieces p = {.d = d, .to = to};
	uint64_t left = 0;

	send_deltas(&p, d);
	for (size_t i = 0; i < d->work.map.count; i++) {
		const struct disk_extent *x = &d->work.map.extent[i];

		if (disk_plan_reads(d, x))
			left += x->length;
		else if (is_covered(d, x))
			split(&p, x, hole_piece);
	}
	return left;
}
