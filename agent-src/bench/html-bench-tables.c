/* html-bench-tables.c: see html-bench.h: ratios, a cell's figures, its moves. */
#include "html-bench.h"
#include "html-value.h"
#include "util.h"

#include <math.h>
#include <string.h>

#define ERRORS_MAX    50
#define ERROR_MAX     300 /* characters */
#define TOOL_NAME_MAX 120 /* bytes */

void html_bench_tool_name(FILE *f, const char *name)
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

void html_bench_outcomes(FILE *f, const struct tool *t)
{
	fprintf(f, "%zu ok", t->good_count);
	if (t->failed)
		fprintf(f, "<br/><span class=\"bad\">%zu failed</span>", t->failed);
	if (t->damaged)
		fprintf(f, "<br/><span class=\"bad\">%zu damaged</span>", t->damaged);
}

/* ---- ratios ---- */

static const char *show_figure(char buf[SHOW_MAX], enum figure what, double v)
{
	switch (what) {
	case FIGURE_TOTAL:
	case FIGURE_COPY:
	case FIGURE_DOWNTIME:
		return show_ms(buf, v);
	case FIGURE_WIRE:
		return show_bytes(buf, v);
	case FIGURE_USE:
	case FIGURE_CPU:
	case FIGURES:
		break;
	}
	return show_number(buf, v);
}

