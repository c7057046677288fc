/*
 * report.h: tells the user. Every event of a move is one JSON object; shown as text, printed as NDJSON, and passed to
 * whoever follows the move. docs/report.md describes them. None of this waits for who reads it (output.h).
 */
#ifndef VMFERRY_REPORT_H
#define VMFERRY_REPORT_H

#include "exit-code.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct report {
	bool json;				     /* NDJSON on standard output */
	bool tty;				     /* it is for a terminal */
	bool block;				     /* progress is a block of lines there that is rewritten */
	bool often;				     /* progress is wanted ten times a second */
	bool details;				     /* of plans and results all is shown (-v) */
	bool colors;				     /* where a terminal is */
	bool quiet;				     /* the terminal is gone or was never ours */
	bool quiet_plan;			     /* somebody else shows it */
	bool stdout_is_data;			     /* nothing of this goes there */
	bool result_is_answer;			     /* whatever it is, it is what was asked for */
	double next_percent;			     /* of a stage, when a line is written of it next where lines stay */
	int lines;				     /* of that block, as it stands */
	unsigned logged;			     /* log_lines() when it was written */
	unsigned lost;				     /* events that standard output had no room for, since the last that it had */
	void (*follow)(void *ctx, const char *line); /* each event as one line without newline; may be NULL */
	void *ctx;
};

/* Nothing in any text of it drives a terminal. */
void report_clean(json_t *v);
void report_init(struct report *r, bool json, bool fine);
/* Takes the reference. "event" names its kind: plan, estimate, stage, progress, notice, result. */
void report_emit(struct report *r, json_t *event);
/* How long `left` bytes take at rate_bps, in seconds; 0: there is no rate worth the name (1 KiB/s). */
double report_eta_s(uint64_t left, double rate_bps);
/* A sentence for the user. */
void report_notice(struct report *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The same, with which the wait of whoever gave the order ends (order-wait.h), though the move goes on. */
void report_answer(struct report *r, enum exit_code wait_ends, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The same, though this attempt ends without a result: another one begins after so long. */
void report_again(struct report *r, unsigned in_s, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The same among the warnings of an event. */
void report_warning(json_t *event, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
