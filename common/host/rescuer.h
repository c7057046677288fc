/*
 * rescuer.h: a process that is forked off to undo what only we could, should we be killed: it wakes a guest, or thaws its file systems.
 *
 * It has a session of its own, as a signal to our process group is not for it, and nothing that we have open: a pipe that it held would not end,
 * and QEMU would give a monitor that it held to nobody else. It hears our words, and our end, on its end of a pair of sockets.
 */
#ifndef VMFERRY_RESCUER_H
#define VMFERRY_RESCUER_H

#include "err.h"

#include <stdbool.h>
#include <sys/types.h>

#define RESCUER_SOCK 3 /* its end; 0 to 2 are /dev/null */

struct rescuer {
	pid_t pid; /* 0: none */
	int fd;	   /* our end (SOCK_SEQPACKET) */
};

/* Forks: there calls act, and ends. 0: it is out of the reach of a signal to us. name: what `ps` calls it. */
int rescuer_start(struct rescuer *r, const char *name, void (*act)(void *ctx), void *ctx, struct err *e);
/* Closes our end; wait: until it has ended. Nothing happens if there is none. */
void rescuer_leave(struct rescuer *r, bool wait);

#endif
