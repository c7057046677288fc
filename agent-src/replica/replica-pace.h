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
	unsigned failures; /* in a row, this one with them; 0: it made a point */
};

/* When the next is due. */
double replica_due(const struct replica_attempt *last, double every);
/* When the first is due of a `run` that begins at now: age: how long ago the last attempt was, by the clock of the day (negative: that was set back). A service that is
 * started over and over makes no more points than one that is not. */
double replica_first_due(double now, double age, double every);

/* The words that were said of failures: each reason once, and that it is over. */
struct replica_word {
	unsigned code;	  /* of the failure that was told last; 0: none */
	char reason[256]; /* without words that have a digit in them */
};

enum replica_says { REPLICA_SAYS_NOTHING, REPLICA_SAYS_FAILED, REPLICA_SAYS_OVER };

/* After an attempt: what is to be said. reason: NULL: none is known. */
enum replica_says replica_is_news(struct replica_word *w, unsigned code, const char *reason);

#endif
