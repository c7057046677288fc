/*
 * bench-lab.c: the two hosts of a bench on one machine.
 *
 * Theory of operation. The bench forks. The child is the first process of a pid namespace, with networks and mounts of its own, in
 * which scripts/lab makes both hosts. When the child ends, by whatever, the kernel ends everything in there; and when the
 * parent ends, so does the child.
 */
#include "bench.h"
#include "process.h"
#include "util.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define LAB_MS 20000

static pid_t inside; /* process for the signal handler below */

static void pass_on(int number)
{
	kill(inside, number);
}

static int wait_inside(void)
{
	const int numbers[] = {SIGTERM, SIGHUP, SIGINT};
	struct sigaction on = {.sa_handler = pass_on};
	int status;

	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		sigaction(numbers[i], &on, NULL);
	while (waitpid(inside, &status, 0) < 0)
		if (errno != EINTR)
			return 1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* link may be NULL. To it comes what the plan does to every link. */
static int run_script(const struct bench *b, const char *verb, const char *link, struct err *e)
{
	AUTO_FREE char *delay = xasprintf("%g", b->plan.delay_ms), *loss = xasprintf("%g", b->plan.loss_percent);
	char *argv[8] = {(char *)b->opt.lab_script, (char *)verb, (char *)link};
	struct process_output out;
	size_t n = link ? 3 : 2;
	int r;

	if (b->plan.delay_ms > 0)
		argv[n++] = "--delay", argv[n++] = delay;
	if (b->plan.loss_percent > 0)
		argv[n++] = "--loss", argv[n++] = loss;
	r = process_run(argv, LAB_MS, &out, e);
	if (r)
		return err_prefix(e, "running %s", argv[0]);
	return out.status ? err_set(e, EIO, "%s: %s", argv[0], out.text) : 0;
}

static int make_lab(const struct bench *b, struct err *e)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL))
		return err_sys(e, errno, "cannot mount /proc for the lab");
	return run_script(b, "up", NULL, e);
}

int lab_enter(const struct bench *b, int *status, struct err *e)
{
	if (geteuid())
		return err_set(e, EPERM, "--lab needs root, to make network namespaces");
	if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID))
		return err_sys(e, errno, "cannot make namespaces for the lab");
	inside = fork();
	if (inside < 0)
		return err_sys(e, errno, "cannot start a process");
	if (inside == 0)
		return make_lab(b, e);
	*status = wait_inside();
	return 1;
}

int lab_shape(const struct bench *b, const char *link, struct err *e)
{
	return run_script(b, "shape", link, e);
}

char *lab_congestion(const struct bench *b)
{
	char *argv[] = {"ip", "netns", "exec", (char *)b->sides[0].namespace, "cat", "/proc/sys/net/ipv4/tcp_congestion_control", NULL};
	struct process_output said;
	struct err e;

	if (process_run(argv, LAB_MS, &said, &e) || said.status)
		snprintf(said.text, sizeof(said.text), "unknown");
	said.text[strcspn(said.text, "\n")] = '\0';
	return xstrdup(said.text);
}
