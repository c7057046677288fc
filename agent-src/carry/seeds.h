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
#define SEED_BLOCK_MIN	   (16ULL * 1024 * 1024) /* smaller ones are not guest memory, or not worth it */
#define SEED_PAGES_MAX	   (UINT32_MAX - 1)	 /* pages of all blocks */
#define SEEDS_PER_PART_MAX 1024

/* A RAM block of the source QEMU. */
struct seed_block {
	char name[256];
	uint64_t bytes;
	uint64_t host; /* address in QEMU */
};

/* The content at `unit` (in pages of the part) is also that of this page of RAM. */
struct seed {
	uint32_t unit, object;
	uint64_t page;
	struct hash128 content;
};

struct seeds;
/* blocks: by object id from OBJECT_RAM_BASE on; copied. */
struct seeds *seeds_new(pid_t pid, const struct digest_key *key, const struct seed_block *blocks, unsigned count);
/* NULL ok. Frees the tables, too. */
void seeds_free(struct seeds *s);

/*
 * Reads all memory that is present, in any one thread: some 4 GB/s. Unreadable pages are left out. -EPERM, -EACCES, -ENOENT: memory cannot
 * be read, or is gone; -ECANCELED: seeds_stop() was called.
 */
int seeds_scan(struct seeds *s, struct err *e);
/* Ends the scan. Any thread. */
void seeds_stop(struct seeds *s);
/* Looks up a part of a disk, `bytes` at that offset, page by page; in the thread that scanned. Returns the number of seeds in out; none
 * is returned twice. 0 before the scan and after seeds_end(). */
unsigned seeds_find(struct seeds *s, uint64_t offset, const uint8_t *data, uint32_t bytes, struct seed out[SEEDS_PER_PART_MAX]);
/* Drops the index: no more seeds are looked for, and all that were found were sent. The page tables then hold only what was sent. */
void seeds_end(struct seeds *s);

/* True once the scan has succeeded. From then on the blocks are announced and the tables in use. In the thread that scanned, and in
 * others once it has told them. */
bool seeds_ready(const struct seeds *s);
const struct seed_block *seeds_blocks(const struct seeds *s, unsigned *count);
/* Page tables, one per block. */
struct page_table *seeds_tables(struct seeds *s);
/* Share of memory that was looked at: 0 to 1; also 1 after an error. Any thread. */
double seeds_scanned(const struct seeds *s);
/* Number of pages in the index. Any thread. */
uint64_t seeds_indexed(const struct seeds *s);

#endif
