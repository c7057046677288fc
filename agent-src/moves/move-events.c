/*
 * move-events.c: events that mean the same in every stage of a move, and how the destination is reached again.
 */
#include "move-private.h"
#include "conn-link.h"
#include "fault.h"
#include "log.h"
#include "process.h"
#include "util.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#define CONTROL_WINDOW (8 * MIB)
#define RECONNECT_MS   12000
#define ROUND_MIN_MS   50
#define QEMU_END_MS    2000
#define RECONNECT_PAUSE_MS 200
#define RECONNECTS_MS  60000 /* all of them together */

/* ---- what our threads say ---- */

struct word {
	struct qnode node;
	struct event *ev;
};

void move_tell(struct move *m, struct event *ev)
{
	struct word *w = xcalloc(1, sizeof(*w));

	w->ev = ev;
	queue_put(&m->words, &w->node);
}

void move_hear(struct queue *q)
{
	struct move *m = container_of(q, struct move, words);
	struct qnode *n;

	while ((n = queue_take(q))) {
		struct word *w = container_of(n, struct word, node);

		conductor_put(&m->con, w->ev);
		free(w);
	}
}

/* ---- losing the other side ---- */

void move_control_start(struct move *m, struct link link)
{
	struct channel_config cc = {.window_bytes = CONTROL_WINDOW, .pacer = &m->shared.pacer, .on = conductor_channel, .ctx = &m->con};

	m->control = channel_over(m->loop, link, &cc);
	m->control_lost = false;
}

int move_dest_open(struct move *m, struct link *link, struct err *e)
{
	int r = dest_connect(&m->dest, &m->opt->dest, link, e);

	if (m->dest.note)
		report_notice(&m->report, "%s", m->dest.note);
	return r;
}

/* A new control connection, by which the journals of both sides go on; false when nobody is there. */
bool move_reconnect(struct move *m)
{
	uint64_t until = now_ns() + RECONNECT_MS * 1000000ULL;
	struct link link;
	struct err e;

	if (m->dead || (m->reconnects++ && now_ns() - m->first_lost_ns > RECONNECTS_MS * 1000000ULL))
		return false;
	if (!m->first_lost_ns)
		m->first_lost_ns = now_ns();
	channel_free(m->control);
	m->control = NULL;
	dest_disconnect(&m->dest);
	report_notice(&m->report, "lost the destination agent; trying to reach it again");
	do {
		poll(NULL, 0, RECONNECT_PAUSE_MS);
		if (!move_dest_open(m, &link, &e)) {
			move_control_start(m, link);
			if (m->handoff.state == HO_SRC_COMMITTED && move_nobody_restarted_it(m, &m->why))
				return false;
			return !move_handoff(m, EV_RESEND, HO_NONE, &e);
		}
		log_info("%s", e.msg);
		dest_disconnect(&m->dest);
	} while (now_ns() < until);
	return false;
}

static int control_gone(struct move *m, const struct event *ev, struct err *e)
{
	loop_timer_clear(m->loop, &m->patience);
	m->control_lost = true;
	if (!m->handing_off)
		return err_set(e, ev->err.code, "%s", ev->err.msg);
	if (!handoff_point_of_no_return(&m->handoff) && m->handoff.state == HO_SRC_BEGUN)
		return err_set(e, ev->err.code, "lost the destination: %s", ev->err.msg);
	if (!move_reconnect(m))
		conductor_finish(&m->con); /* the result says what is known */
	else
		loop_timer_set(m->loop, &m->patience, ANSWER_MS);
	return 0;
}

/* ---- what happens ---- */

static int on_migration(struct move *m, const char *status, uint64_t at_ns, struct err *e)
{
	json_t *info;
	const char *desc;
	int r;

	if (!strcmp(status, "pre-switchover") && m->handoff.state == HO_SRC_BEGUN && m->capture)
		return switchover_stopped(m, at_ns, e);
	if (!strcmp(status, "device") && m->handoff.state == HO_SRC_BEGUN && m->capture && !m->blackout.continued)
		return err_set(e, EBUSY, "QEMU switches over without waiting for us: somebody else has switched its capability "
				 "pause-before-switchover off, or told it to go on");
	if (!strcmp(status, "completed")) {
		fault_point("src-completed");
		m->blackout.completed = true;
		m->blackout.completed_ns = at_ns;
		return move_handoff(m, EV_QEMU_COMPLETED, HO_NONE, e);
	}
	if (strcmp(status, "failed") && strcmp(status, "cancelled"))
		return 0;
	if (m->handoff.state != HO_SRC_BEGUN)
		return 0; /* our own doing */
	r = qmp_call(m->qmp, "query-migrate", NULL, &info, e);
	if (r)
		return r;
	desc = json_string_value(json_object_get(info, "error-desc"));
	if (!strcmp(status, "cancelled"))
		err_set(e, ECANCELED, "somebody else cancelled QEMU's migration (migrate_cancel)");
	else
		err_set(e, EREMOTEIO, "QEMU's migration failed%s%s", desc ? ": " : "", desc ? desc : "");
	json_decref(info);
	return -e->code;
}

