/* ending.c: how a move has ended: which of the endings below, with its exit code and its words. Nothing else maps an outcome to either. */
#include "ending.h"
#include "exit-code.h"

static const struct {
	int exit_code;
	const char *outcome, *guest, *where, *text; /* text: NULL: the recipe's, or by how the guest is */
} endings[] = {
	[ENDING_NOT_FOUND] = {EXIT_REFUSED, "refused", "none", "nowhere", "not found"},
	[ENDING_REFUSED] = {EXIT_REFUSED, "refused", "source", "source", "on the source, untouched"},
	[ENDING_MIGRATED] = {EXIT_DESTINATION, "migrated", "destination", "destination", "on the destination"},
	[ENDING_MIGRATED_PAUSED] = {EXIT_DESTINATION, "migrated", "destination", "destination", "on the destination, paused"},
	[ENDING_COPY_MAY_WAIT] =
		{EXIT_UNDECIDED, "undecided", "undecided", "undecided",
		 "undecided: it does not run here any more, and a complete copy of it may wait at the destination. If it has not run here "
		 "since it "
		 "was stopped for the move, start that one: vmferry recover --peer-is-fenced there. If it has, the same here drops that "
		 "one"},
	[ENDING_STARTED_TWICE] = {EXIT_UNDECIDED, "undecided", "undecided", "undecided",
				  "undecided: on the destination, where it was handed over to, and, as it seems, here a second time"},
	[ENDING_UNDECIDED] = {EXIT_UNDECIDED, "undecided", "undecided", "undecided", NULL},
	[ENDING_NOT_HAD_BACK] =
		{EXIT_UNDECIDED, "undecided", "undecided", "undecided",
		 "undecided: it ran at the destination, and the source still holds it as it was when it was handed over. If it certainly runs "
		 "nowhere else, vmferry recover --peer-is-fenced has it back, without what it did there; vmferry recover leaves it to the "
		 "destination, and ends what the source holds"},
	[ENDING_LEFT_AS_IT_WAS] = {EXIT_SOURCE, "rolled-back", "source", "source", "on the source, where that move left it"},
	[ENDING_QEMU_OF_THEN_GONE] = {EXIT_SOURCE, "rolled-back", "none", "nowhere",
				      "not of that move any more: its source QEMU of then has ended since"},
	[ENDING_SHUT_DOWN] = {EXIT_NOWHERE, "rolled-back", "shut-down", "nowhere", "shut down by itself during the move"},
	[ENDING_ENDED] = {EXIT_NOWHERE, "rolled-back", "none", "nowhere",
			  "nowhere: its QEMU was ended during the move; its disks are whole at the source"},
	[ENDING_SHUT_DOWN_IN_QEMU] = {EXIT_SOURCE, "rolled-back", "shut-down", "source",
				      "shut down by itself during the move; its QEMU stays, as it was told to"},
	[ENDING_FORGOTTEN] =
		{EXIT_NOWHERE, "rolled-back", "none", "nowhere",
		 "not here: its QEMU has ended since the move began, and the destination has forgotten the move. Unless the copy there was "
		 "started (--peer-is-fenced), it runs nowhere, and its disks are whole at the source"},
	[ENDING_QEMU_GONE] = {EXIT_NOWHERE, "rolled-back", "none", "nowhere",
			      "nowhere: its QEMU has ended during the move; its disks are whole at the source"},
	[ENDING_RUNS_ANEW] =
		{EXIT_SOURCE, "rolled-back", "source", "source",
		 "on the source: its QEMU ended during the move, and another QEMU has its disks open there, so it was started again"},
	[ENDING_MIGRATED_BY_ANOTHER] = {EXIT_PAUSED, "rolled-back", "source-paused", "source",
					"migrated away by another client; its old QEMU on the source stays stopped"},
	[ENDING_OFF_IN_QEMU] = {EXIT_PAUSED, "rolled-back", "source-paused", "source",
				"shut down on the source (QMP system_reset, then cont, starts it)"},
	[ENDING_GUARD_TRIES_ON] =
		{EXIT_PAUSED, "rolled-back", "source-paused", "source",
		 "on the source, and its QEMU does not say whether it runs: as soon as it answers, vmferry's guard sets it going"},
	[ENDING_RECOVER_WANTED] =
		{EXIT_PAUSED, "rolled-back", "source-paused", "source",
		 "on the source, and its QEMU does not say whether it runs: when it answers again, `vmferry recover` sets it going"},
	[ENDING_SILENT] = {EXIT_PAUSED, "rolled-back", "source-paused", "source",
			   "on the source, and its QEMU does not say whether it runs (if it does not, QMP cont resumes it)"},
	[ENDING_OTHER_IMAGE] =
		{EXIT_PAUSED, "rolled-back", "source-paused", "source",
		 "paused on the source, where another file has the name of its disk: it goes on (QMP cont) once its own has it again"},
	[ENDING_PAUSED_HERE] = {EXIT_PAUSED, "rolled-back", "source-paused", "source", "paused on the source (QMP cont resumes it)"},
	[ENDING_MAY_BE_AWAY] =
		{EXIT_UNDECIDED, "undecided", "undecided", "undecided",
		 "undecided: it no longer runs here, and another client may have migrated it elsewhere. If it runs nowhere, start it here"},
	[ENDING_DOWN_FOR_IT] = {EXIT_NOWHERE, "rolled-back", "shut-down", "nowhere", "shut down on the source, for its move"},
	[ENDING_MAY_GO_DOWN] = {EXIT_SOURCE, "rolled-back", "source", "source",
				"on the source: it was told to shut down, and may still do so"},
	[ENDING_AT_REST_HERE] = {EXIT_SOURCE, "rolled-back", "source", "source", NULL},
	[ENDING_BROKEN_HERE] = {EXIT_SOURCE, "rolled-back", "source", "source",
				"on the source, where an error has stopped it (QMP cont resumes it once the cause is gone)"},
	[ENDING_STILL_PAUSED_HERE] = {EXIT_SOURCE, "rolled-back", "source", "source", "on the source, paused as it was"},
	[ENDING_STILL_SHUT_DOWN_HERE] = {EXIT_SOURCE, "rolled-back", "shut-down", "source",
					 "on the source, shut down, and its QEMU stays, as it was"},
	[ENDING_RUNS_HERE] = {EXIT_SOURCE, "rolled-back", "source", "source", "running on the source"},
};

