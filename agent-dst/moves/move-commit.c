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

static struct move *move_of(struct attempt *a)
{
	return container_of(a, struct move, a);
}

/* undecided: no agent here will ever know more, so that the source need not ask again. */
static void tell_state(struct move *m, const char *error, bool undecided)
{
	json_t *detail;

	if (!attempt_can_tell(&m->a))
		return;
	detail = json_pack("{s:s*,s:b,s:I,s:f,s:f}", "error", error, "undecided", undecided, "rss_anon",
			   (json_int_t)m->a.rss_anon_max, "load_ms",
			   m->loaded_ns ? (double)(m->loaded_ns - m->complete_ns) / 1e6 : 0.0, "start_ms",
			   m->started_ns ? (double)(m->started_ns - m->cont_ns) / 1e6 : 0.0);
	/* the kernel's workers do nothing for us but what is slow with files */
	json_object_set_new(detail, "cpu_s", cpu_meter_json(&m->a.cpu_used, cpu_stages_destination,
							    m->disk_count ? CPU_DISK : CPU_OTHER));
	if (m->settled)
		json_object_update(detail, m->settled);
	if (json_array_size(m->a.leftovers))
		json_object_set(detail, "leftovers", m->a.leftovers);
	handoff_message_send(m->a.control, m->a.id, m->a.handoff.state, detail);
}

