/*
 * move-commit.c: carries out what the hand-off machine decides at the destination, in this life or a later one.
 */
#include "move-private.h"
#include "afterwards.h"
#include "exit-code.h"
#include "fault.h"
#include "json-message.h"
#include "json-text.h"
#include "log.h"
#include "process.h"
#include "qemu-settings.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define STATUS_MS     5000
#define CONT_TRIES    3
#define CONT_PAUSE_MS 100
#define BUSY_MS	      20000
#define BUSY_PAUSE_MS 100

/* undecided: no agent here will ever know more, so that the source need not ask again. */
static void send_state(struct move *m, const char *error, bool undecided)
{
	json_t *detail;

	if (!m->control || m->control_lost || m->dead)
		return;
	detail = json_pack("{s:s*,s:b,s:I,s:f,s:f}", "error", error, "undecided", undecided, "rss_anon",
			   (json_int_t)m->rss_anon_max, "load_ms",
			   m->loaded_ns ? (double)(m->loaded_ns - m->complete_ns) / 1e6 : 0.0, "start_ms",
			   m->started_ns ? (double)(m->started_ns - m->cont_ns) / 1e6 : 0.0);
	/* the kernel's workers do nothing for us but what is slow with files */
	json_object_set_new(detail, "cpu_s", cpu_meter_json(&m->cpu_used, cpu_stages_destination,
							    m->disk_count ? CPU_DISK : CPU_OTHER));
	if (m->settled)
		json_object_update(detail, m->settled);
	if (json_array_size(m->leftovers))
		json_object_set(detail, "leftovers", m->leftovers);
	handoff_message_send(m->control, m->attempt, m->handoff.state, detail);
}

enum run_state { RUNS, STANDS, UNKNOWN };

static enum run_state run_state(struct move *m)
{
	json_t *status;
	struct err e;
	bool runs;

	if (!m->qmp || qmp_call_ms(m->qmp, STATUS_MS, "query-status", NULL, &status, &e))
		return UNKNOWN;
	runs = json_is_true(json_object_get(status, "running"));
	json_decref(status);
	return runs ? RUNS : STANDS;
}

/* As after a crash: what counts is what the journal holds. */
static int die(struct move *m, int r)
{
	m->dead = true;
	m->exit_code = EXIT_UNDECIDED;
	conductor_finish(&m->con);
	return r;
}

/*
 * The only `cont` this agent ever sends, after START is durable. A guest that was paused stays so: not sending it is its
 * start. Only a clear refusal, more than once, of a guest that stands and never resumed counts as "never ran"; where
 * it cannot be told, -EAGAIN.
 */
static int start_guest(struct move *m, enum handoff_event *out, struct err *e)
{
	enum run_state state = UNKNOWN;
	unsigned try;
	int r;

	*out = EV_CONT_OK;
	m->cont_ns = now_ns();
	if (json_is_true(json_object_get(m->description, "paused")) || run_state(m) == RUNS)
		return 0;
	for (try = 0; try < CONT_TRIES && m->qmp && qmp_alive(m->qmp); try++) {
		m->cont_sent = true;
		r = qmp_call(m->qmp, "cont", NULL, NULL, e);
		state = r ? run_state(m) : RUNS;
		if (state == RUNS || conductor_has_qmp(&m->con, "RESUME")) {
			m->started_ns = now_ns();
			return 0;
		}
		log_error("starting the guest: %s", e->msg);
		if (r != -EREMOTEIO)
			state = UNKNOWN;
		loop_step(m->loop, CONT_PAUSE_MS, e);
	}
	if (state == STANDS && m->qmp && qmp_alive(m->qmp)) {
		*out = EV_CONT_FAILED_NEVER_RAN;
		return 0;
	}
	if (!qemu_is_alive(m->qemu.pid, m->qemu.start_time)) {
		*out = EV_QEMU_DEAD;
		return 0;
	}
	return err_set(e, EAGAIN, "the destination QEMU does not say whether the guest runs");
}

static int end_qemu(struct move *m, struct err *e)
{
	pid_t pid = m->qemu.pid;
	uint64_t start_time = m->qemu.start_time;

	if (qemu_is_alive(pid, start_time))
		move_know_what_qemu_made(m, true);
	qmp_close(m->qmp);
	m->qmp = NULL;
	qemu_end(&m->qemu);
	return pid > 0 && qemu_is_alive(pid, start_time)
		       ? err_set(e, EBUSY, "the destination QEMU (pid %d) does not end", (int)pid)
		       : 0;
}

static void show_monitors(struct move *m)
{
	json_t *owned, *entry;
	struct err e;
	size_t i;

	monitors_let_go(m);
	if (journal_owned(m->journal, &owned))
		return;
	json_array_foreach(owned, i, entry) {
		json_t *detail = json_object_get(entry, "detail");

		if (strcmp(json_text(entry, "kind"), "hidden"))
			continue;
		if (monitors_show(json_text(detail, "path"), &e) || journal_disown(m->journal, "hidden", detail, &e))
			log_error("%s", e.msg);
	}
	json_decref(owned);
}

