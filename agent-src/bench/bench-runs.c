/* bench-runs.c: see bench-runs.h. */
#include "bench-runs.h"
#include "util.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define SCHEMA 1

/* ---- one move ---- */

const char *move_outcome(const json_t *move)
{
	const char *s = value_text(move, "outcome");

	return s && !strcmp(s, "ok") ? "ok" : s && !strcmp(s, "damaged") ? "damaged" : "failed";
}

static bool went_well(const json_t *move)
{
	return !strcmp(move_outcome(move), "ok");
}

static bool is_ours(const char *tool)
{
	return !strncmp(tool, "vmferry", 7);
}

double move_payload_gib(const json_t *move)
{
	double bytes = value_of(move, "payload_bytes");

	return bytes > 0 ? bytes / (double)GIB : NAN;
}

double move_figure(const json_t *move, enum figure what)
{
	static const char *const members[FIGURES] =
		{[FIGURE_TOTAL] = "total_ms", [FIGURE_COPY] = "copy_ms", [FIGURE_WIRE] = "bytes_wire", [FIGURE_USE] = "bulk_utilisation"};
	const json_t *cpu = json_object_get(move, "cpu_s");
	double sum = json_object_size(cpu) ? 0 : NAN;
	const char *key;
	json_t *v;

	if (what == FIGURE_DOWNTIME)
		return value_of(json_object_get(move, "downtime_ms"), "guest");
	if (what != FIGURE_CPU)
		return value_of(move, members[what]);
	json_object_foreach((json_t *)cpu, key, v)
		sum += value_number(v); /* a value that is missing makes the sum unknown */
	return sum / move_payload_gib(move);
}

bool moves_compare(const json_t *a, const json_t *b)
{
	static const char *const members[] = {"link", "workload", "mem_mib", "delay_ms", "loss_percent", "cached_percent", "content"};

	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		const json_t *x = json_object_get(a, members[i]), *y = json_object_get(b, members[i]);

		if ((x || y) && !json_equal(x, y))
			return false;
	}
	return true;
}

/* The least that a move of the cell carried by QEMU's own migration, as whoever knows no contents twice carries just what there is; or else by
 * vmferry. */
void run_set_payload(json_t *moves, const json_t *of)
{
	json_int_t least[2] = {0}; /* smallest of native moves, and of vmferry's */
	json_t *move;
	size_t i;

	json_array_foreach(moves, i, move) {
		json_int_t n = json_integer_value(json_object_get(move, "carried_bytes"));
		bool ours = is_ours(value_text(move, "tool") ?: "");

		if (moves_compare(move, of) && went_well(move) && n > 0 && (!least[ours] || n < least[ours]))
			least[ours] = n;
	}
	json_array_foreach(moves, i, move)
		if (moves_compare(move, of) && (least[0] || least[1]))
			json_object_set_new(move, "payload_bytes", json_integer(least[0] ?: least[1]));
}

/* ---- the moves of a tool ---- */

typedef double value_fn(const json_t *move, const void *of);

static struct spread spread_over(const struct run_tool *t, value_fn *value, const void *of)
{
	double *values = xcalloc(t->good_count + 1, sizeof(*values));

	for (size_t i = 0; i < t->good_count; i++)
		values[i] = value(t->good[i], of);
	return spread_of(values, t->good_count);
}

static double figure_of(const json_t *move, const void *what)
{
	return move_figure(move, *(const enum figure *)what);
}

struct spread tool_spread(const struct run_tool *t, enum figure what)
{
	return spread_over(t, figure_of, &what);
}

static double member_of(const json_t *move, const void *names)
{
	const char *const *name = names;

	return value_of(json_object_get(move, name[0]), name[1]);
}

struct spread tool_spread_of(const struct run_tool *t, const char *group, const char *member)
{
	const char *names[] = {group, member};

	return spread_over(t, member_of, names);
}

static double part_of_other(const json_t *move, const void *other)
{
	const struct run_tool *t = other;
	double round = value_of(move, "round");

	for (size_t i = 0; i < t->good_count; i++)
		if (value_of(t->good[i], "round") == round && move_figure(t->good[i], FIGURE_TOTAL) > 0)
			return move_figure(move, FIGURE_TOTAL) / move_figure(t->good[i], FIGURE_TOTAL);
	return NAN;
}

double tool_beside(const struct run_tool *t, const struct run_tool *other)
{
	struct spread s = spread_over(t, part_of_other, other);

	spread_fini(&s);
	return s.median;
}

double tool_median(const struct run_tool *t, enum figure what)
{
	struct spread s = tool_spread(t, what);

	spread_fini(&s);
	return s.median;
}

const json_t *tool_median_move(const struct run_tool *t)
{
	return t->good_count ? t->good[(t->good_count - 1) / 2] : NULL;
}

