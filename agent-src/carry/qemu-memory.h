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

#define MEMORY_PIECE_PAGES 64 /* that are read at once: what the L2 holds */

struct qemu_memory {
	pid_t pid;
	int pagemap_fd;
};

/* -errno: it is not to be seen. qemu_memory_close() in any case. */
int qemu_memory_open(struct qemu_memory *m, pid_t pid, struct err *e);
void qemu_memory_close(struct qemu_memory *m);
/* Which of the pages from that address on are in memory, and which were and are on a swap device; swapped: NULL ok. */
int qemu_memory_present(const struct qemu_memory *m, uint64_t host, unsigned pages, bool out[MEMORY_PIECE_PAGES],
			bool swapped[MEMORY_PIECE_PAGES], struct err *e);
/* Those that are wanted, each to its place in to; what cannot be read is wanted no more. -errno: it may not be read, or QEMU has ended. */
int qemu_memory_read(const struct qemu_memory *m, uint64_t host, unsigned pages, bool wanted[MEMORY_PIECE_PAGES], uint8_t *to,
		     struct err *e);

#endif
