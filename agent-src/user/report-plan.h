/* report-plan.h: the plan of a move, and its estimate, in words. For report.c only. What is in an event is printable. */
#ifndef VMFERRY_REPORT_PLAN_H
#define VMFERRY_REPORT_PLAN_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* details: also what stays as it is, and what is adapted without anybody having to do anything. */
void report_plan(FILE *to, const json_t *ev, bool details);
void report_estimate(FILE *to, const json_t *ev, bool details);

#endif
