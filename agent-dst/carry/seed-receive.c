/*
 * seed-receive.c: pages of memory whose content came with a disk's (DATA_ALSO). Each is placed once, before any page of QEMU's own
 * migration, which later verifies them all.
 */
#include "data-receive-private.h"

#include <errno.h>

int receive_seeds_decode(struct receiver *r, const uint8_t *p, size_t n, struct slice *data, struct err *e)
{
	struct data *d = &r->data;
	struct msg_data_also m;
	struct reader rd;

	if (msg_data_also_decode(&m, p, n) || !m.seeds || m.seeds > SEEDS_MAX || m.rest.n < (size_t)m.seeds * SEED_BYTES)
		return err_set(e, EPROTO, "malformed DATA_ALSO (%zu bytes; 1 to %d places are allowed)", n, SEEDS_MAX);
	rd = reader_of(m.rest.p, m.rest.n);
	for (unsigned i = 0; i < m.seeds; i++) {
		struct seed_extent *x = &d->seed[i];

		x->unit = read_u16(&rd);
		x->run = read_u16(&rd);
		x->object = read_u32(&rd);
		x->page = read_u32(&rd);
	}
	d->seeds = m.seeds;
	*data = read_bytes(&rd, reader_left(&rd));
	return 0;
}

/* A RAM block that was announced, pages in it that nothing was placed at, and content that there is. */
static int check(const struct receiver *r, const struct brought *b, const struct seed_extent *x, struct err *e)
{
	const struct page_table *t;

	if (!object_is_ram(x->object) || x->object - OBJECT_RAM_BASE >= r->ram.count)
		return receive_refuse(r, "DATA_ALSO", b->object, e, "a place in object %u, which is no RAM block that was announced",
				      x->object);
	t = &r->ram.blocks[x->object - OBJECT_RAM_BASE].target->table;
	if (!x->run || (x->unit + (uint64_t)x->run) << PAGE_SHIFT > b->bytes || x->page + (uint64_t)x->run > t->pages)
		return receive_refuse(
			r, "DATA_ALSO", x->object, e,
			"%u pages from page %u on, with the contents from page %u on of %u bytes: outside of one or the other", x->run,
			x->page, x->unit, b->bytes);
	for (uint32_t i = 0; i < x->run; i++)
		if (!hash_equal(t->hash[x->page + i], (struct hash128){0, 0}))
			return receive_refuse(r, "DATA_ALSO", x->object, e, "page %u was placed before", x->page + i);
	return 0;
}

static int place(struct receiver *r, const struct seed_extent *x, const uint8_t *content, struct err *e)
{
	struct data_extent to = {.offset = (uint64_t)x->page << PAGE_SHIFT, .units = x->run};
	int k;

	cpu_stage_enter_for(CPU_PLACE, (size_t)x->run << PAGE_SHIFT);
	k = ram_place_write(r->shared->ram, r->ram.blocks[x->object - OBJECT_RAM_BASE].target, &to, 1, content, e);
	cpu_stage_enter_for(CPU_HASH, (size_t)x->run << PAGE_SHIFT);
	for (uint32_t i = 0; !k && i < x->run; i++, content += PAGE_BYTES)
		receive_account(r, x->object, to.offset + (uint64_t)i * PAGE_BYTES, hash_content(&r->shared->key, content, PAGE_BYTES));
	return k;
}

int receive_seeds(struct receiver *r, const struct brought *b, const uint8_t *raw, struct err *e)
{
	int k = 0;

	if (b->seeds && (r->disk[b->object].round || __atomic_load_n(&r->shared->ram_begun, __ATOMIC_RELAXED)))
		return receive_refuse(r, "DATA_ALSO", b->object, e, "it comes after the first round of disks, or beside QEMU's own pages");
	for (unsigned i = 0; i < b->seeds && !k; i++) {
		k = check(r, b, &b->seed[i], e) ?: place(r, &b->seed[i], raw + ((size_t)b->seed[i].unit << PAGE_SHIFT), e);
		receive_count(&r->stats.pages, b->seed[i].run);
	}
	if (b->seeds)
		__atomic_fetch_add(&r->shared->seeded, 1, __ATOMIC_RELEASE);
	return k;
}
