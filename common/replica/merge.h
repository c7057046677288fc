/*
 * merge.h: points of a replica are dropped: what the next point has is written into the images of the one that goes (qemu-img commit), whose directory is the
 * next point's from then on. Dropping the oldest and dropping one from the middle are the same.
 *
 * Whoever dies meanwhile leaves all other points as they were: what is above sees the same whether all, a part, or nothing has been written below it. The
 * next to call points_mend() goes on.
 */
#ifndef VMFERRY_MERGE_H
#define VMFERRY_MERGE_H

#include "keep-points.h"
#include "points.h"

/* Each with the lock, and while nobody makes a point. Ends what others have left: a merge that was cut off, drafts of points that are nobody's. p is read again. */
int points_mend(struct points *p, struct err *e);
/* Drops the point at that index, which is not the newest; p is read again. Nothing was changed: -EBUSY: some QEMU reads these images; -EBADMSG: one beside it is damaged. */
int points_drop(struct points *p, size_t index, struct err *e);
/* Drops one that need not stay, if there is any; -EBADMSG: but for what is beside a damaged one. Nothing while a guest runs, or is tried, from one of the points. */
int points_prune_one(struct points *p, const struct keep_rule *k, bool *dropped, struct err *e);
/* Mends, and drops what does not stay as replica.json says; that it could not is noted there (points-state.h). By who makes points, or with points_session(); the
 * lock is taken for each point anew, as a guest that is to run from one of them does not wait until all that have piled up are merged. */
int points_tidy(const char *dir, struct err *e);
/* The same, without any lock. Nothing while a point is made: who makes it does that, too. */
int points_tidy_at(const char *dir, struct err *e);

#endif
