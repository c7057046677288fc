/*
 * cutover.c: who has the guest, and when that changes: carries out what the hand-off machine decides at the source, in this life or a later
 * one.
 */
#include "transfer.h"
#include "exit-code.h"
#include "fault.h"
#include "image-mark.h"
#include "json-message.h"
#include "json-text.h"
#include "log.h"
#include "process.h"
#include "qemu-migration.h"
#include "urgent.h"
#include "util.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CANCEL_MS      15000
#define HOLD_MS	       5000
#define LET_GO_MS      5000
#define END_MS	       10000
#define END_MS_PER_GIB 500
#define CLEAN_MS       60000 /* time for the destination to say that it is clean */

static struct transfer *transfer_of(struct attempt *a)
{
	return container_of(a, struct transfer, a);
}

/* A later move may use partial disks. A cancelled move drops them, except disks that were partial before it. */
bool cutover_keeps_partial(const struct transfer *t)
{
	const struct keep_options *keep = &t->opt->disks.keep;
	bool drops = t->end.user_cancelled && !t->src.traits.stays_here && !disks_have_begun(&t->disks);

	return t->entry == &entry_recover ? keep->resumes : keep->partial_s && !drops;
}

int cutover_send_state(struct attempt *a, struct err *e)
{
	struct transfer *t = transfer_of(a);

	(void)e;
	if (!attempt_can_tell(a))
		return 0;
	handoff_message_send(a->control, a->id, a->handoff.state,
			     json_pack("{s:b,s:s*,s:b,s:b}", "paused", t->src.run.paused, "error", t->end.why.code ? t->end.why.msg : NULL,
				       "keep", cutover_keeps_partial(t), "lost", a->handoff.restarted && !a->handoff.qemu_alive));
	return 0;
}

/* However ABORTED was reached: no stage goes on, and the destination has so long to say that it is clean. */
static void leave_stages(struct transfer *t)
{
	conductor_tick(&t->a.con, 0);
	loop_timer_set(t->a.loop, &t->end.patience, CLEAN_MS);
	conductor_goto(&t->a.con, ST_RELEASE);
}

/* ---- taking the guest back ---- */

int cutover_open_monitor_again(struct source *s, struct err *e)
{
	if (s->qmp && qmp_alive(s->qmp))
		return 0;
	qmp_close(s->qmp);
	s->qmp = NULL;
	if (source_open_monitor(s, e))
		return err_prefix(e, "the source QEMU cannot be told to go on; if the guest is paused there, resume it (QMP cont)");
	return 0;
}

/* QEMU is asked a second time if it did not answer: it may have been hung or busy for a while. */
static int ask_how_it_is(struct source *s, char state[32], uint64_t until, struct err *e)
{
	int r = source_run_state(s, state, until, e);

	return r && qmp_alive(s->qmp) ? source_run_state(s, state, until, e) : r;
}

/* The guest's state afterwards decides, not QEMU's answer to `cont`. */
static int set_going(struct source *s, uint64_t until, struct err *e)
{
	struct err ignored;
	char state[32];
	int r = qmp_call(s->qmp, "cont", NULL, NULL, e);

	if (!r || (qmp_alive(s->qmp) && !ask_how_it_is(s, state, until, &ignored) && source_runs(state)))
		return 0;
	return err_prefix(e, "the guest is paused at the source");
}

/*
 * A migration that fails or is cancelled sets the guest going again, and only one that was completed leaves that to us. Whatever
 * else keeps the guest from running is not our doing, and not ours to end.
 */
