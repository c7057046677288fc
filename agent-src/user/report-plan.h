/* report-plan.h: words for the plan of a move, and its estimate. For report.c only. Text in events must be printable. */
#ifndef VMFERRY_REPORT_PLAN_H
#define VMFERRY_REPORT_PLAN_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* details: also what stays unchanged, and what is adapted without the user's help. */
void report_plan(FILE *to, const json_t *ev, bool details);
void report_estimate(FILE *to, const json_t *ev, bool details);

#endif
