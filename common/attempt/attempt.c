/* attempt.c: see attempt.h. */
#include "attempt.h"
#include "conn-link.h"
#include "exit-code.h"
#include "fault.h"
#include "json-text.h"
#include "log.h"
#include "util.h"

#include <errno.h>
#include <string.h>

#define CONTROL_WINDOW (8 * MIB)
#define LAST_WORDS_MS  3000

int attempt_init(struct attempt *a, const struct attempt_ops *ops, unsigned loop_entries, const struct stage *stages, void *ctx,
		 void (*fail)(void *ctx, const struct err *why), struct err *e)
{
	int r;

	*a = (struct attempt){.ops = ops};
	r = loop_new(&a->loop, loop_entries, e);
	if (r)
		return r;
	cpu_meter_begin(&a->cpu_used);
	a->leftovers = json_array();
	a->kept = json_array();
	conductor_init(&a->con, a->loop, stages, ctx, fail);
	return 0;
}

void attempt_drain(struct attempt *a)
{
	uint64_t until = now_ns() + LAST_WORDS_MS * 1000000ULL;
	struct err e;

	while (a->control && channel_open(a->control) && !channel_idle(a->control) && now_ns() < until)
		if (loop_step(a->loop, 100, &e))
			break;
}

void attempt_disconnect(struct attempt *a)
{
	channel_free(a->control);
	a->control = NULL;
}

void attempt_fini(struct attempt *a)
{
	attempt_disconnect(a);
	journal_close(a->journal);
	conductor_fini(&a->con);
	json_decref(a->leftovers);
	json_decref(a->kept);
}

void attempt_connect(struct attempt *a, struct link link, struct pacer *pacer)
{
	struct channel_config cc = {.window_bytes = CONTROL_WINDOW,
				    .pacer = pacer,
				    .silence_ms = &a->silence_ms,
				    .on = conductor_channel,
				    .ctx = &a->con};

	a->control = channel_over(a->loop, link, &cc);
	a->control_lost = false;
}

bool attempt_can_tell(const struct attempt *a)
{
	return a->control && !a->control_lost && !a->dead;
}

/* ---- the journal ---- */

int attempt_begin(struct attempt *a, const char *state_dir, enum handoff_role role, json_t *begin, struct err *e)
{
	int r = journal_create(&a->journal, state_dir, a->id, role == HO_SOURCE, begin, e);

	if (r)
		return r;
	handoff_init(&a->handoff, role);
	a->handing_off = true;
	return 0;
}

void attempt_take_up(struct attempt *a, struct journal *j)
{
	a->journal = j;
	memcpy(a->id, journal_attempt_id(j), sizeof(a->id));
	a->over = journal_last_note(j, "over") != NULL;
	a->handing_off = a->taken_up = true;
}

int attempt_open(struct attempt *a, const char *journal_path, struct err *e)
{
	struct journal *j;
	int r = journal_open(&j, journal_path, e);

	if (!r)
		attempt_take_up(a, j);
	return r;
}

int attempt_own(struct attempt *a, const char *kind, json_t *detail /* stolen */, struct err *e)
{
	int r = journal_own(a->journal, kind, detail, e);

	json_decref(detail);
	return r;
}

void attempt_disown(struct attempt *a, const char *kind, json_t *detail /* stolen */)
{
	struct err e;

	if (journal_disown(a->journal, kind, detail, &e))
		log_error("%s", e.msg);
	json_decref(detail);
}

int attempt_note(struct attempt *a, const char *kind, json_t *detail /* stolen */, struct err *e)
{
	int r = journal_note(a->journal, kind, detail, e);

	json_decref(detail);
	return r;
}

size_t attempt_owned(const struct attempt *a)
{
	json_t *owned;
	size_t n;

	if (journal_owned(a->journal, &owned))
		return 0;
	n = json_array_size(owned);
	json_decref(owned);
	return n;
}

void attempt_undo_since(struct attempt *a, size_t before)
{
	json_t *owned, *entry;
	struct err e;
	size_t i;
	int r;

	if (!a->journal || journal_owned(a->journal, &owned))
		return;
	a->undo_failed = false;
	json_array_foreach(owned, i, entry) {
		const char *kind = json_text(entry, "kind");
		json_t *detail = json_object_get(entry, "detail");

		if (i + before >= json_array_size(owned))
			break;
		r = a->ops->undo(a, kind, detail, &e);
		if (r == ATTEMPT_KEPT)
			continue;
		if (r)
			a->ops->left_behind(a, kind, detail, r, &e);
		a->undo_failed |= r < 0;
		if (r >= 0 && journal_disown(a->journal, kind, detail, &e))
			log_error("%s", e.msg);
	}
	json_decref(owned);
}

