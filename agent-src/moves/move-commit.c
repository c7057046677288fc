/*
 * move-commit.c: carries out what the hand-off machine decides at the source, in this life or a later one.
 */
#include "move-private.h"
#include "exit-code.h"
#include "fault.h"
#include "json-message.h"
#include "json-text.h"
#include "keep.h"
#include "log.h"
#include "process.h"
#include "qemu-migration.h"
#include "qemu-rp.h"
#include "util.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define CANCEL_MS 15000
#define SETUP_MS  2000
#define GENTLE_MS 3000
#define END_MS	  10000
#define HOLD_MS	  5000
#define GUARD_MONITOR_MS 2000 /* it tries again */
#define CLEAN_MS  60000 /* for the destination to say that it is clean */

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
	loop_timer_set(m->loop, &m->patience, CLEAN_MS);
	conductor_goto(&m->con, ST_RELEASE);
}

/* ---- taking the guest back ---- */

/* QEMU's run state, once it is not about to change by itself: at the end of a migration QEMU sets the guest going again. */
static int settled_run_state(struct move *m, char out[32], uint64_t until_ns, struct err *e)
{
	json_t *status;
	int r;

	do {
		r = qmp_call(m->qmp, "query-status", NULL, &status, e);
		if (r)
			return r;
		snprintf(out, 32, "%s", json_string_value(json_object_get(status, "status")) ?: "?");
		json_decref(status);
		if (strcmp(out, "finish-migrate"))
			return 0;
	} while (now_ns() < until_ns && !(r = loop_step(m->loop, 2, e)));
	return r ? r : err_set(e, ETIMEDOUT, "the source QEMU does not leave the state finish-migrate");
}

/* Of a migration whose sockets go while QEMU sets it up QEMU 10 may lose track: it is "cancelling" for good then. Setting it up takes some
 * milliseconds, for which the capture goes on to read, or the guard does. */
static void wait_until_set_up(struct move *m)
{
	uint64_t until = now_ns() + SETUP_MS * 1000000ULL;
	char status[MIGRATION_STATUS_MAX];
	struct err e;

	while ((m->capture || m->kept) && m->qmp && qmp_alive(m->qmp) && !strcmp(qemu_migration_status(m->qmp, status), "setup") && now_ns() < until)
		if (loop_step(m->loop, 5, &e))
			return;
}

/* Any of the guest's: one may be somebody else's by now. */
static int open_monitor(struct move *m, struct err *e)
{
	return guest_open_qmp(&m->guest, &m->qmp, m->loop, m->kept ? GUARD_MONITOR_MS : QMP_DEADLINE_MS, &conductor_qmp, &m->con, e);
}

static int open_monitor_again(struct move *m, struct err *e)
{
	if (m->qmp && qmp_alive(m->qmp))
		return 0;
	qmp_close(m->qmp);
	m->qmp = NULL;
	if (open_monitor(m, e))
		return err_prefix(e, "the source QEMU cannot be told to go on; if the guest is paused there, resume it (QMP cont)");
	return 0;
}

static void close_connections(struct move *m)
{
	capture_stop(m->capture);
	keep_end(m->kept);
}

/* QEMU's sockets stay open, and are read, until it is over: closed under a thread of multifd's they may leave QEMU waiting for that
 * thread for ever. One that does not end so is left to give up by itself, without them. */
static int end_migration(struct move *m, uint64_t until, struct err *e)
{
	if (!m->ram.started) /* if there is one, somebody else began it */
		return 0;
	if ((m->capture || m->kept) && !qemu_migration_cancel(m->qmp, m->loop, MIN(until, now_ns() + GENTLE_MS * 1000000ULL), e) &&
	    qemu_migration_settle(m->qmp, m->loop, e))
		log_info("%s", e->msg);
	close_connections(m);
	return qemu_migration_cancel(m->qmp, m->loop, until, e);
}

/*
 * A migration that fails or is cancelled sets the guest going again, and only one that was completed leaves that to us. Whatever
 * else keeps the guest from running is not our doing, and not ours to end.
 */