/* ---- who has the guest ---- */

static enum ending_kind undecided(const struct transfer *t)
{
	if (t->a.handoff.state == HO_SRC_BEGUN && !t->a.handoff.qemu_alive)
		return ENDING_COPY_MAY_WAIT;
	return t->end.started_again			? ENDING_STARTED_TWICE
	       : t->a.handoff.state == HO_SRC_REVERTING ? ENDING_NOT_HAD_BACK
							: ENDING_UNDECIDED;
}

/* The guest is here, and its QEMU does not run it, or does not say so. */
static enum ending_kind stands_here(const struct transfer *t)
{
	if (t->around.power.asked)
		return ENDING_OFF_IN_QEMU;
	if (t->a.unfinished)
		return guard_is_alive(&t->guard) ? ENDING_GUARD_TRIES_ON : ENDING_RECOVER_WANTED;
	if (t->end.other_image)
		return ENDING_OTHER_IMAGE;
	return t->end.silent ? ENDING_SILENT : ENDING_PAUSED_HERE;
}

static enum ending_kind without_qemu(const struct transfer *t)
{
	if (t->a.over)
		return ENDING_QEMU_OF_THEN_GONE;
	if (t->end.started_again)
		return ENDING_RUNS_ANEW;
	if (t->src.end.has_shut_down)
		return t->src.end.was_ended ? ENDING_ENDED : ENDING_SHUT_DOWN;
	return t->entry == &entry_recover && t->peer.forgotten ? ENDING_FORGOTTEN : ENDING_QEMU_GONE;
}

static enum ending_kind rolled_back(const struct transfer *t)
{
	if (!t->a.handoff.qemu_alive)
		return without_qemu(t);
	if (t->a.over)
		return ENDING_LEFT_AS_IT_WAS;
	if (t->src.end.has_shut_down && !t->src.end.stays_shut)
		return t->src.end.was_ended ? ENDING_ENDED : ENDING_SHUT_DOWN;
	if (t->around.power.by_itself || t->src.end.stays_shut)
		return ENDING_SHUT_DOWN_IN_QEMU;
	if (t->end.migrated_away)
		return ENDING_MIGRATED_BY_ANOTHER;
	if (t->a.exit_code == EXIT_PAUSED)
		return stands_here(t);
	if (t->opt && t->opt->cold.head && t->opt->cold.head->is_told)
		return ENDING_MAY_GO_DOWN;
	if (t->recipe->back)
		return ENDING_AT_REST_HERE;
	if (t->src.end.was_shut)
		return ENDING_STILL_SHUT_DOWN_HERE;
	if (t->src.run.paused)
		return t->src.run.broken ? ENDING_BROKEN_HERE : ENDING_STILL_PAUSED_HERE;
	return ENDING_RUNS_HERE;
}

