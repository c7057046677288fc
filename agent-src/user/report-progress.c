/* report-progress.c: see report-progress.h. */
#include "report-progress.h"
#include "json-text.h"
#include "text-code.h"
#include "util.h"

#include <string.h>
#include <sys/ioctl.h>

#define LINE_MAX_BYTES 256

static double num(const json_t *o, const char *key)
{
	return json_number_value(json_object_get(o, key));
}

static const char *bytes(char buf[24], const json_t *o, const char *key)
{
	return format_bytes(buf, (uint64_t)num(o, key));
}

/* ---- the lines ---- */

#define BAR_COLUMNS 10

/* " 52% [#####     ]  "; "" where nothing is known. */
static void put_bar(const json_t *ev, char *out, size_t n)
{
	double percent = num(ev, "percent");
	int done = (int)(percent / 100 * BAR_COLUMNS);

	out[0] = '\0';
	if (json_object_get(ev, "percent") && percent >= 0 && percent <= 100)
		snprintf(out, n, "%3d%% [%.*s%*s]  ", (int)percent, done, "##########", BAR_COLUMNS - done, "");
}

bool report_progress_wait(const json_t *ev, char *out, size_t n)
{
	if (json_object_get(ev, "shutdown_left_s"))
		snprintf(out, n, "waiting for the guest to shut down, %.0f s left", num(ev, "shutdown_left_s"));
	else if (json_is_true(json_object_get(ev, "waits_for_owner")))
		snprintf(out, n, "waiting for the guest to be shut down");
	else if (json_object_get(ev, "compared_percent"))
		snprintf(out, n, "comparing with the old copy: %.0f %%", num(ev, "compared_percent"));
	else
		return false;
	return true;
}

static void put_copy(const json_t *ev, char *out, size_t n)
{
	char left[24], rate[24], bar[48];
	int k;

	put_bar(ev, bar, sizeof(bar));
	if (json_object_get(ev, "left"))
		k = snprintf(out, n, "%s%s left, %s/s", bar, bytes(left, ev, "left"), bytes(rate, ev, "rate_bps"));
	else
		k = snprintf(out, n, "%.*s", (int)strcspn(bar, "]") + 1, bar);
	if (num(ev, "eta_s") > 0)
		k += snprintf(out + k, n - (size_t)k, ", ETA %.0f s", num(ev, "eta_s"));
	if (json_is_true(json_object_get(ev, "held")))
		k += snprintf(out + k, n - (size_t)k, ", held");
	if (json_object_get(ev, "scanned_percent"))
		snprintf(out + k, n - (size_t)k, ", memory looked through: %.0f %%", num(ev, "scanned_percent"));
}

/* "copy       12 s  52% [#####     ]  1.2 GiB left, 39 MiB/s" */
static void whole_line(const json_t *ev, char *out, size_t n)
{
	int k = snprintf(out, n, "%-10s ", json_text(ev, "stage") ?: "");

	if (num(ev, "t_ms") >= 1000)
		k += snprintf(out + k, n - (size_t)k, "%.0f s ", num(ev, "t_ms") / 1000);
	if (!report_progress_wait(ev, out + k, n - (size_t)k))
		put_copy(ev, out + k, n - (size_t)k);
	k = (int)strlen(out);
	if (json_object_get(ev, "silent_s"))
		snprintf(out + k, n - (size_t)k, ", no answer from there for %.0f s", num(ev, "silent_s"));
}

/* How long the guest would stand still if it was switched over now. */
static void add_downtime(const json_t *ev, char *line, size_t n)
{
	double predicted = num(ev, "predicted_downtime_ms");
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
		k += snprintf(out + k, n - (size_t)k, "round %d, ", (int)num(d, "round"));
	snprintf(out + k, n - (size_t)k, "%3.0f%%, %s left", num(d, "percent"), bytes(left, d, "left"));
}

static void memory_line(const json_t *ev, char *out, size_t n)
{
	char left[24], rate[24];

	if (json_object_get(ev, "scanned_percent"))
		snprintf(out, n, "  memory   %3.0f%% looked through, for what is on disks as well", num(ev, "scanned_percent"));
	else if (!json_object_get(ev, "ram_left"))
		snprintf(out, n, "  memory   after the disks");
	else
		snprintf(out, n, "  memory   round %d, %s left, guest writes %s/s", (int)num(ev, "ram_round"), bytes(left, ev, "ram_left"),
			 bytes(rate, ev, "dirty_bps"));
	add_downtime(ev, out, n);
}

void report_progress_line(FILE *to, const json_t *ev)
{
	char line[LINE_MAX_BYTES];

	whole_line(ev, line, sizeof(line));
	add_downtime(ev, line, sizeof(line));
	fprintf(to, "%s\n", line);
}

/* ---- the block ---- */

struct block {
	FILE *to;
	size_t columns, rows; /* that are left */
	int lines;
};

static void put(struct block *b, const char *line)
{
	fprintf(b->to, "%.*s\033[K\n", (int)text_fitting(line, b->columns), line);
	b->lines++;
}

/* The last column stays free, as what is cleared from there may be its letter; and the last row, where the cursor stands. */
static void measure(struct block *b)
{
	struct winsize w;
	bool known = !ioctl(2, TIOCGWINSZ, &w);

	b->columns = known && w.ws_col > 1 ? w.ws_col - 1u : 79;
	b->rows = known && w.ws_row > 1 ? w.ws_row - 1u : 23;
}

static void put_disks(struct block *b, const json_t *disks, size_t rows)
{
	size_t count = json_array_size(disks), shown = count <= rows ? count : rows ? rows - 1 : 0, i;
	char line[LINE_MAX_BYTES];

	for (i = 0; i < shown; i++) {
		disk_line(json_array_get(disks, i), line, sizeof(line));
		put(b, line);
	}
	if (shown == count || !rows)
		return;
	snprintf(line, sizeof(line), "           and %zu more disks", count - shown);
	put(b, line);
}

void report_progress_block(FILE *to, const json_t *ev, bool memory, int *lines)
{
	struct block b = {.to = to};
	char line[LINE_MAX_BYTES];

	measure(&b);
	memory = memory && b.rows > 1;
	if (*lines)
		fprintf(to, "\033[%dF", *lines);
	put_disks(&b, json_object_get(ev, "disks"), b.rows - 1 - memory);
	if (memory) {
		memory_line(ev, line, sizeof(line));
		put(&b, line);
	}
	whole_line(ev, line, sizeof(line));
	put(&b, line);
	if (*lines > b.lines)
		fputs("\033[J", to);
	*lines = b.lines;
}
