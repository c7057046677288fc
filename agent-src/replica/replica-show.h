/* replica-show.h: vmferry replica list and status: this host's knowledge of guests' replicas, as their primary and as the replica's
 * host. */
#ifndef VMFERRY_REPLICA_SHOW_H
#define VMFERRY_REPLICA_SHOW_H

#include "replica-conf.h"

#include <time.h>

/* Row for a guest's replica as its primary knows it, with its health: the object of status --json; a new reference. state:
 * replica_state_load(). */
json_t *replica_row(const struct replica_conf *c, const char *guest, const json_t *state);
/* True if the row's answer on how the guest would start there is so old that its time, "planned_at", must be shown with it. */
bool replica_plan_is_old(const json_t *o, time_t now);
/* Rows of all guests (only: of that one), and of replicas that are here: an array. */
json_t *replica_everything(const char *state_dir, const char *only);
/* argv: a guest; none: all. Returns the exit code. */
int replica_show(struct replica_conf *c, int argc, char **argv);

/* vmferry replica history: results of all attempts to make a point of a guest. argv: the guest. */
int replica_show_history(struct replica_conf *c, int argc, char **argv);

#endif
