/* qcow2-end.c: see qcow2-end.h. The format: docs/interop/qcow2.txt of QEMU, "Cluster mapping". */
#include "qcow2-end.h"
#include "be.h"
#include "util.h"

#include <string.h>

#define HEAD_BYTES   104u
#define BITS_MIN     9u
#define BITS_MAX     21u
#define L1_BYTES_MAX (32u << 20)
#define OFFSET_MASK  0x00fffffffffffe00ULL
#define COMPRESSED   (1ULL << 62)
#define EXTENDED_L2  16u /* bit of the incompatible features: entries of 16 bytes */
#define PIECE	     65536u

struct image {
	qcow2_read_fn read;
	void *ctx;
	uint64_t size, end;
	unsigned bits;
	size_t entry_bytes;
};

/* The place where the last sector of that cluster's data begins: an entry has its first byte, and the number of further sectors. */
static uint64_t last_sector(const struct image *q, uint64_t entry)
{
	unsigned shift = 62 - (q->bits - 8);
	uint64_t at = entry & ((1ULL << shift) - 1), more = (entry & ~(3ULL << 62)) >> shift;

	return (at & ~511ULL) + more * 512;
}

static int read_table(struct image *q, uint64_t at, uint8_t *piece, struct err *e)
{
	size_t cluster = (size_t)1 << q->bits, done, n, i;
	int r = 0;

	if (at > q->size || cluster > q->size - at)
		return 0;
	for (done = 0; done < cluster && !r; done += n) {
		n = MIN(cluster - done, PIECE);
		r = q->read(q->ctx, piece, n, at + done, e);
		for (i = 0; i < n && !r; i += q->entry_bytes)
			if (be64(piece + i) & COMPRESSED)
				q->end = MAX(q->end, last_sector(q, be64(piece + i)));
	}
	return r;
}

int qcow2_compressed_end(qcow2_read_fn read, void *ctx, uint64_t size, uint64_t *end, struct err *e)
{
	struct image q = {.read = read, .ctx = ctx, .size = size, .entry_bytes = 8};
	AUTO_FREE uint8_t *l1 = NULL, *piece = xmalloc(PIECE);
	uint8_t head[HEAD_BYTES] = {0};
	uint64_t at, tables;
	size_t n, i;
	int r = read(ctx, head, (size_t)MIN(size, HEAD_BYTES), 0, e);

	*end = 0;
	if (r)
		return r;
	q.bits = be32(head + 20);
	n = (size_t)be32(head + 36) * 8;
	at = be64(head + 40);
	if (q.bits < BITS_MIN || q.bits > BITS_MAX || n > L1_BYTES_MAX || at > size || n > size - at)
		return 0;
	if (be32(head + 4) >= 3 && be64(head + 72) & EXTENDED_L2)
		q.entry_bytes = 16;
	l1 = xmalloc(n);
	r = n ? read(ctx, l1, n, at, e) : 0;
	tables = size >> q.bits; /* the file has no room for more tables: an image with more has one twice */
	for (i = 0; i < n && !r && tables; i += 8)
		if (be64(l1 + i) & OFFSET_MASK) {
			tables--;
			r = read_table(&q, be64(l1 + i) & OFFSET_MASK, piece, e);
		}
	*end = q.end;
	return r;
}
