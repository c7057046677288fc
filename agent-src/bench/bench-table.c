/* bench-table.c: the table of a run in the terminal: a line for each cell and tool, medians with the least and the most. */
#include "bench.h"
#include "json-text.h"
#include "util.h"

#include <stdio.h>
#include <string.h>

/* 64 MiB and 16 bytes for each of the guest's pages. */
#define AGENT_BYTES(mem_mib) ((double)(64 * MIB) + 16 * (mem_mib) * (double)MIB / 4096)

struct figures {
	double *v;
	size_t n;
};

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void figures_add(struct figures *f, const json_t *value, double scale)
{
	if (!json_is_number(value))
		return;
	f->v = xrealloc(f->v, (f->n + 1) * sizeof(*f->v));
	f->v[f->n++] = json_number_value(value) * scale;
}

static double median(const struct figures *f)
{
	return f->n % 2 ? f->v[f->n / 2] : (f->v[f->n / 2 - 1] + f->v[f->n / 2]) / 2;
}

static void print_figures(struct figures *f, int digits, int width)
{
	char text[64] = "–";
	int more = 2; /* bytes of a dash beyond its width */

	if (f->n) {
		qsort(f->v, f->n, sizeof(*f->v), compare);
		snprintf(text, sizeof(text), "%.*f (%.*f–%.*f)", digits, median(f), digits, f->v[0], digits, f->v[f->n - 1]);
	}
	printf("  %*s", width + more, text);
	free(f->v);
	*f = (struct figures){0};
}

struct row {
	const char *link, *workload, *tool;
	json_int_t mem_mib;
};

static struct row row_of(const json_t *move)
{
	return (struct row){json_text(move, "link"), json_text(move, "workload"), json_text(move, "tool"),
			    json_integer_value(json_object_get(move, "mem_mib"))};
}

static bool same_cell(const struct row *a, const struct row *b)
{
	return !strcmp(a->link, b->link) && !strcmp(a->workload, b->workload) && a->mem_mib == b->mem_mib;
}

static bool is_complete(const struct row *r)
{
	return r->link && r->workload && r->tool;
}

static json_t *member(const json_t *move, const char *object, const char *key)
{
	return json_object_get(json_object_get(move, object), key);
}

static void add_cpu(struct figures *f, const json_t *move)
{
	double gib = json_number_value(json_object_get(move, "payload_bytes")) / (double)GIB, all = 0;
	const char *key;
	json_t *v, *sum;

	json_object_foreach(json_object_get(move, "cpu_s"), key, v)
		all += json_number_value(v);
	if (gib <= 0)
		return;
	sum = json_real(all / gib);
	figures_add(f, sum, 1);
	json_decref(sum);
}

static void print_row(const json_t *moves, const struct row *row)
{
	struct figures total = {0}, copy = {0}, gap = {0}, wire = {0}, used = {0}, cpu = {0};
	unsigned ok = 0, bad = 0;
	const json_t *move;
	size_t i;

	json_array_foreach((json_t *)moves, i, move) {
		struct row r = row_of(move);
		const char *outcome = json_text(move, "outcome");

		if (!is_complete(&r) || !same_cell(&r, row) || strcmp(r.tool, row->tool) || !outcome)
			continue;
		if (strcmp(outcome, "ok")) {
			bad++;
			continue;
		}
		if (json_is_true(json_object_get(move, "warmup")))
			continue;
		ok++;
		figures_add(&total, json_object_get(move, "total_ms"), 1e-3);
		figures_add(&copy, json_object_get(move, "copy_ms"), 1e-3);
		figures_add(&gap, member(move, "downtime_ms", "guest"), 1);
		figures_add(&wire, json_object_get(move, "bytes_wire"), 1e-6);
		figures_add(&used, json_object_get(move, "bulk_utilisation"), 100);
		add_cpu(&cpu, move);
	}
	printf("  %-24s %4u %4u", row->tool, ok, bad);
	print_figures(&total, 2, 20);
	print_figures(&copy, 2, 20);
	print_figures(&gap, 0, 14);
	print_figures(&wire, 0, 18);
	print_figures(&used, 1, 18);
	print_figures(&cpu, 2, 18);
	putchar('\n');
}

/* Is this move the first of its cell, or of its cell and tool? */
static bool is_first(const json_t *moves, size_t at, const struct row *row, bool tool)
{
	size_t i;

	for (i = 0; i < at; i++) {
		struct row r = row_of(json_array_get(moves, i));

		if (is_complete(&r) && same_cell(&r, row) && (!tool || !strcmp(r.tool, row->tool)))
			return false;
	}
	return true;
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

void bench_table(const json_t *run)
{
	const json_t *moves = json_object_get(run, "moves"), *a, *b;
	size_t i, k;

	json_array_foreach((json_t *)moves, i, a) {
		struct row cell = row_of(a);

		if (!is_complete(&cell) || !is_first(moves, i, &cell, false))
			continue;
		printf("\n%s, %lld MiB, %s\n", cell.link, (long long)cell.mem_mib, cell.workload);
		printf("  %-24s %4s %4s  %20s  %20s  %14s  %18s  %18s  %18s\n", "tool", "ok", "bad", "total s", "copy s", "downtime ms",
		       "MB on the wire", "link used %", "CPU s/GiB");
		json_array_foreach((json_t *)moves, k, b) {
			struct row row = row_of(b);

			if (is_complete(&row) && same_cell(&row, &cell) && is_first(moves, k, &row, true))
				print_row(moves, &row);
		}
	}
	putchar('\n');
	print_memory(moves);
	puts("median (least–most) of the moves that count; downtime: the longest gap in the guest's heartbeat at switchover");
}