static void set_paused(struct move *m, bool paused)
{
	json_t *detail = json_pack("{s:b}", "paused", paused);
	struct err e;

	m->paused = paused;
	if (m->journal && journal_note(m->journal, "paused", detail, &e)) /* for `recover` */
		log_error("%s", e.msg);
	json_decref(detail);
}

/* The guest stopped, and not by our will: somebody's `stop`, an I/O error, or a QEMU that does not ask before it switches: an old one,
 * and any with a guest that has suspended itself (S3), which is not paused: it goes on to sleep at the destination. */
static void note_stop(struct move *m)
{
	json_t *status;
	const char *s;
	struct err e;

	if (m->has_ack && !m->suspended) {
		set_paused(m, true);
		return;
	}
	if (qmp_call(m->qmp, "query-status", NULL, &status, &e))
		return;
	s = json_string_value(json_object_get(status, "status"));
	set_paused(m, s && strcmp(s, "finish-migrate"));
	json_decref(status);
}

/* What QEMU found when it stopped the guest for its switchover: once that was asked for, a STOP event may be somebody's as well as
 * QEMU's own, and nothing else tells. */
static void note_found_state(struct move *m)
{
	enum qemu_runstate found = capture_runstate(m->capture);

	if (found == RUNSTATE_UNKNOWN || (found == RUNSTATE_STOPPED) == m->paused)
		return;
	log_info("QEMU says that the guest %s before its switchover", m->paused ? "ran" : "was stopped");
	set_paused(m, !m->paused);
}

/* Nothing can be promised there before all has been loaded, and it may be the last that the destination hears of us. */
static int loaded(struct move *m, struct err *e)
{
	int r = 0;

	note_found_state(m);
	if (m->paused == m->was_running && m->handoff.state == HO_SRC_BEGUN) /* it was described as it was then */
		r = move_handoff(m, EV_RESEND, HO_NONE, e);
	capture_end_streams(m->capture);
	return r;
}

static int on_qmp(struct move *m, const struct event *ev, struct err *e)
{
	const char *status = json_string_value(json_object_get(ev->json, "status"));

	guest_watch_event(&m->watch, ev->name, ev->json);
	if (!strcmp(ev->name, "MIGRATION") && status)
		return on_migration(m, status, ev->at_ns, e);
	if (!strcmp(ev->name, "MIGRATION_PASS") && m->capture) {
		m->ram.pass_begun = MAX(m->ram.pass_begun, (uint64_t)json_integer_value(json_object_get(ev->json, "pass")));
		m->ram.pass_took_ns = m->ram.pass_ns ? ev->at_ns - m->ram.pass_ns : 0;
		m->ram.pass_ns = ev->at_ns;
		if (ev->at_ns - m->ram.round_cut_ns > ROUND_MIN_MS * 1000000ULL) { /* near the end QEMU makes thousands of passes */
			m->ram.round_cut_ns = ev->at_ns;
			capture_cut_round(m->capture);
		}
	} else if (!strcmp(ev->name, "STOP")) {
		m->blackout.stop_ns = ev->at_ns;
		if (m->con.stage < ST_SWITCHOVER)
			note_stop(m);
	} else if (!strcmp(ev->name, "RESUME") && (m->con.stage < ST_SWITCHOVER || m->handoff.state == HO_SRC_BEGUN)) {
		/* a migration that failed says so before it resumes the guest */
		if (m->blackout.stopped)
			return err_set(e, ECANCELED, RESUMED_BY_SOMEBODY);
		m->blackout.stop_ns = 0;
		set_paused(m, false);
	} else if (!strcmp(ev->name, "SUSPEND") || !strcmp(ev->name, "WAKEUP")) {
		m->suspended = *ev->name == 'S';
	} else if (!strcmp(ev->name, "SHUTDOWN")) {
		m->guest_shut_down = true;
	}
	return 0;
}

bool move_source_qemu_ended(const struct move *m)
{
	uint64_t until = now_ns() + QEMU_END_MS * 1000000ULL;

	if (m->qmp && qmp_alive(m->qmp))
		return false;
	while (qemu_is_alive(m->guest.pid, m->guest.start_time) && now_ns() < until)
		poll(NULL, 0, 2);
	return !qemu_is_alive(m->guest.pid, m->guest.start_time);
}

