/* firmware.h: finds this host's UEFI firmware, as its distribution describes it (QEMU's docs/interop/firmware.json). */
#ifndef VMFERRY_FIRMWARE_H
#define VMFERRY_FIRMWARE_H

#include "err.h"

#include <stdbool.h>

struct firmware {
	char *code, *code_format;
	char *vars; /* template of a guest's variables; NULL: none */
	bool smm;   /* needs a machine with SMM, and flash that only SMM may write to */
};

/*
 * The first that fits, in the order of firmware_each() (firmware-list.h). machine: "pc-q35-10.0". 0; -ENOENT: there is none.
 */
int firmware_find(struct firmware *out, const char *machine, bool secure_boot, struct err *e);
void firmware_fini(struct firmware *f);

#endif
