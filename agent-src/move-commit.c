/*
 * move-commit.c: carries out what the hand-off machine decides at the source, in this life or a later one.
 */
#include "move.h"
#include "fault.h"
#include "json-message.h"
#include "log.h"
#include "process.h"
#include "qemu-rp.h"
#include "util.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define CANCEL_MS 15000
#define END_MS	  10000
#define ANSWER_MS 60000 /* for the destination to say that it is clean */

static void send_state(struct move *m)
{
	if (!m->control || m->control_lost || m->dead)
		return;
	handoff_message_send(m->control, m->attempt, m->handoff.state,
			     json_pack("{s:b,s:s*}", "paused", m->paused, "error", m->why.code ? m->why.msg : NULL));
}

/* As after a crash: what counts is what the journal holds. */
static int die(struct move *m, int r)
{
	m->dead = m->undecided = true;
	conductor_finish(&m->con);
	return r;
}

/* However ABORTED was reached: no stage goes on, and the destination has so long to say that it is clean. */
static void leave_stages(struct move *m)
{
	conductor_tick(&m->con, 0);
	loop_timer_set(m->loop, &m->patience, ANSWER_MS);
	conductor_goto(&m->con, ST_RELEASE);
}

/* ---- taking the guest back ---- */

static const char *migration_status(struct move *m, char out[32])
{
	json_t *info;
	const char *s;
	struct err e;

	strcpy(out, "none");
	if (qmp_call(m->qmp, "query-migrate", NULL, &info, &e))
		return out;
	s = json_string_value(json_object_get(info, "status"));
	snprintf(out, 32, "%s", s ? s : "none");
	json_decref(info);
	return out;
}

static bool migration_over(struct move *m)
{
	static const char *const over[] = {"none", "cancelled", "failed", "completed"};
	char status[32];
	size_t i;

	migration_status(m, status);
	for (i = 0; i < ARRAY_LEN(over); i++)
		if (!strcmp(status, over[i]))
			return true;
	return false;
}

static bool guest_runs(struct move *m)
{
	json_t *status;
	struct err e;
	bool yes;

	if (qmp_call(m->qmp, "query-status", NULL, &status, &e))
		return false;
	yes = json_is_true(json_object_get(status, "running"));
	json_decref(status);
	return yes;
}

/* QEMU's sockets go first: with them open a cancel may hang (multifd), without them QEMU gives up by itself. */
static int take_back(struct move *m, struct err *e)
{
	uint64_t until = now_ns() + CANCEL_MS * 1000000ULL;

	capture_stop(m->capture);
	kill(m->guest.pid, SIGCONT); /* held since COMMITTED, or running: then it does nothing */
	if (!m->qmp && qmp_open(&m->qmp, m->loop, m->guest.qmp_path, QMP_DEADLINE_MS, &conductor_qmp, &m->con, e))
		return -e->code;
	if (!qmp_alive(m->qmp))
		return err_set(e, EPIPE, "the source QEMU's monitor is gone: start the guest there by hand (QMP cont)");
	if (!migration_over(m))
		qmp_call(m->qmp, "migrate_cancel", NULL, NULL, e);
	while (!migration_over(m))
		if (now_ns() > until || loop_step(m->loop, 5, e))
			return err_set(e, ETIMEDOUT, "the source QEMU does not end its migration");
	if (m->paused || guest_runs(m))
		return 0;
	if (qmp_call(m->qmp, "cont", NULL, NULL, e))
		return err_prefix(e, "the guest is paused at the source");
	return 0;
}

static void hold_qemu(struct move *m)
{
	if (qemu_is_alive(m->guest.pid, m->guest.start_time))
		kill(m->guest.pid, SIGSTOP);
}

void move_stop_data(struct move *m)
{
	unsigned i;

	if (m->capture)
		m->ram_rounds = capture_rounds(m->capture);
	capture_stop(m->capture);
	disk_reader_stop(m->reader);
	for (i = 0; i < m->channels; i++) {
		if (!m->senders[i])
			continue;
		sender_stats(m->senders[i], &m->sent);
		m->wire_bytes += sender_wire_bytes(m->senders[i]);
		sender_stop(m->senders[i]);
		m->senders[i] = NULL;
	}
	capture_free(m->capture);
	disk_reader_free(m->reader);
	m->capture = NULL;
	m->reader = NULL;
}

