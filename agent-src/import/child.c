/* child.c: see child.h. */
#include "child.h"
#include "life.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define SAID_MAX 600
#define POLL_MS	 200

struct said {
	char text[SAID_MAX + 1]; /* the last of it */
	size_t n;
};

static void hear(struct said *s, const char *text, size_t n)
{
	size_t drop;

	if (n > SAID_MAX) {
		text += n - SAID_MAX;
		n = SAID_MAX;
	}
	drop = s->n + n > SAID_MAX ? s->n + n - SAID_MAX : 0;
	memmove(s->text, s->text + drop, s->n - drop);
	s->n -= drop;
	memcpy(s->text + s->n, text, n);
	s->n += n;
	s->text[s->n] = '\0';
}

static pid_t spawn(char *const *argv, child_before_fn before, void *before_ctx, int out, int error)
{
	pid_t us = getpid(), pid = fork();
	int null_fd, r, number;

	if (pid)
		return pid;
	null_fd = open("/dev/null", O_RDONLY);
	for (number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	setpgid(0, 0);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != us || dup2(null_fd, 0) < 0 || dup2(out, 1) < 0 || dup2(error, 2) < 0)
		_exit(127);
	r = before ? before(before_ctx) : 0;
	if (r) {
		dprintf(2, "it cannot be confined: %s\n", strerror(-r));
		_exit(127);
	}
	execvp(argv[0], argv);
	dprintf(2, "%s\n", strerror(errno));
	_exit(127);
}

/* False: that end is closed. */
static bool drain(int fd, child_output_fn output, void *ctx, struct said *said)
{
	char buf[4096];
	ssize_t n = read(fd, buf, sizeof(buf));

	if (n > 0 && output)
		output(ctx, buf, (size_t)n);
	if (n > 0 && said)
		hear(said, buf, (size_t)n);
	return n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN));
}

static void listen_to(pid_t pid, int out, int error, child_output_fn output, void *ctx, struct said *said)
{
	struct pollfd p[] = {{.fd = out, .events = POLLIN}, {.fd = error, .events = POLLIN}};
	bool ended = false;

	while (p[0].fd >= 0 || p[1].fd >= 0) {
		if (life_interrupted() && !ended) {
			kill(-pid, SIGKILL);
			ended = true;
		}
		if (poll(p, ARRAY_LEN(p), POLL_MS) <= 0)
			continue;
		if (p[0].revents && !drain(out, output, ctx, NULL))
			p[0].fd = -1;
		if (p[1].revents && !drain(error, NULL, NULL, said))
			p[1].fd = -1;
	}
}

/* *said: the last of what it said. */
static int judge_end(const char *program, int status, struct said *said, struct err *e)
{
	int by = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

	while (said->n && said->text[said->n - 1] == '\n')
		said->text[--said->n] = '\0';
	text_make_printable(said->text, false);
	if (by == SIGXCPU || by == SIGXFSZ)
		return err_set(e, EIO, "%s was ended, as it %s", program,
			       by == SIGXCPU ? "took too much time" : "was about to write more than such an image can take");
	if (by)
		return err_set(e, EIO, "%s was ended by signal %d%s%s", program, by, said->n ? ": " : "", said->text);
	return WEXITSTATUS(status) ? err_set(e, EIO, "%s failed: %s", program, said->n ? said->text : "it said nothing") : 0;
}

int child_run(char *const *argv, child_output_fn output, void *ctx, struct err *e)
{
	return child_run_in(argv, NULL, NULL, output, ctx, e);
}

int child_run_in(char *const *argv, child_before_fn before, void *before_ctx, child_output_fn output, void *ctx, struct err *e)
{
	AUTO_CLOSE int out = -1, error = -1;
	int a[2], b[2], status = 0;
	struct said said = {.text = ""};
	pid_t pid;

	if (life_interrupted())
		return err_set(e, ECANCELED, "interrupted");
	if (pipe2(a, O_CLOEXEC))
		return err_sys(e, errno, "cannot create a pipe");
	out = a[0];
	if (pipe2(b, O_CLOEXEC)) {
		close(a[1]);
		return err_sys(e, errno, "cannot create a pipe");
	}
	error = b[0];
	pid = spawn(argv, before, before_ctx, a[1], b[1]);
	close(a[1]);
	close(b[1]);
	if (pid < 0)
		return err_sys(e, errno, "cannot run %s", argv[0]);
	setpgid(pid, pid);
	listen_to(pid, out, error, output, ctx, &said);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (life_interrupted())
		return err_set(e, ECANCELED, "interrupted");
	return judge_end(argv[0], status, &said, e);
}