int live_take_back(struct transfer *t, struct err *e)
{
	uint64_t until = now_ns() + CANCEL_MS * 1000000ULL;
	struct source *s = &t->src;
	bool was_completed, is_left_so;
	char state[32];
	int r;

	ram_read_away_when_set_up(&t->ram);
	r = cutover_open_monitor_again(s, e);
	images_let_complete(t, r, until);
	r = r ?: ram_cancel(&t->ram, until, e);
	ram_close_connections(&t->ram);
	r = r ?: ask_how_it_is(s, state, until, e);
	t->end.silent = r != 0;
	if (r || source_runs(state))
		return r;
	if (!strcmp(state, "shutdown")) { /* nobody's doing but the guest's, whether its end was heard or not */
		s->end.has_shut_down = s->end.stays_shut = true;
		return 0;
	}
	is_left_so = !strcmp(state, "postmigrate");
	was_completed = qemu_migrated_away(s->qmp, state);
	if (was_completed && (!s->migrating || s->cannot_be_complete)) {
		t->end.migrated_away = true;
		return err_set(e, ECANCELED, MIGRATED_AWAY);
	}
	t->end.stands_migrated = s->run.paused && is_left_so;
	if (s->run.paused) /* a person's `cont` opens its disks then */
		return t->end.stands_migrated ? images_are_there(t, e) : 0;
	if (!was_completed && !(s->run.stopped && (is_left_so || !strcmp(state, "paused"))))
		return err_set(e, ECANCELED, "the guest was stopped at the source by another client, or by itself (QEMU says: %s)", state);
	/* a QEMU that cannot lock its disks again goes on all the same, and ends at its first write */
	r = !is_left_so ? 0 : images_are_there(t, e) ?: shared_disks_let_go(t, LET_GO_MS, e);
	return r ?: set_going(s, until, e);
}

/*
 * After SIGSTOP no client's `cont` reaches QEMU, and an earlier `cont` is known by its RESUME event, which QEMU sends before the guest
 * runs. In BEGUN a guest that was resumed is still the source's, and is taken back.
 */
static int hold_qemu(struct attempt *a, struct err *e)
{
	struct transfer *t = transfer_of(a);
	int unheard, r = process_hold(t->src.guest.pid, t->src.guest.start_time, HOLD_MS, e);

	disk_locks_take(t);
	if (r || t->a.handoff.state != HO_SRC_BEGUN)
		return r;
	fault_point("src-held");
	unheard = qmp_drain(t->src.qmp, e);
	if (conductor_has_qmp(&t->a.con, "RESUME"))
		return err_set(e, ECANCELED, RESUMED_BY_SOMEBODY);
	if (!qmp_alive(t->src.qmp)) /* QEMU's end is the next event */
		return 0;
	if (unheard)
		return err_prefix(e, "cannot tell whether another client resumed the guest at the source meanwhile");
	return definition_stays_aside(&t->around.definition, e) ?: shared_disks_note_held(t, e) ?: attempt_step(&t->a, EV_QEMU_HELD, HO_NONE, e);
}

/* Ends the QEMU only if it stands as we left it: one that goes on again may be the only copy that does. */
static int end_qemu(struct transfer *t, struct err *e)
{
	int r;

	qmp_close(t->src.qmp); /* closing takes a moment, so it precedes the check */
	t->src.qmp = NULL;
	if (qemu_is_alive(t->src.guest.pid, t->src.guest.start_time) && !process_is_held(t->src.guest.pid, t->src.guest.start_time))
		return err_set(
			e, EBUSY,
			"the source QEMU (process %d) was stopped for good, and another process has resumed it (SIGCONT): both hosts may "
			"run the guest now. End the QEMU that is not to live (by SIGKILL), then run vmferry recover",
			(int)t->src.guest.pid);
	if (definition_let_go(&t->around.definition, e))
		return -e->code;
	autostart_expect_end(t->a.journal);
	/* QEMU's end takes until the kernel has freed all of its memory */
	r = process_end(t->src.guest.pid, t->src.guest.start_time,
			END_MS + (unsigned)(process_resident_bytes(t->src.guest.pid) / GIB) * END_MS_PER_GIB, e);
	if (!r)
		definition_is_gone(&t->around.definition);
	return r;
}

