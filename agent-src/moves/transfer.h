/*
 * transfer.h: one move as the source sees it: an attempt, the parts that its recipe puts together, and what the stages share. Private to
 * this folder.
 *
 *   connect · preflight · prepare · copy · switchover · commit · release     (the same names as at the destination)
 *
 * Theory of operation. We describe the guest (connect) and show the destination's plan (preflight; nothing has been
 * touched). Then both sides journal and prepare: here QEMU's settings, its NBD server and a dirty bitmap per disk
 * (prepare). Disks are copied in rounds, then RAM with them, until what is left fits the allowed downtime (copy).
 * The guest is stopped, the rest sent, ENDed with digests (switchover). From READY on only the hand-off machine
 * decides (commit). Whatever goes wrong before that ends in fail(), which undoes what the journal says is ours.
 */
#ifndef VMFERRY_SRC_TRANSFER_H
#define VMFERRY_SRC_TRANSFER_H

#include "aside.h"
#include "attempt.h"
#include "converge.h"
#include "definition.h"
#include "disks.h"
#include "files.h"
#include "gone.h"
#include "guard.h"
#include "host-load.h"
#include "host-share.h"
#include "move.h"
#include "power.h"
#include "ram.h"
#include "reconnect.h"
#include "tpm.h"
#include "turn.h"
#include "unit.h"

#define RESUMED_BY_SOMEBODY "the guest was resumed at the source by somebody else (QMP cont) while it was being handed over"
#define MIGRATED_AWAY	    "the guest was migrated away from here by somebody else: see to it where it runs before you resume it"
#define SEEDS_WORTH	    64	  /* all memory is read for them: not for disks smaller than this part of it */
#define ANSWER_MS	    60000 /* for the destination to give up cleanly, or to say again where it is */
#define START_MS	    15000 /* to say STARTED: after that another agent there is asked */

enum stage_number { ST_CONNECT, ST_PREFLIGHT, ST_PREPARE, ST_COPY, ST_SWITCHOVER, ST_COMMIT, ST_RELEASE };
extern const char *const stage_names[];

/* What the user may say while it runs: EVENT_USER types. */
enum user_order { ORDER_SWITCH = 1, ORDER_CANCEL, ORDER_INTERRUPT, ORDER_KEEP, ORDER_REVERT, ORDER_TIME, ORDER_PLAN_IS_DUE };

/* Rates, and when to switch over: copy.c. */
struct pace {
	struct converge converge;
	bool begun; /* something is being copied: not yet if it is to be stopped first, at a time to come */
	bool held, stall_told, limit_told, off_told, prepare_told;
	uint64_t most_left; /* bytes that the destination lacked, the most that there were */
	bool stop_wanted;   /* the user's `switch`, or --on-stall=stop */
	unsigned ticks, glances;
	/* bytes a second: of content, of it at best, and of what travels at best */
	double rate, best_rate, best_wire_rate;
	uint64_t at_ns, bytes, wire_bytes; /* when it was last measured, and what there was */
	uint64_t acked, acked_ns;	   /* what the destination had acknowledged when that was told last, and since when no more */
};

/* From the guest's stop here to its start there: blackout.c. */
struct blackout {
	bool stopping;	   /* we have decided to stop it */
	bool stopped;	   /* QEMU has, asked or not */
	bool completed;	   /* QEMU says so */
	bool disks_ahead;  /* they had a round of their own just before */
	uint32_t passed;   /* gates */
	uint64_t drain_ns; /* since when QEMU is not read, as what we have of memory is to arrive before; 0: it is */
	uint64_t stop_ns, prepared_ns, started_ns;
	uint64_t noted_ns; /* so long it waited for our journal */
	double predicted_ms, round_trip_ms;
	bool urgent;		  /* its threads come before others' meanwhile */
	double journals_ms;	  /* what both journals must write meanwhile */
	struct host_load load;	  /* of this host, as far as it was looked at */
	struct host_share share;  /* that we get of this host's processors */
	double busy_there;	  /* threads that want each processor of the destination's, when the copy began */
	uint64_t moved, moved_ns; /* when it last got further (data_plane_moved) */
	bool told;		  /* that it has not, for a while */
};

