/* report-command.h: `vmferry report`: an HTML page about one move, or about runs of `vmferry bench`. */
#ifndef VMFERRY_REPORT_COMMAND_H
#define VMFERRY_REPORT_COMMAND_H

#include "err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* Makes the page about a run: html_bench_page(). */
typedef int run_page_fn(FILE *f, const json_t *root, bool only_medians, const char *input, struct err *e);

#define REPORT_OF_RUN 256 /* not an exit code */

/* Returns the exit code. of_run NULL: or REPORT_OF_RUN, if the first file is not of a move. Then nothing was made, and standard input can be
 * read once more. */
int report_command(int argc, char **argv, run_page_fn *of_run);

#endif
