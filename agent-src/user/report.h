/*
 * report.h: reports to the user. Every event of a move is one JSON object: shown as text, printed as NDJSON, and passed to
 * those who follow the move. docs/report.md describes them. Nothing here waits for a reader (output.h).
 */
#ifndef VMFERRY_REPORT_H
#define VMFERRY_REPORT_H

#include "exit-code.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct report {
	bool json;				     /* NDJSON on standard output */
	bool tty;				     /* standard output is a terminal */
	bool block;				     /* progress is a block of lines there, which is rewritten */
	bool often;				     /* progress is reported ten times a second */
	bool details;				     /* plans and results are shown in full (-v) */
	bool colors;				     /* if there is a terminal */
	bool quiet;				     /* the terminal is gone, or was never ours */
	bool quiet_plan;			     /* the plan is shown elsewhere */
	bool stdout_is_data;			     /* standard output is left to data */
	bool result_is_answer;			     /* any outcome is the answer that was asked for */
	double next_percent;			     /* percentage of a stage at which the next line is written, if lines stay */
	int lines;				     /* present height of that block */
	unsigned logged;			     /* log_lines() when the block was written */
	unsigned lost;				     /* events dropped since standard output last had room */
	void (*follow)(void *ctx, const char *line); /* each event as one line without newline; may be NULL */
	void *ctx;
};

/* Makes all text in v safe for a terminal. */
void report_clean(json_t *v);
void report_init(struct report *r, bool json, bool fine);
/* Takes the reference. "event" names its kind: plan, estimate, stage, progress, notice, result. */
void report_emit(struct report *r, json_t *event);
/* Seconds that `left` bytes take at rate_bps; 0: the rate is too low to tell (1 KiB/s). */
double report_eta_s(uint64_t left, double rate_bps);
/* Reports a sentence to the user. */
void report_notice(struct report *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Reports a sentence, and ends the wait of the user who gave the order (order-wait.h), though the move goes on. */
void report_answer(struct report *r, enum exit_code wait_ends, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Reports a sentence when this attempt ends without a result: another one begins after in_s seconds. */
void report_again(struct report *r, unsigned in_s, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Adds a sentence to an event's warnings. */
void report_warning(json_t *event, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
