/*
 * recover.c: an attempt whose agent died: settled by a person (`vmferry recover`), or its guest taken back at once by the guard, without the
 * destination.
 */
#include "transfer.h"
#include "confine.h"
#include "exit-code.h"
#include "json-text.h"
#include "log.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- from its journal ---- */

/* The options that still matter; the others ended with the agent that died. */
static struct move_options options_of(const struct move_taken_up *u)
{
	return (struct move_options){.events.json = u->life.json,
				     .dirs.state = u->life.state_dir,
				     .dirs.runtime = u->life.runtime_dir,
				     .dest = u->dest,
				     .disks.keep.resumes = u->resumes};
}

/* j: stolen. */
static int take_up(struct transfer **out, const struct move_options *opt, struct journal *j, struct err *e)
{
	int r = transfer_new(out, opt, &entry_recover, e);

	if (r) {
		journal_close(j);
		return r;
	}
	attempt_take_up(&(*out)->a, j);
	life_is_attempt(&(*out)->life, (*out)->a.id);
	return 0;
}

static int restore(struct transfer *t, struct err *e)
{
	struct err ignored;
	int r = recipe_choose(t, json_text(journal_begin(t->a.journal), "how"), json_text(journal_begin(t->a.journal), "owner"), e);

	if (r)
		return r;
	source_restore(&t->src);
	power_restore(&t->around.power);
	ram_restore(&t->ram);
	if (handoff_restore(&t->a.handoff, HO_SOURCE, journal_last_state(t->a.journal), t->recipe->can_run(t)))
		return err_set(e, EBADMSG, "the journal is in no state of a source");
	if (!t->a.over && handoff_is_given_up(&t->a.handoff) && cutover_note_given_up(t, false, &ignored))
		log_error("%s", ignored.msg);
	return t->a.over ? 0 : t->recipe->take_up(t, e);
}

/* The guest comes first, where it is ours without a doubt: the destination may take its time to be reached, or be gone. */
static bool take_back_first(const struct transfer *t)
{
	return t->a.handoff.state == HO_SRC_ABORTED || (t->a.handoff.state == HO_SRC_BEGUN && t->a.handoff.qemu_alive);
}

/* ---- by a person ---- */

/* A destination that answers is heard, whatever a person vouches for: it may know that the guest runs there. */
static int with_destination(struct transfer *t, enum handoff_event first, struct err *e)
{
	struct link link;
	struct err why;

	if (reach_destination(t, &link, &why)) {
		if (t->end.fenced && shared_disks_may_be_vouched_for(t, e))
			return -e->code;
		if (t->end.fenced && handoff_is_given_up(&t->a.handoff) && cutover_held_fits_disks(t, e))
			return -e->code;
		if (t->end.fenced)
			return attempt_step(&t->a, EV_PEER_FENCED, HO_NONE, e);
		report_notice(&t->life.report, "%s", why.msg);
	} else if (t->end.ran_on) {
		link_close(&link);
		return -e->code; /* error of restore() */
	} else {
		attempt_connect(&t->a, link, &t->data.shared.pacer);
	}
	loop_timer_set(t->a.loop, &t->end.patience, ANSWER_MS);
	return attempt_step(&t->a, first, HO_NONE, e);
}

static int begin(struct transfer *t, bool fenced, struct err *e)
{
	enum handoff_event first = EV_RECOVER;
	int r;

	t->end.fenced = fenced;
	r = restore(t, e);
	if (r && !(t->end.ran_on && fenced))
		return r;
	if (!r && !t->a.over && take_back_first(t)) {
		r = attempt_step(&t->a, EV_RECOVER, HO_NONE, e);
		first = EV_RESEND;
	}
	/* takes the dead agent's place: nothing else may begin with this guest, and the dead agent's socket is removed at the end */
	r = r ?: transfer_open(t, e);
	if (r && !t->end.ran_on)
		return r;
	if (t->a.over) {
		transfer_undo_again(t);
		return 0;
	}
	return with_destination(t, first, e);
}

static void say_who_is_to_be_reached(const struct transfer *t, struct err *why)
{
	const char *where = t->opt->dest.where ?: "the destination";

	if (dest_kind(where) == DEST_SSH)
		err_set(why, EPIPE, "%s cannot be reached: make it reachable by SSH and run recover again", where);
	else
		err_set(why, EPIPE, "the destination agent cannot be reached; start vmferry-dst there and run recover again");
}

int move_recover(const struct move_taken_up *u, struct journal *j)
{
	const struct move_options opt = options_of(u);
	AUTO_FREE char *path = xstrdup(journal_path(j));
	struct transfer *t;
	struct err e;
	int code = confine_prepare(true, &e);

	if (code)
		journal_close(j);
	else
		code = take_up(&t, &opt, j, &e);
	if (code) {
		fprintf(stderr, "vmferry: %s\n", e.msg);
		return EXIT_UNDECIDED;
	}
	confine_here(false);
	life_hold_signals(); /* the guest may stand still */
	t->end.not_started = u->not_started;
	if (begin(t, u->fenced, &e)) {
		fprintf(stderr, "vmferry: %s: %s\n", path, e.msg);
		code = t->a.over ? EXIT_LEFTOVERS : EXIT_UNDECIDED;
		transfer_free(t);
		return code;
	}
	if (!t->a.control && !t->a.con.finished) {
		say_who_is_to_be_reached(t, &t->end.why);
		conductor_finish(&t->a.con);
	}
	return transfer_run(t);
}

