/*
 * arriving-transfer.h: one move as the destination sees it: an attempt, its parts, and what the stages share. Private to this folder.
 *
 *   connect · preflight · prepare · copy · switchover · commit · release     (the same names as at the source)
 *
 * Theory of operation. The source describes the guest (connect), we answer with a plan or a refusal, having created
 * nothing (preflight). Told to, we journal, create the disks and start QEMU with `-incoming defer -S` (prepare). Data
 * channels then fill its RAM and disks (copy); when all of it is here and every digest equal, the device state is
 * loaded (switchover). From PREPARED on only the hand-off machine decides (commit), and at the end we remove what is
 * ours (release). Whatever goes wrong ends in fail().
 */
#ifndef VMFERRY_ARRIVING_TRANSFER_H
#define VMFERRY_ARRIVING_TRANSFER_H

#include "arrived.h"
#include "arriving-point.h"
#include "attempt.h"
#include "bitmaps.h"
#include "arriving-data.h"
#include "arriving-definition.h"
#include "domain.h"
#include "line.h"
#include "arriving-move.h"
#include "outage.h"
#include "arriving-ram.h"
#include "startup.h"
#include "arriving-tpm.h"
#include "arriving-turn.h"
#include "would-start.h"

#define LEFTOVERS_MAX 20 /* number of leftovers that are reported */

enum stage_number { ST_CONNECT, ST_PREFLIGHT, ST_PREPARE, ST_COPY, ST_SWITCHOVER, ST_COMMIT, ST_RELEASE };

struct transfer;

/* A kind of transfer: which parts it has, and what is really new in it. recipes.c */
struct recipe {
	const char *how;	 /* name of the kind, in DESCRIBE and where the journal begins */
	const char *owner;	 /* owner of the guest's books, named there, too: "libvirt"; NULL: none */
	size_t parts[PARTS_MAX]; /* offsets of the parts in struct transfer, in the order in which they are asked; 0 ends them */
	const struct attempt_ops *cutover;
	const char *lost; /* reason, in words, why the guest cannot run any more */
	/* True if the guest's files and process here are still intact, and could run it. */
	bool (*can_run)(const struct transfer *t);
	/* Starts to receive: all files are here, so content may arrive from now on. */
	int (*receive)(struct transfer *t, struct err *e);
	/* Adds to COPY_READY. */
	void (*tell_ready)(const struct transfer *t, json_t *ready);
	/* Called after every event once all digests match; does the next possible step, up to PREPARED. */
	int (*finish)(struct transfer *t, struct err *e);
};

struct transfer {
	struct attempt a;
	const struct move_config *cfg;
	const struct recipe *recipe;
	struct parts parts; /* the parts that the recipe has */
	struct target target;
	struct ram ram;
	struct disks disks;
	struct arriving_point point;
	struct files files;
	struct tpm tpm;
	struct startup startup;
	struct definition definition;
	struct domain domain;
	struct line line;
	struct would_start would_start;
	struct arrived arrived;
	struct data_plane data;
	struct outage outage;
	struct turn turn;
	uint64_t keep_memory; /* bytes of this host's that stay free */
	bool accepted;	      /* the plan was: ACCEPT has been sent */
	json_t *decisions;    /* PREPARE */

	/* the guest's start */
	struct {
		bool cont_is_sent;
		uint64_t cont_ns, ns; /* moments of `cont`, and of its answer */
		uint64_t noted_ns;    /* time that the guest waited for our journal */
	} start;
	const char *given_up_because; /* reason that the source hears while a step is carried out; otherwise NULL */
};

/* Puts together what `how` says (NULL: live) of a guest of that owner's, in DESCRIBE or a journal. -ENOTSUP: this vmferry-dst knows no such
 * kind. */
int recipe_choose(struct transfer *t, const char *how, const char *owner, struct err *e);

/* live.c: a guest that runs, or is paused: with its memory, into a QEMU that waits */
bool live_can_run(const struct transfer *t);
int live_receive(struct transfer *t, struct err *e);
void live_tell_ready(const struct transfer *t, json_t *ready);
int live_finish(struct transfer *t, struct err *e);
/* Opens as many channels for the guest's memory as its mode needs, once that mode is decided. */
void live_set_streams(struct transfer *t);
/* The thin stream goes to QEMU, once its disks allow that. */
int live_load(struct transfer *t, struct err *e);

