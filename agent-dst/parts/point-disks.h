/* point-disks.h: disks that a source describes for a point of a replica, beside those of the newest point that is here. Pure. disks: of DESCRIBE. */
#ifndef VMFERRY_DST_POINT_DISKS_H
#define VMFERRY_DST_POINT_DISKS_H

#include "points.h"

/* True if each disk still has the size that it has in the point: no bitmap reports the bytes of a disk that has grown. */
bool point_has_sizes(const struct point *newest, const json_t *disks);
/* The point leaves a disk out that comes in this one: what was written since is not all of it. */
bool point_lacks_disk(const struct point *newest, const json_t *disks);
/*
 * Whether `is` of DESCRIBE is disk i of a point (had: its disks). A guest that was moved may have its disks elsewhere. Where the source tells what was written to
 * all of them since the point (from), another name is no other disk, unless they have changed places; where it does not (0), another name is rather a mistake.
 */
bool point_has_disk(const json_t *had, size_t i, const json_t *is, uint64_t from);

#endif
