/* test-sample.c: what is said of memory and disks by looking at some of them. The memory is this process's own. */
#include "sample.h"
#include "util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define NONE	 0
#define PAGES	 4096  /* 16 MiB: all of it is looked at */
#define MANY	 98304 /* 384 MiB: two thirds of it */
#define MANY_MIB 192   /* two thirds of a disk */

static uint8_t *ram;
static size_t ram_pages;
static char path[64];
static FILE *disk;
static struct sampler *s;
static struct err e;

static uint8_t *page_of(size_t page)
{
	return ram + page * PAGE_BYTES;
}

/* Noise that follows from a number. */
static void fill(uint8_t *page, uint64_t content)
{
	uint64_t word = content * 2 + 1, i;

	for (i = 0; i < PAGE_BYTES; i += sizeof(word)) {
		word ^= word << 13, word ^= word >> 7, word ^= word << 17;
		memcpy(page + i, &word, sizeof(word));
	}
}

/* Pages that cannot be read keep it apart from other memory, so that it is no part of a larger mapping. */
static void memory_of(size_t pages)
{
	uint8_t *all = mmap(NULL, (pages + 2) * PAGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_true(all != MAP_FAILED);
	ram_pages = pages;
	ram = all + PAGE_BYTES;
	assert_int_equal(mprotect(ram, pages * PAGE_BYTES, PROT_READ | PROT_WRITE), 0);
	madvise(ram, pages * PAGE_BYTES, MADV_NOHUGEPAGE);
}

static int setup(void **state)
{
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s", "/tmp/vmferry-test-sample-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	disk = fdopen(fd, "w");
	s = sampler_new(EFFORT_ZSTD);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	sampler_free(s);
	if (ram)
		munmap(ram - PAGE_BYTES, (ram_pages + 2) * PAGE_BYTES);
	ram = NULL;
	fclose(disk);
	unlink(path);
	return 0;
}

/* PAGES pages, each with contents of its own but for every so manieth (NONE: none), which is of one letter. */
static void memory_with(size_t every, int letter)
{
	size_t i;

	memory_of(PAGES);
	for (i = 0; i < PAGES; i++) {
		if (every != NONE && i % every == 0)
			memset(page_of(i), letter, PAGE_BYTES);
		else
			fill(page_of(i), i);
	}
}

static void look_at_memory(void)
{
	struct seed_block b = {"ram", ram_pages * PAGE_BYTES, (uint64_t)(uintptr_t)ram};

	assert_int_equal(sample_memory(s, getpid(), &b, 1, &e), 0);
}

static void put(uint64_t content)
{
	uint8_t page[PAGE_BYTES];

	fill(page, content);
	assert_int_equal(fwrite(page, 1, PAGE_BYTES, disk), PAGE_BYTES);
}

static void look_at_disk(uint64_t bytes)
{
	struct sample_file f = {path, bytes, true};

	fflush(disk);
	sample_disks(s, &f, 1);
}

static void pages_that_are_absent_are_not_counted_and_stay_absent(void **state)
{
	unsigned char there[PAGES];
	size_t i, n = 0;

	(void)state;
	memory_of(PAGES);
	for (i = 0; i < PAGES / 4; i++)
		fill(page_of(4 * i), i);
	look_at_memory();
	assert_int_equal(sampled_memory(s)->bytes, PAGES / 4 * PAGE_BYTES);
	assert_int_equal(sampled_memory(s)->looked_at, PAGES / 4 * PAGE_BYTES);
	mincore(ram, PAGES * PAGE_BYTES, there);
	for (i = 0; i < PAGES; i++)
		n += there[i] & 1;
	assert_int_equal(n, PAGES / 4);
}

static void zeros_are_counted(void **state)
{
	(void)state;
	memory_with(4, 0);
	look_at_memory();
	assert_int_equal(sampled_memory(s)->zero, PAGES / 4 * PAGE_BYTES);
	assert_int_equal(sampled_memory(s)->bytes, PAGES * PAGE_BYTES);
}

/* Every other page is one letter. */
static void what_compresses_is_told_from_what_does_not(void **state)
{
	const struct sample_of *of;

	(void)state;
	memory_with(2, 'a');
	look_at_memory();
	sample_what_travels(s, true);
	of = sampled_memory(s);
	assert_true(of->tried > 4 * MIB);
	assert_int_equal(of->packed[EFFORT_NONE], of->tried);
	assert_in_range(of->packed[EFFORT_LZ4] * 100 / of->tried, 49, 53);
	assert_in_range(of->packed[EFFORT_ZSTD] * 100 / of->tried, 49, 53);
	assert_int_equal(of->packed[EFFORT_ZSTD_HARD], 0);
	assert_true(of->pack_ns[EFFORT_LZ4] > 0 && of->unpack_ns[EFFORT_ZSTD] > 0 && sampled_read_ns(s) > 0);
}

static void all_of_small_ones_is_looked_at_and_the_shared_part_is_exact(void **state)
{
	double error;
	size_t i;

	(void)state;
	memory_with(NONE, 0);
	for (i = 0; i < PAGES / 4; i++) {
		put(3 * i);
		put(PAGES + i); /* nowhere in memory */
		put(3 * i);	/* again */
	}
	look_at_memory();
	look_at_disk(3 * PAGES / 4 * PAGE_BYTES);
	assert_float_equal(sampled_seeds(s, &error), 0.25, 0.0001);
	assert_float_equal(error, 0, 0.0001);
	assert_int_equal(sampled_disks(s)->zero, 0);
}

static void of_large_ones_a_part_says_how_much_is_shared_and_how_wrong_that_may_be(void **state)
{
	double seeds, error;
	size_t i;

	(void)state;
	memory_of(MANY);
	for (i = 0; i < MANY; i++) /* 24576 of them are on the disk: in order there, all over memory */
		fill(page_of(i), i * 7919 % MANY);
	for (i = 0; i < MANY_MIB * 256; i++)
		put(i < 24576 ? i : MANY + i);
	look_at_memory();
	look_at_disk(MANY_MIB * MIB);
	seeds = sampled_seeds(s, &error);
	assert_true(sampled_memory(s)->looked_at < MANY * (uint64_t)PAGE_BYTES && sampled_disks(s)->looked_at < MANY_MIB * MIB);
	assert_true(error > 0.0001 && error < 0.05);
	assert_float_equal(seeds, 24576.0 / MANY, 4 * error);
}

/* Half of memory is noise, and on the disk; the rest is a kind of text, and is not. */
static double packed_of_text_and_noise(bool seeds, unsigned disk_pages)
{
	const struct sample_of *of = sampled_memory(s);
	size_t i;

	memory_of(PAGES);
	for (i = 0; i < PAGES; i++) {
		fill(page_of(i), i);
		if (i / 16 % 2)
			memset(page_of(i), 'a', PAGE_BYTES * 3 / 4);
	}
	for (i = 0; i < disk_pages; i++)
		put(i / 16 * 32 + i % 16);
	look_at_memory();
	look_at_disk((uint64_t)PAGES / 2 * PAGE_BYTES);
	sample_what_travels(s, seeds);
	return (double)of->packed[EFFORT_ZSTD] / (double)of->tried;
}

static void what_is_on_a_disk_is_not_compressed_where_that_travels_once(void **state)
{
	(void)state;
	assert_float_equal(packed_of_text_and_noise(true, PAGES / 2), 0.25, 0.02);
}

static void without_seeds_all_of_memory_is_compressed(void **state)
{
	(void)state;
	assert_float_equal(packed_of_text_and_noise(false, PAGES / 2), 0.625, 0.02);
}

/* Half of the disk is unknown, and assumed to be like the other half: a third of the content that was not found is its noise. */
static void what_is_on_a_disk_where_nobody_looked_is_left_out_of_the_account(void **state)
{
	(void)state;
	assert_float_equal(packed_of_text_and_noise(true, PAGES / 4), 0.25, 0.03);
}

static void a_disk_s_holes_are_not_looked_at_and_what_cannot_be_read_is_like_the_rest(void **state)
{
	struct sample_file files[3] = {{path, 4 * MIB, true}, {"/nonexistent", 4 * MIB, true}, {path, 8 * MIB, false}};
	double error;
	size_t i;

	(void)state;
	memory_with(NONE, 0);
	for (i = 0; i < 1024; i++)
		put(2 * i);
	fflush(disk);
	assert_int_equal(ftruncate(fileno(disk), 1024 * MIB), 0);
	look_at_memory();
	sample_disks(s, files, 3);
	assert_int_equal(sampled_disks(s)->bytes, 16 * MIB);
	assert_int_equal(sampled_disks(s)->looked_at, 4 * MIB);
	assert_int_equal(sampled_disks(s)->zero, 0);
	assert_float_equal(sampled_seeds(s, &error), 1, 0.0001); /* 1024 of 4096 pages, on a quarter of what disks there are */
}

/* All of it is looked at, so all is found, however it lies. */
static void a_disk_in_many_small_extents_is_looked_at_across_its_holes(void **state)
{
	struct sample_file f = {path, 8 * MIB, true};
	double error;
	size_t i;

	(void)state;
	memory_with(NONE, 0);
	for (i = 0; i < PAGES / 2; i++) {
		assert_int_equal(fseek(disk, (long)(5 * i * PAGE_BYTES), SEEK_SET), 0);
		put(i);
	}
	look_at_memory();
	fflush(disk);
	sample_disks(s, &f, 1);
	assert_in_range(sampled_disks(s)->looked_at, 8 * MIB, 40 * MIB); /* a file system may know no holes so small */
	assert_float_equal(sampled_seeds(s, &error), 0.5, 0.0001);
}

static void a_process_that_is_not_there_leaves_nothing_behind(void **state)
{
	struct seed_block b = {"ram", 16 * MIB, 4096};

	(void)state;
	assert_int_equal(sample_memory(s, 0x7ffffff0, &b, 1, &e), -ENOENT);
	assert_int_equal(sampled_memory(s)->bytes, 0);
	sample_disks(s, NULL, 0);
	assert_int_equal(sampled_disks(s)->bytes, 0);
	assert_float_equal(sampled_seeds(s, &(double){0}), 0, 0);
	assert_float_equal(sampled_read_ns(s), 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(pages_that_are_absent_are_not_counted_and_stay_absent, setup, teardown),
		cmocka_unit_test_setup_teardown(zeros_are_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(what_compresses_is_told_from_what_does_not, setup, teardown),
		cmocka_unit_test_setup_teardown(all_of_small_ones_is_looked_at_and_the_shared_part_is_exact, setup, teardown),
		cmocka_unit_test_setup_teardown(of_large_ones_a_part_says_how_much_is_shared_and_how_wrong_that_may_be, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_on_a_disk_is_not_compressed_where_that_travels_once, setup, teardown),
		cmocka_unit_test_setup_teardown(without_seeds_all_of_memory_is_compressed, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_on_a_disk_where_nobody_looked_is_left_out_of_the_account, setup, teardown),
		cmocka_unit_test_setup_teardown(a_disk_s_holes_are_not_looked_at_and_what_cannot_be_read_is_like_the_rest, setup, teardown),
		cmocka_unit_test_setup_teardown(a_disk_in_many_small_extents_is_looked_at_across_its_holes, setup, teardown),
		cmocka_unit_test_setup_teardown(a_process_that_is_not_there_leaves_nothing_behind, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
