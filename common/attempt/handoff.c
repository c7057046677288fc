/* clang-format off */
/*
 * handoff.c: the hand-off as one table of rules.
 *
 * Each state permits the following; "on disk" is the newest state record of that side's journal.
 *
 *   source      who may run the guest                         found on disk after a crash
 *   ---------   -------------------------------------------   --------------------------------------------
 *   BEGUN       the source, always: it may take the guest     QEMU alive: take it back (also when SHUT was
 *               back whatever the destination has said.       let through and QEMU completed: no COMMIT
 *               READY lets SHUT through; `completed` has      was ever sent). QEMU gone: it may have run
 *               it held, and held it is COMMITTED; so is      on alone, so never COMMITTED: a person
 *               a QEMU that died after END.                   decides. A guest that is shut down cannot: it is
 *                                                             taken back, after END once the destination has
 *                                                             said that nobody had its copy started.
 *   COMMITTED   the destination. The source QEMU is held      say COMMITTED again until answered.
 *               and stays so, unless a durable NOVM comes
 *               back, or a person fences the destination.
 *               Revertible: it stays held, too, while the
 *               guest runs there, until EV_KEEP.
 *   REVERTING   the destination, until it says NOVM: a        COMMITTED again: nobody is there who wants it, so
 *               person has asked for the guest that is held.  it stays there, unless NOVM is there by now.
 *   RELEASED    the destination. The source QEMU is gone.     say RELEASED again until DONE or forgotten.
 *   ABORTED     the source. The destination never will.       take the guest back (again), say ABORTED.
 *
 *   destination
 *   ---------   -------------------------------------------   --------------------------------------------
 *   BEGUN       the source. Aborting is free.                 abort.
 *   PREPARED    not the destination until COMMITTED, how-     QEMU alive: say READY again, wait.
 *               ever long that takes. It may not abort, it    QEMU gone: NOVM.
 *               may only find its QEMU dead: NOVM.
 *   START       the destination: cont is, or was, on its      QEMU alive: cont (it is the same QEMU).
 *               way. The only state in which cont is sent.    QEMU gone: did it run? Undecided.
 *   STARTED     the destination. A QEMU that dies now is a    say STARTED again until RELEASED or REVERTING.
 *               guest that crashed, not a move that failed.
 *   DONE        the destination. Nothing is left to do.       remove scaffolding.
 *   NOVM        the source. Not started here and never will   end the QEMU, say NOVM until ABORTED.
 *               be, or to be ended as the source wants it
 *               back: durable before it is told.
 *   ABORTED     the source. Never was PREPARED, or the        end the QEMU, remove scaffolding.
 *               source has said ABORTED: nobody needs our
 *               word any more.
 *
 * Messages carry the sender's state: READY is PREPARED, COMMIT is COMMITTED, and so on. Any of them
 * may be lost, come twice or come late. The destination answers every state of the source that is
 * not news to it; the source answers only a destination that is behind; so no two agents answer
 * each other for ever. HO_NONE means "no journal": a side forgets an attempt only after
 * ACT_FINISHED, that is when the other needs nothing more from it, or a person says that it is gone: a destination that
 * ended in DONE says so for as long as it keeps its finished journal. Agents exchange states from when both have BEGUN.
 *
 * The first rule that fits is taken; an event that fits none is -EPROTO. Actions on a QEMU that is
 * dead are left out.
 */
/* clang-format on */
#include "handoff.h"

#include <errno.h>
#include <string.h>

/* Facts a rule can ask for. */
enum {
	ALIVE = 1,     /* this side's QEMU */
	RESTARTED = 2, /* the state comes from a journal */
	END = 4,       /* source: END was sent in this life */
	READY = 8,     /* source: last heard PREPARED */
	SHUT = 16,     /* source: SHUT was let through in this life */
	REVERTIBLE = 32,
	THERE = 64, /* source: last heard STARTED */
	ASKS = 128, /* source: it can be started here, but is the destination's if a person said so there */
};

struct rule {
	enum handoff_state from;
	enum handoff_event ev;
	unsigned peers;	  /* states of the peer, for EV_PEER: a set of 1 << state */
	unsigned yes, no; /* facts that must and must not hold */
	enum handoff_state to;
	unsigned n;
	enum handoff_action act[HO_ACTIONS_MAX];
};

