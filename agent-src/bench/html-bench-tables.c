/* html-bench-tables.c: see html-bench.h: ratios, a cell's figures, its moves. */
#include "html-bench.h"
#include "util.h"

#include <math.h>
#include <string.h>

#define ERRORS_MAX    50
#define ERROR_MAX     300 /* characters */
#define TOOL_NAME_MAX 120 /* bytes */

/* The figures as the tables have them. */
static const struct column {
	enum figure what;
	const char *name, *unit;
	double size; /* size of that unit */
	bool percentiles, compared;
} columns[] = {
	{FIGURE_TOTAL, "Total", "s", 1000, true, true},
	{FIGURE_COPY, "Copy", "s", 1000, false, true},
	{FIGURE_DOWNTIME, "Downtime, guest", "ms", 1, true, true},
	{FIGURE_WIRE, "On the wire", "bytes", 1, true, true},
	{FIGURE_USE, "Link use", "%", 0.01, false, false},
	{FIGURE_CPU, "CPU", "s per GiB", 1, false, true},
};

static const char *show(char buf[SHOW_MAX], const struct column *k, double v)
{
	return k->what == FIGURE_WIRE ? show_bytes(buf, v) : show_number(buf, v / k->size);
}

static void number_head(FILE *f, const char *name, const char *unit)
{
	fprintf(f, "<th class=\"n\">%s<br/><span class=\"unit\">%s</span></th>", name, unit);
}

/* A tool's name may be broken after each "+". */
static void tool_name(FILE *f, const char *name)
{
	AUTO_FREE char *copy = name ? xstrndup(name, TOOL_NAME_MAX) : NULL;
	char *rest = copy, *piece;
	bool first = true;

	while ((piece = strsep(&rest, "+"))) {
		fputs(first ? "" : "+<wbr/>", f);
		if (*piece)
			html_text(f, piece);
		first = false;
	}
	if (!copy)
		fputs(DASH, f);
}

/* The name's cell and that of its outcomes. */
static void tool_cells(FILE *f, const char *tag, const struct run_tool *t)
{
	fprintf(f, "<%s>", tag);
	tool_name(f, t->name);
	fprintf(f, "</%.2s><td>%zu ok", tag, t->good_count);
	if (t->bad_count > t->damaged)
		fprintf(f, "<br/><span class=\"bad\">%zu failed</span>", t->bad_count - t->damaged);
	if (t->damaged)
		fprintf(f, "<br/><span class=\"bad\">%zu damaged</span>", t->damaged);
	fputs("</td>", f);
}

/* ---- ratios ---- */

/* Writes a figure with its unit. */
static const char *show_figure(char buf[SHOW_MAX], enum figure what, double v)
{
	return what == FIGURE_WIRE ? show_bytes(buf, v) : what == FIGURE_CPU ? show_number(buf, v) : show_ms(buf, v);
}

static void ratio_cell(FILE *f, const struct run_cell *c, const struct run_tool *t, enum figure what)
{
	const struct run_tool *native = cell_best_native(c, what);
	double ours = tool_median(t, what), theirs = native ? tool_median(native, what) : NAN;
	char a[SHOW_MAX], b[SHOW_MAX];

	fprintf(f, "<td class=\"n\">%s", show_ratio(a, theirs > 0 ? ours / theirs : NAN));
	if (native && !isnan(ours)) {
		fprintf(f, "<small>%s : %s<br/>", show_figure(a, what, ours), show_figure(b, what, theirs));
		html_text_n(f, native->name, 30);
		fputs("</small>", f);
	}
	fputs("</td>", f);
}

void html_bench_ratio_table(FILE *f, const struct runs *r)
{
	size_t i, k, n;

	fputs("<p class=\"soft\">Medians: vmferry, divided by the best native tool. Below 1 is less than it took. "
	      "The best is chosen for each figure on its own and is named below it.</p><div class=\"scroll\"><table>\n<thead><tr><th>Cell</th><th>Tool</th>"
	      "<th>Counted moves</th>",
	      f);
	for (n = 0; n < ARRAY_LEN(columns); n++)
		if (columns[n].compared)
			number_head(f, columns[n].name, columns[n].what == FIGURE_CPU ? columns[n].unit : "");
	fputs("</tr></thead>\n<tbody>\n", f);
	for (i = 0; i < r->cell_count; i++) {
		const struct run_cell *c = &r->cells[i];

		for (k = 0; k < c->tool_count; k++) {
			if (!c->tools[k].ours)
				continue;
			fputs("<tr><th scope=\"row\">", f);
			html_bench_cell_name(f, c);
			fputs("</th>", f);
			tool_cells(f, "td", &c->tools[k]);
			for (n = 0; n < ARRAY_LEN(columns); n++)
				if (columns[n].compared)
					ratio_cell(f, c, &c->tools[k], columns[n].what);
			fputs("</tr>\n", f);
		}
	}
	fputs("</tbody></table></div>\n", f);
}

/* ---- a cell's figures ---- */

static void spread_cell(FILE *f, const struct run_tool *t, const struct column *k)
{
	struct spread s = tool_spread(t, k->what);
	char a[SHOW_MAX], b[SHOW_MAX];

	fprintf(f, "<td class=\"n\">%s", show(a, k, s.median));
	if (s.count > 1)
		fprintf(f, "<small>%s – %s", show(a, k, s.min), show(b, k, s.max));
	if (s.count > 1 && k->percentiles)
		fprintf(f, "<br/>p90 %s<br/>p99 %s", show(a, k, s.p90), show(b, k, s.p99));
	fputs(s.count > 1 ? "</small></td>" : "</td>", f);
	spread_fini(&s);
}

