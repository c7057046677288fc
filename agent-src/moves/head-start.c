/*
 * head-start.c: a guest that runs, and is to go cold. The files of its disks are copied while its QEMU writes to them, and what arrives is kept at the
 * destination as of a move that fails (PROTOCOL.md, "What is kept"). Nothing in there is believed: once the guest is down an ordinary cold move compares
 * all of it, under lock, and sends what differs. So nothing is asked of the guest's QEMU, which may have no monitor.
 *
 * Each pass is an attempt. The last of them stays connected until the guest is down.
 */
#include "transfer.h"
#include "exit-code.h"
#include "guest-at-rest.h"
#include "guest-power.h"
#include "milestone.h"
#include "move.h"
#include "process.h"
#include "shell-quote.h"
#include "started-by.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define TICK_MS		25
#define MEASURE_TICKS	4
#define SECOND_TICKS	(1000 / TICK_MS)
#define PASSES_MAX	4
#define WORTH_A_PASS	(64 * MIB) /* as one reads all of the disks, at both ends */
#define LASTING_PASS_NS 10000000000ULL
#define KEPT_S		(24 * 3600) /* what has arrived, should it not get there today */

bool head_start_runs(const struct move_options *opt)
{
	return opt->cold.head && !opt->cold.head->is_down;
}

/* ---- may it go? ---- */

/* Whoever starts it again at once would have it run before its disks are locked. */
static int check_starter(struct transfer *t, const struct guest *running, struct err *e)
{
	AUTO_FREE char *words = NULL;
	pid_t pid = t->opt->starter_stopped ? 0 : started_by(running->pid, &words);

	return pid ? err_set(e, EBUSY,
			     "process %d (%s) runs the guest's QEMU, and may start it again as soon as it is down. Stop that first (the guest runs on), and then "
			     "say so: --starter-stopped",
			     (int)pid, words)
		   : 0;
}

int head_start_find(struct transfer *t, struct err *e)
{
	const struct guest *running = t->opt->cold.head->guest;
	int r = source_check_owner(running, e) ?: source_find_at_rest(&t->src, e);

	disks_rest(&t->disks);
	if (!r && guest_writes_to_its_line(running, &t->src.guest, e))
		r = source_obstacle(&t->src, e);
	if (!r && check_starter(t, running, e))
		r = source_obstacle(&t->src, e);
	if (!r && !guest_has_power_button(running) && !t->opt->cold.head->passes)
		report_notice(
			&t->life.report,
			"the guest has no monitor and no agent by which it could be told to shut down: that is for you to do, once its disks are there");
	return r ? r : transfer_open(t, e);
}

pid_t head_start_known_as(const struct transfer *t)
{
	return t->opt->cold.head ? t->opt->cold.head->guest->pid : cold_known_as(t); /* a later life knows it by its disks */
}

/* ---- copy ---- */

static bool is_down(const struct head_start *h)
{
	return !qemu_is_alive(h->guest->pid, h->guest->start_time);
}

static int copy_head_enter(void *ctx, struct err *e)
{
	struct transfer *t = ctx;

	conductor_tick(&t->a.con, TICK_MS);
	t->pace.begun = true;
	return parts_begin(&t->parts, e);
}

/* The attempt ends, and what has arrived is kept. */
static int end_pass(struct transfer *t, struct err *e)
{
	t->end.brought = true;
	return err_set(e, ECANCELED, "this pass over its disks is over");
}

/* So much has changed, or may have, while this pass lasted, that it is worth another one before anybody waits. */
static bool is_worth_another(const struct transfer *t)
{
	const struct head_start *h = t->opt->cold.head;

	return h->passes + 1 < PASSES_MAX && now_ns() - t->life.begin_ns > LASTING_PASS_NS &&
	       (!h->passes || data_plane_moved(&t->data) > WORTH_A_PASS);
}

static int tell_to_shut_down(struct transfer *t, struct err *e)
{
	const char *by = "";
	int r = guest_press_power(t->opt->cold.head->guest, t->a.loop, &by, e);

	if (r)
		return r;
	t->power.until_ns = now_ns() + t->opt->warm.shutdown_timeout_s * 1000000000ULL;
	report_notice(&t->life.report, "its disks are there: the guest is told to shut down now (%s)", by);
	return 0;
}

/* Its owner shuts it down, however that is done. */
static void wait_for_owner(struct transfer *t, const char *why)
{
	AUTO_FREE char *name = text_shown(t->src.guest.name);

	report_notice(
		&t->life.report,
		"its disks are there: shut the guest down now, from inside or however you do that. What has changed since is carried then, and "
		"the guest is started at the destination (vmferry cancel %s ends the wait)%s%s",
		name, *why ? ". It was not told to from here: " : "", why);
}

static void ask_for_end(struct transfer *t)
{
	struct head_start *h = t->opt->cold.head;
	struct err e = {.msg = ""};

	h->is_asked = true;
	if (!guest_has_power_button(h->guest) || tell_to_shut_down(t, &e))
		wait_for_owner(t, e.msg);
}

