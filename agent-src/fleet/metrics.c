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

/* ---- replicas ---- */

#define SENDS "to" /* member of rows of who makes points, or sends them on */

static const struct replica_family {
	struct family f;
	const char *type, *has;
	double scale;
} of_replicas[] = {
	{{"vmferry_replica_lag_seconds", "lag_s", "seconds", "Age of the newest point."}, "gauge", NULL, 1},
	{{"vmferry_replica_interval_seconds", "every_s", "seconds", "How often a point is to be made."}, "gauge", SENDS, 1},
	{{"vmferry_replica_last_point_timestamp_seconds", "at_ms", "seconds", "The moment of the newest point, since 1970."},
	 "gauge",
	 NULL,
	 1e-3},
	{{"vmferry_replica_last_point_bytes", "delta_bytes", "bytes", "What was written to the disks between the last two points."},
	 "gauge",
	 SENDS,
	 1},
	{{"vmferry_replica_points_made", "made", NULL, "Points that were made."}, "counter", SENDS, 1},
	{{"vmferry_replica_points_failed", "failed", NULL, "Attempts to make one that failed."}, "counter", SENDS, 1},
	{{"vmferry_replica_carried_bytes", "bytes_total", "bytes", "What they have carried, as it went over the network."},
	 "counter",
	 SENDS,
	 1},
	{{"vmferry_replica_term", "term", NULL, "Its term, as this host knows it: it is raised when the guest is taken over."},
	 "gauge",
	 NULL,
	 1},
	{{"vmferry_replica_points", "points", NULL, "Points that are kept, as this host knows it."}, "gauge", NULL, 1},
};

static const char *const healths[] = {"normal", "warning", "critical"};

static void print_replica_labels(FILE *to, const json_t *row, const char *more)
{
	fputs("{guest=\"", to);
	print_label(to, json_text(row, "guest") ?: "");
	fputs("\",role=\"", to);
	print_label(to, json_text(row, "role") ?: "");
	fputs("\",peer=\"", to);
	print_label(to, json_text(row, "to") ?: json_text(row, "from") ?: "");
	fputs("\"", to);
	if (more)
		fprintf(to, ",health=\"%s\"", more);
	fputs("}", to);
}

static bool is_of(const json_t *row, const char *member)
{
	return !member || json_object_get(row, member);
}

/* Points of a store are a list. */
static double value_of(const json_t *row, const struct replica_family *r)
{
	const json_t *v = json_object_get(row, r->f.member);

	return json_is_array(v) ? (double)json_array_size(v) : json_number_value(v) * r->scale;
}

static void print_replica_family(FILE *to, const struct replica_family *r, const json_t *replicas)
{
	json_t *row;
	size_t i;

	print_head(to, r->f.name, r->type, r->f.unit, r->f.help);
	json_array_foreach((json_t *)(uintptr_t)replicas, i, row) {
		if (!is_of(row, r->has) || !json_object_get(row, r->f.member))
			continue;
		fprintf(to, "%s%s", r->f.name, strcmp(r->type, "counter") ? "" : "_total");
		print_replica_labels(to, row, NULL);
		fprintf(to, " %.17g\n", value_of(row, r));
	}
}

static void print_health(FILE *to, const json_t *replicas)
{
	json_t *row;
	size_t i, k;

	print_head(to, "vmferry_replica_health", "gauge", NULL, "1 of what the replica of a guest is: normal, warning or critical.");
	json_array_foreach((json_t *)(uintptr_t)replicas, i, row)
		for (k = 0; json_text(row, "health") && k < ARRAY_LEN(healths); k++) {
			fputs("vmferry_replica_health", to);
			print_replica_labels(to, row, healths[k]);
			fprintf(to, " %d\n", !strcmp(json_text(row, "health"), healths[k]));
		}
}

static void print_would_start(FILE *to, const json_t *replicas)
{
	json_t *row;
	size_t i;

	print_head(to, "vmferry_replica_would_start", "gauge", NULL, "Whether the guest would start at the replica's host: 1 or 0.");
	json_array_foreach((json_t *)(uintptr_t)replicas, i, row) {
		const json_t *would = json_object_get(json_object_get(row, "would_start"), "start");

		if (!would)
			continue;
		fputs("vmferry_replica_would_start", to);
		print_replica_labels(to, row, NULL);
		fprintf(to, " %d\n", json_is_true(would));
	}
}

static void print_trial(FILE *to, const json_t *replicas)
{
	json_t *row;
	size_t i;

	print_head(to, "vmferry_replica_trial", "gauge", NULL,
		   "Whether there is a trial of the guest, so that no point is dropped: 1 or 0.");
	json_array_foreach((json_t *)(uintptr_t)replicas, i, row) {
		const json_t *trial = json_object_get(row, "trial");

		if (!trial)
			continue;
		fputs("vmferry_replica_trial", to);
		print_replica_labels(to, row, NULL);
		fprintf(to, " %d\n", json_is_true(trial));
	}
}

static void print_replicas(FILE *to, const json_t *replicas)
{
	for (size_t i = 0; i < ARRAY_LEN(of_replicas); i++)
		print_replica_family(to, &of_replicas[i], replicas);
	print_health(to, replicas);
	print_would_start(to, replicas);
	print_trial(to, replicas);
}

void metrics_print(FILE *to, const json_t *totals, const json_t *jobs, const json_t *replicas)
{
	for (size_t i = 0; i < ARRAY_LEN(counters); i++)
		print_counter(to, &counters[i], totals);
	print_last(to, totals);
	print_jobs(to, jobs);
	print_replicas(to, replicas);
	fputs("# EOF\n", to);
}
