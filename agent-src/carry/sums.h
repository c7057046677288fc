/*
 * sums.h: what one data channel has carried, as its DELTA, ROUND_END and END tell it: digests (digest.h), how much in all and in
 * the round, and which pages. Pure. Its mirror at the destination is in data-receive.c (RAM, streams) and disk-receive.c.
 */
#ifndef VMFERRY_SUMS_H
#define VMFERRY_SUMS_H

#include "encode.h"
#include "object.h"
#include "seeds.h"
#include "unit-set.h"
#include "xxh.h"

struct block_sum {
	struct hash128 digest; /* digest of all pages as they were last carried */
	struct unit_set round; /* carried in this round */
	uint64_t units;	       /* carried in all */
};

struct disk_sum {
	struct hash128 digest; /* digest of all writes */
	uint64_t units, round_units;
};

struct stream_sum {
	XXH3_state_t *state; /* NULL: nothing has been carried */
	uint64_t bytes;
};

struct sums {
	const struct digest_key *key;
	struct hash128 zero_content;
	struct page_table *table; /* tables of the whole move, one for each block; this channel's pages are nobody else's */
	struct block_sum *block;
	unsigned blocks; /* 0 before sums_begin_ram() */
	struct disk_sum disk[OBJECT_DISK_MAX + 1];
	struct stream_sum stream[OBJECT_STREAM_MAX];
};

/* key is borrowed. */
void sums_init(struct sums *s, const struct digest_key *key);
void sums_fini(struct sums *s);
/* Takes the tables of RAM, borrowed, before the first page, and again when there are more blocks: the earlier blocks stay as they are. */
void sums_begin_ram(struct sums *s, struct page_table *table, unsigned blocks);

/* False: the page is as it was when it was carried last, and does not count again. */
bool sums_add_page(struct sums *s, uint32_t object, const struct send_part *part);
/* Was it ever carried; and then, last as zeros? */
bool sums_page_was_carried(const struct sums *s, uint32_t object, uint64_t offset);
bool sums_page_is_zero(const struct sums *s, uint32_t object, uint64_t offset);
/* A page that travels as a place of a disk's content; once. It belongs to no round. */
void sums_add_seed(struct sums *s, const struct seed *seed);
/* Returns the hash of its contents. */
struct hash128 sums_add_disk(struct sums *s, uint32_t object, uint32_t round, const struct send_part *part);
/* Gives the part its offset: it is what comes next. */
void sums_add_stream(struct sums *s, uint32_t object, struct send_part *part);

/* Fills in units and digest of this object. */
void sums_end(const struct sums *s, uint32_t object, struct msg_end *m);

#endif
