/* report-here.h: words for the plan and the result of a command on this host alone (export, import). */
#ifndef VMFERRY_REPORT_HERE_H
#define VMFERRY_REPORT_HERE_H

#include "report-style.h"

#include <jansson.h>
#include <stdio.h>

/* ev: a "title", and "rows" of two texts each: a margin word, and a sentence. */
void report_here_plan(FILE *to, const json_t *ev);
void report_here_result(FILE *to, const json_t *ev, const struct report_style *style);

#endif
