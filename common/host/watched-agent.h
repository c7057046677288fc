/*
 * watched-agent.h: an agent as its guard sees it: the guard is a process that waits for the agent's end on a socket pair.
 *
 * An agent that is stopped (SIGSTOP) while it keeps the guest paused is as good as dead to the guest: after GUARD_STOPPED_S the
 * guard kills it, and then acts as for any agent that has died. An agent in a debugger does not count as stopped (process_is_stopped()).
 */
#ifndef VMFERRY_WATCHED_AGENT_H
#define VMFERRY_WATCHED_AGENT_H

#include <stdbool.h>
#include <sys/types.h>

#define GUARD_STOPPED_S 10
#define AGENT_LOOK_MS	1000 /* between two calls of watched_agent_look() */

struct watched_agent {
	pid_t pid;
	int pidfd; /* -1: the agent is gone, or cannot be watched */
	unsigned stopped_looks;
};

/* sock: our end of the pair that the agent has made. */
void watched_agent_init(struct watched_agent *w, int sock);
void watched_agent_fini(struct watched_agent *w);
/* Looks at the agent; to be called every AGENT_LOOK_MS. True: the agent has been stopped for more than limit_s without a break. */
bool watched_agent_look(struct watched_agent *w, unsigned limit_s);
/* SIGKILL; its end is what sock then tells. False: it could not be sent. */
bool watched_agent_kill(const struct watched_agent *w);

#endif
