/* test-qemu-plugged.c: what was plugged in while the guest ran, as it is written into its line, against a QEMU that is played here. */
#include "qemu-discover.h"
#include "obstacles.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../lib/played-qemu.h"

static struct {
	const char *type, *drive; /* type and drive of the device that was plugged in */
	const char *nodes, *drives;
	const char *bus; /* bus of the device called "under"; NULL: the same as the others' */
} qemu;

static struct guest guest;

/* ---- QEMU's side ---- */

static json_t *text(const char *json)
{
	json_t *value = json_loads(json, 0, NULL);

	if (!value)
		abort();
	return done(value);
}

static json_t *answer(const char *command, const json_t *args)
{
	const char *property = json_string_value(json_object_get(args, "property"));

	if (!strcmp(command, "device-list-properties"))
		return text("[{\"name\": \"drive\", \"type\": \"str\"}]");
	if (!strcmp(command, "qom-get") && qemu.bus && !strcmp(property, "parent_bus") &&
	    strstr(json_string_value(json_object_get(args, "path")), "/under"))
		return done(json_string(qemu.bus));
	if (!strcmp(command, "qom-get"))
		return done(json_string(strcmp(property, "drive") ? "/machine/q35/pcie.0" : qemu.drive));
	if (!strcmp(command, "query-named-block-nodes"))
		return text(qemu.nodes);
	if (!strcmp(command, "query-block"))
		return text(qemu.drives);
	return done(json_object());
}

static int setup(void **state)
{
	(void)state;
	memset(&qemu, 0, sizeof(qemu));
	qemu.nodes = qemu.drives = "[]";
	memset(&guest, 0, sizeof(guest));
	return played_begin(answer);
}

static int teardown(void **state)
{
	(void)state;
	guest_fini(&guest);
	played_end();
	return 0;
}

/* The options that are written for one that was plugged in. */
static int write_in(const char *type, const char *drive)
{
	json_t *todo = json_pack("{s:s}", "vd2", type);
	int r;

	guest_fini(&guest);
	memset(&guest, 0, sizeof(guest));
	qemu.type = type;
	qemu.drive = drive;
	r = guest_write_in_plugged(&guest, q, todo, NULL, &e);
	json_decref(todo);
	return r;
}

static void assert_written(const char *option, const char *value)
{
	if (guest.line.argc != 4)
		fail_msg("%zu words", guest.line.argc);
	assert_string_equal(guest.line.argv[0], option);
	assert_string_equal(guest.line.argv[1], value);
	assert_string_equal(guest.line.argv[2], "-device");
	assert_string_equal(guest.line.expanded[1], value);
	assert_int_equal(guest.line.written_in, 4);
}

/* ---- disks ---- */

#define NODE(more) "[{\"node-name\": \"n2\", \"drv\": \"raw\", \"file\": \"/nowhere.raw\", " more "}]"
#define DRIVE(more)                                                                                                                        \
	"[{\"device\": \"dr3\", \"inserted\": {\"node-name\": \"#block1\", \"drv\": \"qcow2\", \"file\": \"/nowhere.qcow2\", " more "}}]"
#define CACHED(writeback, direct, no_flush) "\"cache\": {\"writeback\": " writeback ", \"direct\": " direct ", \"no-flush\": " no_flush "}"

