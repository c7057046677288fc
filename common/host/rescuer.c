/* rescuer.c: see rescuer.h. */
#include "rescuer.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static _Noreturn void be_rescuer(int fd, const char *name, void (*act)(void *ctx), void *ctx)
{
	static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	setsid();
	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		signal(ignored[i], SIG_IGN);
	prctl(PR_SET_NAME, name);
	if (dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0 || (fd != RESCUER_SOCK && dup2(fd, RESCUER_SOCK) < 0))
		_exit(1);
	close_range(RESCUER_SOCK + 1, ~0U, 0);
	send(RESCUER_SOCK, "", 1, MSG_NOSIGNAL);
	act(ctx);
	_exit(0);
}

int rescuer_start(struct rescuer *r, const char *name, void (*act)(void *ctx), void *ctx, struct err *e)
{
	int pair[2];
	char ready;

	*r = (struct rescuer){.pid = 0};
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return err_sys(e, errno, "cannot create a pair of sockets");
	fflush(NULL);
	*r = (struct rescuer){.pid = fork(), .fd = pair[0]};
	if (!r->pid)
		be_rescuer(pair[1], name, act, ctx);
	if (r->pid < 0)
		err_sys(e, errno, "cannot fork");
	close(pair[1]);
	if (r->pid < 0) {
		close(r->fd);
		r->pid = 0;
		return -e->code;
	}
	if (recv(r->fd, &ready, 1, 0) == 1)
		return 0;
	rescuer_leave(r, true);
	return err_set(e, ECHILD, "the process %s, which would undo for the guest what this one began, has ended", name);
}

void rescuer_leave(struct rescuer *r, bool wait)
{
	if (!r->pid)
		return;
	close(r->fd);
	if (wait)
		waitpid(r->pid, NULL, 0);
	r->pid = 0;
}