static int send_state(struct attempt *a, struct err *e)
{
	struct move *m = move_of(a);

	(void)e;
	tell_state(m, m->given_up_because, a->to_be_undecided);
	return 0;
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
		if (state == RUNS || conductor_has_qmp(&m->a.con, "RESUME")) {
			m->started_ns = now_ns();
			return 0;
		}
		log_error("starting the guest: %s", e->msg);
		if (r != -EREMOTEIO)
			state = UNKNOWN;
		loop_step(m->a.loop, CONT_PAUSE_MS, e);
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

static int end_qemu(struct attempt *a, struct err *e)
{
	struct move *m = move_of(a);
	pid_t pid = m->qemu.pid;
	uint64_t start_time = m->qemu.start_time;

	if (qemu_is_alive(pid, start_time))
		move_know_what_qemu_made(m, true);
	qmp_close(m->qmp);
	m->qmp = NULL;
	qemu_end(&m->qemu);
	if (pid <= 0 || !qemu_is_alive(pid, start_time))
		return 0;
	return attempt_die(a, err_set(e, EBUSY, "the destination QEMU (pid %d) does not end", (int)pid));
}

static void show_monitors(struct move *m)
{
	json_t *owned, *entry;
	struct err e;
	size_t i;

	monitors_let_go(m);
	if (journal_owned(m->a.journal, &owned))
		return;
	json_array_foreach(owned, i, entry) {
		json_t *detail = json_object_get(entry, "detail");

		if (strcmp(json_text(entry, "kind"), "hidden"))
			continue;
		if (monitors_show(json_text(detail, "path"), &e) || journal_disown(m->a.journal, "hidden", detail, &e))
			log_error("%s", e.msg);
	}
	json_decref(owned);
}

/* The guest can only be ours from here on. Once a life. */
static void settle(struct move *m)
{
	if (m->settled || m->a.dead)
		return;
	show_monitors(m);
	m->settled = afterwards_settle(m->a.journal);
}

static int remove_scaffolding(struct attempt *a, struct err *ignored)
{
	struct move *m = move_of(a);
	struct err e;
	bool keep = a->handoff.state == HO_DST_DONE;
	unsigned i;

	(void)ignored;
	feed_close(m->feed);
	m->feed = NULL;
	for (i = 0; i < CHANNELS_MAX; i++) {
		receiver_stop(m->receivers[i]);
		m->receivers[i] = NULL;
	}
	if (keep && m->qmp && m->settings && settings_restore(m->qmp, m->settings, &e))
		log_error("the destination QEMU's migration settings: %s", e.msg);
	if (keep && !m->a.over)
		settle(m);
	move_undo(m, keep);
	return 0;
}

void move_keep_disks(struct move *m)
{
	settle(m);
	move_undo(m, true);
	attempt_finish(&m->a);
}

static int cont_destination(struct attempt *a, struct err *e)
{
	enum handoff_event what;
	int r = start_guest(move_of(a), &what, e);

	return r ? attempt_die(a, r) : attempt_step(a, what, HO_NONE, e);
}

static void entered(struct attempt *a)
{
	if (a->handoff.state == HO_DST_PREPARED)
		conductor_goto(&a->con, ST_COMMIT);
}

static void carried_out(struct attempt *a, bool has_entered)
{
	(void)has_entered;
	if (a->undecided)
		log_error("attempt is undecided in %s: only a person can decide (vmferry recover)", handoff_state_name(a->handoff.state));
	if (a->handoff.state == HO_DST_STARTED) /* after the source has been told: it takes a moment */
		settle(move_of(a));
}

const struct attempt_ops move_attempt_ops = {
	.act = {[ACT_SEND_STATE] = send_state,
		[ACT_CONT_DESTINATION] = cont_destination,
		[ACT_END_DESTINATION_QEMU] = end_qemu,
		[ACT_REMOVE_SCAFFOLDING] = remove_scaffolding},
	.entered = entered,
	.carried_out = carried_out,
	.undo = move_undo_one,
	.left_behind = move_note_leftover,
};

/* The source is told why, if the step is one that it hears of. */
static int step_because(struct move *m, enum handoff_event ev, const char *why, struct err *e)
{
	int r;

	m->given_up_because = why;
	r = attempt_step(&m->a, ev, HO_NONE, e);
	m->given_up_because = NULL;
	return r;
}

int move_abort(struct move *m, const char *why, struct err *e)
{
	return step_because(m, EV_ABORT, why, e);
}

int move_qemu_dead(struct move *m, const char *why, struct err *e)
{
	return step_because(m, EV_QEMU_DEAD, why, e);
}

/* Its monitor's end may come after COMMIT. It has never run the guest: NOVM, where START would be undecided for ever. */
static bool died_unstarted(const struct move *m)
{
	return m->a.handoff.state == HO_DST_PREPARED && m->a.handoff.qemu_alive &&
	       !qemu_is_alive(m->qemu.pid, m->qemu.start_time);
}

/* Promised in an earlier life, and somebody has started it since, while no agent looked. If the source has not given the guest
 * up, both may be alive, and which is to stay is not ours to say. */
static bool runs_unasked(struct move *m, enum handoff_state peer)
{
	return m->a.handoff.state == HO_DST_PREPARED && m->a.handoff.restarted && m->a.handoff.qemu_alive && peer != HO_SRC_COMMITTED &&
	       peer != HO_SRC_RELEASED && run_state(m) == RUNS;
}

static void leave_undecided(struct move *m)
{
	tell_state(m, "the guest runs at the destination though it was never handed over: somebody resumed it there (cont) while no agent of "
		      "vmferry ran. End whichever copy is not to live, then recover again", true);
	m->a.exit_code = EXIT_UNDECIDED;
	conductor_finish(&m->a.con);
}

/* The source says whether the guest is to run: one that was paused, or has stopped by itself, stays so. */
static void note_run_state(struct move *m, json_t *detail)
{
	json_t *paused = json_object_get(detail, "paused");
	struct err e;

	if (!json_is_boolean(paused) || !m->a.journal || !m->description)
		return;
	json_object_set(m->description, "paused", paused);
	if (journal_note(m->a.journal, "paused", detail, &e))
		log_error("%s", e.msg);
}

static int answer_unknown(struct move *m)
{
	m->a.handoff.state = HO_NONE;
	tell_state(m, NULL, false);
	conductor_finish(&m->a.con);
	return 0;
}

/* The journal of an earlier life, if there is one. */
static int take_up(struct move *m, const uint8_t attempt[ATTEMPT_ID_LEN], struct err *e)
{
	uint64_t until = now_ns() + BUSY_MS * 1000000ULL;
	char id[2 * ATTEMPT_ID_LEN + 1];
	AUTO_FREE char *path = NULL;
	int r;

	memcpy(m->a.id, attempt, sizeof(m->a.id));
	path = xasprintf("%s/%s-dst.journal", m->cfg->state_dir, attempt_id_format(m->a.id, id));
	/* the session that held it may not have noticed yet that its source is gone */
	do
		r = move_restore(m, path, e);
	while (r == -EBUSY && now_ns() < until && !loop_step(m->a.loop, BUSY_PAUSE_MS, e));
	/* only one that is not there was finished: of any other the source must not hear that it is forgotten */
	return r == -ENOENT && !m->a.handing_off && !access(m->cfg->state_dir, R_OK | X_OK) ? 0 : r;
}

/* A HANDOFF message; before anything was described it asks for the journal of an earlier life. */
int move_on_handoff(struct move *m, const struct event *ev, struct err *e)
{
	uint8_t attempt[ATTEMPT_ID_LEN];
	unsigned peer;
	json_t *detail = NULL;
	struct err why;
	int r = handoff_message_take(ev->bytes, ev->n, attempt, &peer, &detail, e);

	if (!r && !m->a.handing_off)
		r = take_up(m, attempt, e);
	if (!r && !m->a.journal) {
		r = answer_unknown(m);
	} else if (!r && memcmp(attempt, m->a.id, sizeof(attempt))) {
		r = err_set(e, EPROTO, "HANDOFF of another attempt");
	} else if (!r) {
		note_run_state(m, detail);
		if (died_unstarted(m) && move_qemu_dead(m, "the destination QEMU ended", &why))
			log_error("hand-off: %s", why.msg);
		if (runs_unasked(m, (enum handoff_state)peer))
			leave_undecided(m);
		else if (attempt_step(&m->a, EV_PEER, (enum handoff_state)peer, &why))
			log_error("hand-off: %s", why.msg); /* changes nothing */
	}
	json_decref(detail);
	return r;
}

/* ---- an earlier life ---- */

/* There is none that the journal does not know of. */
static void find_qemu_again(struct move *m)
{
	const json_t *note = journal_last_note(m->a.journal, "qemu");
	const char *then = json_string_value(json_object_get(journal_begin(m->a.journal), "boot_id"));
	pid_t pid = (pid_t)json_integer_value(json_object_get(note, "pid"));
	uint64_t start = (uint64_t)json_integer_value(json_object_get(note, "start_time"));
	AUTO_FREE char *now = boot_id();
	struct err e;

	if (!then || !now || strcmp(then, now) || !qemu_is_alive(pid, start))
		return;
	m->qemu = (struct qemu_proc){.pid = pid, .pidfd = -1, .start_time = start};
	if (qmp_open(&m->qmp, m->a.loop, m->qmp_path, STATUS_MS, &conductor_qmp, &m->a.con, &e)) {
		m->qmp = NULL;
		log_info("QEMU of an earlier life: %s", e.msg);
	}
}

int move_restore(struct move *m, const char *journal_path, struct err *e)
{
	const json_t *begin, *settings, *note;
	int r = attempt_open(&m->a, journal_path, e);

	if (r)
		return r;
	begin = journal_begin(m->a.journal);
	m->qmp_path = xstrdup(json_string_value(json_object_get(begin, "qmp")) ?: "");
	settings = journal_last_note(m->a.journal, "settings");
	m->settings = settings ? json_deep_copy(settings) : NULL;
	note = journal_last_note(m->a.journal, "paused");
	m->description = json_pack("{s:b}", "paused", json_is_true(json_object_get(note ? note : begin, "paused")));
	m->name = xstrdup(json_string_value(json_object_get(begin, "guest")) ?: "?");
	if (!m->a.over)
		find_qemu_again(m);
	r = handoff_restore(&m->a.handoff, HO_DESTINATION, journal_last_state(m->a.journal), m->qemu.pid > 0);
	if (r)
		return err_set(e, EBADMSG, "the journal %s is in no state of a destination", journal_path);
	return attempt_step(&m->a, EV_RECOVER, HO_NONE, e);
}
