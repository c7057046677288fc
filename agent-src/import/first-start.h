/* first-start.h: starts an imported guest for the first time: its QEMU outlives us, with the guest running or paused. */
#ifndef VMFERRY_FIRST_START_H
#define VMFERRY_FIRST_START_H

#include "err.h"

#include <stdbool.h>
#include <sys/types.h>

/* Kind of the journal entry (life_own()) for the started QEMU: its pid and start_time. */
#define FIRST_QEMU "first-qemu"

/*
 * argv begins with QEMU's name and has -S; exe is the program; qmp is its monitor. memory: a file with a migration stream, from which it goes on
 * (argv has -incoming defer then), or NULL. 0: it answers, and its guest runs, or with paused
 * waits for a cont. -ECHILD: it ended, and what it said; other errors: it was ended again.
 */
int first_start(const char *exe, char *const *argv, const char *qmp, const char *memory, bool paused, pid_t *pid, struct err *e);

#endif