static int take_back(struct move *m, struct err *e)
{
	uint64_t until = now_ns() + CANCEL_MS * 1000000ULL;
	char state[32];
	int r;

	kill(m->guest.pid, SIGCONT); /* held, or running: then it does nothing */
	keep_drain(m->kept);
	wait_until_set_up(m);
	capture_drain(m->capture);
	r = open_monitor_again(m, e);
	if (!r)
		r = end_migration(m, until, e);
	close_connections(m);
	if (!r)
		r = settled_run_state(m, state, until, e);
	if (r || !strcmp(state, "running") || !strcmp(state, "suspended"))
		return r;
	if (!strcmp(state, "postmigrate") && !m->ram.started) {
		m->migrated_away = true;
		return err_set(e, ECANCELED, "the guest was migrated away from here by somebody else: see to it where it runs before you resume it");
	}
	if (m->paused)
		return 0;
	if (strcmp(state, "postmigrate"))
		return err_set(e, ECANCELED, "the guest was stopped at the source by somebody else, or by itself (QEMU says: %s)", state);
	r = qmp_call(m->qmp, "cont", NULL, NULL, e);
	return r ? err_prefix(e, "the guest is paused at the source") : 0;
}

/*
 * Nobody's `cont` reaches it any more, and what came before is known: QEMU sends RESUME before it lets the guest run. In BEGUN
 * a guest that was resumed is still the source's, and taken back.
 */
static int hold_qemu(struct move *m, struct err *e)
{
	int r = process_hold(m->guest.pid, m->guest.start_time, HOLD_MS, e);

	if (r || m->handoff.state != HO_SRC_BEGUN)
		return r;
	fault_point("src-held");
	qmp_drain(m->qmp);
	if (conductor_has_qmp(&m->con, "RESUME"))
		return err_set(e, ECANCELED, RESUMED_BY_SOMEBODY);
	if (!qmp_alive(m->qmp)) /* it has ended: that is the next event */
		return 0;
	return move_handoff(m, EV_QEMU_HELD, HO_NONE, e);
}

