/* program-run.c: see program-run.h. */
#include "program-run.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#define LOOK_MS 200
#define REAP_MS 2

static pid_t begin(const struct program_run *r, int out, int error)
{
	AUTO_CLOSE int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct program p = PROGRAM_NONE;

	p.file = r->argv[0];
	p.argv = r->argv;
	p.env = r->env;
	p.fd[0] = r->input ?: null;
	p.fd[1] = out;
	p.fd[2] = error;
	p.how = PROGRAM_OWN_GROUP | r->how;
	p.before = r->before;
	p.before_ctx = r->before_ctx;
	return program_begin(&p);
}

/* 0: the program may go on. */
static int is_to_end(const struct program_run *r, uint64_t until_ns)
{
	return r->stop && r->stop() ? -ECANCELED : now_ns() >= until_ns ? -ETIMEDOUT : 0;
}

static int wait_ms(uint64_t until_ns)
{
	uint64_t now = now_ns();

	return now >= until_ns ? 0 : (int)MIN((until_ns - now + 999999) / 1000000, LOOK_MS);
}

/* Closes an end that nobody writes to any more. */
static void drain(int *fd, program_said_fn said, void *ctx)
{
	char buf[4096];
	ssize_t n = read(*fd, buf, sizeof(buf));

	if (n > 0 && said)
		said(ctx, buf, (size_t)n);
	if (n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN)))
		return;
	close(*fd);
	*fd = -1;
}

/* Reads the program's output until it has closed it, and has ended. */
static int attend(const struct program_run *r, pid_t pid, int *out, int *error, int *status)
{
	uint64_t until_ns = r->timeout_ms ? now_ns() + r->timeout_ms * 1000000ULL : UINT64_MAX;
	int why;
	pid_t ended;

	while (*out >= 0 || *error >= 0) {
		struct pollfd p[] = {{.fd = *out, .events = POLLIN}, {.fd = *error, .events = POLLIN}};

		why = is_to_end(r, until_ns);
		if (why)
			return why;
		if (poll(p, ARRAY_LEN(p), wait_ms(until_ns)) <= 0)
			continue;
		if (p[0].revents)
			drain(out, r->output, r->output_ctx);
		if (p[1].revents)
			drain(error, r->error, r->error_ctx);
	}
	while ((ended = program_wait(pid, status)) == 0 || ended == -EINTR) {
		why = is_to_end(r, until_ns);
		if (why)
			return why;
		poll(NULL, 0, REAP_MS);
	}
	return ended < 0 ? ended : 0;
}

int program_run(const struct program_run *r, int *status, struct err *e)
{
	AUTO_CLOSE int out = -1, error = -1, to_out = -1, to_error = -1;
	pid_t pid;
	int why;

	*status = 0;
	if (program_pipe(&out, &to_out, e) || (r->error && program_pipe(&error, &to_error, e)))
		return -e->code;
	pid = begin(r, to_out, r->error ? to_error : to_out);
	if (pid < 0)
		return err_sys(e, -pid, "cannot run %s", r->argv[0]);
	close(to_out);
	if (to_error >= 0)
		close(to_error);
	to_out = to_error = -1;
	why = attend(r, pid, &out, &error, status);
	if (!why)
		return 0;
	kill(-pid, SIGKILL);
	program_wait_end(pid, NULL);
	return why == -ECANCELED   ? err_set(e, ECANCELED, "interrupted")
	       : why == -ETIMEDOUT ? err_set(e, ETIMEDOUT, "%s did not end within %u ms", r->argv[0], r->timeout_ms)
				   : err_sys(e, -why, "cannot wait for %s", r->argv[0]);
}
