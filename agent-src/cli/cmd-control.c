/* cmd-control.c: vmferry status, switch, cancel, revert, keep, set: words to a move under way. */
#include "again.h"
#include "cmd.h"
#include "command-options.h"
#include "control.h"
#include "history.h"
#include "json-text.h"
#include "moment.h"
#include "order-wait.h"
#include "paths.h"
#include "qemu-discover.h"
#include "report-progress.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct target {
	char *runtime;
	pid_t pid;
};

static bool is_pid(pid_t pid, const char *vm)
{
	AUTO_FREE char *number = xasprintf("%d", (int)pid);

	return !strcmp(number, vm);
}

/* True if the move of the guest with this pid is one of a guest with that name. In a move on one machine two QEMUs have the name, and
 * only the source has a move. An agent that is busy, as it looks for its destination, may not answer in time: its QEMU has the name, too. */
static bool is_called(const char *runtime, pid_t pid, const char *vm)
{
	json_auto_t *status = control_status_within(runtime, pid, CONTROL_AMONG_S);
	AUTO_FREE char *number = xasprintf("%d", (int)pid);
	struct guest g = {.pid = 0};
	struct err ignored;
	bool yes;

	if (!status)
		guest_find(&g, number, &ignored);
	yes = text_equal(status ? json_text(status, "guest") : g.name, vm);
	guest_fini(&g);
	return yes;
}

/* A name must mean exactly one move. */
static int find_move(struct target *t, const char *vm, struct err *e)
{
	pid_t *pids = NULL, other = 0;
	size_t n = control_list(t->runtime, &pids), i;

	for (i = 0; i < n && !t->pid; i++)
		if (is_pid(pids[i], vm))
			t->pid = pids[i];
	for (i = t->pid ? n : 0; i < n; i++)
		if (is_called(t->runtime, pids[i], vm)) {
			other = t->pid;
			t->pid = pids[i];
			if (other)
				break;
		}
	free(pids);
	return other ? err_set(e, EEXIST, "two guests called %s are moved, processes %d and %d: say which by its pid", vm,
			       (int)MIN(t->pid, other), (int)MAX(t->pid, other))
		     : 0;
}

static int target_open(struct target *t, const char *vm, struct err *e)
{
	struct guest g;
	int r = runtime_dir_get(&t->runtime, NULL, e) ?: find_move(t, vm, e);

	if (r || t->pid)
		return r;
	r = guest_find(&g, vm, e);
	if (r == -ENXIO)
		r = 0;
	t->pid = g.pid;
	guest_fini(&g);
	return r;
}

static int fail(const struct err *e)
{
	fprintf(stderr, "vmferry: %s\n", e->msg);
	return EXIT_SOURCE;
}

static int order(const char *vm, json_t *request, bool waits)
{
	struct target t = {NULL, 0};
	struct err e;
	int code = target_open(&t, vm, &e) ? fail(&e) : order_give(t.runtime, t.pid, request, waits);

	json_decref(request);
	free(t.runtime);
	return code;
}

struct order_options {
	bool no_wait;
};

static const struct command_option order_rows[] = {
	{"no-wait", NULL, "return at once, before anything has come of it: exit code 0 once the agent has heard it", OPT_FLAG,
	 .offset = offsetof(struct order_options, no_wait)},
	{.name = NULL},
};

/* A command that is one order: its name is the command's. */
static int run_order(int argc, char **argv, const char *before)
{
	static const struct option_table tables[] = {{order_rows, 0}, {NULL, 0}};
	AUTO_FREE char *name = xasprintf("vmferry %s", argv[0]);
	AUTO_FREE char *text = xasprintf(
		"usage: vmferry %s [--no-wait] VM\n\n%s%s\n", argv[0], before,
		"Waits for what comes of it and says it; Ctrl-C ends the wait, not the move. The exit code is migrate's, "
		"but that cancel and revert end with 0 once the guest is here and nothing is left, and with 1 if they came too late.\n");
	const struct command_usage usage = {name, text, .tables = tables, .words = "one guest", .least = 1, .most = 1};
	struct order_options c = {.no_wait = false};
	int first, r = command_take(&usage, argc, argv, &c, &first);

	return r ? MAX(r, 0) : order(argv[first], json_pack("{s:s}", "command", argv[0]), !c.no_wait);
}

