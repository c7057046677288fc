/*
 * move-commit.c: carries out what the hand-off machine decides at the source, in this life or a later one.
 */
#include "move-private.h"
#include "exit-code.h"
#include "fault.h"
#include "json-message.h"
#include "json-text.h"
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

static struct move *move_of(struct attempt *a)
{
	return container_of(a, struct move, a);
}

static int send_state(struct attempt *a, struct err *e)
{
	struct move *m = move_of(a);

	(void)e;
	if (!attempt_can_tell(a))
		return 0;
	handoff_message_send(a->control, a->id, a->handoff.state,
			     json_pack("{s:b,s:s*}", "paused", m->paused, "error", m->why.code ? m->why.msg : NULL));
	return 0;
}

/* However ABORTED was reached: no stage goes on, and the destination has so long to say that it is clean. */
static void leave_stages(struct move *m)
{
	conductor_tick(&m->a.con, 0);
	loop_timer_set(m->a.loop, &m->patience, CLEAN_MS);
	conductor_goto(&m->a.con, ST_RELEASE);
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
	} while (now_ns() < until_ns && !(r = loop_step(m->a.loop, 2, e)));
	return r ? r : err_set(e, ETIMEDOUT, "the source QEMU does not leave the state finish-migrate");
}

/* Of a migration whose sockets go while QEMU sets it up QEMU 10 may lose track: it is "cancelling" for good then. Setting it up takes some
 * milliseconds, for which the capture goes on to read. */
static void wait_until_set_up(struct move *m)
{
	uint64_t until = now_ns() + SETUP_MS * 1000000ULL;
	char status[MIGRATION_STATUS_MAX];
	struct err e;

	while (m->capture && m->qmp && qmp_alive(m->qmp) && !strcmp(qemu_migration_status(m->qmp, status), "setup") && now_ns() < until)
		if (loop_step(m->a.loop, 5, &e))
			return;
}

