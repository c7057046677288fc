/*
 * host-grants.h: what a guest's QEMU has of this host beside what its command line says, and what therefore does not go along: its priority for processors and
 * disks, the processors and memory nodes that it may use, the limits of its control group, a network namespace of its own.
 */
#ifndef VMFERRY_HOST_GRANTS_H
#define VMFERRY_HOST_GRANTS_H

#include "qemu-discover.h"

/* Notes for g, if that QEMU has others than vmferry itself. What cannot be told is not said. */
void host_grants_note(struct guest *g, pid_t qemu);

#endif
