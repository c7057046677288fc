/* qemu-line-private.h: shared by line-decide.c and qemu-line.c: devices for disks on each bus. */
#ifndef VMFERRY_QEMU_LINE_PRIVATE_H
#define VMFERRY_QEMU_LINE_PRIVATE_H

#include "qemu-line.h"

/* The way a disk is attached to a bus. With a controller of its own kind (with `units` units) its bus is "IDn.0", or "IDn.UNIT" where each
 * unit is a bus; without one a disk is a device by itself. cdrom NULL: a drive goes to SATA. */
struct line_bus {
	const char *name; /* name for messages */
	const char *controller, *id;
	unsigned units;
	const char *disk, *cdrom;
	const char *unit;	  /* property of the unit; NULL: the unit is the bus */
	bool without_uefi_driver; /* edk2 has one only if asked when it is built, and distributions do not ask */
};
extern const struct line_bus line_buses[BUS_COUNT];

#endif
