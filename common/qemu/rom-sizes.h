/*
 * rom-sizes.h: the sizes of a guest's ROMs: its devices' boot ROMs, and its BIOS. Each is a block of memory as large as the file that it
 * was loaded from, the devices' rounded up to a power of two. A QEMU whose own file has another size rejects the guest, and only at the end
 * of the migration. Distributions have files of their own.
 */
#ifndef VMFERRY_ROM_SIZES_H
#define VMFERRY_ROM_SIZES_H

#include "err.h"
#include "qmp.h"

/* An object of sizes in bytes by the names of blocks ("0000:00:02.0/virtio-net-pci.rom", "pc.bios"), a new reference; empty where QEMU does
 * not tell (7.2). An error is one of the monitor: no answer. */
int rom_sizes_ask(struct qmp *q, json_t **sizes, struct err *e);
/* A sentence about the first ROM of used that has another size there, malloc'ed; NULL: there is none. A ROM that one side lacks is skipped.
 * without_bios: there the guest's own BIOS is not loaded. used comes from a peer. */
char *rom_sizes_misfit(const json_t *used, const json_t *there, bool without_bios);

#endif
