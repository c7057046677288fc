/*
 * blackout.c: the switchover. Decided by us: QEMU is held until we ask (ram-hold.h). Or unasked: a
 * guest that is paused or stops by itself makes QEMU switch at once, in whatever stage we are.
 *
 * Disks come first: once QEMU goes on it inactivates its block nodes before it sends the rest of RAM, and an inactive
 * node cannot be read any more (QEMU 10: EPERM). In pages mode they need only be read by then, as RAM and disks are
 * written side by side at the destination; in opaque mode they must be finished there, as the destination QEMU takes its
 * disks over while it reads the stream.
 */
#include "transfer.h"
#include "fault.h"
#include "log.h"
#include "milestone.h"
#include "process.h"
#include "source-images.h"
#include "urgent.h"
#include "util.h"

#include <errno.h>
#include <unistd.h>

#define BLACKOUT_MS 60000 /* patience with a destination that nothing more gets to, while the guest stands still */
#define SHORT_MS    5000  /* patience in tests */
#define TELL_MS	    15000
#define FLUSH_MS    10000 /* patience with a QEMU that has stopped the guest and flushes its disks before it says that it waits for us */

/* ---- gates ---- */

/* A step that is taken once, as soon as its milestones are reached. */
struct gate {
	uint32_t needs; /* milestones */
	enum passed {
		P_GO_ON = 1 << 0,      /* QEMU was told to */
		P_ENDS = 1 << 1,       /* everything was declared complete */
		P_DISKS_DONE = 1 << 2, /* the destination was told so */
	} passes;
	int (*through)(struct transfer *t, struct err *e);
};

/* Last check of the image names: when QEMU goes on it opens its images anew, by name. */
static int let_qemu_go_on(struct transfer *t, struct err *e)
{
	return source_images_named(&t->src.guest, t->src.images, e) ?: ram_let_qemu_go_on(&t->ram, e);
}

/* Contents that are declared complete must be the guest as it stands now. */
static int send_ends(struct transfer *t, struct err *e)
{
	int r = guest_watch_result(&t->src.watch, e);

	if (!r && t->disks.uncopied.stays) /* the destination's QEMU opens them by the same names */
		r = source_images_named(&t->src.guest, t->src.images, e);
	r = r ?: attempt_step(&t->a, EV_END_SENT, HO_NONE, e);
	if (r)
		return r;
	for (unsigned i = 0; i < t->disks.count; i++)
		data_plane_end_of(&t->data, t->disks.list[i]->object);
	data_plane_end_of(&t->data, GROUP_RAM);
	/* The note costs no time, as the destination is loading and QEMU has inactivated its disks. Without it no one could tell later
	 * that our copy is complete. */
	return t->ram.mode == RAM_MODE_PAGES ? cutover_note_disks(t, e) : 0;
}

static int say_disks_done(struct transfer *t, struct err *e)
{
	(void)e;
	disks_say_done(&t->disks);
	return 0;
}

static const struct gate pages[] = {
	{M_DISKS_QUEUED, P_GO_ON, let_qemu_go_on},
	{M_RAM_QUEUED | M_DISKS_QUEUED | M_LOOKED_AT, P_ENDS, send_ends},
	{0, 0, NULL},
};

static const struct gate opaque[] = {
	{M_DISKS_QUEUED | M_LOOKED_AT, P_ENDS, send_ends},
	{M_DISKS_DURABLE | M_LOOKED_AT, P_DISKS_DONE, say_disks_done}, /* after END: that is before it in this table */
	{M_DISKS_CLOSED, P_GO_ON, let_qemu_go_on},
	{0, 0, NULL},
};

static const struct gate shut_down[] = {
	{M_DISKS_QUEUED | M_LOOKED_AT, P_ENDS, send_ends},
	{0, 0, NULL},
};

static const struct gate *gates_of(const struct transfer *t)
{
	static const struct gate *const by_mode[] = {[RAM_MODE_PAGES] = pages, [RAM_MODE_OPAQUE] = opaque};

	return t->src.traits.carries_memory ? by_mode[t->ram.mode] : shut_down;
}

