/* test-qemu-find.c: the QEMU that a person has named is taken, or none; one that the guest merely runs in is looked for. */
#include "qemu-find.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char *found(const char *exe, bool only)
{
	struct err e;
	char *path = qemu_find(exe, only, &e);

	if (!path) {
		assert_int_equal(e.code, ENOENT);
		assert_non_null(strstr(e.msg, exe));
	}
	return path;
}

static void finds(const char *exe, bool only, const char *there)
{
	AUTO_FREE char *path = found(exe, only);

	assert_non_null(path);
	assert_string_equal(path, there);
}

static void finds_none(const char *exe, bool only)
{
	assert_null(found(exe, only));
}

static void what_is_there_is_taken(void **state)
{
	(void)state;
	finds("/usr/bin/env", false, "/usr/bin/env");
	finds("/usr/bin/env", true, "/usr/bin/env");
}

static void what_the_guest_runs_in_is_looked_for(void **state)
{
	(void)state;
	finds("/no/such/env", false, "/usr/bin/env");
	finds_none("/no/such/program-that-nobody-has", false);
	finds_none("/no/such/", false);
}

static void what_a_person_has_named_is_not_taken_for_another(void **state)
{
	(void)state;
	finds_none("/no/such/env", true);
}

static void a_directory_is_no_program(void **state)
{
	(void)state;
	finds_none("/usr/bin", true);
	finds_none("/no/such/..", false);
}

static char tree[] = "/tmp/vmferry-qemu-find-XXXXXX";

static char *put_program(const char *name)
{
	char *path = xasprintf("%s/%s", tree, name);
	int fd = open(path, O_WRONLY | O_CREAT, 0755);

	assert_true(fd >= 0);
	close(fd);
	return path;
}

static void finds_in_tree(const char *exe, const char *there)
{
	AUTO_FREE char *places = xasprintf("/nowhere, %s", tree);
	struct err e;
	AUTO_FREE char *path = qemu_find_among(places, exe, false, &e);

	if (!there)
		assert_null(path);
	else
		assert_string_equal(path, there);
}

static void it_is_found_under_the_names_of_other_distributions(void **state)
{
	AUTO_FREE char *kvm = NULL, *rhel = NULL, *usual = NULL;

	(void)state;
	assert_non_null(mkdtemp(tree));
	finds_in_tree("/no/such/qemu-system-x86_64", NULL);
	kvm = put_program("kvm");
	finds_in_tree("/no/such/qemu-system-x86_64", kvm);
	rhel = put_program("qemu-kvm");
	finds_in_tree("/no/such/qemu-system-x86_64", rhel);
	finds_in_tree("/no/such/kvm", kvm);
	finds_in_tree("/no/such/qemu-system-i386", NULL);
	finds_in_tree("/no/such/qemu-system-aarch64", NULL);
	usual = put_program("qemu-system-x86_64");
	finds_in_tree("/no/such/qemu-system-x86_64", usual);
	finds_in_tree("/no/such/qemu-kvm", rhel);
	unlink(rhel);
	finds_in_tree("/no/such/qemu-kvm", usual);
	unlink(kvm), unlink(usual), rmdir(tree);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_there_is_taken),
		cmocka_unit_test(what_the_guest_runs_in_is_looked_for),
		cmocka_unit_test(what_a_person_has_named_is_not_taken_for_another),
		cmocka_unit_test(a_directory_is_no_program),
		cmocka_unit_test(it_is_found_under_the_names_of_other_distributions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
