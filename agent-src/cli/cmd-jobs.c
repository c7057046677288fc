/* cmd-jobs.c: vmferry jobs: what waits, is under way, is undecided and has ended on this host, with its result. */
#include "cmd.h"
#include "command-options.h"
#include "control.h"
#include "history.h"
#include "journal-kinds.h"
#include "json-text.h"
#include "metrics.h"
#include "moment.h"
#include "paths.h"
#include "replica-show.h"
#include "report-progress.h"
#include "report-result.h"
#include "shell-quote.h"
#include "text-table.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>

#define ID_SHOWN     8
#define SHOWN_S	     (24 * 3600) /* time for which jobs that have ended are shown */
#define COLUMNS	     5
#define PROGRESS_MAX 256

struct jobs_command {
	bool json, metrics, all;
	const char *state_dir, *runtime_dir;
};

/* ---- what there is ---- */

static json_t *job_of_status(json_t *status)
{
	bool waits = json_object_get(status, "waits");

	return json_pack("{s:s*,s:s*,s:s*,s:s*,s:s,s:O}", "job", json_text(status, "attempt"), "guest", json_text(status, "guest"),
			 "destination", json_text(status, "destination"), "how", json_text(status, "how"), "state",
			 waits ? "waiting" : "under-way", "status", status);
}

static void add_under_way(json_t *jobs, const char *runtime)
{
	AUTO_FREE pid_t *pids = NULL;
	size_t n = control_list(runtime, &pids), i;

	for (i = 0; i < n; i++) {
		json_t *status = control_status_within(runtime, pids[i], CONTROL_AMONG_S);

		if (status) /* a job without a status has just ended, or its journal tells of it */
			json_array_append_new(jobs, job_of_status(status));
		json_decref(status);
	}
}

/* The state of an attempt that does not answer: its agent has the journal locked while it, or its guard, lives. */
static const char *state_of(const char *path)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	const char *state;
	struct journal *j;
	struct err e;

	if (fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) && errno == EWOULDBLOCK)
		return "under-way";
	if (journal_look(&j, path, &e))
		return "undecided";
	state = journal_last_note(j, "over") ? "leftovers" : "undecided";
	journal_close(j);
	return state;
}

/* Journals of attempts that do not answer. */
static void add_undecided(json_t *jobs, const char *state)
{
	char id[2 * ATTEMPT_ID_LEN + 1];
	json_t *begin;
	char **paths;
	size_t n, i;
	struct err e;

	if (journal_list(state, &paths, &n, &e)) {
		fprintf(stderr, "vmferry: %s\n", e.msg);
		return;
	}
	for (i = 0; i < n; i++) {
		if (!journal_path_is(paths[i], true) || journal_peek(paths[i], id, &begin, &e))
			continue;
		if (journal_kind_of(begin) && !json_find(jobs, "job", id))
			json_array_append_new(jobs, json_pack("{s:s,s:s*,s:s*,s:s*,s:s}", "job", id, "guest", json_text(begin, "guest"),
							      "destination", life_goes_to(begin), "how", json_text(begin, "how"), "state",
							      state_of(paths[i])));
		json_decref(begin);
	}
	journal_list_free(paths, n);
}

static void add_ended(json_t *jobs, const char *state, bool all)
{
	json_t *history = history_read(state, NULL), *entry;
	time_t now = time(NULL);
	size_t i;

	json_array_foreach(history, i, entry) {
		json_t *result = json_object_get(entry, "result");
		json_int_t at = json_integer_value(json_object_get(entry, "at"));

		if (all || now - (time_t)at < SHOWN_S)
			json_array_append_new(jobs,
					      json_pack("{s:s*,s:s*,s:s*,s:s*,s:s,s:I,s:O*,s:O*}", "job", json_text(result, "attempt"),
							"guest", json_text(entry, "guest"), "destination", json_text(entry, "destination"),
							"how", json_text(entry, "how"), "state", "ended", "at", at, "plan",
							json_object_get(entry, "plan"), "result", result));
	}
	json_decref(history);
}

/* ---- for people ---- */

/* "12 s  52% [#####     ]  1.2 GiB left, 39 MiB/s"; malloc'ed. */
static char *pace_of(const json_t *status)
{
	const json_t *waits = json_object_get(status, "waits");
	double until = json_number_value(json_object_get(status, "revert_until"));
	char text[PROGRESS_MAX], at[MOMENT_TEXT];

	if (until > 0)
		return xasprintf("runs there; can be had back until %s", moment_text(at, (time_t)until));
	if (waits)
		return xasprintf("waits for its turn, %d before it", (int)json_integer_value(json_object_get(waits, "ahead")));
	report_progress_text(status, text, sizeof(text));
	return xstrdup(text);
}

static char *words_of(const json_t *job)
{
	const char *state = json_text(job, "state") ?: "", *reason = json_text(json_object_get(job, "result"), "reason");
	const json_t *result = json_object_get(job, "result");
	char at[MOMENT_TEXT];
	char *text;

	if (json_object_get(job, "status"))
		return pace_of(json_object_get(job, "status"));
	if (!strcmp(state, "undecided") || !strcmp(state, "leftovers")) {
		AUTO_FREE char *guest = shell_quote_shown(json_text(job, "guest") ?: "");

		return xasprintf("%s: vmferry recover %s", *state == 'u' ? "undecided" : "has left something", guest);
	}
	text = xasprintf("%s, %s in %.1f s%s%s", moment_text(at, (time_t)json_integer_value(json_object_get(job, "at"))),
			 json_text(result, "outcome") ?: "?", json_number_value(json_object_get(result, "total_ms")) / 1000,
			 reason ? ": " : "", reason ?: "");
	text_make_printable(text, false);
	return text;
}