static int end_source(struct move *m, struct err *e)
{
	qmp_close(m->qmp);
	m->qmp = NULL;
	autostart_end_wrappers(m->journal);
	return process_end(m->guest.pid, m->guest.start_time, END_MS, e);
}

static void finished(struct move *m)
{
	struct err e;

	if (m->journal && journal_remove(m->journal, true, &e))
		log_error("%s", e.msg);
	m->journal = NULL;
	conductor_finish(&m->con);
}

/* ---- the hand-off ---- */

static int carry_out(struct move *m, const struct handoff_actions *acts, struct err *e)
{
	uint8_t shut[8];
	unsigned i;
	int r = 0;

	for (i = 0; i < acts->n && !r; i++) {
		log_info("hand-off: %s in %s", handoff_action_name(acts->a[i]), handoff_state_name(m->handoff.state));
		switch (acts->a[i]) {
		case ACT_JOURNAL:
			fault_point("before-%s", handoff_state_name(m->handoff.state));
			r = journal_state(m->journal, m->handoff.state, e);
			if (r)
				return die(m, r);
			if (m->handoff.state == HO_SRC_ABORTED)
				leave_stages(m);
			fault_point("after-%s", handoff_state_name(m->handoff.state));
			if (m->handoff.state == HO_SRC_COMMITTED && m->con.stage != ST_COMMIT)
				conductor_goto(&m->con, ST_COMMIT);
			break;
		case ACT_SEND_STATE:
			send_state(m);
			break;
		case ACT_RELEASE_SHUT:
			fault_point("src-ready");
			m->prepared_ns = now_ns();
			if (capture_return_path(m->capture, shut, rp_encode_shut(shut, 0)))
				log_error("QEMU's return path is gone");
			break;
		case ACT_HOLD_QEMU:
			hold_qemu(m);
			break;
		case ACT_CONT_SOURCE:
			if (take_back(m, e) && !move_source_qemu_ended(m)) {
				report_notice(&m->report, "%s", e->msg);
				m->exit_code = 5;
			}
			break;
		case ACT_END_SOURCE_QEMU:
			r = end_source(m, e);
			break;
		case ACT_REMOVE_SCAFFOLDING:
			move_stop_data(m);
			move_undo(m);
			break;
		case ACT_UNDECIDED:
			m->undecided = true;
			conductor_finish(&m->con);
			break;
		case ACT_FINISHED:
			finished(m);
			break;
		case ACT_CONT_DESTINATION:
		case ACT_END_DESTINATION_QEMU:
			r = err_set(e, EPROTO, "a destination's action at the source");
			break;
		}
	}
	return r;
}

int move_handoff(struct move *m, enum handoff_event ev, enum handoff_state peer, struct err *e)
{
	struct handoff_actions acts;

	log_info("hand-off: %s %s", handoff_event_name(ev), ev == EV_PEER ? handoff_state_name(peer) : "");
	if (handoff_step(&m->handoff, ev, peer, &acts))
		return err_set(e, EPROTO, "%s does not fit state %s", handoff_event_name(ev),
			       handoff_state_name(m->handoff.state));
	return carry_out(m, &acts, e);
}

static void note_peer(struct move *m, enum handoff_state peer, const json_t *detail, uint64_t at_ns)
{
	const char *error = json_string_value(json_object_get(detail, "error"));
	double load = json_number_value(json_object_get(detail, "load_ms"));
	double start = json_number_value(json_object_get(detail, "start_ms"));
	uint64_t rss = (uint64_t)json_integer_value(json_object_get(detail, "rss_anon"));
	json_t *cpu = cpu_json_take(json_object_get(detail, "cpu_s"), cpu_stages_destination);

	if (cpu) {
		json_decref(m->peer_cpu_used);
		m->peer_cpu_used = cpu;
	}
	if (json_object_get(detail, "start_script") || json_object_get(detail, "after_error")) {
		json_decref(m->afterwards);
		m->afterwards = json_deep_copy(detail);
	}
	if (error)
		snprintf(m->peer_error, sizeof(m->peer_error), "%s", error);
	m->peer_rss_anon = MAX(m->peer_rss_anon, rss);
	if (load > 0)
		m->load_ms = load;
	if (start > 0)
		m->start_ms = start;
	if (peer == HO_DST_STARTED && !m->started_ns)
		m->started_ns = at_ns;
	if (peer == HO_DST_ABORTED || peer == HO_NONE)
		m->peer_aborted = true;
}

