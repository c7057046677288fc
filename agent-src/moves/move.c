/* move.c: how a transfer begins (connect, preflight), its one failure path, and its life. See move.h. */
#include "transfer.h"
#include "accept.h"
#include "confine.h"
#include "ending.h"
#include "exit-code.h"
#include "fault.h"
#include "host-settings.h"
#include "json-message.h"
#include "json-text.h"
#include "log.h"
#include "paths.h"
#include "replica-sync.h"
#include "qemu-cpu.h"
#include "urgent.h"
#include "util.h"
#include "version.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define PLAN_MS	     60000	/* time for the destination to say what it would do */
#define ESTIMATE_MS  120000	/* additional time for the destination to test its storage first */
#define READS_PER_MS (16 * KIB) /* bytes that it reads, at the least */
#define PLAN_DUE_MS  200	/* time in a test */
#define TURN_MS	     250

const char *const stage_names[] = {"connect", "preflight", "prepare", "copy", "switchover", "commit", "release"};

/* ---- recording what signals and users say ---- */

static void on_patience(struct timer *timer)
{
	struct transfer *t = container_of(timer, struct transfer, end.patience);
	struct event *ev = event_new(EVENT_CONTROL_LOST, 0, NULL, 0);

	err_set(&ev->err, ETIMEDOUT, "the destination does not answer");
	conductor_put(&t->a.con, ev);
}

/* Answer to an order that comes after copying has ended, or too shortly before; NULL: the order is in time. */
static const char *too_late(const struct transfer *t)
{
	if (t->a.handing_off && t->a.handoff.state == HO_SRC_ABORTED)
		return "too late: the move is being rolled back, and the guest stays here";
	if (t->a.handing_off && handoff_point_of_no_return(&t->a.handoff))
		return t->revert.open ? "too late: the guest has been switched over, and runs at the destination"
				      : "too late: the guest is the destination's";
	return t->blackout.stopped ? "too late: the guest is being switched over" : NULL;
}

static const char *will_switch(const struct transfer *t)
{
	if (head_start_runs(t->opt))
		return "telling the guest to shut down as soon as its disks have been copied once";
	if (t->entry->last == ST_COPY)
		return t->pace.held ? "ending now" : "ending as soon as its disks have been copied once";
	if (t->src.traits.boots_after)
		return t->pace.held ? "shutting the guest down now" : "shutting the guest down as soon as its disks have been copied once";
	if (t->src.traits.stops_first)
		return t->pace.begun ? "the guest is stopped already, and goes on at the destination as soon as all of it is there"
				     : "stopping the guest now";
	return t->src.migrating && t->ram.pass.number >= 2 ? "switching over now" : "switching over as soon as memory has been copied once";
}

static json_t *switch_request(struct transfer *t)
{
	const char *late = too_late(t);

	if (late)
		return json_pack("{s:s,s:b}", "error", late, "late", !t->revert.open);
	report_notice(&t->life.report, "vmferry switch: %s", will_switch(t));
	conductor_put(&t->a.con, event_new(EVENT_USER, ORDER_SWITCH, NULL, 0));
	return json_pack("{s:s}", "ok", will_switch(t));
}

static json_t *limit_request(struct transfer *t, uint64_t bytes_per_s)
{
	char text[24];
	const char *late = too_late(t);

	if (late)
		return json_pack("{s:s}", "error", late);
	if (bytes_per_s)
		report_notice(&t->life.report, "vmferry set: %s/s at most from now on", format_bytes(text, bytes_per_s));
	else
		report_notice(&t->life.report, "vmferry set: no limit any more");
	data_plane_limit(&t->data, bytes_per_s);
	return json_pack("{s:s}", "ok", bytes_per_s ? "bandwidth limit set" : "bandwidth limit lifted");
}

static json_t *on_request(void *ctx, const char *command, const json_t *args)
{
	struct transfer *t = ctx;
	json_t *limit = json_object_get(args, "bwlimit");

	if (!strcmp(command, "status"))
		return tell_status(t);
	if (!strcmp(command, "switch"))
		return switch_request(t);
	if (!strcmp(command, "revert") || !strcmp(command, "keep"))
		return revert_request(t, *command == 'r');
	if (!strcmp(command, "cancel")) {
		if (t->a.handing_off && handoff_point_of_no_return(&t->a.handoff))
			return json_pack("{s:b,s:s}", "late", !t->revert.open, "error",
					 t->revert.open
						 ? "too late to roll back: the guest runs at the destination. It can be had back as it "
						   "was when it was handed over: vmferry revert"
						 : "too late: the guest is the destination's");
		report_notice(&t->life.report, "vmferry cancel: the move is rolled back");
		conductor_put(&t->a.con, event_new(EVENT_USER, ORDER_CANCEL, NULL, 0));
		return json_pack("{s:s}", "ok", "rolling back");
	}
	if (!strcmp(command, "set") && json_is_integer(limit) && json_integer_value(limit) >= 0)
		return limit_request(t, (uint64_t)json_integer_value(limit));
	return NULL;
}

