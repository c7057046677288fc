/* Disk contents that no load writes: the blocks outside of the windows (witness-disk.c), from the first on. At start
 * they are read, and a hash of each is kept; `verify` reads them again the same way.
 *   cache_mb   of the first disk, through the page cache: what is still in memory is checked there, what the kernel has
 *              dropped is read from the disk again
 *   cache_rate pages of cache_mb are read again each second, at random: what is not in memory comes in, and other pages go
 *   still_mb   of each disk, past the page cache
 * Some of them are the pool that living contents are made of. */
#include "witness.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { CHUNK_PAGES = 256, POOL_PAGES = 4096, POOL_EVERY = 4, TICK_NS = 10000000 };

struct area {
	unsigned disk;
	int fd;
	uint64_t pages;
	uint64_t *hash;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all of this */
static uint64_t *buffer, cache_rate_s;
static struct area cache, still[MAX_DISKS];

/* Reads at most that many pages, which lie one after another on the disk, from this one on; returns how many. */
static uint64_t pages_read(const struct area *area, uint64_t first, uint64_t most)
{
	uint64_t end = first + 1, block = disk_unused_block(area->disk, first);
	ssize_t bytes, got;

	while (end < area->pages && end < first + most && disk_unused_block(area->disk, end) == block + end - first)
		end++;
	bytes = (ssize_t)((end - first) * PAGE_BYTES);
	got = pread(area->fd, buffer, (size_t)bytes, (off_t)(block * PAGE_BYTES));
	if (got == bytes)
		return end - first;
	tally_block("disk %u, block %" PRIu64 "+%" PRIu64 ": read: %s", area->disk, block, end - first, strerror(got < 0 ? errno : EIO));
	return 0;
}

/* The found contents become the expected ones, so that each finding is counted once. */
static void page_check(struct area *area, uint64_t page, const uint64_t *found)
{
	uint64_t hash = tag_hash(found);
	char text[TEXT_BYTES];

	if (hash == area->hash[page])
		return;
	tag_describe(found, NULL, text);
	tally_block("disk %u, block %" PRIu64 "%s is not what it was: %s", area->disk, disk_unused_block(area->disk, page),
		    area == &cache ? " in the page cache" : "", text);
	area->hash[page] = hash;
}

static uint64_t *own_pages(size_t pages)
{
	uint64_t *memory = aligned_alloc(PAGE_BYTES, pages * PAGE_BYTES);

	if (!memory)
		give_up("no memory for %zu pages", pages);
	return memory;
}

static void area_open(struct area *area, unsigned disk, int flags, uint64_t pages)
{
	uint64_t page = 0, got;

	*area = (struct area){.disk = disk, .fd = disk_reopen(disk, flags), .pages = pages};
	area->hash = calloc(pages, sizeof *area->hash);
	if (!buffer)
		buffer = own_pages(CHUNK_PAGES);
	if (!area->hash)
		give_up("no memory for the hashes of %" PRIu64 " blocks", pages);
	for (; page < pages; page += got) {
		got = pages_read(area, page, CHUNK_PAGES);
		if (got == 0)
			give_up("disk %u cannot be read", disk);
		for (uint64_t i = 0; i < got; i++)
			area->hash[page + i] = tag_hash(buffer + i * PAGE_WORDS);
	}
}

/* Every so manieth of the first disk's pages that are not zeros. */
void pool_open(const struct options *options)
{
	uint64_t *pages, count = 0, at = 0;
	ssize_t got = 1;
	int fd;

	if (options->content != CONTENT_LIVING)
		return;
	if (disks_count() == 0)
		give_up("content=living: there is no disk to take it from");
	pages = own_pages(POOL_PAGES);
	if (!buffer)
		buffer = own_pages(CHUNK_PAGES);
	fd = disk_reopen(0, O_RDONLY | O_DIRECT);
	while (count < POOL_PAGES && (got = pread(fd, buffer, CHUNK_PAGES * PAGE_BYTES, (off_t)at)) > 0) {
		for (ssize_t i = 0; i < got / PAGE_BYTES && count < POOL_PAGES; i += POOL_EVERY)
			if (!tag_is_zero(buffer + i * PAGE_WORDS))
				memcpy(pages + count++ * PAGE_WORDS, buffer + i * PAGE_WORDS, PAGE_BYTES);
		at += (uint64_t)got;
	}
	close(fd);
	if (got < 0 || count == 0)
		give_up("content=living: %s", got < 0 ? strerror(errno) : "there is nothing on the first disk");
	tag_take_pool(pages, count);
}

static void *cache_run(void *unused)
{
	uint64_t read_ns = monotonic_ns(), random = 0x9e3779b97f4a7c15U;

	for (;;) {
		uint64_t due = load.running ? pace_due(cache_rate_s, monotonic_ns(), &read_ns) : 0;

		while (due-- > 0) {
			uint64_t page = random_next(&random) % cache.pages;

			pthread_mutex_lock(&lock);
			if (pages_read(&cache, page, 1) == 1)
				page_check(&cache, page, buffer);
			pthread_mutex_unlock(&lock);
		}
		sleep_until_ns(monotonic_ns() + TICK_NS);
	}
	return unused;
}

void stills_start(void)
{
	if (cache.pages > 0 && cache_rate_s > 0)
		start_thread(cache_run, NULL);
}

void stills_open(const struct options *options)
{
	uint64_t wanted = options->still_mb * 256, most;

	for (unsigned disk = 0; wanted > 0 && disk < disks_count(); disk++) {
		most = disk_unused_blocks(disk);
		if (most > 0)
			area_open(&still[disk], disk, O_RDONLY | O_DIRECT, wanted < most ? wanted : most);
	}
	cache_rate_s = options->cache_rate_s;
	if (options->cache_mb == 0)
		return;
	most = disks_count() > 0 ? disk_unused_blocks(0) : 0;
	if (options->cache_mb * 256 > most)
		give_up("cache_mb=%" PRIu64 ": the first disk has no more than %" PRIu64 " MiB outside of the windows, see disk_mb",
			options->cache_mb, most / 256);
	area_open(&cache, 0, O_RDONLY, options->cache_mb * 256);
}

static uint64_t area_verify(struct area *area)
{
	uint64_t page = 0, got = 1;

	for (; page < area->pages && got > 0; page += got) {
		got = pages_read(area, page, CHUNK_PAGES);
		for (uint64_t i = 0; i < got; i++)
			page_check(area, page + i, buffer + i * PAGE_WORDS);
	}
	return page;
}

uint64_t stills_verify(void)
{
	uint64_t pages;

	pthread_mutex_lock(&lock);
	pages = area_verify(&cache);
	for (unsigned disk = 0; disk < disks_count(); disk++)
		pages += area_verify(&still[disk]);
	pthread_mutex_unlock(&lock);
	return pages;
}

static bool page_is_present(uint64_t page)
{
	void *at = mmap(NULL, PAGE_BYTES, PROT_READ, MAP_SHARED, cache.fd, (off_t)(disk_unused_block(0, page) * PAGE_BYTES));
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