static void fill_row(char **cells, const json_t *job)
{
	cells[0] = xasprintf("%.*s", ID_SHOWN, json_text(job, "job") ?: "-");
	cells[1] = text_shown(json_text(job, "guest") ?: "-");
	cells[2] = text_shown(json_text(job, "how") ?: "-");
	cells[3] = text_shown(json_text(job, "destination") ?: "-");
	cells[4] = words_of(job);
}

static void print_table(const json_t *jobs)
{
	static const char *const heads[COLUMNS] = {"JOB", "GUEST", "HOW", "TO", "STATE"};
	size_t count = json_array_size(jobs) + 1, i;
	AUTO_FREE char **cells = xcalloc(count * COLUMNS, sizeof(*cells));

	for (i = 0; i < COLUMNS; i++)
		cells[i] = xstrdup(heads[i]);
	for (i = 1; i < count; i++)
		fill_row(&cells[i * COLUMNS], json_array_get(jobs, i - 1));
	text_table_print(stdout, cells, COLUMNS, count);
	for (i = 0; i < count * COLUMNS; i++)
		free(cells[i]);
}

/* ---- one of them ---- */

static const json_t *job_called(const json_t *jobs, const char *id)
{
	const json_t *found = NULL;
	json_t *job;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)jobs, i, job)
		if (!strncmp(json_text(job, "job") ?: "", id, strlen(id)))
			found = job;
	return found;
}

static int show_one(const json_t *jobs, const char *id, bool json)
{
	static const struct report_style plain = {"", "", "", ""};
	const json_t *job = strlen(id) >= 4 ? job_called(jobs, id) : NULL, *result = json_object_get(job, "result");
	json_t *list;

	if (!job) {
		fprintf(stderr, "vmferry: there is no job %s here: vmferry jobs --all lists them (four digits or more say which)\n", id);
		return EXIT_SOURCE;
	}
	if (json) {
		json_text_print(job);
		return 0;
	}
	list = json_pack("[O]", job);
	print_table(list);
	json_decref(list);
	if (result) {
		json_t *shown = json_deep_copy(result);

		report_clean(shown);
		report_result(stdout, shown, &plain, true);
		json_decref(shown);
	}
	return 0;
}

/* ---- the command ---- */

static const char before[] =
	"usage: vmferry jobs [--json|--metrics] [--all] [JOB]\n"
	"\n"
	"Lists the jobs that wait for their turn, are under way, are undecided, or have ended on this host within a day. JOB, the "
	"first digits of a job's number, shows all about that one. Exports, imports and changes of storage are jobs, too.\n"
	"\n";

#define MEMBER(name) offsetof(struct jobs_command, name)

static const struct command_option rows[] = {
	{"all", NULL, "also those that ended longer ago: 200 are kept", OPT_FLAG, .offset = MEMBER(all)},
	{"json", NULL, "an object a line, with status, or plan and result (docs/report.md)", OPT_FLAG, .offset = MEMBER(json)},
	{"metrics", NULL,
	 "OpenMetrics text: counts, seconds, bytes and downtime of all that ever ended here, how many have not, and how old replicas are",
	 OPT_FLAG, .offset = MEMBER(metrics)},
	{"state-dir", "DIR", "where journals are", OPT_TEXT, .offset = MEMBER(state_dir)},
	{"runtime-dir", "DIR", "where sockets are", OPT_TEXT, .offset = MEMBER(runtime_dir)},
	{.name = NULL},
};

static void print_lines(const json_t *jobs)
{
	json_t *job;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)jobs, i, job)
		json_text_print(job);
}

static int show(const struct jobs_command *c, const char *state, json_t *jobs, const char *id)
{
	if (id)
		return show_one(jobs, id, c->json);
	if (c->metrics) {
		json_t *totals = history_totals(state), *replicas = replica_everything(state, NULL);

		metrics_print(stdout, totals, jobs, replicas);
		json_decref(totals);
		json_decref(replicas);
	} else if (c->json) {
		print_lines(jobs);
	} else if (json_array_size(jobs)) {
		print_table(jobs);
	} else {
		puts("nothing is under way here, and nothing has ended within a day (vmferry jobs --all)");
	}
	return 0;
}

int cmd_jobs(int argc, char **argv)
{
	static const struct option_table tables[] = {{rows, 0}, {NULL, 0}};
	static const struct command_usage usage = {"vmferry jobs", before, .tables = tables, .words = "one job, or none for all of them",
						   .most = 1};
	struct jobs_command c = {.json = false};
	AUTO_FREE char *state = NULL;
	AUTO_FREE char *runtime = NULL;
	json_auto_t *jobs = NULL;
	struct err e;
	int first, r = command_take(&usage, argc, argv, &c, &first);

	if (r)
		return MAX(r, 0);
	if (state_dir_get(&state, c.state_dir, &e) || runtime_dir_get(&runtime, c.runtime_dir, &e)) {
		fprintf(stderr, "vmferry: %s\n", e.msg);
		return EXIT_SOURCE;
	}
	jobs = json_array();
	add_under_way(jobs, runtime);
	add_undecided(jobs, state);
	if (!c.metrics)
		add_ended(jobs, state, c.all || argv[first]);
	return show(&c, state, jobs, argv[first]);
}
