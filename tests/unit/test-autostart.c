/*
 * test-autostart.c: which processes of a unit are stopped with its QEMU.
 */
#include "autostart.h"
#include "process.h"
#include "util.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cmocka.h>

#define DEADLINE_MS 30000

/* A process that waits for its end. */
static pid_t child_of_ours(void)
{
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	assert_true(pid > 0);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* A child, and a child of that. */
static pid_t grandchild(pid_t *parent)
{
	pid_t pid = 0;
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	*parent = fork();
	if (!*parent) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pid = child_of_ours();
		if (write(fds[1], &pid, sizeof(pid)) != sizeof(pid))
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(fds[0], &pid, sizeof(pid)), sizeof(pid));
	close(fds[0]);
	close(fds[1]);
	return pid;
}

static void from_qemus_parent_to_the_units_main_process(void **state)
{
	pid_t pids[AUTOSTART_WRAPPERS_MAX], parent, qemu = grandchild(&parent);

	(void)state;
	assert_int_equal(autostart_wrappers(qemu, parent, pids), 1);
	assert_int_equal(pids[0], parent);
	assert_int_equal(autostart_wrappers(qemu, getpid(), pids), 2);
	assert_int_equal(pids[0], parent);
	assert_int_equal(pids[1], getpid());
	end(parent);
}

static void nobody_but_the_main_process_if_qemu_is_not_its_descendant(void **state)
{
	pid_t pids[AUTOSTART_WRAPPERS_MAX], script = child_of_ours(), parent, qemu = grandchild(&parent);
	uint64_t until = now_ns() + DEADLINE_MS * 1000000ULL;

	(void)state;
	assert_int_equal(autostart_wrappers(qemu, script, pids), 1);
	assert_int_equal(pids[0], script);
	/* nor if it is gone altogether */
	end(parent);
	while (process_parent(qemu) == parent && now_ns() < until)
		poll(NULL, 0, 5);
	assert_int_equal(autostart_wrappers(qemu, script, pids), 1);
	assert_int_equal(pids[0], script);
	end(script);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(from_qemus_parent_to_the_units_main_process),
		cmocka_unit_test(nobody_but_the_main_process_if_qemu_is_not_its_descendant),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
