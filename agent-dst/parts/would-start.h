/*
 * would-start.h: would the guest start here from its replica? The plan of a run from a point, made while a point arrives and the primary is alive: the line that
 * would run it, what that needs of this host, and whether its QEMU takes it. Whatever is in the way is told, and keeps no point from being made.
 */
#ifndef VMFERRY_DST_WOULD_START_H
#define VMFERRY_DST_WOULD_START_H

#include "arriving-point.h"
#include "line.h"

struct would_start {
	struct part part;
	const struct target *target;
	struct arriving_point *point; /* point, which has the answer */
	const struct disks *disks;
	const struct line *line; /* command line, asked only for the bridges that the host's owner names */
};

void would_start_init(struct would_start *w, const struct target *target, struct arriving_point *point, const struct disks *disks,
		      const struct line *line);

#endif
