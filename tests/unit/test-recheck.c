/* test-recheck.c: what it will take to read the guest's memory once more. (What it finds: test-data-send.c.) */
#include "recheck.h"
#include "util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define BYTES (64 * MIB)

static const struct digest_key key;

/* Memory of this process in place of QEMU's. */
static uint8_t *memory(void)
{
	uint8_t *at = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(at != MAP_FAILED);
	madvise(at, BYTES, MADV_NOHUGEPAGE);
	return at;
}

static double sample(const struct ram_block_place *told, size_t count)
{
	struct recheck *r;
	struct err e;
	double ns;

	assert_int_equal(recheck_new(&r, getpid(), told, count, &e), 0);
	ns = recheck_sample_ns(r, &key);
	recheck_free(r);
	return ns;
}

static void what_is_not_there_costs_less_than_what_is_hashed(void **state)
{
	uint8_t *at = memory();
	struct ram_block_place told[] = {{.name = "small", .used_bytes = PAGE_BYTES, .host = 1},
					 {.name = "large", .used_bytes = BYTES, .host = (uint64_t)(uintptr_t)at}};
	double there, absent = sample(told, 2);

	(void)state;
	assert_true(absent > 0);
	memset(at, 'x', BYTES);
	there = sample(told, 2);
	assert_true(there > 2 * absent && there < 1000);
	munmap(at, BYTES);
}

/* A disturbance: each fourth piece examined is present, and costs some ten times as much as the others. */
static void what_disturbs_now_and_then_is_not_what_all_takes(void **state)
{
	const uint64_t piece_bytes = MEMORY_PIECE_PAGES * PAGE_BYTES, pieces = BYTES / piece_bytes;
	uint8_t *at = memory();
	struct ram_block_place told = {.name = "one", .used_bytes = BYTES, .host = (uint64_t)(uintptr_t)at};
	double there, absent = sample(&told, 1), disturbed;
	unsigned i;

	(void)state;
	for (i = 1; i <= 64; i += 4)
		memset(at + pieces * i / 65 * piece_bytes, 'x', piece_bytes);
	disturbed = sample(&told, 1);
	memset(at, 'x', BYTES);
	there = sample(&told, 1);
	assert_true(there > 4 * absent);
	assert_true(disturbed < absent + (there - absent) / 8);
	munmap(at, BYTES);
}

static void the_least_of_the_last_samples_counts(void **state)
{
	uint8_t *at = memory();
	struct ram_block_place told = {.name = "one", .used_bytes = BYTES, .host = (uint64_t)(uintptr_t)at};
	struct recheck *r;
	struct err e;
	double first, later;
	unsigned i;

	(void)state;
	assert_int_equal(recheck_new(&r, getpid(), &told, 1, &e), 0);
	first = recheck_sample_ns(r, &key);
	memset(at, 'x', BYTES); /* pages in use take longer */
	assert_true(recheck_sample_ns(r, &key) <= first);
	for (i = 0; i < 32; i++)
		later = recheck_sample_ns(r, &key);
	assert_true(later > 2 * first); /* a sample does not count for ever */
	recheck_free(r);
	munmap(at, BYTES);
}

static void threads_share_the_bytes_and_the_way_to_memory(void **state)
{
	double one = recheck_takes_ms(0.2, GIB, 1), two = recheck_takes_ms(0.2, GIB, 2);

	(void)state;
	assert_true(one > 214 && one < 215);
	assert_true(two > one / 2 * 1.1 && two < one / 2 * 1.2);
	assert_true(recheck_takes_ms(0.2, GIB, 0) >= one && recheck_takes_ms(0.2, GIB, 8) < two / 3);
	assert_true(recheck_takes_ms(0, GIB, 1) > one / 2 && recheck_takes_ms(0, GIB, 1) < one * 2); /* an unknown time is not zero */
}

/* A block that is too small, and none. */
static void what_cannot_be_looked_at_is_not_known(void **state)
{
	uint8_t *at = memory();
	struct ram_block_place small = {.name = "one", .used_bytes = PAGE_BYTES, .host = (uint64_t)(uintptr_t)at};

	(void)state;
	memset(at, 'x', BYTES);
	assert_true(sample(&small, 1) <= 0);
	assert_true(sample(NULL, 0) <= 0);
	munmap(at, BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_there_costs_less_than_what_is_hashed),
		cmocka_unit_test(what_disturbs_now_and_then_is_not_what_all_takes),
		cmocka_unit_test(the_least_of_the_last_samples_counts),
		cmocka_unit_test(threads_share_the_bytes_and_the_way_to_memory),
		cmocka_unit_test(what_cannot_be_looked_at_is_not_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
