/*
 * ram-mode.h: how the guest's memory may travel: as pages, or as QEMU's own stream (opaque), in which nothing finds what QEMU leaves out.
 *
 * Without KVM QEMU loses much of what is written to any block of memory but the first (recheck.h), so a guest that has several of them
 * travels only where they are compared once more, unless it stands before QEMU looks. A virtio-mem device has state that comes before memory in
 * QEMU's stream, so that this cannot be taken apart (qemu-stream.h).
 */
#ifndef VMFERRY_RAM_MODE_H
#define VMFERRY_RAM_MODE_H

#include "ram.h"

/* Asks QEMU; 0, or why the guest cannot be moved in the mode that is asked for. */
int ram_mode_examine(struct ram *r, struct err *e);
/* The mode that the destination is asked for. */
enum ram_wish ram_mode_wish(const struct ram *r);
/* A guest without KVM runs while its memory is carried, or may. */
bool ram_mode_runs_without_kvm(const struct ram *r);
/* -ENOTSUP: writes would be lost, and nothing would find them. */
int ram_mode_refuse(struct err *e);

#endif
