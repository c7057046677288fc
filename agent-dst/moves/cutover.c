/*
 * cutover.c: who has the guest, and when that changes: carries out what the hand-off machine decides at the destination, in this life or a
 * later one.
 */
#include "arriving-transfer.h"
#include "exit-code.h"
#include "json-message.h"
#include "json-text.h"
#include "log.h"
#include "monitors.h"
#include "process.h"
#include "qemu-settings.h"
#include "taken-over.h"
#include "urgent.h"
#include "util.h"
#include "words.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CONT_TRIES     3
#define CONT_PAUSE_MS  100
#define BUSY_MS	       20000
#define ASK_TRIES      20
#define ASK_PAUSE_MS   500
#define DYING_MS       1000
#define DYING_PAUSE_MS 5
#define GONE_ON	       "gone-on" /* journal entry */

static struct transfer *transfer_of(struct attempt *a)
{
	return container_of(a, struct transfer, a);
}

/* True if the guest was started here. Only the attempt's journal names its QEMU then. */
static bool has_begun(const struct transfer *t)
{
	return t->recipe && t->a.journal && strcmp(t->recipe->how, "cold") &&
	       (t->a.handoff.state == HO_DST_STARTED || t->a.handoff.state == HO_DST_DONE);
}

/* True if QEMU has ended. A QEMU whose monitor has closed may take a moment. After a restart only a live QEMU has its pid noted here. */
static bool has_ended(const struct transfer *t)
{
	uint64_t until = now_ns() + DYING_MS * 1000000ULL;
	const struct qemu_proc *q = &t->target.qemu;

	while (!t->a.handoff.qemu_alive && q->pid > 0 && qemu_is_alive(q->pid, q->start_time) && now_ns() < until)
		poll(NULL, 0, DYING_PAUSE_MS);
	return q->pid > 0 ? !qemu_is_alive(q->pid, q->start_time) : !t->a.handoff.qemu_alive;
}

/* undecided: no agent here will ever know more, so that the source need not ask again. */
static void tell_state(struct transfer *t, const char *error, bool undecided)
{
	json_t *detail;

	if (!attempt_can_tell(&t->a))
		return;
	detail = json_pack("{s:s*,s:b,s:I,s:f,s:f}", "error", error, "undecided", undecided, "rss_anon", (json_int_t)t->a.rss_anon_max,
			   "load_ms", t->ram.loaded_ns ? (double)(t->ram.loaded_ns - t->data.complete_ns) / 1e6 : 0.0, "start_ms",
			   t->start.ns ? (double)(t->start.ns - t->start.cont_ns) / 1e6 : 0.0);
	json_object_set_new(detail, "noted_ms", json_real((double)t->start.noted_ns / 1e6));
	if (t->domain.taking_over_ns)
		json_object_set_new(detail, "take_over_ms", json_real((double)t->domain.taking_over_ns / 1e6));
	if (t->start.ns)
		json_object_set_new(detail, "runs_ms", json_real((double)(now_ns() - t->start.ns) / 1e6));
	/* the kernel's workers do nothing for us but what is slow with files */
	json_object_set_new(detail, "cpu_s", cpu_meter_json(&t->a.cpu_used, cpu_stages_destination, t->disks.count ? CPU_DISK : CPU_OTHER));
	if (t->target.qemu.pid > 0)
		json_object_set_new(detail, "pid", json_integer(t->target.qemu.pid));
	if (has_begun(t))
		json_object_set_new(detail, "ended", json_boolean(has_ended(t)));
	parts_tell(&t->parts, TELL_RESULT, detail);
	if (json_array_size(t->a.leftovers) + json_array_size(t->a.kept)) {
		json_t *left = json_copy(t->a.leftovers);

		json_array_extend(left, t->a.kept);
		json_object_set_new(detail, "leftovers", left);
		json_object_set_new(detail, "kept", json_integer((json_int_t)json_array_size(t->a.kept)));
	}
	handoff_message_send(t->a.control, t->a.id, t->a.handoff.state, detail);
}

