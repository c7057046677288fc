/* Load and verification of RAM, as ../witness-ram.c does it: generations in a table with a complemented copy, and their sum; a page
 * is checked before it is overwritten. Each processor has a region of its own; the lock is for orders, which the first one
 * carries out for all. */
#include "tiny.h"

enum { LOCKED_PAGES = 64 };

struct region {
	volatile uint32_t lock;
	uint32_t first, pages, hot_pages, cursor;
	uint32_t last_tick, credit;
	uint64_t generation_sum, ops, random;
};

static uint64_t *memory;
static uint32_t *generations, *complements;
static struct region regions[MAX_CPUS];
static unsigned region_count;
static bool check_first;

static uint64_t *page_at(uint32_t page)
{
	return memory + (size_t)page * PAGE_WORDS;
}

static bool is_zeros(uint32_t generation)
{
	return generation % 4 == 3;
}

static bool is_compressible(uint32_t page)
{
	return page % 8 != 0;
}

static void page_write(struct region *region, uint32_t page, uint32_t generation)
{
	region->generation_sum += generation - generations[page];
	generations[page] = generation;
	complements[page] = ~generation;
	if (is_zeros(generation))
		memset(page_at(page), 0, PAGE_BYTES);
	else
		tag_fill(page_at(page), 0, page, generation, is_compressible(page));
}

static void page_check(struct region *region, uint32_t page)
{
	uint32_t generation = generations[page];
	char text[TEXT_BYTES];

	if (generation != ~complements[page]) {
		tally_page("page %u: table says generation %u, its copy %u", page, generation, ~complements[page]);
		page_write(region, page, generation + 1);
		return;
	}
	if (is_zeros(generation) ? tag_is_zero(page_at(page)) : tag_right(page_at(page), 0, page, generation, is_compressible(page)))
		return;
	tag_describe(page_at(page), text);
	tally_page("page %u generation %u: %s", page, generation, text);
	page_write(region, page, generation + 1);
}

static void sum_check(struct region *region)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < region->pages; i++)
		sum += generations[region->first + i];
	if (sum == region->generation_sum)
		return;
	tally_page("generations add up to %llu, not %llu", sum, region->generation_sum);
	region->generation_sum = sum;
}

static uint32_t page_pick(struct region *region)
{
	switch (load.pattern) {
	case PATTERN_SEQ:
		return region->first + region->cursor++ % region->pages;
	case PATTERN_HOT:
		return region->first + random_next(&region->random) % region->hot_pages;
	case PATTERN_RANDOM:
		break;
	}
	return region->first + random_next(&region->random) % region->pages;
}

static void dirty_one(struct region *region)
{
	uint32_t page = page_pick(region);

	if (check_first)
		page_check(region, page);
	page_write(region, page, generations[page] + 1);
	region->ops++;
}

/* At most for as long as a tick takes: a rate that is too high for the processor must not keep orders waiting. */
void ram_work(unsigned cpu)
{
	struct region *region = &regions[cpu];
	uint32_t due = pace_due(load.rate_pages_s, &region->last_tick, &region->credit);
	uint32_t share = due / region_count + (cpu < due % region_count), begun = ticks_now();

	while (share > 0 && ticks_now() - begun < 2) {
		lock_take(&region->lock);
		for (uint32_t i = 0; load.running && i < LOCKED_PAGES && share > 0; i++, share--)
			dirty_one(region);
		lock_leave(&region->lock);
		if (!load.running)
			return;
	}
}

void ram_open(const struct options *options, unsigned cpus)
{
	uint32_t pages = options->ram_mb * 256, hot = options->hot_mb * 256 / cpus;

	if (pages < cpus || options->ram_mb > 3072)
		give_up("ram_mb=%u is not possible", options->ram_mb);
	generations = pages_zeroed((pages * 4 + PAGE_BYTES - 1) / PAGE_BYTES);
	complements = pages_zeroed((pages * 4 + PAGE_BYTES - 1) / PAGE_BYTES);
	memory = pages_take(pages);
	check_first = options->check;
	region_count = cpus;
	for (unsigned cpu = 0; cpu < cpus; cpu++) {
		struct region *region = &regions[cpu];

		region->first = pages / cpus * cpu;
		region->pages = cpu + 1 < cpus ? pages / cpus : pages - region->first;
		region->hot_pages = hot > 0 && hot < region->pages ? hot : region->pages;
		region->random = UINT64_C(88172645463325252) + cpu;
		for (uint32_t i = 0; i < region->pages; i++)
			page_write(region, region->first + i, 0);
	}
}

uint32_t ram_verify(void)
{
	uint32_t checked = 0;

	for (unsigned cpu = 0; cpu < region_count; cpu++) {
		struct region *region = &regions[cpu];
		uint32_t page = 0;

		while (page < region->pages) {
			lock_take(&region->lock);
			if (page == 0)
				sum_check(region);
			for (uint32_t i = 0; i < LOCKED_PAGES && page < region->pages; i++)
				page_check(region, region->first + page++);
			lock_leave(&region->lock);
		}
		checked += page;
	}
	return checked;
}

void ram_corrupt(void)
{
	struct region *region = &regions[region_count - 1];

	lock_take(&region->lock);
	page_at(region->first + random_next(&region->random) % region->pages)[PAGE_WORDS / 3] ^= 0x10;
	lock_leave(&region->lock);
}

void ram_settle(void)
{
	for (unsigned cpu = 0; cpu < region_count; cpu++) {
		lock_take(&regions[cpu].lock);
		lock_leave(&regions[cpu].lock);
	}
}

void ram_stats(uint64_t *ops, uint64_t *generation_sum)
{
	*ops = *generation_sum = 0;
	for (unsigned cpu = 0; cpu < region_count; cpu++) {
		lock_take(&regions[cpu].lock);
		*ops += regions[cpu].ops;
		*generation_sum += regions[cpu].generation_sum;
		lock_leave(&regions[cpu].lock);
	}
}
