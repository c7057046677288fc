/*
 * html-move.h: the page about one move: the events that `vmferry migrate --json` prints (docs/report.md), or `check`, `recover`,
 * `storage`, or `status --follow`.
 */
#ifndef VMFERRY_HTML_MOVE_H
#define VMFERRY_HTML_MOVE_H

#include "err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* events: an array of the objects, a line each; cut: the last line was not complete. input: the file's name. */
int html_move_page(FILE *f, const json_t *events, bool cut, const char *input, struct err *e);

#endif