int transfer_open(struct transfer *t, struct err *e)
{
	life_about(&t->life, t->src.guest.name, t->opt->dest.where, t->src.guest.pid);
	return life_open(&t->life, t->recipe->known_as(t), t->src.guest.start_time, e);
}

static void on_signal(void *ctx, int number)
{
	struct transfer *t = ctx;

	conductor_put(&t->a.con, event_new(EVENT_USER, number == SIGINT ? ORDER_INTERRUPT : ORDER_CANCEL, NULL, 0));
}

/* ---- connect ---- */

/* Another's guest is asked nothing more. */
static bool found(void *ctx, const struct err *e)
{
	struct source *s = &((struct transfer *)ctx)->src;

	obstacles_add(&s->obstacles, e);
	return !s->guest.owner_hint && !s->guest.foreign && (!s->qmp || qmp_alive(s->qmp));
}

int connect_enter(void *ctx, struct err *e)
{
	struct transfer *t = ctx;
	struct link link;
	bool waits = false;
	int r = t->recipe->find(t, e);

	if (!r && parts_look(&t->parts, found, t) > 1) /* the guest cannot be described to the destination */
		r = obstacles_err(&t->src.obstacles, e);
	if (!r && !obstacles_count(&t->src.obstacles)) /* a refused move does not take a turn */
		r = turn_wait(t, &waits, e);
	if (!r && waits)
		conductor_tick(&t->a.con, TURN_MS);
	if (!r && !waits)
		r = reach_destination(t, &link, e);
	if (r || waits)
		return r;
	attempt_connect(&t->a, link, &t->data.shared.pacer);
	r = attempt_id_new(t->a.id, e);
	if (r)
		return r;
	life_is_attempt(&t->life, t->a.id);
	conductor_goto(&t->a.con, ST_PREFLIGHT);
	return 0;
}

/* The guest is looked at anew when the move's turn has come. */
int connect_event(void *ctx, const struct event *ev, struct err *e)
{
	struct transfer *t = ctx;
	bool waits;
	int r;

	if (ev->kind != EVENT_TICK)
		return common_event(t, ev, e);
	r = turn_wait(t, &waits, e);
	if (r || waits)
		return r;
	t->queue.turn->again = true;
	conductor_finish(&t->a.con);
	return 0;
}

const char *transfer_disk_dir(struct transfer *t)
{
	if (!t->disk_dir && t->opt->disk_dir)
		t->disk_dir = path_with_name(t->opt->disk_dir, t->src.guest.name);
	return t->disk_dir;
}

/* ---- preflight ---- */

static void describe_ourselves(struct transfer *t, json_t *out)
{
	char host[256] = "";

	gethostname(host, sizeof(host) - 1);
	json_object_set_new(out, "software", json_string(VMFERRY_VERSION));
	json_object_set_new(out, "obstacles", json_true());
	if (text_is_utf8(host))
		json_object_set_new(out, "host", json_string(host));
	if (transfer_disk_dir(t))
		json_object_set_new(out, "disk_dir", json_string(transfer_disk_dir(t)));
	json_object_set_new(out, "install_unit", json_boolean(t->opt->starter.install_unit));
	if (t->opt->cold.start)
		json_object_set_new(out, "start", json_true());
	if (t->opt->disks.keep.partial_s)
		json_object_set_new(out, "keep_partial_s", json_integer(t->opt->disks.keep.partial_s));
	if (t->opt->revert_within_s)
		json_object_set_new(out, "revertible", json_true());
	if (t->opt->in_place)
		json_object_set_new(out, "in_place",
				    json_pack("{s:i,s:I}", "pid", (int)t->src.guest.pid, "start_time",
					      (json_int_t)t->src.guest.start_time));
	if (t->opt->plan.estimate)
		json_object_set_new(out, "estimate", json_true());
	json_object_set_new(out, "channels", json_integer(t->opt->carry.channels));
	json_object_set_new(out, "bridge_labels", host_settings_labels());
	if (turn_word(t))
		json_object_set_new(out, "turn", json_string(turn_word(t)));
}

