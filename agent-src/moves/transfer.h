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
#include "locked-images.h"
#include "move.h"
#include "power.h"
#include "ram.h"
#include "reconnect.h"
#include "tpm.h"
#include "turn.h"
#include "unit.h"

#define RESUMED_BY_SOMEBODY "the guest was resumed at the source by another client (QMP cont) while it was being handed over"
#define MIGRATED_AWAY	    "another client migrated the guest elsewhere; make sure it is not running there before you resume it here"
#define NOTED_GUARD	    "guard"
#define NOTED_GIVEN_UP	    "given-up"
#define SEEDS_WORTH	    64	  /* seeds require reading all memory: not for disks smaller than this part of it */
#define ANSWER_MS	    60000 /* time for the destination to give up cleanly, or to say again in which state it is */
#define START_MS	    15000 /* time for the destination to say STARTED; after that another agent there is asked */

enum stage_number { ST_CONNECT, ST_PREFLIGHT, ST_PREPARE, ST_COPY, ST_SWITCHOVER, ST_COMMIT, ST_RELEASE };
extern const char *const stage_names[];

/* EVENT_USER types: orders that the user gives during a move. */
enum user_order { ORDER_SWITCH = 1, ORDER_CANCEL, ORDER_INTERRUPT, ORDER_KEEP, ORDER_REVERT, ORDER_TIME, ORDER_PLAN_IS_DUE };

/* Rates, and when to switch over: copy.c. */
struct pace {
	struct converge converge;
	bool begun; /* something is being copied; false: the guest is to be stopped first, at a later time */
	bool held, stall_told, limit_told, off_told, prepare_told;
	uint64_t most_left; /* largest number of bytes that the destination ever lacked */
	bool stop_wanted;   /* the user's `switch`, or --on-stall=stop */
	unsigned ticks, glances;
	/* bytes a second: of content; its maximum; maximum on the wire */
	double rate, best_rate, best_wire_rate;
	uint64_t at_ns, bytes, wire_bytes; /* last measurement: when, and the counters then */
	uint64_t acked, acked_ns;	   /* acknowledged bytes as last told, and since when they have not grown */
};

/* Blackout: the time between the guest's stop here and its start there (blackout.c). */
struct blackout {
	bool stopping;	   /* we have decided to stop the guest */
	bool stopped;	   /* QEMU has stopped the guest, asked or not */
	bool completed;	   /* QEMU says that its migration has completed */
	bool disks_ahead;  /* disks had a round of their own just before */
	uint32_t passed;   /* gates */
	uint64_t drain_ns; /* since when QEMU is not read, so that the memory that we hold arrives first; 0: it is read */
	uint64_t stop_ns, prepared_ns, started_ns;
	uint64_t noted_ns; /* time spent waiting for our journal */
	double predicted_ms, round_trip_ms;
	bool urgent;		  /* our threads have priority over others' meanwhile */
	double journals_ms;	  /* time that both journals must write meanwhile */
	struct host_load load;	  /* load of this host, as far as it was measured */
	struct host_share share;  /* share of this host's processors that we get */
	double busy_there;	  /* runnable threads per processor at the destination when the copy began */
	uint64_t moved, moved_ns; /* progress: data_plane_moved(), and when it last grew */
	bool told;		  /* the user was told that there is no progress */
};

/* Reports of the destination about itself. */
struct peer_word {
	int pid;			       /* pid of its QEMU */
	bool is_here;			       /* the destination is this very host, as far as a boot id can tell */
	int agent_pid;			       /* pid of the destination agent, if it is on this host */
	bool has_io_uring, aborted, forgotten; /* forgotten: it knows nothing of this move any more */
	bool ended;			       /* the QEMU there has ended after the guest had begun to run in it */
	char error[ERR_MAX];
	double load_ms, take_over_ms, noted_ms, start_ms; /* parts of the blackout, by its clock */
	uint64_t rss_anon;
	json_t *cpu_used;   /* NULL: it did not say */
	json_t *leftovers;  /* sentences: what could not be undone there, or is kept; NULL: it said nothing */
	size_t told, kept;  /* number of leftovers told, and how many of them were kept on purpose */
	json_t *afterwards; /* about starting the guest again */
};

