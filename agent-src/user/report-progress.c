/* report-progress.c: see report-progress.h. */
#include "report-progress.h"
#include "json-text.h"
#include "text-block.h"
#include "text-code.h"
#include "util.h"

#include <string.h>

#define SPAN_MAX_MIN 1e7 /* minutes that are told */

#define LINE_MAX_BYTES 256

static const char *bytes(char buf[24], const json_t *o, const char *key)
{
	return format_bytes(buf, (uint64_t)json_number(o, key));
}

/* ---- the lines ---- */

#define BAR_COLUMNS 10

/* " 52% [#####     ]  "; "" where nothing is known. */
static void put_bar(const json_t *ev, char *out, size_t n)
{
	double percent = json_number(ev, "percent");
	int done = (int)(percent / 100 * BAR_COLUMNS);

	out[0] = '\0';
	if (json_object_get(ev, "percent") && percent >= 0 && percent <= 100)
		snprintf(out, n, "%3d%% [%.*s%*s]  ", (int)percent, done, "##########", BAR_COLUMNS - done, "");
}

bool report_progress_wait(const json_t *ev, char *out, size_t n)
{
	if (json_object_get(ev, "shutdown_left_s"))
		snprintf(out, n, "waiting for the guest to shut down, %.0f s left", json_number(ev, "shutdown_left_s"));
	else if (json_is_true(json_object_get(ev, "waits_for_owner")))
		snprintf(out, n, "waiting for the guest to be shut down");
	else if (json_object_get(ev, "compared_percent"))
		snprintf(out, n, "comparing with the old copy: %.0f %%", json_number(ev, "compared_percent"));
	else
		return false;
	return true;
}

const char *report_progress_span(char buf[24], double seconds)
{
	unsigned minutes = (unsigned)MIN(seconds / 60, SPAN_MAX_MIN);

	if (minutes < 10)
		snprintf(buf, 24, "%.0f s", seconds);
	else if (minutes < 120)
		snprintf(buf, 24, "%u min", minutes);
	else
		snprintf(buf, 24, "%u h %u min", minutes / 60, minutes % 60);
	return buf;
}

static void put_copy(const json_t *ev, char *out, size_t n)
{
	char left[24], rate[24], eta[24], bar[48];
	int k;

	put_bar(ev, bar, sizeof(bar));
	if (json_object_get(ev, "left"))
		k = snprintf(out, n, "%s%s left, %s/s", bar, bytes(left, ev, "left"), bytes(rate, ev, "rate_bps"));
	else
		k = snprintf(out, n, "%.*s", (int)strcspn(bar, "]") + 1, bar);
	if (json_number(ev, "eta_s") > 0)
		k += snprintf(out + k, n - (size_t)k, ", ETA %s", report_progress_span(eta, json_number(ev, "eta_s")));
	if (json_is_true(json_object_get(ev, "held")))
		k += snprintf(out + k, n - (size_t)k, ", held");
	if (json_object_get(ev, "scanned_percent"))
		snprintf(out + k, n - (size_t)k, ", memory looked through: %.0f %%", json_number(ev, "scanned_percent"));
}

void report_progress_text(const json_t *ev, char *out, size_t n)
{
	int k = snprintf(out, n, "%-10s ", json_text(ev, "stage") ?: "");

	if (json_number(ev, "t_ms") >= 1000)
		k += snprintf(out + k, n - (size_t)k, "%.0f s ", json_number(ev, "t_ms") / 1000);
	if (!report_progress_wait(ev, out + k, n - (size_t)k))
		put_copy(ev, out + k, n - (size_t)k);
	k = (int)strlen(out);
	if (json_object_get(ev, "silent_s"))
		snprintf(out + k, n - (size_t)k, ", no answer from there for %.0f s", json_number(ev, "silent_s"));
}

/* Adds how long the guest would stand still if it were switched over now. */
static void add_downtime(const json_t *ev, char *line, size_t n)
{
	double predicted = json_number(ev, "predicted_downtime_ms");
	size_t k = strlen(line);

	if (predicted > 0 && predicted < 1e6)
		snprintf(line + k, n - k, ", downtime %.0f ms", predicted);
}

#define NAME_COLUMNS 28

static void disk_line(const json_t *d, char *out, size_t n)
{
	const char *name = json_text(d, "name") ?: "";
	char left[24];
	int k = snprintf(out, n, "  disk     %.*s ", (int)text_fitting(name, NAME_COLUMNS), name);

	while (k < (int)strlen("  disk      ") + NAME_COLUMNS)
		out[k++] = ' ';
	out[k] = '\0';
	if (json_object_get(d, "round"))
		k += snprintf(out + k, n - (size_t)k, "round %d, ", (int)json_number(d, "round"));
	snprintf(out + k, n - (size_t)k, "%3.0f%%, %s left", json_number(d, "percent"), bytes(left, d, "left"));
}

static void memory_line(const json_t *ev, char *out, size_t n)
{
	char left[24], rate[24];

	if (json_object_get(ev, "scanned_percent"))
		snprintf(out, n, "  memory   %3.0f%% looked through, for what is on disks as well", json_number(ev, "scanned_percent"));
	else if (!json_object_get(ev, "ram_left"))
		snprintf(out, n, "  memory   after the disks");
	else
		snprintf(out, n, "  memory   round %d, %s left, guest writes %s/s", (int)json_number(ev, "ram_round"),
			 bytes(left, ev, "ram_left"), bytes(rate, ev, "dirty_bps"));
	add_downtime(ev, out, n);
}

void report_progress_line(FILE *to, const json_t *ev)
{
	char line[LINE_MAX_BYTES];

	report_progress_text(ev, line, sizeof(line));
	add_downtime(ev, line, sizeof(line));
	fprintf(to, "%s\n", line);
}

/* ---- the block ---- */

static void put_disks(struct text_block *b, const json_t *disks, size_t rows)
{
	size_t count = json_array_size(disks), shown = count <= rows ? count : rows ? rows - 1 : 0, i;
	char line[LINE_MAX_BYTES];

	for (i = 0; i < shown; i++) {
		disk_line(json_array_get(disks, i), line, sizeof(line));
		text_block_put(b, line);
	}
	if (shown == count || !rows)
		return;
	snprintf(line, sizeof(line), "           and %zu more disks", count - shown);
	text_block_put(b, line);
}

void report_progress_block(FILE *to, const json_t *ev, bool memory, int *lines)
{
	struct text_block b;
	char line[LINE_MAX_BYTES];

	text_block_begin(&b, to, *lines);
	memory = memory && b.rows > 1;
	put_disks(&b, json_object_get(ev, "disks"), b.rows - 1 - memory);
	if (memory) {
		memory_line(ev, line, sizeof(line));
		text_block_put(&b, line);
	}
	report_progress_text(ev, line, sizeof(line));
	text_block_put(&b, line);
	*lines = text_block_end(&b, *lines);
}