/* Any of the guest's: one may be somebody else's by now. */
static int open_monitor(struct move *m, struct err *e)
{
	return guest_open_qmp(&m->guest, &m->qmp, m->a.loop, m->guarding ? GUARD_MONITOR_MS : QMP_DEADLINE_MS, &conductor_qmp, &m->a.con, e);
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

/* QEMU's sockets stay open, and are read, until it is over: closed under a thread of multifd's they may leave QEMU waiting for that
 * thread for ever. One that does not end so is left to give up by itself, without them. */
static int end_migration(struct move *m, uint64_t until, struct err *e)
{
	if (!m->ram.started) /* if there is one, somebody else began it */
		return 0;
	if (m->capture && !qemu_migration_cancel(m->qmp, m->a.loop, MIN(until, now_ns() + GENTLE_MS * 1000000ULL), e) &&
	    qemu_migration_settle(m->qmp, m->a.loop, e))
		log_info("%s", e->msg);
	capture_stop(m->capture);
	return qemu_migration_cancel(m->qmp, m->a.loop, until, e);
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
	wait_until_set_up(m);
	capture_drain(m->capture);
	r = open_monitor_again(m, e);
	if (!r)
		r = end_migration(m, until, e);
	capture_stop(m->capture);
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
static int hold_qemu(struct attempt *a, struct err *e)
{
	struct move *m = move_of(a);
	int r = process_hold(m->guest.pid, m->guest.start_time, HOLD_MS, e);

	if (r || m->a.handoff.state != HO_SRC_BEGUN)
		return r;
	fault_point("src-held");
	qmp_drain(m->qmp);
	if (conductor_has_qmp(&m->a.con, "RESUME"))
		return err_set(e, ECANCELED, RESUMED_BY_SOMEBODY);
	if (!qmp_alive(m->qmp)) /* it has ended: that is the next event */
		return 0;
	return attempt_step(&m->a, EV_QEMU_HELD, HO_NONE, e);
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
static int end_qemu(struct move *m, struct err *e)
{
	if (qemu_is_alive(m->guest.pid, m->guest.start_time) && !process_is_held(m->guest.pid, m->guest.start_time))
		return err_set(e, EBUSY, "the source QEMU (process %d) was stopped for good, and somebody has let it go on (SIGCONT): it may run the "
				 "guest beside the destination. End whichever is not to live, then run vmferry recover",
			       (int)m->guest.pid);
	qmp_close(m->qmp);
	m->qmp = NULL;
	autostart_end_wrappers(m->a.journal);
	return process_end(m->guest.pid, m->guest.start_time, END_MS, e);
}

static int end_source(struct attempt *a, struct err *e)
{
	struct move *m = move_of(a);
	int r = end_qemu(m, e);

	if (!r)
		return 0;
	m->why = *e;
	return attempt_die(a, r);
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
	if (journal_note(m->a.journal, "disks-written", written, &e))
		log_error("%s", e.msg);
	json_decref(written);
}

/* ---- the hand-off ---- */

/*
 * The journal does not take a state (its disk is full, or was made read-only). In BEGUN, which it holds, the guest is ours whatever
 * comes: it is taken back without ABORTED on disk, and COMMITTED, of which nothing can be there, has not happened. 0: so it is.
 */
static int not_noted(struct attempt *a, enum handoff_state before, struct err *e)
{
	if (before != HO_SRC_BEGUN || !a->handoff.qemu_alive || !journal_refused(a->journal))
		return -e->code;
	if (a->handoff.state == HO_SRC_ABORTED) {
		attempt_add_leftover(a, xasprintf("at the source: the journal of this move: %s; `vmferry recover %s` settles it", e->msg,
						  move_of(a)->guest.name));
		return 0;
	}
	handoff_not_noted(&a->handoff, before);
	return 1;
}

static void entered(struct attempt *a)
{
	if (a->handoff.state == HO_SRC_ABORTED)
		leave_stages(move_of(a));
	else if (a->handoff.state == HO_SRC_COMMITTED && a->con.stage != ST_COMMIT)
		conductor_goto(&a->con, ST_COMMIT);
}

static int release_shut(struct attempt *a, struct err *e)
{
	struct move *m = move_of(a);
	uint8_t shut[8];

	(void)e;
	fault_point("src-ready");
	m->blackout.prepared_ns = now_ns();
	if (capture_return_path(m->capture, shut, rp_encode_shut(shut, 0)))
		log_error("QEMU's return path is gone");
	return 0;
}

/* A guest that cannot be set going is told of, and the rest is undone all the same. */
static int cont_source(struct attempt *a, struct err *e)
{
	struct move *m = move_of(a);
	int r = take_back(m, e);

	if (r && !move_source_qemu_ended(m)) {
		report_notice(&m->report, "%s", e->msg);
		a->exit_code = EXIT_PAUSED;
		m->unheard = r != -ECANCELED;
	} else if (!r && m->ram.started) {
		move_note_migration(m, false, e); /* once: what is begun from now on is somebody else's */
	}
	return 0;
}

static int remove_scaffolding(struct attempt *a, struct err *e)
{
	(void)e;
	move_stop_data(move_of(a));
	move_undo(move_of(a));
	return 0;
}

/* The destination was told first. */
static void carried_out(struct attempt *a, bool has_entered)
{
	if (has_entered && a->handoff.state == HO_SRC_COMMITTED)
		note_disks(move_of(a));
}

const struct attempt_ops move_attempt_ops = {
	.act = {[ACT_SEND_STATE] = send_state,
		[ACT_RELEASE_SHUT] = release_shut,
		[ACT_HOLD_QEMU] = hold_qemu,
		[ACT_CONT_SOURCE] = cont_source,
		[ACT_END_SOURCE_QEMU] = end_source,
		[ACT_REMOVE_SCAFFOLDING] = remove_scaffolding},
	.entered = entered,
	.not_noted = not_noted,
	.carried_out = carried_out,
	.undo = move_undo_one,
	.left_behind = move_note_leftover,
};

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
	if (m->a.handoff.state != HO_SRC_COMMITTED && peer != HO_DST_PREPARED)
		return 0;
	if (m->fenced && m->a.handoff.state == HO_SRC_COMMITTED)
		return attempt_step(&m->a, EV_PEER, HO_DST_NOVM, e);
	if (peer == HO_DST_PREPARED)
		err_set(&m->why, EREMOTEIO, "%s", m->peer.error);
	else if (!m->why.code)
		err_set(&m->why, EREMOTEIO, "the destination QEMU ended when it was about to run the guest, or ran it: that cannot be told");
	m->a.undecided = true;
	conductor_finish(&m->a.con);
	return 0;
}

/* Who answers there knows nothing of this attempt: the host was set up anew, say. Then a person's word counts. */
static bool vouched_for(const struct move *m, unsigned peer)
{
	return m->fenced && m->a.handoff.state == HO_SRC_COMMITTED && peer == HO_NONE;
}

int move_on_handoff(struct move *m, const struct event *ev, struct err *e)
{
	uint8_t attempt[ATTEMPT_ID_LEN];
	json_t *detail = NULL;
	unsigned peer;
	struct err why;
	int r = handoff_message_take(ev->bytes, ev->n, attempt, &peer, &detail, e);

	if (!r && memcmp(attempt, m->a.id, sizeof(attempt)))
		r = err_set(e, EPROTO, "HANDOFF of another attempt");
	if (!r) {
		note_peer(m, (enum handoff_state)peer, detail, ev->at_ns);
		if ((peer == HO_DST_ABORTED || peer == HO_DST_NOVM) && m->peer.error[0] && (!m->why.code || m->channel_lost))
			err_set(&m->why, EREMOTEIO, "the destination gave up: %s", m->peer.error);
		if (attempt_step(&m->a, vouched_for(m, peer) ? EV_PEER_FENCED : EV_PEER, (enum handoff_state)peer, &why))
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
	const json_t *written = journal_last_note(m->a.journal, "disks-written");
	json_int_t then, now;
	json_t *path;
	pid_t pid;
	size_t i;

	json_array_foreach(m->source_disks, i, path) {
		then = json_integer_value(json_object_get(written, json_string_value(path)));
		now = written_ns(json_string_value(path));
		pid = process_that_opened(json_string_value(path), m->a.handoff.qemu_alive ? m->guest.pid : 0);
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
		if (!conductor_has_qmp(&m->a.con, "RESUME"))
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
	int r = attempt_open(&m->a, journal_path, e);

	if (r)
		return r;
	b = journal_begin(m->a.journal);
	m->guest.name = xstrdup(json_string_value(json_object_get(b, "guest")) ?: "?");
	m->guest.pid = (pid_t)json_integer_value(json_object_get(b, "pid"));
	m->guest.start_time = (uint64_t)json_integer_value(json_object_get(b, "start_time"));
	restore_monitors(&m->guest, b);
	note = journal_last_note(m->a.journal, "paused");
	m->paused = json_is_true(json_object_get(note ? note : b, "paused"));
	m->ram.started = json_is_true(json_object_get(journal_last_note(m->a.journal, "migration"), "ours"));
	m->source_disks = json_deep_copy(json_object_get(b, "disks"));
	then = json_string_value(json_object_get(b, "boot_id"));
	alive = boot && then && !strcmp(boot, then) && qemu_is_alive(m->guest.pid, m->guest.start_time);
	if (json_string_value(json_object_get(b, "migrate_socket")))
		unlink(json_string_value(json_object_get(b, "migrate_socket")));
	if (handoff_restore(&m->a.handoff, HO_SOURCE, journal_last_state(m->a.journal), alive))
		return err_set(e, EBADMSG, "the journal %s is in no state of a source", journal_path);
	if (m->a.over)
		return 0;
	if (m->a.handoff.state == HO_SRC_COMMITTED)
		return alive ? beside_it(m, e) ?: still_held(m, e) : may_have_run(m, move_nobody_restarted_it(m, e));
	if (!alive || m->a.handoff.state == HO_SRC_RELEASED)
		return 0;
	kill(m->guest.pid, SIGCONT);
	return open_monitor(m, e);
}
