/*
 * events.c: events that mean the same in every stage of a move, and how the destination is reached again.
 */
#include "transfer.h"
#include "error-stop.h"
#include "fault.h"
#include "json-text.h"
#include "log.h"
#include "urgent.h"
#include "util.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#define ANSWER_WITHIN_S	   8
#define RECONNECT_MS	   12000
#define RECONNECT_PAUSE_MS 200
#define RECONNECTS_MS	   100000 /* for the connections together */

/* ---- losing the other side ---- */

int reach_destination(struct transfer *t, struct link *link, struct err *e)
{
	int r = dest_connect(&t->dest, &t->opt->dest, link, e);

	if (t->dest.note)
		report_notice(&t->life.report, "%s", t->dest.note);
	return r;
}

/* A new control connection, by which the journals of both sides go on; false when nobody is there. */
bool reach_destination_again(struct transfer *t)
{
	uint64_t until = now_ns() + RECONNECT_MS * 1000000ULL;
	struct link link;
	struct err e;

	if (handoff_is_given_up(&t->a.handoff) && cutover_nobody_restarted_it(t, &t->end.why))
		return false;
	if (t->a.dead || (t->end.reconnects++ && now_ns() - t->end.first_lost_ns > RECONNECTS_MS * 1000000ULL))
		return false;
	if (!t->end.first_lost_ns)
		t->end.first_lost_ns = now_ns();
	outage_end(t);
	channel_free(t->a.control);
	t->a.control = NULL;
	dest_disconnect(&t->dest);
	report_notice(&t->life.report, "lost the destination agent; trying to reach it again");
	do {
		poll(NULL, 0, RECONNECT_PAUSE_MS);
		if (!reach_destination(t, &link, &e)) {
			attempt_connect(&t->a, link, &t->data.shared.pacer);
			return !attempt_step(&t->a, EV_RESEND, HO_NONE, &e);
		}
		log_info("%s", e.msg);
		dest_disconnect(&t->dest);
	} while (now_ns() < until);
	return false;
}

static int control_gone(struct transfer *t, const struct event *ev, struct err *e)
{
	loop_timer_clear(t->a.loop, &t->end.patience);
	t->a.control_lost = true;
	if (!t->a.handing_off)
		return err_set(e, ev->err.code, "%s", ev->err.msg);
	if (!handoff_point_of_no_return(&t->a.handoff) && t->a.handoff.state == HO_SRC_BEGUN)
		return err_set(e, ev->err.code, "lost the destination: %s", ev->err.msg);
	if (revert_outlives_control(t))
		return 0;
	if (!reach_destination_again(t))
		conductor_finish(&t->a.con); /* the result says what is known */
	else
		loop_timer_set(t->a.loop, &t->end.patience, ANSWER_MS);
	return 0;
}

/* ---- what happens ---- */

static int on_migration(struct transfer *t, const char *status, uint64_t at_ns, struct err *e)
{
	json_auto_t *info = NULL;
	const char *desc;
	int r;

	if (!strcmp(status, "pre-switchover") && t->a.handoff.state == HO_SRC_BEGUN && t->ram.capture)
		return switchover_stopped(t, at_ns, e);
	if (!strcmp(status, "device") && t->a.handoff.state == HO_SRC_BEGUN && t->ram.capture && !switchover_let_qemu_go_on(t))
		return err_set(e, EBUSY,
			       "QEMU switched over without waiting for us: another client has switched off its capability "
			       "pause-before-switchover, or told it to go on");
	if (!strcmp(status, "completed")) {
		fault_point("src-completed");
		t->blackout.completed = true;
		r = attempt_step(&t->a, EV_QEMU_COMPLETED, HO_NONE, e);
		return r && !t->ram.capture
			       ? err_set(e, ECANCELED,
					 "while the guest was copied another client saved a snapshot of it (savevm, snapshot-save), which "
					 "would be missing at the destination, or migrated it by QEMU itself")
			       : r;
	}
	if (strcmp(status, "failed") && strcmp(status, "cancelled"))
		return 0;
	if (t->a.handoff.state != HO_SRC_BEGUN)
		return 0; /* our own doing */
	r = qmp_call(t->src.qmp, "query-migrate", NULL, &info, e);
	if (r)
		return r;
	desc = json_string_value(json_object_get(info, "error-desc"));
	if (!strcmp(status, "cancelled"))
		err_set(e, ECANCELED, "another client cancelled QEMU's migration (migrate_cancel), or QEMU did so itself%s%s",
			desc ? ": " : "", desc ?: "");
	else
		err_set(e, EREMOTEIO, "QEMU's migration failed%s%s", desc ? ": " : "", desc ? desc : "");
	return -e->code;
}

