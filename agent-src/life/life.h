/*
 * life.h: what all commands that change or make a guest have in common: the report of their events, the control socket by
 * which `vmferry status` and `cancel` reach them, signals, progress, a journal, what they leave behind, and their entry in the
 * history. A move between two hosts has an attempt (attempt.h) beside it, with a loop and a journal of its own.
 *
 * A process carries out one command. life_now() is that command's life for code that works on its behalf far below (a digest, a
 * program that converts an image) and is handed nothing. Every function takes NULL for "no command is under way", as in unit
 * tests: sentences then go to standard error.
 */
#ifndef VMFERRY_LIFE_H
#define VMFERRY_LIFE_H

#include "control.h"
#include "journal.h"
#include "report.h"

#include <stddef.h>

/* Endings of a command: rows of a table in life.c, as ending.h has those of a move between two hosts. */
enum life_ending {
	LIFE_REFUSED,
	LIFE_FAILED,
	LIFE_FAILED_IN_PART,
	LIFE_FAILED_PAUSED,
	LIFE_FAILED_NOWHERE,
	LIFE_UNDECIDED,
	LIFE_MOVED,
	LIFE_MOVED_NOWHERE,
	LIFE_EXPORTED,
	LIFE_IMPORTED,
	LIFE_RECOVERED
};

struct life_progress {
	uint64_t begin_ns;	   /* begin of the stage */
	uint64_t at_ns, second_ns; /* time when progress was last reported, and when that of each second was */
	uint64_t done, total;	   /* bytes */
	double rate_bps;	   /* bytes a second */
	double percent;		   /* share of the stage that is done, where bytes are not counted; negative: they are */
};

/* Events and sentences that were reported so far. */
struct life_told {
	json_t *plan;		   /* the event, for the history; NULL: not told yet */
	json_t *result;		   /* result event, for hooks; NULL: not told yet */
	json_t *notes, *leftovers; /* sentences for the result */
};

/* Guest that a command acts on, and where it goes. */
struct life_subject {
	char *guest; /* the guest's name; NULL: not known yet */
	char *to;    /* destination of the guest or its disks; NULL: not known yet */
	pid_t pid;   /* pid of the guest's QEMU; 0: none */
};

struct life {
	const char *how; /* name of the command in events and history */
	const char *state_dir, *runtime_dir;
	struct report report;
	struct loop *loop;
	bool loop_is_ours;
	struct life_signals *signals; /* state of life_hear_signals(); NULL: not called */
	struct control *control;
	int claim;		 /* claim on the guest's QEMU; not above 0: none */
	struct journal *journal; /* journal of files that were made; NULL: none */
	bool journal_is_kept;	 /* keep the journal for a while after the end */
	bool is_trial;		 /* the command only looks (`--dry-run`): no journal, no hooks */
	bool is_frequent;	 /* the command runs all day: its caller keeps a history, and this host only counts it */
	bool undecided;		 /* the journal stays unchanged: another command must go on from it */
	struct life_subject subject;
	char attempt[2 * ATTEMPT_ID_LEN + 1]; /* attempt id in hex; "": none yet */
	bool cancelled;
	unsigned ahead; /* moves to this host that it waits for; 0: it does not wait */
	char *stage;
	struct life_progress progress;
	uint64_t begin_ns;
	struct life_told told;
	/* Answers a request on the control socket: a new reference. NULL: life.c answers `status` and `cancel`. */
	json_t *(*request)(void *ctx, const char *command, const json_t *args);
	void *ctx;
};

/* Options that all of these commands have. */
struct life_options {
	/* directories: state_dir has journals and history, runtime_dir has the control socket; NULL: there is none that this user can
	 * have */
	const char *state_dir, *runtime_dir;
	bool json, json_fine;
	bool stdout_is_data; /* standard output is for the command's data only */
};

/* Sets the directories of journals and sockets, or NULL where this user can have none; the caller frees *state and *runtime. */
void life_places(struct life_options *o, char **state, char **runtime);
/* Begins the command. -errno: this host has no room. */
int life_begin(struct life *l, const char *how, const struct life_options *o, struct err *e);
/* Begins the command on the caller's loop, which must outlive it. */
void life_begin_on(struct life *l, struct loop *loop, const char *how, const struct life_options *o);
struct life *life_now(void);
/* SIGINT and SIGTERM cancel the command from now on; no terminal ends or stops it. */
void life_heed_signals(void);
/* Serves a command that never blocks: SIGINT and SIGTERM wait for life_hear_signals(); no terminal ends or stops it. */
void life_hold_signals(void);
/* SIGINT and SIGTERM go to heard() in the loop, with l->ctx, until life_close(); where this host has no room for that, nobody hears them. */
void life_hear_signals(struct life *l, void (*heard)(void *ctx, int number));

