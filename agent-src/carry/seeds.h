/*
 * seeds.h: finds pages of the guest's memory in what is read of its disks, so that such content is sent once, with all its places.
 *
 * Before the disks are copied all memory is read, without disturbing the guest, and hashed: an index of contents. Each block of a disk
 * that is read is then looked up there; a page with that content is a *seed*: it travels as a place of the block's DATA (DATA_ALSO of
 * PROTOCOL.md). What the guest wrote meanwhile does not matter: all memory that means anything comes through QEMU's migration later, and what a seed got
 * wrong differs there. Only content is named whose own hash was taken from what is sent.
 *
 * Memory: 16 bytes a page, which are those of the page tables that RAM needs anyway, and at most 10 bytes a page while there is an
 * index.
 */
#ifndef VMFERRY_SEEDS_H
#define VMFERRY_SEEDS_H

#include "object.h"

#include "err.h"

#include <sys/types.h>

#define SEED_BLOCKS_MAX	   8
#define SEED_BLOCK_MIN	   (16ULL * 1024 * 1024) /* smaller ones are no guest memory, or not worth it */
#define SEED_PAGES_MAX	   (UINT32_MAX - 1)	 /* of all blocks */
#define SEEDS_PER_PART_MAX 1024

/* A RAM block of the source QEMU. */
struct seed_block {
	char name[256];
	uint64_t bytes;
	uint64_t host; /* address in QEMU */
};

/* Content `unit` (in pages of the part) is at this page of RAM, too. */
struct seed {
	uint32_t unit, object;
	uint64_t page;
	struct hash128 content;
};

struct seeds;
/* blocks: by object id from OBJECT_RAM_BASE on; copied. */
struct seeds *seeds_new(pid_t pid, const struct digest_key *key, const struct seed_block *blocks, unsigned count);
/* NULL ok. The tables go, too. */
void seeds_free(struct seeds *s);

/*
 * Reads all memory that is present, in any one thread: some 4 GB/s. -EPERM, -EACCES, -ENOENT: it may not be read, or is not there; -ECANCELED:
 * seeds_stop() was called. What cannot be read here and there is left out.
 */
int seeds_scan(struct seeds *s, struct err *e);
/* From any thread. */
void seeds_stop(struct seeds *s);
/* In the thread that scanned: looks a part of a disk up, of `bytes` at that offset, page by page. Returns how many seeds there are in
 * out; none is given out twice. 0 before the scan and after seeds_end(). */
unsigned seeds_find(struct seeds *s, uint64_t offset, const uint8_t *data, uint32_t bytes, struct seed out[SEEDS_PER_PART_MAX]);
/* No more are looked for, and all that were found have been carried: the index goes. The page tables then hold what was carried, and
 * nothing of other pages. */
void seeds_end(struct seeds *s);

/* Has the scan ended well? From then on the blocks are announced, and the tables in use. In the thread that scanned, and in others
 * once it has told them. */
bool seeds_ready(const struct seeds *s);
const struct seed_block *seeds_blocks(const struct seeds *s, unsigned *count);
/* One a block. */
struct page_table *seeds_tables(struct seeds *s);
/* How much of memory was looked at: 0 to 1; 1 when there is no more to look at, also after an error. Any thread. */
double seeds_scanned(const struct seeds *s);
/* Pages in the index. Any thread. */
uint64_t seeds_indexed(const struct seeds *s);

#endif
