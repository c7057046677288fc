/* test-ram-find.c: which of a process's mappings are a guest's memory. The process is this one. */
#include "ram-find.h"
#include "util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define ODD (3 * 4096UL) /* a size that no other mapping of this process has */

static void *map(size_t bytes, int prot, bool of_guest)
{
	/* with a page before it and one behind it that nobody may touch, as QEMU has it */
	uint8_t *p = mmap(NULL, bytes + 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	assert_int_equal(mprotect(p + 4096, bytes, prot), 0);
	if (of_guest)
		assert_int_equal(madvise(p + 4096, bytes, MADV_DONTFORK), 0);
	return p + 4096;
}

static uint64_t host_of(const struct ram_block_place *blocks, size_t n, const char *name)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!strcmp(blocks[i].name, name))
			return blocks[i].host;
	fail_msg("no block %s", name);
	return 0;
}

static void test_blocks_are_found_for_certain_or_not_at_all(void **state)
{
	struct ram_block_place blocks[] = {
		{.name = "pc.ram", .max_bytes = 48 * MIB + ODD},      {.name = "ordinary", .max_bytes = 32 * MIB + ODD},
		{.name = "twice-mapped", .max_bytes = 5 * MIB + ODD}, {.name = "twins-a", .max_bytes = 7 * MIB + ODD},
		{.name = "twins-b", .max_bytes = 7 * MIB + ODD},      {.name = "read-only", .max_bytes = 9 * MIB + ODD},
		{.name = "missing", .max_bytes = 11 * MIB + ODD},
	};
	const size_t n = ARRAY_LEN(blocks);
	void *ram = map(48 * MIB + ODD, PROT_READ | PROT_WRITE, true);
	struct err e;
	size_t i;

	(void)state;
	map(32 * MIB + ODD, PROT_READ | PROT_WRITE, false);
	map(5 * MIB + ODD, PROT_READ | PROT_WRITE, true);
	map(5 * MIB + ODD, PROT_READ | PROT_WRITE, true);
	map(7 * MIB + ODD, PROT_READ | PROT_WRITE, true);
	map(9 * MIB + ODD, PROT_READ, true);
	for (i = 0; i < n; i++)
		blocks[i].host = 1;
	assert_int_equal(ram_find(getpid(), blocks, n, &e), 0);
	assert_int_equal(host_of(blocks, n, "pc.ram"), (uint64_t)(uintptr_t)ram);
	for (i = 1; i < n; i++)
		assert_int_equal(blocks[i].host, 0);
}

static void test_memory_of_a_file_is_found(void **state)
{
	struct ram_block_place block = {.name = "mem0", .max_bytes = 13 * MIB + ODD};
	int fd = memfd_create("test", MFD_CLOEXEC);
	struct err e;
	void *p;

	(void)state;
	assert_int_equal(ftruncate(fd, (off_t)block.max_bytes), 0);
	p = mmap(NULL, block.max_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(p, MAP_FAILED);
	assert_int_equal(madvise(p, block.max_bytes, MADV_DONTFORK), 0);
	assert_int_equal(ram_find(getpid(), &block, 1, &e), 0);
	assert_int_equal(block.host, (uint64_t)(uintptr_t)p);
	munmap(p, block.max_bytes);
	close(fd);
}

static void test_process_that_is_not_there_is_an_error(void **state)
{
	struct ram_block_place block = {.name = "pc.ram", .max_bytes = MIB};
	struct err e;

	(void)state;
	assert_int_equal(ram_find(0x7ffffff0, &block, 1, &e), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_blocks_are_found_for_certain_or_not_at_all),
		cmocka_unit_test(test_memory_of_a_file_is_found),
		cmocka_unit_test(test_process_that_is_not_there_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
