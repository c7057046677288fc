/* replica-run.h: vmferry replica run: makes points as they are due until told to end; and trials for a limited time. */
#ifndef VMFERRY_REPLICA_RUN_H
#define VMFERRY_REPLICA_RUN_H

#include "replica-conf.h"

/* argv: the guest. Returns the exit code: 0 when told to end, or when the guest has no replica any more. */
int replica_run(struct replica_conf *c, int argc, char **argv);

/* vmferry replica test --for: a trial that ends after its time, or by a signal. Returns the exit code. */
int replica_trial(struct replica_conf *c, const char *guest);

#endif
