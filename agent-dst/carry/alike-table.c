/* alike-table.c: see alike-table.h. */
#include "alike-table.h"
#include "object.h"
#include "util.h"

#include <errno.h>
#include <stdlib.h>

#define FIRST_ROOM 4096

struct alike_table {
	struct alike_block *block;
	uint32_t count, room, found;
	uint32_t *bucket; /* the first of each: its number, and one; 0: none. NULL: it is not sealed */
	uint32_t mask;
};

struct alike_table *alike_table_new(void)
{
	return xcalloc(1, sizeof(struct alike_table));
}

void alike_table_free(struct alike_table *t)
{
	if (!t)
		return;
	FREE_ALL(t->block, t->bucket, t);
}

static bool is_behind_the_last(const struct alike_table *t, uint32_t object, uint64_t block)
{
	const struct alike_block *last = t->count ? &t->block[t->count - 1] : NULL;

	return !last || object > last->object || (object == last->object && block > last->block);
}

int alike_table_add(struct alike_table *t, uint32_t object, uint64_t block, struct hash128 hash)
{
	if (t->bucket || block > UINT32_MAX || !is_behind_the_last(t, object, block))
		return -EPROTO;
	if (t->count == ALIKE_BLOCKS_MAX)
		return -ENOSPC;
	if (t->count == t->room) {
		t->room = t->room ? MIN(2 * t->room, ALIKE_BLOCKS_MAX) : FIRST_ROOM;
		t->block = xrealloc(t->block, t->room * sizeof(*t->block));
	}
	t->block[t->count++] = (struct alike_block){.hash = hash, .object = object, .block = (uint32_t)block};
	return 0;
}

/* The last first, so that of what is the same the first is taken first: neighbours are written with one request. */
void alike_table_seal(struct alike_table *t)
{
	uint32_t size = 1, i;

	while (size < t->count)
		size *= 2;
	t->mask = size - 1;
	t->bucket = xcalloc(size, sizeof(*t->bucket));
	for (i = t->count; i > 0; i--) {
		uint32_t *head = &t->bucket[t->block[i - 1].hash.lo & t->mask];

		t->block[i - 1].next = *head;
		*head = i;
	}
}

const struct alike_block *alike_table_take(struct alike_table *t, struct hash128 hash)
{
	uint32_t *at = &t->bucket[hash.lo & t->mask];
	struct alike_block *b;

	while (*at && !hash_equal(t->block[*at - 1].hash, hash))
		at = &t->block[*at - 1].next;
	if (!*at)
		return NULL;
	b = &t->block[*at - 1];
	*at = b->next; /* out of the bucket: a block that is there a million times is passed by once */
	b->found = true;
	t->found++;
	return b;
}

uint64_t alike_table_wanted(const struct alike_table *t)
{
	return t->count;
}

uint64_t alike_table_found(const struct alike_table *t)
{
	return t->found;
}

const struct alike_block *alike_table_at(const struct alike_table *t, uint64_t i)
{
	return &t->block[i];
}
