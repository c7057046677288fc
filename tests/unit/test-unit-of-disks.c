/* test-unit-of-disks.c: which unit would start a guest, wherever systemd has it from, against a systemctl that is played here. */
#include "unit-of-disks.h"
#include "util.h"

#include <libgen.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/unit-of-disks-XXXXXX";
static char *argv[] = {NULL, NULL, NULL, NULL};
static struct guest guest = {.name = (char *)(uintptr_t) "a", .line = {.argv = argv, .argc = 3}};

/* The text has the directory in place of each "DIR". */
static char *put(const char *name, mode_t mode, const char *text)
{
	char *path = xasprintf("%s/%s", dir, name);
	AUTO_FREE char *copy = xstrdup(path), *mkdir = xasprintf("mkdir -p %s", dirname(copy));
	FILE *f;

	assert_int_equal(system(mkdir), 0);
	f = fopen(path, "we");
	assert_non_null(f);
	for (; *text; text++)
		if (!strncmp(text, "DIR", 3)) {
			fputs(dir, f);
			text += 2;
		} else {
			fputc(*text, f);
		}
	fclose(f);
	assert_int_equal(chmod(path, mode), 0);
	return path;
}

/* Sets what systemctl shows of a unit. */
static void shows(const char *unit, const char *state, const char *fragment)
{
	AUTO_FREE char *name = xasprintf("shown/%s", unit);
	AUTO_FREE char *text = xasprintf("LoadState=loaded\nUnitFileState=%s\nFragmentPath=DIR/%s\n", state, fragment);

	free(put(name, 0600, text));
}

static int begin(void **state)
{
	AUTO_FREE char *path = NULL, *image = NULL, *systemctl = NULL, *shown = NULL;

	(void)state;
	if (!mkdtemp(dir))
		return -1;
	path = xasprintf("%s/bin:/usr/bin:/bin", dir);
	setenv("PATH", path, 1);
	setenv("XDG_CONFIG_HOME", dir, 1);
	systemctl = put("bin/systemctl", 0700, "#!/bin/sh\nfor last; do :; done\ncat DIR/shown/$last\n");
	shown = put("shown/UnitPath", 0600, "UnitPath=DIR/etc DIR/run DIR/lib\n");
	image = put("vm/a.raw", 0600, "");
	free(put("vm/start", 0700, "#!/bin/bash\nfor i; do :; done\nqemu-system-x86_64 -hda DIR/vm/a.raw\n"));
	argv[0] = (char *)(uintptr_t) "qemu-system-x86_64";
	argv[1] = (char *)(uintptr_t) "-drive";
	argv[2] = xasprintf("file=%s,format=raw", image);
	return 0;
}

static int end(void **state)
{
	AUTO_FREE char *rm = xasprintf("rm -r %s", dir);

	(void)state;
	free(argv[2]);
	return system(rm);
}

/* The unit that is found while there is that file. */
static void expect(const char *unit, const char *name, const char *text)
{
	AUTO_FREE char *path = put(name, 0600, text), *found = unit_of_disks(&guest, true, NULL);

	if (unit)
		assert_string_equal(found ?: "", unit);
	else
		assert_null(found);
	unlink(path);
}

static void a_unit_is_found_in_each_directory(void **state)
{
	static const char *const dirs[] = {"etc", "run", "lib"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		AUTO_FREE char *name = xasprintf("%s/vm.service", dirs[i]);

		shows("vm.service", "enabled", name);
		expect("vm.service", name, "[Service]\nExecStart=DIR/vm/start\n");
		expect("vm.service", name, "[Service]\nExecStart=/usr/bin/qemu-system-x86_64 -hda DIR/vm/a.raw\n");
		expect(NULL, name, "[Service]\nExecStart=/bin/cat DIR/vm/a.raw\n");
		shows("vm.service", "disabled", name);
		expect(NULL, name, "[Service]\nExecStart=DIR/vm/start\n");
	}
}

/* Another file is the unit of that name. */
static void a_file_that_systemd_does_not_read_is_none(void **state)
{
	AUTO_FREE char *other = put("etc/vm.service", 0600, "[Service]\nExecStart=/bin/true\n");

	(void)state;
	shows("vm.service", "enabled", "etc/vm.service");
	expect(NULL, "lib/vm.service", "[Service]\nExecStart=DIR/vm/start\n");
	expect("vm.service", "etc/vm.service.d/x.conf", "[Service]\nExecStart=\nExecStart=DIR/vm/start\n");
	unlink(other);
}

static void an_instance_of_a_template_is_one(void **state)
{
	AUTO_FREE char *template = put("lib/vm@.service", 0600, "[Service]\nExecStart=/usr/bin/qemu-system-x86_64 -hda DIR/vm/%i.raw\n");
	AUTO_FREE char *wants = xasprintf("%s/etc/multi-user.target.wants", dir);
	AUTO_FREE char *a = xasprintf("%s/vm@a.service", wants), *b = xasprintf("%s/vm@b.service", wants), *found = NULL;

	(void)state;
	shows("vm@a.service", "enabled", "lib/vm@.service");
	shows("vm@b.service", "enabled", "lib/vm@.service");
	shows("vm@.service", "indirect", "lib/vm@.service");
	assert_int_equal(mkdir(wants, 0700), 0);
	assert_int_equal(symlink(template, b), 0);
	assert_null(unit_of_disks(&guest, true, NULL));
	assert_int_equal(symlink(template, a), 0);
	found = unit_of_disks(&guest, true, NULL);
	assert_string_equal(found, "vm@a.service");
	assert_null(unit_of_disks(&guest, true, "vm@a.service"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_unit_is_found_in_each_directory),
		cmocka_unit_test(a_file_that_systemd_does_not_read_is_none),
		cmocka_unit_test(an_instance_of_a_template_is_one),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
