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
	char *path;	  /* path of the socket; malloc'ed */
	bool was_there;	  /* the monitor existed before */
	double held_ms;	  /* total time for which the main thread was stopped */
	double called_ms; /* time from starting the code until the monitor existed, including the wait for QEMU's lock */
};

/* Checks from outside whether attaching is possible: 0 or -ENOTSUP. Changes nothing. */
int attach_is_possible(const struct guest *g, struct err *e);
/* Gives QEMU a monitor. runtime_dir: for its socket. On failure QEMU is unchanged, except for what *e names. -EBUSY: try again. */
int attach_guest(const struct guest *g, const char *runtime_dir, struct attached *out, struct err *e);

/* Tries once, at a process whose functions are known. attach_guest() calls this, again while it returns -EBUSY. */
struct qemu_calls;
int attach_try(pid_t pid, const struct qemu_calls *calls, const char *path, struct attached *out, struct err *e);
/* Number for names in QEMU: different at each call, from the clock, as pids are reused. */
unsigned attach_number(void);
/* Removes sockets of QEMUs that have ended. */
void attach_sweep(const char *runtime_dir);

#endif
