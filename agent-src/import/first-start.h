/* first-start.h: the guest's first start here: a QEMU that is no child of ours when we end, with its guest running or paused. */
#ifndef VMFERRY_FIRST_START_H
#define VMFERRY_FIRST_START_H

#include "err.h"

#include <stdbool.h>
#include <sys/types.h>

/* Kind of the journal's entry (life_own()) of the QEMU that was started: its pid and start_time. */
#define FIRST_QEMU "first-qemu"

/*
 * argv begins with QEMU's name and has -S; exe is the program; qmp is its monitor. memory: a file with a migration stream, from which it goes on
 * (argv has -incoming defer then), or NULL. 0: it answers, and its guest runs, or with paused
 * waits for a cont. -ECHILD: it ended, and what it said; other errors: it was ended again.
 */
int first_start(const char *exe, char *const *argv, const char *qmp, const char *memory, bool paused, pid_t *pid, struct err *e);

#endif