int cmd_switch(int argc, char **argv)
{
	return run_order(argc, argv,
			 "Stops the guest and switches it over now: one that waits (migrate --hold), or whose move does not converge.\n");
}

int cmd_cancel(int argc, char **argv)
{
	return run_order(argc, argv, "Rolls the move back; the guest stays here.\n");
}

int cmd_revert(int argc, char **argv)
{
	return run_order(argc, argv,
			 "Has the guest back as it was when it was handed over (migrate --revert-within): what it has done at the "
			 "destination since is lost.\n");
}

int cmd_keep(int argc, char **argv)
{
	return run_order(argc, argv, "Lets the guest stay at the destination now, before its --revert-within is over.\n");
}

static const struct option_table no_options[] = {{NULL, 0}};

int cmd_set(int argc, char **argv)
{
	static const struct command_usage usage = {"vmferry set",
						   "usage: vmferry set VM bwlimit=RATE\n"
						   "\n"
						   "Changes a move under way. RATE is in bytes per second, such as 100M; 0: no limit.\n",
						   .tables = no_options,
						   .words = "one guest, and bwlimit=RATE",
						   .least = 2,
						   .most = 2};
	uint64_t rate;
	int first, r = command_take(&usage, argc, argv, NULL, &first);

	if (r)
		return MAX(r, 0);
	if (strncmp(argv[first + 1], "bwlimit=", 8) || parse_rate(argv[first + 1] + 8, &rate)) {
		fprintf(stderr, "vmferry set: '%s' is not bwlimit=RATE with a rate such as 100M\n", argv[first + 1]);
		return EXIT_USAGE;
	}
	return order(argv[first], json_pack("{s:s,s:I}", "command", "set", "bwlimit", (json_int_t)rate), false);
}

/* ---- status ---- */

/* "1.0 GiB of disks", "1.0 GiB of disks and all of memory (512 MiB)", malloc'ed. */
static char *what_is_left(const json_t *s)
{
	char disk[24], ram[24];

	format_bytes(disk, json_bytes(s, "disk_left"));
	if (!json_bytes(s, "ram_bytes"))
		return xasprintf("%s of disks", disk);
	if (!json_object_get(s, "ram_left"))
		return xasprintf("%s of disks and all of memory (%s)", disk, format_bytes(ram, json_bytes(s, "ram_bytes")));
	return xasprintf("%s of disks and %s of memory", disk, format_bytes(ram, json_bytes(s, "ram_left")));
}

static void print_turn(const json_t *waits, bool is_import)
{
	bool out = !strcmp(json_text(waits, "for") ?: "", "out");

	printf(", waits for its turn: %.0f before it to %s\n", json_number_value(json_object_get(waits, "ahead")),
	       out	   ? "leave this host"
	       : is_import ? "come to this host"
			   : "come to the destination");
}

static void print_copy(const json_t *s, const char *who, const char *to, const char *stage)
{
	bool held = json_is_true(json_object_get(s, "held")), cut = json_is_true(json_object_get(json_object_get(s, "outages"), "now"));
	double eta_s = json_number_value(json_object_get(s, "eta_s")), t_ms = json_number_value(json_object_get(s, "t_ms"));
	AUTO_FREE char *left = what_is_left(s);
	char rate[24], eta[24], wait[128];
	bool waits = !cut && report_progress_wait(s, wait, sizeof(wait));

	printf("%s -> %s: %s%s", who, to, stage, held && !waits ? ", held" : "");
	if (json_object_get(s, "waits")) {
		print_turn(json_object_get(s, "waits"), !strcmp(json_text(s, "how") ?: "", "import"));
		return;
	}
	if (t_ms >= 1000)
		printf(" (%.0f s since it began)", t_ms / 1000);
	if (json_object_get(s, "percent"))
		printf(", %.0f %%", json_number_value(json_object_get(s, "percent")));
	if (waits) {
		printf(", %s\n", wait);
		return;
	}
	printf(", %s left", left);
	if (json_object_get(s, "silent_s"))
		printf(", no answer from there for %.0f s", json_number_value(json_object_get(s, "silent_s")));
	if (cut)
		puts(", no connection: it is tried again");
	else if (eta_s > 0 && !held)
		printf(", %s/s, ETA %s\n", format_bytes(rate, (uint64_t)json_number_value(json_object_get(s, "rate_bps"))),
		       report_progress_span(eta, eta_s));
	else
		printf(", %s/s\n", format_bytes(rate, (uint64_t)json_number_value(json_object_get(s, "rate_bps"))));
}

