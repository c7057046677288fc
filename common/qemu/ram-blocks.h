/*
 * ram-blocks.h: where a QEMU has its guest's memory, as its monitor tells, and what its process has mapped.
 */
#ifndef VMFERRY_RAM_BLOCKS_H
#define VMFERRY_RAM_BLOCKS_H

#include "err.h"
#include "qmp.h"
#include "util.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define RAM_BLOCKS_MAX 4096

struct ram_block_place {
	char name[256]; /* name of the block in the migration stream */
	uint64_t used_bytes, max_bytes;
	uint64_t offset; /* among all blocks, as QEMU numbers their bytes */
	uint64_t host;	 /* address in QEMU's own memory */
	bool is_found;	 /* QEMU did not tell the address: it was looked for */
};

#define RAM_BLOCKS_SMALL (20 * MIB) /* bytes of blocks without an address that a move can do without: video memory and ROMs at most */

/* Lists the blocks with their sizes, malloc'ed, in QEMU's order (`info ramblock`). host is 0 where QEMU tells no addresses, as 7.2. *count may be 0. */
int ram_blocks_list(struct qmp *q, struct ram_block_place **out, size_t *count, struct err *e);
/* Lists them likewise, and looks in the process for what QEMU does not tell; host is 0 of a block that is not found for certain. */
int ram_blocks_ask(struct qmp *q, pid_t pid, struct ram_block_place **out, size_t *count, struct err *e);
/* Moves the blocks that have an address to the front. The number of them. */
size_t ram_blocks_placed(struct ram_block_place *blocks, size_t count);
/* The first block without an address by which such blocks are more than RAM_BLOCKS_SMALL; NULL: they are not. */
const struct ram_block_place *ram_blocks_missing(const struct ram_block_place *blocks, size_t count);
/* True if QEMU may resize the block when it loads the guest. */
bool ram_block_may_be_resized(const char *name);

#endif
