/* test-hooks.c: programs of a host's owner: what they say when they refuse. */
#include "hooks.h"
#include "util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64];

static int setup(void **state)
{
	AUTO_FREE char *hooks = NULL;

	(void)state;
	strcpy(dir, "/tmp/vmferry-test-hooks.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	hooks = xasprintf("%s/before.d", dir);
	return mkdir(hooks, 0700) || setenv("VMFERRY_HOOKS", dir, 1);
}

static int teardown(void **state)
{
	AUTO_FREE char *rm = xasprintf("rm -rf '%s'", dir);

	(void)state;
	return system(rm);
}

/* Why that hook, which prints, refuses. */
static void refuses(const char *prints, struct err *e)
{
	AUTO_FREE char *path = xasprintf("%s/before.d/10-hook", dir);
	json_auto_t *event = json_object();
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	fprintf(f, "#!/bin/sh\n%s\nexit 1\n", prints);
	fclose(f);
	assert_int_equal(chmod(path, 0700), 0);
	assert_int_equal(hooks_run("before.d", &(struct hook_about){.guest = "vm1"}, event, e), -EACCES);
}

static void its_last_line_is_the_reason(void **state)
{
	struct err e;

	(void)state;
	refuses("echo one; echo two", &e);
	assert_non_null(strstr(e.msg, "(exit code 1): two"));
	assert_null(strstr(e.msg, "one"));
	refuses("printf 'one\\ntwo'", &e);
	assert_non_null(strstr(e.msg, "(exit code 1): two"));
}

static void a_long_line_hides_no_later_one(void **state)
{
	struct err e;

	(void)state;
	refuses("printf '%0511d\\n' 0; echo the rack is full", &e);
	assert_non_null(strstr(e.msg, "(exit code 1): the rack is full"));
	refuses("printf '%02000d\\n' 0; echo the rack is full", &e);
	assert_non_null(strstr(e.msg, "(exit code 1): the rack is full"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(its_last_line_is_the_reason, setup, teardown),
		cmocka_unit_test_setup_teardown(a_long_line_hides_no_later_one, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