/* libvirt.c: the same of a guest of libvirt's */
extern const struct attempt_ops libvirt_cutover;
int libvirt_receive(struct transfer *t, struct err *e);
int libvirt_finish(struct transfer *t, struct err *e);

/* warm.c: a guest that runs on while its disks arrive, and boots here */
bool warm_can_run(const struct transfer *t);
int warm_receive(struct transfer *t, struct err *e);
void warm_tell_ready(const struct transfer *t, json_t *ready);
int warm_finish(struct transfer *t, struct err *e);

/* ahead.c: the disks alone, of a guest that stays where it is */
int ahead_receive(struct transfer *t, struct err *e);
int ahead_finish(struct transfer *t, struct err *e);

/* cold.c: a guest that is shut down */
extern const struct attempt_ops cold_cutover;
bool cold_can_run(const struct transfer *t);
int cold_receive(struct transfer *t, struct err *e);
void cold_tell_ready(const struct transfer *t, json_t *ready);
int cold_finish(struct transfer *t, struct err *e);

/* prepare.c: from PREPARE to a waiting QEMU, and data channels that may connect */
int prepare_enter(void *ctx, struct err *e);
int prepare_event(void *ctx, const struct event *ev, struct err *e);
/* Removes what the journal owns; what stays is in leftovers. keep_guest: it runs here, and only our scaffolding goes. */
void transfer_undo(struct transfer *t, bool keep_guest);
int transfer_undo_one(struct attempt *a, const char *kind, const json_t *detail, struct err *e);
void transfer_left_behind(struct attempt *a, const char *kind, const json_t *detail, int r, const struct err *why);

/* copy.c: what arrives, until the recipe has finished with it */
int copy_enter(void *ctx, struct err *e);
int copy_event(void *ctx, const struct event *ev, struct err *e);
int switchover_enter(void *ctx, struct err *e);

/* cutover.c: who has the guest, and when that changes */
extern const struct attempt_ops live_cutover;
/* Default cutover callbacks (attempt.h), shared by all recipes. */
int cutover_send_state(struct attempt *a, struct err *e);
int cutover_remove_scaffolding(struct attempt *a, struct err *e);
void cutover_entered(struct attempt *a);
int cutover_not_noted(struct attempt *a, enum handoff_state before, struct err *e);
void cutover_carried_out(struct attempt *a, bool has_entered);
/* Gives up if that is still ours to decide (-EPROTO if not); the source is told why. */
int cutover_abort(struct transfer *t, const char *why, struct err *e);
int cutover_qemu_dead(struct transfer *t, const char *why, struct err *e);
/* Steps the hand-off machine; the source is told why, if the step is one that it hears of. why: NULL for none. */
int cutover_step(struct transfer *t, enum handoff_event ev, const char *why, struct err *e);
typedef int (*cutover_asks)(struct transfer *t, enum handoff_event *what, struct err *why);
/* Asks libvirt, and for ten seconds again, as its daemon may be starting; the source is told what is waited for. */
int cutover_ask_libvirt(struct transfer *t, cutover_asks ask, enum handoff_event *what, struct err *why);
void cutover_on_qemu(struct transfer *t, const struct event *ev);
int cutover_on_handoff(struct transfer *t, const struct event *ev, struct err *e);
/* Keeps what is left of the guest, its disks, for this host: called in NOVM, when a person vouches that the source is gone. */
int cutover_keep_disks(struct transfer *t, struct err *e);

/* recover.c */
/* Identifies our process in a journal that it has open: {"pid", "start_time", "boot_id"}. */
json_t *transfer_agent(void);
/* Takes up a journal of an earlier life, and steps EV_RECOVER. -EBUSY: a live agent has kept it for wait_ms, though it was asked to let go
 * of it if it only waits for its source. */
int transfer_restore_from_others(struct transfer *t, const char *journal_path, unsigned wait_ms, struct err *e);

/* events.c: events that mean the same in every stage */
int common_event(void *ctx, const struct event *ev, struct err *e);
int qemu_gone(struct transfer *t, struct err *e);

/* arriving-move.c: its life */
int transfer_new(struct transfer **out, const struct move_config *cfg, struct err *e);
void transfer_free(struct transfer *t);

#endif
