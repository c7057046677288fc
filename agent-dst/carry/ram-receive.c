/*
 * ram-receive.c: pages as they arrive on one data channel: placed at once, a round at a time.
 */
#include "data-receive-private.h"
#include "util.h"

#include <errno.h>
#include <string.h>

int receive_block_open(struct receiver *r, const struct msg_object *m, const char *name, struct err *e)
{
	unsigned i = m->id - OBJECT_RAM_BASE;
	struct block *b;
	int k;

	if (!r->shared->ram)
		return err_set(e, EPROTO, "OBJECT of RAM block %s: the source announced RAM pages in an opaque move", name);
	if (i != r->ram.count || m->unit_shift != PAGE_SHIFT)
		return err_set(e, EPROTO,
			       "OBJECT of RAM block %s: it is number %u, in units of 2^%u bytes, where number %u, of 2^%d, is next", name,
			       i, m->unit_shift, r->ram.count, PAGE_SHIFT);
	r->ram.blocks = xrealloc(r->ram.blocks, (i + 1) * sizeof(*r->ram.blocks));
	b = &r->ram.blocks[i];
	memset(b, 0, sizeof(*b));
	k = ram_place_target(r->shared->ram, name, m->size, &b->target, e);
	if (k)
		return k;
	unit_set_init(&b->round, b->target->table.pages);
	r->ram.count++;
	return 0;
}

void receive_account(struct receiver *r, uint32_t object, uint64_t offset, struct hash128 content)
{
	struct block *b = &r->ram.blocks[object - OBJECT_RAM_BASE];
	uint64_t page = offset >> PAGE_SHIFT;

	page_table_set(&b->target->table, &b->sum, page, hash_place(&r->shared->key, content, object, 0, offset, PAGE_BYTES));
	b->units++;
}

static void account_page(struct receiver *r, struct block *b, uint32_t object, uint64_t offset, struct hash128 content)
{
	receive_account(r, object, offset, content);
	unit_set_add(&b->round, offset >> PAGE_SHIFT, 1);
}

static int place_zero(struct receiver *r, struct block *b, uint32_t object, const struct data_extent *x, struct err *e)
{
	uint64_t bytes = (uint64_t)x->units << PAGE_SHIFT, at;
	bool first = true;
	int k;

	for (at = x->offset; at < x->offset + bytes; at += PAGE_BYTES)
		if (!hash_equal(b->target->table.hash[at >> PAGE_SHIFT], (struct hash128){0, 0}))
			first = false;
	k = ram_place_zero(r->shared->ram, b->target, x->offset, bytes, first, e);
	for (at = x->offset; !k && at < x->offset + bytes; at += PAGE_BYTES)
		account_page(r, b, object, at, r->ram.zero_page);
	receive_count(&r->stats.zero_pages, x->units);
	return k;
}

int receive_ram_data(struct receiver *r, struct data *d, struct err *e)
{
	unsigned i = d->m.object - OBJECT_RAM_BASE;
	const uint8_t *raw, *at;
	struct block *b;
	int k = 0;

	if (i >= r->ram.count)
		return receive_refuse(r, "DATA", d->m.object, e, "a RAM block that was not announced (%u were)", r->ram.count);
	b = &r->ram.blocks[i];
	if (b->ended)
		return receive_refuse(r, "DATA", d->m.object, e, "it comes after its END");
	if (!r->ram.in_round)
		return receive_refuse(r, "DATA", d->m.object, e, "it belongs to no round");
	__atomic_store_n(&r->shared->ram_begun, true, __ATOMIC_RELAXED);
	k = receive_decode(r, d, b->target->bytes, PAGE_SHIFT, e);
	if (k)
		return k;
	if (d->m.codec == CODEC_ZERO) {
		cpu_stage_enter(CPU_PLACE); /* their hashes, too: they cost less than to tell them apart */
		for (i = 0; i < d->m.extents && !k; i++)
			k = place_zero(r, b, d->m.object, &d->x[i], e);
		return k;
	}
	if (d->m.codec == CODEC_HOLE || d->m.codec == CODEC_KEPT)
		return receive_refuse(r, "DATA", d->m.object, e, "a hole in RAM, or an old copy of it");
	raw = receive_contents(r, d, r->scratch, e);
	if (!raw)
		return -e->code;
	cpu_stage_enter_for(CPU_PLACE, d->m.raw_bytes);
	k = ram_place_write(r->shared->ram, b->target, d->x, d->m.extents, raw, e);
	cpu_stage_enter_for(CPU_HASH, d->m.raw_bytes);
	for (i = 0, at = raw; i < d->m.extents && !k; i++)
		for (uint32_t u = 0; u < d->x[i].units; u++, at += PAGE_BYTES)
			account_page(r, b, d->m.object, d->x[i].offset + (uint64_t)u * PAGE_BYTES,
				     hash_content(&r->shared->key, at, PAGE_BYTES));
	receive_count(&r->stats.pages, d->m.raw_bytes >> PAGE_SHIFT);
	return k;
}

