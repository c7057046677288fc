/* report-result.h: how a move has ended, in words. For report.c, and a page. What is in the event is printable. */
#ifndef VMFERRY_REPORT_RESULT_H
#define VMFERRY_REPORT_RESULT_H

#include "report-style.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* The guest, or its disks, are where they were to be. */
bool report_is_success(const json_t *ev);
/* The lines of a result that say what is left for a person to do, or to know, as in report_result(). */
void report_to_do(FILE *to, const json_t *ev, const struct report_style *style);
/* details: also how much memory and processor time it took, and what became of each disk. */
void report_result(FILE *to, const json_t *ev, const struct report_style *style, bool details);

#endif
