/* html-runs.c: see html-runs.h. */
#include "html-runs.h"
#include "html-value.h"
#include "util.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define SCHEMA 1

/* ---- figures ---- */

enum outcome_kind move_outcome(const json_t *move)
{
	const char *s = value_text(move, "outcome");

	return s && !strcmp(s, "ok") ? OUTCOME_OK : s && !strcmp(s, "damaged") ? OUTCOME_DAMAGED : OUTCOME_FAILED;
}

double move_payload_gib(const json_t *move)
{
	double bytes = value_of(move, "payload_bytes");

	return bytes > 0 ? bytes / (double)GIB : NAN;
}

static double cpu_seconds(const json_t *move)
{
	double sum = 0;
	const char *key;
	json_t *v;

	if (!json_object_size(json_object_get(move, "cpu_s")))
		return NAN;
	json_object_foreach(json_object_get(move, "cpu_s"), key, v)
		sum += value_number(v); /* one that is missing makes the sum unknown */
	return sum;
}

double move_figure(const json_t *move, enum figure what)
{
	switch (what) {
	case FIGURE_TOTAL:
		return value_of(move, "total_ms");
	case FIGURE_COPY:
		return value_of(move, "copy_ms");
	case FIGURE_DOWNTIME:
		return value_of(json_object_get(move, "downtime_ms"), "guest");
	case FIGURE_WIRE:
		return value_of(move, "bytes_wire");
	case FIGURE_USE:
		return value_of(move, "bulk_utilisation");
	case FIGURE_CPU:
		return cpu_seconds(move) / move_payload_gib(move);
	case FIGURES:
		break;
	}
	return NAN;
}

/* ---- spread ---- */

struct spread tool_spread(const struct tool *t, enum figure what)
{
	double *values = xcalloc(t->good_count + 1, sizeof(*values));
	size_t i;

	for (i = 0; i < t->good_count; i++)
		values[i] = move_figure(t->good[i], what);
	return spread_of(values, t->good_count);
}

struct spread tool_spread_of(const struct tool *t, const char *group, const char *member)
{
	double *values = xcalloc(t->good_count + 1, sizeof(*values));
	size_t i;

	for (i = 0; i < t->good_count; i++)
		values[i] = value_of(group ? json_object_get(t->good[i], group) : t->good[i], member);
	return spread_of(values, t->good_count);
}

double tool_median(const struct tool *t, enum figure what)
{
	struct spread s = tool_spread(t, what);

	spread_fini(&s);
	return s.median;
}

const json_t *tool_median_move(const struct tool *t)
{
	return t->good_count ? t->good[(t->good_count - 1) / 2] : NULL;
}

const struct tool *cell_best_native(const struct cell *c, enum figure what)
{
	const struct tool *best = NULL;
	double v, least = INFINITY;
	size_t i;

	for (i = 0; i < c->tool_count; i++) {
		v = c->tools[i].ours ? NAN : tool_median(&c->tools[i], what);
		if (v < least) {
			least = v;
			best = &c->tools[i];
		}
	}
	return best;
}

/* ---- sorting moves into cells ---- */

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static bool same_number(double a, double b)
{
	return a == b || (isnan(a) && isnan(b));
}

bool cell_has(const struct cell *c, const json_t *move)
{
	return same(c->link, value_text(move, "link")) && same(c->workload, value_text(move, "workload")) &&
	       same_number(c->mem_mib, value_of(move, "mem_mib")) && same_number(c->delay_ms, value_of(move, "delay_ms")) &&
	       same_number(c->loss_percent, value_of(move, "loss_percent")) &&
	       same_number(c->cached_percent, value_of(move, "cached_percent")) && same(c->content, value_text(move, "content"));
}

double cell_link_bytes_per_s(const struct cell *c)
{
	char *end;
	double v = c->link ? strtod(c->link, &end) : NAN;

	if (!(v > 0 && v < 1e6))
		return NAN;
	return !strcmp(end, "mbit") ? v * 1e6 / 8 : !strcmp(end, "gbit") ? v * 1e9 / 8 : NAN;
}