/* Outcomes of a move: rows of ending.c. */
enum ending_kind {
	ENDING_NOT_FOUND,
	ENDING_REFUSED,
	ENDING_MIGRATED,
	ENDING_MIGRATED_PAUSED,
	ENDING_COPY_MAY_WAIT,
	ENDING_STARTED_TWICE,
	ENDING_UNDECIDED,
	ENDING_NOT_HAD_BACK,
	ENDING_LEFT_AS_IT_WAS,
	ENDING_QEMU_OF_THEN_GONE,
	ENDING_SHUT_DOWN,
	ENDING_ENDED,
	ENDING_SHUT_DOWN_IN_QEMU,
	ENDING_FORGOTTEN,
	ENDING_QEMU_GONE,
	ENDING_RUNS_ANEW,
	ENDING_MIGRATED_BY_ANOTHER,
	ENDING_OFF_IN_QEMU,
	ENDING_GUARD_TRIES_ON,
	ENDING_RECOVER_WANTED,
	ENDING_SILENT,
	ENDING_OTHER_IMAGE,
	ENDING_PAUSED_HERE,
	ENDING_MAY_BE_AWAY,
	ENDING_DOWN_FOR_IT,
	ENDING_MAY_GO_DOWN,
	ENDING_AT_REST_HERE,
	ENDING_BROKEN_HERE,
	ENDING_STILL_PAUSED_HERE,
	ENDING_STILL_SHUT_DOWN_HERE,
	ENDING_RUNS_HERE
};

/* The outcome, and why. */
struct ending {
	enum ending_kind kind; /* set by ending_settle() */
	struct err why;
	bool why_is_vague; /* a command or connection failed as the monitor closed, or before: an event to come tells more */
	bool channel_lost; /* the other side may know better why */
	bool user_cancelled;
	struct timer question; /* set while a second Ctrl-C is waited for (events.c) */
	bool brought;	       /* the disks were copied, and no more was asked for */
	bool unheard;	       /* the source QEMU could not be told to go on */
	bool silent;	       /* the source QEMU does not answer how the guest is */
	bool stands_migrated;  /* our migration has left a paused guest "postmigrate", and it was taken back since */
	bool held;	       /* held though not committed: the guest runs at the destination, too */
	bool migrated_away;    /* another client migrated the guest: this copy is not ours to resume */
	bool other_image;      /* another file has the name of one of the guest's disks: QEMU would write there */
	bool undone;
	bool ran_on;		/* recover: COMMITTED, and the source QEMU is not as it was left */
	bool fenced;		/* recover: a person vouches that the destination will never run the guest */
	bool not_started;	/* recover: a person vouches that the guest was not started here since */
	uint64_t qemu_ended_ns; /* time when we ended the source QEMU */
	pid_t started_again;	/* another QEMU that has the guest's disks here open since its own has ended */
	unsigned reconnects;
	uint64_t first_lost_ns;
	struct timer patience, plan;
	uint64_t plan_due_ns; /* deadline for the destination's first answer */
};

/* The guest runs at the destination and can be taken back: revert.c. */
struct revert {
	bool open, asked, told_ended;
	bool time_is_over; /* the time is over, so the destination is asked whether it has the guest */
	time_t until;
	struct timer time;
	uint64_t since_ns, lasted_ns; /* since when it is open; for how long it was, which does not count as move time */
};

/* Connections that are gone and may come back: outage.c. */
struct outage {
	bool agreed; /* channels outlive their connections, as the destination has agreed to */
	struct reconnect *reconnect;
	struct queue made;
	uint32_t missing;			     /* bit N: channel N is missing; 0: control */
	uint32_t given_up;			     /* channels that were missing when we gave up */
	uint64_t since_ns, waited_since_ns, over_ns; /* times of this outage, or of the last one */
	uint64_t arrived;			     /* bytes when it began */
	bool told;
	struct err why;
	unsigned count;		   /* outages that are over */
	uint64_t lost_ns, last_ns; /* duration of all; of the last */
	struct timer look;
};

struct transfer {
	struct attempt a;
	struct life life;
	const struct recipe *recipe;
	const struct entry *entry;
	const struct move_options *opt;
	/* other moves of this host, for which this one waits */
	struct {
		struct turn *turn; /* NULL: there is no queue to wait in */
		struct wait waits;
	} queue;
	char *disk_dir; /* transfer_disk_dir() */
	struct dest dest;
	struct guard guard;
	struct {
		json_t *description; /* DESCRIBE */
		json_t *plan;	     /* ACCEPT */
	} told;

