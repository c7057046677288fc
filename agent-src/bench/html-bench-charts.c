/* html-bench-charts.c: see html-bench.h: what the tools of a cell took, side by side. */
#include "html-bench.h"
#include "html-chart.h"
#include "util.h"

#include <math.h>
#include <string.h>

/* ---- comparison ---- */

static void compare(FILE *f, const struct run_cell *c, enum figure what, const char *title, enum quantity q, const char *axis)
{
	AUTO_FREE struct chart_bar *bars = xcalloc(c->tool_count, sizeof(*bars));
	AUTO_FREE struct spread *spreads = xcalloc(c->tool_count, sizeof(*spreads));

	for (size_t i = 0; i < c->tool_count; i++) {
		const struct run_tool *t = &c->tools[i];

		spreads[i] = tool_spread(t, what);
		bars[i] = (struct chart_bar){.name = t->name,
					     .class = t->ours ? "ours-bar" : "native-bar",
					     .part = {spreads[i].median},
					     .spread = &spreads[i],
					     .none = t->good_count ? "not measured" : "no move went well"};
	}
	chart_write(f, title, q, axis, NULL, bars, c->tool_count);
	for (size_t i = 0; i < c->tool_count; i++)
		spread_fini(&spreads[i]);
}

void html_bench_comparison(FILE *f, const struct run_cell *c)
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

/* The steps of a blackout. Steps that run beside another count from the guest's stop; the others follow the longest one before them. */
static const struct {
	const char *member, *name, *class;
	bool beside;
} parts[] = {{"disk", "part: disk", "c1", true},
	     {"ram", "part: ram", "c1", true},
	     {"recheck", "part: recheck", "c2", false},
	     {"device_state", "part: device state", "c3", false},
	     {"take_over", "part: taken over", "c2", false},
	     {"journal", "part: journal", "c3", false},
	     {"start", "part: start", "c3", false}};

static double median_part(const struct run_tool *t, const char *name)
{
	double *values = xcalloc(t->good_count + 1, sizeof(*values));
	struct spread s;
	size_t i, k;

	for (i = 0; i < t->good_count; i++) {
		const json_t *list = json_object_get(t->good[i], "breakdown_ms");

		values[i] = NAN;
		for (k = 0; k < MIN(json_array_size(list), 100) && isnan(values[i]); k++)
			if (!strcmp(value_text(json_array_get(list, k), "name") ?: "", name))
				values[i] = value_of(json_array_get(list, k), "ms");
	}
	s = spread_of(values, t->good_count);
	spread_fini(&s);
	return s.median;
}

void html_bench_downtime(FILE *f, const struct run_cell *c)
{
	AUTO_FREE struct chart_bar *bars = xcalloc(c->tool_count * (ARRAY_LEN(clocks) + ARRAY_LEN(parts)), sizeof(*bars));
	size_t i, k, n = 0;

	for (i = 0; i < c->tool_count; i++) {
		const struct run_tool *t = &c->tools[i];
		double begin = 0;

		for (k = 0; k < ARRAY_LEN(clocks); k++) {
			struct spread s = tool_spread_of(t, "downtime_ms", clocks[k]);

			spread_fini(&s);
			if (!k || s.count)
				bars[n++] = (struct chart_bar){.name = k ? NULL : t->name,
							       .label = clocks[k],
							       .class = t->ours ? "ours-bar" : "native-bar",
							       .part = {s.median}};
		}
		for (k = 0; k < ARRAY_LEN(parts); k++) {
			double from = parts[k].beside ? 0 : begin, length = median_part(t, parts[k].member);

			if (!isnan(length))
				bars[n++] =
					(struct chart_bar){.label = parts[k].name, .class = parts[k].class, .from = from, .part = {length}};
			begin = fmax(begin, from + length);
		}
	}
	chart_write(f, "Downtime by every clock, and its parts (medians)", Q_MS, "time since the guest stopped", NULL, bars, n);
}

/* ---- CPU ---- */

/* Members that are shown as one, and the names of these; the last one takes what nobody knows. */
struct category {
	const char *names[CHART_PARTS + 1];
	const char *members[CHART_PARTS][2];
};

static const struct category stages =
	{{"parse, place", "send, receive", "compress, decompress", "encrypt, decrypt", "hash", "disk", "other"},
	 {{"parse", "place"}, {"send", "receive"}, {"compress", "decompress"}, {"encrypt", "decrypt"}, {"hash"}, {"disk"}, {"other"}}};

static const struct category processes = {{"vmferry", "vmferry-dst", "source QEMU", "destination QEMU", "other"},
					  {{"vmferry"}, {"vmferry-dst"}, {"source QEMU"}, {"destination QEMU"}, {"other"}}};

/* True if there was anything. */
static bool fill_parts(double parts_of[CHART_PARTS], const json_t *seconds, double gib, const struct category *of)
{
	const char *key;
	bool some = false;
	json_t *v;
	size_t i;

	json_object_foreach((json_t *)seconds, key, v) {
		for (i = 0; of->names[i + 1]; i++)
			if (!strcmp(of->members[i][0], key) || !strcmp(of->members[i][1] ?: "", key))
				break;
		if (isnan(value_number(v) / gib))
			continue;
		parts_of[i] += value_number(v) / gib;
		some = true;
	}
	return some;
}

void html_bench_cpu(FILE *f, const struct run_cell *c)
{
	static const char *const sides[] = {"source", "destination"};
	struct chart_bar *whole = xcalloc(c->tool_count, sizeof(*whole)), *halves = xcalloc(2 * c->tool_count, sizeof(*halves));
	char **names = xcalloc(2 * c->tool_count, sizeof(*names));
	size_t i, k, n = 0, half_count = 0;

	for (i = 0; i < c->tool_count; i++) {
		const struct run_tool *t = &c->tools[i];
		const json_t *move = tool_median_move(t), *by_stage = json_object_get(move, "stage_cpu_s");
		double gib = move_payload_gib(move);

		whole[n].name = t->name;
		n += fill_parts(whole[n].part, json_object_get(move, "cpu_s"), gib, &processes);
		for (k = 0; k < ARRAY_LEN(sides); k++) {
			if (!fill_parts(halves[half_count].part, json_object_get(by_stage, sides[k]), gib, &stages))
				continue;
			names[half_count] = xasprintf("%s: %.120s", sides[k], t->name);
			text_make_utf8(names[half_count]);
			halves[half_count].name = names[half_count];
			half_count++;
		}
	}
	fputs("<div class=\"column\">\n", f);
	if (n)
		chart_write(f, "CPU by process (each tool’s median move)", Q_PLAIN, "CPU seconds per GiB of payload", processes.names,
			    whole, n);
	if (half_count)
		chart_write(f, "CPU of vmferry’s stages (each tool’s median move)", Q_PLAIN, "CPU seconds per GiB of payload", stages.names,
			    halves, half_count);
	fputs("</div>\n", f);
	for (i = 0; i < half_count; i++)
		free(names[i]);
	FREE_ALL(names, halves, whole);
}
