/*
 * replica-pace.h: when the next point of a replica is due. Pure; times are seconds of one clock, which may begin anywhere.
 *
 * A point is due `every` after the one before began. One that took longer than that is followed by a pause of a tenth of it, so that a guest that writes more
 * than the way there takes is not copied all the time. Each failure in a row doubles the wait, up to eight times `every` or half an hour, whichever is
 * less, and never below `every`.
 */
#ifndef VMFERRY_REPLICA_PACE_H
#define VMFERRY_REPLICA_PACE_H

#include <stdbool.h>

struct replica_attempt {
	double began, ended;
	unsigned failures; /* failures in a row, including this attempt; 0: it made a point */
};

/* Time when the next point is due. */
double replica_due(const struct replica_attempt *last, double every);
/* Time when the first point of a `run` that begins at `now` is due. age: time since the last attempt by the wall clock (negative: the
 * clock was set back). Restarts of a service do not cause more points. */
double replica_first_due(double now, double age, double every);

/* Memory of failures that were reported: each reason once, and the recovery. */
struct replica_word {
	unsigned code;	  /* exit code of the last reported failure; 0: none */
	char reason[256]; /* reason, without words that contain digits */
};

enum replica_says { REPLICA_SAYS_NOTHING, REPLICA_SAYS_FAILED, REPLICA_SAYS_OVER };

/* Decides after an attempt what to report. reason NULL: not known. */
enum replica_says replica_is_news(struct replica_word *w, unsigned code, const char *reason);

#endif
