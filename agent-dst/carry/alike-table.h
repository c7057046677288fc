/*
 * alike-table.h: the blocks of arriving disks that are wanted from other images here, by the hash of their contents. Pure, bounded
 * (ALIKE_BLOCKS_MAX), and of one thread at a time: first blocks are added, in the order of their disks, then images are looked through.
 */
#ifndef VMFERRY_ALIKE_TABLE_H
#define VMFERRY_ALIKE_TABLE_H

#include "digest.h"

struct alike_block {
	struct hash128 hash;
	uint32_t object;
	uint32_t block; /* number of the block, in units of 1 << ALIKE_SHIFT bytes */
	uint32_t next;	/* number of the next block in its bucket, plus one; 0: none */
	bool found;
};

struct alike_table;

struct alike_table *alike_table_new(void);
void alike_table_free(struct alike_table *t);
/* Adds a block, which must come after all earlier ones by object and number: else -EPROTO. -ENOSPC: the table is full, and the block is not
 * wanted. */
int alike_table_add(struct alike_table *t, uint32_t object, uint64_t block, struct hash128 hash);
/* Ends adding; blocks can be looked up from now on. */
void alike_table_seal(struct alike_table *t);
/* Takes a block with that hash that was not found before, and marks it as found; NULL: there is none (any more). */
const struct alike_block *alike_table_take(struct alike_table *t, struct hash128 hash);
/* Blocks in it, and those among them that were found. */
uint64_t alike_table_wanted(const struct alike_table *t);
uint64_t alike_table_found(const struct alike_table *t);
/* Block number i, in the order in which they were added. */
const struct alike_block *alike_table_at(const struct alike_table *t, uint64_t i);

#endif
