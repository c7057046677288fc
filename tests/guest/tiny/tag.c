/* Contents that say what they are, of the form of ../witness-tag.c: name, check word, noise, and in the second half, if it is to be
 * compressible, the name again and again. A KVM that emulates its guest takes as long for one word of `rep movs` as for one plain
 * instruction, so that the noise is copied from a pool: from where in it follows from the name. */
#include "tiny.h"

enum { POOL_WORDS = 8192, HALF = PAGE_BYTES / 2, HEAD = 16 };

static uint32_t run_number[2], pool[POOL_WORDS + PAGE_BYTES / 4];

static uint8_t clock_register(uint8_t number)
{
	out8(0x70, number);
	return in8(0x71);
}

static uint32_t mix(uint32_t x)
{
	x ^= x >> 16;
	x *= 0x7feb352d;
	x ^= x >> 15;
	x *= 0x846ca68b;
	return x ^ x >> 16;
}

/* The date, the time of day and the timestamp counter: nothing written by an earlier run passes for what this one wrote. */
void tag_start(void)
{
	uint64_t counter = timestamp(), random;

	for (uint8_t number = 0; number < 10; number++)
		run_number[0] = mix(run_number[0] + clock_register(number));
	run_number[0] ^= mix((uint32_t)counter);
	run_number[1] = mix(run_number[0] + (uint32_t)(counter >> 32));
	random = (uint64_t)run_number[0] << 32 | run_number[1] | 1;
	for (size_t i = 0; i < sizeof pool / sizeof *pool; i++)
		pool[i] = random_next(&random);
}

static uint32_t place(uint32_t index, uint32_t generation, unsigned domain)
{
	return mix(mix(index + (domain << 28)) + generation + run_number[0]);
}

static uint64_t check_word(uint32_t where, uint32_t index)
{
	return (uint64_t)where << 32 | (run_number[1] ^ index);
}

/* The second half repeats what its first eight bytes are: each word goes, or is compared, eight bytes further. */
void tag_fill(uint64_t *page, unsigned domain, uint32_t index, uint32_t generation, bool compressible)
{
	uint32_t where = place(index, generation, domain);
	char *half = (char *)page + HALF;

	page[0] = (uint64_t)index << 32 | generation;
	page[1] = check_word(where, index);
	memcpy(page + 2, pool + where % POOL_WORDS, (compressible ? HALF : PAGE_BYTES) - HEAD);
	if (compressible) {
		memcpy(half, page, 8);
		memcpy(half + 8, half, HALF - 8);
	}
}

bool tag_right(const uint64_t *page, unsigned domain, uint32_t index, uint32_t generation, bool compressible)
{
	uint32_t where = place(index, generation, domain);
	const char *half = (const char *)page + HALF;

	return page[0] == ((uint64_t)index << 32 | generation) && page[1] == check_word(where, index) &&
	       memcmp(page + 2, pool + where % POOL_WORDS, (compressible ? HALF : PAGE_BYTES) - HEAD) == 0 &&
	       (!compressible || (memcmp(half, page, 8) == 0 && memcmp(half + 8, half, HALF - 8) == 0));
}

bool tag_is_zero(const uint64_t *page)
{
	return page[0] == 0 && memcmp(page, page + 1, PAGE_BYTES - 8) == 0;
}

void tag_describe(const uint64_t *page, char text[TEXT_BYTES])
{
	uint32_t index = (uint32_t)(page[0] >> 32), generation = (uint32_t)page[0];

	if (tag_is_zero(page)) {
		text_format(text, TEXT_BYTES, "is all zeros");
		return;
	}
	for (unsigned domain = 0; domain <= MAX_DISKS; domain++) {
		if (page[1] != check_word(place(index, generation, domain), index))
			continue;
		text_format(text, TEXT_BYTES, "begins as %s %u, index %u generation %u", domain ? "disk" : "RAM", domain, index,
			    generation);
		return;
	}
	text_format(text, TEXT_BYTES, "holds nothing known");
}

uint32_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (uint32_t)(*state >> 16);
}

uint32_t pace_due(uint32_t rate_s, uint32_t *last_tick, uint32_t *credit)
{
	uint32_t now = ticks_now(), ticks = now - *last_tick;
	uint64_t due;

	*last_tick = now;
	due = (uint64_t)rate_s * (ticks < TICKS_BEHIND ? ticks : TICKS_BEHIND) + *credit;
	*credit = divide(&due, TICKS_S);
	return (uint32_t)due;
}
