/*
 * revert.c: a guest that runs at the destination can be had back for a while, as it was when it was given up (--revert-within): it is held here,
 * and its disks are as they were. What it does there meanwhile is lost then, which only a person may want.
 */
#include "transfer.h"
#include "moment.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>

static void on_time(struct timer *timer)
{
	conductor_put(&container_of(timer, struct transfer, revert.time)->a.con, event_new(EVENT_USER, ORDER_KEEP, NULL, 0));
}

void revert_init(struct transfer *t)
{
	t->revert.time.fire = on_time;
}

void revert_end(struct transfer *t)
{
	loop_timer_clear(t->a.loop, &t->revert.time);
	t->revert.open = false;
}

int revert_agreed(const struct transfer *t, struct err *e)
{
	if (!t->opt->revert_within_s)
		return 0;
	if (!json_is_true(json_object_get(t->plan, "revertible")))
		return err_set(
			e, ENOTSUP,
			"the destination's vmferry is an older one, which gives no guest back: move without --revert-within, or install "
			"the same version there");
	if (t->disks.stays)
		return err_set(e, ENOTSUP,
			       "both hosts use %s, and what the guest writes to it at the destination cannot be undone: move without "
			       "--revert-within, or with --disk DISK=copy",
			       disk_name(t->disks.stay[0]));
	return 0;
}

void revert_begin(struct transfer *t)
{
	struct revert *v = &t->revert;
	char at[MOMENT_TEXT];

	if (v->open || t->a.handoff.state != HO_SRC_COMMITTED || !t->a.handoff.revertible || t->a.handoff.peer != HO_DST_STARTED)
		return;
	v->open = true;
	v->until = time(NULL) + (time_t)t->opt->revert_within_s;
	loop_timer_clear(t->a.loop, &t->end.patience);
	loop_timer_set(t->a.loop, &v->time, (uint64_t)t->opt->revert_within_s * 1000);
	report_notice(&t->report,
		      "the guest runs at the destination. Until %s it can be had back as it was when it was handed over: vmferry revert %s "
		      "(what it does there is lost then); vmferry keep %s, or Ctrl-C here: it stays there",
		      moment_text(at, v->until), t->src.guest.name, t->src.guest.name);
}

/* Nobody waits for it as for one that stands still: it may have been away for long. */
static bool reach(struct transfer *t)
{
	if (t->a.control && !t->a.control_lost)
		return true;
	t->end.reconnects = 0;
	t->end.first_lost_ns = 0;
	return reach_destination_again(t);
}

bool revert_outlives_control(struct transfer *t)
{
	if (!t->revert.open)
		return false;
	if (!reach(t))
		report_notice(&t->report,
			      "the destination cannot be reached; it is tried again when the guest is to be had back, or to stay (vmferry "
			      "revert, vmferry keep)");
	return true;
}

static int keep(struct transfer *t, struct err *e)
{
	revert_end(t);
	if (reach(t))
		return attempt_step(&t->a, EV_KEEP, HO_NONE, e);
	err_set(&t->end.why, EHOSTUNREACH,
		"the guest was started at the destination, which cannot be reached any more: it is held here still");
	conductor_finish(&t->a.con);
	return 0;
}

static int revert(struct transfer *t, struct err *e)
{
	if (!t->revert.open) {
		report_notice(&t->report, "too late: the guest stays at the destination");
		return 0;
	}
	if (!reach(t)) {
		report_notice(
			&t->report,
			"the guest is not had back, as the destination cannot be reached, and it may run there. Should that host be gone "
			"for good: Ctrl-C here, then vmferry recover %s --peer-is-fenced",
			t->src.guest.name);
		return 0;
	}
	err_set(&t->end.why, ECANCELED,
		"had back as it was when it was handed over, as asked: what it did at the destination since is lost");
	if (attempt_step(&t->a, EV_REVERT, HO_NONE, e)) { /* what has happened is the next event */
		t->end.why.code = 0;
		report_notice(&t->report, "the guest is not had back: %s", e->msg);
		return 0;
	}
	t->end.user_cancelled = true;
	revert_end(t);
	loop_timer_set(t->a.loop, &t->end.patience, START_MS); /* then another agent there is asked */
	return 0;
}

int revert_order(struct transfer *t, enum user_order order, struct err *e)
{
	if (order == ORDER_REVERT)
		return revert(t, e);
	if (t->revert.open) {
		if (order != ORDER_KEEP)
			report_notice(&t->report, "the guest stays at the destination; finishing");
		return keep(t, e);
	}
	return t->a.handoff.state == HO_SRC_COMMITTED ? attempt_step(&t->a, EV_KEEP, HO_NONE, e) : 0;
}

int revert_qemu_gone(struct transfer *t, struct err *e)
{
	if (!t->revert.open)
		return 0;
	report_notice(&t->report, "the guest's QEMU here has ended: it cannot be had back any more, and stays at the destination");
	return keep(t, e);
}

json_t *revert_request(struct transfer *t, bool back)
{
	if (!t->revert.open)
		return json_pack("{s:s}", "error",
				 !t->opt->revert_within_s ? "this move was begun without --revert-within"
				 : t->a.handing_off && handoff_point_of_no_return(&t->a.handoff)
					 ? "too late: what becomes of the guest is decided already"
					 : "the guest does not run at the destination yet: vmferry cancel rolls the move back");
	conductor_put(&t->a.con, event_new(EVENT_USER, back ? ORDER_REVERT : ORDER_KEEP, NULL, 0));
	return json_pack("{s:s}", "ok",
			 back ? "having the guest back as it was when it was handed over" : "the guest stays at the destination");
}
