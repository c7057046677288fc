/*
 * test-ram-blocks.c: where a played QEMU has its guest's memory. That of 7.2 tells no addresses: the blocks are looked for in its process, which is this
 * one.
 */
#include "ram-blocks.h"
#include "util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "../lib/played-qemu.h"

#define MEMORY (37 * MIB + 3 * 4096) /* sizes that no other mapping of this process has */
#define VIDEO  (21 * MIB + 5 * 4096)
#define ROM    (64 * 1024)

static bool tells, has_gpa2hva;
static uint64_t memory_host;
static const char *name, *other;

static json_t *carry_out(const char *command, const json_t *args)
{
	const char *line = json_string_value(json_object_get(args, "command-line"));
	char row[3][256];

	if (!strcmp(command, "qmp_capabilities"))
		return done(json_object());
	if (strcmp(command, "human-monitor-command") != 0)
		return error("not played");
	if (!strcmp(line, "gpa2hva 0"))
		return done(has_gpa2hva
				    ? json_sprintf("Host virtual address for 0x0 (pc.ram) is 0x%llx\r\n", (unsigned long long)memory_host)
				    : json_string("No memory is mapped at address 0x0\r\n"));
	snprintf(row[0], sizeof(row[0]), "  %s  4 KiB  0x0 0x%llx 0x%llx%s\r\n", name, (unsigned long long)MEMORY,
		 (unsigned long long)MEMORY, tells ? " 0x00007f0e3c400000 rw" : "");
	snprintf(row[1], sizeof(row[1]), "  vga.vram  4 KiB  0x10000000 0x%llx 0x%llx%s\r\n", (unsigned long long)VIDEO,
		 (unsigned long long)VIDEO, tells ? " 0x00007f0e3c500000 rw" : "");
	snprintf(row[2], sizeof(row[2]), "  %s  4 KiB  0x20000000 0x%llx 0x%llx%s\r\n", other, (unsigned long long)ROM,
		 (unsigned long long)ROM, tells ? " 0x00007f0e3c600000 ro" : "");
	return done(json_sprintf("              Block Name    PSize              Offset               Used              Total\r\n%s%s%s",
				 row[0], row[1], row[2]));
}

/* Memory of a guest, with a page before it and one behind it that nobody may touch, as QEMU has it. */
static uint64_t map(size_t bytes)
{
	uint8_t *p = mmap(NULL, bytes + 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	assert_int_equal(mprotect(p + 4096, bytes, PROT_READ | PROT_WRITE), 0);
	assert_int_equal(madvise(p + 4096, bytes, MADV_DONTFORK), 0);
	return (uint64_t)(uintptr_t)p + 4096;
}

static void unmap(uint64_t at, size_t bytes)
{
	munmap((void *)(uintptr_t)(at - 4096), bytes + 8192);
}

static struct ram_block_place *ask(size_t *count)
{
	struct ram_block_place *blocks;

	assert_int_equal(played_begin(carry_out), 0);
	assert_int_equal(ram_blocks_ask(q, getpid(), &blocks, count, &e), 0);
	played_end();
	assert_int_equal(*count, 3);
	return blocks;
}

static void test_addresses_are_those_that_qemu_tells(void **state)
{
	uint64_t at = map(MEMORY);
	struct ram_block_place *blocks;
	size_t n;

	(void)state;
	tells = true, name = "mem", other = "pc.bios";
	blocks = ask(&n);
	assert_string_equal(blocks[0].name, "mem");
	assert_int_equal(blocks[0].host, 0x7f0e3c400000);
	assert_int_equal(blocks[0].used_bytes, MEMORY);
	assert_int_equal(blocks[2].host, 0x7f0e3c600000);
	assert_false(blocks[0].is_found || blocks[1].is_found || blocks[2].is_found);
	assert_null(ram_blocks_missing(blocks, n));
	free(blocks);
	unmap(at, MEMORY);
}

static void test_memory_of_any_name_is_found_where_qemu_tells_no_address(void **state)
{
	uint64_t memory = map(MEMORY), video = map(VIDEO);
	struct ram_block_place *blocks;
	size_t n;

	(void)state;
	tells = false, name = "mem", other = "pc.bios";
	blocks = ask(&n);
	assert_int_equal(blocks[0].host, memory);
	assert_int_equal(blocks[0].used_bytes, MEMORY);
	assert_int_equal(blocks[1].host, video);
	assert_int_equal(blocks[2].host, 0);
	assert_true(blocks[0].is_found && blocks[1].is_found);
	assert_null(ram_blocks_missing(blocks, n)); /* without the ROM, which is small */
	assert_int_equal(ram_blocks_placed(blocks, n), 2);
	assert_string_equal(blocks[1].name, "vga.vram");
	free(blocks);
	unmap(memory, MEMORY);
	unmap(video, VIDEO);
}

static void test_memory_that_is_not_found_is_missing(void **state)
{
	uint64_t memory = map(MEMORY), same = map(MEMORY), video = map(VIDEO);
	struct ram_block_place *blocks;
	size_t n;

	(void)state;
	tells = false, has_gpa2hva = true, memory_host = memory, name = "mem", other = "pc.bios";
	blocks = ask(&n);
	assert_string_equal(ram_blocks_missing(blocks, n)->name, "mem");
	free(blocks);
	name = "pc.ram"; /* which is at the guest's address 0 */
	blocks = ask(&n);
	assert_int_equal(blocks[0].host, memory);
	assert_true(blocks[0].is_found);
	assert_null(ram_blocks_missing(blocks, n));
	free(blocks);
	has_gpa2hva = false;
	blocks = ask(&n);
	assert_string_equal(ram_blocks_missing(blocks, n)->name, "pc.ram");
	assert_int_equal(ram_blocks_placed(blocks, n), 1);
	assert_string_equal(blocks[0].name, "vga.vram");
	free(blocks);
	unmap(memory, MEMORY);
	unmap(same, MEMORY);
	unmap(video, VIDEO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses_are_those_that_qemu_tells),
		cmocka_unit_test(test_memory_of_any_name_is_found_where_qemu_tells_no_address),
		cmocka_unit_test(test_memory_that_is_not_found_is_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
