/*
 * html-value.h: what a report's input says, read with distrust, and shown to people.
 *
 * The input is a file that anybody may have written. A number that is missing, negative, absurd or no number at all is NAN, and
 * shown as a dash; a string is escaped, cut to a length, and rid of what XML or a terminal would not bear.
 */
#ifndef VMFERRY_HTML_VALUE_H
#define VMFERRY_HTML_VALUE_H

#include "err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define DASH	 "–"
#define SHOW_MAX 48 /* bytes of a number that is shown, and of its unit */

/* ---- reading ---- */

/* A number that a quantity may have (0 to 1e18); otherwise NAN. */
double value_number(const json_t *v);
double value_of(const json_t *o, const char *key);
/* As value_of, but it may be negative (a time before the beginning). */
double value_signed(const json_t *o, const char *key);
/* A string, borrowed; otherwise NULL. */
const char *value_text(const json_t *o, const char *key);
bool value_true(const json_t *o, const char *key);

/* ---- many of them ---- */

/* NAN in all where count is 0. */
struct spread {
	double median, p90, p99, min, max; /* percentiles are linear between moves */
	double *values;			   /* ascending */
	size_t count;
};

/* Sorts them, but for those that are NAN; takes the array. */
struct spread spread_of(double *values, size_t count);
void spread_fini(struct spread *s);

/* ---- showing; each writes to buf and returns it, DASH for NAN ---- */

/* Three digits or so: 0.123, 1.23, 12.3, 123; whole numbers as they are. */
const char *show_number(char buf[SHOW_MAX], double v);
const char *show_bytes(char buf[SHOW_MAX], double v);
/* "12.3 ms", "12.3 s", "2 min 05 s". */
const char *show_ms(char buf[SHOW_MAX], double ms);
/* "0.71×" */
const char *show_ratio(char buf[SHOW_MAX], double v);
/* "2026-01-31 12:00:00 UTC", of seconds since 1970. */
const char *show_date(char buf[SHOW_MAX], double at);

/* ---- writing into a page ---- */

/* Escaped, at most max characters, the rest an ellipsis; NULL: a dash. */
void html_text_n(FILE *f, const char *s, size_t max);
void html_text(FILE *f, const char *s);
/* Any value as one line of text: arrays and objects as lists. The name of the member tells the unit. */
void html_any(FILE *f, const char *key, const json_t *v);

#endif
