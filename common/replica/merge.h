/*
 * merge.h: drops points of a replica: the next point's data is written into the images of the dropped one (qemu-img commit), whose
 * directory belongs to the next point from then on. Dropping the oldest and dropping one from the middle work the same way.
 *
 * A process that dies meanwhile leaves all other points as they were: images above see the same data whether all, a part, or nothing has
 * been written below them. The next call of points_mend() completes the merge.
 */
#ifndef VMFERRY_MERGE_H
#define VMFERRY_MERGE_H

#include "keep-points.h"
#include "points.h"

/* Completes a merge that was cut off, and removes stale drafts of points; p is read again. This and the next two need the lock, and that no
 * point is being made. */
int points_mend(struct points *p, struct err *e);
/* Drops the point at that index, which is not the newest; p is read again. -EBUSY: a QEMU reads these images; -EBADMSG: a neighbour is
 * damaged; nothing was changed then. */
int points_drop(struct points *p, size_t index, struct err *e);
/* Drops one point that need not stay, if there is any; -EBADMSG: points beside a damaged one were left. Does nothing while a guest runs, or
 * is tried, from one of the points. */
int points_prune_one(struct points *p, const struct keep_rule *k, bool *dropped, struct err *e);
/* Mends, and drops points by the rule in replica.json; a failure is noted there (points-state.h). Called by the process that makes points,
 * or with points_session(). Takes the lock for each point anew, so that a guest that is to run from one of them does not wait until all are
 * merged. */
int points_tidy(const char *dir, struct err *e);
/* Does the same as points_tidy(), if the caller has no lock. Does nothing while a point is made: its maker does this, too. */
int points_tidy_at(const char *dir, struct err *e);

#endif