int cutover_ask_libvirt(struct transfer *t, cutover_asks ask, enum handoff_event *what, struct err *why)
{
	struct err ignored;
	int r = ask(t, what, why);

	for (unsigned tries = 0; r && tries < ASK_TRIES; tries++) {
		if (!tries)
			tell_state(t, why->msg, false);
		loop_step(t->a.loop, ASK_PAUSE_MS, &ignored);
		*why = (struct err){.code = 0};
		r = ask(t, what, why);
	}
	return r;
}

int cutover_send_state(struct attempt *a, struct err *e)
{
	struct transfer *t = transfer_of(a);

	(void)e;
	tell_state(t, t->given_up_because, a->to_be_undecided);
	return 0;
}

/* The guest may have run in an earlier life of the agent, and written to the disks itself: nobody here knows. */
static void say_that_it_stands(const struct transfer *t, struct err *e)
{
	if (t->a.handoff.restarted)
		err_prefix(
			e,
			"an earlier agent told QEMU %d there to run the guest, which stands now: if it has run, let it go on (QMP cont at "
			"%s) and "
			"recover again. If not",
			(int)t->target.qemu.pid, t->target.qmp_path ?: "its monitor");
}

/*
 * The only `cont` this agent ever sends, after START is durable. A guest that was paused stays so: not sending it is its
 * start. Only a clear refusal, more than once, of a guest that stands and never resumed counts as "never ran"; where
 * it cannot be told, -EAGAIN.
 */
static int start_guest(struct transfer *t, enum handoff_event *out, struct err *e)
{
	enum run_state state = UNKNOWN;
	int r;

	*out = EV_CONT_OK;
	t->start.cont_ns = now_ns();
	if (t->a.handoff.restarted && target_run_state(&t->target) == RUNS)
		return taken_over_raise(&t->point, t->target.qemu.pid, t->target.qemu.start_time, e) ? -EAGAIN : 0;
	if (disks_shared_unwritten(&t->disks, e) || disks_by_word_watched(&t->disks, e) ||
	    taken_over_raise(&t->point, t->target.qemu.pid, t->target.qemu.start_time, e)) {
		say_that_it_stands(t, e);
		*out = EV_CONT_FAILED_NEVER_RAN;
		return 0;
	}
	disks_unlock(&t->disks); /* QEMU has not taken its locks yet, as long as some of ours stay */
	if (target_is_paused(&t->target))
		return 0;
	for (unsigned try = 0; try < CONT_TRIES && t->target.qmp && qmp_alive(t->target.qmp); try++) {
		t->start.cont_is_sent = true;
		r = qmp_call(t->target.qmp, "cont", NULL, NULL, e);
		/* a `cont` may be taken, and come to nothing */
		state = !r && conductor_has_qmp(&t->a.con, "RESUME") ? RUNS : target_run_state(&t->target);
		if (state == RUNS || conductor_has_qmp(&t->a.con, "RESUME")) {
			t->start.ns = now_ns();
			return 0;
		}
		if (r != -EREMOTEIO)
			state = UNKNOWN;
		loop_step(t->a.loop, CONT_PAUSE_MS, e);
	}
	if (state == STANDS && t->target.qmp && qmp_alive(t->target.qmp)) {
		*out = EV_CONT_FAILED_NEVER_RAN;
		return 0;
	}
	if (!qemu_is_alive(t->target.qemu.pid, t->target.qemu.start_time)) {
		*out = EV_QEMU_DEAD;
		return 0;
	}
	return err_set(e, EAGAIN, "the destination QEMU does not say whether the guest runs");
}

static int end_qemu(struct attempt *a, struct err *e)
{
	int r = target_end_qemu(&transfer_of(a)->target, e);

	return r ? attempt_die(a, r) : 0;
}

/* The guest was migrated away by somebody since it came, or shut down. */
static bool has_gone_on(const struct transfer *t)
{
	return json_is_true(json_object_get(journal_last_note(t->a.journal, GONE_ON), "yes"));
}

/* Publishes what starts the guest here again: its definition, or its script or unit. */
static void settle(struct transfer *t)
{
	if (t->recipe->owner)
		definition_settle(&t->definition);
	else
		startup_settle(&t->startup, has_gone_on(t));
}

