/*
 * ram-find.h: where a QEMU has its guest's memory, without its monitor: by the sizes of its blocks and what its process has mapped.
 */
#ifndef VMFERRY_RAM_FIND_H
#define VMFERRY_RAM_FIND_H

#include "ram-blocks.h"

#include <sys/types.h>

/*
 * Fills host of each of these blocks that is found for certain, and leaves it 0 in the others: QEMU keeps a guest's memory from its children (MADV_DONTFORK),
 * which nothing else of its process is, so a block is the one such mapping of its size, if no other block has that size. 0, or -errno: its mappings cannot be
 * read.
 */
int ram_find(pid_t pid, struct ram_block_place *blocks, size_t count, struct err *e);

#endif
