/*
 * replica-here.h: a guest that runs at the host of its replica, from one of the points: for a trial beside the guest itself, or in its place.
 *
 * Every run is on overlays of its own, in DIR/vm1.replica/test or run, so that no point changes. What runs is in replica.json ("test", "run"), and no points
 * are dropped meanwhile. In the guest's place it runs in a higher term, which is durable before it starts: what the primary of before sends is
 * refused from then on.
 */
#ifndef VMFERRY_REPLICA_HERE_H
#define VMFERRY_REPLICA_HERE_H

#include "replica-conf.h"

/* Commands; each returns the exit code and prints errors. */
int replica_test(struct replica_conf *c, const char *guest);
int replica_test_end(struct replica_conf *c, const char *guest);
int replica_failover(struct replica_conf *c, const char *guest);
int replica_failover_cancel(struct replica_conf *c, const char *guest);
int replica_failover_complete(struct replica_conf *c, const char *guest);
/* Removes points and the rest of a guest that ran here from a point and has moved on to another host. */
int replica_remove_gone(struct replica_conf *c, const char *guest);

#endif
