/*
 * copy.c: the long part. Disks first, in rounds; RAM when what is left of the disks is small; then both together
 * until the predicted blackout fits, or the user decides, or it is clear that it never will.
 */
#include "transfer.h"
#include "moment.h"
#include "process.h"
#include "util.h"

#include <errno.h>
#include <string.h>

#define TICK_MS		   25
#define GLANCE_MS	   5 /* towards the end it is noticed so soon that what is left fits */
#define MEASURE_TICKS	   4 /* rates are taken over so many */
#define SECOND_TICKS	   (1000 / TICK_MS)
#define HOLD_CYCLE_TICKS   SECOND_TICKS /* while held, QEMU is read for MEASURE_TICKS of so many ticks: enough to stay converged */
#define DISK_ROUNDS_ALONE  4		/* more rounds without RAM do not help */
#define DISK_SMALL	   (64 * MIB)
#define DISK_WORTH_A_ROUND (8 * MIB)
#define DISK_PRE_ROUND	   (256 * KIB)
#define NEARLY_THERE_S	   0.1
#define HURRY_MS	   500 /* maximum wait for data in flight when the user says `switch` */
#define CROWDED		   1   /* others' threads per processor */
#define NO_LONGER_FITS	   1.2 /* times the limit: the decision is revoked */

/* ---- beginning with RAM ---- */

static int start_ram(struct transfer *t, struct err *e)
{
	AUTO_FREE char *notice = NULL;
	int r = unit_hold(&t->around.unit, e) ?: definition_set_aside(&t->around.definition, e) ?: ram_recheck(&t->ram, &notice, e);

	if (notice)
		report_notice(&t->life.report, "%s", notice);
	if (!t->src.is_held) /* QEMU stops the guest when it likes */
		guard_tell(&t->guard, true);
	t->pace.at_ns = 0;
	return r ?: ram_start(&t->ram, e);
}

/* The disks are read and all but there: while the destination brings them to stable storage, RAM has the link. But a QEMU that is not
 * held may stop the guest whenever it likes, and that would wait for the disks then. */
static bool time_for_ram(const struct transfer *t)
{
	uint64_t small = MAX(DISK_SMALL, t->src.guest.ram_bytes / 16);

	if (!t->pace.begun)
		return false;
	if (t->data.shared.seeds && !disks_arrived(&t->disks)) /* QEMU's pages come on other channels, and must come after them */
		return false;
	if (t->src.migrating || !(t->src.is_held ? disks_read(&t->disks) : disks_idle(&t->disks)) ||
	    (double)data_plane_unacked(&t->data) > t->pace.best_wire_rate * NEARLY_THERE_S)
		return false;
	return disks_left(&t->disks) < small || disks_rounds(&t->disks) >= DISK_ROUNDS_ALONE;
}

/* ---- measuring ---- */

/* Throughput shows only under load: the best rate is kept and fades slowly, or not at all while the move is held. */
static double best_of(const struct pace *p, double best, double now)
{
	return MAX(now, p->held ? best : 0.98 * best);
}

/* Measures rates since the last call. */
static void copy_measure(struct transfer *t)
{
	/* counts what is sent, not what QEMU gives: the destination may have most of that already, but not what the guest writes */
	uint64_t now = now_ns(), wire = data_plane_wire_bytes(&t->data), bytes = data_plane_contents(&t->data);
	struct pace *p = &t->pace;

	if (t->outage.missing) { /* a channel is down, so this sample says nothing about throughput */
		p->rate = 0;
		p->at_ns = 0;
		return;
	}
	if (p->at_ns) {
		double seconds = (double)(now - p->at_ns) / 1e9, rate = (double)(bytes - p->bytes) / seconds;

		p->rate = 0.7 * p->rate + 0.3 * rate;
		p->best_rate = best_of(p, p->best_rate, rate);
		p->best_wire_rate = best_of(p, p->best_wire_rate, (double)(wire - p->wire_bytes) / seconds);
	}
	p->at_ns = now;
	p->bytes = bytes;
	p->wire_bytes = wire;
	tell_left(t);
	t->a.rss_anon_max = MAX(t->a.rss_anon_max, own_rss_anon());
}

bool copy_tick(struct transfer *t, bool writes)
{
	bool second = ++t->pace.ticks % SECOND_TICKS == 0, often = t->pace.ticks % MEASURE_TICKS == 0;

	if (often)
		copy_measure(t);
	if (often && writes)
		disks_query_dirty(&t->disks);
	if (second || (often && t->life.report.often))
		tell_progress(t, second);
	return second;
}

/* ---- deciding ---- */

/* Copies at full speed until what is left fits the downtime again. A verdict other than CONVERGE_GO_ON ends the hold. */
static void release_hold(struct transfer *t, enum converge_verdict verdict)
{
	t->pace.held = verdict == CONVERGE_GO_ON;
	ram_stall(&t->ram, false);
}

