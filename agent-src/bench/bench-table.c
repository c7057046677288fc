/* bench-table.c: the table of a run in the terminal: a line for each cell and tool, medians, and of what matters most the least
 * and the most. It is to fit into 120 columns. */
#include "bench.h"
#include "bench-runs.h"
#include "util.h"

#include <math.h>
#include <stdio.h>

#define UNSTEADY 1.3
#define WIDE	 85
#define DASHED	 2 /* bytes of a dash beyond its width */

/* 64 MiB and 16 bytes for each of the guest's pages. */
#define AGENT_BYTES(mem_mib) ((double)(64 * MIB) + 16 * (mem_mib) * (double)MIB / 4096)

/* NAN: it is not known. */
static void print_one(double value, int digits, int width)
{
	if (isnan(value))
		printf("  %*s", width + DASHED, DASH);
	else
		printf("  %*.*f", width, digits, value);
}

static void print_range(const struct spread *s, int digits, double scale, int width)
{
	char text[64] = DASH;

	if (s->count)
		snprintf(text, sizeof(text), "%.*f (%.*f–%.*f)", digits, s->median * scale, digits, s->min * scale, digits, s->max * scale);
	printf("  %*s", width + DASHED, text);
}

static void print_tool(const struct run_tool *t)
{
	struct spread total = tool_spread(t, FIGURE_TOTAL), gap = tool_spread(t, FIGURE_DOWNTIME);

	printf("  %-22s %3zu %3zu", t->name, t->good_count, t->bad_count);
	print_range(&total, 2, 1e-3, 20);
	print_one(tool_median(t, FIGURE_COPY) * 1e-3, 2, 6);
	print_range(&gap, 0, 1, 14);
	print_one(gap.count > 1 ? gap.p90 : NAN, 0, 5);
	print_one(gap.count > 1 ? gap.p99 : NAN, 0, 5);
	print_one(tool_median(t, FIGURE_WIRE) * 1e-6, 0, 7);
	print_one(tool_median(t, FIGURE_USE) * 100, 1, 6);
	print_one(tool_median(t, FIGURE_CPU), 2, 6);
	putchar('\n');
	spread_fini(&total);
	spread_fini(&gap);
}

/* Prints each tool's time relative to the first tool's, round by round. */
static void print_beside(const struct run_cell *c, const struct run_tool *first)
{
	int width = 0;

	for (size_t i = 0; first && i < c->tool_count; i++) {
		double part = &c->tools[i] == first ? NAN : tool_beside(&c->tools[i], first);

		if (isnan(part))
			continue;
		if (!width)
			width = printf("  of the time of %s, round by round (median): ", first->name);
		else
			width += printf(", ");
		if (width > WIDE)
			width = printf("\n    ");
		width += printf("%s %.2f", c->tools[i].name, part);
	}
	if (width)
		putchar('\n');
}

/* The machine's speed matters where tools were measured one after the other. */
static void print_machine(const struct runs *r)
{
	struct spread s = runs_yardsticks(r);

	if (s.count > 1)
		printf("the machine: a fixed piece of work took %.0f to %.0f ms before these moves%s\n", s.min, s.max,
		       s.max > UNSTEADY * s.min ? ":\nits speed changes, so what was measured round by round says more than medians do"
						: "");
	spread_fini(&s);
}

/* The most memory of its own that either agent was seen to have, and what the design allows: it must not grow with the speed. */
static void print_memory(const json_t *moves)
{
	double most = -1e18, allowed = 0, own;
	const json_t *move;
	json_t *v;
	const char *key;
	size_t i;

	json_array_foreach((json_t *)moves, i, move) {
		own = AGENT_BYTES(json_number_value(json_object_get(move, "mem_mib")));
		json_object_foreach(json_object_get(move, "rss_anon_bytes"), key, v) {
			if (json_number_value(v) - own > most - allowed) {
				most = json_number_value(v);
				allowed = own;
			}
		}
	}
	if (most > 0)
		printf("memory of vmferry's agents: %.0f MiB at most, %.0f allowed%s\n", most / (double)MIB, allowed / (double)MIB,
		       most > allowed ? ": TOO MUCH" : "");
}

/* ", 20 ms of delay" */
static void print_if(const json_t *move, const char *key, const char *words)
{
	const json_t *v = json_object_get(move, key);

	if (json_is_number(v))
		printf(", %g %s", json_number_value(v), words);
}

void bench_table(const json_t *run)
{
	struct runs r;
	struct err e;
	size_t i, k;

	if (runs_init(&r, run, &e)) {
		fprintf(stderr, "vmferry bench: there is no table: %s\n", e.msg);
		return;
	}
	for (i = 0; i < r.cell_count; i++) {
		const struct run_cell *c = &r.cells[i];

		printf("\n%s", c->link ?: DASH);
		print_if(c->first, "delay_ms", "ms of delay");
		print_if(c->first, "loss_percent", "% lost");
		printf(", %.0f MiB, %s", c->mem_mib, c->workload ?: DASH);
		print_if(c->first, "cached_percent", "% cached");
		printf("\n  %-22s %3s %3s  %20s  %6s  %14s  %5s  %5s  %7s  %6s  %6s\n", "tool", "ok", "bad", "total s", "copy s",
		       "downtime ms", "p90", "p99", "wire MB", "link %", "CPU s");
		for (k = 0; k < c->tool_count; k++)
			print_tool(&c->tools[k]);
		print_beside(c, cell_first_tool(&r, c));
	}
	putchar('\n');
	print_machine(&r);
	print_memory(json_object_get(run, "moves"));
	puts("median (least–most) of the moves that count; downtime: the longest gap in the guest's heartbeat at switchover; p90, p99:\n"
	     "percentiles of it, linear between moves; CPU: per GiB of payload. The file and its page have more ranges and percentiles.");
	runs_fini(&r);
}
