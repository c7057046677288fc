/*
 * replica-reverse.h: a guest that was taken over here has its replica at its old primary from now on. What that has of its disks need not travel: it is compared by
 * hash. The pair is the same, and the term the one of now, so that the old primary learns that it was replaced.
 */
#ifndef VMFERRY_CLI_REPLICA_REVERSE_H
#define VMFERRY_CLI_REPLICA_REVERSE_H

#include "points.h"
#include "replica-conf.h"

/* Path of the disk that a guest taken over here gets, beside the directory of its points, in its primary's format; malloc'ed. */
char *replica_flat_path(const char *store, const char *name, size_t i, const char *format);
const char *replica_flat_format(const json_t *disk);
/* Paths of the guest's disks at its primary, for a replica.json whose points are removed. A new reference. */
json_t *replica_disks_before(const struct point *pt);
/* c: as the command line has it, with the old primary as c->to. Afterwards it is as of an add, pair and term known. Points that are there yet go first
 * (failover --complete). 0, or the exit code, with what was wrong told. */
int replica_reverse(struct replica_conf *c, const char *guest);

#endif