/* What the destination has said of itself. */
struct peer_word {
	int pid;			       /* of its QEMU */
	bool is_here;			       /* on this very host, as far as a boot id tells */
	int agent_pid;			       /* then, its own */
	bool has_io_uring, aborted, forgotten; /* forgotten: it knows nothing of this move, any more */
	bool ended;			       /* its QEMU, after the guest had begun to run in it */
	char error[ERR_MAX];
	double load_ms, noted_ms, start_ms; /* parts of the blackout, by its clock */
	uint64_t rss_anon;
	json_t *cpu_used;   /* NULL: it did not say */
	json_t *leftovers;  /* sentences: what could not be undone there, or is kept; NULL: it said nothing */
	size_t told, kept;  /* so many there were, and so many of them are of what is kept */
	json_t *afterwards; /* about starting the guest again */
};

/* How it has ended: rows of ending.c. */
enum ending_kind {
	ENDING_NOT_FOUND,
	ENDING_REFUSED,
	ENDING_MIGRATED,
	ENDING_MIGRATED_PAUSED,
	ENDING_COPY_MAY_WAIT,
	ENDING_STARTED_TWICE,
	ENDING_UNDECIDED,
	ENDING_LEFT_AS_IT_WAS,
	ENDING_QEMU_OF_THEN_GONE,
	ENDING_SHUT_DOWN,
	ENDING_ENDED,
	ENDING_SHUT_DOWN_IN_QEMU,
	ENDING_FORGOTTEN,
	ENDING_QEMU_GONE,
	ENDING_MIGRATED_BY_ANOTHER,
	ENDING_OFF_IN_QEMU,
	ENDING_GUARD_TRIES_ON,
	ENDING_RECOVER_WANTED,
	ENDING_SILENT,
	ENDING_OTHER_IMAGE,
	ENDING_PAUSED_HERE,
	ENDING_DOWN_FOR_IT,
	ENDING_MAY_GO_DOWN,
	ENDING_AT_REST_HERE,
	ENDING_BROKEN_HERE,
	ENDING_STILL_PAUSED_HERE,
	ENDING_RUNS_HERE
};

/* How it ends, and why. */
struct ending {
	enum ending_kind kind; /* since ending_settle() */
	struct err why;
	bool why_is_vague; /* a command, or a connection, failed as the monitor closed, or before: the event that is on its way tells more */
	bool channel_lost; /* then the other side may know better why */
	bool user_cancelled;
	struct timer question; /* set while a second Ctrl-C is waited for (events.c) */
	bool brought;	       /* its disks, and no more was asked */
	bool unheard;	       /* the source QEMU could not be told to go on */
	bool silent;	       /* it does not even say how it is */
	bool stands_migrated;  /* a paused guest, by our migration, after which it was taken back */
	bool held;	       /* though it is not committed: it runs at the destination, too */
	bool migrated_away;    /* by somebody else: a copy of the guest is not ours to resume */
	bool other_image;      /* has the name of one of its disks: QEMU would write there */
	bool undone;
	bool ran_on;		/* recover: COMMITTED, and the source QEMU does not stand as it was left */
	bool fenced;		/* recover: a person vouches that the destination will never run the guest */
	bool not_started;	/* recover: a person vouches that it was not started here since */
	uint64_t qemu_ended_ns; /* the source QEMU, ended by us */
	pid_t started_again;	/* a QEMU that has its disks here open after that */
	unsigned reconnects;
	uint64_t first_lost_ns;
	struct timer patience, plan;
	uint64_t plan_due_ns; /* for its first answer */
};

/* It runs there, and may be had back: revert.c. */
struct revert {
	bool open, asked, told_ended;
	bool time_is_over; /* and so the destination is asked whether it has the guest */
	time_t until;
	struct timer time;
	uint64_t since_ns, lasted_ns; /* that it is open; and how long it was, which is no part of the move */
};

/* Connections that are gone and may come back: outage.c. */
struct outage {
	bool agreed; /* with the destination: channels outlive their connections */
	struct reconnect *reconnect;
	struct queue made;
	uint32_t missing;			     /* a bit for each channel, by its number; 0: control */
	uint32_t given_up;			     /* those that were missing then */
	uint64_t since_ns, waited_since_ns, over_ns; /* this one, or the last */
	uint64_t arrived;			     /* bytes, when it began */
	bool told;
	struct err why;
	unsigned count;		   /* of those that are over */
	uint64_t lost_ns, last_ns; /* all of them; the last */
	struct timer look;
};