/* Says which guest it is about: its name, where it goes (NULL: not known yet), the pid of its QEMU (0: it has none). Copies, as UTF-8. */
void life_about(struct life *l, const char *guest, const char *to, pid_t pid);
/* Says which attempt it is: plan, result, status and history have it. */
void life_is_attempt(struct life *l, const uint8_t id[ATTEMPT_ID_LEN]);
/* Asks this host's hooks (hooks.h) whether what the plan says may be done: 0, or the words of one that refuses. Not for a trial. Blocks. */
int life_ask_hooks(struct life *l, struct err *e);
/* Opens the control socket. -EBUSY: another command is under way with this guest. known_as: the pid of its
 * QEMU, or what takes its place (guest_at_rest_known_as(); our own where the guest is still to be made). start_time: of that QEMU, which may
 * have ended since, so that another user's process or a zombie has its pid; 0: it lives. */
int life_open(struct life *l, pid_t known_as, uint64_t start_time, struct err *e);
void life_close(struct life *l);
/* Runs the hooks with the result, after everything has ended and no one waits. */
void life_fini(struct life *l);

/* Keeps a journal from now on. begin: what it begins with; stolen. */
int life_create_journal(struct life *l, const uint8_t id[ATTEMPT_ID_LEN], json_t *begin, struct err *e);
/* Keeps a journal for an export or import, so that `vmferry recover` can remove its files should we die. Tells the user if there is
 * none, for lack of a writable state directory. */
void life_keep_journal(struct life *l);
/* Removes the journal, unless there are leftovers, which recover tries again by it. life_end() does so, too. */
void life_end_journal(struct life *l);
/* Writes to the journal, if there is one, as journal_own() and journal_note() do; detail is stolen. An error should end the command. */
int life_own(const struct life *l, const char *kind, json_t *detail, struct err *e);
/* Marks an entry as undone (a freeze). A failure is logged: recover looks at it again. */
void life_disown(const struct life *l, const char *kind, json_t *detail);
int life_journal_note(const struct life *l, const char *kind, json_t *detail, struct err *e);
/* Destination in words, from the beginning of any command's journal. Borrowed. */
const char *life_goes_to(const json_t *begin);
/* Opens the journal of an agent that has died, as journal_open(): an agent that was just killed, or its guard, holds it for a
 * moment more. waiting: called now and then meanwhile; may be NULL. */
int life_take_journal(struct journal **out, const char *path, void (*waiting)(void *ctx), void *ctx, struct err *e);
/* Begins a later life: takes over the journal of a command that was cut off. The journal is stolen. */
int life_take_up(struct life *l, struct journal *j, const struct life_options *o, struct err *e);

/* True once a signal or `vmferry cancel` was heard. */
bool life_is_cancelled(struct life *l);
/* Answers the control socket, then returns life_is_cancelled(). Code without a loop calls it several times a second; code that life.loop
 * runs must not. */
bool life_interrupted(void);

/* Takes the reference: an event of this command, whose "event" and "how" are set here. */
void life_emit(struct life *l, const char *event, json_t *members);
/* Begins a stage: emits it as an event, and resets the progress. */
void life_stage(struct life *l, const char *stage);
/* Sets the stage's progress in bytes, which is reported as often as wanted. each: its disks (a new reference), called only for a report;
 * may be NULL. */
void life_progress(struct life *l, uint64_t done, uint64_t total, json_t *(*each)(void *ctx));
/* Progress of a stage that is known in percent alone. */
void life_percent(struct life *l, double percent);

/* A line of a plan or a result: a word for the margin, and a sentence. rows: an array. */
void life_row(json_t *rows, const char *word, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Reports a sentence at once. */
void life_notice(struct life *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Adds a sentence to the result; adds a leftover. */
void life_note(struct life *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void life_leftover(struct life *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
size_t life_leftovers(const struct life *l);

/* Emits the result, which is complete (the reference is taken). It goes to the history unless the command was refused, when
 * nothing was touched. */
void life_over(struct life *l, json_t *result);
/* Emits the result: the ending's outcome and exit code, the members given (stolen), notes, leftovers, why (NULL: nothing went wrong).
 * A failure whose reason is ECANCELED is called cancelled. Returns the exit code: EXIT_LEFTOVERS in place of that of a guest at the source
 * or at the destination, where something is left. */
int life_end(struct life *l, enum life_ending ending, const struct err *why, json_t *members);

#endif
