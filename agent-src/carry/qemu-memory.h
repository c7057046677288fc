/*
 * qemu-memory.h: reads a QEMU's memory from outside, page by page, without bringing anything in that is not there.
 */
#ifndef VMFERRY_QEMU_MEMORY_H
#define VMFERRY_QEMU_MEMORY_H

#include "err.h"
#include "object.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define MEMORY_PIECE_PAGES 64 /* read at once: what fits into the L2 cache */

struct qemu_memory {
	pid_t pid;
	int pagemap_fd;
};

/* -errno: the memory cannot be read. qemu_memory_close() in any case. */
int qemu_memory_open(struct qemu_memory *m, pid_t pid, struct err *e);
void qemu_memory_close(struct qemu_memory *m);
/* Sets which of the pages from that address on are in memory, and which were or are on a swap device; swapped: NULL ok. */
int qemu_memory_present(const struct qemu_memory *m, uint64_t host, unsigned pages, bool out[MEMORY_PIECE_PAGES],
			bool swapped[MEMORY_PIECE_PAGES], struct err *e);
/* Reads the wanted pages, each to its place in `to`; clears wanted for pages that cannot be read. -errno: reading is not permitted, or
 * QEMU has ended. */
int qemu_memory_read(const struct qemu_memory *m, uint64_t host, unsigned pages, bool wanted[MEMORY_PIECE_PAGES], uint8_t *to,
		     struct err *e);

#endif