struct transfer {
	struct attempt a;
	struct life life;
	const struct recipe *recipe;
	const struct entry *entry;
	const struct move_options *opt;
	struct turn *turn; /* NULL: none is waited for */
	struct wait waits;
	char *disk_dir; /* transfer_disk_dir() */
	struct dest dest;
	struct guard guard;
	json_t *description, *plan; /* DESCRIBE and ACCEPT */

	struct parts parts; /* those of these that the recipe has */
	struct source src;
	struct unit unit;
	struct aside aside;
	struct gone gone;
	struct definition definition;
	struct tpm tpm;
	struct power power;
	struct ram ram;
	struct disks disks;
	struct files files;
	struct data_plane data;

	struct pace pace;
	struct blackout blackout;
	struct peer_word peer;
	struct ending end;
	struct outage outage;
	struct revert revert;
};

/* A kind of transfer: which parts it has, and what is really new in it. recipes.c */
struct recipe {
	const char *how;	 /* where the journal begins, and in DESCRIBE */
	const char *owner;	 /* likewise: who keeps the guest's books, "libvirt"; NULL: nobody does */
	const char *described;	 /* in DESCRIBE, where the destination does what it does for another kind; NULL: how */
	size_t parts[PARTS_MAX]; /* where they are in struct transfer, in the order in which they are asked; 0 ends them */
	const struct stage *stages;
	const struct attempt_ops *cutover;
	/* The guest, as the user calls it, and what is known of it. Changes nothing. */
	int (*find)(struct transfer *t, struct err *e);
	/* In the name of the control socket: the pid of the guest's QEMU, or what takes its place. */
	pid_t (*known_as)(const struct transfer *t);
	void (*describe_for_journal)(struct transfer *t, json_t *begin);
	struct traits traits;
	bool points;	       /* its disks become a point of its replica */
	const char *undecided; /* in words, where the guest may be */
	const char *back;      /* after a rollback, in words, how the guest is; NULL: as its QEMU says */
	/* Of an earlier life, from its journal: can the guest's QEMU still run it? */
	bool (*can_run)(const struct transfer *t);
	/* Before EV_RECOVER: what handoff.h wants of an agent. */
	int (*take_up)(struct transfer *t, struct err *e);
	/* The guest goes on here, if it can be let go on: -ECANCELED if not. Its QEMU is alive, and not held. */
	int (*take_back)(struct transfer *t, struct err *e);
	const char *left_in; /* the run state in which its QEMU is held */
};

/* A way into one. */
struct entry {
	const char *name;
	enum stage_number first, last;
	int (*planned)(struct transfer *t, struct err *e); /* what is done with the plan once it is told; may be NULL */
};

const struct entry *entry_for(const struct move_options *opt);
extern const struct entry entry_recover;
static inline const char *recipe_described(const struct recipe *r)
{
	return r->described ?: r->how;
}

/* Puts together what `how` says (NULL: live) of a guest of that owner's. -ENOTSUP: this vmferry knows no such kind. */
int recipe_choose(struct transfer *t, const char *how, const char *owner, struct err *e);

/* move.c: stages that are the same in all recipes, for their tables */
int connect_enter(void *ctx, struct err *e);
int connect_event(void *ctx, const struct event *ev, struct err *e);
int preflight_enter(void *ctx, struct err *e);
int preflight_event(void *ctx, const struct event *ev, struct err *e);
int preflight_plan_is_due(struct transfer *t, struct err *e);
int commit_enter(void *ctx, struct err *e);

/* live.c: a guest that runs, or is paused, with its memory */
extern const struct stage live_stages[];
int live_find(struct transfer *t, struct err *e);
pid_t live_known_as(const struct transfer *t);
void live_describe_for_journal(struct transfer *t, json_t *begin);
bool live_can_run(const struct transfer *t);
/* Likewise live_take_back() (cutover.c) of a guest of libvirt's. */
int libvirt_take_back(struct transfer *t, struct err *e);
int live_take_up(struct transfer *t, struct err *e);
/* live-as.c: by --as plain a guest of libvirt's that was found has the line of a plain one from here on. -ENOTSUP: it cannot be one as it runs. */
int live_become_plain(struct transfer *t, struct err *e);
/* -EINVAL: --as plain, and the guest is not libvirt's. */
int live_check_as(const struct transfer *t, struct err *e);