static void a_node_is_written_as_it_is_used(void **state)
{
	static const struct {
		const char *node, *written;
	} cases[] = {
		{NODE("\"ro\": false, " CACHED("true", "false", "false")),
		 "driver=raw,node-name=n2,cache.direct=off,cache.no-flush=off,detect-zeroes=off,file.driver=file,file.filename=/nowhere.raw"},
		{NODE("\"ro\": true, \"detect_zeroes\": \"on\", " CACHED("true", "true", "false")),
		 "driver=raw,node-name=n2,cache.direct=on,cache.no-flush=off,detect-zeroes=on,read-only=on,file.driver=file,"
		 "file.filename=/nowhere.raw"},
		{NODE("\"ro\": false, \"detect_zeroes\": \"unmap\", " CACHED("true", "false", "true")),
		 "driver=raw,node-name=n2,cache.direct=off,cache.no-flush=on,detect-zeroes=unmap,discard=unmap,file.driver=file,"
		 "file.filename=/nowhere.raw"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		qemu.nodes = cases[i].node;
		if (write_in("virtio-blk-pci", "n2"))
			fail_msg("%s", e.msg);
		assert_written("-blockdev", cases[i].written);
		assert_string_equal(guest.line.argv[3], "virtio-blk-pci,id=vd2,bus=pcie.0,drive=n2");
	}
}

/* A libvirt that leaves out the node of the format has plugged it in; of another guest that means something else. */
static void a_raw_image_of_libvirts_needs_no_node_of_its_format(void **state)
{
	json_t *todo = json_pack("{s:s}", "vd2", "virtio-blk-pci");

	(void)state;
	qemu.nodes = "[{\"node-name\": \"n2\", \"drv\": \"file\", \"file\": \"/nowhere.raw\", \"ro\": false, " CACHED("true", "false",
														      "false") "}]";
	assert_int_equal(write_in("virtio-blk-pci", "n2"), -ENOTSUP);
	guest.owner_hint = xstrdup("libvirt");
	if (guest_write_in_plugged(&guest, q, todo, NULL, &e))
		fail_msg("%s", e.msg);
	json_decref(todo);
	assert_written(
		"-blockdev",
		"driver=raw,node-name=n2,cache.direct=off,cache.no-flush=off,detect-zeroes=off,file.driver=file,file.filename=/nowhere.raw");
}

static void a_drive_is_written_as_it_is_used(void **state)
{
	static const struct {
		const char *type, *drive, *written;
	} cases[] = {
		{"scsi-hd", DRIVE("\"ro\": false, " CACHED("false", "false", "false")),
		 "file=/nowhere.qcow2,format=qcow2,if=none,id=dr3,cache.writeback=off,cache.direct=off,cache.no-flush=off,detect-zeroes=off"},
		{"scsi-hd", DRIVE("\"ro\": true, " CACHED("true", "true", "true")),
		 "file=/nowhere.qcow2,format=qcow2,if=none,id=dr3,cache.writeback=on,cache.direct=on,cache.no-flush=on,detect-zeroes=off,"
		 "read-only=on"},
		{"scsi-cd", DRIVE("\"ro\": true, " CACHED("true", "false", "false")),
		 "file=/nowhere.qcow2,format=qcow2,if=none,id=dr3,cache.writeback=on,media=cdrom,cache.direct=off,cache.no-flush=off,"
		 "detect-zeroes=off,read-only=on"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		qemu.drives = cases[i].drive;
		if (write_in(cases[i].type, "dr3"))
			fail_msg("%s", e.msg);
		assert_written("-drive", cases[i].written);
	}
}

static void what_qemu_does_not_tell_enough_of_is_refused(void **state)
{
	static const struct {
		const char *nodes, *drives, *name, *why;
	} cases[] = {
		{NODE("\"encrypted\": true, " CACHED("true", "true", "false")), "[]", "n2", "its disk is encrypted by QEMU"},
		{"[{\"node-name\": \"n2\", \"drv\": \"null-co\"}]", "[]", "n2", "its disk is no raw or qcow2 image"},
		{"[]", DRIVE("\"iops_wr\": 7, " CACHED("true", "true", "false")), "dr3", "its drive is limited"},
		{"[]", "[]", "dr3", "QEMU does not tell what its disk is"},
		{"[]", "[]", "#block7", "its image was put in later"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		qemu.nodes = cases[i].nodes;
		qemu.drives = cases[i].drives;
		assert_int_equal(write_in("virtio-blk-pci", cases[i].name), -ENOTSUP);
		if (!strstr(e.msg, cases[i].why))
			fail_msg("%s", e.msg);
		assert_int_equal(guest.line.argc, 0);
	}
}

/* Devices that can be written are, with the list as without it; a device on the bus of one that cannot goes with that one. */
static void all_that_cannot_be_written_are_told(void **state)
{
	json_t *todo = json_pack("{s:s,s:s,s:s,s:s,s:s}", "a", "vfio-pci", "vd2", "virtio-blk-pci", "b", "pvscsi", "under", "scsi-hd", "c",
				 "virtio-blk-pci");
	struct obstacles found = {.list = NULL};
	size_t i, n = 0;

	(void)state;
	qemu.nodes = NODE(CACHED("true", "true", "false"));
	qemu.drive = "n2";
	qemu.bus = "/machine/peripheral/b/b.0";
	if (guest_write_in_plugged(&guest, q, todo, &found, &e))
		fail_msg("%s", e.msg);
	assert_int_equal(json_object_size(todo), 0);
	json_decref(todo);
	assert_int_equal(obstacles_count(&found), 2);
	assert_non_null(strstr(json_string_value(json_array_get(found.list, 0)), "device a (vfio-pci)"));
	assert_non_null(strstr(json_string_value(json_array_get(found.list, 1)), "device b (pvscsi)"));
	obstacles_fini(&found);
	for (i = 0; i < guest.line.argc; i++)
		n += !strncmp(guest.line.argv[i], "virtio-blk-pci,id=", 18);
	assert_int_equal(guest.line.argc, 6); /* their image, once, and both */
	assert_int_equal(n, 2);
}

/* Half of one that cannot be written does not stay. */
static void nothing_is_left_of_what_cannot_be_written(void **state)
{
	json_t *todo = json_pack("{s:s}", "u", "usb-storage");
	struct obstacles found = {.list = NULL};

	(void)state;
	qemu.nodes = NODE(CACHED("true", "true", "false"));
	qemu.drive = "n2";
	assert_int_equal(guest_write_in_plugged(&guest, q, todo, &found, &e), 0);
	json_decref(todo);
	assert_int_equal(obstacles_count(&found), 1);
	obstacles_fini(&found);
	assert_int_equal(guest.line.argc, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_node_is_written_as_it_is_used),	T(a_raw_image_of_libvirts_needs_no_node_of_its_format),
		T(a_drive_is_written_as_it_is_used),	T(what_qemu_does_not_tell_enough_of_is_refused),
		T(all_that_cannot_be_written_are_told), T(nothing_is_left_of_what_cannot_be_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