const struct run_tool *cell_best_native(const struct run_cell *c, enum figure what)
{
	const struct run_tool *best = NULL;
	double v, least = INFINITY;

	for (size_t i = 0; i < c->tool_count; i++) {
		v = c->tools[i].ours ? NAN : tool_median(&c->tools[i], what);
		if (v < least) {
			least = v;
			best = &c->tools[i];
		}
	}
	return best;
}

const struct run_tool *cell_first_tool(const struct runs *r, const struct run_cell *c)
{
	const char *name = json_string_value(json_array_get(json_object_get(r->plan, "tools"), 0));

	for (size_t i = 0; name && i < c->tool_count; i++)
		if (!strcmp(c->tools[i].name, name))
			return &c->tools[i];
	return NULL;
}

/* ---- all of them ---- */

struct spread runs_yardsticks(const struct runs *r)
{
	double *values = xcalloc(r->ok + 1, sizeof(*values));
	size_t i, k, m, n = 0;

	for (i = 0; i < r->cell_count; i++)
		for (k = 0; k < r->cells[i].tool_count; k++)
			for (m = 0; m < r->cells[i].tools[k].good_count; m++)
				values[n++] = value_of(r->cells[i].tools[k].good[m], "yardstick_ms");
	return spread_of(values, n);
}

static json_t *tool_statistics(const struct runs *r, const struct run_cell *c, const struct run_tool *t)
{
	static const char *const members[] = {"link", "mem_mib", "workload", "delay_ms", "loss_percent", "cached_percent"};
	static const struct {
		const char *name;
		enum figure figure;
	} figures[] = {{"total_ms", FIGURE_TOTAL}, {"downtime_ms", FIGURE_DOWNTIME}, {"bytes_wire", FIGURE_WIRE}};
	const struct run_tool *first = cell_first_tool(r, c);
	json_t *o = json_pack("{s:s,s:i}", "tool", t->name, "moves", (int)t->good_count);

	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		if (json_object_get(c->first, members[i]))
			json_object_set(o, members[i], json_object_get(c->first, members[i]));
	for (size_t i = 0; i < ARRAY_LEN(figures); i++) {
		struct spread s = tool_spread(t, figures[i].figure);

		if (s.count > 1)
			json_object_set_new(o, figures[i].name, json_pack("{s:f,s:f,s:f}", "p50", s.median, "p90", s.p90, "p99", s.p99));
		spread_fini(&s);
	}
	if (first && first != t && !isnan(tool_beside(t, first)))
		json_object_set_new(o, "beside", json_pack("{s:s,s:f}", "tool", first->name, "total", tool_beside(t, first)));
	return o;
}

json_t *runs_statistics(const struct runs *r)
{
	json_t *list = json_array();
	size_t i, k;

	for (i = 0; i < r->cell_count; i++)
		for (k = 0; k < r->cells[i].tool_count; k++)
			if (r->cells[i].tools[k].good_count > 1)
				json_array_append_new(list, tool_statistics(r, &r->cells[i], &r->cells[i].tools[k]));
	return list;
}

/* ---- sorting moves into cells ---- */

static struct run_cell *cell_for(struct runs *r, const json_t *move, struct err *e)
{
	for (size_t i = 0; i < r->cell_count; i++)
		if (moves_compare(r->cells[i].first, move))
			return &r->cells[i];
	if (r->cell_count == RUNS_CELLS_MAX) {
		err_set(e, E2BIG, "it has moves of more than %d cells (link, memory, workload…), which no page can show", RUNS_CELLS_MAX);
		return NULL;
	}
	r->cells[r->cell_count] = (struct run_cell){.first = move,
						    .link = value_text(move, "link"),
						    .workload = value_text(move, "workload"),
						    .mem_mib = value_of(move, "mem_mib"),
						    .tools = xcalloc(RUNS_TOOLS_MAX, sizeof(struct run_tool))};
	return &r->cells[r->cell_count++];
}

static struct run_tool *tool_for(struct run_cell *c, const char *name, struct err *e)
{
	for (size_t i = 0; i < c->tool_count; i++)
		if (!strcmp(c->tools[i].name, name))
			return &c->tools[i];
	if (c->tool_count == RUNS_TOOLS_MAX) {
		err_set(e, E2BIG, "it has moves by more than %d tools in one cell, which no page can show", RUNS_TOOLS_MAX);
		return NULL;
	}
	c->tools[c->tool_count] = (struct run_tool){.name = name, .ours = is_ours(name)};
	return &c->tools[c->tool_count++];
}

static void append(const json_t ***list, size_t *count, const json_t *move)
{
	if (!(*count & (*count + 1))) /* full at 0, 1, 3, 7, … */
		*list = xrealloc(*list, (*count * 2 + 1) * sizeof(**list));
	(*list)[(*count)++] = move;
}

