/* runs-here.h: does a guest run on this host under whatever name? By its disks, as they are noted here, and by its UUID. */
#ifndef VMFERRY_RUNS_HERE_H
#define VMFERRY_RUNS_HERE_H

#include "err.h"

#include <jansson.h>

/*
 * uuid: the guest's, from what starts it; NULL: not known. -EBUSY: a QEMU here has that UUID, names a disk on which the guest was when its last point was made, or
 * when it came here, or a process has such a disk open; *e names the process. -errno: that cannot be told. A disk that is gone is no matter.
 */
int runs_here_check(const char *state_dir, const char *guest, const char *uuid, struct err *e);
/* Value of -uuid in a command line; borrowed; NULL: the line has none. */
const char *runs_here_uuid(char *const *argv, size_t argc);

#endif