void attempt_undo(struct attempt *a)
{
	attempt_undo_since(a, 0);
}

void attempt_add_leftover(struct attempt *a, char *sentence /* stolen */)
{
	log_info("left behind %s", sentence);
	json_array_append_new(a->leftovers, json_string(sentence));
	free(sentence);
}

void attempt_end_journal(struct attempt *a)
{
	struct err e;
	int r;

	if (!a->journal)
		return;
	if (a->unfinished) {
		journal_close(a->journal);
		a->journal = NULL;
		return;
	}
	if (a->undo_failed || json_array_size(a->kept)) {
		r = journal_note(a->journal, "over", NULL, &e);
		journal_close(a->journal);
	} else {
		r = journal_remove(a->journal, true, &e);
	}
	if (r)
		log_error("%s", e.msg);
	a->journal = NULL;
}

void attempt_finish(struct attempt *a)
{
	attempt_end_journal(a);
	conductor_finish(&a->con);
}

/* ---- the hand-off ---- */

int attempt_die(struct attempt *a, int r)
{
	a->dead = a->undecided = true;
	a->exit_code = EXIT_UNDECIDED;
	conductor_finish(&a->con);
	return r;
}

static int note_state(struct attempt *a, struct err *e)
{
	enum handoff_state before = journal_last_state(a->journal);
	uint64_t began;
	int r;

	fault_point("before-%s", handoff_state_name(a->handoff.state));
	began = now_ns();
	r = journal_state(a->journal, a->handoff.state, e);
	a->noted_ns = now_ns() - began;
	if (r && a->ops->not_noted)
		r = a->ops->not_noted(a, before, e);
	if (r)
		return r > 0 ? -e->code : attempt_die(a, r);
	fault_point("after-%s", handoff_state_name(a->handoff.state));
	a->ops->entered(a);
	return 0;
}

static int act(struct attempt *a, enum handoff_action action, struct err *e)
{
	switch (action) {
	case ACT_JOURNAL:
		return note_state(a, e);
	case ACT_UNDECIDED:
		a->undecided = true;
		a->exit_code = EXIT_UNDECIDED;
		conductor_finish(&a->con);
		return 0;
	case ACT_FINISHED:
		attempt_finish(a);
		return 0;
	case ACT_SEND_STATE:
	case ACT_RELEASE_SHUT:
	case ACT_HOLD_QEMU:
	case ACT_CONT_SOURCE:
	case ACT_END_SOURCE_QEMU:
	case ACT_CONT_DESTINATION:
	case ACT_END_DESTINATION_QEMU:
	case ACT_REMOVE_SCAFFOLDING:
		break;
	}
	if (!a->ops->act[action])
		return err_set(e, EPROTO, "%s is the other side's to do", handoff_action_name(action));
	return a->ops->act[action](a, e);
}

/* An action may step the machine again. */
static int carry_out(struct attempt *a, const struct handoff_actions *acts, struct err *e)
{
	bool outer = a->to_be_undecided, entered = false;
	int r = 0;

	for (unsigned i = 0; i < acts->n && !r; i++) {
		log_info("hand-off: %s in %s", handoff_action_name(acts->a[i]), handoff_state_name(a->handoff.state));
		entered |= acts->a[i] == ACT_JOURNAL;
		a->to_be_undecided = acts->a[acts->n - 1] == ACT_UNDECIDED;
		r = act(a, acts->a[i], e);
	}
	a->to_be_undecided = outer;
	if (!r)
		a->ops->carried_out(a, entered);
	return r;
}

int attempt_step(struct attempt *a, enum handoff_event ev, enum handoff_state peer, struct err *e)
{
	struct handoff_actions acts;

	log_info("hand-off: %s %s", handoff_event_name(ev), ev == EV_PEER ? handoff_state_name(peer) : "");
	if (handoff_step(&a->handoff, ev, peer, &acts))
		return err_set(e, EPROTO, "%s does not fit state %s", handoff_event_name(ev), handoff_state_name(a->handoff.state));
	return carry_out(a, &acts, e);
}
