/* qemu-find.h: the QEMU of this host that is to run the guest. */
#ifndef VMFERRY_QEMU_FIND_H
#define VMFERRY_QEMU_FIND_H

#include "err.h"

#include <stdbool.h>

/*
 * The program exe; if it is not here one of the same name in the usual places, but not where only that is asked for (--qemu): who names a QEMU
 * means that one. Malloc'ed; NULL: none, and *e says where it was looked for, and what to do.
 */
char *qemu_find(const char *exe, bool only, struct err *e);

#endif
