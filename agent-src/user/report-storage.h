/* report-storage.h: the plan and the result of `vmferry storage` in words, for report.c. */
#ifndef VMFERRY_REPORT_STORAGE_H
#define VMFERRY_REPORT_STORAGE_H

#include "report-style.h"

#include <jansson.h>
#include <stdio.h>

/* What is in ev is printable. */
void report_storage_plan(FILE *to, const json_t *ev);
void report_storage_result(FILE *to, const json_t *ev, const struct report_style *style);
/* Of a disk in a plan, a move's too: the dirty bitmaps that go along. */
void report_bitmaps(FILE *to, const json_t *d);

#endif
