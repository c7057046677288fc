/* html-value.c: see html-value.h. */
#include "html-value.h"
#include "percentile.h"
#include "text-code.h"
#include "util.h"

#include <math.h>
#include <string.h>
#include <time.h>

#define NUMBER_MAX 1e18
#define TEXT_MAX   600 /* characters of a string that are shown */
#define LIST_MAX   100 /* elements of an array or an object */
#define DEPTH_MAX  4

double value_number(const json_t *v)
{
	double x = json_is_number(v) ? json_number_value(v) : NAN;

	return x >= 0 && x <= NUMBER_MAX ? x : NAN;
}

double value_of(const json_t *o, const char *key)
{
	return value_number(json_object_get(o, key));
}

double value_signed(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	return json_is_number(v) && fabs(json_number_value(v)) <= NUMBER_MAX ? json_number_value(v) : NAN;
}

const char *value_text(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

bool value_true(const json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, key));
}

/* ---- many of them ---- */

static int compare_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

struct spread spread_of(double *values, size_t count)
{
	struct spread s = {.median = NAN, .p90 = NAN, .p99 = NAN, .min = NAN, .max = NAN, .values = values};

	for (size_t i = 0; i < count; i++)
		if (!isnan(values[i]))
			values[s.count++] = values[i];
	if (!s.count)
		return s;
	qsort(values, s.count, sizeof(*values), compare_double);
	s.median = percentile(values, s.count, 50);
	s.p90 = percentile(values, s.count, 90);
	s.p99 = percentile(values, s.count, 99);
	s.min = values[0];
	s.max = values[s.count - 1];
	return s;
}

void spread_fini(struct spread *s)
{
	free(s->values);
	s->values = NULL;
}

/* ---- */

const char *show_number(char buf[SHOW_MAX], double v)
{
	double a = fabs(v);

	if (isnan(v))
		return strcpy(buf, DASH);
	snprintf(buf, SHOW_MAX, "%.*f", v == floor(v) || a >= 99.95 ? 0 : a >= 9.995 ? 1 : a >= 0.9995 ? 2 : 3, v);
	return buf;
}

const char *show_bytes(char buf[SHOW_MAX], double v)
{
	char text[24];

	snprintf(buf, SHOW_MAX, "%s", isnan(v) ? DASH : format_bytes(text, (uint64_t)v));
	return buf;
}

const char *show_ms(char buf[SHOW_MAX], double ms)
{
	char text[SHOW_MAX];

	if (isnan(ms))
		strcpy(buf, DASH);
	else if (ms < 1000)
		snprintf(buf, SHOW_MAX, "%.30s ms", show_number(text, ms));
	else if (ms < 120e3)
		snprintf(buf, SHOW_MAX, "%.30s s", show_number(text, ms / 1000));
	else
		snprintf(buf, SHOW_MAX, "%.0f min %02.0f s", floor(ms / 60e3), floor(fmod(ms / 1000, 60)));
	return buf;
}

const char *show_ratio(char buf[SHOW_MAX], double v)
{
	if (isnan(v))
		strcpy(buf, DASH);
	else
		snprintf(buf, SHOW_MAX, v < 9.995 ? "%.2f×" : v < 99.95 ? "%.1f×" : "%.0f×", v);
	return buf;
}

const char *show_date(char buf[SHOW_MAX], double at)
{
	time_t t = at < 1e11 ? (time_t)at : 0;
	struct tm tm;

	if (isnan(at) || at >= 1e11 || !gmtime_r(&t, &tm) || !strftime(buf, SHOW_MAX, "%Y-%m-%d %H:%M:%S UTC", &tm))
		strcpy(buf, DASH);
	return buf;
}

/* ---- */

/* XML has no control characters but three; those that turn the direction of text could make it look like another. */
static bool is_unfit(const char *s)
{
	uint32_t code;

	if (!text_utf8_take(s, &code))
		return true;
	return (text_code_is_hidden(code) && code != '\t' && code != '\n') || code == 0xfffe || code == 0xffff;
}

static void put_character(FILE *f, const char *s, size_t n)
{
	switch (*s) {
	case '<':
		fputs("&lt;", f);
		return;
	case '>':
		fputs("&gt;", f);
		return;
	case '&':
		fputs("&amp;", f);
		return;
	case '"':
		fputs("&quot;", f);
		return;
	case '\'':
		fputs("&#39;", f);
		return;
	}
	if (is_unfit(s))
		fputs("�", f);
	else
		fwrite(s, 1, n, f);
}