/* The guest runs on until it is down, or has taken too long for that. */
static int wait_on(struct transfer *t, struct err *e)
{
	struct head_start *h = t->opt->cold.head;
	AUTO_FREE char *name = text_shown(t->src.guest.name);
	bool was_held = t->pace.held;

	t->pace.held = true;
	if (h->is_asked)
		return !t->power.until_ns || now_ns() < t->power.until_ns
			       ? 0
			       : err_set(e, ETIMEDOUT, "the guest did not shut down within %u s (--shutdown-timeout), and runs on here",
					 t->opt->warm.shutdown_timeout_s);
	if (!t->opt->hold || t->pace.stop_wanted)
		ask_for_end(t);
	else if (!was_held)
		report_notice(&t->life.report,
			      "its disks are there: the guest runs on here until it is shut down, or you say: vmferry switch %s", name);
	return 0;
}

static int copy_head_event(void *ctx, const struct event *ev, struct err *e)
{
	struct transfer *t = ctx;
	struct head_start *h = t->opt->cold.head;
	int r = common_event(t, ev, e);
	bool second = false;

	if (r || t->a.con.stage != ST_COPY || ev->kind != EVENT_TICK)
		return r;
	second = ++t->pace.ticks % SECOND_TICKS == 0;
	if (t->pace.ticks % MEASURE_TICKS == 0)
		copy_measure(t);
	if (second || (t->pace.ticks % MEASURE_TICKS == 0 && t->life.report.often))
		tell_progress(t, second);
	if (is_down(h)) {
		h->is_down = true;
		h->down_ns = now_ns();
		return end_pass(t, e);
	}
	if (!disks_read(&t->disks) || !disks_idle(&t->disks))
		return 0;
	return !t->pace.held && is_worth_another(t) ? end_pass(t, e) : wait_on(t, e);
}

static int does_not_happen(void *ctx, struct err *e)
{
	(void)ctx;
	return err_set(e, ENOTRECOVERABLE, "a guest that runs is not handed over cold");
}

const struct stage head_start_stages[] = {
	[ST_CONNECT] = {"connect", connect_enter, common_event},
	[ST_PREFLIGHT] = {"preflight", preflight_enter, preflight_event},
	[ST_PREPARE] = {"prepare", prepare_enter, prepare_event},
	[ST_COPY] = {"copy", copy_head_enter, copy_head_event},
	[ST_SWITCHOVER] = {"switchover", does_not_happen, common_event},
	[ST_COMMIT] = {"commit", does_not_happen, common_event},
	[ST_RELEASE] = {"release", NULL, common_event},
};

bool head_start_goes_on(const struct transfer *t)
{
	struct head_start *h = t->opt->cold.head;

	if (!h || !t->end.brought || !t->peer.aborted)
		return false;
	h->passes++;
	return true;
}

/* ---- the move that follows ---- */

/* Nobody else may know it any more. Malloc'ed. */
static char *start_line(const struct guest *g)
{
	AUTO_FREE char *cwd = shell_quote(g->cwd ?: "/");
	char *line = xasprintf("cd %s &&", cwd);
	size_t i;

	for (i = 0; i < g->line.argc; i++) {
		AUTO_FREE char *before = line, *word = shell_quote(i ? g->line.argv[i] : g->exe ?: g->line.argv[0]);

		line = xasprintf("%s %s", before, word);
	}
	return line;
}

void head_start_describe(const struct transfer *t, json_t *begin)
{
	AUTO_FREE char *line = t->opt->cold.head && t->opt->cold.head->is_down ? start_line(&t->src.guest) : NULL;

	if (line && text_is_utf8(line))
		json_object_set_new(begin, "start_line", json_string(line));
}

void head_start_tell(const struct transfer *t, json_t *result)
{
	const struct head_start *h = t->opt->cold.head;
	json_t *line = t->a.journal ? json_incref(json_object_get(journal_begin(t->a.journal), "start_line")) : NULL;
	uint64_t until = t->blackout.started_ns ?: now_ns();

	if (h && !h->is_down)
		return;
	if (t->a.handoff.state == HO_SRC_RELEASED && h)
		json_object_set_new(result, "away_ms", json_real((double)(until - h->down_ns) / 1e6));
	if (t->a.handoff.state != HO_SRC_RELEASED && !line && h) {
		AUTO_FREE char *text = start_line(h->guest);

		line = json_string(text);
	}
	if (t->a.handoff.state != HO_SRC_RELEASED)
		json_object_set(result, "start_line", line);
	json_decref(line);
}

/* ---- all of it ---- */

int head_start_run(struct move_options *o, struct guest *running)
{
	struct head_start head = {.guest = running};
	unsigned passes = 0;
	int code;

	o->cold.head = &head;
	o->cold.start = true;
	o->disks.keep.partial_s = o->disks.keep.partial_s ?: KEPT_S;
	code = move_run(o);
	o->prepared = NULL; /* told once */
	while (head.passes > passes && !head.is_over) {
		passes = head.passes;
		head.is_over = head.is_down;
		code = move_run_another(o);
	}
	o->cold.head = NULL;
	if (code && passes && !o->json)
		fprintf(stderr,
			"vmferry: what has arrived of its disks is kept at %s, and the same command goes on with it (vmferry recover %s removes it)\n",
			o->dest.where, running->name);
	return code;
}
