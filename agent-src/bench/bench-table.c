/* bench-table.c: the table of a run in the terminal: a line for each cell and tool, medians, and of what matters most the least
 * and the most. It is to fit into 120 columns. */
#include "bench.h"
#include "bench-figures.h"
#include "percentile.h"
#include "util.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define UNSTEADY 1.3
#define WIDE	 85

/* 64 MiB and 16 bytes for each of the guest's pages. */
#define AGENT_BYTES(mem_mib) ((double)(64 * MIB) + 16 * (mem_mib) * (double)MIB / 4096)

static double median(const struct figures *f)
{
	return percentile(f->values, f->count, 50);
}

/* more: bytes of a dash beyond its width. */
static void print_range(const struct figures *f, int digits, double scale, int width)
{
	const int more = 2;
	char text[64] = "–";

	if (f->count)
		snprintf(text, sizeof(text), "%.*f (%.*f–%.*f)", digits, median(f) * scale, digits, f->values[0] * scale, digits,
			 f->values[f->count - 1] * scale);
	printf("  %*s", width + more, text);
}

/* none: of too few. */
static void print_one(double value, bool none, int digits, int width)
{
	if (none)
		printf("  %*s", width + 2, "–");
	else
		printf("  %*.*f", width, digits, value);
}

static void print_row(const json_t *moves, const struct row *row)
{
	struct figures of[FIGURES];
	const struct figures *gap = &of[FIGURE_DOWNTIME];
	unsigned ok, bad;

	row_figures(moves, row, of, &ok, &bad);
	printf("  %-22s %3u %3u", row->tool, ok, bad);
	print_range(&of[FIGURE_TOTAL], 2, 1e-3, 20);
	print_one(median(&of[FIGURE_COPY]) * 1e-3, !of[FIGURE_COPY].count, 2, 6);
	print_range(gap, 0, 1, 14);
	print_one(percentile(gap->values, gap->count, 90), gap->count < 2, 0, 5);
	print_one(percentile(gap->values, gap->count, 99), gap->count < 2, 0, 5);
	print_one(median(&of[FIGURE_WIRE]) * 1e-6, !of[FIGURE_WIRE].count, 0, 7);
	print_one(median(&of[FIGURE_USE]) * 100, !of[FIGURE_USE].count, 1, 6);
	print_one(median(&of[FIGURE_CPU]), !of[FIGURE_CPU].count, 2, 6);
	putchar('\n');
	figures_fini(of);
}

/* What each tool took of the first one's time, round by round. */
static void print_beside(const json_t *moves, const struct row *cell, const char *first)
{
	struct row other = *cell;
	const json_t *move;
	int width = 0;
	size_t i;

	other.tool = first;
	json_array_foreach((json_t *)moves, i, move) {
		struct row row = row_of(move);
		double ratio;

		if (!row_complete(&row) || !row_same_cell(&row, cell) || !row_is_first(moves, i, &row, true) || !strcmp(row.tool, first))
			continue;
		ratio = row_beside(moves, &row, &other);
		if (isnan(ratio))
			continue;
		if (!width)
			width = printf("  of the time of %s, round by round (median): ", first);
		else
			width += printf(", ");
		if (width > WIDE)
			width = printf("\n    ");
		width += printf("%s %.2f", row.tool, ratio);
	}
	if (width)
		putchar('\n');
}

/* It matters where tools were measured one after the other. */
static void print_machine(const json_t *moves)
{
	struct figures f;

	bench_yardsticks(moves, &f);
	if (f.count > 1)
		printf("the machine: a fixed piece of work took %.0f to %.0f ms before these moves%s\n", f.values[0], f.values[f.count - 1],
		       f.values[f.count - 1] > UNSTEADY * f.values[0]
			       ? ":\nits speed changes, so what was measured round by round says more than medians do"
			       : "");
	free(f.values);
}

/* The most memory of its own that either agent was seen to have, and what the design allows: it must not grow with the speed. */
static void print_memory(const json_t *moves)
{
	double most = -1e18, allowed = 0, mem_mib;
	const json_t *move;
	json_t *v;
	const char *key;
	size_t i;

	json_array_foreach((json_t *)moves, i, move) {
		json_object_foreach(json_object_get(move, "rss_anon_bytes"), key, v) {
			mem_mib = json_number_value(json_object_get(move, "mem_mib"));
			if (json_number_value(v) - AGENT_BYTES(mem_mib) > most - allowed) {
				most = json_number_value(v);
				allowed = AGENT_BYTES(mem_mib);
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
	const json_t *moves = json_object_get(run, "moves"), *a, *b;
	const char *first = json_string_value(json_array_get(json_object_get(json_object_get(run, "plan"), "tools"), 0));
	size_t i, k;

	json_array_foreach((json_t *)moves, i, a) {
		struct row cell = row_of(a);

		if (!row_complete(&cell) || !row_is_first(moves, i, &cell, false))
			continue;
		printf("\n%s", cell.link);
		print_if(a, "delay_ms", "ms of delay");
		print_if(a, "loss_percent", "% lost");
		printf(", %lld MiB, %s", (long long)cell.mem_mib, cell.workload);
		print_if(a, "cached_percent", "% cached");
		putchar('\n');
		printf("  %-22s %3s %3s  %20s  %6s  %14s  %5s  %5s  %7s  %6s  %6s\n", "tool", "ok", "bad", "total s", "copy s",
		       "downtime ms", "p90", "p99", "wire MB", "link %", "CPU s");
		json_array_foreach((json_t *)moves, k, b) {
			struct row row = row_of(b);

			if (row_complete(&row) && row_same_cell(&row, &cell) && row_is_first(moves, k, &row, true))
				print_row(moves, &row);
		}
		if (first)
			print_beside(moves, &cell, first);
	}
	putchar('\n');
	print_machine(moves);
	print_memory(moves);
	puts("median (least–most) of the moves that count; downtime: the longest gap in the guest's heartbeat at switchover; p90, p99:\n"
	     "percentiles of it, linear between moves; CPU: per GiB of payload. The file and its page have more ranges and percentiles.");
}
