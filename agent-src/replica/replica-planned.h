/* replica-planned.h: a guest goes, as it runs, to where its replica is: nothing is lost, and only what was written since the newest point travels. */
#ifndef VMFERRY_CLI_REPLICA_PLANNED_H
#define VMFERRY_CLI_REPLICA_PLANNED_H

#include "replica-conf.h"

/* At its primary. Returns the exit code, as of a move. */
int replica_planned(struct replica_conf *c, const char *guest);

#endif