/* The guest can only be ours from here on. Once a life. */
static void settle(struct move *m)
{
	if (m->settled || m->dead)
		return;
	show_monitors(m);
	m->settled = afterwards_settle(m->journal);
}

static void remove_scaffolding(struct move *m)
{
	struct err e;
	bool keep = m->handoff.state == HO_DST_DONE;
	unsigned i;

	feed_close(m->feed);
	m->feed = NULL;
	for (i = 0; i < CHANNELS_MAX; i++) {
		receiver_stop(m->receivers[i]);
		m->receivers[i] = NULL;
	}
	if (keep && m->qmp && m->settings && settings_restore(m->qmp, m->settings, &e))
		log_error("the destination QEMU's migration settings: %s", e.msg);
	if (keep && !m->over)
		settle(m);
	move_undo(m, keep);
}

static void finished(struct move *m)
{
	move_end_journal(m);
	conductor_finish(&m->con);
}

void move_keep_disks(struct move *m)
{
	settle(m);
	move_undo(m, true);
	finished(m);
}

static int continue_guest(struct move *m, struct err *e)
{
	enum handoff_event what;
	int r = start_guest(m, &what, e);

	return r ? die(m, r) : move_handoff(m, what, HO_NONE, e);
}

static int carry_out(struct move *m, const struct handoff_actions *acts, const char *error, struct err *e)
{
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
			fault_point("after-%s", handoff_state_name(m->handoff.state));
			if (m->handoff.state == HO_DST_PREPARED)
				conductor_goto(&m->con, ST_COMMIT);
			break;
		case ACT_SEND_STATE:
			send_state(m, error, acts->a[acts->n - 1] == ACT_UNDECIDED);
			break;
		case ACT_CONT_DESTINATION:
			r = continue_guest(m, e);
			break;
		case ACT_END_DESTINATION_QEMU:
			r = end_qemu(m, e);
			if (r)
				return die(m, r);
			break;
		case ACT_REMOVE_SCAFFOLDING:
			remove_scaffolding(m);
			break;
		case ACT_UNDECIDED:
			log_error("attempt is undecided in %s: only a person can decide (vmferry recover)",
				  handoff_state_name(m->handoff.state));
			m->exit_code = EXIT_UNDECIDED;
			conductor_finish(&m->con);
			break;
		case ACT_FINISHED:
			finished(m);
			break;
		case ACT_RELEASE_SHUT:
		case ACT_HOLD_QEMU:
		case ACT_CONT_SOURCE:
		case ACT_END_SOURCE_QEMU:
			r = err_set(e, EPROTO, "a source's action at the destination");
			break;
		}
	}
	if (!r && m->handoff.state == HO_DST_STARTED) /* after the source has been told: it takes a moment */
		settle(m);
	return r;
}

static int step(struct move *m, enum handoff_event ev, enum handoff_state peer, const char *error, struct err *e)
{
	struct handoff_actions acts;
	int r = handoff_step(&m->handoff, ev, peer, &acts);

	log_info("hand-off: %s %s", handoff_event_name(ev), ev == EV_PEER ? handoff_state_name(peer) : "");
	if (r)
		return err_set(e, EPROTO, "%s does not fit state %s", handoff_event_name(ev),
			       handoff_state_name(m->handoff.state));
	return carry_out(m, &acts, error, e);
}

int move_handoff(struct move *m, enum handoff_event ev, enum handoff_state peer, struct err *e)
{
	return step(m, ev, peer, NULL, e);
}

int move_abort(struct move *m, const char *why, struct err *e)
{
	return step(m, EV_ABORT, HO_NONE, why, e);
}

int move_qemu_dead(struct move *m, const char *why, struct err *e)
{
	return step(m, EV_QEMU_DEAD, HO_NONE, why, e);
}

/* Its monitor's end may come after COMMIT. It has never run the guest: NOVM, where START would be undecided for ever. */
static bool died_unstarted(const struct move *m)
{
	return m->handoff.state == HO_DST_PREPARED && m->handoff.qemu_alive &&
	       !qemu_is_alive(m->qemu.pid, m->qemu.start_time);
}

/* Promised in an earlier life, and somebody has started it since, while no agent looked. If the source has not given the guest
 * up, both may be alive, and which is to stay is not ours to say. */
static bool runs_unasked(struct move *m, enum handoff_state peer)
{
	return m->handoff.state == HO_DST_PREPARED && m->handoff.restarted && m->handoff.qemu_alive && peer != HO_SRC_COMMITTED &&
	       peer != HO_SRC_RELEASED && run_state(m) == RUNS;
}

static void leave_undecided(struct move *m)
{
	send_state(m, "the guest runs at the destination though it was never handed over: somebody resumed it there (cont) while no agent of "
		      "vmferry ran. End whichever copy is not to live, then recover again", true);
	m->exit_code = EXIT_UNDECIDED;
	conductor_finish(&m->con);
}