/* Time allowed for the destination's plan: it looks at its host, queries its QEMU, and reads those of the guest's files that it has
 * already. */
static uint64_t plan_takes_ms(const struct transfer *t)
{
	uint64_t ms = PLAN_MS + (t->opt->plan.estimate ? ESTIMATE_MS : 0);
	json_t *file;
	size_t i;

	if (fault_point("src-plan-is-due"))
		return PLAN_DUE_MS;
	json_array_foreach(json_object_get(t->told.description, "files"), i, file)
		if (json_object_get(file, "digest"))
			ms += (uint64_t)json_integer_value(json_object_get(file, "size")) / READS_PER_MS;
	return ms;
}

static void expect_plan(struct transfer *t)
{
	uint64_t ms = plan_takes_ms(t);

	t->end.plan_due_ns = now_ns() + ms * 1000000;
	loop_timer_set(t->a.loop, &t->end.plan, ms);
}

static void on_plan_is_due(struct timer *timer)
{
	struct transfer *t = container_of(timer, struct transfer, end.plan);

	conductor_put(&t->a.con, event_new(EVENT_USER, ORDER_PLAN_IS_DUE, NULL, 0));
}

/* An agent that is stopped keeps its connections: nothing but its silence tells. It may have answered while this waited to be heard. */
int preflight_plan_is_due(struct transfer *t, struct err *e)
{
	if (t->told.plan || now_ns() < t->end.plan_due_ns)
		return 0;
	t->a.control_lost = true;
	return err_set(e, ETIMEDOUT, "the destination does not answer");
}

int preflight_enter(void *ctx, struct err *e)
{
	struct transfer *t = ctx;
	int r;

	t->told.description = json_pack("{s:s}", "how", recipe_described(t->recipe));
	describe_ourselves(t, t->told.description);
	r = parts_describe(&t->parts, t->told.description, e);
	if (obstacles_count(&t->src.obstacles)) /* the destination's own obstacles are added to the list */
		json_object_set_new(t->told.description, "refused", json_true());
	expect_plan(t);
	return r ?: json_message_send(t->a.control, MSG_DESCRIBE, t->a.id, json_incref(t->told.description), e);
}

/* Others come first there, or it is this one's turn: an answer to DESCRIBE comes then. */
static int wait_there(struct transfer *t, const json_t *turn, struct err *e)
{
	json_int_t ahead = json_integer_value(json_object_get(turn, "ahead"));

	if (!turn_word(t) || ahead < 0 || ahead > UINT32_MAX)
		return err_set(e, EPROTO, "the destination has this move wait for a turn that it did not ask for");
	turn_tell(t, false, (unsigned)ahead);
	if (ahead)
		loop_timer_clear(t->a.loop, &t->end.plan);
	else
		expect_plan(t);
	return 0;
}

/* The destination wants to know more: the names of the CPU's features are all that it can ask for. Or it is not this move's turn there. */
static int describe_more(struct transfer *t, const struct event *ev, struct err *e)
{
	json_t *wanted;
	bool known;
	int r = json_message_take(ev->type, ev->bytes, ev->n, t->a.id, NULL, &wanted, e);

	if (r)
		return r;
	if (json_is_object(json_object_get(wanted, "turn"))) {
		r = wait_there(t, json_object_get(wanted, "turn"), e);
		json_decref(wanted);
		return r;
	}
	if (!t->src.machine.cpu) {
		json_decref(wanted);
		return err_set(e, EPROTO, "the destination asks for the CPU of a guest that does not run there with it");
	}
	known = json_is_true(json_object_get(wanted, "cpu_features")) && !json_object_get(t->src.machine.cpu, "features");
	json_decref(wanted);
	if (!known)
		return err_set(e, EPROTO, "the destination asks for what this vmferry does not know");
	r = qemu_cpu_names(t->src.qmp, NULL, t->src.machine.cpu, e);
	if (r)
		return r;
	json_object_set(t->told.description, "cpu", t->src.machine.cpu);
	expect_plan(t);
	return json_message_send(t->a.control, MSG_DESCRIBE, t->a.id, json_incref(t->told.description), e);
}

/* An older destination does not know kinds of moves and would take any guest for a running one. */
static int check_kind(const struct transfer *t, struct err *e)
{
	const char *how = json_text(t->told.plan, "how") ?: "live";

	return strcmp(how, recipe_described(t->recipe))
		       ? err_set(e, ENOTSUP, "the destination's vmferry plans to move the guest %s, and not %s: it is an older one", how,
				 recipe_described(t->recipe))
		       : 0;
}