/* warm.c: a guest that is shut down when its disks are there but for what it still writes, and boots there */
extern const struct stage warm_stages[];
void warm_describe_for_journal(struct transfer *t, json_t *begin);
int warm_take_back(struct transfer *t, struct err *e);
int warm_copy_enter(void *ctx, struct err *e);
/* To be called with each tick: rates, progress, whether somebody has changed the guest. */
int warm_measure(struct transfer *t, struct err *e);
/* But for what it still writes. */
bool warm_is_copied(const struct transfer *t);

/* ahead.c: the disks alone, of a guest that stays; as of a warm move until it would shut down */
extern const struct stage ahead_stages[];
int ahead_take_back(struct transfer *t, struct err *e);
/* They are there, and nothing else is that was not to be. */
bool ahead_has_brought(const struct transfer *t);
/* At the end: why not, if they were copied. */
void ahead_settle(struct transfer *t);

/* replica.c: a point of its replica, of a guest that stays */
extern const struct stage replica_stages[];
/* The point is there, and nothing is left that was made for it. */
bool replica_has_point(const struct transfer *t);
/* Goes to whatever is next of a point: the moment, its description, the end. */
int replica_go_on(struct transfer *t, struct err *e);
/* A stage that such an attempt never comes to. */
int replica_does_not_switch(void *ctx, struct err *e);

/* onward.c: a point that is on this host, of a guest that is elsewhere */
extern const struct stage onward_stages[];
int onward_find(struct transfer *t, struct err *e);
pid_t onward_known_as(const struct transfer *t);
void onward_describe_for_journal(struct transfer *t, json_t *begin);

/* cold.c: a guest that is shut down */
extern const struct stage cold_stages[];
extern const struct attempt_ops cold_cutover;
int cold_find(struct transfer *t, struct err *e);
/* Of a guest that is libvirt's as it arrives there: as one, or by --as plain with a command line of its own. -EINVAL: the guest is another's. */
int cold_decide_as(struct transfer *t, struct err *e);
/* And of one that is nobody's, which was found: by --as libvirt it has a definition from here on, for the destination's libvirt. */
int cold_become(struct transfer *t, struct err *e);
pid_t cold_known_as(const struct transfer *t);
void cold_describe_for_journal(struct transfer *t, json_t *begin);
bool cold_can_run(const struct transfer *t);
int cold_take_up(struct transfer *t, struct err *e);

/* head-start.c: the files of a guest's disks, which go ahead while it runs; then it goes cold */
extern const struct stage head_start_stages[];
/* The guest of these options runs, and is to go cold. */
bool head_start_runs(const struct move_options *opt);
int head_start_find(struct transfer *t, struct err *e);
pid_t head_start_known_as(const struct transfer *t);
/* Into the result of the move that follows: for how long the guest was away, or how it was started here. */
void head_start_tell(const struct transfer *t, json_t *result);
/* Into what the journal of that move begins with. */
void head_start_describe(const struct transfer *t, json_t *begin);
/* Once, at the end: the move goes on with another attempt, and this is no result: a pass is over, and the destination keeps what has arrived; or the
 * guest is down, and another try is worth it. */
bool head_start_goes_on(struct transfer *t);
/* The move that follows finds the files that the guest's QEMU had as its disks; -ESTALE: another file has a disk's name. */
int head_start_check_images(const struct transfer *t, struct err *e);
void head_start_describe_for_journal(struct transfer *t, json_t *begin);

/* prepare.c: from the plan to two agents that are connected; and all of that undone */
int prepare_enter(void *ctx, struct err *e);
int prepare_event(void *ctx, const struct event *ev, struct err *e);
/* Puts QEMU back as it was, from the journal; also in a later life. */
void transfer_undo(struct transfer *t);
int transfer_undo_one(struct attempt *a, const char *kind, const json_t *detail, struct err *e);
void transfer_left_behind(struct attempt *a, const char *kind, const json_t *detail, int r, const struct err *why);
/* Of an attempt that was over: nothing else is done to the guest, nobody else is asked. */
void transfer_undo_again(struct transfer *t);
/* The threads of the data plane end. */
void transfer_stop_data(struct transfer *t);

