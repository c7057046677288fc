/* html-bench-charts.c: see html-bench.h: what the tools of a cell took, side by side. */
#include "html-bench.h"
#include "html-chart.h"
#include "util.h"

#include <math.h>
#include <string.h>

/* ---- comparison ---- */

static void compare(FILE *f, const struct cell *c, enum figure what, const char *title, enum quantity q, const char *axis)
{
	struct chart_bar *bars = xcalloc(c->tool_count, sizeof(*bars));
	size_t i;

	for (i = 0; i < c->tool_count; i++) {
		const struct tool *t = &c->tools[i];

		bars[i].name = t->name;
		bars[i].class = t->ours ? "ours-bar" : "native-bar";
		bars[i].spread = tool_spread(t, what);
		bars[i].none = t->good_count ? "not measured" : "no move went well";
	}
	chart_bars(f, title, q, axis, bars, c->tool_count);
	for (i = 0; i < c->tool_count; i++)
		spread_fini(&bars[i].spread);
	free(bars);
}

void html_bench_comparison(FILE *f, const struct cell *c)
{
	fputs("<p class=\"soft\">Bars are medians, whiskers reach from the least to the greatest, each dot is one move. vmferry is blue.</p>\n"
	      "<div class=\"charts\">\n",
	      f);
	compare(f, c, FIGURE_TOTAL, "Total time", Q_MS, "time");
	compare(f, c, FIGURE_DOWNTIME, "Downtime, as the guest’s peers see it", Q_MS, "time");
	compare(f, c, FIGURE_WIRE, "Bytes on the wire", Q_BYTES, "sent by the source");
	compare(f, c, FIGURE_CPU,
		c->link && !strcmp(c->link, "network") ? "CPU, of this host’s QEMU and agent" : "CPU, of both QEMUs and both agents",
		Q_PLAIN, "CPU seconds per GiB of payload");
	fputs("</div>\n", f);
}

/* ---- downtime by every clock, and its parts ---- */

static const char *const clocks[] = {"guest", "qmp", "events", "own", "predicted"};

static const struct {
	const char *member, *name;
} parts[] = {
	{"disk", "part: disk"},	      {"ram", "part: ram"},	{"recheck", "part: recheck"}, {"device_state", "part: device state"},
	{"journal", "part: journal"}, {"start", "part: start"},
};

#define ROWS_PER_TOOL (ARRAY_LEN(clocks) + ARRAY_LEN(parts))

static double part_of(const json_t *move, const char *name)
{
	const char *s;
	json_t *v;
	size_t i;

	json_array_foreach(json_object_get(move, "breakdown_ms"), i, v) {
		s = value_text(v, "name");
		if (s && !strcmp(s, name))
			return value_of(v, "ms");
		if (i == 100)
			break;
	}
	return NAN;
}

static double median_part(const struct tool *t, const char *name)
{
	double *values = xcalloc(t->good_count + 1, sizeof(*values));
	struct spread s;
	size_t i;

	for (i = 0; i < t->good_count; i++)
		values[i] = part_of(t->good[i], name);
	s = spread_of(values, t->good_count);
	spread_fini(&s);
	return s.median;
}

static void add_row(struct chart_row *rows, size_t *n, const struct tool *t, bool first, const char *name, const char *class, double from,
		    double to)
{
	if (isnan(to) && !first)
		return;
	rows[(*n)++] = (struct chart_row){first ? t->name : NULL, name, class, from, to};
}

/* Disk and memory count from the guest's stop; device state follows the longer of them, start follows that. */
static void add_parts(struct chart_row *rows, size_t *n, const struct tool *t)
{
	double begin = 0, end, v;
	size_t i;

	for (i = 0; i < ARRAY_LEN(parts); i++) {
		v = median_part(t, parts[i].member);
		end = (i < 2 ? 0 : begin) + v;
		add_row(rows, n, t, false, parts[i].name, i < 2 ? "c1" : i == 2 ? "c2" : "c3", i < 2 ? 0 : begin, end);
		begin = fmax(begin, end);
	}
}