#define P(s) (1u << (s))
/* The last two members of a rule. */
/* clang-format off */
#define DO(...) sizeof((enum handoff_action[]){__VA_ARGS__}) / sizeof(enum handoff_action), {__VA_ARGS__}
#define NOTHING 0, {0}
/* clang-format on */

/* Source: back to where the guest was. */
#define TAKE_BACK ACT_JOURNAL, ACT_CONT_SOURCE, ACT_REMOVE_SCAFFOLDING, ACT_SEND_STATE
/* Source: it runs there. */
#define RELEASE ACT_END_SOURCE_QEMU, ACT_JOURNAL, ACT_REMOVE_SCAFFOLDING, ACT_SEND_STATE
/* Destination: as if we had never been here. The source needs no more of us: it reads "forgotten"
 * as ABORTED. */
#define CLEAR_OUT ACT_JOURNAL, ACT_END_DESTINATION_QEMU, ACT_REMOVE_SCAFFOLDING, ACT_SEND_STATE, ACT_FINISHED

static const struct rule rules[] = {
/* clang-format off */
#define S HO_SRC_BEGUN
	/* READY before END is nonsense and fits no rule, unless END was sent in an earlier life. */
	{S, EV_PEER, P(HO_DST_PREPARED), END | ALIVE, SHUT, S, DO(ACT_RELEASE_SHUT)},
	{S, EV_PEER, P(HO_DST_PREPARED), END | ALIVE, 0, S, NOTHING},
	{S, EV_PEER, P(HO_DST_PREPARED), END, ALIVE, HO_SRC_COMMITTED, DO(ACT_JOURNAL, ACT_SEND_STATE)},
	{S, EV_PEER, P(HO_DST_PREPARED), RESTARTED, ALIVE, S, DO(ACT_UNDECIDED)},
	{S, EV_PEER, P(HO_DST_PREPARED), ASKS, 0, HO_SRC_ABORTED, DO(TAKE_BACK)},
	{S, EV_PEER, P(HO_DST_BEGUN), RESTARTED, ALIVE, HO_SRC_ABORTED, DO(TAKE_BACK)},
	{S, EV_PEER, P(HO_DST_BEGUN), ASKS, 0, HO_SRC_ABORTED, DO(TAKE_BACK)},
	{S, EV_PEER, P(HO_DST_BEGUN), 0, 0, S, NOTHING},
	{S, EV_PEER, P(HO_DST_NOVM), 0, 0, HO_SRC_ABORTED, DO(TAKE_BACK)},
	{S, EV_PEER, P(HO_NONE), ASKS, 0, S, DO(ACT_UNDECIDED)}, /* a destination remembers only its newest finished attempts */
	{S, EV_PEER, P(HO_DST_ABORTED) | P(HO_NONE), 0, 0, HO_SRC_ABORTED, DO(TAKE_BACK, ACT_FINISHED)},
	/* The destination's host was down, and a person there has started the copy: the guest here is out of date. */
	{S, EV_PEER, P(HO_DST_START), 0, ALIVE, S, DO(ACT_UNDECIDED)}, /* the destination runs it, or was about to */
	{S, EV_PEER, P(HO_DST_START), ASKS, 0, S, DO(ACT_UNDECIDED)},
	{S, EV_PEER, P(HO_DST_STARTED), 0, ALIVE, HO_SRC_RELEASED, DO(ACT_JOURNAL, ACT_REMOVE_SCAFFOLDING, ACT_SEND_STATE)},
	{S, EV_PEER, P(HO_DST_STARTED), ASKS, 0, HO_SRC_RELEASED, DO(RELEASE)},
	{S, EV_PEER, P(HO_DST_DONE), 0, ALIVE, HO_SRC_RELEASED,
	 DO(ACT_JOURNAL, ACT_REMOVE_SCAFFOLDING, ACT_SEND_STATE, ACT_FINISHED)},
	{S, EV_PEER, P(HO_DST_DONE), ASKS, 0, HO_SRC_RELEASED, DO(RELEASE, ACT_FINISHED)},
	{S, EV_RESEND, 0, 0, 0, S, DO(ACT_SEND_STATE)},
	{S, EV_RECOVER, 0, ALIVE, ASKS, HO_SRC_ABORTED, DO(TAKE_BACK)},
	{S, EV_RECOVER, 0, 0, 0, S, DO(ACT_SEND_STATE)}, /* the answer decides */
	{S, EV_ABORT, 0, RESTARTED, ALIVE, S, NOTHING},	 /* the answer still decides */
	{S, EV_ABORT, 0, ASKS, 0, S, NOTHING},
	{S, EV_ABORT, 0, 0, 0, HO_SRC_ABORTED, DO(TAKE_BACK)},
	{S, EV_PEER_FENCED, 0, 0, 0, HO_SRC_ABORTED, DO(TAKE_BACK, ACT_FINISHED)},
	{S, EV_QEMU_DEAD, 0, END | READY, 0, HO_SRC_COMMITTED, DO(ACT_JOURNAL, ACT_SEND_STATE)},
	{S, EV_QEMU_DEAD, 0, END, 0, S, DO(ACT_SEND_STATE)}, /* everything was sent: the destination may yet be READY */
	{S, EV_QEMU_DEAD, 0, RESTARTED, 0, S, DO(ACT_SEND_STATE)},
	{S, EV_QEMU_DEAD, 0, 0, 0, HO_SRC_ABORTED, DO(TAKE_BACK)},
	{S, EV_END_SENT, 0, ALIVE, RESTARTED, S, NOTHING},
	{S, EV_QEMU_COMPLETED, 0, SHUT | ALIVE, 0, S, DO(ACT_HOLD_QEMU)},
	{S, EV_QEMU_HELD, 0, END | SHUT | ALIVE, RESTARTED, HO_SRC_COMMITTED, DO(ACT_JOURNAL, ACT_SEND_STATE)},
#undef S
#define S HO_SRC_COMMITTED
	{S, EV_PEER, P(HO_DST_PREPARED), 0, 0, S, DO(ACT_SEND_STATE)},
	{S, EV_PEER, P(HO_DST_BEGUN) | P(HO_DST_START), 0, 0, S, NOTHING},
	{S, EV_PEER, P(HO_DST_STARTED), REVERTIBLE, 0, S, NOTHING},
	{S, EV_PEER, P(HO_DST_STARTED), 0, 0, HO_SRC_RELEASED, DO(RELEASE)},
	{S, EV_KEEP, 0, 0, 0, S, DO(ACT_SEND_STATE)}, /* asks whether the guest still runs there: the last answer may be old */
	{S, EV_REVERT, 0, ALIVE | REVERTIBLE | THERE, 0, HO_SRC_REVERTING, DO(ACT_JOURNAL, ACT_SEND_STATE)},
	{S, EV_PEER, P(HO_DST_DONE), 0, 0, HO_SRC_RELEASED, DO(RELEASE, ACT_FINISHED)},
	{S, EV_PEER, P(HO_DST_NOVM), 0, 0, HO_SRC_ABORTED, DO(TAKE_BACK)},
	/* The destination can have aborted after this state only by way of NOVM and a person there: the same promise. */
	{S, EV_PEER, P(HO_DST_ABORTED), 0, 0, HO_SRC_ABORTED, DO(TAKE_BACK, ACT_FINISHED)},
	{S, EV_PEER, P(HO_NONE), 0, 0, S, DO(ACT_UNDECIDED)},
	{S, EV_RESEND, 0, 0, 0, S, DO(ACT_SEND_STATE)},
	{S, EV_RECOVER, 0, 0, 0, S, DO(ACT_HOLD_QEMU, ACT_SEND_STATE)},
	{S, EV_PEER_FENCED, 0, 0, 0, HO_SRC_ABORTED, DO(TAKE_BACK, ACT_FINISHED)},
	{S, EV_QEMU_DEAD, 0, 0, 0, S, NOTHING},
	{S, EV_QEMU_COMPLETED, 0, 0, 0, S, NOTHING},
#undef S
#define S HO_SRC_REVERTING
	{S, EV_PEER, P(HO_DST_NOVM), 0, 0, HO_SRC_ABORTED, DO(TAKE_BACK)},
	{S, EV_PEER, P(HO_DST_ABORTED), 0, 0, HO_SRC_ABORTED, DO(TAKE_BACK, ACT_FINISHED)},
	{S, EV_PEER, P(HO_DST_DONE), 0, 0, HO_SRC_RELEASED, DO(RELEASE, ACT_FINISHED)}, /* a person there kept the guest */
	{S, EV_PEER, P(HO_DST_BEGUN) | P(HO_DST_PREPARED) | P(HO_DST_START), 0, 0, S, NOTHING}, /* late */
	{S, EV_PEER, P(HO_NONE), 0, 0, S, DO(ACT_UNDECIDED)},
	{S, EV_PEER_FENCED, 0, 0, 0, HO_SRC_ABORTED, DO(TAKE_BACK, ACT_FINISHED)},
	{S, EV_PEER, P(HO_DST_STARTED), ALIVE, 0, S, DO(ACT_SEND_STATE)},
	{S, EV_RESEND, 0, ALIVE, 0, S, DO(ACT_SEND_STATE)},
	/* The guest cannot come back here, as its QEMU is dead, and our message may still arrive there: a later life asks. */
	{S, EV_PEER, P(HO_DST_STARTED), 0, 0, S, DO(ACT_UNDECIDED)},
	{S, EV_RESEND, 0, 0, 0, S, DO(ACT_UNDECIDED)},
	/* The person who wanted it back is gone. A message of an earlier session never arrives in a new one: either it was heard, and led
	 * to NOVM there, or it never will be. */
	{S, EV_RECOVER, 0, 0, 0, HO_SRC_COMMITTED, DO(ACT_HOLD_QEMU, ACT_JOURNAL, ACT_SEND_STATE)},
	{S, EV_QEMU_DEAD, 0, 0, 0, S, NOTHING},
	{S, EV_QEMU_COMPLETED, 0, 0, 0, S, NOTHING},
#undef S
#define S HO_SRC_RELEASED
	{S, EV_PEER, P(HO_DST_PREPARED) | P(HO_DST_START) | P(HO_DST_STARTED), 0, 0, S, DO(ACT_SEND_STATE)},
	{S, EV_PEER, P(HO_DST_BEGUN), 0, 0, S, NOTHING},
	{S, EV_PEER, P(HO_DST_DONE) | P(HO_NONE), 0, 0, S, DO(ACT_FINISHED)},
	/* Only after a person fenced a source that was alive after all. */
	{S, EV_PEER, P(HO_DST_NOVM) | P(HO_DST_ABORTED), 0, 0, S, DO(ACT_UNDECIDED)},
	{S, EV_RESEND, 0, 0, 0, S, DO(ACT_SEND_STATE)},
	{S, EV_RECOVER, 0, 0, 0, S, DO(ACT_END_SOURCE_QEMU, ACT_REMOVE_SCAFFOLDING, ACT_SEND_STATE)},
	{S, EV_PEER_FENCED, 0, 0, 0, S, DO(ACT_FINISHED)},
	{S, EV_QEMU_DEAD, 0, 0, 0, S, NOTHING},
#undef S
#define S HO_SRC_ABORTED
	/* START comes late, or a person has decided what became of that QEMU. */
	{S, EV_PEER, P(HO_DST_BEGUN) | P(HO_DST_PREPARED) | P(HO_DST_START) | P(HO_DST_NOVM), 0, 0, S,
	 DO(ACT_SEND_STATE)},
	{S, EV_PEER, P(HO_DST_ABORTED) | P(HO_NONE), 0, 0, S, DO(ACT_FINISHED)},
	/* Only after a person fenced a destination that was alive after all. */
	{S, EV_PEER, P(HO_DST_STARTED) | P(HO_DST_DONE), 0, 0, S, DO(ACT_UNDECIDED)},
	{S, EV_RESEND, 0, 0, 0, S, DO(ACT_SEND_STATE)},
	{S, EV_RECOVER, 0, 0, 0, S, DO(ACT_CONT_SOURCE, ACT_REMOVE_SCAFFOLDING, ACT_SEND_STATE)},
	{S, EV_ABORT, 0, 0, 0, S, NOTHING},
	{S, EV_PEER_FENCED, 0, 0, 0, S, DO(ACT_FINISHED)},
	{S, EV_QEMU_DEAD, 0, 0, 0, S, NOTHING},
	/* A cancel came too late, or this is its echo: make sure that the guest runs. */
	{S, EV_QEMU_COMPLETED, 0, 0, 0, S, DO(ACT_CONT_SOURCE)},
#undef S

#define S HO_DST_BEGUN
	{S, EV_PEER, P(HO_SRC_BEGUN), 0, 0, S, DO(ACT_SEND_STATE)},
	{S, EV_PEER, P(HO_SRC_ABORTED) | P(HO_NONE), 0, 0, HO_DST_ABORTED, DO(CLEAR_OUT)},
	{S, EV_RESEND, 0, 0, 0, S, DO(ACT_SEND_STATE)},
	{S, EV_RECOVER, 0, 0, 0, HO_DST_ABORTED, DO(CLEAR_OUT)},
	{S, EV_ABORT, 0, 0, 0, HO_DST_ABORTED, DO(CLEAR_OUT)},
	{S, EV_PEER_FENCED, 0, 0, 0, HO_DST_ABORTED, DO(CLEAR_OUT)},
	{S, EV_QEMU_DEAD, 0, 0, 0, HO_DST_ABORTED, DO(CLEAR_OUT)},
	{S, EV_PREPARED_OK, 0, ALIVE, RESTARTED, HO_DST_PREPARED, DO(ACT_JOURNAL, ACT_SEND_STATE)},
#undef S
#define S HO_DST_PREPARED
	/* RELEASED is COMMITTED and more: the source is never going to run it. */
	{S, EV_PEER, P(HO_SRC_COMMITTED) | P(HO_SRC_RELEASED), ALIVE, 0, HO_DST_START,
	 DO(ACT_JOURNAL, ACT_CONT_DESTINATION)},
	{S, EV_PEER, P(HO_SRC_COMMITTED) | P(HO_SRC_RELEASED), 0, 0, HO_DST_NOVM, DO(ACT_JOURNAL, ACT_SEND_STATE)},
	{S, EV_PEER, P(HO_SRC_BEGUN), 0, 0, S, DO(ACT_SEND_STATE)},
	{S, EV_PEER, P(HO_SRC_ABORTED), 0, 0, HO_DST_ABORTED, DO(CLEAR_OUT)},
	{S, EV_PEER, P(HO_NONE), 0, 0, S, DO(ACT_UNDECIDED)},
	{S, EV_RESEND, 0, 0, 0, S, DO(ACT_SEND_STATE)},
	{S, EV_RECOVER, 0, ALIVE, 0, S, DO(ACT_SEND_STATE)},
	{S, EV_RECOVER, 0, 0, 0, HO_DST_NOVM, DO(ACT_JOURNAL, ACT_SEND_STATE)},
	{S, EV_PEER_FENCED, 0, ALIVE, 0, HO_DST_START, DO(ACT_JOURNAL, ACT_CONT_DESTINATION)},
	{S, EV_QEMU_DEAD, 0, 0, 0, HO_DST_NOVM, DO(ACT_JOURNAL, ACT_SEND_STATE)},
#undef S
#define S HO_DST_START
	{S, EV_PEER, P(HO_SRC_ABORTED), 0, ALIVE, HO_DST_ABORTED, DO(CLEAR_OUT)},
	{S, EV_PEER, P(HO_SRC_ABORTED), 0, 0, S, DO(ACT_UNDECIDED)},
	/* A cont that was refused after a restart may be tried again. */
	{S, EV_PEER, P(HO_SRC_COMMITTED) | P(HO_SRC_RELEASED), ALIVE | RESTARTED, 0, S, DO(ACT_CONT_DESTINATION)},
	{S, EV_PEER, P(HO_SRC_BEGUN) | P(HO_SRC_COMMITTED) | P(HO_SRC_RELEASED) | P(HO_NONE), ALIVE, 0, S, NOTHING},
	{S, EV_PEER, P(HO_SRC_BEGUN) | P(HO_SRC_COMMITTED) | P(HO_SRC_RELEASED), 0, 0, S,
	 DO(ACT_SEND_STATE, ACT_UNDECIDED)},
	{S, EV_PEER, P(HO_NONE), 0, 0, S, DO(ACT_UNDECIDED)},
	{S, EV_CONT_OK, 0, ALIVE, 0, HO_DST_STARTED, DO(ACT_JOURNAL, ACT_SEND_STATE)},
	/* The guest may have run in an earlier life and stopped again. */
	{S, EV_CONT_FAILED_NEVER_RAN, 0, RESTARTED, 0, S, DO(ACT_SEND_STATE, ACT_UNDECIDED)},
	{S, EV_CONT_FAILED_NEVER_RAN, 0, ALIVE, 0, HO_DST_NOVM,
	 DO(ACT_JOURNAL, ACT_END_DESTINATION_QEMU, ACT_SEND_STATE)},
	{S, EV_RESEND, 0, 0, 0, S, DO(ACT_SEND_STATE)},
	{S, EV_RECOVER, 0, ALIVE, 0, S, DO(ACT_CONT_DESTINATION)},
	{S, EV_RECOVER, 0, 0, 0, S, DO(ACT_SEND_STATE, ACT_UNDECIDED)},
	{S, EV_PEER_FENCED, 0, ALIVE, 0, S, NOTHING},
	{S, EV_QEMU_DEAD, 0, 0, 0, S, DO(ACT_SEND_STATE, ACT_UNDECIDED)},
#undef S
#define S HO_DST_STARTED
	{S, EV_PEER, P(HO_SRC_BEGUN) | P(HO_SRC_COMMITTED), 0, 0, S, DO(ACT_SEND_STATE)},
	{S, EV_PEER, P(HO_SRC_RELEASED) | P(HO_NONE), 0, 0, HO_DST_DONE,
	 DO(ACT_JOURNAL, ACT_REMOVE_SCAFFOLDING, ACT_SEND_STATE, ACT_FINISHED)},
	{S, EV_PEER, P(HO_SRC_REVERTING), 0, 0, HO_DST_NOVM, DO(ACT_JOURNAL, ACT_END_DESTINATION_QEMU, ACT_SEND_STATE)},
	{S, EV_PEER, P(HO_SRC_ABORTED), 0, 0, S, DO(ACT_UNDECIDED)},
	{S, EV_RESEND, 0, 0, 0, S, DO(ACT_SEND_STATE)},
	{S, EV_RECOVER, 0, 0, 0, S, DO(ACT_SEND_STATE)},
	{S, EV_PEER_FENCED, 0, 0, 0, HO_DST_DONE, DO(ACT_JOURNAL, ACT_REMOVE_SCAFFOLDING, ACT_FINISHED)},
	{S, EV_QEMU_DEAD, 0, 0, 0, S, DO(ACT_SEND_STATE)}, /* the message reports it */
	{S, EV_CONT_OK, 0, 0, 0, S, NOTHING},
#undef S
#define S HO_DST_DONE
	{S, EV_PEER, P(HO_SRC_BEGUN) | P(HO_SRC_COMMITTED) | P(HO_SRC_REVERTING) | P(HO_SRC_RELEASED), 0, 0, S, DO(ACT_SEND_STATE)},
	{S, EV_PEER, P(HO_NONE), 0, 0, S, DO(ACT_FINISHED)},
	{S, EV_PEER, P(HO_SRC_ABORTED), 0, 0, S, DO(ACT_UNDECIDED)},
	{S, EV_RESEND, 0, 0, 0, S, DO(ACT_SEND_STATE)},
	{S, EV_RECOVER, 0, 0, 0, S, DO(ACT_REMOVE_SCAFFOLDING, ACT_SEND_STATE, ACT_FINISHED)},
	{S, EV_PEER_FENCED, 0, 0, 0, S, DO(ACT_FINISHED)},
	{S, EV_QEMU_DEAD, 0, 0, 0, S, NOTHING},
	{S, EV_CONT_OK, 0, 0, 0, S, NOTHING},
#undef S
#define S HO_DST_NOVM
	{S, EV_PEER, P(HO_SRC_BEGUN) | P(HO_SRC_COMMITTED) | P(HO_SRC_REVERTING), 0, 0, S, DO(ACT_SEND_STATE)},
	{S, EV_PEER, P(HO_SRC_ABORTED) | P(HO_NONE), 0, 0, HO_DST_ABORTED, DO(CLEAR_OUT)},
	{S, EV_PEER, P(HO_SRC_RELEASED), 0, 0, S, DO(ACT_SEND_STATE, ACT_UNDECIDED)},
	{S, EV_RESEND, 0, 0, 0, S, DO(ACT_SEND_STATE)},
	{S, EV_RECOVER, 0, 0, 0, S, DO(ACT_END_DESTINATION_QEMU, ACT_SEND_STATE)},
	{S, EV_ABORT, 0, 0, 0, S, NOTHING},
	{S, EV_PEER_FENCED, 0, 0, 0, HO_DST_ABORTED, DO(CLEAR_OUT)},
	{S, EV_QEMU_DEAD, 0, 0, 0, S, NOTHING},
#undef S
#define S HO_DST_ABORTED
	{S, EV_PEER, P(HO_SRC_BEGUN) | P(HO_SRC_COMMITTED) | P(HO_SRC_REVERTING) | P(HO_SRC_ABORTED), 0, 0, S, DO(ACT_SEND_STATE)},
	{S, EV_PEER, P(HO_NONE), 0, 0, S, NOTHING},
	{S, EV_PEER, P(HO_SRC_RELEASED), 0, 0, S, DO(ACT_UNDECIDED)},
	{S, EV_RESEND, 0, 0, 0, S, DO(ACT_SEND_STATE)},
	{S, EV_RECOVER, 0, 0, 0, S, DO(ACT_END_DESTINATION_QEMU, ACT_REMOVE_SCAFFOLDING, ACT_SEND_STATE, ACT_FINISHED)},
	{S, EV_ABORT, 0, 0, 0, S, NOTHING},
	{S, EV_PEER_FENCED, 0, 0, 0, S, NOTHING},
	{S, EV_QEMU_DEAD, 0, 0, 0, S, NOTHING},
#undef S
	/* clang-format on */
};

