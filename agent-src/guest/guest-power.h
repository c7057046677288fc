/*
 * guest-power.h: the power button of a guest that runs, for whoever waits until it is down: by whichever way into it there is.
 */
#ifndef VMFERRY_GUEST_POWER_H
#define VMFERRY_GUEST_POWER_H

#include "qemu-discover.h"

/* True if the line has a way to tell the guest to shut down; connects to nothing. */
bool guest_has_power_button(const struct guest *g);
/*
 * Tells the guest to shut down: by system_powerdown of its QMP or human monitor, or else by its agent. *by: who was told, in words. -ENXIO: there is nobody to be told;
 * otherwise -errno of the last of them, which was not reached. q: its QMP monitor, open; NULL: it is not. Blocks for some seconds at most.
 */
int guest_press_power(const struct guest *g, struct qmp *q, const char **by, struct err *e);

#endif
