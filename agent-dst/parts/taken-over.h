/*
 * taken-over.h: a guest that comes, as it runs, to where its replica is, in its primary's place: in a higher term, as the replica's store (points.h) says. It runs
 * from overlays of the newest point, in DIR/vm1.replica/run, as after vmferry replica failover, whose --complete gives it disks of its own.
 */
#ifndef VMFERRY_DST_TAKEN_OVER_H
#define VMFERRY_DST_TAKEN_OVER_H

#include "attempt.h"
#include "part.h"

struct arriving_point;

/* Malloc'ed: where its overlays are, of the store in that directory. */
char *taken_over_dir(const char *store);
/* Makes the directory, journaled. With the store's lock. */
int taken_over_prepare(struct arriving_point *a, struct err *e);
/* The store's lock, from before the promise on, so that nobody has to be waited for while the guest stands: until taken_over_raise(), or the end. */
int taken_over_hold(struct arriving_point *a, struct err *e);
/* Raises the term durably before the guest runs here, in any life of the agent and from the journal alone, so that the former primary is
 * refused from now on. Does nothing in an attempt without a replica. pid: the guest's QEMU. */
int taken_over_raise(struct arriving_point *a, pid_t pid, uint64_t start_time, struct err *e);
/* True if the move by which the guest came, which the store names, is not over yet. */
bool taken_over_is_unsettled(const char *state_dir, const json_t *run);
/* Undoes, as part_undo.undo: the primary is what it was, unless the guest runs here. */
int taken_over_undo(struct part *p, const json_t *detail, struct err *e);

#endif
