/* html-bench-moves.c: see html-bench.h: what happened when in a move, and the guest around its switchover. */
#include "html-bench.h"
#include "bench.h"
#include "html-page.h"
#include "html-timeline.h"
#include "html-value.h"
#include "util.h"

#include <math.h>
#include <string.h>

#define STEP_MS	       100
#define AROUND_STEP_MS 10
#define AROUND_MS      250.0 /* time that is shown before and behind the gap, at least */
#define EVENTS_LOOKED  20000 /* QEMU makes thousands of passes near the end */

/* The steps at which a member is drawn: the time of the first, the length of each, and what is left out. */
struct steps {
	double first, step;
	double from, until;
};

static double step_of(const json_t *o, double usual)
{
	double step = value_of(o, "step_ms");

	return step > 0 ? step : usual;
}

static double time_of(const struct steps *p, size_t i)
{
	return p->first + p->step * (double)i;
}

static bool is_drawn(const struct steps *p, size_t i)
{
	return time_of(p, i) >= p->from && time_of(p, i) + p->step <= p->until + p->step / 2;
}

static void fill(struct series *s, const json_t *array, const struct steps *p)
{
	json_t *v;
	size_t i;

	json_array_foreach(array, i, v)
		if (is_drawn(p, i))
			series_add(s, time_of(p, i), value_number(v));
	if (s->counts && s->n) /* the last one lasts for a step, too */
		series_add(s, s->t[s->n - 1] + p->step, s->v[s->n - 1]);
}

static void add_rate(struct timeline *t, const json_t *o, const char *title, const char *member, const struct steps *p)
{
	fill(panel_series(timeline_panel(t, title, Q_BYTES_PER_S), NULL, false), json_object_get(o, member), p);
}

/* The guest's own counts in each step. */
static void add_counts(struct timeline *t, const json_t *o, const struct steps *p)
{
	static const char *const all[][2] = {{"Datagrams of the guest", "beats"}, {"Work of the guest (pages, blocks)", "work"}};

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		AUTO_FREE char *title = xasprintf("%s per %.0f ms", all[i][0], p->step);

		fill(panel_series(timeline_panel(t, title, Q_PLAIN), NULL, true), json_object_get(o, all[i][1]), p);
	}
}

/* A strip of what a member says: numbers or strings. */
static void add_strip(struct timeline *t, const char *title, const json_t *array, const struct steps *p)
{
	struct strip *s = timeline_strip(t, title);
	char text[SHOW_MAX];
	double last = 0;
	json_t *v;
	size_t i;

	json_array_foreach(array, i, v) {
		if (!is_drawn(p, i))
			continue;
		last = time_of(p, i) + p->step;
		if (json_is_string(v))
			strip_add(s, time_of(p, i), json_string_value(v));
		else if (!isnan(value_number(v)))
			strip_add(s, time_of(p, i), show_number(text, value_number(v)));
		else if (s->count)
			strip_add(s, time_of(p, i), "");
	}
	if (s->count)
		strip_add(s, last, "");
}

static double move_end(const json_t *move)
{
	const json_t *series = json_object_get(move, "series");
	double lasted = step_of(series, STEP_MS) * (double)json_array_size(json_object_get(series, "wire_bps"));

	return fmax(value_of(move, "total_ms"), lasted);
}

/* ---- one move ---- */

static void write_timeline(FILE *f, const struct run_cell *c, const json_t *move, double end, const char *caption)
{
	const json_t *series = json_object_get(move, "series"), *events = json_object_get(move, "events");
	struct timeline t = {.width = TIMELINE_WIDE, .to = end, .axis = "time since the move began", .shade_from = NAN};
	struct steps all = {.step = step_of(series, STEP_MS), .until = INFINITY}, moving = all;
	struct panel *left;

	if (move_figure(move, FIGURE_TOTAL) > 0)
		moving.until = move_figure(move, FIGURE_TOTAL) + all.step / 2; /* later the tool has nothing to say */
	add_strip(&t, "codec", json_object_get(series, "codec"), &moving);
	add_strip(&t, "round", json_object_get(series, "round"), &moving);
	add_rate(&t, series, "On the wire", "wire_bps", &all);
	t.panels[0].limit = c->link ? link_bytes_per_s(c->link, true) : 0;
	t.panels[0].limit_name = c->link;
	left = timeline_panel(&t, "Left to copy", Q_BYTES);
	fill(panel_series(left, "memory", false), json_object_get(series, "ram_left"), &moving);
	fill(panel_series(left, "disk", false), json_object_get(series, "disk_left"), &moving);
	add_rate(&t, series, "The guest writes memory", "dirty_bps", &moving);
	add_counts(&t, series, &all);
	for (size_t i = 0; i < MIN(json_array_size(events), EVENTS_LOOKED); i++) {
		const json_t *v = json_array_get(events, i);
		const char *what = value_text(v, "what");

		if (what && strncmp(what, "pass", 4)) /* passes are in the strip of rounds */
			timeline_mark(&t, value_of(v, "t_ms"), what);
	}
	for (size_t i = 0; i < t.mark_count; i++)
		t.to = fmax(t.to, t.marks[i].t);
	timeline_write(f, &t, caption);
	timeline_fini(&t);
}

