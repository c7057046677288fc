/*
 * html-chart.h: charts of horizontal bars as inline SVG. Names stand above their bars, so that none is too long and none is in the
 * way of another; values are written beside them. Colours are classes of the page's style sheet (html-page.c).
 */
#ifndef VMFERRY_HTML_CHART_H
#define VMFERRY_HTML_CHART_H

#include "html-scale.h"

#include <stdio.h>

/* One bar to the median with whiskers from min to max, and a dot for each value. */
struct chart_bar {
	const char *name;
	const char *class; /* its fill */
	struct spread spread;
	const char *none; /* what is said when it has no values */
};

void chart_bars(FILE *f, const char *title, enum quantity q, const char *axis, const struct chart_bar *bars, size_t count);

/* A stretch from one value to another under a heading of its own, or below that of the row before (heading NULL). */
struct chart_row {
	const char *heading, *name, *class;
	double from, to; /* to NAN: not measured */
};

void chart_rows(FILE *f, const char *title, enum quantity q, const char *axis, const struct chart_row *rows, size_t count);

#define STACK_MAX 8

struct chart_stack {
	const char *name;
	double part[STACK_MAX]; /* one for each of the names; NAN: none */
};

/* Parts of a whole, one beside the other; names and their classes c0… are in the legend. */
void chart_stacks(FILE *f, const char *title, enum quantity q, const char *axis, const char *const *names, size_t name_count,
		  const struct chart_stack *stacks, size_t count);

#endif
