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

#define PLACED_BYTES (512 * MIB)
#define PLACED_NS    150000000ULL
#define HUGE_BYTES   (2 * MIB)
#define PIECE_BYTES  (256 * KIB) /* size of one DATA */
#define PIECES	     (PLACED_BYTES / PIECE_BYTES)

/* Places a piece as ram-place.c does in QEMU's memory; in our own memory it costs the kernel the same. */
static void place(const uint8_t *piece, uint8_t *to)
{
	struct iovec local = {(void *)piece, PIECE_BYTES}, remote = {to, PIECE_BYTES};
	volatile uint64_t hash; /* never read */
	struct digest_key key = {{0}};

	if (process_vm_writev(getpid(), &local, 1, &remote, 1, 0) != (ssize_t)PIECE_BYTES)
		memcpy(to, piece, PIECE_BYTES);
	for (uint64_t page = 0; page < PIECE_BYTES; page += PAGE_BYTES)
		hash = hash_content(&key, piece + page, PAGE_BYTES).lo;
	(void)hash;
}

/* Piece by piece until the time is up: what all up to each took. Returns how many. */
static size_t place_pieces(uint8_t *to, size_t pieces, uint64_t took[PIECES])
{
	uint64_t until = now_ns() + PLACED_NS, since = thread_cpu_ns();
	AUTO_FREE uint8_t *piece = xmalloc(PIECE_BYTES);
	size_t n = 0;

	memset(piece, 0x5a, PIECE_BYTES);
	while (n < pieces && now_ns() < until) {
		place(piece, to + n * PIECE_BYTES);
		took[n++] = thread_cpu_ns() - since;
	}
	return n;
}

double place_cost_of(const uint64_t *took, size_t n, double all)
{
	size_t last = (n + 3) / 4;
	double more = (double)(took[n - 1] - (n > last ? took[n - 1 - last] : 0)) / (double)last;

	return ((double)took[n - 1] + (all - (double)n) * more) / all;
}

double place_cost_ns(uint64_t bytes)
{
	uint8_t *map = mmap(NULL, PLACED_BYTES + HUGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *new;
	double pieces = MAX((double)bytes / PIECE_BYTES, 1);
	uint64_t took[PIECES];
	size_t n;

	if (map == MAP_FAILED)
		return 0;
	new = map + (-(uintptr_t)map & (HUGE_BYTES - 1));
	madvise(new, PLACED_BYTES, MADV_HUGEPAGE); /* QEMU does the same, where that is allowed */
	n = place_pieces(new, (size_t)MIN(pieces, (double)PIECES), took);
	munmap(map, PLACED_BYTES + HUGE_BYTES);
	return n ? place_cost_of(took, n, pieces) / PIECE_BYTES : 0;
}