static enum handoff_role other(enum handoff_role role)
{
	return role == HO_SOURCE ? HO_DESTINATION : HO_SOURCE;
}

void handoff_init(struct handoff *h, enum handoff_role role)
{
	*h = (struct handoff){
		.role = role,
		.state = role == HO_SOURCE ? HO_SRC_BEGUN : HO_DST_BEGUN,
		.qemu_alive = true,
	};
}

int handoff_restore(struct handoff *h, enum handoff_role role, enum handoff_state state, bool qemu_alive)
{
	if (!handoff_state_of_role(state, role))
		return -EINVAL;
	*h = (struct handoff){.role = role, .state = state, .qemu_alive = qemu_alive, .restarted = true};
	return 0;
}

static unsigned facts(const struct handoff *h)
{
	return (h->qemu_alive ? ALIVE : 0) | (h->restarted ? RESTARTED : 0) | (h->end_sent ? END : 0) |
	       (h->peer == HO_DST_PREPARED ? READY : 0) | (h->shut_released ? SHUT : 0) | (h->revertible ? REVERTIBLE : 0) |
	       (h->peer == HO_DST_STARTED ? THERE : 0) | (h->asks ? ASKS : 0);
}

static const struct rule *find_rule(const struct handoff *h, enum handoff_event ev, enum handoff_state peer)
{
	unsigned have = facts(h);

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		const struct rule *r = &rules[i];

		if (r->from == h->state && r->ev == ev && (ev != EV_PEER || r->peers & P(peer)) && (have & r->yes) == r->yes &&
		    !(have & r->no))
			return r;
	}
	return NULL;
}