/* The destination may be asked to keep disks without the user's word: for what an earlier move has left there, or with --only-disks. */
static int check_keeps(const struct transfer *t, struct err *e)
{
	return t->opt->disks.keep.partial_s && !json_is_integer(json_object_get(t->told.plan, "keep_partial_s"))
		       ? err_set(e, ENOTSUP,
				 "the destination's vmferry is an older one, which would not keep what has arrived: %sinstall the same version there",
				 t->src.traits.stays_here ? "" : "move with --keep-partial no, or ")
		       : 0;
}

static int check_qemu(const struct transfer *t, struct err *e)
{
	const char *there = json_text(t->told.plan, "qemu") ?: "another one";

	return t->opt->qemu && strcmp(t->opt->qemu, there)
		       ? err_set(e, ENOENT,
				 "no QEMU at the destination that is %s (--qemu): its vmferry, an older one, would take %s; install it there, or name one that is there",
				 t->opt->qemu, there)
		       : 0;
}

static int check_in_place(const struct transfer *t, struct err *e)
{
	return t->opt->in_place && !json_is_true(json_object_get(t->told.plan, "in_place"))
		       ? err_set(e, ENOTSUP, "the vmferry-dst beside this vmferry is an older one, which does not know --in-place")
		       : 0;
}

/* Takes the obstacles that the destination reports in place of a plan. */
static void take_obstacles(struct transfer *t)
{
	json_int_t code = json_integer_value(json_object_get(t->told.plan, "code"));
	struct err why;
	json_t *one;
	size_t i;

	if (t->opt->replica && json_is_true(json_object_get(t->told.plan, "replaced")))
		t->opt->replica->outcome.replaced = true;
	json_array_foreach(json_object_get(t->told.plan, "obstacles"), i, one) {
		err_set(&why, code > 0 && code < 4096 ? (int)code : EPROTO, "%s", json_string_value(one));
		obstacles_add(&t->src.obstacles, &why);
	}
}

static bool is_plan(const struct transfer *t)
{
	return !json_object_get(t->told.plan, "obstacles");
}

/* Checks that we agree with the plan: whatever was asked for and is not in it is an obstacle, each. */
static int check_plan(struct transfer *t, struct err *e)
{
	static int (*const checks[])(const struct transfer *, struct err *) = {check_kind, check_keeps, check_qemu, check_in_place};

	take_obstacles(t);
	for (size_t i = 0; i < ARRAY_LEN(checks) && is_plan(t); i++)
		if (checks[i](t, e))
			obstacles_add(&t->src.obstacles, e);
	return obstacles_err(&t->src.obstacles, e);
}

int preflight_event(void *ctx, const struct event *ev, struct err *e)
{
	struct transfer *t = ctx;
	int r;

	if (ev->kind == EVENT_FRAME && ev->type == MSG_ASK)
		return describe_more(t, ev, e);
	if (ev->kind != EVENT_FRAME || ev->type != MSG_ACCEPT)
		return common_event(t, ev, e);
	loop_timer_clear(t->a.loop, &t->end.plan);
	r = json_message_take(ev->type, ev->bytes, ev->n, t->a.id, NULL, &t->told.plan, e) ?: accept_check(t->told.plan, e) ?: check_plan(t, e);
	if (r)
		return r;
	parts_agree(&t->parts, t->told.plan, &t->src.obstacles, e);
	if (revert_agreed(t, e))
		obstacles_add(&t->src.obstacles, e);
	if (json_text(t->told.plan, "turn_error"))
		report_notice(&t->life.report, "at the destination this move does not wait for others, nor others for it: %s",
			      json_text(t->told.plan, "turn_error"));
	tell_plan(t); /* a plan that we do not agree to is shown, too; the reason follows */
	r = obstacles_err(&t->src.obstacles, e);
	if (!r && t->entry->planned)
		r = t->entry->planned(t, e);
	if (!r && t->entry->last != ST_PREFLIGHT && !(t->opt->cold.head && t->opt->cold.head->passes))
		r = life_ask_hooks(&t->life, e);
	if (r)
		return r;
	if (t->entry->last == ST_PREFLIGHT)
		conductor_finish(&t->a.con);
	else
		conductor_goto(&t->a.con, ST_PREPARE);
	return 0;
}

/* ---- commit ---- */

