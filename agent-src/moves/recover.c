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
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DYING_MS       2000
#define DYING_PAUSE_MS 5

/* ---- from its journal ---- */

static int restore(struct transfer *t, const char *journal_path, struct err *e)
{
	struct err ignored;
	int r = attempt_open(&t->a, journal_path, e);

	if (!r)
		r = recipe_choose(t, json_text(journal_begin(t->a.journal), "how"), e);
	if (r)
		return r;
	source_restore(&t->src);
	power_restore(&t->power);
	ram_restore(&t->ram);
	if (handoff_restore(&t->a.handoff, HO_SOURCE, journal_last_state(t->a.journal), t->recipe->can_run(t)))
		return err_set(e, EBADMSG, "the journal %s is in no state of a source", journal_path);
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
		report_notice(&t->report, "%s", why.msg);
	} else if (t->end.ran_on) {
		link_close(&link);
		return -e->code; /* of restore() */
	} else {
		attempt_connect(&t->a, link, &t->data.shared.pacer);
	}
	loop_timer_set(t->a.loop, &t->end.patience, ANSWER_MS);
	return attempt_step(&t->a, first, HO_NONE, e);
}

static int begin(struct transfer *t, const char *journal_path, bool fenced, struct err *e)
{
	uint64_t until = now_ns() + DYING_MS * 1000000ULL;
	enum handoff_event first = EV_RECOVER;
	int r;

	t->end.fenced = fenced;
	while ((r = restore(t, journal_path, e)) == -EBUSY && !t->a.journal && now_ns() < until)
		poll(NULL, 0, DYING_PAUSE_MS); /* the guard has it, which looks again */
	if (r && !(t->end.ran_on && fenced))
		return r;
	if (!r && !t->a.over && take_back_first(t)) {
		r = attempt_step(&t->a, EV_RECOVER, HO_NONE, e);
		first = EV_RESEND;
	}
	/* in place of the dead agent's: nothing else may begin with this guest, and at the end its socket goes */
	if (!r)
		r = open_control_socket(t, e);
	if (r && !t->end.ran_on)
		return r;
	if (t->a.over) {
		transfer_undo_again(t);
		return 0;
	}
	return with_destination(t, first, e);
}