/* The source says whether the guest is to run: one that was paused, or has stopped by itself, stays so. */
static void note_run_state(struct move *m, json_t *detail)
{
	json_t *paused = json_object_get(detail, "paused");
	struct err e;

	if (!json_is_boolean(paused) || !m->journal || !m->description)
		return;
	json_object_set(m->description, "paused", paused);
	if (journal_note(m->journal, "paused", detail, &e))
		log_error("%s", e.msg);
}

static int answer_unknown(struct move *m)
{
	m->handoff.state = HO_NONE;
	send_state(m, NULL, false);
	conductor_finish(&m->con);
	return 0;
}

/* The journal of an earlier life, if there is one. */
static int take_up(struct move *m, const uint8_t attempt[ATTEMPT_ID_LEN], struct err *e)
{
	uint64_t until = now_ns() + BUSY_MS * 1000000ULL;
	char id[2 * ATTEMPT_ID_LEN + 1];
	AUTO_FREE char *path = NULL;
	int r;

	memcpy(m->attempt, attempt, sizeof(m->attempt));
	path = xasprintf("%s/%s-dst.journal", m->cfg->state_dir, attempt_id_format(m->attempt, id));
	/* the session that held it may not have noticed yet that its source is gone */
	do
		r = move_restore(m, path, e);
	while (r == -EBUSY && now_ns() < until && !loop_step(m->loop, BUSY_PAUSE_MS, e));
	/* only one that is not there was finished: of any other the source must not hear that it is forgotten */
	return r == -ENOENT && !m->handing_off && !access(m->cfg->state_dir, R_OK | X_OK) ? 0 : r;
}

/* A HANDOFF message; before anything was described it asks for the journal of an earlier life. */
int move_on_handoff(struct move *m, const struct event *ev, struct err *e)
{
	uint8_t attempt[ATTEMPT_ID_LEN];
	unsigned peer;
	json_t *detail = NULL;
	struct err why;
	int r = handoff_message_take(ev->bytes, ev->n, attempt, &peer, &detail, e);

	if (!r && !m->handing_off)
		r = take_up(m, attempt, e);
	if (!r && !m->journal) {
		r = answer_unknown(m);
	} else if (!r && memcmp(attempt, m->attempt, sizeof(attempt))) {
		r = err_set(e, EPROTO, "HANDOFF of another attempt");
	} else if (!r) {
		note_run_state(m, detail);
		if (died_unstarted(m) && move_qemu_dead(m, "the destination QEMU ended", &why))
			log_error("hand-off: %s", why.msg);
		if (runs_unasked(m, (enum handoff_state)peer))
			leave_undecided(m);
		else if (step(m, EV_PEER, (enum handoff_state)peer, NULL, &why))
			log_error("hand-off: %s", why.msg); /* changes nothing */
	}
	json_decref(detail);
	return r;
}

/* ---- an earlier life ---- */

/* There is none that the journal does not know of. */
static void find_qemu_again(struct move *m)
{
	const json_t *note = journal_last_note(m->journal, "qemu");
	const char *then = json_string_value(json_object_get(journal_begin(m->journal), "boot_id"));
	pid_t pid = (pid_t)json_integer_value(json_object_get(note, "pid"));
	uint64_t start = (uint64_t)json_integer_value(json_object_get(note, "start_time"));
	AUTO_FREE char *now = boot_id();
	struct err e;

	if (!then || !now || strcmp(then, now) || !qemu_is_alive(pid, start))
		return;
	m->qemu = (struct qemu_proc){.pid = pid, .pidfd = -1, .start_time = start};
	if (qmp_open(&m->qmp, m->loop, m->qmp_path, STATUS_MS, &conductor_qmp, &m->con, &e)) {
		m->qmp = NULL;
		log_info("QEMU of an earlier life: %s", e.msg);
	}
}

int move_restore(struct move *m, const char *journal_path, struct err *e)
{
	const json_t *begin, *settings, *note;
	int r = journal_open(&m->journal, journal_path, e);

	if (r)
		return r;
	m->handing_off = true;
	begin = journal_begin(m->journal);
	memcpy(m->attempt, journal_attempt_id(m->journal), sizeof(m->attempt));
	m->qmp_path = xstrdup(json_string_value(json_object_get(begin, "qmp")) ?: "");
	settings = journal_last_note(m->journal, "settings");
	m->settings = settings ? json_deep_copy(settings) : NULL;
	note = journal_last_note(m->journal, "paused");
	m->description = json_pack("{s:b}", "paused", json_is_true(json_object_get(note ? note : begin, "paused")));
	m->over = journal_last_note(m->journal, "over") != NULL;
	m->name = xstrdup(json_string_value(json_object_get(begin, "guest")) ?: "?");
	if (!m->over)
		find_qemu_again(m);
	r = handoff_restore(&m->handoff, HO_DESTINATION, journal_last_state(m->journal), m->qemu.pid > 0);
	if (r)
		return err_set(e, EBADMSG, "the journal %s is in no state of a destination", journal_path);
	return move_handoff(m, EV_RECOVER, HO_NONE, e);
}