/* The wall clock decides: if it is set, the moment of --at moves with it. */
static bool is_too_early(const struct transfer *t)
{
	return t->opt->stop.at && !t->pace.stop_wanted && time(NULL) < t->opt->stop.at;
}

bool copy_was_to_hold(const struct transfer *t)
{
	return !t->pace.stop_wanted && (t->opt->stop.hold || is_too_early(t));
}

static void tell_held(struct transfer *t)
{
	const char *name = t->src.guest.name;
	char at[MOMENT_TEXT];

	if (t->opt->stop.at)
		report_notice(&t->life.report, "ready to switch over; the guest %s here until %s (`vmferry switch %s` switches now)",
			      t->src.run.paused ? "stays paused" : "runs on", moment_text(at, t->opt->stop.at), name);
	else
		report_notice(&t->life.report, "ready to switch over; the guest %s here until you say: vmferry switch %s",
			      t->src.run.paused ? "stays paused" : "runs on", name);
}

static void hold(struct transfer *t)
{
	if (!t->pace.held) {
		t->pace.held = true;
		tell_held(t);
	}
	ram_stall(&t->ram, t->pace.ticks % HOLD_CYCLE_TICKS >= MEASURE_TICKS);
}

/* QEMU's auto-converge for the guest's CPUs; a limit on its writes where the disks are what does not converge. */
static int throttle(struct transfer *t, struct err *e)
{
	ram_throttle(&t->ram);
	if (t->disks.throttled || disks_left(&t->disks) <= t->ram.load.left)
		return 0;
	return disks_throttle(&t->disks, (uint64_t)t->pace.best_rate / 4, e);
}

static int stalled(struct transfer *t, struct err *e)
{
	char left[24], rate[24];
	static const char *const doing[] = {
		[ON_STALL_WAIT] = "waiting for the guest to calm down (vmferry switch moves it now all the same)",
		[ON_STALL_THROTTLE] = "slowing the guest down (--on-stall=throttle)",
		[ON_STALL_STOP] = "stopping it for the rest (--on-stall=stop)",
		[ON_STALL_CANCEL] = "giving up (--on-stall=cancel)",
	};

	if (!t->pace.stall_told) {
		t->pace.stall_told = true;
		report_notice(&t->life.report,
			      "the guest writes as fast as it can be copied: %s are left after %llu rounds at %s/s; switching "
			      "now would stop it for about %.0f ms, more than the %u allowed: %s",
			      format_bytes(left, t->ram.load.left + disks_left(&t->disks)), (unsigned long long)t->ram.pass.number,
			      format_bytes(rate, (uint64_t)t->pace.best_rate), t->pace.converge.dry_ms, t->opt->stop.max_downtime_ms,
			      doing[t->opt->stop.on_stall]);
	}
	switch (t->opt->stop.on_stall) {
	case ON_STALL_WAIT:
		return 0;
	case ON_STALL_THROTTLE:
		return throttle(t, e);
	case ON_STALL_STOP:
		t->pace.stop_wanted = true;
		return 0;
	case ON_STALL_CANCEL:
		return err_set(e, ECANCELED, "the guest writes faster than it can be copied (--on-stall=cancel)");
	}
	return 0;
}

/* Reasons why it takes so long whatever is left, as far as there are any to name: " (40 of them …; …)". */
static char *reasons(const struct transfer *t)
{
	const struct converge_fixed *f = &t->pace.converge.fixed;
	double recheck_ms = converge_recheck_ms(f);
	AUTO_FREE char *recheck = recheck_ms >= 1 ? xasprintf("%.0f of them a check of memory%s, ", recheck_ms,
							      !strcmp(t->src.machine.accel, "tcg") ? " that only TCG needs" : "")
						  : xstrdup("");

	return xasprintf("%sround trip %.1f ms%s", recheck, f->round_trip_ms,
			 converge_busy(f) > CROWDED ? ", while others keep the processors busy" : "");
}

/* A switchover may be longer than was said where it cannot be shorter: that is told once. -ECANCELED: it is not to be. */
static int allow_for_longer(struct transfer *t, double ms, struct err *e)
{
	AUTO_FREE char *why = NULL;
	const char *cure = ram_recheck_ms(&t->ram) >= 1 ? "--recheck off, or a larger --max-downtime" : "a larger --max-downtime";

	if (ms <= t->opt->stop.max_downtime_ms || t->pace.stop_wanted || (t->pace.limit_told && t->opt->stop.on_stall != ON_STALL_CANCEL))
		return 0;
	why = reasons(t);
	if (t->opt->stop.on_stall == ON_STALL_CANCEL)
		return err_set(
			e, ECANCELED,
			"the guest would stand still for about %.0f ms, however little is left (%s), more than the %u allowed: %s allows "
			"it (--on-stall=cancel)",
			ms, why, t->opt->stop.max_downtime_ms, cure);
	t->pace.limit_told = true;
	report_notice(&t->life.report,
		      "the guest will stand still for about %.0f ms, however little is left (%s), more than the %u allowed: it is switched "
		      "over when hardly anything is left. %s allows it",
		      ms, why, t->opt->stop.max_downtime_ms, cure);
	return 0;
}

