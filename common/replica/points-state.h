/*
 * points-state.h: what somebody should know of the points that are on this host before they are needed, beyond how old they are: told by status at this host,
 * and, as a point is made, to its primary.
 */
#ifndef VMFERRY_POINTS_STATE_H
#define VMFERRY_POINTS_STATE_H

#include "points.h"

/* Sentences: a trial is there, points are damaged, some could not be dropped, there are many more than are to be kept. A new array, empty if all is well. */
json_t *points_warnings(const struct points *p);
/* Whether a trial is there, or what is left of one: no point is dropped meanwhile. */
bool points_are_tried(const struct points *p);
/* Many more than are to be kept. */
bool points_are_many(const struct points *p);
/* Notes why points were not dropped, in replica.json; NULL: they were. With the lock. */
int points_note_kept(struct points *p, const char *why, struct err *e);

#endif
