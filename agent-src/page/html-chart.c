/* html-chart.c: see html-chart.h. */
#include "html-chart.h"
#include "util.h"

#include <math.h>
#include <string.h>

#define WIDTH	       440.0
#define LEFT	       8.0
#define RIGHT	       (WIDTH - 16)
#define AXIS	       40.0 /* height of the axis with its label */
#define BAR	       14.0
#define HEAD	       19.0 /* a name and a value above their bar */
#define HEAD_MORE      15.0 /* if they need a line each */
#define ROW	       (HEAD + BAR + 5)
#define CHARACTER      7.4 /* about as wide at most */
#define NAME_MAX_SHOWN 54
#define DOTS_MAX       200
#define WORDS_MAX      (3 * SHOW_MAX + 16)

/* Where a value is between two edges. */
static double between(const struct scale *s, double v, double left, double right)
{
	return left + (right - left) * MIN(v, s->max) / s->max;
}

static double place(const struct scale *s, double v)
{
	return between(s, v, LEFT, RIGHT);
}

static void begin(FILE *f, const char *title, const char *legend, double height)
{
	fputs("<figure class=\"chart\"><figcaption>", f);
	html_text(f, title);
	fputs("</figcaption>\n", f);
	if (legend)
		fputs(legend, f);
	fprintf(f, "<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"", WIDTH, height);
	html_text(f, title);
	fputs("\">\n", f);
}

static void end(FILE *f)
{
	fputs("</svg></figure>\n", f);
}

/* Grid lines from the top, between two edges, ticks and the label below. */
static void axis(FILE *f, const struct scale *s, const char *label, double left, double right, double bottom)
{
	char text[SHOW_MAX];
	double v, x;

	for (v = 0; v <= s->max * 1.0001; v += s->step) {
		x = between(s, v, left, right);
		fprintf(f, "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"0\" y2=\"%.1f\"/>", x, x, bottom);
		fprintf(f, "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n", x, bottom + 14,
			scale_tick(text, s, v));
	}
	fprintf(f, "<text class=\"axis\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">", RIGHT, bottom + 31);
	html_text(f, label);
	fprintf(f, "%s%s</text>\n", *s->unit_name ? ", " : "", s->unit_name);
}

static void name_above(FILE *f, const char *name, const char *class, double y)
{
	fprintf(f, "<text class=\"%s\" x=\"%.0f\" y=\"%.1f\">", class, LEFT, y);
	html_text_n(f, name, NAME_MAX_SHOWN);
	fputs("</text>", f);
}

static double head_height(const char *name, const char *value)
{
	size_t n = strnlen(name, NAME_MAX_SHOWN) + strlen(value) + 2;

	return HEAD + (CHARACTER * (double)n > RIGHT - LEFT ? HEAD_MORE : 0);
}

/* What is written above a bar: on one line if there is room for both. Returns where the bar begins. */
static double head(FILE *f, const char *name, const char *value, double y)
{
	double height = head_height(name, value);

	name_above(f, name, "name", y + 13);
	fprintf(f, "<text class=\"value\" x=\"%.0f\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", RIGHT, y + height - HEAD + 13, value);
	return y + height;
}

static void rect(FILE *f, const char *class, double x0, double x1, double y, double height)
{
	fprintf(f, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>", class, x0, y, MAX(x1 - x0, 0.5), height);
}

/* ---- bars ---- */

static void whiskers(FILE *f, const struct scale *s, const struct spread *p, double y)
{
	double x0 = place(s, p->min), x1 = place(s, p->max), middle = y + BAR / 2;
	size_t i, n = MIN(p->count, DOTS_MAX);

	if (p->count > 1)
		fprintf(f, "<path class=\"whisker\" d=\"M%.1f %.1fH%.1fM%.1f %.1fv8M%.1f %.1fv8\"/>", x0, middle, x1, x0, middle - 4, x1,
			middle - 4);
	for (i = 0; i < n; i++)
		fprintf(f, "<circle class=\"dot\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"/>", place(s, p->values[i * p->count / n]),
			middle + (p->count > 1 ? (i % 2 ? 2.5 : -2.5) : 0));
	fputc('\n', f);
}

static void spread_words(char *out, size_t cap, enum quantity q, const struct spread *p)
{
	char median[SHOW_MAX], min[SHOW_MAX], max[SHOW_MAX];

	snprintf(out, cap, "%s (%s – %s)", scale_value(median, q, p->median), scale_value(min, q, p->min), scale_value(max, q, p->max));
	if (p->count == 1)
		snprintf(out, cap, "%s (one move)", median);
}

static void bar_words(char *out, size_t cap, enum quantity q, const struct chart_bar *b)
{
	if (b->spread.count)
		spread_words(out, cap, q, &b->spread);
	else
		snprintf(out, cap, "%s", b->none);
}

/* Returns where the next one begins. */
static double bar(FILE *f, const struct scale *s, enum quantity q, const struct chart_bar *b, double y)
{
	char words[WORDS_MAX];

	bar_words(words, sizeof(words), q, b);
	y = head(f, b->name, words, y);
	if (b->spread.count) {
		rect(f, b->class, LEFT, place(s, b->spread.median), y, BAR);
		whiskers(f, s, &b->spread, y);
	}
	return y + ROW - HEAD;
}

void chart_bars(FILE *f, const char *title, enum quantity q, const char *label, const struct chart_bar *bars, size_t count)
{
	double max = 0, bottom = 4, y = 0;
	char words[WORDS_MAX];
	struct scale s;
	size_t i;

	for (i = 0; i < count; i++) {
		max = fmax(max, bars[i].spread.max);
		bar_words(words, sizeof(words), q, &bars[i]);
		bottom += head_height(bars[i].name, words) + ROW - HEAD;
	}
	s = scale_for(q, max, 6, true);
	begin(f, title, NULL, bottom + AXIS);
	axis(f, &s, label, LEFT, RIGHT, bottom);
	for (i = 0; i < count; i++)
		y = bar(f, &s, q, &bars[i], y);
	end(f);
}

/* ---- rows ---- */

#define ROW_HEADING 22.0
#define ROW_SMALL   18.0
#define ROW_NAME    116.0
#define ROW_RIGHT   (RIGHT - 56) /* room for a value */

static double row_height(const struct chart_row *r)
{
	return ROW_SMALL + (r->heading ? ROW_HEADING : 0);
}

static double row_place(const struct scale *s, double v)
{
	return between(s, v, ROW_NAME, ROW_RIGHT);
}

static void row(FILE *f, const struct scale *s, enum quantity q, const struct chart_row *r, double y)
{
	double from = isnan(r->from) ? 0 : r->from;
	char text[SHOW_MAX];

	if (r->heading) {
		name_above(f, r->heading, "name", y + 17);
		y += ROW_HEADING;
	}
	fprintf(f, "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">", ROW_NAME - 8, y + 13);
	html_text_n(f, r->name, 18);
	fputs("</text>", f);
	if (!isnan(r->to))
		rect(f, r->class, row_place(s, from), row_place(s, r->to), y + 3, 12);
	fprintf(f, "<text class=\"value\" x=\"%.1f\" y=\"%.1f\">%s</text>\n", isnan(r->to) ? ROW_NAME : row_place(s, r->to) + 5, y + 13,
		scale_value(text, q, r->to - from));
}

void chart_rows(FILE *f, const char *title, enum quantity q, const char *label, const struct chart_row *rows, size_t count)
{
	double max = 0, bottom = 6, y = 0;
	struct scale s;
	size_t i;

	for (i = 0; i < count; i++) {
		max = fmax(max, rows[i].to);
		bottom += row_height(&rows[i]);
	}
	s = scale_for(q, max, 5, true);
	begin(f, title, NULL, bottom + AXIS);
	axis(f, &s, label, ROW_NAME, ROW_RIGHT, bottom);
	for (i = 0; i < count; i++) {
		row(f, &s, q, &rows[i], y);
		y += row_height(&rows[i]);
	}
	end(f);
}

/* ---- stacks ---- */

static bool is_used(size_t part, const struct chart_stack *stacks, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (stacks[i].part[part] > 0)
			return true;
	return false;
}

/* Malloc'ed. */
static char *legend(const char *const *names, size_t name_count, const struct chart_stack *stacks, size_t count)
{
	char *text;
	size_t size, i;
	FILE *f = open_memstream(&text, &size);

	fputs("<p class=\"legend\">", f);
	for (i = 0; i < name_count; i++) {
		if (!is_used(i, stacks, count))
			continue;
		fprintf(f, "<span><svg viewBox=\"0 0 12 12\"><rect class=\"c%zu\" width=\"12\" height=\"12\"/></svg> ", i);
		html_text_n(f, names[i], 30);
		fputs("</span> ", f);
	}
	fputs("</p>\n", f);
	fclose(f);
	return text;
}

static double stack_sum(const struct chart_stack *k)
{
	double sum = 0;
	size_t i;

	for (i = 0; i < STACK_MAX; i++)
		sum += isnan(k->part[i]) ? 0 : k->part[i];
	return sum;
}

static const char *stack_words(char buf[SHOW_MAX], enum quantity q, const struct chart_stack *k)
{
	double sum = stack_sum(k);

	return scale_value(buf, q, sum > 0 ? sum : NAN);
}

static double stack(FILE *f, const struct scale *s, enum quantity q, const struct chart_stack *k, size_t names, double y)
{
	char class[24], text[SHOW_MAX];
	double at = 0;
	size_t i;

	y = head(f, k->name, stack_words(text, q, k), y);
	for (i = 0; i < names; i++) {
		if (!(k->part[i] > 0))
			continue;
		snprintf(class, sizeof(class), "c%zu", i);
		rect(f, class, place(s, at), place(s, at + k->part[i]), y, BAR);
		at += k->part[i];
	}
	return y + ROW - HEAD;
}

void chart_stacks(FILE *f, const char *title, enum quantity q, const char *label, const char *const *names, size_t name_count,
		  const struct chart_stack *stacks, size_t count)
{
	AUTO_FREE char *explained = legend(names, name_count, stacks, count);
	double max = 0, bottom = 4, y = 0;
	char text[SHOW_MAX];
	struct scale s;
	size_t i;

	for (i = 0; i < count; i++) {
		max = fmax(max, stack_sum(&stacks[i]));
		bottom += head_height(stacks[i].name, stack_words(text, q, &stacks[i])) + ROW - HEAD;
	}
	s = scale_for(q, max, 6, true);
	begin(f, title, explained, bottom + AXIS);
	axis(f, &s, label, LEFT, RIGHT, bottom);
	for (i = 0; i < count; i++)
		y = stack(f, &s, q, &stacks[i], name_count, y);
	end(f);
}