/* An event of its own, so that the blackout goes on. */
static void watch_answered(void *ctx)
{
	struct transfer *t = ctx;

	conductor_put(&t->a.con, event_new(EVENT_TICK, 0, NULL, 0));
}

/* Passes every gate whose milestones are reached. Called after each event of the blackout. */
static int advance(struct transfer *t, struct err *e)
{
	const struct gate *g = gates_of(t);
	int r = disks_final(&t->disks, e);

	if (r)
		return r;
	t->src.watch.answered = watch_answered;
	t->src.watch.ctx = t;
	guest_watch_ask(&t->src.watch, t->src.qmp);
	for (; !r && g->through; g++) {
		if ((t->blackout.passed & g->passes) || (parts_reached(&t->parts) & g->needs) != g->needs)
			continue;
		t->blackout.passed |= g->passes;
		r = g->through(t, e);
	}
	return r;
}

bool switchover_let_qemu_go_on(const struct transfer *t)
{
	return t->blackout.passed & P_GO_ON;
}

/* ---- how long it will take ---- */

void switchover_look_at_host(struct transfer *t)
{
	const pid_t of_move[] = {t->src.guest.pid, t->peer.agent_pid, t->peer.pid};
	unsigned ours = process_runnable_threads(getpid()), i, n = t->peer.is_here ? ARRAY_LEN(of_move) : 1;

	for (i = 0; i < n; i++)
		ours += of_move[i] ? process_runnable_threads(of_move[i]) : 0;
	host_load_glance(&t->blackout.load, ours);
	host_share_look(&t->blackout.share, of_move, n);
}

/* The smaller of two measures, each of which is now and then too high: the count takes threads that come and go as ours do for busy; our share is
 * measured on short work, which waits longer than the recheck will. */
static double others_here(const struct transfer *t)
{
	const struct blackout *b = &t->blackout;
	return MIN(host_load_others(&b->load), host_share_others(&b->share));
}

struct converge_fixed switchover_takes(const struct transfer *t)
{
	const struct blackout *b = &t->blackout;

	return (struct converge_fixed){.round_trip_ms = b->round_trip_ms,
				       .journals_ms = b->journals_ms,
				       .recheck_ms = ram_recheck_ms(&t->ram),
				       .stretch = host_share_stretch(others_here(t), ram_recheck_threads(&t->ram), own_processors()),
				       .libvirts = t->recipe->owner && !strcmp(t->recipe->owner, "libvirt"),
				       .urgent = b->urgent,
				       .busy_there = b->busy_there};
}

void switchover_predict(struct transfer *t)
{
	const struct converge_fixed *f = &t->pace.converge.fixed;
	double stood_ms = t->src.run.stopped && t->blackout.stop_ns ? (double)(now_ns() - t->blackout.stop_ns) / 1e6 : 0;

	/* a move that is over so soon that no rate was measured has next to nothing left */
	t->blackout.predicted_ms = stood_ms + (t->pace.best_rate > 0 ? t->pace.converge.predicted_ms : converge_fixed_ms(f));
	log_info("the guest is expected to stand still for %.0f ms: %.0f of them have passed; recheck %.0f; others make computing take "
		 "%.2f times as long (%.1f threads; %.1f by what they took), %.1f are beside each processor there",
		 t->blackout.predicted_ms, stood_ms, converge_recheck_ms(f), f->stretch, host_load_others(&t->blackout.load),
		 host_share_others(&t->blackout.share), f->busy_there);
}

/* ---- the stage ---- */

