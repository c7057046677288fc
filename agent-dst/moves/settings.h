/* settings.h: what this host's owner says of guests that come (host-settings.h), applied to the guest that is described. Private to this folder. */
#ifndef VMFERRY_DST_SETTINGS_H
#define VMFERRY_DST_SETTINGS_H

#include "err.h"

struct transfer;

/* Applies this host's settings before the plan is made: `--disk-dir auto` becomes the directory with most room, and bridges that have
 * another name here get that name. -errno: the file cannot be read, or names no directory. */
int settings_apply(struct transfer *t, struct err *e);

#endif