/* A user who says `switch` means now, whatever data is on its way. */
static bool is_in_a_hurry(const struct transfer *t)
{
	return t->pace.stop_wanted && now_ns() - t->blackout.drain_ns > HURRY_MS * 1000000ULL;
}

/* Begins the switchover when all that can be sent while the guest runs was sent: next goes what was written to disks meanwhile, then the
 * memory that we hold. */
static int go_to_switchover(struct transfer *t, struct err *e)
{
	int r = 0;

	t->blackout.stopping = true;
	if (disks_idle(&t->disks) && !t->blackout.disks_ahead) {
		t->blackout.disks_ahead = true;
		r = disks_next_round(&t->disks, DISK_PRE_ROUND, e);
	}
	if (r || !disks_idle(&t->disks) || !(t->pace.stop_wanted || disks_written_back(&t->disks)))
		return r;
	if (!t->blackout.drain_ns)
		t->blackout.drain_ns = now_ns();
	ram_stall(&t->ram, true);
	if (!converge_is_dry(&t->pace.converge) && !is_in_a_hurry(t))
		return 0;
	if (allow_for_longer(t, t->pace.converge.predicted_ms, e))
		return -e->code;
	switchover_predict(t);
	conductor_goto(&t->a.con, ST_SWITCHOVER);
	return 0;
}

static void stay_here(struct transfer *t)
{
	if (t->blackout.drain_ns)
		ram_stall(&t->ram, false);
	t->blackout.drain_ns = 0;
	t->blackout.stopping = t->blackout.disks_ahead = false;
}

/* The guest may have written too much while a round of the disks was waited for. */
static bool still_fits(const struct transfer *t)
{
	return t->pace.stop_wanted || t->pace.converge.dry_ms <= t->pace.converge.limit_ms * NO_LONGER_FITS;
}

static int decide(struct transfer *t, struct err *e)
{
	/* a held migration is stalled most of the time, and QEMU's backlog is read before QEMU is told to switch */
	struct converge_sample s = {.ram_left = t->ram.load.left + (t->blackout.drain_ns ? ram_unread(&t->ram) : 0),
				    .disk_left = disks_left(&t->disks),
				    .pass = t->ram.pass.number,
				    .queue_left = data_plane_queued(&t->data),
				    .wire_left = data_plane_unacked(&t->data),
				    .wire_bps = t->pace.best_wire_rate,
				    .rate_bps = t->pace.best_rate,
				    .dirty_bps = t->ram.load.dirty_per_s,
				    .now_ms = (double)now_ns() / 1e6,
				    .fixed = switchover_takes(t)};
	enum converge_verdict verdict;

	if (outage_is_away(t)) { /* now it would stand still for as long as that lasts */
		stay_here(t);
		return 0;
	}
	verdict = converge_step(&t->pace.converge, &s);
	if (t->blackout.stopping && still_fits(t))
		return go_to_switchover(t, e);
	stay_here(t);
	if (t->pace.stop_wanted && t->ram.pass.number >= 2)
		return go_to_switchover(t, e);
	if (t->pace.held && verdict != CONVERGE_SWITCH)
		release_hold(t, verdict);
	switch (verdict) {
	case CONVERGE_GO_ON:
		return 0;
	case CONVERGE_SWITCH:
		if (allow_for_longer(t, t->pace.converge.dry_ms, e))
			return -e->code;
		if (!copy_was_to_hold(t))
			return go_to_switchover(t, e);
		hold(t);
		return 0;
	case CONVERGE_STALLED:
		return is_too_early(t) ? 0 : stalled(t, e);
	}
	return 0;
}

/* Bytes that are worth a round of the disks: any, until RAM is under way, and fewer in its last passes where the disks are what makes
 * the blackout long. */
static uint64_t worth_a_round(const struct transfer *t)
{
	if (!t->src.migrating)
		return 1;
	return t->ram.pass.number >= 2 && disks_left(&t->disks) > t->ram.load.left ? DISK_PRE_ROUND : DISK_WORTH_A_ROUND;
}

static bool is_near_the_end(const struct transfer *t)
{
	if (t->pace.held || t->ram.pass.begun < 2)
		return false;
	return t->blackout.stopping || t->ram.pass.number < 2 || t->pace.converge.dry_ms <= t->pace.converge.limit_ms;
}