int switchover_stopped(struct transfer *t, uint64_t at_ns, struct err *e)
{
	if (t->blackout.stopped)
		return 0;
	guard_tell(&t->guard, true);
	fault_point("src-pre-switchover");
	t->blackout.stopped = true;
	urgent_begin();
	if (!t->blackout.stop_ns)
		t->blackout.stop_ns = at_ns;
	outage_watch_silence(t);
	data_plane_limit(&t->data, 0); /* a limit would only keep the guest stopped for longer */
	t->blackout.moved_ns = now_ns();
	if (t->a.con.stage != ST_SWITCHOVER) {
		if (copy_was_to_hold(t) && t->src.traits.carries_memory && !t->src.run.paused && !t->src.run.stopped &&
		    !t->src.run.suspended)
			return err_set(e, EBUSY,
				       "QEMU %d.%d.%d has stopped the guest for its switchover though it was held; it does not wait as "
				       "the versions do that vmferry knows (move it without --hold and --at)",
				       t->src.guest.version.major, t->src.guest.version.minor, t->src.guest.version.micro);
		switchover_predict(t);
		ram_stall(&t->ram, false);
		conductor_goto(&t->a.con, ST_SWITCHOVER);
		return 0;
	}
	return advance(t, e);
}

int switchover_enter(void *ctx, struct err *e)
{
	struct transfer *t = ctx;
	int r = source_images_named(&t->src.guest, t->src.images, e) ?: unit_block(&t->around.unit, e) ?: aside_scripts(&t->around.aside, e);

	if (r)
		return r;
	guard_tell(&t->guard, true);
	return t->blackout.stopped ? advance(t, e) : ram_ask_for_switchover(&t->ram, e);
}

/* True if the destination owes us an answer or an acknowledgement; an outage has a patience of its own. */
static bool waits_for_destination(const struct transfer *t)
{
	return !t->outage.missing && (t->blackout.stopped || data_plane_unacked(&t->data));
}

/* True if the guest stands, and QEMU has yet to say that it waits for us. QEMU 7.2 never does where another client has switched that off. */
static bool waits_for_qemu(const struct transfer *t)
{
	const struct blackout *b = &t->blackout;

	return t->a.con.stage == ST_SWITCHOVER && t->src.traits.carries_memory && !t->outage.missing && !b->stopped &&
	       (b->stop_ns || t->src.run.stopped || t->src.run.paused);
}

int switchover_watch(struct transfer *t, struct err *e)
{
	struct blackout *b = &t->blackout;
	uint64_t moved = data_plane_moved(&t->data), now = now_ns(), ms = fault_point("src-patience-is-short") ? SHORT_MS : BLACKOUT_MS;
	bool stands = b->stopped || t->src.run.stopped;

	if (moved != b->moved || !(waits_for_destination(t) || waits_for_qemu(t)))
		b->moved_ns = now;
	b->moved = moved;
	b->told &= b->moved_ns != now;
	if (waits_for_qemu(t) && now - b->moved_ns >= FLUSH_MS * 1000000ULL)
		return err_set(
			e, ETIMEDOUT,
			"QEMU has stopped the guest for its switchover without waiting for us: another client has switched off its capability "
			"pause-before-switchover, or its disks take longer than %d s to flush",
			FLUSH_MS / 1000);
	if (stands && now - b->moved_ns >= ms * 1000000ULL)
		return err_set(e, ETIMEDOUT, "the guest is stopped and the destination takes nothing more for %d s", BLACKOUT_MS / 1000);
	if (!b->told && now - b->moved_ns >= TELL_MS * 1000000ULL) {
		b->told = true;
		report_notice(&t->life.report, "the destination has taken nothing for %d s; %s (vmferry cancel %s ends that)",
			      TELL_MS / 1000,
			      stands ? "the guest stands still, for a minute of that at most"
				     : "it is waited for, and the guest is here as before",
			      t->src.guest.name);
	}
	return 0;
}

int switchover_event(void *ctx, const struct event *ev, struct err *e)
{
	struct transfer *t = ctx;
	int r = ev->kind == EVENT_TICK ? switchover_watch(t, e) : common_event(t, ev, e);

	if (r)
		return r;
	return t->a.con.stage == ST_SWITCHOVER && t->blackout.stopped && !t->blackout.completed ? advance(t, e) : 0;
}
