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

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* Processes that wait for their end, each the child of the one before; the first is a child of ours, and with it all end. */
static void line_of_descent(pid_t *pids, size_t n)
{
	int fds[2];
	pid_t pid;
	size_t i;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (!pid) {
		for (i = 0; i < n && !pid; i++) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			pid = getpid();
			if (write(fds[1], &pid, sizeof(pid)) != sizeof(pid))
				_exit(1);
			pid = i + 1 < n ? fork() : 0;
		}
		close(fds[1]); /* so that the reader comes to an end if one could not be made */
		for (;;)
			pause();
	}
	assert_true(pid > 0);
	close(fds[1]);
	for (i = 0; i < n; i++)
		assert_int_equal(read(fds[0], &pids[i], sizeof(pids[i])), sizeof(pids[i]));
	close(fds[0]);
}

static void from_qemus_parent_to_the_units_main_process(void **state)
{
	pid_t pids[AUTOSTART_WRAPPERS_MAX], line[3];

	(void)state;
	line_of_descent(line, 3);
	assert_int_equal(autostart_wrappers(line[2], line[1], pids), 1);
	assert_int_equal(pids[0], line[1]);
	assert_int_equal(autostart_wrappers(line[2], line[0], pids), 2); /* what has started that is none of the unit's */
	assert_int_equal(pids[0], line[1]);
	assert_int_equal(pids[1], line[0]);
	end(line[0]);
}

static void nobody_but_the_main_process_if_qemu_is_not_its_descendant(void **state)
{
	pid_t pids[AUTOSTART_WRAPPERS_MAX], script, line[2];
	uint64_t until = now_ns() + DEADLINE_MS * 1000000ULL;

	(void)state;
	line_of_descent(&script, 1);
	line_of_descent(line, 2);
	assert_int_equal(autostart_wrappers(line[1], script, pids), 1);
	assert_int_equal(pids[0], script);
	/* nor if it is gone altogether */
	end(line[0]);
	while (process_parent(line[1]) == line[0] && now_ns() < until)
		poll(NULL, 0, 5);
	assert_int_equal(autostart_wrappers(line[1], script, pids), 1);
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
