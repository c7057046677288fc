/* unit-of-disks.h: the systemd unit that would start a guest here, though the guest does not run in it: it did before it was moved away, and back. */
#ifndef VMFERRY_UNIT_OF_DISKS_H
#define VMFERRY_UNIT_OF_DISKS_H

#include "qemu-discover.h"

#include <stdbool.h>

/* Looks at all units of systemd, wherever they lie, with their drop-ins and the instances of templates: one that starts by itself, and whose text runs QEMU
 * on an image of the guest's or runs a script that does. but: another than this one, which is
 * known; NULL: any. Malloc'ed; NULL: there is none. */
char *unit_of_disks(const struct guest *g, bool user, const char *but);

#endif
