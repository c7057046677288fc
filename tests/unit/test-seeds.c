/* test-seeds.c: contents of memory are found in what is read of disks. The memory that is read is this process's own. */
#include "seeds.h"
#include "util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGES 3000

static const struct digest_key key = {{1, 2, 3}};
static uint8_t *ram;
static struct seeds *s;
static struct seed found[SEEDS_PER_PART_MAX];
static struct err e;

static uint8_t *page_of(uint64_t page)
{
	return ram + page * PAGE_BYTES;
}

/* Contents that say which they are. */
static void fill(uint8_t *page, uint64_t content)
{
	uint64_t word, i;

	for (i = 0; i < PAGE_BYTES; i += sizeof(word)) {
		word = content * 0x9e3779b97f4a7c15U ^ i;
		memcpy(page + i, &word, sizeof(word));
	}
}

static int setup(void **state)
{
	struct seed_block blocks[2] = {{"one", 1000 * PAGE_BYTES, 0}, {"two", (PAGES - 1000) * PAGE_BYTES, 0}};

	(void)state;
	ram = mmap(NULL, PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(ram != MAP_FAILED);
	madvise(ram, PAGES * PAGE_BYTES, MADV_NOHUGEPAGE);
	blocks[0].host = (uint64_t)(uintptr_t)ram;
	blocks[1].host = blocks[0].host + blocks[0].bytes;
	s = seeds_new(getpid(), &key, blocks, 2);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	seeds_free(s);
	munmap(ram, PAGES * PAGE_BYTES);
	return 0;
}

static unsigned find(const uint8_t *data, unsigned pages)
{
	return seeds_find(s, 0, data, pages * PAGE_BYTES, found);
}

static void assert_found(unsigned i, uint32_t unit, uint64_t page)
{
	assert_int_equal(found[i].unit, unit);
	assert_int_equal(found[i].object, page < 1000 ? OBJECT_RAM_BASE : OBJECT_RAM_BASE + 1);
	assert_int_equal(found[i].page, page < 1000 ? page : page - 1000);
}

static void content_is_found_wherever_it_is_once(void **state)
{
	uint8_t part[4 * PAGE_BYTES];

	(void)state;
	fill(page_of(0), 1), fill(page_of(999), 2), fill(page_of(1000), 3), fill(page_of(PAGES - 1), 4), fill(page_of(7), 3);
	assert_float_equal(seeds_scanned(s), 0, 0);
	assert_int_equal(seeds_scan(s, &e), 0);
	assert_float_equal(seeds_scanned(s), 1, 0);
	assert_int_equal(seeds_indexed(s), 5);
	fill(part, 5), fill(part + PAGE_BYTES, 3), fill(part + 2 * PAGE_BYTES, 1), fill(part + 3 * PAGE_BYTES, 4);
	assert_int_equal(find(part, 4), 4);
	assert_true(found[0].unit == 1 && found[1].unit == 1); /* two pages have it, in whatever order */
	assert_int_equal(found[0].object + found[1].object, 2 * OBJECT_RAM_BASE + 1);
	assert_found(2, 2, 0);
	assert_found(3, 3, PAGES - 1);
	assert_int_equal(find(part, 4), 0); /* never again */
	fill(part, 2);
	assert_int_equal(find(part, 1), 1);
	assert_found(0, 0, 999);
	assert_true(hash_equal(found[0].content, hash_content(&key, part, PAGE_BYTES)));
}

static void nothing_is_found_where_nothing_can_be(void **state)
{
	uint8_t part[2 * PAGE_BYTES] = {0};

	(void)state;
	fill(page_of(3), 1);
	page_of(4)[0] = 0;		    /* there, and zero */
	assert_int_equal(find(part, 2), 0); /* before the scan */
	assert_false(seeds_ready(s));
	assert_int_equal(seeds_scan(s, &e), 0);
	assert_true(seeds_ready(s));
	assert_int_equal(seeds_indexed(s), 1);
	assert_int_equal(find(part, 2), 0); /* zeros */
	fill(part + 512, 1);
	assert_int_equal(seeds_find(s, 512, part + 512, PAGE_BYTES, found), 0); /* lies across pages of the disk */
	assert_int_equal(seeds_find(s, 0, part + 512, PAGE_BYTES - 512, found), 0);
	assert_int_equal(seeds_find(s, 8 * PAGE_BYTES, part + 512, PAGE_BYTES, found), 1);
}

/* Pages that nobody has touched, or that were swapped out, stay so. */
static void nothing_is_brought_into_memory(void **state)
{
	unsigned char there[PAGES];
	unsigned i, n = 0;

	(void)state;
	for (i = 0; i < PAGES; i += 100)
		fill(page_of(i), i);
	assert_int_equal(seeds_scan(s, &e), 0);
	assert_int_equal(mincore(ram, PAGES * PAGE_BYTES, there), 0);
	for (i = 0; i < PAGES; i++)
		n += there[i] & 1;
	assert_int_equal(n, PAGES / 100);
	assert_int_equal(seeds_indexed(s), PAGES / 100);
}

/* Later writes of the guest are found by QEMU's own pass, as content is identified by its own hash. */
static void what_changes_after_the_scan_is_still_named_by_what_is_sent(void **state)
{
	uint8_t part[PAGE_BYTES];

	(void)state;
	fill(page_of(5), 1);
	assert_int_equal(seeds_scan(s, &e), 0);
	fill(page_of(5), 2);
	fill(part, 2);
	assert_int_equal(find(part, 1), 0);
	fill(part, 1);
	assert_int_equal(find(part, 1), 1);
	assert_true(hash_equal(found[0].content, hash_content(&key, part, PAGE_BYTES)));
}

static void the_tables_hold_what_was_carried_and_nothing_else(void **state)
{
	static const struct hash128 none = {0, 0}, carried = {5, 6};
	struct page_table *t = seeds_tables(s);
	uint8_t part[PAGE_BYTES];
	unsigned i, set = 0;

	(void)state;
	for (i = 0; i < PAGES; i++)
		fill(page_of(i), i);
	assert_int_equal(seeds_scan(s, &e), 0);
	fill(part, 1500);
	assert_int_equal(find(part, 1), 1);
	t[1].hash[500] = carried; /* the sender notes what it carried */
	fill(part, 17);
	assert_int_equal(find(part, 1), 1);
	t[0].hash[17] = carried;
	seeds_end(s);
	for (i = 0; i < 1000; i++)
		set += !hash_equal(t[0].hash[i], none);
	for (i = 0; i < PAGES - 1000; i++)
		set += !hash_equal(t[1].hash[i], none);
	assert_int_equal(set, 2);
	assert_true(hash_equal(t[1].hash[500], carried) && hash_equal(t[0].hash[17], carried));
	assert_int_equal(find(part, 1), 0);
	seeds_end(s);
}

/* A guest whose memory is full of one pattern: the index stays quick, and finds some of them. */
static void a_content_that_many_pages_have_is_found_in_some(void **state)
{
	uint8_t part[PAGE_BYTES];
	unsigned n;

	(void)state;
	for (n = 0; n < PAGES; n++)
		fill(page_of(n), n % 10 ? 1 : n);
	assert_int_equal(seeds_scan(s, &e), 0);
	fill(part, 1);
	n = find(part, 1);
	assert_in_range(n, 100, 200);
	fill(part, 2990);
	assert_int_equal(find(part, 1), 1);
}

/* All at once, more than fits beside one part: the rest is not lost, but travels with QEMU's pages. */
static void no_more_are_given_than_fit(void **state)
{
	uint8_t *part = xmalloc(64 * PAGE_BYTES);
	unsigned i;

	(void)state;
	for (i = 0; i < PAGES; i++)
		fill(page_of(i), i % 30);
	assert_int_equal(seeds_scan(s, &e), 0);
	for (i = 0; i < 30; i++)
		fill(part + i * PAGE_BYTES, i);
	assert_int_equal(find(part, 30), SEEDS_PER_PART_MAX);
	assert_true(find(part, 30) > 0);
	free(part);
}

static void a_scan_ends_when_it_is_told_to(void **state)
{
	(void)state;
	fill(page_of(1), 1);
	seeds_stop(s);
	assert_int_equal(seeds_scan(s, &e), -ECANCELED);
	assert_float_equal(seeds_scanned(s), 1, 0); /* the pages are not read any more */
	assert_false(seeds_ready(s));
}

static void memory_that_is_not_there_is_left_out(void **state)
{
	uint8_t part[PAGE_BYTES];

	(void)state;
	fill(page_of(1), 1), fill(page_of(2000), 2);
	munmap(page_of(64), 128 * PAGE_BYTES);
	assert_int_equal(seeds_scan(s, &e), 0);
	assert_int_equal(seeds_indexed(s), 2);
	fill(part, 2);
	assert_int_equal(find(part, 1), 1);
}

static void a_process_that_has_gone_is_an_error(void **state)
{
	struct seed_block block = {"one", 1000 * PAGE_BYTES, 4096};
	struct seeds *other = seeds_new(0x7ffffff0, &key, &block, 1);

	(void)state;
	assert_int_equal(seeds_scan(other, &e), -ENOENT);
	assert_false(seeds_ready(other));
	seeds_free(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(content_is_found_wherever_it_is_once, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_is_found_where_nothing_can_be, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_is_brought_into_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(what_changes_after_the_scan_is_still_named_by_what_is_sent, setup, teardown),
		cmocka_unit_test_setup_teardown(the_tables_hold_what_was_carried_and_nothing_else, setup, teardown),
		cmocka_unit_test_setup_teardown(a_content_that_many_pages_have_is_found_in_some, setup, teardown),
		cmocka_unit_test_setup_teardown(no_more_are_given_than_fit, setup, teardown),
		cmocka_unit_test_setup_teardown(a_scan_ends_when_it_is_told_to, setup, teardown),
		cmocka_unit_test_setup_teardown(memory_that_is_not_there_is_left_out, setup, teardown),
		cmocka_unit_test(a_process_that_has_gone_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
