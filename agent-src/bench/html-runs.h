/*
 * html-runs.h: the moves of a `vmferry bench` file (docs/bench.md) by cell and tool, and their figures. Pure: no output.
 *
 * Everything borrows from the file's JSON. Warm-up moves are nobody's; a move that failed or did damage is counted as such and
 * is in no figure.
 */
#ifndef VMFERRY_HTML_RUNS_H
#define VMFERRY_HTML_RUNS_H

#include "err.h"
#include "html-value.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define RUNS_CELLS_MAX 200
#define RUNS_TOOLS_MAX 60
#define RUNS_MOVES_MAX 20000

enum outcome_kind {
	OUTCOME_OK,
	OUTCOME_FAILED,
	OUTCOME_DAMAGED,
};

enum figure {
	FIGURE_TOTAL,	 /* ms */
	FIGURE_COPY,	 /* ms */
	FIGURE_DOWNTIME, /* ms, as the guest's peers saw it */
	FIGURE_WIRE,	 /* bytes */
	FIGURE_USE,	 /* of the link, 0 to 1 */
	FIGURE_CPU,	 /* seconds per GiB of payload */
	FIGURES,
};

/* What one tool did in one cell. */
struct tool {
	const char *name;
	bool ours;	     /* some vmferry */
	const json_t **good; /* its counted moves that went well, the shortest total_ms first */
	size_t good_count;
	const json_t **bad; /* its moves that did not, those to warm up, too */
	size_t bad_count, failed, damaged;
};

struct cell {
	const char *link, *workload; /* may be NULL */
	double mem_mib;
	double delay_ms, loss_percent; /* NAN: none */
	double cached_percent;	       /* NAN: the file does not say */
	const char *content;	       /* what the guest holds, where a page is of several runs; else NULL */
	struct tool *tools;	       /* native ones first, each in the order of the plan */
	size_t tool_count;
};

struct runs {
	const json_t *root, *environment, *plan;
	struct cell *cells; /* in the order in which they were measured */
	size_t cell_count;
	size_t move_count, warmups, ok, failed, damaged, ignored;
};

/* Refuses what is no such file. Frees nothing of root, which must outlive it. */
int runs_init(struct runs *r, const json_t *root, struct err *e);
void runs_fini(struct runs *r);

enum outcome_kind move_outcome(const json_t *move);
/* NAN where it was not measured. */
double move_figure(const json_t *move, enum figure what);
double move_payload_gib(const json_t *move);

struct spread tool_spread(const struct tool *t, enum figure what);
/* The same of any number in a move: member, or group.member. */
struct spread tool_spread_of(const struct tool *t, const char *group, const char *member);
/* The move whose total is the median (the lower one of two); NULL if none went well. */
const json_t *tool_median_move(const struct tool *t);
/* The native tool with the smallest median; NULL if there is none. */
const struct tool *cell_best_native(const struct cell *c, enum figure what);
double tool_median(const struct tool *t, enum figure what);

bool cell_has(const struct cell *c, const json_t *move);
/* Bytes per second of a link named as in "100mbit" or "10gbit"; NAN of any other. */
double cell_link_bytes_per_s(const struct cell *c);

#endif