void move_stop_data(struct move *m)
{
	unsigned i;

	if (m->capture)
		m->ram.rounds = capture_rounds(m->capture);
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

/* Only one that stands as we left it: what goes on again may be the only copy that does. */
static int end_source(struct move *m, struct err *e)
{
	if (qemu_is_alive(m->guest.pid, m->guest.start_time) && !process_is_held(m->guest.pid, m->guest.start_time))
		return err_set(e, EBUSY, "the source QEMU (process %d) was stopped for good, and somebody has let it go on (SIGCONT): it may run the "
				 "guest beside the destination. End whichever is not to live, then run vmferry recover",
			       (int)m->guest.pid);
	qmp_close(m->qmp);
	m->qmp = NULL;
	autostart_end_wrappers(m->journal);
	return process_end(m->guest.pid, m->guest.start_time, END_MS, e);
}

static void finished(struct move *m)
{
	move_end_journal(m);
	conductor_finish(&m->con);
}

/* ---- the disks that stay here ---- */

/* When a file was written last; 0: that cannot be told. */
static json_int_t written_ns(const char *path)
{
	struct stat st;

	return stat(path, &st) || !S_ISREG(st.st_mode) ? 0 : (json_int_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
}

/* From COMMITTED on nobody writes to them here: who finds them written later knows that the guest was started from them. */
static void note_disks(struct move *m)
{
	json_t *written = json_object(), *path;
	struct err e;
	size_t i;

	json_array_foreach(m->source_disks, i, path)
		json_object_set_new(written, json_string_value(path), json_integer(written_ns(json_string_value(path))));
	if (journal_note(m->journal, "disks-written", written, &e))
		log_error("%s", e.msg);
	json_decref(written);
}

/* ---- the hand-off ---- */

/*
 * The journal does not take a state (its disk is full, or was made read-only). In BEGUN, which it holds, the guest is ours whatever
 * comes: it is taken back without ABORTED on disk, and COMMITTED, of which nothing can be there, has not happened. 0: so it is.
 */
static int cannot_note(struct move *m, enum handoff_state before, int r, struct err *e)
{
	if (before != HO_SRC_BEGUN || !m->handoff.qemu_alive || !journal_refused(m->journal))
		return r;
	if (m->handoff.state == HO_SRC_ABORTED) {
		move_add_leftover(m, xasprintf("at the source: the journal of this move: %s; `vmferry recover %s` settles it", e->msg, m->guest.name));
		return 0;
	}
	handoff_not_noted(&m->handoff, before);
	return 0;
}

static int carry_out(struct move *m, const struct handoff_actions *acts, struct err *e)
{
	enum handoff_state before;
	uint8_t shut[8];
	unsigned i;
	int r = 0;

	for (i = 0; i < acts->n && !r; i++) {
		log_info("hand-off: %s in %s", handoff_action_name(acts->a[i]), handoff_state_name(m->handoff.state));
		switch (acts->a[i]) {
		case ACT_JOURNAL:
			fault_point("before-%s", handoff_state_name(m->handoff.state));
			before = journal_last_state(m->journal);
			r = journal_state(m->journal, m->handoff.state, e);
			if (r && !(r = cannot_note(m, before, r, e)) && m->handoff.state == before)
				return -e->code;
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
			m->blackout.prepared_ns = now_ns();
			if (capture_return_path(m->capture, shut, rp_encode_shut(shut, 0)))
				log_error("QEMU's return path is gone");
			break;
		case ACT_HOLD_QEMU:
			r = hold_qemu(m, e);
			break;
		case ACT_CONT_SOURCE:
			r = take_back(m, e);
			if (r && !move_source_qemu_ended(m)) {
				report_notice(&m->report, "%s", e->msg);
				m->exit_code = EXIT_PAUSED;
				m->unheard = r != -ECANCELED;
			} else if (!r && m->ram.started) {
				move_note_migration(m, false, e); /* once: what is begun from now on is somebody else's */
			}
			r = 0;
			break;
		case ACT_END_SOURCE_QEMU:
			r = end_source(m, e);
			if (r) {
				m->why = *e;
				return die(m, r);
			}
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
	if (!r && m->handoff.state == HO_SRC_COMMITTED && acts->n && acts->a[0] == ACT_JOURNAL) /* just entered; it was told first */
		note_disks(m);
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
		json_decref(m->peer.cpu_used);
		m->peer.cpu_used = cpu;
	}
	if (json_object_get(detail, "start_script") || json_object_get(detail, "after_error")) {
		json_decref(m->peer.afterwards);
		m->peer.afterwards = json_deep_copy(detail);
	}
	if (json_object_get(detail, "leftovers"))
		move_take_leftovers(m, json_object_get(detail, "leftovers"));
	if (error)
		snprintf(m->peer.error, sizeof(m->peer.error), "%s", error);
	m->peer.rss_anon = MAX(m->peer.rss_anon, rss);
	if (load > 0)
		m->peer.load_ms = load;
	if (start > 0)
		m->peer.start_ms = start;
	if (peer == HO_DST_STARTED && !m->blackout.started_ns)
		m->blackout.started_ns = at_ns;
	if (peer == HO_DST_ABORTED || peer == HO_NONE)
		m->peer.aborted = true;
}

/* The destination cannot tell whether the guest ran there, or which of two copies is to live, and asking again would bring the
 * same answer. For one that was committed a person's word counts as its NOVM. */
static int on_undecided(struct move *m, enum handoff_state peer, struct err *e)
{
	if (m->handoff.state != HO_SRC_COMMITTED && peer != HO_DST_PREPARED)
		return 0;
	if (m->fenced && m->handoff.state == HO_SRC_COMMITTED)
		return move_handoff(m, EV_PEER, HO_DST_NOVM, e);
	if (peer == HO_DST_PREPARED)
		err_set(&m->why, EREMOTEIO, "%s", m->peer.error);
	else if (!m->why.code)
		err_set(&m->why, EREMOTEIO, "the destination QEMU ended when it was about to run the guest, or ran it: that cannot be told");
	m->undecided = true;
	conductor_finish(&m->con);
	return 0;
}

/* Who answers there knows nothing of this attempt: the host was set up anew, say. Then a person's word counts. */
static bool vouched_for(const struct move *m, unsigned peer)
{
	return m->fenced && m->handoff.state == HO_SRC_COMMITTED && peer == HO_NONE;
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
		if ((peer == HO_DST_ABORTED || peer == HO_DST_NOVM) && m->peer.error[0] && (!m->why.code || m->channel_lost))
			err_set(&m->why, EREMOTEIO, "the destination gave up: %s", m->peer.error);
		if (move_handoff(m, vouched_for(m, peer) ? EV_PEER_FENCED : EV_PEER, (enum handoff_state)peer, &why))
			log_error("hand-off: %s", why.msg); /* changes nothing */
		if (json_is_true(json_object_get(detail, "undecided")))
			r = on_undecided(m, (enum handoff_state)peer, e);
	}
	json_decref(detail);
	return r;
}

/* ---- an earlier life ---- */

/* COMMITTED, and its QEMU gone since (the host was rebooted, say) or held, which looks as if it hung: if anybody else has the disks
 * open here, or has written to them, the guest may have been started again, and only a person can tell which copy is to live. */
int move_nobody_restarted_it(const struct move *m, struct err *e)
{
	const json_t *written = journal_last_note(m->journal, "disks-written");
	json_int_t then, now;
	json_t *path;
	pid_t pid;
	size_t i;

	json_array_foreach(m->source_disks, i, path) {
		then = json_integer_value(json_object_get(written, json_string_value(path)));
		now = written_ns(json_string_value(path));
		pid = process_that_opened(json_string_value(path), m->handoff.qemu_alive ? m->guest.pid : 0);
		if (pid)
			return err_set(e, EBUSY, "its disk %s is open here in process %d: the guest may have been started again. Nothing "
					 "is changed; end whichever copy is not to live, then recover again",
				       json_string_value(path), (int)pid);
		if (then && now > then) /* older: a power failure took the time of the last write with it */
			return err_set(e, EBUSY, "its disk %s has been written here since the guest was handed over: it may have been started again. "
					 "Nothing is changed; end whichever copy is not to live, then recover again: with --peer-is-fenced if it is the "
					 "destination's; otherwise move this disk away first", json_string_value(path));
	}
	return 0;
}

/* COMMITTED, and its QEMU lives. One that stands as it was left, or has done nothing since, is held again; one that has gone on
 * may have run the guest, and only a person can tell which copy is to live. */
static int still_held(struct move *m, struct err *e)
{
	const struct guest *g = &m->guest;
	char state[32];

	if (process_is_held(g->pid, g->start_time))
		return 0;
	if (!open_monitor(m, e) &&
	    !settled_run_state(m, state, 0, e) && !strcmp(state, "postmigrate") &&
	    !process_hold(g->pid, g->start_time, HOLD_MS, e)) {
		qmp_drain(m->qmp);
		if (!conductor_has_qmp(&m->con, "RESUME"))
			return 0;
		kill(g->pid, SIGCONT);
	}
	m->ran_on = true;
	return err_set(e, EBUSY, "the source QEMU (process %d) was stopped when the guest was handed over, and somebody has let it go on: "
		       "the guest may have run here, and at the destination, too. Nothing is changed; end whichever copy is not to live, "
		       "then recover again%s", (int)g->pid, m->fenced ? " (the destination can be reached: it is not gone)" : "");
}

static int may_have_run(struct move *m, int r)
{
	m->ran_on = r != 0;
	return r;
}

/* The one that the agent had, and the others. */
static void restore_monitors(struct guest *g, const json_t *begin)
{
	const json_t *all = json_object_get(begin, "monitors");
	json_t *path;
	size_t i;

	g->qmp_path = xstrdup(json_text(begin, "qmp") ?: "");
	g->qmp_paths = xcalloc(json_array_size(all) + 1, sizeof(*g->qmp_paths));
	json_array_foreach(all, i, path)
		if (json_is_string(path))
			g->qmp_paths[g->qmp_count++] = xstrdup(json_string_value(path));
}

/* What is held has an older memory than the disks then, whatever a person says of the destination: it is never to run again. */
static int beside_it(struct move *m, struct err *e)
{
	return move_nobody_restarted_it(m, e) ? err_prefix(e, "its QEMU (process %d) is held", (int)m->guest.pid) : 0;
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
	restore_monitors(&m->guest, b);
	note = journal_last_note(m->journal, "paused");
	m->paused = json_is_true(json_object_get(note ? note : b, "paused"));
	m->ram.started = json_is_true(json_object_get(journal_last_note(m->journal, "migration"), "ours"));
	m->source_disks = json_deep_copy(json_object_get(b, "disks"));
	then = json_string_value(json_object_get(b, "boot_id"));
	alive = boot && then && !strcmp(boot, then) && qemu_is_alive(m->guest.pid, m->guest.start_time);
	if (!m->kept && json_string_value(json_object_get(b, "migrate_socket")))
		unlink(json_string_value(json_object_get(b, "migrate_socket")));
	if (handoff_restore(&m->handoff, HO_SOURCE, journal_last_state(m->journal), alive))
		return err_set(e, EBADMSG, "the journal %s is in no state of a source", journal_path);
	m->handing_off = true;
	m->over = journal_last_note(m->journal, "over") != NULL;
	if (m->over)
		return 0;
	if (m->handoff.state == HO_SRC_COMMITTED)
		return alive ? beside_it(m, e) ?: still_held(m, e) : may_have_run(m, move_nobody_restarted_it(m, e));
	if (!alive || m->handoff.state == HO_SRC_RELEASED)
		return 0;
	kill(m->guest.pid, SIGCONT);
	return open_monitor(m, e);
}
