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
#include <sys/stat.h>
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

static void finds_on(const char *machine, const char *exe, const char *there)
{
	AUTO_FREE char *places = xasprintf("/nowhere, %s, %s/libexec", tree, tree);
	struct qemu_host h = {machine, places};
	struct err e;
	AUTO_FREE char *path = qemu_find_among(&h, exe, false, &e);

	if (!there)
		assert_null(path);
	else
		assert_string_equal(path, there);
}

static void finds_in_tree(const char *exe, const char *there)
{
	finds_on("x86_64", exe, there);
}

static void it_is_found_under_the_names_of_other_distributions(void **state)
{
	AUTO_FREE char *kvm = NULL, *rhel = NULL, *usual = NULL;

	(void)state;
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
	unlink(kvm), unlink(usual);
}

/* A guest of each of these finds the QEMU of each other. */
static const struct {
	const char *where, *programs[2];
} distributions[] = {
	{"Ubuntu 24.04", {"qemu-system-x86_64", "kvm"}},      {"Fedora 40", {"qemu-system-x86_64", "qemu-kvm"}},
	{"openSUSE", {"qemu-system-x86_64", "qemu-kvm"}},     {"RHEL 9", {"libexec/qemu-kvm", NULL}},
	{"Arch", {"qemu-system-x86_64", "qemu-system-i386"}},
};

static void each_distribution_s_guests_find_each_other_s_qemu(void **state)
{
	static const char *const exes[] = {"/usr/bin/qemu-system-x86_64", "/usr/libexec/qemu-kvm", "/usr/bin/qemu-kvm", "/usr/bin/kvm"};
	size_t i, k;

	(void)state;
	for (i = 0; i < ARRAY_LEN(distributions); i++) {
		AUTO_FREE char *first = put_program(distributions[i].programs[0]);
		AUTO_FREE char *second = distributions[i].programs[1] ? put_program(distributions[i].programs[1]) : NULL;

		for (k = 0; k < ARRAY_LEN(exes); k++) {
			AUTO_FREE char *gone = xasprintf("/no/such%s", exes[k]);
			bool has_name = second && !strcmp(strrchr(exes[k], '/'), strrchr(second, '/'));

			finds_in_tree(gone, has_name ? second : first);
		}
		unlink(first);
		if (second)
			unlink(second);
	}
}

/* RHEL calls it so on each architecture. */
static void qemu_kvm_is_of_the_host_s_architecture(void **state)
{
	AUTO_FREE char *rhel = put_program("libexec/qemu-kvm"), *arm = NULL;

	(void)state;
	finds_on("aarch64", "/usr/bin/qemu-system-aarch64", rhel);
	finds_on("aarch64", "/no/such/qemu-system-x86_64", NULL);
	finds_on("x86_64", "/no/such/qemu-system-aarch64", NULL);
	unlink(rhel);
	arm = put_program("qemu-system-aarch64");
	finds_on("aarch64", "/usr/libexec/no-such/qemu-kvm", arm);
	finds_on("x86_64", "/usr/libexec/no-such/qemu-kvm", NULL);
	unlink(arm);
}

static void a_program_has_one_name_for_all_hosts(void **state)
{
	static const struct {
		const char *machine, *exe, *program;
	} cases[] = {{"x86_64", "/usr/libexec/qemu-kvm", "qemu-system-x86_64"},
		     {"x86_64", "/usr/bin/kvm", "qemu-system-x86_64"},
		     {"aarch64", "/usr/libexec/qemu-kvm", "qemu-system-aarch64"},
		     {"x86_64", "/opt/bin/qemu-system-aarch64", "qemu-system-aarch64"},
		     {"x86_64", "/opt/bin/my-qemu", NULL}};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_FREE char *program = qemu_find_program_on(&(struct qemu_host){.machine = cases[i].machine}, cases[i].exe);

		if (!cases[i].program)
			assert_null(program);
		else
			assert_string_equal(program, cases[i].program);
	}
}

static int make_tree(void **state)
{
	AUTO_FREE char *libexec = NULL;

	(void)state;
	if (!mkdtemp(tree))
		return -1;
	libexec = xasprintf("%s/libexec", tree);
	return mkdir(libexec, 0755);
}

static int remove_tree(void **state)
{
	AUTO_FREE char *libexec = xasprintf("%s/libexec", tree);

	(void)state;
	return rmdir(libexec) || rmdir(tree);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_there_is_taken),
		cmocka_unit_test(what_the_guest_runs_in_is_looked_for),
		cmocka_unit_test(what_a_person_has_named_is_not_taken_for_another),
		cmocka_unit_test(a_directory_is_no_program),
		cmocka_unit_test(it_is_found_under_the_names_of_other_distributions),
		cmocka_unit_test(each_distribution_s_guests_find_each_other_s_qemu),
		cmocka_unit_test(qemu_kvm_is_of_the_host_s_architecture),
		cmocka_unit_test(a_program_has_one_name_for_all_hosts),
	};

	return cmocka_run_group_tests(tests, make_tree, remove_tree);
}
