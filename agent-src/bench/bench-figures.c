/* bench-figures.c: see bench-figures.h. */
#include "bench-figures.h"
#include "json-text.h"
#include "percentile.h"
#include "util.h"

#include <math.h>
#include <string.h>

/* ---- rows ---- */

struct row row_of(const json_t *move)
{
	return (struct row){json_text(move, "link"), json_text(move, "workload"), json_text(move, "tool"),
			    json_integer_value(json_object_get(move, "mem_mib"))};
}

bool row_complete(const struct row *r)
{
	return r->link && r->workload && r->tool;
}

bool row_same_cell(const struct row *a, const struct row *b)
{
	return !strcmp(a->link, b->link) && !strcmp(a->workload, b->workload) && a->mem_mib == b->mem_mib;
}

bool row_is_first(const json_t *moves, size_t at, const struct row *row, bool tool)
{
	size_t i;

	for (i = 0; i < at; i++) {
		struct row r = row_of(json_array_get(moves, i));

		if (row_complete(&r) && row_same_cell(&r, row) && (!tool || !strcmp(r.tool, row->tool)))
			return false;
	}
	return true;
}

/* ---- figures ---- */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void add(struct figures *f, double value)
{
	f->values = xrealloc(f->values, (f->count + 1) * sizeof(*f->values));
	f->values[f->count++] = value;
}

static void add_number(struct figures *f, const json_t *value)
{
	if (json_is_number(value))
		add(f, json_number_value(value));
}

static void add_cpu(struct figures *f, const json_t *move)
{
	double gib = json_number_value(json_object_get(move, "payload_bytes")) / (double)GIB, all = 0;
	const char *key;
	json_t *v;

	json_object_foreach(json_object_get(move, "cpu_s"), key, v)
		all += json_number_value(v);
	if (gib > 0)
		add(f, all / gib);
}

static bool counts(const json_t *move)
{
	const char *outcome = json_text(move, "outcome");

	return outcome && !strcmp(outcome, "ok") && !json_is_true(json_object_get(move, "warmup"));
}

static void sort(struct figures *f)
{
	if (f->count)
		qsort(f->values, f->count, sizeof(*f->values), compare);
}

void row_figures(const json_t *moves, const struct row *row, struct figures of[FIGURES], unsigned *ok, unsigned *bad)
{
	const json_t *move;
	size_t i;

	memset(of, 0, FIGURES * sizeof(*of));
	*ok = *bad = 0;
	json_array_foreach((json_t *)moves, i, move) {
		struct row r = row_of(move);
		const char *outcome = json_text(move, "outcome");

		if (!row_complete(&r) || !row_same_cell(&r, row) || strcmp(r.tool, row->tool) || !outcome)
			continue;
		if (strcmp(outcome, "ok")) {
			++*bad;
			continue;
		}
		if (json_is_true(json_object_get(move, "warmup")))
			continue;
		++*ok;
		add_number(&of[FIGURE_TOTAL], json_object_get(move, "total_ms"));
		add_number(&of[FIGURE_COPY], json_object_get(move, "copy_ms"));
		add_number(&of[FIGURE_DOWNTIME], json_object_get(json_object_get(move, "downtime_ms"), "guest"));
		add_number(&of[FIGURE_WIRE], json_object_get(move, "bytes_wire"));
		add_number(&of[FIGURE_USE], json_object_get(move, "bulk_utilisation"));
		add_cpu(&of[FIGURE_CPU], move);
	}
	for (i = 0; i < FIGURES; i++)
		sort(&of[i]);
}

void figures_fini(struct figures of[FIGURES])
{
	size_t i;

	for (i = 0; i < FIGURES; i++)
		free(of[i].values);
}

/* ---- payload ---- */

/* The least that a move of the cell carried, by QEMU's own migration or by vmferry; 0: not known. */
static json_int_t least_carried(const json_t *moves, const struct row *cell, bool native)
{
	json_int_t least = 0, n;
	const json_t *move;
	size_t i;

	json_array_foreach((json_t *)moves, i, move) {
		const char *outcome = json_text(move, "outcome");
		struct row r = row_of(move);

		n = json_integer_value(json_object_get(move, "carried_bytes"));
		if (row_complete(&r) && row_same_cell(&r, cell) && outcome && !strcmp(outcome, "ok") && n > 0 && (!least || n < least) &&
		    native == (strncmp(r.tool, "vmferry", 7) != 0))
			least = n;
	}
	return least;
}

