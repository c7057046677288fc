/* test-rom-sizes.c: how large the ROMs of a played QEMU are, and whether another's are as large. */
#include "rom-sizes.h"
#include "util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../lib/played-qemu.h"

static const char *blocks;

static json_t *carry_out(const char *command, const json_t *args)
{
	if (!strcmp(command, "qmp_capabilities"))
		return done(json_object());
	if (strcmp(command, "human-monitor-command") != 0)
		return error("not played");
	return done(json_string(strstr(json_string_value(json_object_get(args, "command-line")), "ramblock") ? blocks : ""));
}

#define ROW(name, used) name "  4 KiB  0x0000000010180000 " used " " used " 0x00007f0e3c400000 rw\n"

static void assert_sizes(const char *told, const char *expected)
{
	json_t *sizes = NULL, *want = json_loads(expected, 0, NULL);

	blocks = told;
	assert_int_equal(played_begin(carry_out), 0);
	assert_int_equal(rom_sizes_ask(q, &sizes, &e), 0);
	if (!json_equal(sizes, want))
		fail_msg("it is %s", json_dumps(sizes, 0));
	json_decref(sizes);
	json_decref(want);
	played_end();
}

static void roms_are_found_among_the_blocks(void **state)
{
	(void)state;
	assert_sizes(
		"              Block Name    PSize              Offset               Used              Total                HVA  RO\n" ROW(
			"pc.ram", "0x0000000010000000") ROW("pc.bios", "0x0000000000040000")
			ROW("0000:00:02.0/virtio-net-pci.rom", "0x0000000000080000") ROW("/rom@etc/acpi/tables", "0x0000000000020000"),
		"{\"pc.bios\": 262144, \"0000:00:02.0/virtio-net-pci.rom\": 524288}");
	assert_sizes("nothing that it knows", "{}");
}

static void assert_misfit(const char *used, const char *there, bool without_bios, const char *words)
{
	json_t *has = json_loads(used, 0, NULL), *other = json_loads(there, 0, NULL);
	AUTO_FREE char *got = rom_sizes_misfit(has, other, without_bios);

	if (!words)
		assert_null(got);
	else
		assert_non_null(got && strstr(got, words) ? got : NULL);
	json_decref(has);
	json_decref(other);
}

static void a_rom_of_another_size_is_told(void **state)
{
	(void)state;
	assert_misfit("{\"a/vga.rom\": 65536}", "{\"a/vga.rom\": 65536}", false, NULL);
	assert_misfit("{\"a/vga.rom\": 65536}", "{\"a/vga.rom\": 32768}", false,
		      "65536 bytes (a/vga.rom), and that QEMU's is of 32768 bytes");
	assert_misfit("{\"a/vga.rom\": 32768}", "{\"a/vga.rom\": 65536}", false, "32768 bytes (a/vga.rom)");
	assert_misfit("{\"a/vga.rom\": 65536}", "{\"b/vga.rom\": 32768}", false, NULL);
	assert_misfit("{}", "{\"b/vga.rom\": 32768}", false, NULL);
	assert_misfit("{\"pc.bios\": 262144}", "{\"pc.bios\": 131072}", false, "262144 bytes (pc.bios)");
	assert_misfit("{\"pc.bios\": 262144}", "{\"pc.bios\": 131072}", true, NULL);
	assert_misfit("{\"pc.bios\": 262144, \"a/b.rom\": 1}", "{\"pc.bios\": 131072, \"a/b.rom\": 2}", true, "(a/b.rom)");
}

/* A peer may say anything. */
static void nonsense_says_nothing(void **state)
{
	(void)state;
	assert_misfit("{\"pc.ram\": 1, \"a.rom\": \"x\", \"b.rom\": -1}", "{\"pc.ram\": 2, \"a.rom\": 2, \"b.rom\": 2}", false, NULL);
	assert_misfit("[1]", "{\"a.rom\": 2}", false, NULL);
	assert_null(rom_sizes_misfit(NULL, NULL, false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(roms_are_found_among_the_blocks),
		cmocka_unit_test(a_rom_of_another_size_is_told),
		cmocka_unit_test(nonsense_says_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
