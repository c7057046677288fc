/* test-disk-content.c: what the first bytes of a disk say: whether it is one, how large it was, and which firmware boots from it. */
#include "disk-content.h"
#include "util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "guarded.h"

static uint8_t disk[DISK_CONTENT_BYTES];

/* Reads the first n bytes of the disk, and nothing behind them. */
static struct disk_content read_part(size_t n)
{
	struct guarded g = guarded_copy(disk, n);
	struct disk_content c;

	disk_content_read(&c, g.p, n);
	guarded_free(&g);
	return c;
}

static struct disk_content read_disk(void)
{
	return read_part(sizeof(disk));
}

static void put(size_t at, const char *bytes, size_t n)
{
	memcpy(disk + at, bytes, n);
}

static void put_le32(size_t at, uint32_t v)
{
	disk[at] = (uint8_t)v;
	disk[at + 1] = (uint8_t)(v >> 8);
	disk[at + 2] = (uint8_t)(v >> 16);
	disk[at + 3] = (uint8_t)(v >> 24);
}

static void blank(void)
{
	memset(disk, 0, sizeof(disk));
}

static void noise(void)
{
	uint32_t x = 1;
	size_t i;

	for (i = 0; i < sizeof(disk); i++) {
		x = x * 1664525 + 1013904223;
		disk[i] = (uint8_t)(x >> 24);
	}
}

static void boot_sector(const char *code)
{
	put(0, code, strlen(code));
	put(510, "\x55\xaa", 2);
}

static void partition(unsigned i, uint8_t active, uint8_t type, uint32_t start, uint32_t sectors)
{
	size_t at = 446 + 16 * (size_t)i;

	disk[at] = active;
	disk[at + 4] = type;
	put_le32(at + 8, start);
	put_le32(at + 12, sectors);
}

static void gpt(unsigned sector, uint32_t last, const char *guid, uint8_t flags)
{
	partition(0, 0, 0xee, 1, 0xffffffff);
	put(510, "\x55\xaa", 2);
	put(sector, "EFI PART", 8);
	put_le32(sector + 32, last);
	put_le32(sector + 72, 2);
	put_le32(sector + 80, 128);
	put_le32(sector + 84, 128);
	put(2 * sector + 128, guid, 16);
	disk[2 * sector + 128 + 48] = flags;
}

#define ESP	  "\x28\x73\x2a\xc1\x1f\xf8\xd2\x11\xba\x4b\x00\xa0\xc9\x3e\xc9\x3b"
#define BIOS_BOOT "Hah!IdontNeedEFI"
#define WINDOWS	  "\x33\xc0\x8e\xd0\xbc" /* followed by 00 7c */

/* The bytes are the first of an otherwise empty file, and of one of noise. */
static void files_that_are_not_disks_are_told(void **state)
{
	static const struct {
		size_t at;
		const char *bytes;
		size_t n;
		const char *what;
		bool alone; /* only if nothing but zeros follows */
	} cases[] = {
		{32769, "CD001", 5, "ISO", false},
		{257, "ustar", 5, "tar", false},
		{0, "PK\3\4", 4, "zip", false},
		{0, "\x1f\x8b\x08", 3, "gzip", false},
		{0,
		 "\xfd"
		 "7zXZ",
		 5, "xz", false},
		{0, "%PDF-1.7", 8, "PDF", false},
		{0,
		 "\x7f"
		 "ELF",
		 4, "ELF", false},
		{0x202, "HdrS", 4, "Linux kernel", false},
		{0, "MZ\x90", 3, "a program", false},
		{0, "name: web\nmemory: 2048\n", 23, "a text", true},
		{0, "#!/bin/sh\n", 10, "a text", true},
		{0, "gr\xc3\xbc\xc3\x9f\n", 7, "a text", true},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		struct disk_content c;

		blank();
		put(cases[i].at, cases[i].bytes, cases[i].n);
		c = read_disk();
		if (!c.other || !strstr(c.other, cases[i].what))
			fail_msg("case %zu is %s", i, c.other ? c.other : "not told");
		if (cases[i].alone)
			continue;
		noise();
		put(cases[i].at, cases[i].bytes, cases[i].n);
		c = read_disk();
		if (!c.other || !strstr(c.other, cases[i].what))
			fail_msg("case %zu in noise is %s", i, c.other ? c.other : "not told");
	}
}

static void disks_are_told(void **state)
{
	static const struct {
		size_t at;
		const char *bytes;
		size_t n;
	} cases[] = {
		{510, "\x55\xaa", 2},	{512, "EFI PART", 8},	  {512, "LABELONE", 8},	  {1080, "\x53\xef", 2},	 {0, "XFSB", 4},
		{65600, "_BHRfS_M", 8}, {4086, "SWAPSPACE2", 10}, {0, "LUKS\xba\xbe", 6}, {4096, "\xfc\x4e\x2b\xa9", 4},
	};
	size_t i;

	(void)state;
	blank();
	assert_true(read_disk().is_disk);
	noise();
	assert_false(read_disk().is_disk);
	assert_null(read_disk().other);
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		noise();
		put(cases[i].at, cases[i].bytes, cases[i].n);
		if (!read_disk().is_disk || read_disk().other)
			fail_msg("case %zu is not a disk", i);
	}
	/* code of a boot sector may begin like something else, whose signature is short */
	blank();
	boot_sector("MZ");
	assert_true(read_disk().is_disk);
	assert_null(read_disk().other);
}

