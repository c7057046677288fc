/* place-cost.c: see place-cost.h. */
#include "place-cost.h"
#include "digest.h"
#include "object.h"
#include "util.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#define PLACED_BYTES (64 * MIB) /* what was lent to nobody for a while costs the most, and that is most of a guest's */
#define PLACED_NS    150000000ULL
#define HUGE_BYTES   (2 * MIB)
#define PIECE_BYTES  (256 * KIB) /* as one DATA has */

/* As ram-place.c does it with QEMU's, which is the same to the kernel. */
static void place(const uint8_t *piece, uint8_t *to)
{
	struct iovec local = {(void *)piece, PIECE_BYTES}, remote = {to, PIECE_BYTES};
	volatile uint64_t hash; /* whom nobody asks */
	struct digest_key key = {{0}};
	uint64_t page;

	if (process_vm_writev(getpid(), &local, 1, &remote, 1, 0) != (ssize_t)PIECE_BYTES)
		memcpy(to, piece, PIECE_BYTES);
	for (page = 0; page < PIECE_BYTES; page += PAGE_BYTES)
		hash = hash_content(&key, piece + page, PAGE_BYTES).lo;
	(void)hash;
}

double place_cost_ns(void)
{
	uint8_t *map = mmap(NULL, PLACED_BYTES + HUGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *new, *piece;
	uint64_t until = now_ns() + PLACED_NS, since, at;

	if (map == MAP_FAILED)
		return 0;
	new = map + (-(uintptr_t)map & (HUGE_BYTES - 1));
	madvise(new, PLACED_BYTES, MADV_HUGEPAGE); /* as QEMU does, where that is allowed */
	piece = xmalloc(PIECE_BYTES);
	memset(piece, 0x5a, PIECE_BYTES);
	since = thread_cpu_ns();
	for (at = 0; at < PLACED_BYTES && now_ns() < until; at += PIECE_BYTES)
		place(piece, new + at);
	since = thread_cpu_ns() - since;
	munmap(map, PLACED_BYTES + HUGE_BYTES);
	free(piece);
	return at ? (double)since / (double)at : 0;
}