/* Ends the source QEMU, after its images were set aside: whatever waits for its end to start the guest again must not find them. */
static int end_source(struct attempt *a, struct err *e)
{
	struct transfer *t = transfer_of(a);
	int r = cutover_set_images_aside(t, e);

	if (r)
		err_prefix(
			e,
			"the guest runs at the destination; its QEMU here (process %d) is held, as what has started it may start it again "
			"when it "
			"ends, and",
			(int)t->src.guest.pid);
	r = r ?: end_qemu(t, e);

	if (!r) {
		disk_locks_drop(t); /* a client that starts the guest again from now on does so at once, and is seen */
		t->end.qemu_ended_ns = now_ns();
		guest_remove_attached(&t->src.guest);
		return 0;
	}
	t->end.why = *e;
	return attempt_die(a, r);
}

static bool may_run_its_disks(pid_t pid, const void *ctx)
{
	const struct transfer *t = ctx;
	json_t *path;
	bool yes = false;
	size_t i;

	json_array_foreach(t->src.disk_paths, i, path) {
		AUTO_FREE char *now = aside_path(&t->around.aside, json_string_value(path));

		yes = yes || (pid != t->src.guest.pid && process_may_run_from(pid, now));
	}
	return yes;
}

/* *pid: 0: none. -errno: that cannot be told. */
static int qemu_with_its_disks(const struct transfer *t, pid_t *pid, struct err *e)
{
	AUTO_FREE struct guest *list = NULL;
	size_t n, i;
	int r = guest_list_of(&list, &n, may_run_its_disks, t, e);

	*pid = n ? list[0].pid : 0;
	for (i = 0; i < n; i++)
		guest_fini(&list[i]);
	return r;
}

void cutover_look_whether_it_runs_anew(struct transfer *t)
{
	struct err e;

	if (qemu_with_its_disks(t, &t->end.started_again, &e))
		log_error("cannot tell whether the guest was started here again: %s", e.msg);
}

void cutover_look_for_another(struct transfer *t)
{
	struct err why;
	int r;

	/* the disks of a move that was over in an earlier life may be another guest's by now */
	if (!json_array_size(t->src.disk_paths) || (t->a.taken_up && !t->end.qemu_ended_ns))
		return;
	r = qemu_with_its_disks(t, &t->end.started_again, &why);
	if (!r && !t->end.started_again)
		return;
	t->a.undecided = true;
	if (r) {
		err_set(&t->end.why, EBUSY,
			"the guest was handed over, and its QEMU here ended; but vmferry cannot tell whether it was started here again: "
			"%s. Look for a QEMU that has its old disks open (fuser), and end it; the one at the destination is the one that "
			"goes on",
			why.msg);
		return;
	}
	err_set(&t->end.why, EBUSY,
		"the guest was handed over, and its QEMU here ended; but QEMU %d has its old disks open here: something has started it "
		"again. "
		"End that (by SIGKILL) and what starts it; the one at the destination is the one that goes on",
		(int)t->end.started_again);
}

/* ---- the disks that stay here ---- */

/* Images that the guest's disks are based on: its memory goes on over these, too. A later life knows them by what was noted. */
static void note_bases(const struct transfer *t, json_t *written)
{
	const json_t *before = journal_last_note(t->a.journal, "disks-written");
	const struct guest *g = &t->src.guest;
	const char *path;
	json_t *then;
	size_t i, k;

	for (i = 0; i < g->disk_count; i++)
		for (k = 0; g->disks[i].real_path && transfer_has_disk(t, g->disks[i].real_path) && k < g->disks[i].chain_count; k++)
			if ((path = g->disks[i].chain[k].real_path))
				json_object_set_new(written, path, json_integer(image_write_stamp(path)));
	json_object_foreach((json_t *)before, path, then)
		if (!json_object_get(written, path))
			json_object_set_new(written, path, json_integer(image_write_stamp(path)));
}

