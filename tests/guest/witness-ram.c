/* Load and verification of RAM. Each page's generation stands in a table with a complemented
 * copy, and the generations' sum in a word of its own, so that a stale table is seen too.
 * A page is checked before it is overwritten: load never hides a loss. A page found wrong is
 * counted once and written anew. */
#include "witness.h"

#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

enum { TICK_NS = 10000000, SLICE_LIMIT_NS = 20000000, BREATH_NS = 1000000, VERIFY_PAGES = 64 };

static struct {
	pthread_mutex_t lock;
	uint64_t *memory;
	uint32_t *generation, *complement;
	uint64_t pages, hot_pages, generation_sum;
	uint64_t cursor, scan, random;
	uint64_t bg_check_pages_s;
	enum content content;
	bool check_first;
} ram = {.lock = PTHREAD_MUTEX_INITIALIZER, .random = 88172645463325252U};

static uint64_t *page_at(uint64_t page)
{
	return ram.memory + page * PAGE_WORDS;
}

static bool is_zeros(uint32_t generation)
{
	return (ram.content == CONTENT_MIXED && generation % 4 == 3) || (ram.content == CONTENT_ZEROS && generation == 0);
}

static void page_fill(uint64_t *to, uint64_t page, uint32_t generation)
{
	if (is_zeros(generation))
		memset(to, 0, PAGE_BYTES);
	else
		tag_fill(to, 0, (uint32_t)page, generation, content_fill(ram.content, page % 8 != 0));
}

static void page_write(uint64_t page, uint32_t generation)
{
	ram.generation_sum += generation - ram.generation[page];
	ram.generation[page] = generation;
	ram.complement[page] = ~generation;
	page_fill(page_at(page), page, generation);
}

static void page_check(uint64_t page)
{
	static uint64_t expected[PAGE_WORDS];
	uint32_t generation = ram.generation[page];
	char text[TEXT_BYTES];

	if (generation != ~ram.complement[page]) {
		tally_page("page %" PRIu64 ": table says generation %u, its copy %u", page, generation, ~ram.complement[page]);
		page_write(page, generation + 1);
		return;
	}
	page_fill(expected, page, generation);
	if (memcmp(page_at(page), expected, PAGE_BYTES) == 0)
		return;
	tag_describe(page_at(page), expected, text);
	tally_page("page %" PRIu64 " generation %u: %s", page, generation, text);
	page_write(page, generation + 1);
}

static void sum_check(void)
{
	uint64_t sum = 0;

	for (uint64_t page = 0; page < ram.pages; page++)
		sum += ram.generation[page];
	if (sum == ram.generation_sum)
		return;
	tally_page("generations add up to %" PRIu64 ", not %" PRIu64, sum, ram.generation_sum);
	ram.generation_sum = sum;
}

static uint64_t page_pick(void)
{
	switch ((enum pattern)load.pattern) {
	case PATTERN_SEQ:
		return ram.cursor++ % ram.pages;
	case PATTERN_HOT:
		return random_next(&ram.random) % ram.hot_pages;
	case PATTERN_RANDOM:
		break;
	}
	return random_next(&ram.random) % ram.pages;
}

static void dirty_one(void)
{
	uint64_t page = page_pick();

	if (ram.check_first)
		page_check(page);
	page_write(page, ram.generation[page] + 1);
	done.ram_ops++;
}

static void dirty_slice(uint64_t due, uint64_t limit_ns)
{
	while (due-- > 0) {
		dirty_one();
		if (due % 16 == 0 && monotonic_ns() > limit_ns)
			return;
	}
}

static void check_slice(uint64_t due, uint64_t limit_ns)
{
	while (due-- > 0 && monotonic_ns() < limit_ns)
		page_check(ram.scan++ % ram.pages);
}

static void *ram_run(void *unused)
{
	uint64_t dirtied_ns = monotonic_ns(), checked_ns = dirtied_ns, next_ns = dirtied_ns;

	for (;;) {
		uint64_t now = monotonic_ns();
		uint64_t due = pace_due(load.rate_pages_s, now, &dirtied_ns);
		uint64_t checks = pace_due(ram.bg_check_pages_s, now, &checked_ns);

		pthread_mutex_lock(&ram.lock);
		if (load.running) {
			dirty_slice(due, now + SLICE_LIMIT_NS);
			check_slice(checks, now + SLICE_LIMIT_NS);
		}
		pthread_mutex_unlock(&ram.lock);
		now = monotonic_ns();
		next_ns += TICK_NS;
		if (next_ns < now + BREATH_NS)
			next_ns = now + BREATH_NS;
		sleep_until_ns(next_ns);
	}
	return unused;
}

static void *own_memory(uint64_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (memory == MAP_FAILED)
		give_up("the guest has no %" PRIu64 " bytes of RAM to spare", bytes);
	return memory;
}

void ram_open(const struct options *options)
{
	ram.pages = options->ram_mb * 256;
	ram.hot_pages = options->hot_mb * 256;
	if (ram.hot_pages == 0 || ram.hot_pages > ram.pages)
		ram.hot_pages = ram.pages;
	ram.content = options->content;
	ram.check_first = options->check;
	ram.bg_check_pages_s = options->bg_check_pages_s;
	if (ram.pages == 0)
		give_up("ram_mb must be at least 1");
	ram.memory = own_memory(ram.pages * PAGE_BYTES);
	ram.generation = own_memory(ram.pages * sizeof *ram.generation);
	ram.complement = own_memory(ram.pages * sizeof *ram.complement);
	for (uint64_t page = 0; page < ram.pages; page++)
		page_write(page, 0);
}

void ram_start(void)
{
	start_thread(ram_run, NULL);
}

uint64_t ram_verify(void)
{
	uint64_t page = 0;

	while (page < ram.pages) {
		pthread_mutex_lock(&ram.lock);
		if (page == 0)
			sum_check();
		for (unsigned i = 0; i < VERIFY_PAGES && page < ram.pages; i++)
			page_check(page++);
		pthread_mutex_unlock(&ram.lock);
	}
	return ram.pages;
}

void ram_corrupt(void)
{
	pthread_mutex_lock(&ram.lock);
	page_at(random_next(&ram.random) % ram.pages)[PAGE_WORDS / 3] ^= 0x10;
	pthread_mutex_unlock(&ram.lock);
}

void ram_settle(void)
{
	pthread_mutex_lock(&ram.lock);
	pthread_mutex_unlock(&ram.lock);
}

void ram_stats(uint64_t *ops, uint64_t *generation_sum)
{
	pthread_mutex_lock(&ram.lock);
	*ops = done.ram_ops;
	*generation_sum = ram.generation_sum;
	pthread_mutex_unlock(&ram.lock);
}