void html_bench_downtime(FILE *f, const struct cell *c)
{
	struct chart_row *rows = xcalloc(c->tool_count * ROWS_PER_TOOL, sizeof(*rows));
	struct spread s;
	size_t i, k, n = 0;

	for (i = 0; i < c->tool_count; i++) {
		const struct tool *t = &c->tools[i];

		for (k = 0; k < ARRAY_LEN(clocks); k++) {
			s = tool_spread_of(t, "downtime_ms", clocks[k]);
			spread_fini(&s);
			add_row(rows, &n, t, !k, clocks[k], t->ours ? "ours-bar" : "native-bar", 0, s.median);
		}
		add_parts(rows, &n, t);
	}
	chart_rows(f, "Downtime by every clock, and its parts (medians)", Q_MS, "time since the guest stopped", rows, n);
	free(rows);
}

/* ---- CPU ---- */

static const struct category {
	const char *name;
	const char *members[3];
} stages[] =
	{
		{"parse, place", {"parse", "place"}},
		{"send, receive", {"send", "receive"}},
		{"compress, decompress", {"compress", "decompress"}},
		{"encrypt, decrypt", {"encrypt", "decrypt"}},
		{"hash", {"hash"}},
		{"disk", {"disk"}},
		{"other", {"other"}},
},
  processes[] = {
	  {"vmferry", {"vmferry"}},
	  {"vmferry-dst", {"vmferry-dst"}},
	  {"source QEMU", {"source QEMU"}},
	  {"destination QEMU", {"destination QEMU"}},
	  {"other", {"other"}},
};

static size_t category_of(const char *key, const struct category *list, size_t count)
{
	size_t i, k;

	for (i = 0; i + 1 < count; i++)
		for (k = 0; list[i].members[k]; k++)
			if (!strcmp(list[i].members[k], key))
				return i;
	return count - 1; /* the last one takes what nobody knows */
}

static bool fill_stack(struct chart_stack *s, const json_t *seconds, double gib, const struct category *list, size_t count)
{
	const char *key;
	json_t *v;
	double x;
	size_t at;
	bool some = false;

	json_object_foreach((json_t *)seconds, key, v) {
		x = value_number(v) / gib;
		at = category_of(key, list, count);
		if (isnan(x))
			continue;
		s->part[at] += x;
		some = true;
	}
	return some;
}

static void write_stacks(FILE *f, const char *title, const struct category *list, size_t count, const struct chart_stack *stacks, size_t n)
{
	const char *names[STACK_MAX];
	size_t i;

	for (i = 0; i < count; i++)
		names[i] = list[i].name;
	if (n)
		chart_stacks(f, title, Q_PLAIN, "CPU seconds per GiB of payload", names, count, stacks, n);
}

static void cpu_by_process(FILE *f, const struct cell *c)
{
	struct chart_stack *stacks = xcalloc(c->tool_count, sizeof(*stacks));
	size_t i, n = 0;

	for (i = 0; i < c->tool_count; i++) {
		const json_t *move = tool_median_move(&c->tools[i]);

		stacks[n].name = c->tools[i].name;
		if (fill_stack(&stacks[n], json_object_get(move, "cpu_s"), move_payload_gib(move), processes, ARRAY_LEN(processes)))
			n++;
	}
	write_stacks(f, "CPU by process (each tool’s median move)", processes, ARRAY_LEN(processes), stacks, n);
	free(stacks);
}

static void cpu_by_stage(FILE *f, const struct cell *c)
{
	static const char *const sides[] = {"source", "destination"};
	struct chart_stack *stacks = xcalloc(2 * c->tool_count, sizeof(*stacks));
	char **names = xcalloc(2 * c->tool_count, sizeof(*names));
	size_t i, k, n = 0;

	for (i = 0; i < 2 * c->tool_count; i++) {
		const struct tool *t = &c->tools[i / 2];
		const json_t *move = tool_median_move(t);
		const json_t *seconds = json_object_get(json_object_get(move, "stage_cpu_s"), sides[i % 2]);

		if (!fill_stack(&stacks[n], seconds, move_payload_gib(move), stages, ARRAY_LEN(stages)))
			continue;
		names[n] = xasprintf("%s: %.120s", sides[i % 2], t->name);
		text_make_utf8(names[n]);
		stacks[n].name = names[n];
		n++;
	}
	write_stacks(f, "CPU of vmferry’s stages (each tool’s median move)", stages, ARRAY_LEN(stages), stacks, n);
	for (k = 0; k < n; k++)
		free(names[k]);
	free(names);
	free(stacks);
}

void html_bench_cpu(FILE *f, const struct cell *c)
{
	fputs("<div class=\"column\">\n", f);
	cpu_by_process(f, c);
	cpu_by_stage(f, c);
	fputs("</div>\n", f);
}
