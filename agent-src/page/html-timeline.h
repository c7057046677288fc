/*
 * html-timeline.h: what happened when, as inline SVG: panels with lines above one another on one time axis, strips that say in
 * which state something was, and marks across all of them.
 *
 * It owns what was added. Long series are thinned by the least and the greatest of each stretch, so that a gap stays a gap.
 */
#ifndef VMFERRY_HTML_TIMELINE_H
#define VMFERRY_HTML_TIMELINE_H

#include "html-scale.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define TIMELINE_WIDE	800.0
#define TIMELINE_NARROW 440.0

#define TIMELINE_PANELS 6
#define PANEL_SERIES	2
#define TIMELINE_STRIPS 2
#define TIMELINE_MARKS	64
#define STRIP_SPANS	400

struct series {
	const char *name; /* NULL where the panel's title says it */
	double *t, *v;	  /* ms, ascending; NAN: a gap */
	size_t n;
	bool counts; /* drawn as steps: v[i] is from t[i] to t[i + 1]; the last one is not */
};

struct panel {
	char title[64];
	enum quantity q;
	struct series series[PANEL_SERIES];
	size_t count;
	double limit;		/* a dashed line, if more than 0 */
	const char *limit_name; /* borrowed */
};

struct span {
	double from; /* begin; the span ends where the next one begins */
	char text[24];
};

struct strip {
	const char *title;
	struct span *spans;
	size_t count;
};

struct mark {
	double t;
	char text[32];
};

struct timeline {
	double width;
	double from, to;	     /* ms; may be negative */
	const char *axis;	     /* moment from which the time counts */
	double shade_from, shade_to; /* ms; from NAN: none */
	struct panel panels[TIMELINE_PANELS];
	size_t panel_count;
	struct strip strips[TIMELINE_STRIPS];
	size_t strip_count;
	struct mark marks[TIMELINE_MARKS];
	size_t mark_count;
};

/* Adds a panel. Panels, series or strips for which there is no room share the last place. */
struct panel *timeline_panel(struct timeline *t, const char *title, enum quantity q);
struct series *panel_series(struct panel *p, const char *name, bool counts);
void series_add(struct series *s, double t, double v);
struct strip *timeline_strip(struct timeline *t, const char *title);
/* Sets the text of the strip from t on; "": nothing. */
void strip_add(struct strip *s, double t, const char *text);
void timeline_mark(struct timeline *t, double at, const char *text);

/* A figure with its caption, or nothing when there is nothing to be seen. */
void timeline_write(FILE *f, struct timeline *t, const char *caption);
bool timeline_is_empty(const struct timeline *t);
void timeline_fini(struct timeline *t);

#endif
