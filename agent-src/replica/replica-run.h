/* replica-run.h: vmferry replica run: a point each time that one is due, until told to end; and a trial for some time. */
#ifndef VMFERRY_REPLICA_RUN_H
#define VMFERRY_REPLICA_RUN_H

#include "replica-conf.h"

/* argv: the guest. Its exit code: 0 when it was told to end, and when the guest has no replica any more. */
int replica_run(struct replica_conf *c, int argc, char **argv);

/* vmferry replica test --for: a trial that ends when its time is over, or a signal comes. Its exit code. */
int replica_trial(struct replica_conf *c, const char *guest);

#endif