static int take_move(struct runs *r, const json_t *move, struct err *e)
{
	bool warmup = value_true(move, "warmup"), damaged = !strcmp(move_outcome(move), "damaged");
	struct run_cell *c;
	struct run_tool *t;

	if (!json_is_object(move)) {
		r->ignored++;
		return 0;
	}
	c = cell_for(r, move, e);
	t = c ? tool_for(c, value_text(move, "tool") ?: "?", e) : NULL;
	if (!t)
		return -e->code;
	r->warmups += warmup;
	if (!went_well(move)) {
		r->damaged += damaged;
		r->failed += !damaged;
		t->damaged += damaged;
		append(&t->bad, &t->bad_count, move);
	} else if (!warmup) {
		r->ok++;
		append(&t->good, &t->good_count, move);
	}
	return 0;
}

/* ---- order ---- */

static size_t place_in_plan(const struct runs *r, const struct run_tool *t)
{
	const json_t *names = json_object_get(r->plan, "tools");
	size_t i, n = MIN(json_array_size(names), RUNS_TOOLS_MAX);

	for (i = 0; i < n && strcmp(json_string_value(json_array_get(names, i)) ?: "", t->name); i++)
		;
	return i + (t->ours ? 2 * RUNS_TOOLS_MAX : 0);
}

/* Sorts by insertion: there are few, and those that the plan does not name stay in their order. */
static void sort_tools(const struct runs *r, struct run_cell *c)
{
	size_t i, k;

	for (i = 1; i < c->tool_count; i++)
		for (k = i; k && place_in_plan(r, &c->tools[k]) < place_in_plan(r, &c->tools[k - 1]); k--) {
			struct run_tool t = c->tools[k];

			c->tools[k] = c->tools[k - 1];
			c->tools[k - 1] = t;
		}
}

static int compare_total(const void *a, const void *b)
{
	double x = move_figure(*(const json_t *const *)a, FIGURE_TOTAL), y = move_figure(*(const json_t *const *)b, FIGURE_TOTAL);

	if (isnan(x) || isnan(y)) /* last, so that a median move is one that was measured */
		return isnan(x) - isnan(y);
	return x < y ? -1 : x > y;
}

static int check_kind(struct runs *r, const json_t *root, struct err *e)
{
	const json_t *schema = json_object_get(root, "schema");

	if (!json_is_object(root) || !json_is_integer(schema) || !json_is_array(json_object_get(root, "moves")))
		return err_set(e, EINVAL,
			       "it is JSON, but neither what `vmferry bench` writes (an object with \"schema\" and \"moves\") nor "
			       "what `vmferry migrate --json` prints (lines with \"event\")");
	if (json_integer_value(schema) != SCHEMA)
		return err_set(e, EINVAL,
			       "it has schema %lld of `vmferry bench`, and this vmferry knows schema %d: use the vmferry that wrote it",
			       (long long)json_integer_value(schema), SCHEMA);
	r->move_count = json_array_size(json_object_get(root, "moves"));
	if (r->move_count > RUNS_MOVES_MAX)
		return err_set(e, E2BIG, "it has %zu moves; at most %d can be shown", r->move_count, RUNS_MOVES_MAX);
	return 0;
}

int runs_init(struct runs *r, const json_t *root, struct err *e)
{
	size_t i, k;
	json_t *move;
	int rc;

	*r = (struct runs){.root = root, .environment = json_object_get(root, "environment"), .plan = json_object_get(root, "plan")};
	rc = check_kind(r, root, e);
	if (rc)
		return rc;
	r->cells = xcalloc(RUNS_CELLS_MAX, sizeof(*r->cells));
	json_array_foreach(json_object_get(root, "moves"), i, move) {
		rc = take_move(r, move, e);
		if (rc) {
			runs_fini(r);
			return rc;
		}
	}
	for (i = 0; i < r->cell_count; i++) {
		sort_tools(r, &r->cells[i]);
		for (k = 0; k < r->cells[i].tool_count; k++)
			if (r->cells[i].tools[k].good_count)
				qsort(r->cells[i].tools[k].good, r->cells[i].tools[k].good_count, sizeof(json_t *), compare_total);
	}
	return 0;
}

void runs_fini(struct runs *r)
{
	size_t i, k;

	for (i = 0; i < r->cell_count; i++) {
		for (k = 0; k < r->cells[i].tool_count; k++) {
			free(r->cells[i].tools[k].good);
			free(r->cells[i].tools[k].bad);
		}
		free(r->cells[i].tools);
	}
	free(r->cells);
	r->cells = NULL;
	r->cell_count = 0;
}
