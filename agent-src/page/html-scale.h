/* html-scale.h: axes: which unit, where the ticks are, how they are written. Pure. */
#ifndef VMFERRY_HTML_SCALE_H
#define VMFERRY_HTML_SCALE_H

#include "html-value.h"

enum quantity {
	Q_MS,	       /* shown as ms, s or min */
	Q_BYTES,       /* B … TiB */
	Q_BYTES_PER_S, /* B … TiB per second */
	Q_PLAIN,       /* a number of what the caller says */
};

struct scale {
	double max;	       /* the axis' end, no less than the greatest value and more than 0 */
	double step;	       /* between ticks: 1, 2 or 5 times a power of ten, of the unit */
	double unit;	       /* value of one unit */
	const char *unit_name; /* "" for Q_PLAIN */
	int decimals;
};

/* About `ticks` ticks from 0 to no less than max (NAN or 0: some axis all the same). round_up: the axis ends at a tick. */
struct scale scale_for(enum quantity q, double max, unsigned ticks, bool round_up);
/* Does the same as scale_for() for whole numbers: every tick is one. */
struct scale scale_for_counts(double max, unsigned ticks);
const char *scale_tick(char buf[SHOW_MAX], const struct scale *s, double v);
/* A value in words, with its unit. */
const char *scale_value(char buf[SHOW_MAX], enum quantity q, double v);

#endif
