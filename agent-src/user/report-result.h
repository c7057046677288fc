/* report-result.h: words for the result of a move. For report.c, and a page. Text in the event must be printable. */
#ifndef VMFERRY_REPORT_RESULT_H
#define VMFERRY_REPORT_RESULT_H

#include "report-style.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* True if the guest, or its disks, are where they were to go. */
bool report_is_success(const json_t *ev);
/* Prints the part of report_result() that tells the user what to do, or to know. */
void report_to_do(FILE *to, const json_t *ev, const struct report_style *style);
/* Prints of report_to_do() what could start the guest twice, or not again, or was not done: the rest is for one who moves that guest alone. */
void report_to_heed(FILE *to, const json_t *ev, const struct report_style *style);
/* details: also memory and processor time used, and the result of each disk. */
void report_result(FILE *to, const json_t *ev, const struct report_style *style, bool details);

#endif