static struct cell *cell_for(struct runs *r, const json_t *move, struct err *e)
{
	size_t i;

	for (i = 0; i < r->cell_count; i++)
		if (cell_has(&r->cells[i], move))
			return &r->cells[i];
	if (r->cell_count == RUNS_CELLS_MAX) {
		err_set(e, E2BIG, "it has moves of more than %d cells (link, memory, workload…), which no page can show", RUNS_CELLS_MAX);
		return NULL;
	}
	r->cells[r->cell_count] = (struct cell){.link = value_text(move, "link"),
						.workload = value_text(move, "workload"),
						.mem_mib = value_of(move, "mem_mib"),
						.delay_ms = value_of(move, "delay_ms"),
						.loss_percent = value_of(move, "loss_percent"),
						.cached_percent = value_of(move, "cached_percent"),
						.content = value_text(move, "content"),
						.tools = xcalloc(RUNS_TOOLS_MAX, sizeof(struct tool))};
	return &r->cells[r->cell_count++];
}

static struct tool *tool_for(struct cell *c, const char *name, struct err *e)
{
	size_t i;

	for (i = 0; i < c->tool_count; i++)
		if (!strcmp(c->tools[i].name, name))
			return &c->tools[i];
	if (c->tool_count == RUNS_TOOLS_MAX) {
		err_set(e, E2BIG, "it has moves by more than %d tools in one cell, which no page can show", RUNS_TOOLS_MAX);
		return NULL;
	}
	c->tools[c->tool_count] = (struct tool){.name = name, .ours = !strncmp(name, "vmferry", 7)};
	return &c->tools[c->tool_count++];
}

static void append(const json_t ***list, size_t *count, const json_t *move)
{
	if (!(*count & (*count + 1))) /* full at 0, 1, 3, 7, … */
		*list = xrealloc(*list, (*count * 2 + 1) * sizeof(**list));
	(*list)[(*count)++] = move;
}

static void count_move(struct runs *r, struct tool *t, const json_t *move)
{
	switch (move_outcome(move)) {
	case OUTCOME_OK:
		r->ok++;
		append(&t->good, &t->good_count, move);
		return;
	case OUTCOME_DAMAGED:
		r->damaged++;
		t->damaged++;
		break;
	case OUTCOME_FAILED:
		r->failed++;
		t->failed++;
		break;
	}
	append(&t->bad, &t->bad_count, move);
}

static int take_move(struct runs *r, const json_t *move, struct err *e)
{
	const char *name = value_text(move, "tool");
	struct cell *c;
	struct tool *t;

	if (!json_is_object(move)) {
		r->ignored++;
		return 0;
	}
	c = cell_for(r, move, e);
	t = c ? tool_for(c, name ? name : "?", e) : NULL;
	if (!t)
		return -e->code;
	if (value_true(move, "warmup"))
		r->warmups++;
	if (!value_true(move, "warmup") || move_outcome(move) != OUTCOME_OK)
		count_move(r, t, move);
	return 0;
}

/* ---- order ---- */

static size_t place_in_plan(const struct runs *r, const struct tool *t)
{
	const json_t *names = json_object_get(r->plan, "tools");
	size_t i, n = MIN(json_array_size(names), RUNS_TOOLS_MAX);

	for (i = 0; i < n; i++)
		if (same(json_string_value(json_array_get(names, i)), t->name))
			break;
	return i + (t->ours ? 2 * RUNS_TOOLS_MAX : 0);
}

/* By insertion: there are few, and those that the plan does not name stay in their order. */
static void sort_tools(const struct runs *r, struct cell *c)
{
	size_t i, k;

	for (i = 1; i < c->tool_count; i++)
		for (k = i; k && place_in_plan(r, &c->tools[k]) < place_in_plan(r, &c->tools[k - 1]); k--) {
			struct tool t = c->tools[k];

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
		for (k = 0; k < r->cells[i].tool_count; k++) {
			struct tool *t = &r->cells[i].tools[k];

			if (t->good_count)
				qsort(t->good, t->good_count, sizeof(*t->good), compare_total);
		}
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
