/*
 * swtpm-find.h: the process that emulates a guest's TPM, found by the socket at which the guest's QEMU reaches it. Only /proc is looked at: it
 * serves one client at a time, so whoever connected to ask who it is would stand in the way of the next QEMU.
 */
#ifndef VMFERRY_SWTPM_FIND_H
#define VMFERRY_SWTPM_FIND_H

#include "err.h"
#include "swtpm-args.h"

#include <sys/types.h>

/* 0 and *pid, *out (swtpm_fini()), whose state is absolute, or NULL if it is not found; -ENOENT: no swtpm of this user has it; -EEXIST: several may; -ENOTSUP: as swtpm_read(). */
int swtpm_find(struct swtpm *out, pid_t *pid, const char *socket, struct err *e);

#endif
