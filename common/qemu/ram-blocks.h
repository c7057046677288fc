/*
 * ram-blocks.h: where a QEMU has its guest's memory, as its monitor tells.
 */
#ifndef VMFERRY_RAM_BLOCKS_H
#define VMFERRY_RAM_BLOCKS_H

#include "err.h"
#include "qmp.h"

#include <stddef.h>
#include <stdint.h>

#define RAM_BLOCKS_MAX 4096

struct ram_block_place {
	char name[256]; /* name of the block in the migration stream */
	uint64_t used_bytes, max_bytes;
	uint64_t offset; /* among all blocks, as QEMU numbers their bytes */
	uint64_t host;	 /* address in QEMU's own memory */
};

/*
 * malloc'ed, in QEMU's order. `info ramblock` (QEMU 10) tells all; QEMU 7.2 has no addresses there: then only pc.ram is found, by
 * gpa2hva, and its sizes are UINT64_MAX. *count may be 0.
 */
int ram_blocks_ask(struct qmp *q, struct ram_block_place **out, size_t *count, struct err *e);
/* Lists the blocks of ram_blocks_ask() with their sizes, which every QEMU tells; host is 0 where it tells no addresses. */
int ram_blocks_list(struct qmp *q, struct ram_block_place **out, size_t *count, struct err *e);

#endif