int receive_ram_round_begin(struct receiver *r, const struct msg_round_begin *m, struct err *e)
{
	if (!r->shared->ram || r->complete)
		return err_set(e, EPROTO, "ROUND_BEGIN of RAM: round %u begins where no pages are to come", m->number);
	if (r->ram.in_round || m->number != r->ram.round + 1)
		return err_set(e, EPROTO, "ROUND_BEGIN of RAM: round %u begins, and the last was %u, which has %sended", m->number,
			       r->ram.round, r->ram.in_round ? "not " : "");
	(void)__atomic_load_n(&r->shared->seeded, __ATOMIC_ACQUIRE); /* the source knew that all seeds were here: so do we */
	r->ram.round = m->number;
	r->ram.in_round = true;
	return 0;
}

int receive_ram_delta(struct receiver *r, const struct msg_delta *m, struct err *e)
{
	const struct block *b = &r->ram.blocks[m->object - OBJECT_RAM_BASE];
	uint64_t in, out;

	if (!r->ram.in_round || m->number != r->ram.round)
		return receive_refuse(r, "DELTA", m->object, e, "it is of round %u, and %u is the last that began", m->number,
				      r->ram.round);
	if (unit_set_compare(&b->round, m->runs, &in, &out))
		return receive_refuse(r, "DELTA", m->object, e, "malformed runs (%zu bytes), or not of its %llu pages", m->runs.n,
				      (unsigned long long)b->round.units);
	if (out)
		return err_set(e, EBADMSG, "RAM round %u: %llu pages of the source's dirty delta did not arrive in block %s", m->number,
			       (unsigned long long)out, b->target->name);
	r->ram.delta_in += in;
	return 0;
}

int receive_ram_round_end(struct receiver *r, const struct msg_round_end *m, struct err *e)
{
	uint64_t units = 0;

	if (!r->ram.in_round || m->number != r->ram.round)
		return err_set(e, EPROTO, "ROUND_END of RAM: round %u ends, and %u is the last that began", m->number, r->ram.round);
	for (unsigned i = 0; i < r->ram.count; i++) {
		units += r->ram.blocks[i].round.count;
		unit_set_clear(&r->ram.blocks[i].round);
	}
	if (units != m->units || r->ram.delta_in != m->units)
		return err_set(e, EBADMSG, "RAM round %u: the source's dirty delta names %llu pages, %llu were sent, %llu were placed here",
			       m->number, (unsigned long long)r->ram.delta_in, (unsigned long long)m->units, (unsigned long long)units);
	r->ram.delta_in = 0;
	r->ram.in_round = false;
	receive_tell_round(r, RECEIVE_APPLIED, GROUP_RAM, m->number);
	return 0;
}

int receive_block_end(struct receiver *r, const struct msg_end *m, struct err *e)
{
	struct block *b = &r->ram.blocks[m->object - OBJECT_RAM_BASE];

	if (b->ended || r->ram.in_round)
		return receive_ended_before(r, m->object, e);
	b->ended = true;
	return receive_digest_equal(m, b->units, b->sum, b->target->name, e);
}
