/* test-claim.c: one command at a time works with a guest's QEMU. */
#include "claim.h"
#include "util.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NOBODY 65534

static pid_t qemu;

static void sleep_for_ever(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		pause();
}

static int qemu_begins(void **state)
{
	(void)state;
	qemu = fork();
	if (!qemu)
		sleep_for_ever();
	return qemu < 0;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static int qemu_ends(void **state)
{
	(void)state;
	end(qemu);
	return 0;
}

static int mounts_another_proc(void)
{
	return mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ?: mount("proc", "/proc", "proc", 0, NULL);
}

/* A process that has gone apart in such namespaces, claims the QEMU, and says what came of it: 'y', 'n', or '?' if it may not go apart. */
static char claims_apart(int apart, pid_t *pid)
{
	int said[2], claim;
	struct err e;
	char word;

	assert_int_equal(pipe(said), 0);
	*pid = fork();
	if (!*pid) {
		bool fails = unshare(apart) || (apart == CLONE_NEWNS && mounts_another_proc());

		word = fails ? '?' : guest_claim(qemu, &claim, &e) || claim < 0 ? 'n' : 'y';
		if (write(said[1], &word, 1) == 1)
			sleep_for_ever();
		_exit(1);
	}
	close(said[1]);
	assert_int_equal(read(said[0], &word, 1), 1);
	close(said[0]);
	return word;
}

static void assert_is_had_by(pid_t pid)
{
	AUTO_FREE char *words = xasprintf("(process %d,", (int)pid);
	struct err e;
	int claim;

	assert_int_equal(guest_claim(qemu, &claim, &e), -EBUSY);
	assert_int_equal(claim, -1);
	assert_non_null(strstr(e.msg, words));
}

static void assert_is_free(void)
{
	struct err e;
	int claim;

	assert_int_equal(guest_claim(qemu, &claim, &e), 0);
	assert_true(claim >= 0);
	close(claim);
}

static void one_at_a_time_has_it(void **state)
{
	struct err e;
	int claim;

	(void)state;
	assert_int_equal(guest_claim(qemu, &claim, &e), 0);
	assert_is_had_by(getpid());
	close(claim);
	assert_is_free();
}

static void whoever_is_elsewhere_is_heard(void **state)
{
	static const int apart[] = {CLONE_NEWUSER | CLONE_NEWNET, CLONE_NEWUSER | CLONE_NEWNS};
	pid_t pid;
	size_t i;
	char said;

	(void)state;
	for (i = 0; i < ARRAY_LEN(apart); i++) {
		said = claims_apart(apart[i], &pid);
		if (said == 'y')
			assert_is_had_by(pid);
		end(pid);
		if (said == '?') {
			printf("skipped: no new namespaces may be made here\n");
			skip();
		}
		assert_int_equal(said, 'y');
	}
}

/* A container may see the host's processes by a /proc of its own. */
static void whoever_has_mounted_another_proc_is_heard(void **state)
{
	pid_t pid;
	char said;

	(void)state;
	if (geteuid()) {
		printf("skipped: need root, to mount a file system\n");
		skip();
	}
	said = claims_apart(CLONE_NEWNS, &pid);
	if (said == 'y')
		assert_is_had_by(pid);
	end(pid);
	assert_int_equal(said, 'y');
}

static void what_is_stopped_keeps_it_and_what_is_killed_does_not(void **state)
{
	pid_t pid;

	(void)state;
	assert_int_equal(claims_apart(0, &pid), 'y');
	kill(pid, SIGSTOP);
	assert_is_had_by(pid);
	end(pid);
	assert_is_free();
}

/* Root may run vmferry for the guest's user, too, and root's claim counts for both. */
static void another_user_neither_has_it_nor_may_go_on_without(void **state)
{
	struct err e;
	int claim, r;

	(void)state;
	if (geteuid()) {
		printf("skipped: root is needed to become another user\n");
		skip();
	}
	assert_int_equal(seteuid(NOBODY), 0);
	r = guest_claim(qemu, &claim, &e);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(r, -EACCES);
	assert_is_free();
}

static void what_has_ended_is_nobodys(void **state)
{
	struct err e;
	pid_t gone;
	int claim;

	(void)state;
	gone = fork();
	if (!gone)
		_exit(0);
	waitpid(gone, NULL, 0);
	assert_int_equal(guest_claim(gone, &claim, &e), 0);
	assert_int_equal(claim, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_at_a_time_has_it, qemu_begins, qemu_ends),
		cmocka_unit_test_setup_teardown(whoever_is_elsewhere_is_heard, qemu_begins, qemu_ends),
		cmocka_unit_test_setup_teardown(whoever_has_mounted_another_proc_is_heard, qemu_begins, qemu_ends),
		cmocka_unit_test_setup_teardown(what_is_stopped_keeps_it_and_what_is_killed_does_not, qemu_begins, qemu_ends),
		cmocka_unit_test_setup_teardown(another_user_neither_has_it_nor_may_go_on_without, qemu_begins, qemu_ends),
		cmocka_unit_test(what_has_ended_is_nobodys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
