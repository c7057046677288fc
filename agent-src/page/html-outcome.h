/*
 * html-outcome.h: what became of a move, in a few sentences: of guests that run, are shut down or boot there, of disks alone
 * (`vmferry storage`), and of what `vmferry recover` settled. For html-move.c only.
 */
#ifndef VMFERRY_HTML_OUTCOME_H
#define VMFERRY_HTML_OUTCOME_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* The guest's name, borrowed; NULL: neither event has it. Either may be NULL, here and below. */
const char *outcome_guest(const json_t *plan, const json_t *result);
/* "Move of guest", "Export of guest" …: constant. */
const char *outcome_subject(const json_t *plan, const json_t *result);
/* began: there was progress. */
void html_outcome(FILE *f, const json_t *plan, const json_t *result, bool began);

#endif