int commit_enter(void *ctx, struct err *e)
{
	struct transfer *t = ctx;

	(void)e;
	loop_timer_set(t->a.loop, &t->end.patience, START_MS);
	return 0;
}

/* True if a warm move could succeed: the disks can be moved, and all obstacles concern memory or the processor. */
static bool may_go_warm(const struct transfer *t)
{
	const struct guest *g = &t->src.guest;
	struct err e;

	for (size_t i = 0; i < g->disk_count; i++)
		if (guest_disk_movable(&g->disks[i], t->opt->disks.accept, &e))
			return false;
	return t->src.examined && t->src.run.was_running && t->src.traits.carries_memory;
}

static void tell_other_ways(struct transfer *t)
{
	if (t->opt->replica && t->opt->replica->planned) /* vmferry replica failover says how such a guest goes to its replica */
		return;
	for (size_t i = 0; i < t->src.guest.disk_count; i++)
		if (t->src.guest.disks[i].network) /* the others cannot leave it where it is */
			return;
	if (may_go_warm(t))
		report_notice(
			&t->life.report,
			"this guest may be moved warm, as its memory stays here then: its disks go over while it runs, then it is shut down, and "
			"boots there: --how warm (vmferry check %s %s --how warm says whether)",
			t->opt->vm, t->opt->dest.where);
	report_notice(&t->life.report,
		      "a guest that cannot be moved while it runs can be moved once it is shut down: vmferry migrate SCRIPT DEST --how "
		      "cold (SCRIPT: the script or systemd unit that starts it; or its command line behind --)");
}

/* Adds `why` to the obstacles if some were found before, and `why` does not repeat them. */
static void add_obstacle(struct transfer *t, const struct err *why)
{
	struct obstacles *o = &t->src.obstacles;
	struct err known;

	if (!obstacles_err(o, &known) || !strcmp(known.msg, why->msg))
		return;
	obstacles_add(o, why);
	obstacles_err(o, &t->end.why);
}

/* The one failure path. */
static void fail(void *ctx, const struct err *why)
{
	struct transfer *t = ctx;
	struct err e;

	urgent_end();
	log_info("%s failed: %s", stage_names[t->a.con.stage], why->msg);
	if (!t->end.why.code) {
		t->end.why = *why;
		if (!t->a.handing_off && !t->end.user_cancelled)
			add_obstacle(t, why);
		t->end.why_is_vague =
			!t->end.user_cancelled && t->src.qmp && (!qmp_alive(t->src.qmp) || why->code == ECONNRESET || why->code == EPIPE);
	}
	if (t->a.dead)
		return;
	if (!t->a.handing_off) {
		if (t->end.why.code == ENOTSUP && t->src.traits.guest_runs && !t->src.traits.stays_here && !t->src.guest.owner_hint)
			tell_other_ways(t);
		if (t->end.why.code == ENXIO && t->src.traits.guest_runs)
			report_notice(
				&t->life.report,
				"a guest without a monitor can go cold: its disks go ahead while it runs, it is shut down, and boots there (--how cold)");
		t->a.exit_code = EXIT_REFUSED;
		conductor_finish(&t->a.con);
		return;
	}
	if (attempt_step(&t->a, EV_ABORT, HO_NONE, &e)) {
		report_notice(&t->life.report, "%s", e.msg);
		return;
	}
	if (t->a.con.finished)
		return;
	if (t->a.control_lost && !reach_destination_again(t))
		conductor_finish(&t->a.con);
}

/* ---- life ---- */