int cutover_remove_scaffolding(struct attempt *a, struct err *ignored)
{
	struct transfer *t = transfer_of(a);
	bool keep = a->handoff.state == HO_DST_DONE, settings_stay;
	struct err e;

	(void)ignored;
	ram_stop_feeding(&t->ram);
	disks_stop(&t->disks);
	data_plane_stop(&t->data);
	disks_close_images(&t->disks, !keep);
	settings_stay = keep && t->target.qmp && t->target.settings && settings_restore(t->target.qmp, t->target.settings, &e);
	if (keep && !t->a.over)
		settle(t);
	transfer_undo(t, keep);
	if (keep)
		partials_remove(&t->target, t->disks.state_dir);
	/* the file system may have room for the state now */
	if (a->handoff.state == HO_DST_ABORTED && journal_last_state(a->journal) == HO_DST_BEGUN &&
	    journal_state(a->journal, HO_DST_ABORTED, &e))
		attempt_add_leftover(a,
				     xasprintf("at the destination: the journal of this move: %s; vmferry-dst settles it when it is next "
					       "started there and can write to it",
					       e.msg));
	if (settings_stay)
		attempt_add_leftover(
			a, xasprintf("at the destination: settings of migration in the guest's QEMU (process %d), which goes on with "
				     "those of this move: %s",
				     (int)t->target.qemu.pid, e.msg));
	return 0;
}

int cutover_keep_disks(struct transfer *t, struct err *e)
{
	int r = taken_over_raise(&t->point, 0, 0, e);

	if (r)
		return r;
	settle(t);
	transfer_undo(t, true);
	attempt_finish(&t->a);
	return 0;
}

int cutover_step(struct transfer *t, enum handoff_event ev, const char *why, struct err *e)
{
	int r;

	t->given_up_because = why;
	r = attempt_step(&t->a, ev, HO_NONE, e);
	t->given_up_because = NULL;
	return r;
}

static int cont_destination(struct attempt *a, struct err *e)
{
	struct err why = {.code = 0};
	enum handoff_event what;
	int r = start_guest(transfer_of(a), &what, &why);

	if (why.code)
		log_error("starting the guest: %s", why.msg);
	if (!r)
		return cutover_step(transfer_of(a), what, why.code && what != EV_CONT_OK ? why.msg : NULL, e);
	*e = why;
	return attempt_die(a, r);
}

/*
 * The journal does not take a state (its file system is full, perhaps by the disks that arrived, or was made read-only). BEGUN is what it
 * holds, and of that every life makes ABORTED: what is here is undone without. PREPARED, of which nothing can be there, has not happened.
 */
int cutover_not_noted(struct attempt *a, enum handoff_state before, struct err *e)
{
	if (before != HO_DST_BEGUN)
		return -e->code;
	if (a->handoff.state == HO_DST_ABORTED)
		return 0;
	if (!journal_refused(a->journal))
		return -e->code;
	handoff_not_noted(&a->handoff, before);
	return 1;
}

void cutover_entered(struct attempt *a)
{
	if (a->handoff.state == HO_DST_PREPARED)
		conductor_goto(&a->con, ST_COMMIT);
	if (a->handoff.state == HO_DST_STARTED || a->handoff.state == HO_DST_ABORTED) {
		urgent_end();
		turn_end(transfer_of(a));
	}
	if (a->handoff.state == HO_DST_PREPARED || a->handoff.state == HO_DST_START)
		transfer_of(a)->start.noted_ns += a->noted_ns;
}

/* Hands the guest to its user. A revertible guest gets only its monitors back; what starts it again is published once it is to stay. */
static void give_to_user(struct transfer *t)
{
	if (target_is_revertible(&t->target))
		monitors_give_back(&t->target);
	else
		settle(t);
}

void cutover_carried_out(struct attempt *a, bool has_entered)
{
	struct err ignored;

	(void)has_entered;
	if (a->undecided)
		log_error("attempt is undecided in %s: only a person can decide (vmferry recover)", handoff_state_name(a->handoff.state));
	if (a->handoff.state != HO_DST_STARTED)
		return;
	loop_step(a->loop, 0, &ignored); /* the source hears of it before give_to_user(), which takes a moment */
	give_to_user(transfer_of(a));
}

