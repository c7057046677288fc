/*
 * html-value.h: reads the values of a report's input with distrust, and shows them.
 *
 * The input is a file that anyone may have written. A number that is missing, negative, absurd or not a number is NAN, shown as a dash; a
 * string is escaped, shortened, and freed of characters that XML or a terminal cannot take.
 */
#ifndef VMFERRY_HTML_VALUE_H
#define VMFERRY_HTML_VALUE_H

#include "err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define DASH	 "–"
#define SHOW_MAX 48 /* bytes for a number with its unit */

/* ---- reading ---- */

/* A number in the range of a quantity (0 to 1e18); otherwise NAN. */
double value_number(const json_t *v);
double value_of(const json_t *o, const char *key);
/* Like value_of(), but allows negative numbers (a time before the beginning). */
double value_signed(const json_t *o, const char *key);
/* A string, borrowed; otherwise NULL. */
const char *value_text(const json_t *o, const char *key);
bool value_true(const json_t *o, const char *key);

/* ---- statistics ---- */

/* The spread of `count` values; all members are NAN if there are none. */
struct spread {
	double median, p90, p99, min, max; /* percentiles are interpolated between moves */
	double *values;			   /* ascending */
	size_t count;
};

/* Sorts the values, without NAN; takes over the array. */
struct spread spread_of(double *values, size_t count);
void spread_fini(struct spread *s);

/* ---- showing; each writes to buf and returns it, DASH for NAN ---- */

/* About three digits: 0.123, 1.23, 12.3, 123; whole numbers unchanged. */
const char *show_number(char buf[SHOW_MAX], double v);
const char *show_bytes(char buf[SHOW_MAX], double v);
/* "12.3 ms", "12.3 s", "2 min 05 s". */
const char *show_ms(char buf[SHOW_MAX], double ms);
/* "0.71×" */
const char *show_ratio(char buf[SHOW_MAX], double v);
/* "2026-01-31 12:00:00 UTC", from seconds since 1970. */
const char *show_date(char buf[SHOW_MAX], double at);

/* ---- writing into a page ---- */

/* Writes s escaped, at most max characters, then an ellipsis; NULL: a dash. */
void html_text_n(FILE *f, const char *s, size_t max);
void html_text(FILE *f, const char *s);
/* Writes any value as one line of text: arrays and objects as lists. The member's name tells the unit. */
void html_any(FILE *f, const char *key, const json_t *v);

#endif