static int qemu_gone(struct move *m, struct err *e)
{
	if (!move_source_qemu_ended(m))
		return err_set(e, EPIPE, "the source QEMU closed its monitor");
	if (!m->handing_off)
		return err_set(e, EPIPE, "the guest's QEMU has ended");
	if (!m->why.code || m->why_is_vague)
		err_set(&m->why, EPIPE, m->guest_shut_down ? "the guest shut down by itself during the move"
							   : "the source QEMU ended during the move");
	return move_handoff(m, EV_QEMU_DEAD, HO_NONE, e);
}

static int on_capture(struct move *m, const struct event *ev, struct err *e)
{
	enum capture_event what;

	memcpy(&what, ev->bytes, sizeof(what));
	switch (what) {
	case CAPTURE_BLOCKS:
		break;
	case CAPTURE_RAM_DONE:
		m->ram.done = true;
		m->blackout.ram_done_ns = ev->at_ns;
		break;
	case CAPTURE_CLOSED:
		break; /* QMP says why: failed, cancelled or completed */
	case CAPTURE_FAILED:
		*e = ev->err;
		return -e->code;
	}
	return 0;
}

static int on_worker(struct move *m, const struct event *ev, struct err *e)
{
	int r;

	switch ((enum worker_word)ev->type) {
	case WORD_CHANNEL_LOST:
		if (m->handoff.state != HO_SRC_BEGUN)
			return 0;
		m->channel_lost = true;
		return err_set(e, ev->err.code ? ev->err.code : EIO, "lost the destination (data connection): %s", ev->err.msg);
	case WORD_CAPTURE:
		return on_capture(m, ev, e);
	case WORD_DISK_ROUND:
		r = disks_on_result(m, ev->ptr, e);
		free(ev->ptr);
		return r;
	}
	return 0;
}

static int on_return_path(struct move *m, const struct event *ev, struct err *e)
{
	struct msg_return_path msg;

	if (msg_return_path_decode(&msg, ev->bytes, ev->n) || msg.data.n > 64 || !m->capture)
		return err_set(e, EPROTO, "malformed RETURN_PATH");
	if (msg.kind == 1) /* SHUT: ours to let through later */
		return loaded(m, e);
	if (m->opaque && msg.kind == 2) {
		uint8_t out[8] = {0, 2, 0, 4};
		unsigned i;

		for (i = 0; i < 4 && msg.data.n == 4; i++)
			out[4 + i] = msg.data.p[3 - i];
		capture_return_path(m->capture, out, sizeof(out));
	}
	return 0;
}

static int on_frame(struct move *m, const struct event *ev, struct err *e)
{
	struct msg_durable msg;

	switch (ev->type) {
	case MSG_HANDOFF:
		return move_on_handoff(m, ev, e);
	case MSG_APPLIED:
		return 0;
	case MSG_DURABLE:
		if (msg_durable_decode(&msg, ev->bytes, ev->n))
			return err_set(e, EPROTO, "malformed DURABLE");
		return disks_on_durable(m, msg.group, msg.number, ev->at_ns, e);
	case MSG_RETURN_PATH:
		return on_return_path(m, ev, e);
	}
	return err_set(e, EPROTO, "unexpected %s from the destination in stage %s", msg_name(ev->type),
		       stage_names[m->con.stage]);
}

static int on_order(struct move *m, uint16_t order, struct err *e)
{
	bool late = m->handing_off && handoff_point_of_no_return(&m->handoff);

	if (order == ORDER_SWITCH) {
		m->stop_wanted = true;
		return 0;
	}
	if (late) {
		report_notice(&m->report, "too late to roll back: the guest is the destination's; finishing");
		return 0;
	}
	if (order == ORDER_INTERRUPT && m->report.tty && !m->interrupted_once) {
		m->interrupted_once = true;
		report_notice(&m->report, "Roll back and keep the guest here? Press Ctrl-C again to roll back; wait, and the move "
					  "goes on.");
		return 0;
	}
	m->user_cancelled = true;
	return err_set(e, ECANCELED, "cancelled by the user");
}

int move_common_event(struct move *m, const struct event *ev, struct err *e)
{
	switch (ev->kind) {
	case EVENT_FRAME:
		return on_frame(m, ev, e);
	case EVENT_CONTROL_LOST:
		return control_gone(m, ev, e);
	case EVENT_QMP:
		return on_qmp(m, ev, e);
	case EVENT_QMP_LOST:
		return qemu_gone(m, e);
	case EVENT_WORKER:
		return on_worker(m, ev, e);
	case EVENT_USER:
		return on_order(m, ev->type, e);
	case EVENT_TICK:
		return 0;
	}
	return 0;
}

