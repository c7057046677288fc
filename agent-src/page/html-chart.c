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
#define UNDER	       5.0
#define CHARACTER      7.4 /* about as wide at most */
#define NAME_MAX_SHOWN 54
#define DOTS_MAX       200
#define WORDS_MAX      (3 * SHOW_MAX + 16)
/* The sizes of a chart with labels. */
#define LABELLED_NAME  22.0
#define LABELLED_BAR   18.0
#define LABELLED_LEFT  116.0
#define LABELLED_RIGHT (RIGHT - 56) /* room for a value */

struct chart {
	FILE *f;
	enum quantity q;
	struct scale scale;
	double left, right; /* bounds of the bars */
	bool labelled;
};

static double place(const struct chart *c, double v)
{
	return c->left + (c->right - c->left) * MIN(v, c->scale.max) / c->scale.max;
}

static double length_of(const struct chart_bar *b)
{
	double sum = 0;

	for (size_t i = 0; i < CHART_PARTS; i++)
		sum += b->part[i];
	return sum;
}

static void bar_words(char out[WORDS_MAX], enum quantity q, const struct chart_bar *b)
{
	const struct spread *s = b->spread;
	char value[SHOW_MAX], min[SHOW_MAX], max[SHOW_MAX];

	scale_value(value, q, length_of(b));
	if (isnan(length_of(b)) && b->none)
		snprintf(out, WORDS_MAX, "%s", b->none);
	else if (s && s->count == 1)
		snprintf(out, WORDS_MAX, "%s (one move)", value);
	else if (s && s->count)
		snprintf(out, WORDS_MAX, "%s (%s – %s)", value, scale_value(min, q, s->min), scale_value(max, q, s->max));
	else
		snprintf(out, WORDS_MAX, "%s", value);
}

/* Height of the text above a bar: one line if name and value fit on it. */
static double head_height(const struct chart *c, const struct chart_bar *b, const char *words)
{
	if (c->labelled)
		return b->name ? LABELLED_NAME : 0;
	return HEAD + (CHARACTER * (double)(strnlen(b->name, NAME_MAX_SHOWN) + strlen(words) + 2) > RIGHT - LEFT ? HEAD_MORE : 0);
}

static double bar_height(const struct chart *c, const struct chart_bar *b)
{
	char words[WORDS_MAX];

	bar_words(words, c->q, b);
	return head_height(c, b, words) + (c->labelled ? LABELLED_BAR : BAR + UNDER);
}

static void whiskers(const struct chart *c, const struct spread *p, double middle)
{
	double x0 = place(c, p->min), x1 = place(c, p->max);
	size_t i, n = MIN(p->count, DOTS_MAX);

	if (p->count > 1)
		fprintf(c->f, "<path class=\"whisker\" d=\"M%.1f %.1fH%.1fM%.1f %.1fv8M%.1f %.1fv8\"/>", x0, middle, x1, x0, middle - 4, x1,
			middle - 4);
	for (i = 0; i < n; i++)
		fprintf(c->f, "<circle class=\"dot\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"/>", place(c, p->values[i * p->count / n]),
			middle + (p->count > 1 ? (i % 2 ? 2.5 : -2.5) : 0));
	fputc('\n', c->f);
}

/* y: the top of the bar. */
static void draw_parts(const struct chart *c, const struct chart_bar *b, double y, double height)
{
	double at = b->from;
	char numbered[24];

	for (size_t i = 0; i < CHART_PARTS; i++) {
		snprintf(numbered, sizeof(numbered), "c%zu", i);
		if (b->part[i] > 0)
			fprintf(c->f, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>", b->class ?: numbered,
				place(c, at), y, MAX(place(c, at + b->part[i]) - place(c, at), 0.5), height);
		at += b->part[i];
	}
	if (b->spread && b->spread->count)
		whiskers(c, b->spread, y + height / 2);
}