/* An error has stopped the guest. Such a guest is refused before a move, and for the same reason stays when it happens during one: the cause
 * may lie here, and here a person looks for it. Copying its disks alone goes on. */
static int stopped_by_error(struct transfer *t, const char *state, struct err *e)
{
	int r = source_set_paused(&t->src, true, e);

	t->src.run.broken = state;
	report_notice(&t->life.report, "the guest was stopped by %s (run state %s)", error_stop_cause(state), state);
	if (r || t->src.traits.stays_here)
		return r;
	return err_set(e, EBUSY,
		       "during the move the guest was stopped by %s: it stays at the source as it is (QEMU says: %s). See to the cause and "
		       "let it run (QMP cont), then move it again",
		       error_stop_cause(state), state);
}

/* The guest has shut itself down, and its QEMU stays (-no-shutdown): moved with its memory, a guest would go on there that was turned off. */
static int shut_itself_down(struct transfer *t, struct err *e)
{
	int r = source_set_paused(&t->src, true, e);

	return r ? r
		 : err_set(e, EBUSY,
			   "the guest shut down by itself during the move: it stays at the source as it is (QEMU says: shutdown). Let it boot "
			   "there (QMP system_reset, then cont), or end its QEMU (QMP quit), then move it again");
}

static int stopped_by_somebody(struct transfer *t, const char *state, struct err *e)
{
	if (!t->src.run.paused && !t->src.end.has_shut_down && !strcmp(state, "paused"))
		report_notice(&t->life.report, "another client has stopped the guest (QMP stop): it stays so, wherever it is");
	return source_set_paused(&t->src, true, e);
}

/* The guest stopped, and not by our will: an error, somebody's `stop`, or a QEMU that switches over unasked. In the last case the guest
 * is not paused: it goes on at the destination, or here if the move fails. */
static int note_stop(struct transfer *t, struct err *e)
{
	const char *broken;
	json_t *status;
	struct err ignored;
	char is[32];
	int r;

	if (qmp_call(t->src.qmp, "query-status", NULL, &status, &ignored))
		return 0;
	snprintf(is, sizeof(is), "%s", json_text(status, "status") ?: "?");
	json_decref(status);
	broken = error_stop_state(is) ?: t->src.run.broken;
	if (broken)
		r = stopped_by_error(t, broken, e);
	else if (strcmp(is, "finish-migrate"))
		r = stopped_by_somebody(t, is, e);
	else
		r = source_set_paused(&t->src, false, e);
	return r;
}

/* QEMU's stream says in what state QEMU found the guest at its switchover. Once that was asked for, a STOP event may be another client's
 * as well as QEMU's own, and nothing else tells them apart. */
static int note_found_state(struct transfer *t, struct err *e)
{
	enum qemu_runstate found = capture_runstate(t->ram.capture);

	if (found == RUNSTATE_STOPPED_BY_ERROR &&
	    (t->src.run.ran || !t->src.run.paused)) /* the guest stood so before otherwise, and is moved so */
		return stopped_by_error(t, t->src.run.broken ?: "internal-error", e);
	if (t->src.run.stopped) /* we stopped it, whatever else was done to it */
		return 0;
	if (found == RUNSTATE_UNKNOWN || (found != RUNSTATE_LIVE) == t->src.run.paused)
		return 0;
	log_info("QEMU says that the guest %s before its switchover", t->src.run.paused ? "ran" : "was stopped");
	return source_set_paused(&t->src, !t->src.run.paused, e);
}

/* The paused state must be right before LOADED is answered: only then the destination can promise anything, and it may hear nothing more
 * from us. */
static int loaded(struct transfer *t, struct err *e)
{
	int r = note_found_state(t, e);

	if (r)
		return r; /* QEMU knows itself whether the guest is to run, until it is let go */
	if (t->src.run.paused == t->src.run.was_running && t->a.handoff.state == HO_SRC_BEGUN) /* the description had the old state */
		r = attempt_step(&t->a, EV_RESEND, HO_NONE, e);
	capture_end_streams(t->ram.capture);
	return r;
}

/* True if the guest can still stay here: nothing is decided, and we have not stopped it first. */
static bool may_still_stay(const struct transfer *t)
{
	return (!t->a.handing_off || t->a.handoff.state == HO_SRC_BEGUN) && !t->blackout.stopped;
}

/* Cause of QEMU's end in words, if another client ended it; NULL: the guest has shut down. */
static const char *ended_by(const char *reason)
{
	return !reason				  ? NULL
	       : !strcmp(reason, "host-qmp-quit") ? "QMP or HMP quit"
	       : !strcmp(reason, "host-signal")	  ? "by a signal"
	       : !strcmp(reason, "host-ui")	  ? "by its window"
						  : NULL;
}

