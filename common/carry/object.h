/*
 * object.h: what a move carries, as both agents number it.
 *
 * Ids are given by the source: disks from 1, RAM blocks from OBJECT_RAM_BASE in the order of QEMU's own block
 * list, streams from OBJECT_STREAM_BASE. Pages and disk blocks have fixed data channels, so that order per place is
 * order per channel, and per-page tables need no locks.
 */
#ifndef VMFERRY_OBJECT_H
#define VMFERRY_OBJECT_H

#include "digest.h"
#include "messages.h"
#include "util.h"

#define OBJECT_DISK_BASE   1
#define OBJECT_DISK_MAX	   255
#define OBJECT_RAM_BASE	   256
#define OBJECT_RAM_MAX	   4096
#define OBJECT_STREAM_BASE 65536
#define OBJECT_STREAM_MAX  64
#define CHANNELS_MAX	   16
#define CHANNELS_USUAL_MAX 8U
#define CHANNELS_LEAST	   2U
#define MULTIFD_MAX	   (CHANNELS_MAX - 2) /* two channels remain for the main stream and, in opaque mode, the disks */

#define PAGE_SHIFT   12
#define PAGE_BYTES   4096U
#define DISK_SHIFT   9
#define STREAM_SHIFT 0
/* 2 MiB: what stays together on one channel. */
#define PLACE_SHIFT 21
/* 64 KiB of a disk: what an old copy of it is compared by. */
#define HAVE_SHIFT 16
/* 4 KiB: what disks of guests that are alike are compared by. File systems put blocks anywhere, and pages of different files side by
 * side. */
#define ALIKE_SHIFT 12
/* Blocks of all disks of a guest that are looked for in other images, at most: 28 GiB, by 256 MiB of memory. */
#define ALIKE_BLOCKS_MAX (7U << 20)
#define ALIKE_MS_MAX	 (3600 * 1000)

static inline bool object_is_disk(uint32_t id)
{
	return id >= OBJECT_DISK_BASE && id <= OBJECT_DISK_MAX;
}

static inline bool object_is_ram(uint32_t id)
{
	return id >= OBJECT_RAM_BASE && id < OBJECT_RAM_BASE + OBJECT_RAM_MAX;
}

static inline bool object_is_stream(uint32_t id)
{
	return id >= OBJECT_STREAM_BASE && id < OBJECT_STREAM_BASE + OBJECT_STREAM_MAX;
}

/* The data channel (0-based) of a place. Streams have their own: stream k travels on channel k mod count. */
static inline unsigned place_channel(uint32_t object, uint64_t offset, unsigned count)
{
	uint64_t h = ((uint64_t)object << 40 | offset >> PLACE_SHIFT) * 0x9E3779B97F4A7C15ULL;

	return (unsigned)((h >> 32) % count);
}

/* The number of data channels that keep that many processors busy. The thread that each has at either end does nearly all the work: it
 * hashes and compresses, or unpacks and places. docs/bench.md has what more and fewer cost. */
static inline unsigned channels_for(unsigned processors)
{
	return MIN(MAX(processors, CHANNELS_LEAST), CHANNELS_USUAL_MAX);
}

/* The per-page hashes of a RAM block: 16 bytes a page, zero for a page never carried. */
struct page_table {
	uint64_t pages;
	struct hash128 *hash;
};

/* Sets a page's hash and keeps the sum. Returns false when it was that already. */
static inline bool page_table_set(struct page_table *t, struct hash128 *sum, uint64_t page, struct hash128 h)
{
	struct hash128 *slot = &t->hash[page];

	if (hash_equal(*slot, h))
		return false;
	hash_sub(sum, *slot);
	hash_add(sum, h);
	*slot = h;
	return true;
}

#endif
