/*
 * points-state.h: warnings about the points on this host, apart from their age, that matter before the points are needed: shown by status
 * at this host, and sent to the primary when a point is made.
 */
#ifndef VMFERRY_POINTS_STATE_H
#define VMFERRY_POINTS_STATE_H

#include "points.h"

/* Sentences: a trial is there, points are damaged, some could not be dropped, there are many more than are to be kept. A new array, empty
 * if all is well. */
json_t *points_warnings(const struct points *p);
/* True if a trial is there, or what is left of one: no point is dropped meanwhile. */
bool points_are_tried(const struct points *p);
/* True if there are many more points than are to be kept. */
bool points_are_many(const struct points *p);
/* Notes why points were not dropped, in replica.json; NULL: they were. With the lock. */
int points_note_kept(struct points *p, const char *why, struct err *e);

#endif