/* Disks here are not written to once the state is COMMITTED: if they are found written later, the guest was started from them. */
int cutover_note_disks(struct transfer *t, struct err *e)
{
	json_t *written = json_object(), *path;
	size_t i;

	json_array_foreach(t->src.disk_paths, i, path) {
		AUTO_FREE char *now = aside_path(&t->around.aside, json_string_value(path));

		json_object_set_new(written, json_string_value(path), json_integer(image_write_stamp(now)));
	}
	note_bases(t, written);
	return attempt_note(&t->a, "disks-written", written, e);
}

/* Notes once that the guest is given up, and, with_disks, the state of its disks: others may have written to them by the time the source
 * commits again after a revert that was refused. */
int cutover_note_given_up(struct transfer *t, bool with_disks, struct err *e)
{
	int r;

	if (journal_last_note(t->a.journal, NOTED_GIVEN_UP))
		return 0;
	r = with_disks ? cutover_note_disks(t, e) ?: cutover_note_changes(t, e) : 0;
	return r ?: attempt_note(&t->a, NOTED_GIVEN_UP, json_object(), e);
}

/* Only a held QEMU is checked: another client has let go on one that is not held, and that writes to its disks itself. */
int cutover_held_fits_disks(const struct transfer *t, struct err *e)
{
	const struct guest *g = &t->src.guest;
	bool held = t->a.handoff.qemu_alive && process_is_held(g->pid, g->start_time);

	return held && journal_last_note(t->a.journal, NOTED_GIVEN_UP) ? cutover_memory_fits_disks(t, e) : 0;
}

/* ---- the hand-off ---- */

/*
 * The journal does not take a state (its disk is full, or was made read-only). In BEGUN, which it holds, the guest is ours whatever
 * comes: it is taken back without ABORTED on disk, and COMMITTED, of which nothing can be there, has not happened. 0: so it is.
 */
int cutover_not_noted(struct attempt *a, enum handoff_state before, struct err *e)
{
	if (before != HO_SRC_BEGUN || !a->handoff.qemu_alive || !journal_refused(a->journal))
		return -e->code;
	if (a->handoff.state == HO_SRC_ABORTED) {
		attempt_add_leftover(a, xasprintf("at the source: the journal of this move: %s; `vmferry recover %s` settles it", e->msg,
						  transfer_of(a)->src.guest.name));
		return 0;
	}
	handoff_not_noted(&a->handoff, before);
	return 1;
}

void cutover_entered(struct attempt *a)
{
	if (a->handoff.state == HO_SRC_COMMITTED)
		transfer_of(a)->blackout.noted_ns = a->noted_ns;
	if (a->handoff.state == HO_SRC_ABORTED)
		leave_stages(transfer_of(a));
	else if (a->handoff.state == HO_SRC_COMMITTED && a->con.stage != ST_COMMIT)
		conductor_goto(&a->con, ST_COMMIT);
	else if (a->handoff.state == HO_SRC_RELEASED) /* the guest runs there, and nothing waits for the rest */
		loop_timer_set(a->loop, &transfer_of(a)->end.patience, ANSWER_MS);
}

static int release_shut(struct attempt *a, struct err *e)
{
	struct transfer *t = transfer_of(a);

	(void)e;
	fault_point("src-ready");
	if (t->src.qmp) /* QEMU refuses a `cont` until it hears SHUT */
		qmp_stands(t->src.qmp);
	t->blackout.prepared_ns = now_ns();
	if (t->ram.capture && ram_release_shut(&t->ram))
		log_error("QEMU's return path is gone");
	return 0;
}

