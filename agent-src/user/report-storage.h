/* report-storage.h: words for the plan and the result of `vmferry storage`, for report.c. */
#ifndef VMFERRY_REPORT_STORAGE_H
#define VMFERRY_REPORT_STORAGE_H

#include "report-style.h"

#include <jansson.h>
#include <stdio.h>

/* ev's text must be printable. */
void report_storage_plan(FILE *to, const json_t *ev);
void report_storage_result(FILE *to, const json_t *ev, const struct report_style *style);
/* Prints the dirty bitmaps that go along with a disk of a plan; a move's, too. */
void report_bitmaps(FILE *to, const json_t *d);

#endif
