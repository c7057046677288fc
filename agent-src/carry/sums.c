/* sums.c: see sums.h. */
#include "sums.h"
#include "util.h"

#include <string.h>

void sums_init(struct sums *s, const struct digest_key *key)
{
	static const uint8_t zeros[PAGE_BYTES];

	*s = (struct sums){.key = key, .zero_content = hash_content(key, zeros, PAGE_BYTES)};
}

void sums_fini(struct sums *s)
{
	for (unsigned i = 0; i < s->blocks; i++)
		unit_set_fini(&s->block[i].round);
	for (unsigned i = 0; i < OBJECT_STREAM_MAX; i++)
		XXH3_freeState(s->stream[i].state);
	free(s->block);
}

void sums_begin_ram(struct sums *s, struct page_table *table, unsigned blocks)
{
	s->table = table;
	if (s->blocks >= blocks)
		return;
	s->block = xrealloc(s->block, blocks * sizeof(*s->block));
	memset(s->block + s->blocks, 0, (blocks - s->blocks) * sizeof(*s->block));
	for (unsigned i = s->blocks; i < blocks; i++)
		unit_set_init(&s->block[i].round, table[i].pages);
	s->blocks = blocks;
}

void sums_add_seed(struct sums *s, const struct seed *seed)
{
	struct block_sum *b = &s->block[seed->object - OBJECT_RAM_BASE];
	struct hash128 h = hash_place(s->key, seed->content, seed->object, 0, seed->page << PAGE_SHIFT, PAGE_BYTES);

	s->table[seed->object - OBJECT_RAM_BASE].hash[seed->page] = h;
	hash_add(&b->digest, h);
	b->units++;
}

bool sums_add_page(struct sums *s, uint32_t object, const struct send_part *part)
{
	struct block_sum *b = &s->block[object - OBJECT_RAM_BASE];
	uint64_t page = part->offset >> PAGE_SHIFT;
	struct hash128 h = part->data ? hash_content(s->key, part->data, PAGE_BYTES) : s->zero_content;

	h = hash_place(s->key, h, object, 0, part->offset, PAGE_BYTES);
	if (!page_table_set(&s->table[object - OBJECT_RAM_BASE], &b->digest, page, h))
		return false;
	unit_set_add(&b->round, page, 1);
	b->units++;
	return true;
}

static struct hash128 carried_last(const struct sums *s, uint32_t object, uint64_t offset)
{
	return s->table[object - OBJECT_RAM_BASE].hash[offset >> PAGE_SHIFT];
}

bool sums_page_was_carried(const struct sums *s, uint32_t object, uint64_t offset)
{
	return !hash_equal(carried_last(s, object, offset), (struct hash128){0, 0});
}

bool sums_page_is_zero(const struct sums *s, uint32_t object, uint64_t offset)
{
	return hash_equal(carried_last(s, object, offset), hash_place(s->key, s->zero_content, object, 0, offset, PAGE_BYTES));
}

struct hash128 sums_add_disk(struct sums *s, uint32_t object, uint32_t round, const struct send_part *part)
{
	struct disk_sum *d = &s->disk[object];
	struct hash128 h = {0, 0};

	if (part->data)
		h = hash_content(s->key, part->data, part->bytes);
	hash_add(&d->digest, hash_place(s->key, h, object, round, part->offset, part->bytes));
	d->units += part->bytes >> DISK_SHIFT;
	d->round_units += part->bytes >> DISK_SHIFT;
	return h;
}

void sums_add_stream(struct sums *s, uint32_t object, struct send_part *part)
{
	struct stream_sum *k = &s->stream[object - OBJECT_STREAM_BASE];

	if (!k->state) {
		k->state = XXH3_createState();
		XXH3_128bits_reset_withSecret(k->state, s->key->secret, DIGEST_SECRET_BYTES);
	}
	XXH3_128bits_update(k->state, part->data, part->bytes);
	part->offset = k->bytes;
	k->bytes += part->bytes;
}

static struct hash128 stream_digest(const struct sums *s, const struct stream_sum *k)
{
	XXH128_hash_t x;

	if (!k->state)
		return hash_content(s->key, "", 0);
	x = XXH3_128bits_digest(k->state);
	return (struct hash128){x.low64, x.high64};
}

void sums_end(const struct sums *s, uint32_t object, struct msg_end *m)
{
	if (object_is_ram(object)) {
		const struct block_sum *b = &s->block[object - OBJECT_RAM_BASE];

		m->units = b->units;
		hash_bytes(b->digest, m->digest);
	} else if (object_is_disk(object)) {
		m->units = s->disk[object].units;
		hash_bytes(s->disk[object].digest, m->digest);
	} else {
		const struct stream_sum *k = &s->stream[object - OBJECT_STREAM_BASE];

		m->units = k->bytes;
		hash_bytes(stream_digest(s, k), m->digest);
	}
}
