/* html-timeline.c: see html-timeline.h. */
#include "html-timeline.h"
#include "util.h"

#include <math.h>
#include <string.h>

#define LEFT	   62.0
#define MARGIN	   14.0 /* on the right */
#define LANE	   15.0 /* height of a lane of the marks' names */
#define LANES	   6
#define CHARACTER  7.2 /* about as wide */
#define BOLD	   8.2 /* the same of bold ones */
#define TITLE	   28.0
#define PLOT	   74.0
#define STRIP	   18.0
#define AXIS	   40.0
#define KEY_MAX	   20 /* characters of a name in a panel's title */
#define BUCKETS	   300
#define POINTS_MAX (2 * BUCKETS)
#define DOTTED_MAX 60 /* points of a series that are few enough to be seen each */

/* ---- putting together ---- */

struct panel *timeline_panel(struct timeline *t, const char *title, enum quantity q)
{
	struct panel *p = &t->panels[MIN(t->panel_count, TIMELINE_PANELS - 1)];

	t->panel_count = MIN(t->panel_count + 1, TIMELINE_PANELS);
	snprintf(p->title, sizeof(p->title), "%s", title);
	p->q = q;
	return p;
}

struct series *panel_series(struct panel *p, const char *name, bool counts)
{
	struct series *s = &p->series[MIN(p->count, PANEL_SERIES - 1)];

	p->count = MIN(p->count + 1, PANEL_SERIES);
	s->name = name;
	s->counts = counts;
	return s;
}

void series_add(struct series *s, double t, double v)
{
	if (!(s->n & (s->n + 1))) { /* full at 0, 1, 3, 7, … */
		s->t = xrealloc(s->t, (2 * s->n + 1) * sizeof(*s->t));
		s->v = xrealloc(s->v, (2 * s->n + 1) * sizeof(*s->v));
	}
	s->t[s->n] = t;
	s->v[s->n++] = v;
}

struct strip *timeline_strip(struct timeline *t, const char *title)
{
	struct strip *s = &t->strips[MIN(t->strip_count, TIMELINE_STRIPS - 1)];

	t->strip_count = MIN(t->strip_count + 1, TIMELINE_STRIPS);
	s->title = title;
	if (!s->spans)
		s->spans = xcalloc(STRIP_SPANS, sizeof(*s->spans));
	return s;
}

void strip_add(struct strip *s, double t, const char *text)
{
	struct span *last = s->count ? &s->spans[s->count - 1] : NULL;
	char copy[sizeof(last->text)];

	snprintf(copy, sizeof(copy), "%s", text);
	if ((last && !strcmp(last->text, copy)) || s->count == STRIP_SPANS)
		return;
	s->spans[s->count] = (struct span){.from = t};
	memcpy(s->spans[s->count++].text, copy, sizeof(copy));
}

void timeline_mark(struct timeline *t, double at, const char *text)
{
	if (isnan(at) || !text || t->mark_count == TIMELINE_MARKS)
		return;
	t->marks[t->mark_count].t = at;
	snprintf(t->marks[t->mark_count++].text, sizeof(t->marks->text), "%s", text);
}

/* Frees all panels, also those that were dropped. */
void timeline_fini(struct timeline *t)
{
	size_t i, k;

	for (i = 0; i < TIMELINE_PANELS; i++)
		for (k = 0; k < PANEL_SERIES; k++) {
			free(t->panels[i].series[k].t);
			free(t->panels[i].series[k].v);
		}
	for (i = 0; i < TIMELINE_STRIPS; i++)
		free(t->strips[i].spans);
}

/* ---- what there is to be seen ---- */

static double panel_max(const struct panel *p)
{
	double max = NAN;
	size_t i, k;

	for (i = 0; i < p->count; i++)
		for (k = 0; k < p->series[i].n; k++)
			max = fmax(max, p->series[i].v[k]);
	return max;
}

bool timeline_is_empty(const struct timeline *t)
{
	for (size_t i = 0; i < t->panel_count; i++)
		if (panel_max(&t->panels[i]) > 0)
			return false;
	return true;
}

/* Panels without a single value that is more than 0, and strips without a span, change places with those that are shown and no longer count. */
static void drop_empty(struct timeline *t)
{
	size_t i, n = 0;

	for (i = 0; i < t->panel_count; i++) {
		struct panel p = t->panels[i];

		if (!(panel_max(&p) > 0))
			continue;
		t->panels[i] = t->panels[n];
		t->panels[n++] = p;
	}
	t->panel_count = n;
	for (i = 0, n = 0; i < t->strip_count; i++) {
		struct strip s = t->strips[i];

		if (!s.count)
			continue;
		t->strips[i] = t->strips[n];
		t->strips[n++] = s;
	}
	t->strip_count = n;
}

static double x_of(const struct timeline *t, double at)
{
	double part = (at - t->from) / (t->to - t->from);

	return LEFT + (t->width - MARGIN - LEFT) * MIN(MAX(part, 0), 1);
}

/* ---- lines ---- */

struct plot {
	const struct timeline *line;
	struct scale scale;
	double top;
};