static int glance(struct transfer *t, struct err *e)
{
	ram_query(&t->ram);
	return decide(t, e);
}

static int tick(struct transfer *t, struct err *e)
{
	bool whole = ++t->pace.ticks % MEASURE_TICKS == 0;
	int r = guest_watch_result(&t->src.watch, e) ?: switchover_watch(t, e);

	if (r)
		return r;
	if (whole) {
		copy_measure(t);
		disks_query_dirty(&t->disks);
	}
	if (t->src.migrating) {
		ram_query(&t->ram);
		switchover_look_at_host(t);
	}
	if (t->src.migrating && whole)
		ram_measure_recheck(&t->ram);
	if (t->src.migrating && whole && !t->blackout.stopping)
		ram_arm(&t->ram, t->pace.best_rate);
	if (time_for_ram(t))
		r = start_ram(t, e);
	else if (t->src.migrating)
		r = decide(t, e);
	if (!r && t->a.con.stage == ST_COPY && !t->blackout.stopping)
		r = disks_next_round(&t->disks, worth_a_round(t), e);
	if (t->a.con.stage == ST_COPY && (t->pace.ticks % SECOND_TICKS == 0 || (whole && t->life.report.often)))
		tell_progress(t, t->pace.ticks % SECOND_TICKS == 0);
	return r;
}

/* ---- the stage ---- */

static int stop_first(struct transfer *t, struct err *e)
{
	int r;

	guard_tell(&t->guard, true);
	r = source_stop(&t->src, false, e);
	if (!r && t->src.run.stopped)
		report_notice(&t->life.report, "the guest is stopped now, and goes on at the destination when all of it is there");
	return r;
}

static int begin(struct transfer *t, struct err *e)
{
	AUTO_FREE char *notice = NULL;
	bool seeds = disks_allocated(&t->disks) >= t->src.guest.ram_bytes / SEEDS_WORTH;
	int r = t->src.traits.stops_first ? stop_first(t, e) : 0;

	t->blackout.moved_ns = now_ns();
	if (!r && seeds)
		r = ram_seed(&t->ram, &notice, e);
	if (notice)
		report_notice(&t->life.report, "%s", notice);
	r = r ?: parts_begin(&t->parts, e);
	if (!r && !t->disks.count)
		r = start_ram(t, e);
	t->pace.begun = !r;
	return r;
}

/* A guest that is stopped first must not be stopped before --at, nor while the network is away. */
static int begin_in_time(struct transfer *t, struct err *e)
{
	char at[MOMENT_TEXT];

	if (!t->src.traits.stops_first || (!is_too_early(t) && !outage_is_away(t)))
		return begin(t, e);
	if (!t->pace.held && is_too_early(t))
		report_notice(&t->life.report, "all is prepared: the guest is stopped at %s (vmferry switch %s: now)",
			      moment_text(at, t->opt->stop.at), t->src.guest.name);
	t->pace.held = true;
	return guest_watch_result(&t->src.watch, e);
}

static int wait_for_it(struct transfer *t, struct err *e)
{
	int r = begin_in_time(t, e);

	t->pace.held &= !t->pace.begun;
	if (!r && ++t->pace.ticks % SECOND_TICKS == 0)
		tell_progress(t, true);
	return r;
}

int copy_enter(void *ctx, struct err *e)
{
	struct transfer *t = ctx;
	int r = begin_in_time(t, e);

	conductor_tick(&t->a.con, GLANCE_MS);
	if (!r && t->life.report.often)
		tell_progress(t, false);
	return r;
}

static int switch_now(struct transfer *t)
{
	t->pace.stop_wanted = true;
	t->pace.held = false;
	ram_stall(&t->ram, false);
	return 0;
}

int copy_event(void *ctx, const struct event *ev, struct err *e)
{
	struct transfer *t = ctx;
	int r;

	switch (ev->kind) {
	case EVENT_TICK:
		if (++t->pace.glances % (TICK_MS / GLANCE_MS) == 0)
			return t->pace.begun ? tick(t, e) : wait_for_it(t, e);
		return is_near_the_end(t) ? glance(t, e) : 0;
	case EVENT_USER:
		if (ev->type == ORDER_SWITCH)
			return switch_now(t);
		return common_event(t, ev, e);
	case EVENT_FRAME:
	case EVENT_WORKER: /* perhaps of the disks */
		r = common_event(t, ev, e);
		return !r && t->a.con.stage == ST_COPY && time_for_ram(t) ? start_ram(t, e) : r;
	case EVENT_CONTROL_LOST:
	case EVENT_CONTROL_CUT:
	case EVENT_CONTROL_BACK:
	case EVENT_QMP:
	case EVENT_QMP_LOST:
		return common_event(t, ev, e);
	}
	return 0;
}