	struct parts parts; /* members below that the recipe uses */
	struct source src;
	/* parts for what is around the guest */
	struct {
		struct unit unit;
		struct aside aside;
		struct gone gone;
		struct definition definition;
		struct power power;
	} around;
	struct tpm tpm;
	struct ram ram;
	struct disks disks;
	struct files files;
	struct data_plane data;
	struct locked_images left; /* disks here, while it is not settled who has the guest (disk-locks.c) */

	struct pace pace;
	struct blackout blackout;
	struct peer_word peer;
	struct ending end;
	struct outage outage;
	struct revert revert;
};

/* A kind of transfer: its parts, and what differs from other kinds. recipes.c */
struct recipe {
	const char *how;	 /* name in the journal's beginning and in DESCRIBE */
	const char *owner;	 /* manager of the guest in the journal's beginning and in DESCRIBE, "libvirt"; NULL: none */
	const char *described;	 /* name in DESCRIBE if the destination treats it as another kind; NULL: how */
	size_t parts[PARTS_MAX]; /* offsets in struct transfer, in the order in which parts are asked; 0 ends them */
	const struct stage *stages;
	const struct attempt_ops *cutover;
	/* Finds the guest by the user's name for it, and what is known of it. Changes nothing. */
	int (*find)(struct transfer *t, struct err *e);
	/* Pid in the name of the control socket: the guest's QEMU, or a substitute. */
	pid_t (*known_as)(const struct transfer *t);
	void (*describe_for_journal)(struct transfer *t, json_t *begin);
	struct traits traits;
	bool points;	       /* the guest's disks become a point of its replica */
	const char *undecided; /* text: where the guest may be */
	const char *back;      /* text: how the guest is after a rollback; NULL: as QEMU says */
	/* True if the guest's QEMU can still run it, by the journal of an earlier life. */
	bool (*can_run)(const struct transfer *t);
	/* Restores before EV_RECOVER what handoff.h demands of an agent that takes an attempt up. */
	int (*take_up)(struct transfer *t, struct err *e);
	/* Lets the guest go on here; -ECANCELED: not possible. QEMU is alive and not held. */
	int (*take_back)(struct transfer *t, struct err *e);
	const char *left_in; /* run state in which QEMU is held */
};

/* A way to enter a recipe's stages. */
struct entry {
	const char *name;
	enum stage_number first, last;
	int (*planned)(struct transfer *t, struct err *e); /* called with the plan once it was told; may be NULL */
};

const struct entry *entry_for(const struct move_options *opt);
extern const struct entry entry_recover;
static inline const char *recipe_described(const struct recipe *r)
{
	return r->described ?: r->how;
}

/* Sets up the recipe for `how` (NULL: live) and this owner. -ENOTSUP: unknown kind. */
int recipe_choose(struct transfer *t, const char *how, const char *owner, struct err *e);

/* move.c: stages that all recipes share */
int connect_enter(void *ctx, struct err *e);
int connect_event(void *ctx, const struct event *ev, struct err *e);
int preflight_enter(void *ctx, struct err *e);
int preflight_event(void *ctx, const struct event *ev, struct err *e);
int preflight_plan_is_due(struct transfer *t, struct err *e);
int commit_enter(void *ctx, struct err *e);

/* live.c: a guest that runs or is paused, with its memory */
extern const struct stage live_stages[];
int live_find(struct transfer *t, struct err *e);
pid_t live_known_as(const struct transfer *t);
void live_describe_for_journal(struct transfer *t, json_t *begin);
bool live_can_run(const struct transfer *t);
/* live_take_back() (cutover.c) for a guest of libvirt's. */
int libvirt_take_back(struct transfer *t, struct err *e);
int live_take_up(struct transfer *t, struct err *e);
/* live-as.c: --as plain replaces the command line of a guest of libvirt's by a plain guest's. -ENOTSUP: not possible while it runs. */
int live_become_plain(struct transfer *t, struct err *e);
/* -EINVAL: --as plain, and the guest is not libvirt's. */
int live_check_as(const struct transfer *t, struct err *e);

/* warm.c: a guest whose disks are copied while it runs, and that is then shut down and boots there */
extern const struct stage warm_stages[];
void warm_describe_for_journal(struct transfer *t, json_t *begin);
int warm_take_back(struct transfer *t, struct err *e);
int warm_copy_enter(void *ctx, struct err *e);
/* Called with each tick: measures rates, reports progress, checks whether another client has changed the guest. */
int warm_measure(struct transfer *t, struct err *e);
/* True once the disks are copied, except for what the guest still writes. */
bool warm_is_copied(const struct transfer *t);