/* A guest that cannot be set going is told of, and the rest is undone all the same. */
static int cont_source(struct attempt *a, struct err *e)
{
	struct transfer *t = transfer_of(a);
	int r = shared_disks_unwritten(t, e) ?: cutover_held_fits_disks(t, e) ?: cutover_give_images_back(t, e);
	bool told = t->end.other_image;

	if (r) {
		t->end.why = *e;
		return attempt_die(a, r);
	}
	disk_locks_drop(t);
	kill(t->src.guest.pid, SIGCONT);	     /* held, or running: then it does nothing */
	loop_timer_clear(a->loop, &t->end.patience); /* patience with the destination begins anew below, when it hears of this */
	r = t->recipe->take_back(t, e);
	loop_timer_set(a->loop, &t->end.patience, CLEAN_MS);
	if (r && !source_has_ended(&t->src)) {
		if (!told)
			report_notice(&t->life.report, "%s", e->msg);
		a->exit_code = EXIT_PAUSED;
		t->end.unheard = r != -ECANCELED;
		a->unfinished = t->end.unheard && r != -EREMOTEIO; /* a refusal is final: left to a person */
	} else if (!r) { /* once: what is begun, or stopped, from now on is somebody else's doing */
		t->end.unheard = a->unfinished = false;
		a->exit_code = a->exit_code == EXIT_PAUSED ? 0 : a->exit_code;
		guard_tell(&t->guard, false);
		revert_done(t);
		shared_disks_are_ours(t);
		if (t->src.migrating && !t->end.stands_migrated)
			source_note_migration(&t->src, false, false, e);
		if (t->src.run.stopped)
			source_note_stopped(&t->src, false, e);
	}
	return 0;
}

int cutover_remove_scaffolding(struct attempt *a, struct err *e)
{
	struct transfer *t = transfer_of(a);

	(void)e;
	if (a->handoff.state == HO_SRC_ABORTED || a->handoff.state == HO_SRC_RELEASED)
		disk_locks_drop(t);
	transfer_stop_data(t);
	transfer_undo(t);
	return 0;
}

/* Sets the images aside early. end_source() tries again if this fails, and does not end the source QEMU until it succeeds. */
void cutover_set_images_aside_early(struct transfer *t)
{
	struct err e;

	if (handoff_is_given_up(&t->a.handoff) && cutover_set_images_aside(t, &e))
		log_error("%s", e.msg);
}

/* The destination was told first. */
void cutover_carried_out(struct attempt *a, bool has_entered)
{
	struct err e;

	if (has_entered && a->handoff.state == HO_SRC_COMMITTED && cutover_note_given_up(transfer_of(a), true, &e))
		log_error("%s", e.msg);
	cutover_set_images_aside_early(transfer_of(a));
}

const struct attempt_ops live_cutover = {
	.act = {[ACT_SEND_STATE] = cutover_send_state,
		[ACT_RELEASE_SHUT] = release_shut,
		[ACT_HOLD_QEMU] = hold_qemu,
		[ACT_CONT_SOURCE] = cont_source,
		[ACT_END_SOURCE_QEMU] = end_source,
		[ACT_REMOVE_SCAFFOLDING] = cutover_remove_scaffolding},
	.entered = cutover_entered,
	.not_noted = cutover_not_noted,
	.carried_out = cutover_carried_out,
	.undo = transfer_undo_one,
	.left_behind = transfer_left_behind,
};

/* Time when the guest began to run there, if it was said at at_ns that it has run for so long since. */
static uint64_t ran_since_ns(const struct transfer *t, double runs_ms, uint64_t at_ns)
{
	uint64_t earliest = MAX(t->blackout.stop_ns, t->blackout.prepared_ns);

	return runs_ms > 0 && runs_ms * 1e6 < (double)(at_ns - MIN(at_ns, earliest)) ? at_ns - (uint64_t)(runs_ms * 1e6) : at_ns;
}

