/*
 * arrived.h: what this host remembers of a guest that has come (whereabouts.h), as a part of its move: its disks here are the newest copy from then on,
 * also where the guest had been before. It is written when the guest is to stay, before its journal goes.
 */
#ifndef VMFERRY_ARRIVED_H
#define VMFERRY_ARRIVED_H

#include "arriving-disks.h"

struct arrived {
	struct part part;
	const struct target *target;
	const struct disks *disks;
};

void arrived_init(struct arrived *a, const struct target *target, const struct disks *disks);
/* Sets *left to whether the guest has gone elsewhere since it came by that attempt, as far as this host knows. 0; -errno: that cannot be
 * told. */
int arrived_has_left(const struct attempt *a, bool *left, struct err *e);

#endif
