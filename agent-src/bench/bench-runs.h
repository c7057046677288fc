/*
 * bench-runs.h: the moves of a `vmferry bench` file (docs/bench.md) by cell and tool, and their figures: what the table, the page and the
 * file's own statistics are made of. Pure.
 *
 * Everything borrows from the file's JSON. Warm-up moves are nobody's; a move that failed or did damage is counted as such and
 * is in no figure.
 */
#ifndef VMFERRY_BENCH_RUNS_H
#define VMFERRY_BENCH_RUNS_H

#include "err.h"
#include "html-value.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define RUNS_CELLS_MAX 200
#define RUNS_TOOLS_MAX 60
#define RUNS_MOVES_MAX 20000

enum figure {
	FIGURE_TOTAL,	 /* ms */
	FIGURE_COPY,	 /* ms */
	FIGURE_DOWNTIME, /* ms, as the guest's peers saw it */
	FIGURE_WIRE,	 /* bytes */
	FIGURE_USE,	 /* share of the link, 0 to 1 */
	FIGURE_CPU,	 /* seconds per GiB of payload */
	FIGURES,
};

/* The moves of one tool in one cell. */
struct run_tool {
	const char *name;
	bool ours;	     /* some vmferry */
	const json_t **good; /* counted moves that went well, the shortest total_ms first */
	size_t good_count;
	const json_t **bad; /* moves that did not go well, those to warm up, too */
	size_t bad_count, damaged;
};

struct run_cell {
	const json_t *first;	     /* the first of its moves */
	const char *link, *workload; /* may be NULL */
	double mem_mib;
	struct run_tool *tools; /* native ones first, each in the order of the plan */
	size_t tool_count;
};

struct runs {
	const json_t *root, *environment, *plan;
	struct run_cell *cells; /* cells in the order in which they were measured */
	size_t cell_count;
	size_t move_count, warmups, ok, failed, damaged, ignored;
};

/* Refuses what is no such file. Frees nothing of root, which must outlive it. */
int runs_init(struct runs *r, const json_t *root, struct err *e);
void runs_fini(struct runs *r);
/* The `statistics` of docs/bench.md: of each tool in a cell that has more than one move. */
json_t *runs_statistics(const struct runs *r);
/* Sets the `payload_bytes` of docs/bench.md in all moves of that one's cell. */
void run_set_payload(json_t *moves, const json_t *of);
/* Time in ms that the fixed piece of work took before moves that count. */
struct spread runs_yardsticks(const struct runs *r);

/* "ok", "failed" or "damaged". */
const char *move_outcome(const json_t *move);
/* NAN where it was not measured. */
double move_figure(const json_t *move, enum figure what);
double move_payload_gib(const json_t *move);
/* The moves are of one cell: nothing that makes their figures others differs. */
bool moves_compare(const json_t *a, const json_t *b);

struct spread tool_spread(const struct run_tool *t, enum figure what);
/* Spread of any number in an object of the move. */
struct spread tool_spread_of(const struct run_tool *t, const char *group, const char *member);
double tool_median(const struct run_tool *t, enum figure what);
/* The move whose total is the median (the lower one of two); NULL if none went well. */
const json_t *tool_median_move(const struct run_tool *t);
/* The time of the tool's moves over that of the other's: the median of each round's, in which a machine is what it is; NAN if no round has both. */
double tool_beside(const struct run_tool *t, const struct run_tool *other);
/* The native tool with the smallest median; NULL if there is none. */
const struct run_tool *cell_best_native(const struct run_cell *c, enum figure what);
/* The first tool of the plan, which all are compared to; NULL: it is not in this cell. */
const struct run_tool *cell_first_tool(const struct runs *r, const struct run_cell *c);

#endif