/* end: of the time axis; NAN: it is the move's own, and the timeline is closed at first. */
static void tell_move(FILE *f, const struct run_cell *c, const struct run_tool *t, const json_t *move, double end, const char *which)
{
	char number[SHOW_MAX], round[SHOW_MAX], total[SHOW_MAX], down[SHOW_MAX];
	AUTO_FREE char *caption =
		xasprintf("%s: move %s, round %s%s: total %s, downtime %s", t->name, show_number(number, value_of(move, "number")),
			  show_number(round, value_of(move, "round")), which, show_ms(total, move_figure(move, FIGURE_TOTAL)),
			  show_ms(down, move_figure(move, FIGURE_DOWNTIME)));

	if (isnan(end)) {
		fputs("<details class=\"more\"><summary>", f);
		html_text_n(f, caption, 160);
		fputs("</summary>\n", f);
	}
	write_timeline(f, c, move, isnan(end) ? move_end(move) : end, caption);
	if (isnan(end))
		page_details_end(f);
}

static void tool_moves(FILE *f, const struct run_cell *c, const struct run_tool *t, double end, struct timelines *lines)
{
	AUTO_FREE char *of_all = t->good_count > 1 ? xasprintf(", the median of %zu", t->good_count) : xstrdup("");

	if (t->good_count && lines->left) {
		tell_move(f, c, t, tool_median_move(t), end, of_all);
		lines->left--;
	}
	for (size_t i = 0; i < t->good_count && lines->left && !lines->only_medians; i++)
		if (t->good[i] != tool_median_move(t)) {
			tell_move(f, c, t, t->good[i], NAN, "");
			lines->left--;
		}
	for (size_t i = 0; i < t->bad_count && lines->left; i++, lines->left--) {
		AUTO_FREE char *outcome = xasprintf(", %s", move_outcome(t->bad[i]));

		tell_move(f, c, t, t->bad[i], NAN, outcome);
	}
}

/* ---- around the switchover ---- */

static void write_around(FILE *f, const struct run_tool *t, const json_t *move)
{
	const json_t *around = json_object_get(move, "around");
	double from = value_signed(around, "from_ms"), gap = value_of(around, "gap_t_ms"), zero = isnan(gap) ? 0 : gap;
	size_t n = MAX(json_array_size(json_object_get(around, "beats")), json_array_size(json_object_get(around, "work")));
	struct steps p = {.first = isnan(from) ? 0 : from - zero, .step = step_of(around, AROUND_STEP_MS)};
	struct timeline line = {.width = TIMELINE_NARROW,
				.from = p.first,
				.to = time_of(&p, n),
				.shade_from = isnan(gap) ? NAN : 0,
				.shade_to = value_of(around, "gap_ms"),
				.axis = isnan(gap) ? "time since the move began" : "time since the guest was last heard"};
	char number[SHOW_MAX], down[SHOW_MAX];
	AUTO_FREE char *caption = xasprintf("%s: move %s, silent for %s", t->name, show_number(number, value_of(move, "number")),
					    show_ms(down, value_of(around, "gap_ms")));

	if (!isnan(gap) && line.shade_to > 0) { /* the gap gets as much room before and behind it as lets it be seen */
		line.from = fmax(line.from, -fmax(AROUND_MS, 2 * line.shade_to));
		line.to = fmin(line.to, line.shade_to + fmax(AROUND_MS, 3 * line.shade_to));
	}
	p.from = line.from;
	p.until = line.to;
	add_counts(&line, around, &p);
	timeline_write(f, &line, caption);
	timeline_fini(&line);
}

static void all_around(FILE *f, const struct run_cell *c)
{
	fputs("<h3>The guest around the switchover</h3>\n<p class=\"soft\">What its peers heard of it and what it got done, close up, "
	      "in each tool’s median move. The gap in its datagrams at switchover is shaded.</p>\n<div class=\"charts\">\n",
	      f);
	for (size_t i = 0; i < c->tool_count; i++)
		if (c->tools[i].good_count)
			write_around(f, &c->tools[i], tool_median_move(&c->tools[i]));
	fputs("</div>\n", f);
}

void html_bench_moves(FILE *f, const struct run_cell *c, struct timelines *lines)
{
	bool around = false;
	double end = 0;

	for (size_t i = 0; i < c->tool_count; i++) {
		const json_t *move = tool_median_move(&c->tools[i]);

		around |= json_array_size(json_object_get(json_object_get(move, "around"), "beats")) > 0;
		end = fmax(end, move ? move_end(move) : 0);
	}
	if (around && lines->left)
		all_around(f, c);
	fprintf(f, "<h3>How the moves went</h3>\n<p class=\"soft\">Each tool’s median move is shown, all on the same time axis; %s</p>\n",
		lines->only_medians ? "of the others only those that did not go well."
				    : "the others, each on its own, open with a click (and are not printed).");
	for (size_t i = 0; i < c->tool_count; i++)
		tool_moves(f, c, &c->tools[i], end, lines);
	if (!lines->left)
		fputs("<p class=\"soft\">There are more moves than this page shows timelines of.</p>\n", f);
}
