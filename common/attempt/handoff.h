/* clang-format off */
/*
 * handoff.h: who may run the guest. The state machine of the hand-off, the same code in both agents.
 *
 * Pure: events in, actions out; no clock, no file, no socket. Every rule about which side may start,
 * stop or end a QEMU is in handoff.c and nowhere else; tests/model/handoff.pml is its model and
 * test-handoff.c walks all its states.
 *
 * How an agent uses it:
 *   - journal_create (which records BEGUN) and handoff_init; or, after a restart, journal_open,
 *     handoff_restore and EV_RECOVER.
 *   - For every event handoff_step, then the actions in their order, each finished before the next.
 *     An action that cannot be carried out ends the list. A failed ACT_JOURNAL is a crash of this
 *     agent: send nothing, touch no QEMU, say "undecided", exit; what counts afterwards is what the
 *     journal turns out to hold.
 *   - -EPROTO: nothing was changed, nothing is to be done. From a peer's message it is an error worth
 *     a log line; for a user's EV_ABORT it means "too late".
 *
 * The agent owes the machine facts that it cannot see by itself:
 *   - EV_END_SENT before END can leave.
 *   - EV_QEMU_DEAD only when QMP has been read to its end.
 *   - EV_QEMU_HELD only when the source QEMU is stopped and QMP was read to its end, and it has not resumed the guest
 *     since END: another client's `cont` is possible until then. EV_ABORT if it has.
 *   - Before EV_RECOVER in COMMITTED: proof that the guest has not run here since. The proof is a QEMU that is stopped
 *     as we left it; after a reboot, that no process has the images open and no unit started the guest. Otherwise no
 *     step, and "undecided".
 *   - No monitor but its own leads to the destination QEMU until the guest runs there.
 *   - EV_CONT_FAILED_NEVER_RAN only after several tries: NOVM may be the end of the last copy.
 */
/* clang-format on */
#ifndef VMFERRY_HANDOFF_H
#define VMFERRY_HANDOFF_H

#include <stdbool.h>

enum handoff_role { HO_SOURCE, HO_DESTINATION };

/* The states, as journals hold them and every HANDOFF message carries them. Values are on the wire and on disk: append only. */
enum handoff_state {
	HO_NONE = 0, /* no journal of this attempt: it has finished and was forgotten */

	HO_SRC_BEGUN = 1,
	HO_SRC_COMMITTED = 2,
	HO_SRC_RELEASED = 3,
	HO_SRC_ABORTED = 4,

	HO_DST_BEGUN = 5,
	HO_DST_PREPARED = 6,
	HO_DST_START = 7,
	HO_DST_STARTED = 8,
	HO_DST_DONE = 9,
	HO_DST_NOVM = 10,
	HO_DST_ABORTED = 11,

	HO_SRC_REVERTING = 12,
};
#define HO_STATE_COUNT 13

enum handoff_event {
	EV_PEER,		  /* HANDOFF message; the peer's state is handoff_step's `peer` (HO_NONE: it knows no
		    such attempt) */
	EV_RESEND,		  /* reconnected, or an answer is overdue: say again where we are */
	EV_RECOVER,		  /* first event after handoff_restore */
	EV_ABORT,		  /* the user, an error, or the peer lost for too long */
	EV_PEER_FENCED,		  /* a person says: the peer will never act again, the guest is ours */
	EV_QEMU_DEAD,		  /* pidfd; first drain QMP, so that a `failed` that came before the death is
			   seen before it */
	EV_END_SENT,		  /* source: guest stopped, everything incl. END queued; step this before END can
			leave */
	EV_QEMU_COMPLETED,	  /* source: migration `completed` */
	EV_QEMU_HELD,		  /* source: it was stopped by SIGSTOP and has not run the guest since END */
	EV_PREPARED_OK,		  /* destination: all applied, digests equal, disks synced, state loaded,
			       nodes active */
	EV_CONT_OK,		  /* destination: the guest runs or has run (cont succeeded, RESUME seen, found
		       running) */
	EV_CONT_FAILED_NEVER_RAN, /* destination: cont refused, still paused, no RESUME event seen
				   */
	EV_KEEP,		  /* source, revertible: the guest is to stay at the destination */
	EV_REVERT,		  /* source, revertible: a person wants the guest back here, as it was when it was given up */
};
#define HO_EVENT_COUNT 14

