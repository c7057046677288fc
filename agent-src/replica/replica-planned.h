/* replica-planned.h: moves a running guest to its replica's host, with its memory, or shut down for that: nothing is lost, and only what was written since
 * the newest point travels. */
#ifndef VMFERRY_CLI_REPLICA_PLANNED_H
#define VMFERRY_CLI_REPLICA_PLANNED_H

#include "replica-conf.h"

/* Runs at the primary. Returns the exit code of the move. */
int replica_planned(struct replica_conf *c, const char *guest);

#endif
