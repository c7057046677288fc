/*
 * test-narrow.c: what is left to a program that reads a stranger's files: with Landlock, and for root without it. Programs are lines of a
 * shell's.
 */
#include "narrow.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define CALLS "calls"

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

/* The output of such a program, or "ended: " and the reason. */
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

static void write_line(const char *path, const char *line)
{
	FILE *f = fopen(path, "we");

	if (!f || fputs(line, f) < 0 || fclose(f))
		_exit(77);
}

/* Root of a user namespace that has no other user (unshare -r). */
static void become_root_of_a_namespace(void)
{
	AUTO_FREE char *uids = xasprintf("0 %u 1", (unsigned)geteuid()), *gids = xasprintf("0 %u 1", (unsigned)getegid());

	if (unshare(CLONE_NEWUSER))
		_exit(77);
	write_line("/proc/self/setgroups", "deny");
	write_line("/proc/self/uid_map", uids);
	write_line("/proc/self/gid_map", gids);
}

static int look_as_root_of_a_namespace(void)
{
	struct narrow n = looks();
	bool has_files, has_rights;

	become_root_of_a_namespace();
	has_files = !strcmp(says(&n, "cat \"$1\"; cat \"$2\" 2>/dev/null || echo no secret; id -u"), "given\nno secret\n0\n");
	has_rights = chmod(given, 0) || strcmp(says(&n, "cat \"$1\" 2>/dev/null || echo no right"), "no right\n");
	return chmod(given, 0600) || !has_files || has_rights;
}

static void root_of_a_namespace_keeps_files_and_no_rights(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (!pid)
		_exit(look_as_root_of_a_namespace());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		print_message("skipped: no user namespaces here\n");
	else
		assert_int_equal(status, 0);
}

static void its_bounds_are_set(void **state)
{
	struct narrow n = looks(), w = writes(3 * MIB);

	(void)state;
	assert_string_equal(says(&n, "ulimit -t; ulimit -f; ulimit -v; ulimit -c"), "30\n0\n1048576\n0\n");
	w.more_s = 7;
	assert_string_equal(says(&w, "ulimit -t; ulimit -f; ulimit -v; ulimit -c"), "37\n6144\n1048576\n0\n");
	/* the soft limit's signal says why the child ended; the hard limit's would not */
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

/* ---- calls ---- */

static void tell(const char *call, long r)
{
	printf("%s %s\n", call, r >= 0 ? "done" : errno == EPERM ? "refused" : errno == ENOSYS ? "unknown" : strerror(errno));
}

/* In that program: what it may do to another, and to itself. The other has the same user, so that nothing else refuses it. */
static int make_calls(void)
{
	siginfo_t info = {.si_code = SI_QUEUE};
	struct rlimit l;
	int stay[2];
	pid_t other;
	char byte;
	long r;

	if (pipe(stay))
		return 1;
	other = fork();
	if (!other) { /* until we have ended: nothing else can end it */
		close(stay[1]);
		_exit(read(stay[0], &byte, 1) != 0);
	}
	tell("tgkill", syscall(SYS_tgkill, other, other, 0));
	tell("rt_sigqueueinfo", syscall(SYS_rt_sigqueueinfo, other, 0, &info));
	tell("rt_tgsigqueueinfo", syscall(SYS_rt_tgsigqueueinfo, other, other, 0, &info));
	tell("prlimit64", syscall(SYS_prlimit64, other, RLIMIT_CORE, NULL, &l));
	tell("setpriority", setpriority(PRIO_PROCESS, (id_t)other, 5));
	tell("shmget", syscall(SYS_shmget, IPC_PRIVATE, 4096, 0600));
	tell("semget", syscall(SYS_semget, IPC_PRIVATE, 1, 0600));
	tell("msgget", syscall(SYS_msgget, IPC_PRIVATE, 0600));
	tell("mq_open", syscall(SYS_mq_open, "vmferry-test-narrow", O_RDONLY | O_CREAT, 0600, NULL));
	fflush(stdout);
	r = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);
	if (!r)
		_exit(0);
	tell("clone", r);
	tell("clone3", syscall(SYS_clone3, NULL, 0));
	tell("its own tgkill", syscall(SYS_tgkill, getpid(), getpid(), 0));
	tell("its own prlimit64", syscall(SYS_prlimit64, 0, RLIMIT_CORE, NULL, &l));
	fflush(stdout);
	return 0;
}

static void it_calls_nothing_that_reaches_others(void **state)
{
	static const char *const refused[] = {"tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "prlimit64", "setpriority", "shmget",
					      "semget", "msgget",	   "mq_open",		"clone"};
	AUTO_FREE char *self = realpath("/proc/self/exe", NULL);
	char *argv[] = {self, (char *)CALLS, NULL};
	struct narrow n = looks();
	struct heard h = {.n = 0};
	struct err e;
	size_t i;

	(void)state;
	if (narrow_run(argv, &n, hear, &h, &e))
		fail_msg("%s", e.msg);
	for (i = 0; i < ARRAY_LEN(refused); i++) {
		AUTO_FREE char *line = xasprintf("%s refused\n", refused[i]);
		const char *at = strstr(h.text, line);

		if (!at || (at != h.text && at[-1] != '\n'))
			fail_msg("%s is not refused: %s", refused[i], h.text);
	}
	assert_non_null(strstr(h.text, "clone3 unknown\n"));
	assert_non_null(strstr(h.text, "its own tgkill done\nits own prlimit64 done\n"));
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

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(with_landlock_it_has_its_files),
		cmocka_unit_test(without_landlock_it_has_its_files),
		cmocka_unit_test(root_of_a_namespace_keeps_files_and_no_rights),
		cmocka_unit_test(its_bounds_are_set),
		cmocka_unit_test(who_writes_writes_no_more_than_it_may),
		cmocka_unit_test(it_calls_nothing_that_reaches_others),
	};

	if (argc == 2 && !strcmp(argv[1], CALLS))
		return make_calls();
	unsetenv("VMFERRY_SANDBOX");
	return cmocka_run_group_tests(tests, begin, end);
}
