/*
 * confine.h: an agent that reads what a peer says has no more rights than it needs (seccomp(2), no new privileges).
 *
 * What the filter lets through is what the agents do to files, sockets, memory and processes; not let through, in any thread and for good,
 * are starting programs, tracing, whatever changes the system or the kernel, and new kinds of sockets, devices and setuid files. What a ring
 * does no filter sees: loop.h holds ours to what they are for, and the kernel, from 7.0 on, all. A refused
 * call fails: EPERM for what is listed as refused, which the kernel logs, ENOSYS for what we do not know, so that a libc that is newer than
 * the list falls back on older calls. Nobody is killed for a call, as a guest may hang on it. Programs are started by the launcher
 * (program.h), which is to be there before. SECURITY.md says what this is worth.
 */
#ifndef VMFERRY_CONFINE_H
#define VMFERRY_CONFINE_H

#include "err.h"

#include <stdbool.h>

#define CONFINE_ENV "VMFERRY_SANDBOX" /* off: not at all; log: what would fail with ENOSYS is only logged by the kernel */

/*
 * launcher_begin(), if it is not switched off, and program_take_files(). Before anything secret is read.
 */
int confine_prepare(bool as_ours, struct err *e);
/*
 * writes_memory: of other processes (process_vm_writev). For the process, all its threads, and whatever is forked from it. Where the kernel
 * cannot that is only logged. A second call does nothing.
 */
void confine_here(bool writes_memory);
/* 0: what the filter refuses is refused; -ENOTSUP: it is not. For tests. */
int confine_try(struct err *e);
/* For --version: ", libseccomp 2.5.4", malloc'ed. */
char *confine_library(void);

#endif