/* estimate.c: emits an "estimate" */
int estimate(struct transfer *t, struct err *e);
/* script.c: to standard output */
int print_script(struct transfer *t, struct err *e);

/* events.c: nobody has pressed Ctrl-C again */
void question_is_over(struct timer *timer);

/* copy.c */
int copy_enter(void *ctx, struct err *e);
int copy_event(void *ctx, const struct event *ev, struct err *e);
/* Rates, since it was last called. */
void copy_measure(struct transfer *t);
/* The guest is to run on here, however little is left, until the user or the clock says so (--hold, --at). */
bool copy_was_to_hold(const struct transfer *t);

/* blackout.c */
int switchover_enter(void *ctx, struct err *e);
int switchover_event(void *ctx, const struct event *ev, struct err *e);
/* Now and then from the copy on: a destination that takes nothing is told, and must not keep the guest stopped for ever: -ETIMEDOUT. */
int switchover_watch(struct transfer *t, struct err *e);
/* QEMU has stopped the guest, asked or not. */
int switchover_stopped(struct transfer *t, uint64_t at_ns, struct err *e);
bool switchover_let_qemu_go_on(const struct transfer *t);
/* What it takes however little is left, as far as is known; and looks once more at who else is busy here. */
struct converge_fixed switchover_takes(const struct transfer *t);
void switchover_look_at_host(struct transfer *t);
/* It is decided: so long the guest will stand still, or has. */
void switchover_predict(struct transfer *t);

/* cutover.c: who has the guest, and when that changes */
extern const struct attempt_ops live_cutover;
int cutover_on_handoff(struct transfer *t, const struct event *ev, struct err *e);
/* When each disk was written last, into the journal: cutover_nobody_restarted_it() of a later life. */
int cutover_note_disks(struct transfer *t, struct err *e);
/* That the guest was given up: a later life knows so that others may have written to the disks here. with_disks: they are as it left them. */
int cutover_note_given_up(struct transfer *t, bool with_disks, struct err *e);
/* In any life, before a QEMU goes on that is held since its guest was given up: are the disks as it left them? */
int cutover_held_fits_disks(const struct transfer *t, struct err *e);
/* What has arrived of the disks is to be kept there, should this be the end. */
bool cutover_keeps_partial(const struct transfer *t);
int live_take_back(struct transfer *t, struct err *e);
int cutover_open_monitor_again(struct source *s, struct err *e);
/* Default cutover callbacks (attempt.h), shared by all recipes. */
int cutover_send_state(struct attempt *a, struct err *e);
int cutover_remove_scaffolding(struct attempt *a, struct err *e);
/* The guest is given up: what might start it again does not find its disks. */
void cutover_set_images_aside(struct transfer *t);
int cutover_not_noted(struct attempt *a, enum handoff_state before, struct err *e);
void cutover_entered(struct attempt *a);
void cutover_carried_out(struct attempt *a, bool has_entered);
/* For one that is COMMITTED: -EBUSY when the guest may have been started again here. */
int cutover_nobody_restarted_it(const struct transfer *t, struct err *e);
/* 0; -EBUSY: another process than its QEMU has one of its disks open here, or that cannot be told. */
int cutover_refuse_open_here(const struct transfer *t, struct err *e);
/* And the disks here are as the guest left them, so that its memory of then can go on: what cannot be told is an error, too. */
int cutover_memory_fits_disks(const struct transfer *t, struct err *e);
/* RELEASED: if something else than us has started the guest here again, from its old disks, that is undecided (end.started_again). */
void cutover_look_for_another(struct transfer *t);

