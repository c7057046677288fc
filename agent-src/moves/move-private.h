/*
 * move-private.h: one move as the source sees it; the state that its stages share. Private to move*.c of this folder.
 *
 *   connect · preflight · prepare · copy · switchover · commit · release     (the same names as at the destination)
 *
 * Theory of operation. We describe the guest (connect) and show the destination's plan (preflight; nothing has been
 * touched). Then both sides journal and prepare: here QEMU's settings, its NBD server and a dirty bitmap per disk
 * (prepare). Disks are copied in rounds, then RAM with them, until what is left fits the allowed downtime (copy).
 * The guest is stopped, the rest sent, ENDed with digests (switchover). From READY on only the hand-off machine
 * decides (commit). Whatever goes wrong before that ends in move_fail(), which undoes what the journal says is ours.
 */
#ifndef VMFERRY_SRC_MOVE_PRIVATE_H
#define VMFERRY_SRC_MOVE_PRIVATE_H

#include "move.h"
#include "autostart.h"
#include "conductor.h"
#include "control.h"
#include "converge.h"
#include "data-send.h"
#include "dest-connect.h"
#include "disk-read.h"
#include "guard.h"
#include "guest-watch.h"
#include "handoff.h"
#include "journal.h"
#include "qemu-discover.h"
#include "ram-capture.h"
#include "report.h"

#define RESUMED_BY_SOMEBODY "the guest was resumed at the source by somebody else (QMP cont) while it was being handed over"
#define ANSWER_MS 60000 /* for the destination to give up cleanly, or to say STARTED */

enum move_stage { ST_CONNECT, ST_PREFLIGHT, ST_PREPARE, ST_COPY, ST_SWITCHOVER, ST_COMMIT, ST_RELEASE };

/* What the user may say while it runs: EVENT_USER types. */
enum user_order { ORDER_SWITCH = 1, ORDER_CANCEL, ORDER_INTERRUPT };

/* What worker threads tell: EVENT_WORKER types. */
enum worker_word { WORD_CHANNEL_LOST = 1, WORD_CAPTURE, WORD_DISK_ROUND };

struct disk {
	const struct guest_disk *guest;
	uint32_t object;
	char *to;	    /* path at the destination */
	unsigned round;	    /* being copied, or copied last */
	unsigned bitmap;    /* generation of the recording bitmap */
	bool started;
	bool in_flight;	    /* queued by us or not yet durable there */
	bool queued;	    /* the reader has queued every block of the round */
	bool final;	    /* this round is the last: the guest is stopped */
	bool finished;	    /* the final round is queued */
	bool has_throttle;  /* an I/O limit of the user's own */
	uint64_t dirty;	    /* of the recording bitmap, as last asked */
	uint64_t last_dirty; /* that the last round covered */
	uint64_t read_bytes;
	uint64_t durable_ns;
};

struct ram_progress {
	bool started; /* the migration in QEMU is ours; also in a later life */
	bool done;
	uint64_t left, total, pass;	 /* pass: that left belongs to. At the end of the one before nearly nothing is left */
	uint64_t pass_begun, query_pass; /* newest that QEMU told of; when the query under way was sent */
	bool query_pending;
	uint64_t pass_ns, pass_took_ns; /* when QEMU began this pass; how long the one before took */
	uint64_t round_cut_ns;
	unsigned rounds; /* once the capture has ended */
};

/* From the guest's stop here to its start there. */
struct blackout {
	bool stopping, stopped, continued, completed; /* we have let QEMU stop it; it has; told QEMU to go on; QEMU said so */
	bool disks_ahead, disks_closed, disks_done_sent, ends_sent;
	uint64_t stop_ns, ram_done_ns, disks_done_ns, prepared_ns, completed_ns, started_ns;
	double predicted_ms, round_trip_ms;
	uint64_t moved_bytes, moved_ns; /* when it last got further */
};

/* What the destination has said of itself. */
struct peer_word {
	int pid; /* of its QEMU */
	bool has_io_uring, aborted;
	char error[ERR_MAX];
	double load_ms, start_ms;
	uint64_t rss_anon;
	json_t *cpu_used;   /* NULL: it did not say */
	json_t *leftovers;  /* sentences: what could not be undone there; NULL: it said nothing */
	json_t *afterwards; /* about starting the guest again */
};