enum handoff_action {
	ACT_JOURNAL,		  /* h->state durable before any later action of the list */
	ACT_SEND_STATE,		  /* HANDOFF message with h->state */
	ACT_RELEASE_SHUT,	  /* source: let QEMU's final SHUT through */
	ACT_HOLD_QEMU,		  /* source: SIGSTOP, so that no client's `cont` can wake it; in BEGUN EV_QEMU_HELD is next */
	ACT_CONT_SOURCE,	  /* take the guest back: cancel, close QEMU's sockets, SIGCONT if held, cont
			    if it is not running */
	ACT_END_SOURCE_QEMU,	  /* source: end the QEMU and wait until it is dead */
	ACT_CONT_DESTINATION,	  /* QMP cont if it is not running (nothing else ever sends one); then
				 EV_CONT_* or EV_QEMU_DEAD */
	ACT_END_DESTINATION_QEMU, /* destination: end the QEMU and wait until it is dead; it never
				     ran the guest */
	ACT_REMOVE_SCAFFOLDING,	  /* undo what the journal still owns (destination DONE: all but the
				     guest itself) */
	ACT_UNDECIDED,		  /* a person must decide: exit 6 and say so; keep the journal */
	ACT_FINISHED,		  /* nothing more to exchange: the journal may be removed. Emitted once per life
			 of an agent */
};
#define HO_ACTION_COUNT 11
#define HO_ACTIONS_MAX	8

struct handoff {
	enum handoff_role role;
	enum handoff_state state; /* state that is in the journal, once the ACT_JOURNAL that set it is carried out */
	enum handoff_state peer;  /* last heard in this life; HO_NONE at first */
	bool qemu_alive;
	bool restarted;	    /* this state was read from a journal, not entered in this life */
	bool end_sent;	    /* source, this life */
	bool shut_released; /* source, this life */
	bool revertible;    /* source, this life: STARTED waits for EV_KEEP or EV_REVERT */
	bool asks;     /* source, restarted: its guest is shut down and could be started, but all was sent, and a person may have had the
			 copy started: the destination is heard first. Set between handoff_restore and EV_RECOVER */
	bool finished; /* ACT_FINISHED was emitted */
};

struct handoff_actions {
	enum handoff_action a[HO_ACTIONS_MAX];
	unsigned n;
};

/* A new attempt, in BEGUN. qemu_alive is true: on the destination from when its QEMU is launched,
 * nothing asks earlier. */
void handoff_init(struct handoff *h, enum handoff_role role);

/* Restores the hand-off after a restart, from journal_last_state(). qemu_alive: the very process that the journal names (boot_id, pid,
 * start time) lives. The next step is EV_RECOVER. -EINVAL: the state is not one of this role's. */
int handoff_restore(struct handoff *h, enum handoff_role role, enum handoff_state state, bool qemu_alive);

/* `peer` is looked at for EV_PEER only. 0, or -EPROTO with h and out untouched. */
int handoff_step(struct handoff *h, enum handoff_event ev, enum handoff_state peer, struct handoff_actions *out);

/* ACT_JOURNAL failed, and certainly nothing of it is on disk: nothing has happened, the state is the one before. */
void handoff_not_noted(struct handoff *h, enum handoff_state before);

/* Source: only the destination, or a person, can give the guest back. */
bool handoff_is_given_up(const struct handoff *h);
/* Past the point where this side could still abort by itself. */
bool handoff_point_of_no_return(const struct handoff *h);

bool handoff_state_of_role(enum handoff_state s, enum handoff_role role);
const char *handoff_state_name(enum handoff_state s); /* "SRC_BEGUN" …; "?" if out of range */
/* The reverse. 0 or -EINVAL. */
int handoff_state_parse(const char *name, enum handoff_state *out);
const char *handoff_event_name(enum handoff_event e);
const char *handoff_action_name(enum handoff_action a);

#endif
