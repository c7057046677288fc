/*
 * claim.h: one command at a time works with a guest's QEMU, whichever runtime and state directories it has, and in whichever network or mount
 * namespace it is, with whichever mount of /proc. Otherwise a move that waits until the guest is down (head-start.c) would take the end of a move's source for that, and start a
 * second copy.
 */
#ifndef VMFERRY_CLAIM_H
#define VMFERRY_CLAIM_H

#include "err.h"

#include <sys/types.h>

/* *claim is a descriptor: the kernel takes the claim back when it is closed, also by the death of its process. -1: there is no such QEMU. -EBUSY: another
 * command has it, or whoever else of its user or root has locked it; -EACCES: it is another user's, or does as if. */
int guest_claim(pid_t qemu, int *claim, struct err *e);

#endif