/* False for an action on a QEMU that is dead, and for a second ACT_FINISHED. */
static bool take_action(struct handoff *h, enum handoff_action a)
{
	switch (a) {
	case ACT_HOLD_QEMU:
	case ACT_CONT_SOURCE:
	case ACT_CONT_DESTINATION:
		return h->qemu_alive;
	case ACT_END_SOURCE_QEMU:
	case ACT_END_DESTINATION_QEMU:
		if (!h->qemu_alive)
			return false;
		h->qemu_alive = false;
		return true;
	case ACT_RELEASE_SHUT:
		h->shut_released = true;
		return true;
	case ACT_FINISHED:
		if (h->finished)
			return false;
		h->finished = true;
		return true;
	case ACT_JOURNAL:
	case ACT_SEND_STATE:
	case ACT_REMOVE_SCAFFOLDING:
	case ACT_UNDECIDED:
		return true;
	}
	return false;
}

int handoff_step(struct handoff *h, enum handoff_event ev, enum handoff_state peer, struct handoff_actions *out)
{
	struct handoff next = *h;
	const struct rule *r;

	if (ev == EV_PEER) {
		if (peer != HO_NONE && !handoff_state_of_role(peer, other(h->role)))
			return -EPROTO;
		next.peer = peer;
	}
	if (ev == EV_QEMU_DEAD)
		next.qemu_alive = false;
	if (ev == EV_END_SENT)
		next.end_sent = true;
	if (ev == EV_KEEP)
		next.revertible = false;

	r = find_rule(&next, ev, peer);
	if (!r)
		return -EPROTO;
	out->n = 0;
	for (unsigned i = 0; i < r->n; i++)
		if (take_action(&next, r->act[i]))
			out->a[out->n++] = r->act[i];
	if (r->to != next.state) {
		next.state = r->to;
		next.restarted = false;
	}
	*h = next;
	return 0;
}