static void note_peer(struct transfer *t, enum handoff_state peer, const json_t *detail, uint64_t at_ns)
{
	const char *error = json_string_value(json_object_get(detail, "error"));
	double load = json_number_value(json_object_get(detail, "load_ms"));
	double start = json_number_value(json_object_get(detail, "start_ms"));
	double taking_over = json_number_value(json_object_get(detail, "take_over_ms"));
	double noted = json_number_value(json_object_get(detail, "noted_ms"));
	double runs = json_number_value(json_object_get(detail, "runs_ms"));
	json_int_t pid = json_integer_value(json_object_get(detail, "pid"));
	uint64_t rss = (uint64_t)json_integer_value(json_object_get(detail, "rss_anon"));
	json_t *cpu = cpu_json_take(json_object_get(detail, "cpu_s"), cpu_stages_destination);

	if (cpu) {
		json_decref(t->peer.cpu_used);
		t->peer.cpu_used = cpu;
	}
	if (json_object_get(detail, "start_script") || json_object_get(detail, "defined") || json_object_get(detail, "after_error")) {
		json_decref(t->peer.afterwards);
		t->peer.afterwards = json_deep_copy(detail);
	}
	if (json_is_true(json_object_get(detail, "ended")) && !t->peer.ended)
		report_notice(
			&t->life.report,
			"the guest began to run at the destination, and its QEMU there has ended since: by itself, or as its log says");
	t->peer.ended |= json_is_true(json_object_get(detail, "ended"));
	if (json_object_get(detail, "leftovers"))
		take_leftovers(t, detail);
	if (error && peer == HO_DST_START && strcmp(error, t->peer.error) != 0)
		report_notice(&t->life.report, "the guest is not at the destination yet: %s", error);
	if (error)
		snprintf(t->peer.error, sizeof(t->peer.error), "%s", error);
	t->peer.rss_anon = MAX(t->peer.rss_anon, rss);
	if (load > 0)
		t->peer.load_ms = load;
	if (taking_over > 0)
		t->peer.take_over_ms = taking_over;
	if (noted > 0)
		t->peer.noted_ms = noted;
	if (start > 0)
		t->peer.start_ms = start;
	if (!t->a.handoff.restarted && pid > 0 && pid <= INT_MAX) /* warm: it had none when it was ready */
		t->peer.pid = (int)pid;
	if (peer == HO_DST_STARTED && !t->blackout.started_ns) {
		urgent_end();
		turn_end(t);
		t->blackout.started_ns = ran_since_ns(t, runs, at_ns);
	}
	if (peer == HO_DST_ABORTED || peer == HO_NONE)
		t->peer.aborted = true;
	t->peer.forgotten = peer == HO_NONE;
}

static void leave_undecided(struct transfer *t)
{
	t->a.undecided = true;
	conductor_finish(&t->a.con);
}

/* The guest runs there: here nobody lets it go on by himself, neither the guard nor QEMU, when it loses its connections. */
static void hold_for_a_person(struct transfer *t)
{
	struct err e;

	t->end.held = !process_hold(t->src.guest.pid, t->src.guest.start_time, HOLD_MS, &e);
	if (!t->end.held)
		log_error("the guest is taken back though it runs at the destination, too: %s", e.msg);
}

/* The destination cannot tell whether the guest ran there, or which of two copies is to live, and asking again would bring the
 * same answer. For one that was committed a person's word counts as its NOVM. */
static int on_undecided(struct transfer *t, enum handoff_state peer, struct err *e)
{
	bool begun = t->a.handoff.state == HO_SRC_BEGUN;

	if (!handoff_is_given_up(&t->a.handoff) && peer != HO_DST_PREPARED && !(begun && peer == HO_DST_START))
		return 0;
	if (t->end.fenced && handoff_is_given_up(&t->a.handoff) && !cutover_held_fits_disks(t, &t->end.why))
		return attempt_step(&t->a, EV_PEER, HO_DST_NOVM, e);
	if (peer == HO_DST_PREPARED || t->a.handoff.state == HO_SRC_REVERTING)
		err_set(&t->end.why, EREMOTEIO, "%s",
			*t->peer.error ? t->peer.error : "the destination says that the guest was started there");
	else if (!t->end.why.code && *t->peer.error)
		err_set(&t->end.why, EREMOTEIO, "cannot tell whether the guest has run at the destination: %s", t->peer.error);
	else if (!t->end.why.code)
		err_set(&t->end.why, EREMOTEIO,
			"the destination QEMU ended when it was about to run the guest: vmferry cannot tell whether the guest ran there");
	if (begun && t->src.traits.guest_runs && t->a.handoff.qemu_alive)
		hold_for_a_person(t);
	leave_undecided(t);
	return 0;
}