/* ahead.c: the disks alone, of a guest that stays; like a warm move up to the shutdown */
extern const struct stage ahead_stages[];
int ahead_take_back(struct transfer *t, struct err *e);
/* True if the disks are there and nothing is left over. */
bool ahead_has_brought(const struct transfer *t);
/* Called at the end: sets end.why if the destination keeps fewer disks than were copied. */
void ahead_settle(struct transfer *t);

/* replica.c: a point of its replica, of a guest that stays */
extern const struct stage replica_stages[];
/* True if the point is there and nothing made for it is left over. */
bool replica_has_point(const struct transfer *t);
/* Goes on to the next step of a point: its moment, its description, the end. */
int replica_go_on(struct transfer *t, struct err *e);
/* Stage that a replica's attempt never enters. */
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
/* Decides for a guest of libvirt's: libvirt's at the destination, or with --as plain a command line of its own. -EINVAL: not libvirt's. */
int cold_decide_as(struct transfer *t, struct err *e);
/* Decides for a plain guest that was found: --as libvirt makes a definition for the destination's libvirt. */
int cold_become(struct transfer *t, struct err *e);
pid_t cold_known_as(const struct transfer *t);
void cold_describe_for_journal(struct transfer *t, json_t *begin);
bool cold_can_run(const struct transfer *t);
int cold_take_up(struct transfer *t, struct err *e);

/* head-start.c: copies the files of a running guest's disks ahead; then the guest moves cold */
extern const struct stage head_start_stages[];
/* True if the guest runs and is to move cold. */
bool head_start_runs(const struct move_options *opt);
int head_start_find(struct transfer *t, struct err *e);
pid_t head_start_known_as(const struct transfer *t);
/* Adds to the following move's result how long the guest was away, or how it was started here. */
void head_start_tell(const struct transfer *t, json_t *result);
/* Adds to the beginning of that move's journal. */
void head_start_describe(const struct transfer *t, json_t *begin);
/* True if this attempt is not the last, so its end is no result: a pass is over and the destination keeps what has arrived, or the guest
 * is down and another try is worthwhile. Call once, at the end. */
bool head_start_goes_on(struct transfer *t);
/* Checks that the following move finds the files that QEMU had as its disks; -ESTALE: another file has a disk's name. */
int head_start_check_images(const struct transfer *t, struct err *e);
void head_start_describe_for_journal(struct transfer *t, json_t *begin);

/* prepare.c: from the plan to two connected agents, and undoing that */
int prepare_enter(void *ctx, struct err *e);
int prepare_event(void *ctx, const struct event *ev, struct err *e);
/* Starts the guard, and journals which process it is. */
int transfer_begin_guard(struct transfer *t, struct err *e);
/* Restores QEMU's state from the journal; also in a later life. */
void transfer_undo(struct transfer *t);
int transfer_undo_one(struct attempt *a, const char *kind, const json_t *detail, struct err *e);
void transfer_left_behind(struct attempt *a, const char *kind, const json_t *detail, int r, const struct err *why);
/* Undoes for an attempt that is over: does nothing else to the guest, contacts no one. */
void transfer_undo_again(struct transfer *t);
/* Ends the data plane's threads. */
void transfer_stop_data(struct transfer *t);

/* estimate.c: emits an "estimate" */
int estimate(struct transfer *t, struct err *e);
/* script.c: prints to standard output */
int print_script(struct transfer *t, struct err *e);

/* events.c: the user has not pressed Ctrl-C again */
void question_is_over(struct timer *timer);

/* copy.c */
int copy_enter(void *ctx, struct err *e);
int copy_event(void *ctx, const struct event *ev, struct err *e);
/* A tick of a copy that does not converge: measures rates and reports progress at their times. writes: asks QEMU how much of the disks the
 * guest has written since. True once a second. */
bool copy_tick(struct transfer *t, bool writes);
/* True if the guest is to run on here, however little is left, until the user or the clock says so (--hold, --at). */
bool copy_was_to_hold(const struct transfer *t);

/* blackout.c */
int switchover_enter(void *ctx, struct err *e);
int switchover_event(void *ctx, const struct event *ev, struct err *e);
/* Called regularly from the copy on: reports a destination that takes nothing. -ETIMEDOUT: the guest is stopped and the destination has
 * taken nothing for too long. */
