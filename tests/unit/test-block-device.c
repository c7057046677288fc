/* test-block-device.c: what any host calls the same block device by, from a sysfs of the test's own. */
#include "block-device.h"
#include "util.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cmocka.h>

static char sys[] = "/tmp/vmferry-test-XXXXXX";
#define DEVICE makedev(8, 3)

static void put(const char *name, const char *text)
{
	AUTO_FREE char *path = NULL;
	char *slash;
	FILE *f;

	path = xasprintf("%s/dev/block/8:3/%s", sys, name);
	for (slash = strchr(path + strlen(sys), '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (*path)
			mkdir(path, 0700);
		*slash = '/';
	}
	if (!text) {
		unlink(path);
		return;
	}
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void expect(const char *want)
{
	AUTO_FREE char *got = block_device_identity_in(sys, DEVICE);

	if (want)
		assert_string_equal(got, want);
	else
		assert_null(got);
}

static void a_device_is_known_by_what_it_is(void **state)
{
	(void)state;
	put("size", "1\n");
	expect(NULL);
	put("device/wwid", "naa.600140500000000000000000000000a1\n");
	expect("naa.600140500000000000000000000000a1");
	put("wwid", "eui.0000000000000001\n");
	expect("eui.0000000000000001");
	put("dm/uuid", "LVM-abc\n");
	expect("LVM-abc");
	put("dm/uuid", "\n"); /* a device mapper's without one */
	expect("eui.0000000000000001");
}

static void a_partition_is_a_part_of_what_has_a_name(void **state)
{
	(void)state;
	put("partition", "2\n");
	put("../wwid", "eui.0000000000000002\n");
	expect("eui.0000000000000002 part 2");
	put("partition", "3\n");
	expect("eui.0000000000000002 part 3");
	put("../wwid", NULL);
	expect(NULL);
}

static void expect_here(const char *want)
{
	AUTO_FREE char *got = block_device_here(sys, DEVICE);

	assert_string_equal(got, want);
}

/* A device is known by what it is made of, even if its number was another device's a moment ago. */
static void a_device_is_known_here_by_what_it_is_made_of(void **state)
{
	AUTO_FREE char *one = xasprintf("%s/one", sys), *two = xasprintf("%s/two", sys), *loop = NULL, *first = NULL, *part = NULL;

	(void)state;
	put("device/wwid", NULL);
	put("wwid", NULL);
	put("partition", NULL);
	put("dm/uuid", "LVM-abc\n");
	expect_here("LVM-abc");
	put("dm/uuid", NULL);
	expect_here("8:3");
	close(open(one, O_WRONLY | O_CREAT, 0600));
	close(open(two, O_WRONLY | O_CREAT, 0600));
	put("loop/backing_file", one);
	first = block_device_here(sys, DEVICE);
	put("loop/offset", "4096\n");
	loop = block_device_here(sys, DEVICE);
	assert_int_equal(strncmp(first, "loop-", 5), 0);
	assert_string_not_equal(first, loop);
	put("loop/backing_file", two);
	put("loop/offset", NULL);
	part = block_device_here(sys, DEVICE);
	assert_string_not_equal(part, first);
	put("loop/backing_file", "/gone (deleted)");
	expect_here("8:3");
	put("loop/backing_file", NULL);
	put("../loop/backing_file", two);
	put("partition", "1\n");
	loop = (free(loop), block_device_here(sys, DEVICE));
	assert_int_equal(strncmp(loop, part, strlen(part)), 0); /* a part of the same device */
	assert_string_equal(loop + strlen(part), "-1");
	put("partition", NULL);
	unlink(one);
	unlink(two);
}

static void what_is_no_block_device_has_none(void **state)
{
	AUTO_FREE char *none = block_device_identity("/"), *gone = block_device_identity("/nowhere/x");

	(void)state;
	assert_null(none);
	assert_null(gone);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_device_is_known_by_what_it_is),
		cmocka_unit_test(a_partition_is_a_part_of_what_has_a_name),
		cmocka_unit_test(a_device_is_known_here_by_what_it_is_made_of),
		cmocka_unit_test(what_is_no_block_device_has_none),
	};
	AUTO_FREE char *clean = NULL;
	int failed;

	if (!mkdtemp(sys))
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	clean = xasprintf("rm -rf %s", sys);
	return system(clean) || failed;
}