static void ratio(FILE *f, const struct cell *c, const struct tool *t, enum figure what)
{
	const struct tool *native = cell_best_native(c, what);
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

static void ratio_row(FILE *f, const struct cell *c, const struct tool *t)
{
	fputs("<tr><th scope=\"row\">", f);
	html_bench_cell_name(f, c);
	fputs("</th><td>", f);
	html_bench_tool_name(f, t->name);
	fputs("</td><td>", f);
	html_bench_outcomes(f, t);
	fputs("</td>", f);
	ratio(f, c, t, FIGURE_TOTAL);
	ratio(f, c, t, FIGURE_COPY);
	ratio(f, c, t, FIGURE_DOWNTIME);
	ratio(f, c, t, FIGURE_WIRE);
	ratio(f, c, t, FIGURE_CPU);
	fputs("</tr>\n", f);
}

void html_bench_ratio_table(FILE *f, const struct runs *r)
{
	size_t i, k;

	fputs("<p class=\"soft\">Medians: vmferry, divided by the best native tool. Below 1 is less than it took. "
	      "The best is chosen for each figure on its own and is named below it.</p><div class=\"scroll\"><table>\n<thead><tr><th>Cell</th><th>Tool</th>"
	      "<th>Counted moves</th><th class=\"n\">Total time</th><th class=\"n\">Copy time</th><th class=\"n\">Downtime</th>"
	      "<th class=\"n\">On the wire</th><th class=\"n\">CPU per GiB<br/><span class=\"unit\">s/GiB</span></th></tr></thead>\n<tbody>\n",
	      f);
	for (i = 0; i < r->cell_count; i++)
		for (k = 0; k < r->cells[i].tool_count; k++)
			if (r->cells[i].tools[k].ours)
				ratio_row(f, &r->cells[i], &r->cells[i].tools[k]);
	fputs("</tbody></table></div>\n", f);
}

/* ---- a cell's figures ---- */

static const char *show_in(char buf[SHOW_MAX], enum figure what, double v, double unit)
{
	return what == FIGURE_WIRE ? show_bytes(buf, v) : show_number(buf, v / unit);
}

static void spread_cell(FILE *f, const struct tool *t, enum figure what, double unit)
{
	struct spread s = tool_spread(t, what);
	char a[SHOW_MAX], b[SHOW_MAX];

	fprintf(f, "<td class=\"n\">%s", show_in(a, what, s.median, unit));
	if (s.count > 1)
		fprintf(f, "<small>%s – %s", show_in(a, what, s.min, unit), show_in(b, what, s.max, unit));
	if (s.count > 1 && (what == FIGURE_TOTAL || what == FIGURE_DOWNTIME || what == FIGURE_WIRE))
		fprintf(f, "<br/>p90 %s<br/>p99 %s", show_in(a, what, s.p90, unit), show_in(b, what, s.p99, unit));
	fputs(s.count > 1 ? "</small></td>" : "</td>", f);
	spread_fini(&s);
}

static void tool_row(FILE *f, const struct tool *t)
{
	fprintf(f, "<tr%s><th scope=\"row\">", t->ours ? " class=\"ours\"" : "");
	html_bench_tool_name(f, t->name);
	fputs("</th><td>", f);
	html_bench_outcomes(f, t);
	fputs("</td>", f);
	spread_cell(f, t, FIGURE_TOTAL, 1000);
	spread_cell(f, t, FIGURE_COPY, 1000);
	spread_cell(f, t, FIGURE_DOWNTIME, 1);
	spread_cell(f, t, FIGURE_WIRE, 1);
	spread_cell(f, t, FIGURE_USE, 0.01);
	spread_cell(f, t, FIGURE_CPU, 1);
	fputs("</tr>\n", f);
}

void html_bench_cell_table(FILE *f, const struct cell *c)
{
	size_t i;

	fputs("<p class=\"soft\">Median, and below it the least and the greatest, of the moves that went well; warm-up "
	      "moves are not counted. p90, p99: 90 and 99 of 100 moves were below, as far as so few can tell (linear between moves).</p><div class=\"scroll\"><table>\n<thead><tr><th>Tool</th><th>Moves</th>"
	      "<th class=\"n\">Total<br/><span class=\"unit\">s</span></th><th class=\"n\">Copy<br/><span class=\"unit\">s</span></th>"
	      "<th class=\"n\">Downtime, guest<br/><span class=\"unit\">ms</span></th><th class=\"n\">On the wire<br/>"
	      "<span class=\"unit\">bytes</span></th><th class=\"n\">Link use<br/><span class=\"unit\">%</span></th>"
	      "<th class=\"n\">CPU<br/><span class=\"unit\">s per GiB</span></th></tr></thead>\n<tbody>\n",
	      f);
	for (i = 0; i < c->tool_count; i++)
		tool_row(f, &c->tools[i]);
	fputs("</tbody></table></div>\n", f);
}

/* ---- its moves ---- */

static const char *const outcome_words[] = {"ok", "failed", "damaged"};

static void bad_move(FILE *f, const struct tool *t, const json_t *move)
{
	char number[SHOW_MAX];

	fprintf(f, "<li><span class=\"bad\">%s</span>: move %s, ", outcome_words[move_outcome(move)],
		show_number(number, value_of(move, "number")));
	html_bench_tool_name(f, t->name);
	fputs(": ", f);
	html_text_n(f, value_text(move, "error"), ERROR_MAX);
	fputs("</li>\n", f);
}

static void bad_moves(FILE *f, const struct cell *c)
{
	size_t i, k, shown = 0;

	for (i = 0; i < c->tool_count; i++)
		for (k = 0; k < c->tools[i].bad_count; k++) {
			if (!shown++)
				fputs("<p class=\"before-list\">In no figure, as they did not go well:</p>\n<ul>\n", f);
			if (shown <= ERRORS_MAX)
				bad_move(f, &c->tools[i], c->tools[i].bad[k]);
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
	const json_t *alive = json_object_get(json_object_get(move, "tcp"), "alive");
	enum outcome_kind outcome = move_outcome(move);
	char text[SHOW_MAX];

	fputs("<tr>", f);
	number_cell(f, value_of(move, "number"));
	number_cell(f, value_of(move, "round"));
	fputs("<td>", f);
	html_bench_tool_name(f, value_text(move, "tool"));
	fprintf(f, "</td><td><span class=\"%s\">%s</span>%s</td>", outcome == OUTCOME_OK ? "good" : "bad", outcome_words[outcome],
		value_true(move, "warmup") ? " (warm-up)" : "");
	number_cell(f, move_figure(move, FIGURE_TOTAL) / 1000);
	number_cell(f, move_figure(move, FIGURE_COPY) / 1000);
	number_cell(f, move_figure(move, FIGURE_DOWNTIME));
	fprintf(f, "<td class=\"n\">%s</td>", show_bytes(text, move_figure(move, FIGURE_WIRE)));
	number_cell(f, move_figure(move, FIGURE_CPU));
	number_cell(f, value_of(move, "others_cpu_s"));
	number_cell(f, value_of(json_object_get(move, "heartbeat"), "before_ms"));
	number_cell(f, value_of(json_object_get(move, "heartbeat"), "lost"));
	fprintf(f, "<td>%s</td><td>", json_is_true(alive) ? "alive" : json_is_false(alive) ? "<span class=\"bad\">broken</span>" : DASH);
	witness(f, move);
	fputs("</td></tr>\n", f);
}

void html_bench_move_table(FILE *f, const struct runs *r, const struct cell *c)
{
	json_t *move;
	size_t i;

	bad_moves(f, c);
	fputs("<details class=\"more\"><summary>Every move of this cell in numbers</summary>\n<div class=\"scroll\"><table>\n<thead><tr>"
	      "<th class=\"n\">No.</th><th class=\"n\">Round</th><th>Tool</th><th>Outcome</th><th class=\"n\">Total<br/>"
	      "<span class=\"unit\">s</span></th><th class=\"n\">Copy<br/><span class=\"unit\">s</span></th><th class=\"n\">Downtime<br/>"
	      "<span class=\"unit\">ms</span></th><th class=\"n\">Wire<br/><span class=\"unit\">bytes</span></th><th class=\"n\">CPU<br/>"
	      "<span class=\"unit\">s per GiB</span></th><th class=\"n\">Others’ CPU<br/><span class=\"unit\">s</span></th>"
	      "<th class=\"n\">Gap before<br/><span class=\"unit\">ms</span></th>"
	      "<th class=\"n\">Lost<br/><span class=\"unit\">datagrams</span></th><th>TCP</th>"
	      "<th>The witness checked</th></tr></thead>\n<tbody>\n",
	      f);
	json_array_foreach(json_object_get(r->root, "moves"), i, move)
		if (json_is_object(move) && cell_has(c, move))
			move_row(f, move);
	fputs("</tbody></table></div></details>\n", f);
}
