/* fleet-child.c: see fleet-child.h. */
#include "fleet-child.h"
#include "exit-code.h"
#include "program.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#define READ_BYTES 4096

static int start(struct fleet_child *c, char *const *argv, int out, int error, struct err *e)
{
	AUTO_CLOSE int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct program p = PROGRAM_NONE;

	p.file = argv[0];
	p.argv = argv;
	p.fd[0] = null;
	p.fd[1] = out;
	p.fd[2] = error;
	p.how = PROGRAM_OWN_SESSION;
	c->pid = program_begin(&p);
	return c->pid < 0 ? err_sys(e, -c->pid, "cannot run %s", argv[0]) : 0;
}

int child_begin(struct fleet_child *c, char *const *argv, struct err *e)
{
	AUTO_CLOSE int to_out = -1, to_error = -1;
	int r;

	*c = (struct fleet_child){.out = -1, .error = -1};
	r = program_pipe(&c->out, &to_out, e) ?: program_pipe(&c->error, &to_error, e) ?: start(c, argv, to_out, to_error, e);
	if (r) {
		c->pid = 0;
		child_fini(c);
		return r;
	}
	fcntl(c->out, F_SETFL, O_NONBLOCK);
	fcntl(c->error, F_SETFL, O_NONBLOCK);
	return 0;
}

/* Bytes that were read; 0: nothing is there for now, or its end, after which *fd is -1. */
static size_t read_some(int *fd, char *buf, size_t n)
{
	ssize_t r = *fd < 0 ? 0 : read(*fd, buf, n);

	if (*fd >= 0 && (!r || (r < 0 && errno != EAGAIN && errno != EINTR))) {
		close(*fd);
		*fd = -1;
	}
	return r > 0 ? (size_t)r : 0;
}

static void end_line(struct fleet_child *c, void (*take)(void *ctx, json_t *event), void *ctx)
{
	json_t *event = c->too_long ? NULL : json_loadb(c->line, c->length, 0, NULL);

	if (json_is_object(event)) {
		c->heard = true;
		take(ctx, event);
	}
	json_decref(event);
	c->length = 0;
	c->too_long = false;
}

static void add_to_line(struct fleet_child *c, const char *text, size_t n)
{
	c->too_long |= c->length + n > CHILD_LINE_MAX;
	if (c->too_long)
		return;
	if (c->length + n > c->room) {
		c->room = MAX(c->room * 2, c->length + n);
		c->line = xrealloc(c->line, c->room);
	}
	memcpy(c->line + c->length, text, n);
	c->length += n;
}

static void hear(struct fleet_child *c, const char *text, size_t n)
{
	size_t stays = MIN(c->said_length, CHILD_SAID_MAX - MIN(n, CHILD_SAID_MAX));

	if (n > CHILD_SAID_MAX) {
		text += n - CHILD_SAID_MAX;
		n = CHILD_SAID_MAX;
	}
	memmove(c->said, c->said + c->said_length - stays, stays);
	memcpy(c->said + stays, text, n);
	c->said_length = stays + n;
}

static void read_all(struct fleet_child *c, void (*take)(void *ctx, json_t *event), void *ctx)
{
	char buf[READ_BYTES], *from, *newline;
	size_t n;

	while ((n = read_some(&c->out, buf, sizeof(buf))))
		for (from = buf; from < buf + n; from = newline + 1) {
			newline = memchr(from, '\n', (size_t)(buf + n - from));
			add_to_line(c, from, (size_t)((newline ?: buf + n) - from));
			if (!newline)
				break;
			end_line(c, take, ctx);
		}
	while ((n = read_some(&c->error, buf, sizeof(buf))))
		hear(c, buf, n);
}

/*
 * An unknown exit code (126 and 127 are a shell's, say), or a death by signal, is UNDECIDED. Exception: SIGTERM before the first event, when
 * nothing was touched yet.
 */
static int code_of(const struct fleet_child *c, int status)
{
	if (WIFEXITED(status))
		return WEXITSTATUS(status) <= EXIT_NOWHERE ? WEXITSTATUS(status) : EXIT_UNDECIDED;
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM && !c->heard ? EXIT_REFUSED : EXIT_UNDECIDED;
}

bool child_attend(struct fleet_child *c, void (*take)(void *ctx, json_t *event), void *ctx, int *code)
{
	int status;
	pid_t r = c->pid ? program_wait(c->pid, &status) : 0;

	read_all(c, take, ctx); /* everything that a program wrote which has ended */
	if (!r || r == -EINTR)
		return false;
	*code = r == c->pid ? code_of(c, status) : EXIT_UNDECIDED;
	c->pid = 0;
	return true;
}

const char *child_last_words(struct fleet_child *c)
{
	static const char ours[] = "vmferry: ";
	char *last;

	while (c->said_length && c->said[c->said_length - 1] == '\n')
		c->said_length--;
	c->said[c->said_length] = '\0';
	text_make_utf8(c->said);
	last = strrchr(c->said, '\n');
	last = last ? last + 1 : c->said;
	text_make_printable(last, false);
	return text_starts_with(last, ours) ? last + strlen(ours) : last;
}

void child_fini(struct fleet_child *c)
{
	if (c->out >= 0)
		close(c->out);
	if (c->error >= 0)
		close(c->error);
	free(c->line);
	c->out = c->error = -1;
	c->line = NULL;
	c->length = c->room = 0;
}