int transfer_new(struct transfer **out, const struct move_options *opt, const struct entry *entry, struct err *e)
{
	const struct life_options lo = {.state_dir = opt->dirs.state,
					.runtime_dir = opt->dirs.runtime,
					.json = opt->events.json,
					.json_fine = opt->events.json_fine};
	struct transfer *t = xcalloc(1, sizeof(*t));
	int r = attempt_init(&t->a, NULL, 256, NULL, t, fail, e);

	if (r) {
		free(t);
		return r;
	}
	t->opt = opt;
	t->end.patience.fire = on_patience;
	t->end.question.fire = question_is_over;
	t->end.plan.fire = on_plan_is_due;
	life_begin_on(&t->life, t->a.loop, how_words[opt->how], &lo);
	t->life.report.quiet_plan = opt->plan.as_script || (opt->cold.head && opt->cold.head->passes);
	t->life.is_trial = opt->plan.only;
	t->life.is_frequent = opt->how == HOW_REPLICA;
	t->life.request = on_request;
	t->life.ctx = t;
	converge_init(&t->pace.converge, opt->stop.max_downtime_ms);
	data_plane_init(&t->data, &t->a, opt);
	outage_init(t);
	host_load_open(&t->blackout.load);
	host_share_open(&t->blackout.share);
	t->blackout.urgent = urgent_is_allowed();
	revert_init(t);
	source_init(&t->src, &t->a, opt, &t->life.report);
	files_init(&t->files, &t->src, &t->data);
	power_init(&t->around.power, &t->src);
	ram_init(&t->ram, &t->src, &t->data);
	disks_init(&t->disks, &t->src, &t->data);
	unit_init(&t->around.unit, &t->src);
	definition_init(&t->around.definition, &t->src, &t->disks, &t->files);
	aside_init(&t->around.aside, &t->src, &t->around.unit);
	gone_init(&t->around.gone, &t->src);
	tpm_init(&t->tpm, &t->src);
	recipe_choose(t, head_start_runs(opt) ? "head-start" : how_words[opt->how], opt->replica && opt->replica->store ? "points" : NULL,
		      e);
	t->entry = entry;
	conductor_begin_at(&t->a.con, entry->first);
	*out = t;
	return 0;
}

void transfer_free(struct transfer *t)
{
	attempt_drain(&t->a);
	outage_end(t);
	transfer_stop_data(t);
	/* the guard is needed if we could not finish */
	if (t->end.held || (!disk_locks_outlive(t) && !t->a.dead && !t->a.unfinished &&
			    !(t->a.handing_off && t->a.handoff.state == HO_SRC_BEGUN && t->a.handoff.qemu_alive)))
		guard_dismiss(&t->guard);
	loop_timer_clear(t->a.loop, &t->end.patience);
	loop_timer_clear(t->a.loop, &t->end.plan);
	loop_timer_clear(t->a.loop, &t->end.question);
	revert_end(t);
	life_close(&t->life);
	if (t->a.taken_up && t->opt->dirs.runtime)
		ticket_sweep(t->opt->dirs.runtime, "out");
	parts_fini(&t->parts);
	images_unlock(&t->left);
	host_load_close(&t->blackout.load);
	urgent_end();
	host_share_close(&t->blackout.share);
	attempt_disconnect(&t->a);
	queue_fini(&t->outage.made);
	dest_fini(&t->dest);
	attempt_fini(&t->a);
	json_decref(t->peer.cpu_used);
	json_decref(t->peer.afterwards);
	json_decref(t->peer.leftovers);
	json_decref(t->told.plan);
	json_decref(t->told.description);
	life_fini(&t->life);
	loop_free(t->a.loop);
	cpu_thread_end();
	free(t->disk_dir);
	free(t);
}

int transfer_run(struct transfer *t)
{
	struct err e;
	int code;

	life_hear_signals(&t->life, on_signal);
	if (conductor_run(&t->a.con, &e)) {
		t->end.why = e;
		t->a.undecided = t->a.handing_off;
		if (!t->a.handing_off)
			t->a.exit_code = EXIT_REFUSED;
	}
	if (t->queue.turn && t->queue.turn->again) {
		transfer_free(t);
		return 0;
	}
	ending_settle(t);
	disk_locks_leave(t);
	ahead_settle(t);
	if ((t->entry->last != ST_PREFLIGHT || t->a.exit_code) && !head_start_goes_on(t))
		tell_result(t);
	code = t->a.exit_code;
	transfer_free(t);
	return code;
}

static int failed_to_begin(const struct err *e)
{
	fprintf(stderr, "vmferry: %s\n", e->msg);
	return EXIT_REFUSED;
}

static void confine_this(void)
{
	confine_here(false);
}

/* begun: once, when the first transfer is there; may be NULL. */
static int run_in_turn(const struct move_options *opt, void (*begun)(void))
{
	struct turn turn = {.ticket = NULL};
	struct transfer *t;
	struct err e;
	int code;

	do {
		turn.again = false;
		if (transfer_new(&t, opt, entry_for(opt), &e)) {
			code = failed_to_begin(&e);
			break;
		}
		t->queue.turn = &turn;
		if (begun)
			begun();
		begun = NULL;
		code = transfer_run(t);
	} while (turn.again);
	ticket_return(turn.ticket);
	return code;
}

int move_run(const struct move_options *opt)
{
	struct err e;

	if (confine_prepare(true, &e))
		return failed_to_begin(&e);
	return run_in_turn(opt, confine_this);
}

int move_run_another(const struct move_options *opt)
{
	return run_in_turn(opt, NULL);
}