/* ---- what is kept of it ---- */

static int ask_to_drop(struct transfer *t, struct err *e)
{
	struct link link;
	int r = reach_destination(t, &link, e);

	if (r)
		return r;
	attempt_connect(&t->a, link, &t->data.shared.pacer);
	loop_timer_set(t->a.loop, &t->end.patience, ANSWER_MS);
	r = attempt_step(&t->a, EV_RESEND, HO_NONE, e) ?: conductor_run(&t->a.con, e);
	if (r || t->peer.aborted)
		return r;
	return t->end.why.code ? *e = t->end.why, -e->code : err_set(e, ETIMEDOUT, "the destination does not answer");
}

int move_drop_kept(const struct move_taken_up *u, const char *finished, struct err *e)
{
	const struct move_options opt = options_of(u);
	struct transfer *t;
	struct journal *j;
	int r = confine_prepare(true, e) ?: journal_look(&j, finished, e);

	if (r)
		return r;
	r = transfer_new(&t, &opt, &entry_recover, e);
	if (!r)
		memcpy(t->a.id, journal_attempt_id(j), sizeof(t->a.id));
	journal_close(j);
	if (r)
		return r;
	confine_here(false);
	handoff_restore(&t->a.handoff, HO_SOURCE, HO_SRC_ABORTED, true);
	t->a.handing_off = t->a.over = true; /* nothing is to be undone here without a journal */
	r = ask_to_drop(t, e);
	if (!r && json_array_size(t->peer.leftovers))
		r = err_set(e, EBUSY, "%s", json_string_value(json_array_get(t->peer.leftovers, 0)));
	if (!r && unlink(finished) && errno != ENOENT)
		r = err_sys(e, errno, "cannot remove %s", finished);
	transfer_free(t);
	return r;
}

/* ---- by the guard ---- */

/* True if only the destination can say where the guest is: everything of a guest that was shut down had arrived, so a person may have
 * started it there. */
static bool is_the_destinations_to_say(const struct transfer *t)
{
	return t->a.handoff.state == HO_SRC_BEGUN && t->a.handoff.asks && !t->a.over;
}

/* True: nothing more is to be tried. */
static bool guard_take_back(struct transfer *t, struct err *words)
{
	struct err e;
	int r = restore(t, &e);

	if (!r && !t->a.over && take_back_first(t))
		r = attempt_step(&t->a, EV_RECOVER, HO_NONE, &e);
	if (r)
		err_set(words, -r, "the agent that moved guest %s has died: %s", t->src.guest.name ? t->src.guest.name : "?", e.msg);
	else if (is_the_destinations_to_say(t))
		err_set(words, 0, "the agent that moved guest %s has died. The guest is %s %s", t->src.guest.name, t->recipe->undecided,
			t->src.guest.name);
	else if (t->end.other_image)
		images_are_there(t, words);
	else if (!t->a.exit_code && t->a.handoff.qemu_alive)
		err_set(words, 0,
			"the agent that moved guest %s has died; the guest %s%s. What the move left is settled by: vmferry recover %s%s",
			t->src.guest.name, t->recipe->back ? "is " : "goes on here", t->recipe->back ?: "", t->src.guest.name,
			json_object_get(journal_begin(t->a.journal), "keep_partial_s")
				? " (--resume begins it again, and goes on with what has arrived)"
				: "");
	return !r ? !t->end.unheard : r != -EBUSY && !t->a.handoff.qemu_alive;
}

static bool is_given_up(enum handoff_state state)
{
	return state == HO_SRC_COMMITTED || state == HO_SRC_REVERTING;
}

/* The guest is given up: what might start it here again must not find its disks, should its QEMU end before anybody recovers the move. */
static void guard_set_aside(struct transfer *t)
{
	struct err e;

	if (cutover_set_images_aside(t, &e))
		log_error("%s", e.msg);
	t->a.unfinished = true; /* recover has the rest to do */
}

/* False: the guest is ours, and its QEMU hears nobody; or the host has no room just now. */
bool move_guard(const struct life_options *o, struct journal *j, struct keep *kept, struct err *words)
{
	const struct move_options opt = options_of(&(struct move_taken_up){.life = *o});
	enum handoff_state state = journal_last_state(j);
	struct transfer *t;
	bool done = true;

	if (take_up(&t, &opt, j, words)) {
		err_prefix(words, "the agent of a move has died");
		return false;
	}
	if (is_given_up(state)) {
		guard_set_aside(t);
	} else if (state == HO_SRC_BEGUN || state == HO_SRC_ABORTED) { /* otherwise only the destination may run the guest */
		t->ram.kept = kept;
		t->src.patient = true;
		done = guard_take_back(t, words);
		keep_end(kept);
	}
	transfer_free(t); /* the transfer is freed before anything is said: whoever is to read it may not */
	return done;
}
