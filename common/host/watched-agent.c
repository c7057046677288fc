/* watched-agent.c: see watched-agent.h. */
#include "watched-agent.h"
#include "process.h"

#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* The process that made the pair of sockets. It still has the other end when the pidfd is there, so that no later process has its pid. */
void watched_agent_init(struct watched_agent *w, int sock)
{
	struct pollfd p = {.fd = sock};
	struct ucred who;
	socklen_t n = sizeof(who);

	*w = (struct watched_agent){.pidfd = -1};
	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &who, &n))
		return;
	w->pid = who.pid;
	w->pidfd = pidfd_open(who.pid, 0);
	if (poll(&p, 1, 0))
		watched_agent_fini(w);
}

void watched_agent_fini(struct watched_agent *w)
{
	if (w->pidfd >= 0)
		close(w->pidfd);
	w->pidfd = -1;
}

bool watched_agent_look(struct watched_agent *w, unsigned limit_s)
{
	w->stopped_looks = process_is_stopped(w->pid) ? w->stopped_looks + 1 : 0;
	return w->stopped_looks > limit_s * 1000 / AGENT_LOOK_MS;
}

bool watched_agent_kill(const struct watched_agent *w)
{
	return !pidfd_send_signal(w->pidfd, SIGKILL, NULL, 0);
}