const struct attempt_ops live_cutover = {
	.act = {[ACT_SEND_STATE] = cutover_send_state,
		[ACT_CONT_DESTINATION] = cont_destination,
		[ACT_END_DESTINATION_QEMU] = end_qemu,
		[ACT_REMOVE_SCAFFOLDING] = cutover_remove_scaffolding},
	.entered = cutover_entered,
	.not_noted = cutover_not_noted,
	.carried_out = cutover_carried_out,
	.undo = transfer_undo_one,
	.left_behind = transfer_left_behind,
};

int cutover_abort(struct transfer *t, const char *why, struct err *e)
{
	return cutover_step(t, EV_ABORT, why, e);
}

int cutover_qemu_dead(struct transfer *t, const char *why, struct err *e)
{
	return cutover_step(t, EV_QEMU_DEAD, why, e);
}

/* True if QEMU died before the guest was started. Its monitor may close after COMMIT has come: as it never ran the guest the state is NOVM,
 * where START would stay undecided for ever. */
static bool died_unstarted(const struct transfer *t)
{
	return t->a.handoff.state == HO_DST_PREPARED && t->a.handoff.qemu_alive && !t->recipe->can_run(t);
}

/* Promised in an earlier life, and somebody has started it since, while no agent looked. If the source has not given the guest
 * up, both may be alive, and which is to stay is not ours to say. */
static bool runs_unasked(struct transfer *t, enum handoff_state peer)
{
	return t->a.handoff.state == HO_DST_PREPARED && t->a.handoff.restarted && t->a.handoff.qemu_alive && peer != HO_SRC_COMMITTED &&
	       peer != HO_SRC_RELEASED && target_run_state(&t->target) == RUNS;
}

static void leave_undecided(struct transfer *t)
{
	tell_state(
		t,
		"the guest runs at the destination though it was never handed over: another client resumed it there (cont) while no agent "
		"of vmferry ran. End the copy that is not to live, then recover again",
		true);
	t->a.exit_code = EXIT_UNDECIDED;
	conductor_finish(&t->a.con);
}

/*
 * The source says whether the guest is to run: one that was paused, or has stopped by itself, stays so. And whether the guest was lost
 * there. Only what is news is noted: the guest stands still meanwhile.
 */
static void note_run_state(struct transfer *t, json_t *detail)
{
	json_t *paused = json_object_get(detail, "paused");
	bool lost = json_is_true(json_object_get(detail, "lost"));
	const json_t *known;
	json_auto_t *said = NULL;
	struct err e;

	if (!json_is_boolean(paused) || !t->a.journal || !t->target.description)
		return;
	json_object_set(t->target.description, "paused", paused);
	/* the journal's beginning says it first, and there it is not lost */
	known = journal_last_note(t->a.journal, "paused") ?: journal_begin(t->a.journal);
	if (json_is_true(json_object_get(known, "paused")) == json_is_true(paused) && json_is_true(json_object_get(known, "lost")) == lost)
		return;
	said = json_pack("{s:O,s:b}", "paused", paused, "lost", lost);
	if (journal_note(t->a.journal, "paused", said, &e))
		log_error("%s", e.msg);
}

static char *journal_path_of(const struct transfer *t)
{
	char id[2 * ATTEMPT_ID_LEN + 1];

	return xasprintf("%s/%s-dst.journal", t->cfg->state_dir, attempt_id_format(t->a.id, id));
}

/* Finished, and kept for a while: DONE, the guest is here. Its source may have been down when a person had it started; to one that asks
 * what became of it, it is told that it never was, too. One that is there and cannot be read is not one that is forgotten: -errno. */
