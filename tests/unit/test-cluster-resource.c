/* test-cluster-resource.c: a guest is Pacemaker's if the agent's file is of this very process; a file that cannot be understood is not taken for none. */
#include "cluster-resource.h"
#include "options.h"
#include "source.h"
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

#define PID 4711

static char dir[] = "/tmp/vmferry-test-owner.XXXXXX";

static int setup(void **state)
{
	AUTO_FREE char *owners = NULL;

	(void)state;
	if (!mkdtemp(dir))
		return -1;
	owners = xasprintf("%s/owners", dir);
	setenv("VMFERRY_RUNTIME_DIR", dir, 1);
	return mkdir(owners, 0700);
}

static int teardown(void **state)
{
	AUTO_FREE char *cmd = xasprintf("rm -rf '%s'", dir);

	(void)state;
	return system(cmd);
}

static void note(const char *text, mode_t mode)
{
	AUTO_FREE char *path = xasprintf("%s/owners/%d", dir, PID);
	FILE *f;

	unlink(path);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(chmod(path, mode), 0);
}

static void assert_resource(const char *text, const char *expected)
{
	AUTO_FREE char *found = NULL;

	note(text, 0600);
	found = cluster_resource_of(PID, 12345);
	if (expected)
		assert_string_equal(found, expected);
	else
		assert_null(found);
}

static void a_file_is_of_one_process(void **state)
{
	(void)state;
	assert_resource("pacemaker 12345 vm1-rsc:0\n", "vm1-rsc:0");
	assert_resource("pacemaker 12346 vm1-rsc\n", NULL);
	assert_null(cluster_resource_of(PID + 1, 12345));
}

static void what_cannot_be_understood_is_a_resource(void **state)
{
	static const char *const texts[] = {"",
					    "pacemaker",
					    "pacemaker  vm1\n",
					    "pacemaker 12345 \n",
					    "pacemaker 12345 vm1",
					    "pacemaker 12345 a b\n",
					    "pacemaker 12345 a\033[31m\n",
					    "another 12345 vm1\n",
					    "pacemaker 12345\n"};
	AUTO_FREE char *found = NULL;
	char text[300] = "pacemaker 12345 ";
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(texts); i++)
		assert_resource(texts[i], RESOURCE_UNREADABLE);
	memset(text + strlen(text), 'a', 256);
	text[16 + 256] = '\n';
	assert_resource(text, RESOURCE_UNREADABLE);
	note("pacemaker 12345 vm1\n", 0622); /* others may write to it */
	found = cluster_resource_of(PID, 12345);
	assert_string_equal(found, RESOURCE_UNREADABLE);
}

static void only_the_cluster_moves_its_guest(void **state)
{
	char name[] = "vm1", resource[] = "rsc1";
	struct guest g = {.name = name, .pid = getpid(), .resource = resource};
	struct move_options o = {.how = HOW_LIVE};
	struct err e;

	(void)state;
	assert_int_equal(source_check_owner(&g, &o, &e), -EPERM);
	assert_non_null(strstr(e.msg, "crm_resource --move --resource rsc1 --node"));
	o.how = HOW_WARM;
	assert_int_equal(source_check_owner(&g, &o, &e), -EPERM);
	o.how = HOW_DISKS; /* the guest stays */
	assert_int_equal(source_check_owner(&g, &o, &e), 0);
	o = (struct move_options){.owner = OWNER_PACEMAKER};
	assert_int_equal(source_check_owner(&g, &o, &e), 0);
	g.resource = NULL;
	o.owner = OWNER_USER;
	assert_int_equal(source_check_owner(&g, &o, &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_is_of_one_process),
		cmocka_unit_test(what_cannot_be_understood_is_a_resource),
		cmocka_unit_test(only_the_cluster_moves_its_guest),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