void bench_set_payload(json_t *moves, const json_t *of)
{
	struct row cell = row_of(of);
	json_int_t least = least_carried(moves, &cell, true); /* whoever knows no contents twice carries just what there is */
	json_t *move;
	size_t i;

	least = least ? least : least_carried(moves, &cell, false);
	json_array_foreach(moves, i, move) {
		struct row r = row_of(move);

		if (least && row_complete(&r) && row_same_cell(&r, &cell))
			json_object_set_new(move, "payload_bytes", json_integer(least));
	}
}

/* ---- a machine that is not always the same ---- */

/* NULL: there is none. */
static const json_t *move_of_round(const json_t *moves, const struct row *row, json_int_t round)
{
	const json_t *move;
	size_t i;

	json_array_foreach((json_t *)moves, i, move) {
		struct row r = row_of(move);

		if (row_complete(&r) && row_same_cell(&r, row) && !strcmp(r.tool, row->tool) && counts(move) &&
		    json_integer_value(json_object_get(move, "round")) == round)
			return move;
	}
	return NULL;
}

double row_beside(const json_t *moves, const struct row *row, const struct row *other)
{
	struct figures ratios = {NULL, 0};
	const json_t *a, *b;
	json_int_t round;
	double median;

	for (round = 1; round <= (json_int_t)json_array_size(moves); round++) {
		a = move_of_round(moves, row, round);
		b = a ? move_of_round(moves, other, round) : NULL;
		if (b && json_number_value(json_object_get(b, "total_ms")) > 0)
			add(&ratios, json_number_value(json_object_get(a, "total_ms")) / json_number_value(json_object_get(b, "total_ms")));
	}
	sort(&ratios);
	median = percentile(ratios.values, ratios.count, 50);
	free(ratios.values);
	return median;
}

void bench_yardsticks(const json_t *moves, struct figures *out)
{
	const json_t *move;
	size_t i;

	*out = (struct figures){NULL, 0};
	json_array_foreach((json_t *)moves, i, move)
		if (counts(move))
			add_number(out, json_object_get(move, "yardstick_ms"));
	sort(out);
}

/* ---- statistics ---- */

static json_t *percentiles(const struct figures *f)
{
	return json_pack("{s:f,s:f,s:f}", "p50", percentile(f->values, f->count, 50), "p90", percentile(f->values, f->count, 90), "p99",
			 percentile(f->values, f->count, 99));
}

static void add_beside(json_t *o, const json_t *moves, const struct row *row, const char *tool)
{
	struct row other = *row;
	double ratio;

	other.tool = tool;
	ratio = tool && strcmp(tool, row->tool) ? row_beside(moves, row, &other) : NAN;
	if (!isnan(ratio))
		json_object_set_new(o, "beside", json_pack("{s:s,s:f}", "tool", tool, "total", ratio));
}

/* first: the row's first move. */
static json_t *row_statistics(const json_t *moves, const struct row *row, const json_t *first, const char *tool)
{
	static const char *const also[] = {"delay_ms", "loss_percent", "cached_percent"};
	static const struct {
		const char *name;
		enum figure figure;
	} names[] = {{"total_ms", FIGURE_TOTAL}, {"downtime_ms", FIGURE_DOWNTIME}, {"bytes_wire", FIGURE_WIRE}};
	struct figures of[FIGURES];
	unsigned ok, bad;
	json_t *o = NULL;
	size_t i;

	row_figures(moves, row, of, &ok, &bad);
	if (ok > 1)
		o = json_pack("{s:s,s:I,s:s,s:s,s:i}", "link", row->link, "mem_mib", row->mem_mib, "workload", row->workload, "tool",
			      row->tool, "moves", (int)ok);
	for (i = 0; i < ARRAY_LEN(also) && o; i++)
		if (json_object_get(first, also[i]))
			json_object_set(o, also[i], json_object_get(first, also[i]));
	for (i = 0; i < ARRAY_LEN(names) && o; i++)
		if (of[names[i].figure].count > 1)
			json_object_set_new(o, names[i].name, percentiles(&of[names[i].figure]));
	if (o)
		add_beside(o, moves, row, tool);
	figures_fini(of);
	return o;
}

json_t *bench_statistics(const json_t *moves, const char *tool)
{
	json_t *list = json_array(), *o;
	const json_t *move;
	size_t i;

	json_array_foreach((json_t *)moves, i, move) {
		struct row row = row_of(move);

		if (!row_complete(&row) || !row_is_first(moves, i, &row, true))
			continue;
		o = row_statistics(moves, &row, move, tool);
		if (o)
			json_array_append_new(list, o);
	}
	return list;
}