struct move {
	const struct move_options *opt;
	struct loop *loop;
	struct conductor con;
	struct report report;
	struct control *ctl;
	struct dest dest;
	struct channel *control;
	bool control_lost;

	/* the guest */
	struct guest guest;
	struct guest_watch watch; /* what others do to it */
	json_t *cpu; /* qemu_cpu() */
	const char *accel;
	struct qmp *qmp;
	json_t *settings;	  /* of the source QEMU, to be put back */
	bool was_running, paused; /* paused: is to stay so at the destination */
	bool suspended;		  /* by itself */
	bool has_ack, has_bandwidth;
	struct autostart autostart; /* who else might start it here */
	struct disk disks[OBJECT_DISK_MAX + 1]; /* by object id */
	unsigned disk_count;

	/* the attempt */
	uint8_t attempt[ATTEMPT_ID_LEN];
	struct journal *journal;
	struct guard guard;
	struct handoff handoff;
	bool handing_off;
	json_t *description, *plan; /* DESCRIBE and ACCEPT */
	struct files_out *files;    /* that the destination lacks */
	bool opaque;
	char *opaque_why;
	char *migrate_socket, *nbd_socket;
	bool undone;

	/* the data plane */
	struct send_shared shared;
	struct sender *senders[CHANNELS_MAX];
	unsigned channels, multifd;
	unsigned streams; /* opaque: so many first channels carry one stream each, the others the disks */
	struct capture *capture;
	struct disk_reader *reader;
	struct queue disk_results, words;

	/* RAM and convergence */
	struct converge converge;
	struct ram_progress ram;
	bool held, stall_told, throttled, disks_throttled;
	bool stop_wanted; /* the user's `switch`, or --on-stall=stop */
	bool bitmaps_pending;
	uint64_t rate_at_ns, rate_bytes;
	double rate_bps, best_rate_bps, dirty_bps, armed_bps, best_wire_bps;
	unsigned armed_ms;
	uint64_t rate_wire;
	unsigned ticks, glances;

	struct blackout blackout;
	struct peer_word peer;

	/* the end */
	uint64_t begin_ns;
	bool user_cancelled, interrupted_once, guest_shut_down;
	bool unheard;	    /* the source QEMU could not be told to go on */
	struct keep *kept;  /* we are the guard: what cannot be done now is tried again */
	bool migrated_away; /* by somebody else: a copy of the guest is not ours to resume */
	struct err why;	 /* of the failure */
	bool why_is_vague; /* a command failed as the monitor closed: the event that is on its way tells more */
	bool channel_lost; /* then the other side may know better why */
	bool undecided;
	bool ran_on; /* recover: COMMITTED, and the source QEMU does not stand as it was left */
	bool fenced; /* recover: a person vouches that the destination will never run the guest */
	unsigned reconnects;
	uint64_t first_lost_ns;
	struct timer patience;
	struct send_stats sent; /* once the senders have ended */
	uint64_t wire_bytes;
	uint64_t rss_anon_max;
	struct cpu_meter cpu_used;
	bool dead;	/* the journal failed us: from here on as if we had crashed */
	bool over;	/* the journal says so: nothing is left of it but what could not be undone */
	bool undo_failed, unreachable; /* unreachable: the source QEMU, which is alive, by its monitor */
	json_t *leftovers;	       /* sentences: what could not be undone here */
	int exit_code;
	json_t *disabled;     /* units that no longer start it here */
	json_t *source_disks; /* paths */
};

/* move-examine.c: connect: what can be said without the destination */
int move_examine(struct move *m, struct err *e);
/* Is the disk's backing chain to be the same there? Else it becomes one image. */
bool move_keeps_chain(const struct move *m, const struct guest_disk *d);
/* Where the user wants the disk (--disk), or NULL. */
const char *move_wanted_path(const struct move *m, const struct guest_disk *d);

/* move-describe.c: DESCRIBE; NULL and *e if something cannot be described */
json_t *move_describe(struct move *m, struct err *e);

