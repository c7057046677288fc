/*
 * agent-talk.h: what is said to qemu-ga in a guest, over the socket of its virtio-serial port. The protocol: QEMU's docs/interop/qemu-ga-ref.
 *
 * Blocks, within the time that is said. A guest without a running agent answers nothing at all.
 */
#ifndef VMFERRY_AGENT_TALK_H
#define VMFERRY_AGENT_TALK_H

#include "qemu-discover.h"

#define AGENT_SYNC_MS	 3000 /* time for an answer that costs the agent nothing */
#define AGENT_ANSWER_MAX 65536

struct agent {
	int fd;
	char text[AGENT_ANSWER_MAX];
	size_t n;
};

/* The socket that leads to the guest's agent (a virtio-serial port org.qemu.guest_agent.0), by its command line; malloc'ed, NULL: it has
 * none. */
char *guest_agent_path(const struct guest *g);
/* -ESRCH: it is not this process that listens there; -errno of connect(2). The caller closes a->fd after 0. */
int agent_connect(struct agent *a, const char *path, pid_t pid, struct err *e);
/* Answers to others' commands, which nobody has read, are behind us once the delimiter has come (guest-sync-delimited). -ETIMEDOUT: no agent answers;
 * -EPIPE, -EMSGSIZE. */
int agent_synchronize(struct agent *a, struct err *e);
/* A command; *ret: what it returns, a new reference. -EREMOTEIO: the agent refuses, and e says why; -ETIMEDOUT after ms. */
int agent_call(struct agent *a, const char *command, unsigned ms, json_t **ret, struct err *e);
/* A command that is not answered when it is carried out. -errno of send(2). */
int agent_say(struct agent *a, const char *command);

#endif
