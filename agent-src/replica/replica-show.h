/* replica-show.h: vmferry replica list and status: what this host knows of guests' replicas, as their primary and as the replica's host. */
#ifndef VMFERRY_REPLICA_SHOW_H
#define VMFERRY_REPLICA_SHOW_H

#include "replica-conf.h"

#include <time.h>

/* The primary's knowledge of its guest's replica, with its health: the object of status --json; a new reference. state: replica_state_load(). */
json_t *replica_row(const struct replica_conf *c, const char *guest, const json_t *state);
/* Whether what a row says of how the guest would start there is to be told with its moment, "planned_at": points come without it by now. */
bool replica_plan_is_old(const json_t *o, time_t now);
/* Such of all guests (only: of that one), and of replicas that are here: an array. */
json_t *replica_everything(const char *state_dir, const char *only);
/* argv: a guest, or none: all of them. Its exit code. */
int replica_show(struct replica_conf *c, int argc, char **argv);

/* vmferry replica history: what became of each attempt to make a point of a guest. argv: the guest. */
int replica_show_history(struct replica_conf *c, int argc, char **argv);

#endif
