/*
 * attach.h: gives a QEMU that has no QMP monitor one on a unix socket, while its guest runs.
 *
 * Theory of operation. QEMU exports its functions, as its modules need them. Its main thread waits in ppoll for most of the time. There it is
 * stopped by ptrace(2), is made to map two pages, gets code and data into them (qemu-calls.h), and is sent there, all within a ms or so; from
 * then on nobody traces it, and the code takes QEMU's lock as every part of QEMU does, makes the monitor, and goes back. Virtual processors run on. Whoever
 * attaches may be killed at any instruction: QEMU runs on, with or without its new monitor. At the end the pages are unmapped in the
 * same way.
 *
 * Before anything is changed all that can be told is looked at: whose process it is, which QEMU, whether its functions are there, that the thread is
 * in its main loop. QEMU itself is asked whether that thread holds its lock, before it is taken.
 */
#ifndef VMFERRY_ATTACH_H
#define VMFERRY_ATTACH_H

#include "err.h"
#include "qemu-discover.h"

#include <stdbool.h>
#include <stdint.h>

struct attached {
	char *path;	  /* of the socket; malloc'ed */
	bool was_there;	  /* it was attached to before */
	double held_ms;	  /* for how long the main thread was stopped, all times together */
	double called_ms; /* from when it was sent until the monitor was there, which includes waiting for QEMU's lock */
};

/* Whether that could be done, as far as can be told from outside: 0 or -ENOTSUP. Changes nothing. */
int attach_is_possible(const struct guest *g, struct err *e);
/* runtime_dir: of sockets. On failure QEMU is as it was, but for what *e names. -EBUSY: try again. */
int attach_guest(const struct guest *g, const char *runtime_dir, struct attached *out, struct err *e);

/* Tries once, at a process whose functions are known. attach_guest() calls this, again while it returns -EBUSY. */
struct qemu_calls;
int attach_try(pid_t pid, const struct qemu_calls *calls, const char *path, struct attached *out, struct err *e);
/* For names in a QEMU: another at each call, by the clock, as pids come again. */
unsigned attach_number(void);
/* Removes sockets of QEMUs that have ended. */
void attach_sweep(const char *runtime_dir);

#endif
