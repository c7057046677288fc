/*
 * attempt.h: one try to move one guest, as either agent has it: its id, the connection to the other side, what it has promised and
 * made (journal), who may run the guest (hand-off), and how it ends. It knows no disk, no memory and no QEMU.
 *
 * The agent embeds it, and gives it a table of what is to be done where the hand-off machine says so.
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
	/* By action, but for ACT_JOURNAL, ACT_UNDECIDED and ACT_FINISHED, which are the same at both sides; NULL: the other side's. 0, or
	 * -errno with *e: what comes after it is not done. */
	int (*act[HO_ACTION_COUNT])(struct attempt *a, struct err *e);
	/* The state in a->handoff is durable. */
	void (*entered)(struct attempt *a);
	/* The journal did not take the state; before is what it holds, *e why. 0: go on as if it had; 1: it has not happened, *e is told;
	 * -errno: as after a crash. NULL: always that. */
	int (*not_noted)(struct attempt *a, enum handoff_state before, struct err *e);
	/* All actions of a step have been carried out. entered: a state was, among them. */
	void (*carried_out)(struct attempt *a, bool entered);
	/* Of what the journal owns. 0: it is gone; 1: it is somebody else's, and stays: *e says so; ATTEMPT_KEPT: it stays because it is to, and
	 * a->kept says so; -errno: it is tried again, *e says why not. */
	int (*undo)(struct attempt *a, const char *kind, const json_t *detail, struct err *e);
	/* Tells of what stays. r: of undo(). */
	void (*left_behind)(struct attempt *a, const char *kind, const json_t *detail, int r, const struct err *why);
};

struct attempt {
	const struct attempt_ops *ops;
	uint8_t id[ATTEMPT_ID_LEN];
	struct loop *loop;
	struct conductor con;
	struct channel *control; /* NULL: none yet */
	unsigned silence_ms;	 /* of it; atomic, see channel_config */
	bool control_lost;
	struct journal *journal; /* NULL: nothing is promised or made yet, or any more */
	struct handoff handoff;
	uint64_t noted_ns;    /* how long the last state took to come to stable storage */
	bool handing_off;     /* there was a journal: the hand-off machine decides */
	bool dead;	      /* the journal failed us: from here on as if we had crashed */
	bool taken_up;	      /* the journal is of an earlier life */
	bool over;	      /* the journal says so: nothing is left of it but what could not be undone */
	bool undecided;	      /* only a person can decide */
	bool to_be_undecided; /* at the end of the step that is being carried out */
	bool undo_failed;
	bool unfinished;   /* somebody else is to go on with it: its journal stays as it is */
	json_t *leftovers; /* sentences: what could not be undone here */
	json_t *kept;	   /* and what is not to be, for now: the journal stays for it */
	struct cpu_meter cpu_used;
	uint64_t rss_anon_max;
	int exit_code; /* exit-code.h */
};

/* loop_entries: of its io_uring. fail: see conductor.h; ctx: of the stages and of fail. */
int attempt_init(struct attempt *a, const struct attempt_ops *ops, unsigned loop_entries, const struct stage *stages, void *ctx,
		 void (*fail)(void *ctx, const struct err *why), struct err *e);
/* Gives what is on its way to the other side a moment to leave. */
void attempt_drain(struct attempt *a);
/* The other side hears that we are gone. Before anything that waits for it to end. */
void attempt_disconnect(struct attempt *a);
/* Everything but the loop, which others may still need. */
void attempt_fini(struct attempt *a);

/* The control channel, over a link that becomes its own. pacer: NULL if nothing limits it. */
void attempt_connect(struct attempt *a, struct link link, struct pacer *pacer);
/* It is there, as far as we know, and anybody is to be told anything. */
bool attempt_can_tell(const struct attempt *a);

/* The journal, in BEGUN; from here on the hand-off machine decides. begin: borrowed. */
int attempt_begin(struct attempt *a, const char *state_dir, enum handoff_role role, json_t *begin, struct err *e);
/* That of an earlier life: a->id, over and handing_off are set. The hand-off is restored by the agent, who looks for its QEMU first. */
int attempt_open(struct attempt *a, const char *journal_path, struct err *e);
/* The same with one that is open; stolen. */
void attempt_take_up(struct attempt *a, struct journal *j);

/* Steps the hand-off machine and carries its actions out. -EPROTO: the event does not fit, nothing was changed. */
int attempt_step(struct attempt *a, enum handoff_event ev, enum handoff_state peer, struct err *e);
/* As after a crash: what counts is what the journal holds. Returns r. */
int attempt_die(struct attempt *a, int r);

/* journal_own and the others (journal.h), with a detail that is stolen. */
int attempt_own(struct attempt *a, const char *kind, json_t *detail, struct err *e);
/* A failure is logged: the entry is looked at again by whoever undoes it. */
void attempt_disown(struct attempt *a, const char *kind, json_t *detail);
int attempt_note(struct attempt *a, const char *kind, json_t *detail, struct err *e);

/* Undoes what the journal owns, newest first, from the journal alone; what cannot be undone stays in it, and undo_failed is set. */
void attempt_undo(struct attempt *a);
/* How much that is; and of that only what came after the first so many. */
size_t attempt_owned(const struct attempt *a);
void attempt_undo_since(struct attempt *a, size_t before);
/* sentence: stolen. */
void attempt_add_leftover(struct attempt *a, char *sentence);
/* The hand-off is over: the journal goes, unless something is still to be undone. */
void attempt_end_journal(struct attempt *a);
/* And with it the attempt. */
void attempt_finish(struct attempt *a);

#endif