static void draw_bar(const struct chart *c, const struct chart_bar *b, double y)
{
	double length = length_of(b), below;
	char words[WORDS_MAX];

	bar_words(words, c->q, b);
	below = y + head_height(c, b, words);
	if (b->name) {
		fprintf(c->f, "<text class=\"name\" x=\"%.0f\" y=\"%.1f\">", LEFT, y + (c->labelled ? 17 : 13));
		html_text_n(c->f, b->name, NAME_MAX_SHOWN);
		fputs("</text>", c->f);
	}
	if (c->labelled) {
		fprintf(c->f, "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">", c->left - 8, below + 13);
		html_text_n(c->f, b->label, 18);
		fprintf(c->f, "</text><text class=\"value\" x=\"%.1f\" y=\"%.1f\">%s</text>\n",
			isnan(length) ? c->left : place(c, b->from + length) + 5, below + 13, words);
	} else {
		fprintf(c->f, "<text class=\"value\" x=\"%.0f\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", RIGHT, below - HEAD + 13,
			words);
	}
	draw_parts(c, b, c->labelled ? below + 3 : below, c->labelled ? 12 : BAR);
}

/* Grid lines, ticks below them, and the label. */
static void draw_axis(const struct chart *c, const char *label, double bottom)
{
	const struct scale *s = &c->scale;
	char text[SHOW_MAX];
	double v;

	for (v = 0; v <= s->max * 1.0001; v += s->step) {
		fprintf(c->f, "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"0\" y2=\"%.1f\"/>", place(c, v), place(c, v), bottom);
		fprintf(c->f, "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n", place(c, v), bottom + 14,
			scale_tick(text, s, v));
	}
	fprintf(c->f, "<text class=\"axis\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">", RIGHT, bottom + 31);
	html_text(c->f, label);
	fprintf(c->f, "%s%s</text>\n", *s->unit_name ? ", " : "", s->unit_name);
}

/* The names of parts that some bar has. */
static void write_legend(FILE *f, const char *const *names, const struct chart_bar *bars, size_t count)
{
	size_t i, k;

	fputs("<p class=\"legend\">", f);
	for (i = 0; names[i]; i++) {
		for (k = 0; k < count && !(bars[k].part[i] > 0); k++)
			;
		if (k == count)
			continue;
		fprintf(f, "<span><svg viewBox=\"0 0 12 12\"><rect class=\"c%zu\" width=\"12\" height=\"12\"/></svg> ", i);
		html_text_n(f, names[i], 30);
		fputs("</span> ", f);
	}
	fputs("</p>\n", f);
}

void chart_write(FILE *f, const char *title, enum quantity q, const char *axis, const char *const *legend, const struct chart_bar *bars,
		 size_t count)
{
	bool labelled = count && bars[0].label;
	struct chart c = {f, q, .labelled = labelled, .left = labelled ? LABELLED_LEFT : LEFT, .right = labelled ? LABELLED_RIGHT : RIGHT};
	double max = 0, bottom = labelled ? 6 : 4, y = 0;

	for (size_t i = 0; i < count; i++) {
		max = fmax(max, fmax(bars[i].from + length_of(&bars[i]), bars[i].spread ? bars[i].spread->max : 0));
		bottom += bar_height(&c, &bars[i]);
	}
	c.scale = scale_for(q, max, labelled ? 5 : 6, true);
	fputs("<figure class=\"chart\"><figcaption>", f);
	html_text(f, title);
	fputs("</figcaption>\n", f);
	if (legend)
		write_legend(f, legend, bars, count);
	fprintf(f, "<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"", WIDTH, bottom + AXIS);
	html_text(f, title);
	fputs("\">\n", f);
	draw_axis(&c, axis, bottom);
	for (size_t i = 0; i < count; y += bar_height(&c, &bars[i]), i++)
		draw_bar(&c, &bars[i], y);
	fputs("</svg></figure>\n", f);
}
