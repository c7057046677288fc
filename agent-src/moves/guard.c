/* guard.c: see guard.h. */
#include "guard.h"
#include "keep.h"
#include "log.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define LEAVE_MS 1000

/* Without VMFERRY_FAULT: a fault of the agent's is what the guard is for. */
static char **environment(void)
{
	size_t n = 0, i;
	char **env;

	while (environ[n])
		n++;
	env = xcalloc(n + 1, sizeof(*env));
	for (n = 0, i = 0; environ[i]; i++)
		if (strncmp(environ[i], "VMFERRY_FAULT=", strlen("VMFERRY_FAULT=")))
			env[n++] = environ[i];
	return env;
}

int guard_start(struct guard *g, const char *journal, const char *runtime_dir, bool quiet, struct err *e)
{
	char *argv[] = {"vmferry", GUARD_WORD, (char *)journal, (char *)runtime_dir, NULL};
	AUTO_FREE char **env = environment();
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int fds[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
		return err_sys(e, errno, "cannot create a pair of sockets");
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, fds[0], 0);
	posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
	if (quiet)
		posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
	r = posix_spawn(&g->pid, "/proc/self/exe", &files, &attr, argv, env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	close(fds[0]);
	if (r) {
		close(fds[1]);
		g->pid = 0;
		return err_sys(e, r, "cannot start the guard, which takes the guest back should this agent die");
	}
	g->fd = fds[1];
	return 0;
}

bool guard_is_alive(const struct guard *g)
{
	siginfo_t info = {.si_pid = 0};

	return g->pid && !waitid(P_PID, (id_t)g->pid, &info, WEXITED | WNOHANG | WNOWAIT) && !info.si_pid;
}

void guard_dismiss(struct guard *g)
{
	uint64_t until = now_ns() + LEAVE_MS * 1000000ULL;

	if (!g->pid)
		return;
	if (!keep_tell(g->fd, KEEP_GOODBYE, -1))
		log_info("the guard has ended already");
	close(g->fd);
	while (waitpid(g->pid, NULL, WNOHANG) == 0 && now_ns() < until)
		poll(NULL, 0, 1);
	g->pid = 0;
}

struct keep *guard_wait(void)
{
	return keep_wait(0);
}