static double y_of(const struct plot *p, double v)
{
	return p->top + PLOT - PLOT * MIN(v, p->scale.max) / p->scale.max;
}

struct pen {
	FILE *f;
	const struct plot *plot;
	bool down, counts;
};

static void pen_to(struct pen *pen, double t, double v)
{
	double x;

	if (isnan(v) || isnan(t)) {
		pen->down = false;
		return;
	}
	x = x_of(pen->plot->line, t);
	if (!pen->down)
		fprintf(pen->f, "M%.1f %.1fh.1", x, y_of(pen->plot, v));
	else if (pen->counts)
		fprintf(pen->f, "H%.1fV%.1f", x, y_of(pen->plot, v));
	else
		fprintf(pen->f, "L%.1f %.1f", x, y_of(pen->plot, v));
	pen->down = true;
}

/* The least and the greatest of i … end - 1, in their order; a gap if nothing is known. */
static void draw_bucket(struct pen *pen, const struct series *s, size_t i, size_t end)
{
	size_t low = i, high = i;

	for (; i < end; i++) {
		if (isnan(s->v[low]) || s->v[i] < s->v[low])
			low = i;
		if (isnan(s->v[high]) || s->v[i] > s->v[high])
			high = i;
	}
	pen_to(pen, s->t[MIN(low, high)], s->v[MIN(low, high)]);
	if (low != high)
		pen_to(pen, s->t[MAX(low, high)], s->v[MAX(low, high)]);
}

static void draw_series(FILE *f, const struct plot *plot, const struct series *s, size_t number)
{
	struct pen pen = {f, plot, false, s->counts};

	fprintf(f, "<path class=\"line l%zu\" d=\"M%.1f %.1f", number, LEFT, plot->top + PLOT);
	for (size_t i = 0; s->n <= POINTS_MAX && i < s->n; i++)
		pen_to(&pen, s->t[i], s->v[i]);
	for (size_t i = 0; s->n > POINTS_MAX && i < BUCKETS; i++)
		draw_bucket(&pen, s, i * s->n / BUCKETS, (i + 1) * s->n / BUCKETS);
	fputs("\"/>\n", f);
	for (size_t i = 0; s->n <= DOTTED_MAX && !s->counts && i < s->n; i++)
		if (!isnan(s->v[i]))
			fprintf(f, "<circle class=\"p%zu\" cx=\"%.1f\" cy=\"%.1f\" r=\"2\"/>", number, x_of(plot->line, s->t[i]),
				y_of(plot, s->v[i]));
}

/* A line as those that the name is about, and the name; returns where the next one begins. */
static double draw_key(FILE *f, const char *class, const char *name, double x, double y)
{
	fprintf(f, "<path class=\"%s\" d=\"M%.1f %.1fh24\"/><text class=\"tick\" x=\"%.1f\" y=\"%.1f\">", class, x, y - 4, x + 30, y);
	html_text_n(f, name, KEY_MAX);
	fputs("</text>\n", f);
	return x + 30 + CHARACTER * (double)strnlen(name, KEY_MAX) + 14;
}

/* "Left to copy, MiB   — memory  – – disk" */
static void draw_title(FILE *f, const struct plot *plot, const struct panel *p)
{
	double x = LEFT + BOLD * (double)(strlen(p->title) + strlen(plot->scale.unit_name) + 4), y = plot->top - 7;

	fprintf(f, "<text class=\"name\" x=\"%.1f\" y=\"%.1f\">%s%s%s</text>", LEFT, y, p->title, *plot->scale.unit_name ? ", " : "",
		plot->scale.unit_name);
	for (size_t i = 0; i < p->count; i++)
		if (p->series[i].name)
			x = draw_key(f, i ? "line l1" : "line l0", p->series[i].name, x, y);
	if (p->limit > 0 && p->limit <= plot->scale.max && p->limit_name) {
		draw_key(f, "limit", p->limit_name, x, y);
		fprintf(f, "<path class=\"limit\" d=\"M%.1f %.1fH%.1f\"/>\n", LEFT, y_of(plot, p->limit), plot->line->width - MARGIN);
	}
}

static void draw_panel(FILE *f, const struct timeline *t, const struct panel *p, double top)
{
	double max = panel_max(p), v;
	struct plot plot = {.line = t, .top = top};
	char text[SHOW_MAX];

	if (p->limit > max && p->limit < 4 * max)
		max = p->limit;
	plot.scale = p->series[0].counts ? scale_for_counts(max, 3) : scale_for(p->q, max, 3, true);
	for (v = 0; v <= plot.scale.max * 1.0001; v += plot.scale.step) {
		fprintf(f, "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/>", LEFT, y_of(&plot, v), t->width - MARGIN);
		fprintf(f, "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", LEFT - 6, y_of(&plot, v) + 4,
			scale_tick(text, &plot.scale, v));
	}
	draw_title(f, &plot, p);
	for (size_t i = 0; i < p->count; i++)
		draw_series(f, &plot, &p->series[i], i);
}

/* ---- strips, marks, the axis ---- */

