/*
 * warm.c: a guest that runs, and cannot take its memory along (another processor there, a device that QEMU cannot migrate): its
 * disks are copied while it runs, as those of a live move. Then it is told to shut down; its QEMU stays for it, so that what is
 * left of the disks can be read, and is held when the guest is handed over. The destination has a QEMU that has not begun to run by
 * then, and boots it.
 *
 * Until then the guest is the source's: it just runs on, or, if it has been shut down for this, boots here again.
 */
#include "transfer.h"
#include "fault.h"
#include "moment.h"
#include "qemu-migration.h"
#include "util.h"

#include <errno.h>
#include <string.h>

#define TICK_MS	      25
#define SMALL_ENOUGH  (64 * MIB) /* remaining bytes at which the last rounds begin, most of which are sent while the guest shuts down */
#define ROUNDS_ENOUGH 4		 /* more of them bring nothing */
#define WORTH_A_ROUND (8 * MIB)

void warm_describe_for_journal(struct transfer *t, json_t *begin)
{
	source_describe_for_journal(&t->src, begin);
}

/* ---- copy ---- */

/* True until the guest may be stopped. The current clock counts: if it steps, so does the moment. */
static bool is_to_wait(const struct transfer *t)
{
	return !t->pace.stop_wanted && (t->opt->stop.hold || (t->opt->stop.at && time(NULL) < t->opt->stop.at));
}

static void tell_held(struct transfer *t)
{
	const char *name = t->src.guest.name;
	char at[MOMENT_TEXT];

	if (!t->pace.held && t->opt->stop.at)
		report_notice(&t->life.report,
			      "the guest's disks are at the destination: the guest runs on here until it is told to shut down at %s "
			      "(vmferry switch %s: now)",
			      moment_text(at, t->opt->stop.at), name);
	else if (!t->pace.held)
		report_notice(&t->life.report,
			      "the guest's disks are at the destination: the guest runs on here until you say: vmferry "
			      "switch %s",
			      name);
	t->pace.held = true;
}

bool warm_is_copied(const struct transfer *t)
{
	if (!disks_read(&t->disks) || !disks_idle(&t->disks))
		return false;
	return t->pace.stop_wanted || disks_left(&t->disks) < SMALL_ENOUGH || disks_rounds(&t->disks) >= ROUNDS_ENOUGH;
}

static int decide(struct transfer *t, struct err *e)
{
	if (t->pace.held || warm_is_copied(t)) {
		if (outage_is_away(t)) /* an outage would keep the guest down */
			return 0;
		if (!is_to_wait(t)) {
			t->pace.held = false;
			conductor_goto(&t->a.con, ST_SWITCHOVER);
			return 0;
		}
		tell_held(t);
	}
	return disks_next_round(&t->disks, t->pace.held ? WORTH_A_ROUND : 1, e);
}

int warm_measure(struct transfer *t, struct err *e)
{
	copy_tick(t, true);
	return guest_watch_result(&t->src.watch, e);
}

int warm_copy_enter(void *ctx, struct err *e)
{
	struct transfer *t = ctx;

	conductor_tick(&t->a.con, TICK_MS);
	t->pace.begun = true;
	return parts_begin(&t->parts, e);
}

/* Checks that the guest is still here: if another client has migrated or saved it through QEMU it may run elsewhere, so we neither shut it
 * down nor resume it. */
static int check_is_here(struct transfer *t, struct err *e)
{
	char state[32];
	int r = source_run_state(&t->src, state, now_ns() + SOURCE_SETTLES_MS * 1000000ULL, e);

	if (r || !qemu_migrated_away(t->src.qmp, state))
		return r;
	t->end.migrated_away = true;
	return err_set(e, ECANCELED, MIGRATED_AWAY);
}

/* Shuts the guest down; its TPM is idle then, too. */
static int shut_down(struct transfer *t, struct err *e)
{
	return tpm_send(&t->tpm, e) ?: switchover_stopped(t, t->around.power.off_ns, e);
}

/* The guest has shut down by itself, so no one need wait for that. Another client may start it again until its disks have been read. */
static int shut_down_early(struct transfer *t, struct err *e)
{
	AUTO_FREE char *name = text_shown(t->src.guest.name);

	if (!t->pace.off_told)
		report_notice(&t->life.report,
			      "the guest has shut down by itself: what is left of its disks goes over now, and it is started at the "
			      "destination (vmferry cancel %s leaves it here, shut down)",
			      name);
	t->pace.off_told = true;
	return disks_read(&t->disks) && disks_idle(&t->disks) ? shut_down(t, e) : 0;
}

