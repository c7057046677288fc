/* metrics.c: see metrics.h. */
#include "metrics.h"
#include "json-text.h"
#include "util.h"

#include <string.h>

struct family {
	const char *name, *member, *unit, *help;
};

static const struct family counters[] = {
	{"vmferry_moves", "count", NULL, "Commands that have ended, by kind and exit code."},
	{"vmferry_move_seconds", "seconds", "seconds", "Time that they took."},
	{"vmferry_move_bytes", "bytes", "bytes", "What they have carried, as it went over the network."},
	{"vmferry_move_downtime_seconds", "downtime_s", "seconds", "Time that guests stood still for them."},
	{"vmferry_move_leftovers", "leftovers", NULL, "Things that they could not remove."},
};

static const char *const states[] = {"waiting", "under-way", "undecided", "leftovers"};

/* A label's value: what OpenMetrics has no other form for is escaped. */
static void print_label(FILE *to, const char *text)
{
	for (; *text; text++)
		if (*text == '"' || *text == '\\')
			fprintf(to, "\\%c", *text);
		else if (*text == '\n')
			fputs("\\n", to);
		else
			fputc(*text, to);
}

static void print_head(FILE *to, const char *name, const char *type, const char *unit, const char *help)
{
	fprintf(to, "# TYPE %s %s\n", name, type);
	if (unit)
		fprintf(to, "# UNIT %s %s\n", name, unit);
	fprintf(to, "# HELP %s %s\n", name, help);
}

static void print_labels(FILE *to, const json_t *row)
{
	fputs("{how=\"", to);
	print_label(to, json_text(row, "how") ?: "");
	fprintf(to, "\",exit_code=\"%d\"}", (int)json_integer_value(json_object_get(row, "exit_code")));
}

static void print_counter(FILE *to, const struct family *f, const json_t *totals)
{
	json_t *row;
	size_t i;

	print_head(to, f->name, "counter", f->unit, f->help);
	json_array_foreach((json_t *)(uintptr_t)totals, i, row) {
		fprintf(to, "%s_total", f->name);
		print_labels(to, row);
		fprintf(to, " %.17g\n", json_number_value(json_object_get(row, f->member)));
	}
}

static void print_last(FILE *to, const json_t *totals)
{
	json_t *row;
	size_t i;

	print_head(to, "vmferry_last_move_timestamp_seconds", "gauge", "seconds", "When one ended last, since 1970.");
	json_array_foreach((json_t *)(uintptr_t)totals, i, row) {
		fputs("vmferry_last_move_timestamp_seconds", to);
		print_labels(to, row);
		fprintf(to, " %lld\n", (long long)json_integer_value(json_object_get(row, "last_at")));
	}
}

static void print_jobs(FILE *to, const json_t *jobs)
{
	json_t *job;
	size_t i, k;

	print_head(to, "vmferry_jobs", "gauge", NULL, "Commands that have not ended; undecided ones need vmferry recover.");
	for (k = 0; k < ARRAY_LEN(states); k++) {
		unsigned n = 0;

		json_array_foreach((json_t *)(uintptr_t)jobs, i, job)
			n += !strcmp(json_text(job, "state") ?: "", states[k]);
		fprintf(to, "vmferry_jobs{state=\"%s\"} %u\n", states[k], n);
	}
}

void metrics_print(FILE *to, const json_t *totals, const json_t *jobs)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(counters); i++)
		print_counter(to, &counters[i], totals);
	print_last(to, totals);
	print_jobs(to, jobs);
	fputs("# EOF\n", to);
}
