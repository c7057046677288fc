/* test-guest-scripts.c: which images, and which scripts beside them, a guest could be started from again. */
#include "guest-scripts.h"
#include "util.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/guest-scripts-XXXXXX";

static char *put(const char *name, const char *text)
{
	char *path = xasprintf("%s/%s", dir, name);
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	return path;
}

/* The guest's line has what no move carries: a directory that becomes its root. The guest's disk counts all the same, and so does a script that starts it. */
static void what_cannot_be_moved_hides_no_image(void **state)
{
	AUTO_FREE char *image = put("a.raw", ""), *drive = xasprintf("file=%s,format=raw,if=virtio", image);
	AUTO_FREE char *text = xasprintf("#!/bin/sh\nexec qemu-system-x86_64 -drive %s -device vfio-pci,host=01:00.0\n", drive);
	AUTO_FREE char *script = put("start.sh", text);
	char *argv[] = {"qemu-system-x86_64", "-drive", drive, "-chroot", "/srv", NULL};
	struct guest g = {.name = "a", .line = {.argv = argv, .argc = ARRAY_LEN(argv) - 1}};
	struct guest_scripts found;
	struct args_result line;
	char **images;
	struct err e;
	size_t n;

	(void)state;
	assert_true(guest_read_line(&g, true, &line, &e) < 0);
	n = guest_images(&g, &images);
	assert_int_equal(n, 1);
	assert_string_equal(images[0], image);
	guest_scripts_find(&found, &g, (const char *const *)images, n);
	assert_int_equal(found.count, 1);
	assert_string_equal(found.list[0].path, script);
	guest_scripts_fini(&found);
	args_free_strings(images, n);
	unlink(image);
	unlink(script);
}

static int begin(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_cannot_be_moved_hides_no_image),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
