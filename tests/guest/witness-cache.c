/* Disk content in the page cache: at start the first disk is read through it, up to so many MiB
 * of what no load writes: the blocks outside of the windows (witness-disk.c), from the first on.
 * A hash of each page is kept. `verify` reads them again the same way: what is still in memory is
 * checked there, what the kernel has dropped is read from the disk again. */
#include "witness.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { CHUNK_PAGES = 256 };

static struct {
	pthread_mutex_t lock;
	int fd;
	uint64_t pages;
	uint64_t *hash;
	uint64_t *buffer;
} cache = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Reads some pages that lie one after another on the disk, from this one on; returns how many. */
static uint64_t pages_read(uint64_t first)
{
	uint64_t end = first + 1, block = disk_unused_block(first);
	ssize_t bytes, got;

	while (end < cache.pages && end < first + CHUNK_PAGES && disk_unused_block(end) == block + end - first)
		end++;
	bytes = (ssize_t)((end - first) * PAGE_BYTES);
	got = pread(cache.fd, cache.buffer, (size_t)bytes, (off_t)(block * PAGE_BYTES));
	if (got == bytes)
		return end - first;
	tally_block("cached block %" PRIu64 "+%" PRIu64 ": read: %s", block, end - first, strerror(got < 0 ? errno : EIO));
	return 0;
}

/* What was found becomes what is expected, so that each finding is counted once. */
static void page_check(uint64_t page, const uint64_t *found)
{
	uint64_t hash = tag_hash(found);
	char text[TEXT_BYTES];

	if (hash == cache.hash[page])
		return;
	tag_describe(found, NULL, text);
	tally_block("cached block %" PRIu64 " is not what it was: %s", disk_unused_block(page), text);
	cache.hash[page] = hash;
}

void cache_open(const struct options *options)
{
	uint64_t page = 0, got;

	cache.pages = options->cache_mb * 256;
	if (cache.pages == 0)
		return;
	if (cache.pages > disk_unused_blocks())
		give_up("cache_mb=%" PRIu64 ": the first disk has no more than %" PRIu64 " MiB outside of the windows, see disk_mb",
			options->cache_mb, disk_unused_blocks() / 256);
	cache.fd = disk_open_cached();
	cache.hash = calloc(cache.pages, sizeof *cache.hash);
	cache.buffer = aligned_alloc(PAGE_BYTES, (size_t)CHUNK_PAGES * PAGE_BYTES);
	if (!cache.hash || !cache.buffer)
		give_up("no memory for the hashes of the page cache");
	for (; page < cache.pages; page += got) {
		got = pages_read(page);
		if (got == 0)
			give_up("the first disk cannot be read");
		for (uint64_t i = 0; i < got; i++)
			cache.hash[page + i] = tag_hash(cache.buffer + i * PAGE_WORDS);
	}
}

uint64_t cache_verify(void)
{
	uint64_t page = 0, got = 1;

	pthread_mutex_lock(&cache.lock);
	for (; page < cache.pages && got > 0; page += got) {
		got = pages_read(page);
		for (uint64_t i = 0; i < got; i++)
			page_check(page + i, cache.buffer + i * PAGE_WORDS);
	}
	pthread_mutex_unlock(&cache.lock);
	return page;
}

static bool page_is_present(uint64_t page)
{
	void *at = mmap(NULL, PAGE_BYTES, PROT_READ, MAP_SHARED, cache.fd, (off_t)(disk_unused_block(page) * PAGE_BYTES));
	unsigned char present = 0;

	if (at == MAP_FAILED)
		return false;
	if (mincore(at, PAGE_BYTES, &present) != 0)
		present = 0;
	munmap(at, PAGE_BYTES);
	return present & 1;
}

void cache_stats(uint64_t *pages, uint64_t *present)
{
	*pages = cache.pages;
	*present = 0;
	for (uint64_t page = 0; page < cache.pages; page++)
		*present += page_is_present(page);
}
