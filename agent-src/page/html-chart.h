/*
 * html-chart.h: a chart of horizontal bars as inline SVG. Names stand above their bars, so that none is too long and none is in the
 * way of another; values are written beside them. Colours are classes of the page's style sheet (html-page.c).
 */
#ifndef VMFERRY_HTML_CHART_H
#define VMFERRY_HTML_CHART_H

#include "html-scale.h"

#include <stdio.h>

#define CHART_PARTS 8

struct chart_bar {
	const char *name;  /* above it; NULL: none, it belongs to the bar before */
	const char *label; /* small, on its left; NULL in all bars of a chart, or in none */
	const char *class; /* fill of the bar; NULL: c0, c1 … for its parts */
	double from;
	double part[CHART_PARTS];    /* lengths, one behind the other; 0: none, NAN in the first: not measured */
	const struct spread *spread; /* whiskers, and a dot for each value; may be NULL */
	const char *none;	     /* text where nothing was measured; NULL: a dash */
};

/* legend: the names of c0, c1 …, up to a NULL; or NULL. */
void chart_write(FILE *f, const char *title, enum quantity q, const char *axis, const char *const *legend, const struct chart_bar *bars,
		 size_t count);

#endif