int move_recover(const struct move_options *opt, const char *journal_path, bool fenced)
{
	struct transfer *t;
	struct err e;
	int code = confine_prepare(true, &e);

	if (!code)
		code = transfer_new(&t, opt, &entry_recover, &e);
	if (code) {
		fprintf(stderr, "vmferry: %s\n", e.msg);
		return EXIT_UNDECIDED;
	}
	confine_here(false);
	signals_hold(); /* the guest may stand still */
	if (begin(t, journal_path, fenced, &e)) {
		fprintf(stderr, "vmferry: %s: %s\n", journal_path, e.msg);
		code = t->a.over ? EXIT_LEFTOVERS : EXIT_UNDECIDED;
		transfer_free(t);
		return code;
	}
	if (!t->a.control && !t->a.con.finished) {
		err_set(&t->end.why, EPIPE, "the destination agent cannot be reached; start vmferry-dst there and run recover again");
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
	r = attempt_step(&t->a, EV_RESEND, HO_NONE, e);
	r = r ? r : conductor_run(&t->a.con, e);
	if (r || t->peer.aborted)
		return r;
	return t->end.why.code ? *e = t->end.why, -e->code : err_set(e, ETIMEDOUT, "the destination does not answer");
}

int move_drop_kept(const struct move_options *opt, const char *finished, struct err *e)
{
	struct transfer *t;
	struct journal *j;
	int r = confine_prepare(true, e);

	r = r ? r : journal_look(&j, finished, e);
	if (r)
		return r;
	r = transfer_new(&t, opt, &entry_recover, e);
	if (!r)
		memcpy(t->a.id, journal_attempt_id(j), sizeof(t->a.id));
	journal_close(j);
	if (r)
		return r;
	confine_here(false);
	handoff_restore(&t->a.handoff, HO_SOURCE, HO_SRC_ABORTED, true);
	t->a.handing_off = t->a.over = true; /* and has no journal: nothing is to be undone here */
	r = ask_to_drop(t, e);
	if (!r && json_array_size(t->peer.leftovers))
		r = err_set(e, EBUSY, "%s", json_string_value(json_array_get(t->peer.leftovers, 0)));
	if (!r && unlink(finished) && errno != ENOENT)
		r = err_sys(e, errno, "cannot remove %s", finished);
	transfer_free(t);
	return r;
}

/* ---- by the guard ---- */

/* What a process held is let go of in no certain order. -ENOENT: the attempt has ended. */
static int last_state_of_the_dead(const char *journal_path, struct keep *kept, enum handoff_state *state, struct err *e)
{
	uint64_t until = now_ns() + DYING_MS * 1000000ULL;
	struct journal *j;
	int r;

	while ((r = journal_open(&j, journal_path, e)) == -EBUSY && now_ns() < until) {
		keep_drain(kept); /* it may be `recover` that has it, and cancels */
		poll(NULL, 0, DYING_PAUSE_MS);
	}
	if (r)
		return r;
	*state = journal_last_state(j);
	journal_close(j);
	return 0;
}

/* True: nothing more is to be tried. */
static bool guard_take_back(struct transfer *t, const char *journal_path, struct err *words)
{
	struct err e;
	int r = restore(t, journal_path, &e);

	if (!r && !t->a.over && take_back_first(t))
		r = attempt_step(&t->a, EV_RECOVER, HO_NONE, &e);
	if (r)
		err_set(words, -r, "the agent that moved guest %s has died: %s", t->src.guest.name ? t->src.guest.name : "?", e.msg);
	else if (!t->a.exit_code && t->a.handoff.qemu_alive)
		err_set(words, 0,
			"the agent that moved guest %s has died; the guest goes on here. What the move left is settled by: vmferry recover %s%s",
			t->src.guest.name, t->src.guest.name,
			json_object_get(journal_begin(t->a.journal), "keep_partial_s")
				? " (--resume begins it again, and goes on with what has arrived)"
				: "");
	return !r ? !t->end.unheard : r != -EBUSY && !t->a.handoff.qemu_alive;
}

/* Somebody else has the journal, or the host has no room just now. */
static bool may_pass(int r)
{
	return r == -EBUSY || r == -ENFILE || r == -EMFILE || r == -ENOMEM || r == -EAGAIN;
}

static bool is_given_up(enum handoff_state state)
{
	return state == HO_SRC_COMMITTED || state == HO_SRC_REVERTING;
}

/* The guest is given up: what might start it here again must not find its disks, should its QEMU end before anybody recovers the move. */
static void guard_set_aside(const struct move_options *opt, const char *journal_path)
{
	struct transfer *t;
	struct err e;

	if (transfer_new(&t, opt, &entry_recover, &e)) {
		log_error("%s", e.msg);
		return;
	}
	if (attempt_open(&t->a, journal_path, &e) || (is_given_up(journal_last_state(t->a.journal)) && aside_images(&t->aside, &e)))
		log_error("%s", e.msg);
	t->a.unfinished = true; /* recover has the rest to do */
	transfer_free(t);
}

struct guarded {
	const struct move_options *opt;
	const char *journal_path;
	struct keep *kept;
};

/* False: the guest is ours, and its QEMU hears nobody, or our journal is read by somebody else just now. words: for people. */
static bool guard_try(void *ctx, struct err *words)
{
	const struct move_options *opt = ((struct guarded *)ctx)->opt;
	const char *journal_path = ((struct guarded *)ctx)->journal_path;
	struct keep *kept = ((struct guarded *)ctx)->kept;
	enum handoff_state state = HO_NONE;
	struct transfer *t;
	bool done;
	int r = last_state_of_the_dead(journal_path, kept, &state, words);

	if (!r && is_given_up(state))
		guard_set_aside(opt, journal_path);
	if (r == -ENOENT || (!r && state != HO_SRC_BEGUN && state != HO_SRC_ABORTED)) {
		words->code = 0, words->msg[0] = '\0';
		return true; /* it has ended, or only the destination may run the guest */
	}
	if (r || transfer_new(&t, opt, &entry_recover, words))
		return !may_pass(err_prefix(words, "the agent of a move has died"));
	t->ram.kept = kept;
	t->src.patient = true;
	done = guard_take_back(t, journal_path, words);
	if (t->a.journal) /* otherwise somebody else has it, and cancels */
		keep_end(kept);
	transfer_free(t); /* before anything is said: whoever is to read it may not */
	return done;
}

int move_guard(const struct move_options *opt, const char *journal_path, struct keep *kept)
{
	int code = guard_settle(guard_try, &(struct guarded){opt, journal_path, kept});

	keep_free(kept);
	return code;
}
