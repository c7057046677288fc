/*
 * test-autostart.c: what is found of a guest's unit, and whether it can be kept from starting the guest, against a systemctl that is played
 * here; and which processes of a unit are stopped with its QEMU.
 */
#include "autostart.h"
#include "process.h"
#include "util.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cmocka.h>

#define DEADLINE_MS 30000

/* ---- a systemd ---- */

static char dir[64];
static struct guest guest;
static struct autostart a;
static struct err e;

/* In place of the C library's: this host was booted with systemd. */
int lstat(const char *path, struct stat *st)
{
	return stat(strcmp(path, "/run/systemd/system") ? path : "/", st);
}

static void put(const char *name, mode_t mode, const char *text)
{
	AUTO_FREE char *path = xasprintf("%s/%s", dir, name);
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(chmod(path, mode), 0);
}

/* Sets the output of systemctl for the unit. */
static void shows(const char *restart, const char *state)
{
	AUTO_FREE char *text = xasprintf("LoadState=loaded\nRestart=%s\nUnitFileState=%s\nMainPID=%d\n", restart, state, (int)getpid());

	put("shown", 0600, text);
}

/* A guest of ours in a unit of our user's systemd, whose main process is its QEMU. */
static int begin(void **state)
{
	AUTO_FREE char *path = NULL, *systemctl = NULL;

	(void)state;
	strcpy(dir, "/tmp/test-autostart-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	path = xasprintf("%s:/usr/bin:/bin", dir);
	systemctl = xasprintf("#!/bin/sh\ncase \" $* \" in *' show '*) cat %s/shown ;; esac\n", dir);
	put("systemctl", 0700, systemctl);
	setenv("PATH", path, 1);
	setenv("XDG_RUNTIME_DIR", dir, 1);
	setenv("XDG_CONFIG_HOME", dir, 1);
	guest = (struct guest){.name = (char *)(uintptr_t) "vm1",
			       .pid = getpid(),
			       .unit = {.name = (char *)(uintptr_t) "vm1.service", .is_user = true, .uid = geteuid()}};
	return 0;
}

static int over(void **state)
{
	AUTO_FREE char *rm = xasprintf("rm -rf '%s'", dir);

	(void)state;
	autostart_fini(&a);
	return system(rm);
}

/* For a move. */
static int hold(void)
{
	json_t *begins = json_pack("{s:s}", "guest", "vm1");
	const uint8_t id[ATTEMPT_ID_LEN] = {1};
	struct journal *j;
	int r = journal_create(&j, dir, id, true, begins, &e);

	json_decref(begins);
	assert_int_equal(r, 0);
	r = autostart_hold(&a, j, &e);
	journal_remove(j, false, &(struct err){0});
	return r;
}

static void a_unit_that_starts_nothing_again_is_held(void **state)
{
	(void)state;
	shows("always", "enabled");
	if (autostart_examine(&a, &guest, false, &e))
		fail_msg("%s", e.msg);
	assert_string_equal(a.unit, "vm1.service");
	assert_true(a.enabled);
	shows("no", "enabled"); /* systemd shows what our drop-in says */
	assert_int_equal(hold(), 0);
	assert_true(a.held);
}

/* Another drop-in has the last word: the guest would be started as soon as its QEMU here is ended. */
static void a_unit_that_starts_it_again_all_the_same_is_refused(void **state)
{
	(void)state;
	shows("always", "enabled");
	assert_int_equal(autostart_examine(&a, &guest, false, &e), 0);
	assert_int_equal(hold(), -EPERM);
	assert_non_null(strstr(e.msg, "keeps Restart=always whatever we say"));
	assert_false(a.held);
}

static void nor_may_it_be_left_as_it_is(void **state)
{
	(void)state;
	shows("always", "enabled");
	assert_int_equal(autostart_examine(&a, &guest, true, &e), -EPERM);
	assert_non_null(strstr(e.msg, "--unit keep is not possible"));
	autostart_fini(&a);
	shows("no", "enabled");
	assert_int_equal(autostart_examine(&a, &guest, true, &e), 0);
	assert_null(a.unit);
	assert_non_null(strstr(a.note, "left as it is"));
}

static void a_unit_of_another_user_is_refused(void **state)
{
	(void)state;
	shows("no", "disabled");
	guest.unit.uid++;
	assert_int_equal(autostart_examine(&a, &guest, false, &e), -EPERM);
	assert_non_null(strstr(e.msg, "run vmferry as that user"));
}

/* ---- its processes ---- */

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
		close(fds[1]); /* the reader comes to its end even if no wrapper could be made */
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
	assert_int_equal(autostart_wrappers(line[2], line[0], pids), 2); /* processes that a wrapper started do not belong to the unit */
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
		cmocka_unit_test_setup_teardown(a_unit_that_starts_nothing_again_is_held, begin, over),
		cmocka_unit_test_setup_teardown(a_unit_that_starts_it_again_all_the_same_is_refused, begin, over),
		cmocka_unit_test_setup_teardown(nor_may_it_be_left_as_it_is, begin, over),
		cmocka_unit_test_setup_teardown(a_unit_of_another_user_is_refused, begin, over),
		cmocka_unit_test(from_qemus_parent_to_the_units_main_process),
		cmocka_unit_test(nobody_but_the_main_process_if_qemu_is_not_its_descendant),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