/* move-prepare.c: the source QEMU and what we change in it */
int move_prepare_source(struct move *m, struct err *e);
int move_connect_data(struct move *m, const json_t *ready, struct err *e);
/* Are QEMU's capabilities still those that we set? */
int move_check_capabilities(struct move *m, struct err *e);
/* Puts QEMU back as it was, from the journal; also in a later life. */
void move_undo(struct move *m);
void move_add_leftover(struct move *m, char *sentence /* stolen */);
/* The hand-off is over: the journal goes, unless something is still to be undone. */
void move_end_journal(struct move *m);
/* Of an attempt that was over: nothing else is done to the guest, nobody else is asked. */
void move_undo_again(struct move *m);

/* move-estimate.c: emits an "estimate" */
int move_estimate(struct move *m, struct err *e);
/* move-script.c: to standard output, after ACCEPT */
void move_print_script(const struct move *m);

/* move-files.c: from ACCEPT on */
int files_plan(struct move *m, struct err *e);
void files_start(struct move *m);
int files_on_tick(struct move *m, struct err *e);
void files_free(struct move *m);

/* move-disks.c: rounds of disks */
int disks_begin(struct move *m, struct err *e);
/* Starts a further round of all disks, if none is under way and at least this many bytes are dirty. */
int disks_next_round(struct move *m, uint64_t at_least, struct err *e);
int disks_on_result(struct move *m, struct disk_round_result *r, struct err *e);
int disks_on_durable(struct move *m, uint32_t object, uint32_t number, uint64_t at_ns, struct err *e);
/* The guest is stopped: the last round of the disks, as soon as the current one is over. */
int disks_final(struct move *m, struct err *e);
uint64_t disks_left(const struct move *m);
bool disks_idle(const struct move *m);
bool disks_read(const struct move *m);	   /* every block was queued at least once */
bool disks_finished(const struct move *m); /* every final round is queued */
bool disks_durable(const struct move *m);  /* and on stable storage there */
void disks_query_dirty(struct move *m);
/* Limits the guest's writes to bps over all disks, journaled; and lifts that again. */
int disks_throttle(struct move *m, uint64_t bps, struct err *e);
int disks_unthrottle(struct qmp *q, const char *qdev, struct err *e);

/* move-copy.c */
int copy_enter(void *ctx, struct err *e);
int copy_event(void *ctx, const struct event *ev, struct err *e);
void move_progress(struct move *m, bool second);
/* Whether a migration in QEMU is ours, to cancel and to take back from; for a later life, too. */
int move_note_migration(struct move *m, bool ours, struct err *e);

/* move-switchover.c */
int switchover_enter(void *ctx, struct err *e);
void switchover_arm(struct move *m);
int switchover_event(void *ctx, const struct event *ev, struct err *e);
/* QEMU has stopped the guest, asked or not. */
int switchover_stopped(struct move *m, uint64_t at_ns, struct err *e);

/* move-commit.c */
int move_handoff(struct move *m, enum handoff_event ev, enum handoff_state peer, struct err *e);
int move_on_handoff(struct move *m, const struct event *ev, struct err *e);
int move_restore(struct move *m, const char *journal_path, struct err *e);
/* For one that is COMMITTED: -EBUSY when the guest may have been started again here. */
int move_nobody_restarted_it(const struct move *m, struct err *e);
void move_stop_data(struct move *m);

/* move-report.c */
void move_emit_plan(struct move *m, const json_t *accept);
void move_emit_result(struct move *m);
/* What the destination says it could not remove. */
void move_take_leftovers(struct move *m, const json_t *told);
bool move_has_leftovers(const struct move *m);
json_t *move_status(struct move *m);

/* move-events.c */
/* From any thread: becomes an event of the conductor's. */
void move_tell(struct move *m, struct event *ev);
void move_hear(struct queue *words);
int move_common_event(struct move *m, const struct event *ev, struct err *e);
/* A control connection to the destination agent; and again after it was lost: false when nobody is there. */
int move_dest_open(struct move *m, struct link *link, struct err *e);
void move_control_start(struct move *m, struct link link);
bool move_reconnect(struct move *m);

/* move.c */
extern const char *const stage_names[];
/* Whether the source QEMU's monitor closed because it ended; waits a moment for that, as the monitor closes first. */
bool move_source_qemu_ended(const struct move *m);

#endif
