/* test-bench-host-clear.c: what a bench ends on another host is its own, and nobody who only names or reads what it has there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../agent-dst/bench/bench-host-clear.h"
#include "util.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[] = "/tmp/test-bench-host-clear.XXXXXX";

struct process {
	const char *word[2]; /* words of its command line, after the order; %s: the directory */
	int opens;	     /* a file there, with these flags; -1: none */
	bool child, contained;
};

struct started {
	pid_t pid, parent;
};

/* Says that it is there, and waits to be ended. */
static void be(const struct process *p, int ready)
{
	AUTO_FREE char *file = xasprintf("%s/1/file", dir), *a = xasprintf(p->word[0] ?: "", dir), *b = xasprintf(p->word[1] ?: "", dir);
	char fd[16];

	prctl(PR_SET_PDEATHSIG, SIGKILL); /* with whoever waits for it */
	snprintf(fd, sizeof(fd), "%d", ready);
	if (p->opens >= 0 && open(file, p->opens, 0600) < 0)
		_exit(1);
	execl("/bin/bash", "bash", "-c", "printf x >&$0; while :; do read -rt 1000 <> <(:) || :; done", fd, a, b, NULL);
	_exit(1);
}

static void report(int fd, pid_t pid)
{
	if (write(fd, &pid, sizeof(pid)) != sizeof(pid))
		_exit(1);
}

static struct started start(const struct process *p)
{
	struct started s = {0, 0};
	int ready[2], pids[2];
	char byte;

	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(pids), 0);
	s.parent = fork();
	if (!s.parent) {
		pid_t pid;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (p->child)
			be(p, ready[1]);
		if (p->contained && unshare(CLONE_NEWPID))
			_exit(1);
		pid = fork();
		if (!pid)
			be(p, ready[1]);
		report(pids[1], pid);
		waitpid(pid, NULL, 0);
		_exit(0);
	}
	close(ready[1]);
	close(pids[1]);
	if (p->child)
		s.pid = s.parent;
	else
		assert_int_equal(read(pids[0], &s.pid, sizeof(s.pid)), sizeof(s.pid));
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(pids[0]);
	return s;
}

/* Ends it, too. */
static bool lives(const struct started *s)
{
	int status;
	bool yes = !kill(s->pid, 0) && waitpid(s->parent, &status, WNOHANG) == 0;

	if (yes) {
		kill(s->pid, SIGKILL);
		waitpid(s->parent, &status, 0);
	}
	return yes;
}

static void folders(void)
{
	AUTO_FREE char *one = xasprintf("%s/1", dir), *file = xasprintf("%s/1/file", dir);
	int fd;

	mkdir(dir, 0700);
	assert_int_equal(mkdir(one, 0700), 0);
	fd = open(file, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	close(fd);
}

static void what_the_bench_has_started_is_ended(void **state)
{
	static const struct process ours[] = {
		{{"%s/1/file"}, -1, .child = true},		   /* a QEMU of an order */
		{{"--runtime-dir", "%s/run"}, -1, .child = false}, /* an agent */
		{{"--reach", "%s/1/bench.qmp"}, -1, .child = false},
		{{"file=%s/1/file"}, O_RDWR, .child = false}, /* a QEMU of an agent's */
	};
	struct started s[ARRAY_LEN(ours)];
	size_t i;

	(void)state;
	folders();
	for (i = 0; i < ARRAY_LEN(ours); i++)
		s[i] = start(&ours[i]);
	clear_all(dir);
	for (i = 0; i < ARRAY_LEN(ours); i++)
		if (lives(&s[i]))
			fail_msg("case %zu lives", i);
	assert_int_not_equal(access(dir, F_OK), 0);
}

static void others_are_left_alone(void **state)
{
	static const struct process others[] = {
		{{"%s/1/file"}, -1, .child = false},	   /* tail -f */
		{{"%s/1/file"}, O_RDONLY, .child = false}, /* the same, that has it open */
		{{"--runtime-dir", "%sx/run"}, -1, .child = false},
		{{"--runtime-dir=%s/run", "--reach"}, -1, .child = false},
		{{"file=%s/1/file"}, O_RDWR, .contained = true}, /* a container's root has a uid like ours */
	};
	struct started s[ARRAY_LEN(others)];
	size_t i, n = geteuid() ? ARRAY_LEN(others) - 1 : ARRAY_LEN(others);

	(void)state;
	folders();
	for (i = 0; i < n; i++)
		s[i] = start(&others[i]);
	clear_all(dir);
	for (i = 0; i < n; i++)
		if (!lives(&s[i]))
			fail_msg("case %zu was ended", i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_bench_has_started_is_ended),
		cmocka_unit_test(others_are_left_alone),
	};

	return mkdtemp(dir) ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