/* revert.c: --revert-within. Can both sides do it? -ENOTSUP; */
void revert_init(struct transfer *t);
void revert_end(struct transfer *t);
int revert_agreed(const struct transfer *t, struct err *e);
/* when the destination has said something; */
void revert_begin(struct transfer *t);
/* it was asked as the time is over, and its guest has ended: a person is waited for; */
bool revert_stays_open(struct transfer *t);
/* false: who lost it deals with it; */
bool revert_outlives_control(struct transfer *t);
int revert_qemu_gone(struct transfer *t, struct err *e);
/* and what a person wants: in the socket's answer, and then done. */
json_t *revert_request(struct transfer *t, bool back);
int revert_order(struct transfer *t, enum user_order order, struct err *e);
void revert_done(struct transfer *t);

/* images.c: its images here, of which others may take the names. QEMU is not cancelled over another file; r: it cannot be asked; */
void images_let_complete(struct transfer *t, int r, uint64_t until_ns);
/* 0, or -ECANCELED: the guest, of which QEMU has let go, must not go on: another file has the name of one; */
int images_are_there(struct transfer *t, struct err *e);
/* 0, or -EBUSY: the memory of a guest that is held must not go on, as another file has the name of a disk. */
int images_fit_memory(const struct transfer *t, struct err *e);

/* shared-disks.c: disks that both hosts see. When each of ours was written last, into the journal, once QEMU is held; */
int shared_disks_note_held(struct transfer *t, struct err *e);
/* and whether nobody has written to them since, as it is to go on: -EBUSY, and it stays held. */
int shared_disks_unwritten(const struct transfer *t, struct err *e);
/* 0, or -EAGAIN: for wait_ms another QEMU has held one of them as its own. Of a QEMU here that has handed over, and holds none. */
int shared_disks_let_go(const struct transfer *t, unsigned wait_ms, struct err *e);
/* It goes on here: what is written from now on it writes. */
void shared_disks_are_ours(struct transfer *t);
/* May a person's word that the destination is dead let the guest go on here? Not if it may have written there to disks of which that cannot be
 * seen. */
int shared_disks_may_be_vouched_for(const struct transfer *t, struct err *e);

/* tell.c */
void tell_plan(struct transfer *t);
/* Bytes that the destination lacks; noted, if there were never so many. */
uint64_t tell_left(struct transfer *t);
void tell_progress(struct transfer *t, bool second);
json_t *tell_status(struct transfer *t);
void tell_result(struct transfer *t);
/* What the destination says it could not remove. */
void take_leftovers(struct transfer *t, const json_t *detail);
bool has_leftovers(const struct transfer *t);

/* events.c: what means the same in every stage, and how the destination is reached again */
int common_event(void *ctx, const struct event *ev, struct err *e);
/* A control connection to the destination agent; and again after it was lost: false when nobody is there. */
int reach_destination(struct transfer *t, struct link *link, struct err *e);
bool reach_destination_again(struct transfer *t);

/* outage.c */
void outage_init(struct transfer *t);
/* Before PREPARE is sent: the control channel outlives its connections, if both sides can that; */
int outage_agree(struct transfer *t, struct err *e);
/* and so do the data channels, now that they are connected. */
void outage_take_data(struct transfer *t);
/* There is no connection just now, or none is waited for any more: no guest is stopped for its move then. */
bool outage_is_away(const struct transfer *t);
void outage_control_cut(struct transfer *t, const struct err *why);
/* WORD_CHANNEL_CUT, WORD_CHANNEL_BACK */
void outage_channel_word(struct transfer *t, const struct event *ev);
/* How long the network may say nothing: to be called when the guest has been stopped. */
void outage_watch_silence(struct transfer *t);
/* Nobody connects again any more; the dest is free. */
void outage_end(struct transfer *t);
/* NULL: there was none. */
json_t *outage_tell(const struct transfer *t);

/* move.c: its life */
/* --disk-dir, with the guest's name for each %n in it ('/' and a leading '.' of it are '-' there, so that it names one directory), and '%' for %%. NULL: none
 * was given. The guest must be known. */
const char *transfer_disk_dir(struct transfer *t);
int transfer_new(struct transfer **out, const struct move_options *opt, const struct entry *entry, struct err *e);
/* To its end, and frees it. Returns the exit code. */
int transfer_run(struct transfer *t);
void transfer_free(struct transfer *t);
/* The guest is known: `vmferry status` and the others reach this move from now on. -EBUSY: another is under way. */
int transfer_open(struct transfer *t, struct err *e);

#endif