/* The agent that answers knows nothing of this attempt (its host was set up anew, say): then a person's word counts. */
static bool vouched_for(struct transfer *t, unsigned peer)
{
	bool waits = handoff_is_given_up(&t->a.handoff) || t->a.handoff.asks;

	/* QEMU there has ended since: the person knows whether the guest went on from there */
	bool ended = handoff_is_given_up(&t->a.handoff) && peer == HO_DST_STARTED && t->peer.ended;

	return t->end.fenced && waits && (peer == HO_NONE || ended) && !shared_disks_may_be_vouched_for(t, &t->end.why) &&
	       !(handoff_is_given_up(&t->a.handoff) && cutover_held_fits_disks(t, &t->end.why));
}

/* True if a person may have had the destination's copy started while this host was down; what starts guests at boot here knew nothing of
 * that. */
static bool may_run_twice(struct transfer *t, enum handoff_state peer)
{
	bool began_there = peer == HO_DST_START || peer == HO_DST_STARTED || peer == HO_DST_DONE;

	if (!t->a.handoff.restarted || t->a.handoff.state != HO_SRC_BEGUN)
		return false;
	if (t->a.handoff.asks)
		return began_there && cutover_nobody_restarted_it(t, &t->end.why);
	return !t->a.handoff.qemu_alive && (began_there || peer == HO_DST_PREPARED) && cutover_refuse_open_here(t, &t->end.why);
}

static int take_peer(struct transfer *t, enum handoff_state peer, const json_t *detail, struct err *e)
{
	struct err why;
	bool vouched;

	if (may_run_twice(t, peer)) {
		leave_undecided(t);
		return 0;
	}
	if (peer == HO_DST_STARTED && revert_stays_open(t))
		return 0;
	if (t->a.handoff.state == HO_SRC_REVERTING && json_is_true(json_object_get(detail, "undecided")))
		return on_undecided(t, peer, e); /* the guest is not asked back again */
	vouched = vouched_for(t, peer);
	if (t->end.fenced && t->peer.ended && peer == HO_DST_STARTED &&
	    !vouched) { /* the held QEMU may be the last copy, so it is not ended either */
		leave_undecided(t);
		return 0;
	}
	if (attempt_step(&t->a, vouched ? EV_PEER_FENCED : EV_PEER, vouched ? HO_NONE : peer, &why))
		log_error("hand-off: %s", why.msg); /* changes nothing */
	if (t->a.undecided && peer == HO_NONE && !t->end.why.code)
		err_set(&t->end.why, ENOENT,
			"the destination has forgotten this move. Check there whether the guest was started. If it was not, and will not "
			"be, take it back: vmferry recover %s --peer-is-fenced",
			t->src.guest.name);
	revert_begin(t);
	return json_is_true(json_object_get(detail, "undecided")) ? on_undecided(t, peer, e) : 0;
}

int cutover_on_handoff(struct transfer *t, const struct event *ev, struct err *e)
{
	uint8_t attempt[ATTEMPT_ID_LEN];
	json_auto_t *detail = NULL;
	unsigned peer;
	int r = handoff_message_take(ev->bytes, ev->n, attempt, &peer, &detail, e);

	if (!r && memcmp(attempt, t->a.id, sizeof(attempt)))
		r = err_set(e, EPROTO, "HANDOFF of another attempt");
	if (!r) {
		note_peer(t, (enum handoff_state)peer, detail, ev->at_ns);
		if ((peer == HO_DST_ABORTED || peer == HO_DST_NOVM) && t->peer.error[0] && (!t->end.why.code || t->end.channel_lost))
			err_set(&t->end.why, EREMOTEIO, "the destination gave up: %s", t->peer.error);
		r = take_peer(t, (enum handoff_state)peer, detail, e);
	}
	return r;
}