void html_text_n(FILE *f, const char *s, size_t max)
{
	size_t n, shown;

	if (!s || !*s) {
		fputs(DASH, f);
		return;
	}
	for (shown = 0; *s; shown++, s += MAX(n, 1)) {
		if (shown + 1 >= max && s[text_utf8_length(s)]) {
			fputs("…", f);
			return;
		}
		n = text_utf8_length(s);
		put_character(f, s, n);
	}
}

void html_text(FILE *f, const char *s)
{
	html_text_n(f, s, TEXT_MAX);
}

static bool ends_in(const char *s, const char *end)
{
	size_t n = strlen(s), k = strlen(end);

	return n >= k && !strcmp(s + n - k, end);
}

static void put_number(FILE *f, const char *key, const json_t *v)
{
	char text[SHOW_MAX];
	double x = json_number_value(v);

	if (ends_in(key, "bytes") || ends_in(key, "size") || ends_in(key, "allocated") || ends_in(key, "bytes_wire") ||
	    ends_in(key, "rss_anon"))
		fputs(show_bytes(text, value_number(v)), f);
	else if (!strcmp(key, "at_ms") || ends_in(key, "_at_ms"))
		fputs(show_date(text, value_number(v) / 1000), f);
	else if (ends_in(key, "_ms"))
		fputs(show_ms(text, value_number(v)), f);
	else if (!strcmp(key, "at") || ends_in(key, "_at"))
		fputs(show_date(text, value_number(v)), f);
	else if (json_is_integer(v))
		fprintf(f, "%lld", (long long)json_integer_value(v));
	else if (fabs(x) <= NUMBER_MAX)
		fputs(show_number(text, x), f);
	else
		fputs(DASH, f);
	if (ends_in(key, "_mib"))
		fputs(" MiB", f);
	else if (ends_in(key, "_s"))
		fputs(" s", f);
}

static void put_any(FILE *f, const char *key, const json_t *v, unsigned depth);

/* The key as words: "virtual_size" becomes "virtual size". */
static void put_key(FILE *f, const char *key)
{
	AUTO_FREE char *words = xstrdup(key);
	char *at;

	for (at = words; (at = strchr(at, '_')); at++)
		*at = ' ';
	html_text_n(f, words, 60);
}

/* A property that something does not have is left out, and so is a name that QEMU made up. */
static bool says_nothing(const char *key, const json_t *v)
{
	const char *text = json_string_value(v);

	return json_is_false(v) || json_is_null(v) || (text && *text == '#' && !strcmp(key, "node"));
}

static void put_object(FILE *f, const json_t *o, unsigned depth)
{
	size_t shown = 0;
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)o, key, v) {
		if (says_nothing(key, v))
			continue;
		if (shown++ >= LIST_MAX) {
			fputs(", …", f);
			return;
		}
		fputs(shown > 1 ? ", " : "", f);
		put_key(f, key);
		fputs(": ", f);
		put_any(f, key, v, depth + 1);
	}
}

static void put_array(FILE *f, const char *key, const json_t *a, unsigned depth)
{
	size_t i, n = json_array_size(a);

	for (i = 0; i < MIN(n, LIST_MAX); i++) {
		fputs(i ? json_is_object(json_array_get(a, i)) ? "; " : ", " : "", f);
		put_any(f, key, json_array_get(a, i), depth + 1);
	}
	if (n > LIST_MAX)
		fprintf(f, ", … (%zu in all)", n);
}

static void put_any(FILE *f, const char *key, const json_t *v, unsigned depth)
{
	if (depth > DEPTH_MAX)
		fputs("…", f);
	else if (json_is_object(v) && json_object_size(v))
		put_object(f, v, depth);
	else if (json_is_array(v) && json_array_size(v))
		put_array(f, key, v, depth);
	else if (json_is_string(v))
		html_text(f, json_string_value(v));
	else if (json_is_number(v))
		put_number(f, key, v);
	else
		fputs(json_is_true(v) ? "yes" : json_is_false(v) ? "no" : DASH, f);
}

void html_any(FILE *f, const char *key, const json_t *v)
{
	put_any(f, key, v, 0);
}