static int what_was(const char *journal_path, enum handoff_state peer, enum handoff_state *out, struct err *e)
{
	enum handoff_state was;
	struct journal *j;
	bool disks_kept;
	int r = journal_look_finished(&j, journal_path, e);

	*out = HO_NONE;
	if (r)
		return r == -ENOENT ? 0 : err_prefix(e, "cannot tell what became of that move here, where its guest may run");
	was = journal_last_state(j);
	/* a person has had its disks kept here, to be started from; but of one that is shut down it was they that were lost */
	disks_kept = was == HO_DST_NOVM && peer == HO_SRC_BEGUN && strcmp(json_text(journal_begin(j), "how") ?: "live", "cold");
	journal_close(j);
	if (was == HO_DST_DONE || disks_kept)
		*out = HO_DST_DONE;
	else if (peer == HO_SRC_BEGUN &&
		 (was == HO_DST_ABORTED || was == HO_DST_BEGUN)) /* BEGUN: it took nothing more (cutover_not_noted) */
		*out = HO_DST_ABORTED;
	return 0;
}

static void note_gone_on(struct transfer *t, bool goes)
{
	json_auto_t *note = NULL;
	struct err e;

	if (t->a.handoff.state != HO_DST_STARTED || !target_is_revertible(&t->target) || has_gone_on(t) == goes)
		return;
	note = json_pack("{s:b}", "yes", goes);
	if (journal_note(t->a.journal, GONE_ON, note, &e))
		log_error("%s", e.msg);
}

/* Notes that a revertible guest may have gone elsewhere: if another client migrates or saves it, it may go on there after its QEMU has
 * ended. A guest that resumes here, or whose migration failed, has not. */
void cutover_on_qemu(struct transfer *t, const struct event *ev)
{
	static const char *const stays[] = {"failed", "cancelling", "cancelled", NULL};
	const char *status = !strcmp(ev->name, "MIGRATION") ? json_text(ev->json, "status") : NULL;
	enum run_state state;

	if (status) {
		note_gone_on(t, word_index(stays, status) < 0);
	} else if (!strcmp(ev->name, "SHUTDOWN")) { /* the guest's images may be taken anywhere from now on */
		note_gone_on(t, true);
	} else if (!strcmp(ev->name, "RESUME")) {
		note_gone_on(t, false);
	} else if (!strcmp(ev->name, "STOP") && t->a.handoff.state == HO_DST_STARTED) {
		state = target_run_state(&t->target);
		if (state == MIGRATED || state == UNKNOWN)
			note_gone_on(t, true);
	}
}

/* `virsh migrate` takes a guest away in one command, and libvirt forgets it with its QEMU. */
static bool has_missed_how(const struct transfer *t)
{
	return t->target.libvirt.domain && (t->a.handoff.restarted || !domain_has_heard(&t->domain));
}

/* The guest is being taken elsewhere, or was: libvirt says of one that it runs while its memory goes. An event that came just now is not
 * noted yet. */
static bool is_going_on(const struct transfer *t, bool ended)
{
	const struct conductor *c = &t->a.con;

	return has_gone_on(t) || conductor_has_qmp(c, "MIGRATION") || conductor_has_qmp(c, "SHUTDOWN") ||
	       (ended && conductor_has_qmp(c, "STOP"));
}

/* Refuses to give the guest back if another host may run it: a guest that migrated on from here would then run twice. A QEMU that hangs has
 * not begun to migrate, if we have read all its events. */
static int may_not_revert(struct transfer *t, struct err *e)
{
	enum run_state state;
	bool ended, heard = t->target.qmp && !t->a.handoff.restarted;

	if (!target_is_revertible(&t->target))
		return err_set(e, EPERM, "it was to stay here");
	if (t->a.handoff.state != HO_DST_STARTED)
		return 0;
	if (t->target.libvirt.domain && domain_hear_out(&t->domain, e))
		return -e->code;
	ended = has_ended(t);
	if (ended && has_missed_how(t))
		return err_set(
			e, EBUSY,
			"the guest's QEMU at the destination (process %d) has ended while libvirt or vmferry there was away, so we cannot "
			"tell whether the guest was migrated away. If it was not, take it back: vmferry recover --peer-is-fenced",
			(int)t->target.qemu.pid);
	state = ended ? UNKNOWN : target_run_state(&t->target);
	if (state == MIGRATED || is_going_on(t, ended))
		return err_set(
			e, EBUSY,
			"the guest was migrated away from the destination by another client, or is about to be, or shut down there: it may "
			"run elsewhere. If it does not, end its QEMU there, then take it back: vmferry recover --peer-is-fenced");
	if (!ended && state == UNKNOWN && !heard)
		return err_set(
			e, EBUSY,
			"the guest's QEMU at the destination (process %d) does not say whether the guest was migrated away. If it was "
			"not, end it (by SIGKILL), and have the guest back by vmferry recover --peer-is-fenced",
			(int)t->target.qemu.pid);
	if (ended && disks_are_nobody_else_s(&t->disks, e))
		return err_prefix(e, "the guest's QEMU at the destination has ended, and the guest may have been started again");
	if (ended && !disks_have_their_names(&t->disks))
		return err_set(
			e, EBUSY,
			"the guest's QEMU at the destination has ended, and its images there have other names: the guest may have been "
			"started again");
	return 0;
}

