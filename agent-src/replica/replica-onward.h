/*
 * replica-onward.h: a replica that goes on to a further host (an extended replica): this host has the points of a guest that is elsewhere, and sends the newest of
 * them on. Settings and notes of that are in STATE_DIR/onward, as replica-conf.h has those of a primary; that it goes on is in the store, too (onward.h).
 */
#ifndef VMFERRY_REPLICA_ONWARD_H
#define VMFERRY_REPLICA_ONWARD_H

#include "replica-conf.h"

#define REPLICA_GOES_ON (-1) /* value in place of an exit code: a point is to be sent */

/* add: is it about points that are here? Then c becomes one that goes on. 0, or an exit code. */
int replica_onward_choose(struct replica_conf *c, const char *guest);
/* The name of an option, as settings of points that go on have none, which asks something of the guest where it runs; NULL: there is none. */
const char *replica_onward_misses(const struct replica_conf *c);
/* Prepares an attempt. 0: the newest point is there already; REPLICA_GOES_ON; or EXIT_REFUSED, which is noted as an attempt that failed. */
int replica_onward_begin(struct replica_conf *c, const char *guest);
/* Notes the attempt's result in the store. code: the attempt's exit code. Returns the command's. */
int replica_onward_end(struct replica_conf *c, int code);

bool replica_onward_has(const char *state_dir, const char *guest);
/* Stops passing on the guest's points. Returns an exit code. */
int replica_onward_remove(struct replica_conf *c, const char *guest);
/* Removes the settings: the guest is here, and its replica is now made of its own disks. */
void replica_onward_forget(const char *state_dir, const char *guest);
/* Permission to run the guest here. 0: it was not taken over where its points go on to, or a person says that it does not run there. -EBUSY: it was, as that host
 * says, or this one knows. -EAGAIN: nobody can tell. */
int replica_onward_may_run(const struct replica_conf *c, const char *guest, struct err *e);
/* Does the same as replica_onward_may_run() for a failover; prints what is in the way. Returns an exit code. */
int replica_onward_check_not_taken(const struct replica_conf *c, const char *guest);
/* The subcommand `ask`, also for a primary. */
int replica_onward_ask(struct replica_conf *c, int argc, char **argv);

#endif
