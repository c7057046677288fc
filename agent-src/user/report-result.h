/* report-result.h: how a move has ended, in words. For report.c only. What is in the event is printable. */
#ifndef VMFERRY_REPORT_RESULT_H
#define VMFERRY_REPORT_RESULT_H

#include "report-style.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* The guest, or its disks, are where they were to be. */
bool report_is_success(const json_t *ev);
/* details: also how much memory and processor time it took, and what became of each disk. */
void report_result(FILE *to, const json_t *ev, const struct report_style *style, bool details);

#endif
