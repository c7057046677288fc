/* replica-show.h: vmferry replica list and status: what this host knows of guests' replicas, as their primary and as the replica's host. */
#ifndef VMFERRY_REPLICA_SHOW_H
#define VMFERRY_REPLICA_SHOW_H

#include "replica-conf.h"

/* argv: a guest, or none: all of them. Its exit code. */
int replica_show(struct replica_conf *c, int argc, char **argv);

#endif