static void print_status(const json_t *s, bool json)
{
	AUTO_FREE char *name = text_shown(json_string_value(json_object_get(s, "guest")));
	AUTO_FREE char *to = text_shown(json_string_value(json_object_get(s, "destination")));
	AUTO_FREE char *stage = text_shown(json_string_value(json_object_get(s, "stage")));
	AUTO_FREE char *who = NULL;
	char at[MOMENT_TEXT];

	if (json) {
		json_text_print(s);
		return;
	}
	if (json_object_get(s, "revert_until")) {
		printf("%s runs at %s, and can be had back until %s: vmferry revert %s\n", name, to,
		       moment_text(at, (time_t)json_bytes(s, "revert_until")), name);
		return;
	}
	if (!strncmp(json_text(s, "how") ?: "", "storage", strlen("storage"))) /* a `storage` command moves only disks */
		who = xstrdup(name);
	else
		who = json_bytes(s, "pid") ? xasprintf("%s (pid %d)", name, (int)json_bytes(s, "pid")) : xasprintf("%s (shut down)", name);
	print_copy(s, who, to, stage);
}

static bool print_event(void *ctx, const json_t *event)
{
	(void)ctx;
	json_text_print(event);
	fflush(stdout);
	return true;
}

static int show(const char *runtime, pid_t pid, bool follow, bool json, struct err *e)
{
	json_auto_t *request = json_pack("{s:s,s:b}", "command", "status", "follow", follow), *answer = NULL;
	int r = follow ? control_follow(runtime, pid, request, print_event, NULL, e) : control_ask(runtime, pid, request, &answer, e);

	if (answer)
		print_status(answer, json);
	return r;
}

#define LAST_MOVES 3

/* Prints how the last moves ended, as their terminals may be gone. */
static void print_last_moves(void)
{
	AUTO_FREE char *dir = NULL;
	json_t *all, *entry;
	struct err e;
	size_t i;

	if (state_dir_get(&dir, NULL, &e))
		return;
	all = history_read(dir, NULL);
	json_array_foreach(all, i, entry)
		if (i + LAST_MOVES >= json_array_size(all)) {
			AUTO_FREE char *line = history_line(entry);

			printf("ended: %s\n", line);
		}
	json_decref(all);
}

/* Shows all moves that are under way, or else how the last ones ended. */
static void show_all(const char *runtime, bool json)
{
	AUTO_FREE pid_t *pids = NULL;
	size_t n = control_list(runtime, &pids), i, shown = 0;
	struct err e;

	for (i = 0; i < n; i++)
		shown += !show(runtime, pids[i], false, json, &e);
	if (!json)
		again_tell_cut_off(stdout, runtime);
	if (!shown && !json) {
		puts("no move is under way here");
		print_last_moves();
	}
}

struct status_command {
	bool follow, json;
};

static const struct command_option status_rows[] = {
	{"follow", NULL, "print every event of VM's move as it comes, as JSON, until the move ends", OPT_FLAG,
	 .offset = offsetof(struct status_command, follow), .letter = 'f'},
	{"json", NULL, "a JSON object for each move", OPT_FLAG, .offset = offsetof(struct status_command, json)},
	{.name = NULL},
};

int cmd_status(int argc, char **argv)
{
	static const struct option_table tables[] = {{status_rows, 0}, {NULL, 0}};
	static const struct command_usage usage = {"vmferry status",
						   "usage: vmferry status [VM] [--follow] [--json]\n"
						   "\n"
						   "Shows the moves under way here, or that of VM.\n"
						   "\n",
						   .tables = tables, .words = "one guest, or none for all of them", .most = 1};
	struct status_command c = {.follow = false};
	struct target t = {NULL, 0};
	struct err e;
	int first, r = command_take(&usage, argc, argv, &c, &first);

	if (r)
		return MAX(r, 0);
	if (c.follow && !argv[first]) {
		fputs("vmferry status: --follow: say which guest\n", stderr);
		return EXIT_USAGE;
	}
	r = argv[first] ? target_open(&t, argv[first], &e) : runtime_dir_get(&t.runtime, NULL, &e);
	if (!r && argv[first])
		r = show(t.runtime, t.pid, c.follow, c.json, &e);
	else if (!r)
		show_all(t.runtime, c.json);
	free(t.runtime);
	return r ? fail(&e) : 0;
}