void handoff_not_noted(struct handoff *h, enum handoff_state before)
{
	h->state = before;
}

bool handoff_is_given_up(const struct handoff *h)
{
	return h->state == HO_SRC_COMMITTED || h->state == HO_SRC_REVERTING;
}

bool handoff_point_of_no_return(const struct handoff *h)
{
	switch (h->state) {
	case HO_NONE:
	case HO_SRC_BEGUN:
	case HO_SRC_ABORTED:
	case HO_DST_BEGUN:
	case HO_DST_NOVM:
	case HO_DST_ABORTED:
		return false;
	case HO_SRC_COMMITTED:
	case HO_SRC_REVERTING:
	case HO_SRC_RELEASED:
	case HO_DST_PREPARED:
	case HO_DST_START:
	case HO_DST_STARTED:
	case HO_DST_DONE:
		return true;
	}
	return true;
}

bool handoff_state_of_role(enum handoff_state s, enum handoff_role role)
{
	if (role == HO_SOURCE)
		return (s >= HO_SRC_BEGUN && s <= HO_SRC_ABORTED) || s == HO_SRC_REVERTING;
	return s >= HO_DST_BEGUN && s <= HO_DST_ABORTED;
}

static const char *const state_names[HO_STATE_COUNT] = {
	[HO_NONE] = "NONE",
	[HO_SRC_BEGUN] = "SRC_BEGUN",
	[HO_SRC_COMMITTED] = "SRC_COMMITTED",
	[HO_SRC_RELEASED] = "SRC_RELEASED",
	[HO_SRC_ABORTED] = "SRC_ABORTED",
	[HO_DST_BEGUN] = "DST_BEGUN",
	[HO_DST_PREPARED] = "DST_PREPARED",
	[HO_DST_START] = "DST_START",
	[HO_DST_STARTED] = "DST_STARTED",
	[HO_DST_DONE] = "DST_DONE",
	[HO_DST_NOVM] = "DST_NOVM",
	[HO_DST_ABORTED] = "DST_ABORTED",
	[HO_SRC_REVERTING] = "SRC_REVERTING",
};