void html_bench_cell_table(FILE *f, const struct run_cell *c)
{
	size_t i, n;

	fputs("<p class=\"soft\">Median, and below it the least and the greatest, of the moves that went well; warm-up "
	      "moves are not counted. p90, p99: 90 and 99 of 100 moves were below, as far as so few can tell (linear between moves).</p><div class=\"scroll\"><table>\n<thead><tr><th>Tool</th><th>Moves</th>",
	      f);
	for (n = 0; n < ARRAY_LEN(columns); n++)
		number_head(f, columns[n].name, columns[n].unit);
	fputs("</tr></thead>\n<tbody>\n", f);
	for (i = 0; i < c->tool_count; i++) {
		fputs(c->tools[i].ours ? "<tr class=\"ours\">" : "<tr>", f);
		tool_cells(f, "th scope=\"row\"", &c->tools[i]);
		for (n = 0; n < ARRAY_LEN(columns); n++)
			spread_cell(f, &c->tools[i], &columns[n]);
		fputs("</tr>\n", f);
	}
	fputs("</tbody></table></div>\n", f);
}

/* ---- its moves ---- */

static void bad_moves(FILE *f, const struct run_cell *c)
{
	size_t i, k, shown = 0;
	char number[SHOW_MAX];

	for (i = 0; i < c->tool_count; i++)
		for (k = 0; k < c->tools[i].bad_count; k++) {
			const json_t *move = c->tools[i].bad[k];

			if (!shown++)
				fputs("<p class=\"before-list\">In no figure, as they did not go well:</p>\n<ul>\n", f);
			if (shown > ERRORS_MAX)
				continue;
			fprintf(f, "<li><span class=\"bad\">%s</span>: move %s, ", move_outcome(move),
				show_number(number, value_of(move, "number")));
			tool_name(f, c->tools[i].name);
			fputs(": ", f);
			html_text_n(f, value_text(move, "error"), ERROR_MAX);
			fputs("</li>\n", f);
		}
	if (shown > ERRORS_MAX)
		fprintf(f, "<li>and %zu more</li>\n", shown - ERRORS_MAX);
	if (shown)
		fputs("</ul>\n", f);
}

/* "12,000 pages, 400 blocks; 0 wrong" */
static void witness(FILE *f, const json_t *move)
{
	const json_t *v = json_object_get(move, "verified");
	double wrong = value_of(v, "pages_wrong") + value_of(v, "blocks_wrong");
	char a[SHOW_MAX], b[SHOW_MAX], c[SHOW_MAX];

	if (!json_is_object(v))
		fputs(DASH, f);
	else
		fprintf(f, "%s pages, %s blocks; <span class=\"%s\">%s wrong</span>", show_number(a, value_of(v, "pages_checked")),
			show_number(b, value_of(v, "blocks_checked")), wrong == 0 ? "good" : "bad", show_number(c, wrong));
}

static void number_cell(FILE *f, double v)
{
	char text[SHOW_MAX];

	fprintf(f, "<td class=\"n\">%s</td>", show_number(text, v));
}

static void move_row(FILE *f, const json_t *move)
{
	const json_t *alive = json_object_get(json_object_get(move, "tcp"), "alive"), *beats = json_object_get(move, "heartbeat");
	char text[SHOW_MAX];

	fputs("<tr>", f);
	number_cell(f, value_of(move, "number"));
	number_cell(f, value_of(move, "round"));
	fputs("<td>", f);
	tool_name(f, value_text(move, "tool"));
	fprintf(f, "</td><td><span class=\"%s\">%s</span>%s</td>", strcmp(move_outcome(move), "ok") ? "bad" : "good", move_outcome(move),
		value_true(move, "warmup") ? " (warm-up)" : "");
	for (size_t n = 0; n < ARRAY_LEN(columns); n++)
		if (columns[n].compared)
			fprintf(f, "<td class=\"n\">%s</td>", show(text, &columns[n], move_figure(move, columns[n].what)));
	number_cell(f, value_of(move, "others_cpu_s"));
	number_cell(f, value_of(beats, "before_ms"));
	number_cell(f, value_of(beats, "lost"));
	fprintf(f, "<td>%s</td><td>", json_is_true(alive) ? "alive" : json_is_false(alive) ? "<span class=\"bad\">broken</span>" : DASH);
	witness(f, move);
	fputs("</td></tr>\n", f);
}

void html_bench_move_table(FILE *f, const struct runs *r, const struct run_cell *c)
{
	json_t *move;
	size_t i, n;

	bad_moves(f, c);
	fputs("<details class=\"more\"><summary>Every move of this cell in numbers</summary>\n<div class=\"scroll\"><table>\n<thead><tr>"
	      "<th class=\"n\">No.</th><th class=\"n\">Round</th><th>Tool</th><th>Outcome</th>",
	      f);
	for (n = 0; n < ARRAY_LEN(columns); n++)
		if (columns[n].compared)
			number_head(f, columns[n].name, columns[n].unit);
	number_head(f, "Others’ CPU", "s");
	number_head(f, "Gap before", "ms");
	number_head(f, "Lost", "datagrams");
	fputs("<th>TCP</th><th>The witness checked</th></tr></thead>\n<tbody>\n", f);
	json_array_foreach(json_object_get(r->root, "moves"), i, move)
		if (json_is_object(move) && moves_compare(c->first, move))
			move_row(f, move);
	fputs("</tbody></table></div></details>\n", f);
}
