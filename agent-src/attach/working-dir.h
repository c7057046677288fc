/*
 * working-dir.h: puts a QEMU back into the directory that it was started in, which it left when it put itself into the background (-daemonize).
 *
 * QEMU opens a disk by the name that it was given once more, when it hands it over to another QEMU. A name without a directory leads nowhere then, and
 * QEMU's migration fails at its very end. The thread is stopped in its main loop and makes chdir(2), as attach.h describes; a process has one
 * working directory, so that is where all of QEMU is from then on, until it ends. No function of QEMU's is called, and no version must be known.
 */
#ifndef VMFERRY_WORKING_DIR_H
#define VMFERRY_WORKING_DIR_H

#include "err.h"
#include "qemu-discover.h"

#include <stdbool.h>

/* True if a disk on its line has a name that leads to that disk from where QEMU was started, and not from where it is now. Changes
 * nothing. */
bool working_dir_is_needed(const struct guest *g);
/* Changes QEMU's directory. On failure QEMU is where it was. */
int working_dir_restore(const struct guest *g, struct err *e);
/* Makes a process that waits in ppoll(2) change its directory. */
int working_dir_change(pid_t pid, const char *to, struct err *e);

#endif
