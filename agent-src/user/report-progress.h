/* report-progress.h: words for a progress event: a block of lines on a terminal, rewritten by the next, or one line. For report.c and
 * `vmferry status`. */
#ifndef VMFERRY_REPORT_PROGRESS_H
#define VMFERRY_REPORT_PROGRESS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* Reason why a move copies nothing now, from its progress or status event. False: it copies. */
bool report_progress_wait(const json_t *ev, char *out, size_t n);
/* "42 s", "17 min", "7 h 10 min"; returns buf. */
const char *report_progress_span(char buf[24], double seconds);
/* "copy       12 s  52% [#####     ]  1.2 GiB left, 39 MiB/s". */
void report_progress_text(const json_t *ev, char *out, size_t n);
void report_progress_line(FILE *to, const json_t *ev);
/* Overwrites the block of *lines lines (0: none), and sets *lines (text-block.h). memory: the guest's memory travels, too. */
void report_progress_block(FILE *to, const json_t *ev, bool memory, int *lines);

#endif
