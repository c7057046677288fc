/*
 * rescuer.h: a forked process that acts in our place if we are killed: it resumes a guest, or thaws its file systems.
 *
 * The rescuer has a session of its own, so that signals to our process group do not reach it, and none of our descriptors: a pipe that it
 * held open would not end, and QEMU would serve no other client on a monitor that it held. It hears our messages, and our end, on its end
 * of a socket pair.
 */
#ifndef VMFERRY_RESCUER_H
#define VMFERRY_RESCUER_H

#include "err.h"

#include <stdbool.h>
#include <sys/types.h>

#define RESCUER_SOCK 3 /* the rescuer's end of the socket; 0 to 2 are /dev/null */

struct rescuer {
	pid_t pid; /* 0: none */
	int fd;	   /* our end (SOCK_SEQPACKET) */
};

/* Forks a process that calls act, and ends. 0: it is out of reach of signals to us. name: its name in `ps`. */
int rescuer_start(struct rescuer *r, const char *name, void (*act)(void *ctx), void *ctx, struct err *e);
/* Closes our end; wait: waits until it has ended. Does nothing if there is no rescuer. */
void rescuer_leave(struct rescuer *r, bool wait);

#endif
