/*
 * rom-sizes.h: how large the ROMs of a QEMU's guest are: those of its devices (what they boot by), and its BIOS. Each is a block of memory as large
 * as the file that it was loaded from, the devices' rounded up to a power of two, and a QEMU whose own file has another size takes no guest with it,
 * which it says when all has arrived. Distributions have files of their own.
 */
#ifndef VMFERRY_ROM_SIZES_H
#define VMFERRY_ROM_SIZES_H

#include "err.h"
#include "qmp.h"

/* An object of sizes in bytes by the names of blocks ("0000:00:02.0/virtio-net-pci.rom", "pc.bios"), a new reference; empty where QEMU does not tell
 * (7.2). An error is one of the monitor: no answer. */
int rom_sizes_ask(struct qmp *q, json_t **sizes, struct err *e);
/* A sentence about the first ROM of used that has another size there, malloc'ed; NULL: there is none. What one of both does not have says nothing.
 * without_bios: there the guest's own BIOS is not loaded. used comes from a peer. */
char *rom_sizes_misfit(const json_t *used, const json_t *there, bool without_bios);

#endif
