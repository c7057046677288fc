/*
 * replica-health.h: what a person should know of a guest's replica before it is needed: is it young enough, are points made, would the guest start there?
 * Pure.
 */
#ifndef VMFERRY_REPLICA_HEALTH_H
#define VMFERRY_REPLICA_HEALTH_H

#include <jansson.h>

/* "90 s", "12 min", "5 h", "3 d"; malloc'ed. */
char *replica_span(double seconds);
/*
 * row: what the primary knows (replica-show.h): every_s, lag_s, ahead_s, point, replaced, exit_code, reason, freezes, frozen, paused, would_start, warnings. Sets "health" to
 * "normal", "warning" (lag over 2 × every, ahead over every, the last attempt failed, not frozen as was asked for, it would not start there, there are warnings) or "critical" (lag over 12 ×
 * every, no point yet, replaced), and "health_why" to an array of sentences, empty where it is normal.
 */
void replica_health(json_t *row);
/* row: of points that are here: "health" and "health_why" by its warnings (points-state.h), which is all that can be told here. */
void replica_health_here(json_t *row);

#endif