/* The destination cannot tell whether the guest ran there, and asking again would bring the same answer. A person's word
 * counts as its NOVM. */
static int on_undecided(struct move *m, struct err *e)
{
	if (m->handoff.state != HO_SRC_COMMITTED)
		return 0;
	if (m->fenced)
		return move_handoff(m, EV_PEER, HO_DST_NOVM, e);
	if (!m->why.code)
		err_set(&m->why, EREMOTEIO, "the destination QEMU ended when it was about to run the guest, or ran it: that cannot be told");
	m->undecided = true;
	conductor_finish(&m->con);
	return 0;
}

int move_on_handoff(struct move *m, const struct event *ev, struct err *e)
{
	uint8_t attempt[ATTEMPT_ID_LEN];
	json_t *detail = NULL;
	unsigned peer;
	struct err why;
	int r = handoff_message_take(ev->bytes, ev->n, attempt, &peer, &detail, e);

	if (!r && memcmp(attempt, m->attempt, sizeof(attempt)))
		r = err_set(e, EPROTO, "HANDOFF of another attempt");
	if (!r) {
		note_peer(m, (enum handoff_state)peer, detail, ev->at_ns);
		if ((peer == HO_DST_ABORTED || peer == HO_DST_NOVM) && m->peer_error[0] && (!m->why.code || m->channel_lost))
			err_set(&m->why, EREMOTEIO, "the destination gave up: %s", m->peer_error);
		if (move_handoff(m, EV_PEER, (enum handoff_state)peer, &why))
			log_error("hand-off: %s", why.msg); /* changes nothing */
		if (json_is_true(json_object_get(detail, "undecided")))
			r = on_undecided(m, e);
	}
	json_decref(detail);
	return r;
}

/* ---- an earlier life ---- */

/* COMMITTED, and its QEMU gone since (the host was rebooted, say): if anybody has the disks open here, the guest may have
 * been started again, and only a person can tell which copy is to live. */
static int nobody_restarted_it(const json_t *begin, struct err *e)
{
	json_t *path;
	pid_t pid;
	size_t i;

	json_array_foreach(json_object_get(begin, "disks"), i, path) {
		pid = process_that_opened(json_string_value(path));
		if (pid)
			return err_set(e, EBUSY, "its disk %s is open here in process %d: the guest may have been started again. Nothing "
					 "is changed; end whichever copy is not to live, then recover again",
				       json_string_value(path), (int)pid);
	}
	return 0;
}

int move_restore(struct move *m, const char *journal_path, struct err *e)
{
	const json_t *b, *note;
	AUTO_FREE char *boot = boot_id();
	const char *then;
	bool alive;
	int r = journal_open(&m->journal, journal_path, e);

	if (r)
		return r;
	b = journal_begin(m->journal);
	memcpy(m->attempt, journal_attempt_id(m->journal), sizeof(m->attempt));
	m->guest.name = xstrdup(json_string_value(json_object_get(b, "guest")) ?: "?");
	m->guest.pid = (pid_t)json_integer_value(json_object_get(b, "pid"));
	m->guest.start_time = (uint64_t)json_integer_value(json_object_get(b, "start_time"));
	m->guest.qmp_path = xstrdup(json_string_value(json_object_get(b, "qmp")) ?: "");
	note = journal_last_note(m->journal, "paused");
	m->paused = json_is_true(json_object_get(note ? note : b, "paused"));
	m->source_disks = json_deep_copy(json_object_get(b, "disks"));
	then = json_string_value(json_object_get(b, "boot_id"));
	alive = boot && then && !strcmp(boot, then) && qemu_is_alive(m->guest.pid, m->guest.start_time);
	if (json_string_value(json_object_get(b, "migrate_socket")))
		unlink(json_string_value(json_object_get(b, "migrate_socket")));
	if (handoff_restore(&m->handoff, HO_SOURCE, journal_last_state(m->journal), alive))
		return err_set(e, EBADMSG, "the journal %s is in no state of a source", journal_path);
	m->handing_off = true;
	if (m->handoff.state == HO_SRC_COMMITTED)
		return alive ? 0 : nobody_restarted_it(b, e); /* held: it stays so */
	if (!alive)
		return 0;
	kill(m->guest.pid, SIGCONT);
	return qmp_open(&m->qmp, m->loop, m->guest.qmp_path, QMP_DEADLINE_MS, &conductor_qmp, &m->con, e);
}
