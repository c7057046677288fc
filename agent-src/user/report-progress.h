/*
 * report-progress.h: a progress event for people: a block of lines on a terminal, rewritten by the next, or one line. For report.c;
 * `vmferry status` has words of it.
 */
#ifndef VMFERRY_REPORT_PROGRESS_H
#define VMFERRY_REPORT_PROGRESS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* The reason, in words, why a move of which this is a progress or a status copies nothing now. False: it copies. */
bool report_progress_wait(const json_t *ev, char *out, size_t n);
/* "42 s", "17 min", "7 h 10 min"; returns buf. */
const char *report_progress_span(char buf[24], double seconds);
/* "copy       12 s  52% [#####     ]  1.2 GiB left, 39 MiB/s". */
void report_progress_text(const json_t *ev, char *out, size_t n);
void report_progress_line(FILE *to, const json_t *ev);
/*
 * Over the block of *lines lines that stands there (0: none), and says how many it has now (text-block.h). memory: the guest's travels, too.
 */
void report_progress_block(FILE *to, const json_t *ev, bool memory, int *lines);

#endif
