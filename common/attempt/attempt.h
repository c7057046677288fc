/*
 * attempt.h: an attempt to move a guest, as either agent has it: its id, the connection to the other side, what it has promised and made
 * (journal), who may run the guest (hand-off), and how it ends. It knows no disk, no memory and no QEMU.
 *
 * The agent embeds it, and gives it a table of functions that carry out the actions of the hand-off machine.
 */
#ifndef VMFERRY_ATTEMPT_H
#define VMFERRY_ATTEMPT_H

#include "conductor.h"
#include "cpu-stage.h"
#include "handoff.h"
#include "journal.h"
#include "link.h"

struct attempt;

enum { ATTEMPT_KEPT = 2 };

struct attempt_ops {
	/* Functions by action, except ACT_JOURNAL, ACT_UNDECIDED and ACT_FINISHED, which are the same at both sides; NULL: an action of the
	 * other side. 0, or -errno with *e: the actions after it are not done. */
	int (*act[HO_ACTION_COUNT])(struct attempt *a, struct err *e);
	/* The state in a->handoff is durable. */
	void (*entered)(struct attempt *a);
	/* The journal did not take the state; before: the state that it holds; *e: why. 0: go on as if it had; 1: the step has not
	 * happened, *e is reported; -errno: behave as after a crash. NULL: always the last. */
	int (*not_noted)(struct attempt *a, enum handoff_state before, struct err *e);
	/* Called once all actions of a step have been carried out. entered: the step entered a state. */
	void (*carried_out)(struct attempt *a, bool entered);
	/* Undoes an entry that the journal owns. 0: removed; 1: not ours, left alone, *e says why; ATTEMPT_KEPT: kept on purpose, a->kept
	 * says so; -errno: failed, *e says why; a later try repeats it. */
	int (*undo)(struct attempt *a, const char *kind, const json_t *detail, struct err *e);
	/* Reports an entry that stays. r: the result of undo(). */
	void (*left_behind)(struct attempt *a, const char *kind, const json_t *detail, int r, const struct err *why);
};

struct attempt {
	const struct attempt_ops *ops;
	uint8_t id[ATTEMPT_ID_LEN];
	struct loop *loop;
	struct conductor con;
	struct channel *control; /* NULL: none yet */
	unsigned silence_ms;	 /* silence that the channel bears; atomic, see channel_config */
	bool control_lost;
	struct journal *journal; /* NULL: nothing is promised or made yet, or any more */
	struct handoff handoff;
	uint64_t noted_ns;    /* time that the last state took to come to stable storage */
	bool handing_off;     /* a journal exists or existed: the hand-off machine decides */
	bool dead;	      /* the journal failed: from here on we behave as if we had crashed */
	bool taken_up;	      /* the journal is of an earlier life */
	bool over;	      /* the journal says that it has ended: only entries that could not be undone are left */
	bool undecided;	      /* a person must decide */
	bool to_be_undecided; /* the attempt becomes undecided at the end of the step that is being carried out */
	bool undo_failed;
	bool unfinished;   /* another process is to go on with it: its journal stays as it is */
	json_t *leftovers; /* sentences about entries that could not be undone here */
	json_t *kept;	   /* sentences about entries kept on purpose: the journal stays for them */
	struct cpu_meter cpu_used;
	uint64_t rss_anon_max;
	int exit_code; /* exit-code.h */
};

/* loop_entries: of its io_uring. fail: see conductor.h; ctx: of the stages and of fail. */
int attempt_init(struct attempt *a, const struct attempt_ops *ops, unsigned loop_entries, const struct stage *stages, void *ctx,
		 void (*fail)(void *ctx, const struct err *why), struct err *e);
/* Gives messages to the other side a moment to leave. */
void attempt_drain(struct attempt *a);
/* Closes the connection, so that the other side learns that we are gone. Call this before anything that waits for it to end. */
void attempt_disconnect(struct attempt *a);
/* Frees everything but the loop, which others may still need. */
void attempt_fini(struct attempt *a);

/* The control channel, over a link that becomes its own. pacer: NULL if nothing limits it. */
void attempt_connect(struct attempt *a, struct link link, struct pacer *pacer);
/* True if the control channel is up, as far as we know, and this attempt may still send. */
bool attempt_can_tell(const struct attempt *a);

/* The journal, in BEGUN; from here on the hand-off machine decides. begin: borrowed. */
int attempt_begin(struct attempt *a, const char *state_dir, enum handoff_role role, json_t *begin, struct err *e);
/* Opens the journal of an earlier life: sets a->id, over and handing_off. The agent restores the hand-off, and looks for its QEMU first. */
int attempt_open(struct attempt *a, const char *journal_path, struct err *e);
/* Takes up a journal of an earlier life that is open, as attempt_open() does; stolen. */
void attempt_take_up(struct attempt *a, struct journal *j);

/* Steps the hand-off machine and carries its actions out. -EPROTO: the event does not fit, nothing was changed. */
int attempt_step(struct attempt *a, enum handoff_event ev, enum handoff_state peer, struct err *e);
/* Ends this agent as a crash would: only what the journal holds counts. Returns r. */
int attempt_die(struct attempt *a, int r);

/* journal_own and the others (journal.h), with a detail that is stolen. */
int attempt_own(struct attempt *a, const char *kind, json_t *detail, struct err *e);
/* Logs a failure: a later undo examines the entry again. */
void attempt_disown(struct attempt *a, const char *kind, json_t *detail);
int attempt_note(struct attempt *a, const char *kind, json_t *detail, struct err *e);

/* Undoes all that the journal owns, newest first, from the journal alone. Entries that cannot be undone stay in it, and undo_failed is
 * set. */
void attempt_undo(struct attempt *a);
/* The number of entries that the journal owns; and an undo of those after the first so many. */
size_t attempt_owned(const struct attempt *a);
void attempt_undo_since(struct attempt *a, size_t before);
/* sentence: stolen. */
void attempt_add_leftover(struct attempt *a, char *sentence);
/* Removes the journal after the hand-off, unless an entry is still to be undone. */
void attempt_end_journal(struct attempt *a);
/* Removes the journal as attempt_end_journal() does, and ends the attempt. */
void attempt_finish(struct attempt *a);

#endif