static void draw_strip(FILE *f, const struct timeline *t, const struct strip *s, double top)
{
	fprintf(f, "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%s</text>", LEFT - 6, top + 12, s->title);
	for (size_t i = 0; i < s->count; i++) {
		const struct span *n = &s->spans[i];
		double x0 = x_of(t, n->from), x1 = x_of(t, i + 1 < s->count ? s->spans[i + 1].from : t->to);

		if (!*n->text)
			continue;
		fprintf(f, "<rect class=\"span%zu\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>", i % 2, x0, top,
			MAX(x1 - x0, 0.3), STRIP - 3);
		if (x1 - x0 > CHARACTER * (double)strlen(n->text) + 6) {
			fprintf(f, "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">", (x0 + x1) / 2, top + 12);
			html_text(f, n->text);
			fputs("</text>", f);
		}
		fputc('\n', f);
	}
}

static void name_extent(const struct timeline *t, const struct mark *m, double *from, double *to)
{
	double x = x_of(t, m->t), width = CHARACTER * (double)strlen(m->text) + 4;

	*from = x + 4 + width > t->width ? x - 4 - width : x;
	*to = *from + 4 + width;
}

static int compare_mark(const void *a, const void *b)
{
	const struct mark *x = a, *y = b;

	return x->t < y->t ? -1 : x->t > y->t;
}

/* A name goes to the first lane in which nothing is in the way; LANES: there is none. Those at the right edge have their names on the left. */
static size_t lay_out_marks(const struct timeline *t, size_t lane[TIMELINE_MARKS])
{
	double ends[LANES] = {0}, from, to;
	size_t i, k, used = 0;

	for (i = 0; i < t->mark_count; i++) {
		name_extent(t, &t->marks[i], &from, &to);
		for (k = 0; k < LANES && ends[k] > from; k++)
			;
		if (k < LANES)
			ends[k] = to + 8;
		lane[i] = k;
		used = MAX(used, MIN(k + 1, LANES));
	}
	return used;
}

static void draw_mark(FILE *f, const struct timeline *t, const struct mark *m, size_t lane, double bottom)
{
	double x = x_of(t, m->t), from, to, y = LANE * (double)MIN(lane, LANES - 1);

	name_extent(t, m, &from, &to);
	fprintf(f, "<g><title>");
	html_text(f, m->text);
	fprintf(f, "</title><path class=\"mark\" d=\"M%.1f %.1fV%.1f\"/>", x, y + 2, bottom);
	if (lane < LANES) {
		fprintf(f, "<text class=\"event\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", from < x ? x - 4 : x + 4, y + 12,
			from < x ? "end" : "start");
		html_text(f, m->text);
		fputs("</text>", f);
	}
	fputs("</g>\n", f);
}

static void draw_axis(FILE *f, const struct timeline *t, double top, double bottom)
{
	struct scale s = scale_for(Q_MS, fmax(fabs(t->from), fabs(t->to)), t->width > 600 ? 12 : 6, false);
	char text[SHOW_MAX];
	double v;

	for (v = ceil(t->from / s.step) * s.step; v <= t->to + s.step / 1000; v += s.step) {
		fprintf(f, "<path class=\"grid\" d=\"M%.1f %.1fV%.1f\"/>", x_of(t, v), top, bottom + 4);
		fprintf(f, "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n", x_of(t, v), bottom + 17,
			scale_tick(text, &s, fabs(v) < s.step / 2 ? 0 : v));
	}
	fprintf(f, "<text class=\"axis\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%s, %s</text>\n", t->width - MARGIN, bottom + 33,
		t->axis, s.unit_name);
}

void timeline_write(FILE *f, struct timeline *t, const char *caption)
{
	size_t lane[TIMELINE_MARKS], i;
	double top, bottom, y;

	drop_empty(t);
	if (!t->panel_count || !(t->to > t->from))
		return;
	qsort(t->marks, t->mark_count, sizeof(*t->marks), compare_mark);
	top = LANE * (double)lay_out_marks(t, lane);
	bottom = top + 4 + STRIP * (double)t->strip_count + (TITLE + PLOT) * (double)t->panel_count + 4;
	fputs("<figure class=\"timeline\"><figcaption>", f);
	html_text(f, caption);
	fprintf(f, "</figcaption>\n<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"", t->width, bottom + AXIS);
	html_text(f, caption);
	fputs("\">\n", f);
	if (!isnan(t->shade_from) && t->shade_to > t->shade_from)
		fprintf(f, "<rect class=\"shade\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n", x_of(t, t->shade_from), top,
			MAX(x_of(t, t->shade_to) - x_of(t, t->shade_from), 1), bottom - top);
	draw_axis(f, t, top, bottom);
	for (i = 0; i < t->mark_count; i++)
		draw_mark(f, t, &t->marks[i], lane[i], bottom);
	for (i = 0, y = top + 4; i < t->strip_count; i++, y += STRIP)
		draw_strip(f, t, &t->strips[i], y);
	for (i = 0; i < t->panel_count; i++, y += TITLE + PLOT)
		draw_panel(f, t, &t->panels[i], y + TITLE);
	fputs("</svg></figure>\n", f);
}