static void tell_started_again(struct transfer *t)
{
	if (t->pace.off_told)
		report_notice(&t->life.report, "the guest was started here again: it is moved while it runs");
	t->pace.off_told = false;
}

static int copy_warm_event(void *ctx, const struct event *ev, struct err *e)
{
	struct transfer *t = ctx;
	int r = common_event(t, ev, e);

	if (!r && ev->kind == EVENT_TICK)
		r = warm_measure(t, e);
	if (r || t->a.con.stage != ST_COPY)
		return r;
	if (t->around.power.off)
		return shut_down_early(t, e);
	tell_started_again(t);
	return ev->kind == EVENT_TICK ? decide(t, e) : 0;
}

/* ---- switchover ---- */

static int switchover_warm_enter(void *ctx, struct err *e)
{
	struct transfer *t = ctx;
	int r = check_is_here(t, e) ?: unit_hold(&t->around.unit, e) ?: unit_block(&t->around.unit, e) ?: aside_scripts(&t->around.aside, e);

	if (r)
		return r;
	if (t->blackout.stopped)
		return switchover_event(t, &(struct event){.kind = EVENT_TICK}, e);
	if (t->src.run.paused)
		return err_set(e, EBUSY,
			       "the guest cannot shut down, as another client has paused it: resume it (QMP cont), then move it again");
	report_notice(&t->life.report, "the guest is told to shut down now (ACPI power button)");
	guard_tell(&t->guard, true);
	return power_press(&t->around.power, t->opt->warm.shutdown_timeout_s, e);
}

static int does_not(struct transfer *t, struct err *e)
{
	unsigned s = t->opt->warm.shutdown_timeout_s;

	if (!t->opt->warm.force)
		return err_set(
			e, ETIMEDOUT,
			"the guest has not shut down within %u s of being told to (ACPI power button). Does it listen to that? Give it "
			"longer (--shutdown-timeout), shut it down from inside while its move waits (--hold), or have it stopped as "
			"if the plug was pulled (--force)",
			s);
	report_notice(&t->life.report, "the guest has not shut down within %u s: it is stopped now, as if the plug was pulled (--force)",
		      s);
	return check_is_here(t, e) ?: power_cut(&t->around.power, e);
}

/* Meanwhile its disks go on. */
static int wait_for_it(struct transfer *t, struct err *e)
{
	if (t->around.power.off)
		return shut_down(t, e);
	if (t->around.power.rebooted)
		return err_set(e, ECANCELED, "the guest was told to shut down, and has rebooted instead");
	if (now_ns() >= t->around.power.until_ns && !t->around.power.cut)
		return does_not(t, e);
	return disks_next_round(&t->disks, WORTH_A_ROUND, e);
}

/* The destination has promised. */
static int let_go(struct transfer *t, struct err *e)
{
	fault_point("src-completed");
	t->blackout.completed = true;
	return attempt_step(&t->a, EV_QEMU_COMPLETED, HO_NONE, e);
}

static int switchover_warm_event(void *ctx, const struct event *ev, struct err *e)
{
	struct transfer *t = ctx;
	int r = t->blackout.stopped ? switchover_event(t, ev, e) : common_event(t, ev, e);

	if (!r && ev->kind == EVENT_TICK)
		r = warm_measure(t, e);
	if (!r && t->a.con.stage == ST_SWITCHOVER && !t->blackout.stopped)
		r = wait_for_it(t, e);
	if (r || t->a.con.stage != ST_SWITCHOVER || !t->a.handoff.shut_released || t->blackout.completed)
		return r;
	return let_go(t, e);
}

const struct stage warm_stages[] = {
	[ST_CONNECT] = {"connect", connect_enter, connect_event},
	[ST_PREFLIGHT] = {"preflight", preflight_enter, preflight_event},
	[ST_PREPARE] = {"prepare", prepare_enter, prepare_event},
	[ST_COPY] = {"copy", warm_copy_enter, copy_warm_event},
	[ST_SWITCHOVER] = {"switchover", switchover_warm_enter, switchover_warm_event},
	[ST_COMMIT] = {"commit", commit_enter, common_event},
	[ST_RELEASE] = {"release", NULL, common_event},
};

/* ---- the hand-off ---- */

int warm_take_back(struct transfer *t, struct err *e)
{
	return cutover_open_monitor_again(&t->src, e) ?: check_is_here(t, e) ?: power_take_back(&t->around.power, e);
}
