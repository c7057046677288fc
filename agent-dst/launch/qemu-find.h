/* qemu-find.h: the QEMU of this host that is to run the guest. */
#ifndef VMFERRY_QEMU_FIND_H
#define VMFERRY_QEMU_FIND_H

#include "err.h"

#include <stdbool.h>

/*
 * Finds the program exe, or unless `only` (--qemu: a person means that one) another of the same name in the usual places, or of a name that distributions
 * give the same program: qemu-system-x86_64, qemu-kvm, kvm. Malloc'ed; NULL: there is
 * none, and *e says where it was looked for, and what to do.
 */
char *qemu_find(const char *exe, bool only, struct err *e);
/* In these places, separated by ", ". */
char *qemu_find_among(const char *places, const char *exe, bool only, struct err *e);

#endif
