/*
 * bench-figures.h: the moves of a run by cell and tool, and their figures: what the table shows and the file sums up. Pure.
 *
 * Warm-ups are nobody's; a move that failed or did damage is counted as such and is in no figure.
 */
#ifndef VMFERRY_BENCH_FIGURES_H
#define VMFERRY_BENCH_FIGURES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum figure { FIGURE_TOTAL, FIGURE_COPY, FIGURE_DOWNTIME, FIGURE_WIRE, FIGURE_USE, FIGURE_CPU, FIGURES };

/* A cell and a tool; borrows from a move. */
struct row {
	const char *link, *workload, *tool; /* NULL: the move does not say */
	json_int_t mem_mib;
};

struct figures {
	double *values; /* ascending */
	size_t count;
};

struct row row_of(const json_t *move);
bool row_complete(const struct row *r);
bool row_same_cell(const struct row *a, const struct row *b);
/* Is that move the first of its cell, or of its cell and tool? */
bool row_is_first(const json_t *moves, size_t at, const struct row *r, bool tool);
/* The figures of the row's moves, in milliseconds, bytes, parts of 1 and seconds per GiB; how many moves went well, and how many did
 * not. To be freed by figures_fini. */
void row_figures(const json_t *moves, const struct row *r, struct figures of[FIGURES], unsigned *ok, unsigned *bad);
void figures_fini(struct figures of[FIGURES]);
/* What the row's moves took of the time of the other's, in all: the median of each round's, in which a machine is what it is; NAN if no round has both. */
double row_beside(const json_t *moves, const struct row *r, const struct row *other);
/* The `statistics` of docs/bench.md: of each row that has more than one move. tool: which all are compared to; NULL: none. */
json_t *bench_statistics(const json_t *moves, const char *tool);
/* Sets the `payload_bytes` of docs/bench.md in all moves of that one's cell. */
void bench_set_payload(json_t *moves, const json_t *of);
/* How long the fixed piece of work took before moves that count, in ms, ascending. */
void bench_yardsticks(const json_t *moves, struct figures *out);

#endif