static void what_firmware_boots_from_it_is_told(void **state)
{
	(void)state;
	blank();
	gpt(512, 0x1ffff, ESP, 0);
	assert_true(read_disk().uefi_boots);
	assert_false(read_disk().bios_boots);
	boot_sector("\xeb\x63\x90GRUB");
	assert_true(read_disk().bios_boots);
	/* Windows writes its code to each disk, and starts with it a partition that is active alone */
	blank();
	boot_sector(WINDOWS);
	disk[6] = 0x7c;
	gpt(512, 0x1ffff, ESP, 0);
	assert_false(read_disk().bios_boots);
	partition(1, 0x80, 0x07, 2048, 2048);
	assert_true(read_disk().bios_boots);
	blank();
	boot_sector(WINDOWS);
	disk[6] = 0x7c;
	gpt(512, 0x1ffff, ESP, 4);
	assert_true(read_disk().bios_boots);
	blank();
	boot_sector(WINDOWS);
	disk[6] = 0x7c;
	gpt(512, 0x1ffff, BIOS_BOOT, 0);
	assert_true(read_disk().bios_boots);
	assert_false(read_disk().uefi_boots);
	/* MBR: an EFI system partition, one of FAT, and none */
	blank();
	boot_sector("");
	partition(0, 0, 0xef, 2048, 2048);
	assert_true(read_disk().uefi_boots);
	assert_false(read_disk().bios_boots);
	blank();
	boot_sector("\xfa");
	partition(0, 0x80, 0x0c, 2048, 2048);
	assert_false(read_disk().uefi_boots);
	assert_true(read_disk().uefi_could_boot);
	assert_true(read_disk().bios_boots);
	partition(0, 0x80, 0x83, 2048, 2048);
	assert_false(read_disk().uefi_could_boot);
	/* a leftover of a GPT */
	put(512, "EFI PART", 8);
	assert_int_equal(read_disk().sector, 0);
}

static void how_large_the_disk_was_is_told(void **state)
{
	(void)state;
	blank();
	assert_int_equal(read_disk().end, 0);
	gpt(512, 0x1ffff, ESP, 0);
	assert_int_equal(read_disk().end, 64 << 20);
	assert_int_equal(read_disk().sector, 512);
	blank();
	gpt(4096, 0x3fff, ESP, 0);
	assert_int_equal(read_disk().end, 64 << 20);
	assert_int_equal(read_disk().sector, 4096);
	assert_true(read_disk().uefi_boots);
	blank();
	boot_sector("\xfa");
	partition(0, 0x80, 0x83, 2048, 2048);
	partition(2, 0, 0x82, 4096, 4096);
	assert_int_equal(read_disk().end, 8192 * 512);
	/* a boot sector without partitions: what is there is text */
	memset(disk + 446, 'x', 64);
	assert_int_equal(read_disk().end, 0);
	/* ext4 of 1024 blocks of 4096 bytes */
	blank();
	put(1080, "\x53\xef", 2);
	put_le32(1028, 1024);
	put_le32(1048, 2);
	assert_int_equal(read_disk().end, 4 << 20);
	put_le32(1048, 100);
	assert_int_equal(read_disk().end, 0);
	blank();
	put(0, "XFSB\0\0\x10\0\0\0\0\0\0\0\4\0", 16);
	assert_int_equal(read_disk().end, 4 << 20);
}

/* Entries of a GPT that lie outside, and of lengths that nothing has. */
static void nonsense_is_survived(void **state)
{
	static const struct {
		size_t at;
		uint32_t value;
	} cases[] = {{72, 0xffffffff}, {76, 0xffffffff}, {80, 0xffffffff}, {84, 0},
		     {84, 0xffffffff}, {84, 4096},	 {32, 0xffffffff}, {36, 0xffffffff}};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		blank();
		gpt(512, 100, ESP, 0);
		put_le32(512 + cases[i].at, cases[i].value);
		read_disk();
	}
}

/* However few bytes there are, also where what they say lies behind them. */
static void nothing_is_read_behind_the_end(void **state)
{
	static const struct {
		size_t at;
		const char *bytes;
		size_t n;
	} beginnings[] = {{0, "\xeb\x63\x90GRUB", 7}, {1080, "\x53\xef", 2}, {0, "XFSB", 4}, {0, "text\n", 5}, {4096, "EFI PART", 8}};
	size_t i, n;

	(void)state;
	for (n = 0; n <= 2048; n++) {
		blank();
		gpt(512, 100, ESP, 0);
		read_part(n);
		put_le32(512 + 72, 3); /* the entries of the GPT begin where the bytes end, or one before */
		put_le32(512 + 84, 1024);
		read_part(n);
		for (i = 0; i < ARRAY_LEN(beginnings); i++) {
			blank();
			put(beginnings[i].at, beginnings[i].bytes, beginnings[i].n);
			put(510, "\x55\xaa", 2);
			read_part(n);
			noise();
			put(beginnings[i].at, beginnings[i].bytes, beginnings[i].n);
			read_part(n);
		}
	}
	for (n = 8192; n <= 16384; n += 128) {
		blank();
		gpt(4096, 100, ESP, 0);
		read_part(n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_that_are_not_disks_are_told),
		cmocka_unit_test(disks_are_told),
		cmocka_unit_test(what_firmware_boots_from_it_is_told),
		cmocka_unit_test(how_large_the_disk_was_is_told),
		cmocka_unit_test(nonsense_is_survived),
		cmocka_unit_test(nothing_is_read_behind_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