int switchover_watch(struct transfer *t, struct err *e);
/* Takes QEMU's report that the guest is stopped, asked for or not. */
int switchover_stopped(struct transfer *t, uint64_t at_ns, struct err *e);
bool switchover_let_qemu_go_on(const struct transfer *t);
/* Fixed costs of a switchover, as far as known. switchover_look_at_host(): looks again at this host's load. */
struct converge_fixed switchover_takes(const struct transfer *t);
void switchover_look_at_host(struct transfer *t);
/* Notes the predicted blackout, once the switchover is decided. */
void switchover_predict(struct transfer *t);

/* cutover.c: which side has the guest, and when that changes */
extern const struct attempt_ops live_cutover;
int cutover_on_handoff(struct transfer *t, const struct event *ev, struct err *e);
/* Journals when each disk was last written, for cutover_nobody_restarted_it() in a later life. */
int cutover_note_disks(struct transfer *t, struct err *e);
/* Journals when the file of each disk that cutover_note_disks() has noted was last changed in any way. */
int cutover_note_changes(struct transfer *t, struct err *e);
/* Journals that the guest was given up: from then on others may write to the disks here. with_disks: also when each was last written. */
int cutover_note_given_up(struct transfer *t, bool with_disks, struct err *e);
/* Checks that the disks are as the guest left them, in any life, before a QEMU goes on that is held since its guest was given up. */
int cutover_held_fits_disks(const struct transfer *t, struct err *e);
/* True if the destination is to keep what has arrived of the disks, should the move end now. */
bool cutover_keeps_partial(const struct transfer *t);
int live_take_back(struct transfer *t, struct err *e);
int cutover_open_monitor_again(struct source *s, struct err *e);
/* Default cutover callbacks (attempt.h), shared by all recipes. */
int cutover_send_state(struct attempt *a, struct err *e);
int cutover_remove_scaffolding(struct attempt *a, struct err *e);
/* Renames the images of a guest that was given up, so that nothing starts it from them; a failure is logged, as it is tried again later. */
void cutover_set_images_aside_early(struct transfer *t);
/* The renames of aside_images() and aside_give_back(), after which the images still count as unchanged if they were. */
int cutover_set_images_aside(struct transfer *t, struct err *e);
int cutover_give_images_back(struct transfer *t, struct err *e);
int cutover_not_noted(struct attempt *a, enum handoff_state before, struct err *e);
void cutover_entered(struct attempt *a);
void cutover_carried_out(struct attempt *a, bool has_entered);
/* COMMITTED: -EBUSY if the guest may have been started again here. */
int cutover_nobody_restarted_it(const struct transfer *t, struct err *e);
/* -EBUSY: a process other than QEMU has one of the disks open here, or that cannot be told. */
int cutover_refuse_open_here(const struct transfer *t, struct err *e);
/* Checks that nobody else has the disks open (cutover_refuse_open_here()), and that they are as the guest left them, so that its memory can go on; an unknown
 * state is an error, too. */
int cutover_memory_fits_disks(const struct transfer *t, struct err *e);
/* True if the path is that of a disk which is copied. */
bool transfer_has_disk(const struct transfer *t, const char *path);
/* ABORTED, and the source QEMU has ended: looks whether another has started the guest here again (end.started_again). */
void cutover_look_whether_it_runs_anew(struct transfer *t);
/* RELEASED: if another has started the guest here again from its old disks, the outcome is undecided (end.started_again). */
void cutover_look_for_another(struct transfer *t);

/* disk-locks.c: locks the disks that the guest leaves here, in any life; a second call is fine. */
void disk_locks_take(struct transfer *t);
/* Unlocks them, and ends the guard of an earlier life that has them: the guest goes on here, or has gone for good. */
void disk_locks_drop(struct transfer *t);
/* Called at the end of a move that is not settled: sees to it that a guard has the locks, in any life. */
void disk_locks_leave(struct transfer *t);
/* True if they are to outlive us: the guest is given up, and it is not settled who has it. */
bool disk_locks_outlive(const struct transfer *t);
/* The guard that was begun for this move, in any life, which may hold the locks of its disks; 0: it has ended. */
pid_t disk_locks_guard(const struct transfer *t);

