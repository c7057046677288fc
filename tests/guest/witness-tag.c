/* Contents that say what they are: every word of a page follows from (domain, index,
 * generation) and from a number drawn at each start, so that nothing written by an earlier
 * run can pass for what this one wrote. */
#include "witness.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { CHANGED_EVERY = 64 }; /* words */

static uint64_t run_number;
static uint64_t *pool, pool_pages;

static uint64_t mix(uint64_t x)
{
	x ^= x >> 31;
	x *= UINT64_C(0x9e3779b97f4a7c15);
	return x ^ x >> 29;
}

static uint64_t processor_ticks(void)
{
#ifdef __aarch64__
	uint64_t ticks;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
	return ticks;
#else
	return __builtin_ia32_rdtsc();
#endif
}

void tag_start(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	run_number = mix((uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec) ^ processor_ticks();
}

uint64_t tag_run(void)
{
	return run_number;
}

void tag_take_pool(uint64_t *pages, uint64_t count)
{
	pool = pages;
	pool_pages = count;
}

enum fill content_fill(enum content content, bool compressible)
{
	switch (content) {
	case CONTENT_MIXED:
		return compressible ? FILL_HALF : FILL_NOISE;
	case CONTENT_COMPRESSIBLE:
	case CONTENT_ZEROS:
		return FILL_HALF;
	case CONTENT_INCOMPRESSIBLE:
		return FILL_NOISE;
	case CONTENT_LIVING:
		break;
	}
	return FILL_LIVING;
}

static uint64_t check_word(uint64_t name, unsigned domain)
{
	return mix(mix(name + domain) ^ run_number);
}

/* A page of some file, in which a few words are others, as a program's memory holds what it has read. */
static void fill_living(uint64_t *page, uint64_t check)
{
	memcpy(page, pool + check % pool_pages * PAGE_WORDS, PAGE_BYTES);
	for (size_t i = CHANGED_EVERY; i < PAGE_WORDS; i += CHANGED_EVERY)
		page[i] = check = mix(check + i);
}

void tag_fill(uint64_t *page, unsigned domain, uint32_t index, uint32_t generation, enum fill fill)
{
	uint64_t name = (uint64_t)index << 32 | generation;
	uint64_t x = check_word(name, domain);
	size_t noise = fill == FILL_HALF ? PAGE_WORDS / 2 : PAGE_WORDS;
	size_t i;

	if (fill == FILL_LIVING)
		fill_living(page, x);
	page[0] = name;
	page[1] = x;
	if (fill == FILL_LIVING)
		return;
	for (i = 2; i < noise; i++) {
		x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		page[i] = x ^ x >> 32;
	}
	for (; i < PAGE_WORDS; i++)
		page[i] = name;
}

bool tag_is_zero(const uint64_t *page)
{
	return page[0] == 0 && memcmp(page, page + 1, PAGE_BYTES - sizeof *page) == 0;
}

uint64_t tag_hash(const uint64_t *page)
{
	uint64_t hash = 0;

	for (size_t i = 0; i < PAGE_WORDS; i++)
		hash = (hash ^ page[i]) * UINT64_C(0x9e3779b97f4a7c15) + i;
	return mix(hash);
}

static size_t first_difference(const uint64_t *page, const uint64_t *expected)
{
	size_t i = 0;

	while (i < PAGE_WORDS && page[i] == expected[i])
		i++;
	return i * sizeof *page;
}

void tag_describe(const uint64_t *page, const uint64_t *expected, char text[static TEXT_BYTES])
{
	size_t offset = expected ? first_difference(page, expected) : 0;

	if (tag_is_zero(page)) {
		snprintf(text, TEXT_BYTES, "is all zeros");
		return;
	}
	for (unsigned domain = 0; domain <= MAX_DISKS; domain++) {
		if (page[1] != check_word(page[0], domain))
			continue;
		snprintf(text, TEXT_BYTES, "holds %s %u, index %" PRIu64 " generation %" PRIu64 ", differs from byte %zu",
			 domain ? "disk" : "RAM", domain, page[0] >> 32, page[0] & UINT32_MAX, offset);
		return;
	}
	snprintf(text, TEXT_BYTES, "holds nothing known, differs from byte %zu", offset);
}