/* True if a guest that ran when the command began is shut down by now, and no other host has it. */
static bool is_head_start_over(const struct transfer *t)
{
	return t->opt && t->opt->cold.head && t->opt->cold.head->is_down &&
	       (!t->a.handing_off || (t->a.handoff.state == HO_SRC_ABORTED && !t->a.undecided));
}

static enum ending_kind kind_of(const struct transfer *t)
{
	if (is_head_start_over(t))
		return t->end.migrated_away ? ENDING_MAY_BE_AWAY : ENDING_DOWN_FOR_IT;
	if (!t->a.handing_off)
		return t->src.guest.name ? ENDING_REFUSED : ENDING_NOT_FOUND;
	if (t->a.undecided || handoff_is_given_up(&t->a.handoff))
		return undecided(t);
	if (t->a.handoff.state == HO_SRC_RELEASED)
		return t->src.run.paused ? ENDING_MIGRATED_PAUSED : ENDING_MIGRATED;
	return rolled_back(t);
}

/* ---- its exit code and its words ---- */

static int exit_code_of(const struct transfer *t, enum ending_kind kind)
{
	int code = endings[kind].exit_code;

	if (kind == ENDING_DOWN_FOR_IT)
		return code;
	if (!t->a.handing_off || t->a.exit_code == EXIT_PAUSED)
		return t->a.exit_code;
	if (code == EXIT_DESTINATION)
		return t->a.handoff.finished ? EXIT_DESTINATION : EXIT_PEER_LOST;
	if (code == EXIT_NOWHERE && t->a.handoff.qemu_alive) /* the guest's QEMU is about to end */
		code = EXIT_SOURCE;
	if (code != EXIT_SOURCE)
		return code;
	if (ahead_has_brought(t) || replica_has_point(t))
		return EXIT_DESTINATION;
	return t->peer.aborted && !has_leftovers(t) ? EXIT_SOURCE : EXIT_LEFTOVERS;
}

/* The hand-off has no state in which a move may end without a decision, but for those that say whose the guest is. */
static bool is_decided(enum handoff_state state)
{
	return state != HO_SRC_BEGUN && state != HO_SRC_COMMITTED && state != HO_SRC_REVERTING;
}

void ending_settle(struct transfer *t)
{
	if (t->a.handing_off && t->a.exit_code != EXIT_PAUSED) {
		if (t->a.handoff.state == HO_SRC_ABORTED && t->a.handoff.qemu_alive && t->src.traits.guest_runs &&
		    source_has_ended(&t->src))
			t->a.handoff.qemu_alive = false; /* QEMU's end is known before its event arrives */
		if (t->a.handoff.state == HO_SRC_RELEASED)
			cutover_look_for_another(t);
		else if (t->a.handoff.state == HO_SRC_ABORTED && !t->a.handoff.qemu_alive && !t->a.over)
			cutover_look_whether_it_runs_anew(t);
		t->a.undecided |= !is_decided(t->a.handoff.state);
	}
	t->end.kind = kind_of(t);
	t->a.exit_code = exit_code_of(t, t->end.kind);
}

struct ending_words ending_words(const struct transfer *t)
{
	enum ending_kind k = t->end.kind;
	bool brought = t->a.exit_code == EXIT_DESTINATION && endings[k].exit_code == EXIT_SOURCE;
	bool is_elsewhere = k == ENDING_REFUSED && t->recipe->points && t->recipe->back;
	const char *words_of_point = is_elsewhere ? t->recipe->back : NULL;

	return (struct ending_words){.outcome = brought ? (t->recipe->points ? "point-made" : "disks-copied") : endings[k].outcome,
				     .guest = endings[k].guest,
				     .where = endings[k].where,
				     .text = words_of_point ?: endings[k].text
						     ?: k == ENDING_UNDECIDED ? t->recipe->undecided
									      : t->recipe->back};
}