/* revert.c: --revert-within. revert_agreed(): -ENOTSUP: not both sides can do it. */
void revert_init(struct transfer *t);
void revert_end(struct transfer *t);
int revert_agreed(const struct transfer *t, struct err *e);
/* Takes the destination's report that the guest runs. */
void revert_begin(struct transfer *t);
/* True if only a person can decide: the time is over and the guest there has ended. */
bool revert_stays_open(struct transfer *t);
/* Handles a lost control connection; false: the caller must. */
bool revert_outlives_control(struct transfer *t);
int revert_qemu_gone(struct transfer *t, struct err *e);
/* revert_request() answers `revert` and `keep` on the control socket; revert_order() carries them out later. */
json_t *revert_request(struct transfer *t, bool back);
int revert_order(struct transfer *t, enum user_order order, struct err *e);
void revert_done(struct transfer *t);

/* images.c: disk images here whose names other files may take. If another file has the name of one, lets QEMU's migration complete
 * instead of cancelling it. r: nonzero if QEMU cannot be asked. */
void images_let_complete(struct transfer *t, int r, uint64_t until_ns);
/* -ECANCELED: the guest, whose images QEMU has closed, must not go on: another file has the name of one. */
int images_are_there(struct transfer *t, struct err *e);
/* -EBUSY: the held guest's memory must not go on: another file has the name of a disk. */
int images_fit_memory(const struct transfer *t, struct err *e);

/* shared-disks.c: disks that both hosts see. Journals when each was last written, once QEMU is held. */
int shared_disks_note_held(struct transfer *t, struct err *e);
/* Checks before the guest goes on that no one has written to them since. -EBUSY: it stays held. */
int shared_disks_unwritten(const struct transfer *t, struct err *e);
/* -EAGAIN: another QEMU has held one of them for wait_ms. For a QEMU here that has handed over and holds none. */
int shared_disks_let_go(const struct transfer *t, unsigned wait_ms, struct err *e);
/* The guest goes on here: from now on it writes to them. */
void shared_disks_are_ours(struct transfer *t);
/* Checks whether a person's word that the destination is dead may let the guest go on here. Refused if the destination may have written
 * to disks on which that cannot be seen. */
int shared_disks_may_be_vouched_for(const struct transfer *t, struct err *e);

/* tell.c */
void tell_plan(struct transfer *t);
/* Bytes that the destination lacks; keeps the maximum. */
uint64_t tell_left(struct transfer *t);
void tell_progress(struct transfer *t, bool second);
json_t *tell_status(struct transfer *t);
void tell_result(struct transfer *t);
/* Takes from the destination's message what it could not remove. */
void take_leftovers(struct transfer *t, const json_t *detail);
bool has_leftovers(const struct transfer *t);

/* events.c: events that mean the same in every stage, and reconnecting to the destination */
int common_event(void *ctx, const struct event *ev, struct err *e);
/* Opens a control connection to the destination's agent. reach_destination_again(): after it was lost; false: no one answers. */
int reach_destination(struct transfer *t, struct link *link, struct err *e);
bool reach_destination_again(struct transfer *t);

/* outage.c */
void outage_init(struct transfer *t);
/* Agrees before PREPARE that the control channel survives lost connections, if both sides support that. */
int outage_agree(struct transfer *t, struct err *e);
/* Makes the data channels survive lost connections, too, once they are connected. */
void outage_take_data(struct transfer *t);
/* True if a connection is missing, or no longer waited for: no guest is stopped for its move then. */
bool outage_is_away(const struct transfer *t);
void outage_control_cut(struct transfer *t, const struct err *why);
/* WORD_CHANNEL_CUT, WORD_CHANNEL_BACK */
void outage_channel_word(struct transfer *t, const struct event *ev);
/* Watches for a silent network; call once the guest was stopped. */
void outage_watch_silence(struct transfer *t);
/* Ends reconnecting; the dest is free. */
void outage_end(struct transfer *t);
/* Report on outages; NULL: there was none. */
json_t *outage_tell(const struct transfer *t);

/* move.c: life of a transfer */
/* --disk-dir, with %n replaced by the guest's name ('/' and a leading '.' become '-', so that it names one directory), and %% by '%'.
 * NULL: not given. The guest must be known. */
const char *transfer_disk_dir(struct transfer *t);
int transfer_new(struct transfer **out, const struct move_options *opt, const struct entry *entry, struct err *e);
/* Runs it to its end, and frees it. Returns the exit code. */
int transfer_run(struct transfer *t);
void transfer_free(struct transfer *t);
/* Opens the control socket once the guest is known (`vmferry status` and others). -EBUSY: another move is under way. */
int transfer_open(struct transfer *t, struct err *e);

#endif
