/* disks-space.h: is there room for what is to be written here? */
#ifndef VMFERRY_DISKS_SPACE_H
#define VMFERRY_DISKS_SPACE_H

#include "arriving-files.h"

/* Compares the room of each file system with what disks and files need there together, and adds what is missing to the obstacles of the
 * plan. */
void space_for_files(const struct disks *d, const struct files *f);
/* Checks the room for a point of a replica, as far as it is certain what that needs. */
void space_for_point(const struct disks *d);
/* Measures how fast all disks together reach stable storage, in bytes a second, with up to four file systems at the same time; 0: not
 * known. Writes there for a moment (store-cost.h). */
double space_store_bps(const struct disks *d);
/* The file systems that the plan's disks and files go to, as host-state.h has them: a new array. */
json_t *space_volumes(const struct disks *d, const struct files *f);
/* -ENOMEM */
int space_in_memory(const struct target *t, struct err *e);

#endif