static int answer_without_journal(struct transfer *t, enum handoff_state peer, struct err *e)
{
	AUTO_FREE char *path = journal_path_of(t);
	enum handoff_state was;

	if (what_was(path, peer, &was, e))
		return -e->code;
	t->a.handoff.state = was;
	tell_state(t, NULL, false);
	conductor_finish(&t->a.con);
	return 0;
}

/* The journal of an earlier life, if there is one. */
static int take_up(struct transfer *t, const uint8_t attempt[ATTEMPT_ID_LEN], struct err *e)
{
	AUTO_FREE char *path = NULL;
	int r;

	memcpy(t->a.id, attempt, sizeof(t->a.id));
	ticket_sweep(t->cfg->runtime_dir, "in"); /* removes the dead agent's ticket, before the source hears that all is settled */
	path = journal_path_of(t);
	/* the session that holds it may not have noticed yet that its source is gone */
	r = transfer_restore_from_others(t, path, BUSY_MS, e);
	if (!r)
		outage_watch(&t->outage);
	/* success only if the guest is not here: of any other guest the source must not hear that the attempt is forgotten */
	return r == -ENOENT && !t->a.handing_off && !access(t->cfg->state_dir, R_OK | X_OK) ? 0 : r;
}

/* A HANDOFF message; before anything was described it asks for the journal of an earlier life. */
int cutover_on_handoff(struct transfer *t, const struct event *ev, struct err *e)
{
	uint8_t attempt[ATTEMPT_ID_LEN];
	unsigned peer;
	json_auto_t *detail = NULL;
	struct err why;
	int r = handoff_message_take(ev->bytes, ev->n, attempt, &peer, &detail, e);

	if (!r && !t->a.handing_off && t->a.con.stage != ST_CONNECT)
		r = err_set(e, EPROTO, "HANDOFF in a session that is about a move of which nothing is promised yet");
	if (!r) /* the wish is taken before the journal, which may end an attempt */
		t->target.drop_partial = !json_is_true(json_object_get(detail, "keep"));
	if (!r && !t->a.handing_off)
		r = take_up(t, attempt, e);
	if (!r && t->a.handoff.state == HO_DST_NOVM && target_is_revertible(&t->target)) /* the guest has run on them */
		t->target.drop_partial = true;
	if (!r && !t->a.journal) {
		r = answer_without_journal(t, (enum handoff_state)peer, e);
	} else if (!r && memcmp(attempt, t->a.id, sizeof(attempt))) {
		r = err_set(e, EPROTO, "HANDOFF of another attempt");
	} else if (!r && peer == HO_SRC_REVERTING && may_not_revert(t, &why)) {
		domain_go_on(&t->domain);
		log_error("the source wants the guest back: %s", why.msg);
		tell_state(t, why.msg, true);
	} else if (!r) {
		note_run_state(t, detail);
		if (died_unstarted(t) && cutover_qemu_dead(t, t->recipe->lost, &why))
			log_error("hand-off: %s", why.msg);
		if (runs_unasked(t, (enum handoff_state)peer))
			leave_undecided(t);
		else if (attempt_step(&t->a, EV_PEER, (enum handoff_state)peer, &why))
			log_error("hand-off: %s", why.msg); /* changes nothing */
		if (t->a.handoff.state == HO_DST_STARTED)
			domain_go_on(&t->domain);
	}
	return r;
}
