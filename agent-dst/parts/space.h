/* space.h: is there room for what is to be written here? */
#ifndef VMFERRY_SPACE_H
#define VMFERRY_SPACE_H

#include "files.h"

/* On each of the file systems, disks and files together. 0, -ENOSPC, -ENOENT, -EACCES. */
int space_for_files(const struct disks *d, const struct files *f, struct err *e);
/* -ENOMEM */
int space_in_memory(const struct target *t, struct err *e);

#endif
