/* replica-whereabouts.h: what the host of a replica remembers of where the guest itself is: it may have gone on from here, or have come by another way than its replica. */
#ifndef VMFERRY_CLI_REPLICA_WHEREABOUTS_H
#define VMFERRY_CLI_REPLICA_WHEREABOUTS_H

#include "points.h"

/*
 * Has the guest that runs here from a point, or has run, stayed? 0. -EREMOTE: it went on to another host, which has what it has written since. -EBUSY: a
 * command that may take it there is not over, or that cannot be told.
 */
int replica_check_stayed(const char *state_dir, const char *guest, const struct points *p, struct err *e);
/* 0, or -EEXIST: the guest itself came to this host after its newest point was made, by another way than its replica. */
int replica_check_came(const char *state_dir, const char *guest, const struct points *p, struct err *e);

#endif
