/*
 * html-bench.h: the page about a run of `vmferry bench`. html-bench.c puts it together; its tables, charts and timelines are in
 * files of their own.
 */
#ifndef VMFERRY_HTML_BENCH_H
#define VMFERRY_HTML_BENCH_H

#include "bench-runs.h"

#include <stdio.h>

/* The whole page; what is missing in the input is missing in it. only_medians: other moves that went well have no timeline. input: the file's
 * name. Refuses what is no such file. */
int html_bench_page(FILE *f, const json_t *root, bool only_medians, const char *input, struct err *e);

/* ---- between these files ---- */

/* "1gbit, 512 MiB, busy" */
void html_bench_cell_name(FILE *f, const struct run_cell *c);

void html_bench_ratio_table(FILE *f, const struct runs *r);
void html_bench_cell_table(FILE *f, const struct run_cell *c);
/* Writes what went wrong, and a closed table of all moves. */
void html_bench_move_table(FILE *f, const struct runs *r, const struct run_cell *c);

void html_bench_comparison(FILE *f, const struct run_cell *c);
void html_bench_downtime(FILE *f, const struct run_cell *c);
void html_bench_cpu(FILE *f, const struct run_cell *c);

/* Selects the moves that get a timeline. */
struct timelines {
	bool only_medians; /* show only medians, and moves with problems */
	size_t left;	   /* number of further ones at most */
};

/* Writes the guest around the switchover, and what happened when. */
void html_bench_moves(FILE *f, const struct run_cell *c, struct timelines *lines);

#endif