/* A QEMU whose guest has shut down before, or whose guest is the destination's, is ended by us. */
static void note_end(struct transfer *t, const char *reason)
{
	bool has_gone = handoff_is_given_up(&t->a.handoff) || t->a.handoff.state == HO_SRC_RELEASED;
	bool is_ours = t->src.end.has_shut_down || (t->a.handing_off && has_gone);

	t->src.end.has_shut_down = true;
	if (is_ours || !ended_by(reason))
		return;
	t->src.end.was_ended = true;
	report_notice(&t->life.report, "another client ended the guest's QEMU (%s)", ended_by(reason));
}

/* QEMU before 9.0 wakes a guest that it migrates, and may stop it before that is done: it would then hang at the destination for ever. */
static int check_suspended_moves(const struct transfer *t, struct err *e)
{
	const struct guest *g = &t->src.guest;

	return !t->src.traits.carries_memory || g->version.major >= 9
		       ? 0
		       : err_set(e, ECANCELED,
				 "the guest has suspended itself, and QEMU %d.%d cannot migrate a guest that is suspended: move it once it is awake",
				 g->version.major, g->version.minor);
}

static int on_qmp(struct transfer *t, const struct event *ev, struct err *e)
{
	const char *status = json_text(ev->json, "status");

	guest_watch_event(&t->src.watch, ev->name, ev->json);
	t->src.run.broken = error_stop_announced(ev->name, ev->json) ?: t->src.run.broken;
	if (!strcmp(ev->name, "RESUME")) { /* somebody may have started it again */
		t->src.end.has_shut_down = t->src.end.was_ended = t->src.end.stays_shut = t->src.end.was_shut = false;
		t->src.run.broken = NULL;
		t->src.run.ran = true;
	}
	if (!strcmp(ev->name, "MIGRATION") && status)
		return on_migration(t, status, ev->at_ns, e);
	if (!strcmp(ev->name, "MIGRATION_PASS")) {
		ram_on_pass(&t->ram, ev);
	} else if (!strcmp(ev->name, "STOP")) {
		t->blackout.stop_ns = ev->at_ns;
		t->src.end.stays_shut = t->src.end.has_shut_down; /* a QEMU that is about to end does not say so */
		if (t->src.run.broken && may_still_stay(t))
			return stopped_by_error(t, t->src.run.broken, e);
		if (t->src.end.stays_shut && t->src.traits.carries_memory && may_still_stay(t))
			return shut_itself_down(t, e);
		if (t->a.con.stage < ST_SWITCHOVER && !t->src.run.stopped)
			return note_stop(t, e);
	} else if (!strcmp(ev->name, "RESUME") && (t->a.con.stage < ST_SWITCHOVER || t->a.handoff.state == HO_SRC_BEGUN)) {
		/* a migration that failed says so before it resumes the guest */
		if (t->blackout.stopped || t->src.run.stopped)
			return err_set(e, ECANCELED, RESUMED_BY_SOMEBODY);
		t->blackout.stop_ns = 0;
		urgent_end();
		return source_set_paused(&t->src, false, e);
	} else if (!strcmp(ev->name, "SUSPEND") || !strcmp(ev->name, "WAKEUP")) {
		t->src.run.suspended = *ev->name == 'S';
		if (t->src.run.suspended && may_still_stay(t))
			return check_suspended_moves(t, e);
	} else if (!strcmp(ev->name, "SHUTDOWN")) {
		note_end(t, json_text(ev->json, "reason"));
	}
	return 0;
}

static int qemu_gone(struct transfer *t, struct err *e)
{
	if (!source_has_ended(&t->src)) /* libvirt may be started again while the guest may be had back */
		return t->revert.open ? 0
				      : err_set(e, EPIPE,
						t->src.libvirt.uuid ? "libvirt closed the connection by which the guest's QEMU is reached"
								    : "the source QEMU closed its monitor");
	if (!t->a.handing_off)
		return err_set(e, EPIPE, "the guest's QEMU has ended");
	if (!t->end.why.code || t->end.why_is_vague)
		err_set(&t->end.why, EPIPE,
			t->src.end.was_ended	   ? "another client ended the source QEMU during the move"
			: t->src.end.has_shut_down ? "the guest shut down by itself during the move"
						   : "the source QEMU ended during the move");
	return attempt_step(&t->a, EV_QEMU_DEAD, HO_NONE, e) ?: revert_qemu_gone(t, e);
}

