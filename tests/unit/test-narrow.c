/*
 * test-narrow.c: what is left to a program that reads a stranger's files: with Landlock, and for root without it. Programs are lines of a shell's.
 */
#include "narrow.h"
#include "util.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cmocka.h>

static char dir[] = "/tmp/test-narrow-XXXXXX";
static char *given, *secret, *target, *elsewhere;

struct heard {
	char text[4096];
	size_t n;
};

static void hear(void *ctx, const char *text, size_t n)
{
	struct heard *h = ctx;

	n = MIN(n, sizeof(h->text) - 1 - h->n);
	memcpy(h->text + h->n, text, n);
	h->n += n;
}

/* What such a program prints, or "ended: " and why. */
static const char *says(const struct narrow *n, const char *script)
{
	static struct heard h;
	char *argv[] = {(char *)"/bin/sh", (char *)"-c", (char *)(uintptr_t)script, (char *)"sh", given, secret, target, elsewhere, NULL};
	struct err e;

	memset(&h, 0, sizeof(h));
	if (narrow_run(argv, n, hear, &h, &e))
		snprintf(h.text, sizeof(h.text), "ended: %s", e.msg);
	return h.text;
}

static struct narrow looks(void)
{
	return (struct narrow){.read = &given, .read_count = 1};
}

static struct narrow writes(uint64_t bytes)
{
	return (struct narrow){.read = &given, .read_count = 1, .write = target, .write_bytes = bytes};
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(chmod(path, 0600), 0);
}

static bool has_landlock(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, 1) > 0;
}

/* Whether anything holds it here: without Landlock we hold it as root alone. */
static bool is_held(bool landlock)
{
	return landlock ? has_landlock() : !geteuid();
}

static void has_its_files(bool landlock)
{
	static const char script[] =
		"test -e /proc/self/exe || echo no way to its libraries; cat \"$1\"; cat \"$2\" 2>/dev/null || echo no secret; (: >\"$4\") 2>/dev/null || echo no file; "
		"(: >>\"$1\") 2>/dev/null || echo not to write to; (echo x >\"$3\") 2>/dev/null && echo a target; true";
	struct narrow n = looks(), w = writes(MIB);

	if (!is_held(landlock)) {
		print_message("skipped: there is nothing here to hold it by\n");
		return;
	}
	assert_string_equal(says(&n, script), "given\nno secret\nno file\nnot to write to\n");
	assert_string_equal(says(&w, script), "given\nno secret\nno file\nnot to write to\na target\n");
	if (!geteuid()) {
		assert_string_equal(says(&n, "id -u; id -G"), "65534\n65534\n");
		assert_string_equal(says(&w, "id -u; id -G"), "65534\n65534\n");
	}
}

static void with_landlock_it_has_its_files(void **state)
{
	(void)state;
	has_its_files(true);
}

static void without_landlock_it_has_its_files(void **state)
{
	(void)state;
	setenv("VMFERRY_FAULT", "no-landlock:fail", 1);
	has_its_files(false);
	unsetenv("VMFERRY_FAULT");
}

static void its_bounds_are_set(void **state)
{
	struct narrow n = looks(), w = writes(3 * MIB);

	(void)state;
	assert_string_equal(says(&n, "ulimit -t; ulimit -f; ulimit -v; ulimit -c"), "30\n0\n1048576\n0\n");
	w.more_s = 7;
	assert_string_equal(says(&w, "ulimit -t; ulimit -f; ulimit -v; ulimit -c"), "37\n6144\n1048576\n0\n");
	/* so that it is ended by the signal that says why, and not by the one of the hard limit */
	assert_string_equal(says(&w, "ulimit -Ht"), "38\n");
	assert_non_null(strstr(says(&w, "ulimit -St 1; while :; do :; done"), "it took too much time"));
}

static void who_writes_writes_no_more_than_it_may(void **state)
{
	struct narrow w = writes(MIB);
	struct stat st;

	(void)state;
	assert_string_equal(says(&w, "exec head -c 1048576 /dev/urandom >\"$3\""), "");
	assert_non_null(strstr(says(&w, "exec head -c 1048577 /dev/urandom >\"$3\""), "ended: "));
	assert_int_equal(stat(target, &st), 0);
	assert_int_equal(st.st_size, MIB);
}

static int begin(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	given = xasprintf("%s/given", dir);
	secret = xasprintf("%s/secret", dir);
	target = xasprintf("%s/target", dir);
	elsewhere = xasprintf("%s/elsewhere", dir);
	write_file(given, "given\n");
	write_file(secret, "secret\n");
	write_file(target, "");
	return 0;
}

static int end(void **state)
{
	(void)state;
	unlink(given);
	unlink(secret);
	unlink(target);
	unlink(elsewhere);
	free(given);
	free(secret);
	free(target);
	free(elsewhere);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(with_landlock_it_has_its_files),
		cmocka_unit_test(without_landlock_it_has_its_files),
		cmocka_unit_test(its_bounds_are_set),
		cmocka_unit_test(who_writes_writes_no_more_than_it_may),
	};

	unsetenv("VMFERRY_SANDBOX");
	return cmocka_run_group_tests(tests, begin, end);
}