const char *handoff_state_name(enum handoff_state s)
{
	return (unsigned)s < HO_STATE_COUNT ? state_names[s] : "?";
}

int handoff_state_parse(const char *name, enum handoff_state *out)
{
	for (unsigned i = 0; i < HO_STATE_COUNT; i++)
		if (!strcmp(name, state_names[i])) {
			*out = (enum handoff_state)i;
			return 0;
		}
	return -EINVAL;
}

const char *handoff_event_name(enum handoff_event e)
{
	static const char *const names[HO_EVENT_COUNT] = {
		[EV_PEER] = "PEER",
		[EV_RESEND] = "RESEND",
		[EV_RECOVER] = "RECOVER",
		[EV_ABORT] = "ABORT",
		[EV_PEER_FENCED] = "PEER_FENCED",
		[EV_QEMU_DEAD] = "QEMU_DEAD",
		[EV_END_SENT] = "END_SENT",
		[EV_QEMU_COMPLETED] = "QEMU_COMPLETED",
		[EV_QEMU_HELD] = "QEMU_HELD",
		[EV_PREPARED_OK] = "PREPARED_OK",
		[EV_CONT_OK] = "CONT_OK",
		[EV_CONT_FAILED_NEVER_RAN] = "CONT_FAILED_NEVER_RAN",
		[EV_KEEP] = "KEEP",
		[EV_REVERT] = "REVERT",
	};

	return (unsigned)e < HO_EVENT_COUNT ? names[e] : "?";
}

const char *handoff_action_name(enum handoff_action a)
{
	static const char *const names[HO_ACTION_COUNT] = {
		[ACT_JOURNAL] = "JOURNAL",
		[ACT_SEND_STATE] = "SEND_STATE",
		[ACT_RELEASE_SHUT] = "RELEASE_SHUT",
		[ACT_HOLD_QEMU] = "HOLD_QEMU",
		[ACT_CONT_SOURCE] = "CONT_SOURCE",
		[ACT_END_SOURCE_QEMU] = "END_SOURCE_QEMU",
		[ACT_CONT_DESTINATION] = "CONT_DESTINATION",
		[ACT_END_DESTINATION_QEMU] = "END_DESTINATION_QEMU",
		[ACT_REMOVE_SCAFFOLDING] = "REMOVE_SCAFFOLDING",
		[ACT_UNDECIDED] = "UNDECIDED",
		[ACT_FINISHED] = "FINISHED",
	};

	return (unsigned)a < HO_ACTION_COUNT ? names[a] : "?";
}