static int on_channel_lost(struct transfer *t, const struct event *ev, struct err *e)
{
	if (t->a.handoff.state != HO_SRC_BEGUN)
		return 0;
	t->end.channel_lost = true;
	return err_set(e, ev->err.code ? ev->err.code : EIO, "lost the destination (data connection): %s", ev->err.msg);
}

static int on_return_path(struct transfer *t, const struct event *ev, struct err *e)
{
	struct msg_return_path msg;

	if (msg_return_path_decode(&msg, ev->bytes, ev->n) || msg.data.n > 64 || !t->ram.capture)
		return err_set(e, EPROTO, "the destination sent a RETURN_PATH of %zu bytes that cannot be read", ev->n);
	if (msg.kind == 1) /* SHUT: ours to let through later */
		return loaded(t, e);
	if (t->ram.mode == RAM_MODE_OPAQUE && msg.kind == 2) {
		uint8_t out[8] = {0, 2, 0, 4};

		for (unsigned i = 0; i < 4 && msg.data.n == 4; i++)
			out[4 + i] = msg.data.p[3 - i];
		capture_return_path(t->ram.capture, out, sizeof(out));
	}
	return 0;
}

static int on_frame(struct transfer *t, const struct event *ev, struct err *e)
{
	switch (ev->type) {
	case MSG_HANDOFF:
		return cutover_on_handoff(t, ev, e);
	case MSG_APPLIED:
		return 0;
	case MSG_RETURN_PATH:
		return on_return_path(t, ev, e);
	}
	return err_set(e, EPROTO, "unexpected %s from the destination in stage %s", msg_name(ev->type), stage_names[t->a.con.stage]);
}

void question_is_over(struct timer *timer)
{
	struct transfer *t = container_of(timer, struct transfer, end.question);

	report_notice(&t->life.report, t->revert.open ? "Ctrl-C was not pressed again: the guest can still be had back."
						      : "Ctrl-C was not pressed again: the move goes on.");
}

/* A first Ctrl-C at a terminal asks a question; another within a few seconds answers it. */
static bool is_a_question(struct transfer *t, bool late)
{
	if (!t->life.report.tty || (late && !t->revert.open))
		return false;
	if (t->end.question.at_ns) {
		loop_timer_clear(t->a.loop, &t->end.question);
		return false;
	}
	loop_timer_set(t->a.loop, &t->end.question, ANSWER_WITHIN_S * 1000);
	report_notice(&t->life.report,
		      late ? "Let the guest stay at the destination for good? Press Ctrl-C again within %d s for that; wait, and it "
			     "can still be had back."
			   : "Roll back and keep the guest here? Press Ctrl-C again within %d s to roll back; wait, and the move "
			     "goes on.",
		      ANSWER_WITHIN_S);
	return true;
}

static int on_order(struct transfer *t, uint16_t order, struct err *e)
{
	bool late = t->a.handing_off && handoff_point_of_no_return(&t->a.handoff);

	if (order == ORDER_SWITCH) {
		t->pace.stop_wanted = true;
		return 0;
	}
	if (order == ORDER_PLAN_IS_DUE)
		return preflight_plan_is_due(t, e);
	if (order == ORDER_INTERRUPT && is_a_question(t, late))
		return 0;
	if (late)
		return revert_order(t, (enum user_order)order, e);
	t->end.user_cancelled = true;
	return err_set(e, ECANCELED, "cancelled by the user");
}

int common_event(void *ctx, const struct event *ev, struct err *e)
{
	struct transfer *t = ctx;
	int r = parts_event(&t->parts, ev, e);

	if (r != PART_NOT_MINE)
		return r;
	switch (ev->kind) {
	case EVENT_FRAME:
		return on_frame(t, ev, e);
	case EVENT_CONTROL_LOST:
		return control_gone(t, ev, e);
	case EVENT_CONTROL_CUT:
		outage_control_cut(t, &ev->err);
		return 0;
	case EVENT_CONTROL_BACK: /* the reconnecting code knows */
		return 0;
	case EVENT_QMP:
		return on_qmp(t, ev, e);
	case EVENT_QMP_LOST:
		return qemu_gone(t, e);
	case EVENT_WORKER: /* the parts know the others */
		if (ev->type == WORD_CHANNEL_CUT || ev->type == WORD_CHANNEL_BACK)
			outage_channel_word(t, ev);
		return ev->type == WORD_CHANNEL_LOST ? on_channel_lost(t, ev, e) : 0;
	case EVENT_USER:
		return on_order(t, ev->type, e);
	case EVENT_TICK:
		return 0;
	}
	return 0;
}
