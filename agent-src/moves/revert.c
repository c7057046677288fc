/*
 * revert.c: a guest that runs at the destination can be had back for a while, as it was when it was given up (--revert-within): it is held here,
 * and its disks are as they were. What it does there meanwhile is lost then, which only a person may want.
 */
#include "transfer.h"
#include "image-mark.h"
#include "log.h"
#include "moment.h"
#include "process.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>

static void on_time(struct timer *timer)
{
	conductor_put(&container_of(timer, struct transfer, revert.time)->a.con, event_new(EVENT_USER, ORDER_TIME, NULL, 0));
}

void revert_init(struct transfer *t)
{
	t->revert.time.fire = on_time;
}

void revert_end(struct transfer *t)
{
	loop_timer_clear(t->a.loop, &t->revert.time);
	if (t->revert.open)
		t->revert.lasted_ns += now_ns() - t->revert.since_ns;
	t->revert.open = false;
}

static int check_tells(const char *path, struct err *e)
{
	return image_write_stamp(path)
		       ? 0
		       : err_set(e, ENOTSUP,
				 "vmferry could not tell whether %s is written to here meanwhile, and the guest cannot resume over a "
				 "changed disk: move it without --revert-within",
				 path);
}

int revert_agreed(const struct transfer *t, struct err *e)
{
	const struct guest *g = &t->src.guest;
	size_t i, k;

	if (!t->opt->revert_within_s)
		return 0;
	if (!json_is_true(json_object_get(t->told.plan, "revertible")))
		return err_set(
			e, ENOTSUP,
			"the destination's vmferry is an older one, which gives no guest back: move without --revert-within, or install "
			"the same version there");
	for (i = 0; i < json_array_size(t->src.disk_paths); i++)
		if (check_tells(json_string_value(json_array_get(t->src.disk_paths, i)), e))
			return -e->code;
	for (i = 0; i < g->disk_count; i++)
		for (k = 0; g->disks[i].real_path && transfer_has_disk(t, g->disks[i].real_path) && k < g->disks[i].chain_count; k++)
			if (g->disks[i].chain[k].real_path && check_tells(g->disks[i].chain[k].real_path, e))
				return -e->code;
	if (t->disks.uncopied.stays)
		return err_set(e, ENOTSUP,
			       "both hosts use %s, and what the guest writes to it at the destination cannot be undone: move without "
			       "--revert-within, or with --disk DISK=copy",
			       disk_name(t->disks.uncopied.stay[0]));
	return 0;
}

/* ---- while it may be had back ---- */

static void tell_ended(struct transfer *t)
{
	if (t->peer.ended && !t->revert.told_ended)
		report_notice(&t->life.report,
			      "vmferry holds the guest's old QEMU here until you decide: vmferry revert %s takes the guest back, vmferry "
			      "keep %s leaves it at the destination",
			      t->src.guest.name, t->src.guest.name);
	t->revert.told_ended |= t->peer.ended;
}

void revert_begin(struct transfer *t)
{
	struct revert *v = &t->revert;
	char at[MOMENT_TEXT];

	if (v->open)
		tell_ended(t);
	if (v->open || t->a.handoff.state != HO_SRC_COMMITTED || !t->a.handoff.revertible || t->a.handoff.peer != HO_DST_STARTED)
		return;
	v->open = true;
	v->since_ns = now_ns();
	v->until = time(NULL) + (time_t)t->opt->revert_within_s;
	loop_timer_clear(t->a.loop, &t->end.patience);
	loop_timer_clear(t->a.loop, &t->end.question); /* whoever means to roll back does not answer that it stays */
	loop_timer_set(t->a.loop, &v->time, (uint64_t)t->opt->revert_within_s * 1000);
	report_answer(&t->life.report, EXIT_DESTINATION,
		      "the guest runs at the destination. Until %s it can be had back as it was when it was handed over: vmferry revert %s "
		      "(what it does there is lost then); vmferry keep %s, or Ctrl-C here: it stays there",
		      moment_text(at, v->until), t->src.guest.name, t->src.guest.name);
}

bool revert_stays_open(struct transfer *t)
{
	if (!t->revert.time_is_over || !t->peer.ended || t->a.handoff.state != HO_SRC_COMMITTED)
		return false;
	t->revert.time_is_over = false;
	t->revert.open = t->a.handoff.revertible = true;
	t->revert.since_ns = now_ns();
	loop_timer_clear(t->a.loop, &t->end.patience);
	tell_ended(t);
	return true;
}

/* Connects to the destination again, which may have been away for long, without the patience that a stopped guest gets. False: end.why
 * may say why. */
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
		report_notice(&t->life.report,
			      "%s; it is tried again when the guest is to be had back, or to stay (vmferry revert, vmferry keep)",
			      t->end.why.code ? t->end.why.msg : "the destination cannot be reached");
	return true;
}

int revert_qemu_gone(struct transfer *t, struct err *e)
{
	if (!t->revert.open)
		return 0;
	report_notice(&t->life.report, "the guest's QEMU here has ended: it cannot be had back any more, and stays at the destination");
	return revert_order(t, ORDER_KEEP, e);
}

/* ---- what becomes of it ---- */

/* Asked of the kernel: the word of its end may not have come yet, and whoever has it back would end the only copy that lives. */
static int note_if_qemu_ended(struct transfer *t, struct err *e)
{
	const struct guest *g = &t->src.guest;

	if (!t->src.traits.carries_memory || !t->a.handoff.qemu_alive || qemu_is_alive(g->pid, g->start_time))
		return 0;
	return attempt_step(&t->a, EV_QEMU_DEAD, HO_NONE, e);
}

/* Keeps the guest at the destination, if it still runs there. The QEMU that is held here ends only after the destination has confirmed
 * that. */
static int keep(struct transfer *t, struct err *e)
{
	revert_end(t);
	if (note_if_qemu_ended(t, e))
		return -e->code;
	if (reach(t)) {
		loop_timer_set(t->a.loop, &t->end.patience, START_MS);
		return attempt_step(&t->a, EV_KEEP, HO_NONE, e);
	}
	if (!t->end.why.code)
		err_set(&t->end.why, EHOSTUNREACH,
			"the guest was started at the destination, which cannot be reached any more: it is held here still");
	conductor_finish(&t->a.con);
	return 0;
}

static void want_back(struct transfer *t)
{
	struct err why = {.code = EHOSTUNREACH};
	int r;

	snprintf(why.msg, sizeof(why.msg),
		 "the destination cannot be reached, and it may run there. Should that host be gone for good: Ctrl-C "
		 "here, then vmferry recover %s --peer-is-fenced",
		 t->src.guest.name);
	r = note_if_qemu_ended(t, &why);
	if (!r && t->src.traits.carries_memory && !t->a.handoff.qemu_alive)
		r = err_set(&why, ESRCH,
			    "the guest's old QEMU here (process %d) has ended, and the guest's old memory is lost with it: the guest runs "
			    "only at the destination. Let it stay there (vmferry keep %s)",
			    (int)t->src.guest.pid, t->src.guest.name);
	r = r ? r : cutover_memory_fits_disks(t, &why);
	if (!r && reach(t)) {
		t->revert.asked = t->end.user_cancelled = true;
		r = t->src.traits.boots_after ? power_is_wanted(&t->around.power, &why) : 0;
		if (!r && !(r = attempt_step(&t->a, EV_REVERT, HO_NONE, &why))) { /* otherwise what has happened is the next event */
			revert_end(t);
			loop_timer_set(t->a.loop, &t->end.patience, START_MS); /* another agent at the destination is asked after that */
			return;
		}
		t->revert.asked = t->end.user_cancelled = false;
	}
	t->end.why.code = 0; /* no outcome yet */
	report_answer(&t->life.report, EXIT_REFUSED, "cannot take the guest back: %s", why.msg);
}

int revert_order(struct transfer *t, enum user_order order, struct err *e)
{
	if (t->a.handoff.state == HO_SRC_REVERTING) {
		report_notice(&t->life.report, "the guest is being had back from the destination");
	} else if (t->revert.open && order == ORDER_REVERT) {
		want_back(t);
	} else if (t->revert.open) {
		if (order != ORDER_KEEP && order != ORDER_TIME)
			report_notice(&t->life.report, "the guest stays at the destination; finishing");
		t->revert.time_is_over = order == ORDER_TIME;
		return keep(t, e);
	} else if (order == ORDER_CANCEL || order == ORDER_INTERRUPT) {
		report_notice(&t->life.report, "too late to roll back: the guest is the destination's%s",
			      t->a.handoff.revertible ? ". As soon as it runs there it can be had back: vmferry revert" : "; finishing");
	} else if (order == ORDER_REVERT) {
		report_notice(&t->life.report, "too late: the guest stays at the destination");
	}
	return 0;
}

static const char *not_now(const struct transfer *t)
{
	if (!t->opt->revert_within_s)
		return "this move was begun without --revert-within";
	if (!t->a.handing_off || !handoff_point_of_no_return(&t->a.handoff))
		return "the guest does not run at the destination yet: vmferry cancel rolls the move back";
	return t->a.handoff.state == HO_SRC_COMMITTED && t->a.handoff.revertible
		       ? "the guest is about to run at the destination: say it again in a moment"
		       : "too late: what becomes of the guest is decided already";
}

json_t *revert_request(struct transfer *t, bool back)
{
	if (!t->revert.open)
		return json_pack("{s:s}", "error", not_now(t));
	conductor_put(&t->a.con, event_new(EVENT_USER, back ? ORDER_REVERT : ORDER_KEEP, NULL, 0));
	return json_pack("{s:s}", "ok",
			 back ? "the destination is asked for the guest, as it was when it was handed over"
			      : "the guest is to stay at the destination");
}

/* ---- as it is taken back ---- */

/* The network has learned meanwhile that it is elsewhere. */
void revert_done(struct transfer *t)
{
	struct err e;

	if (!t->revert.asked)
		return;
	if (t->src.traits.carries_memory &&
	    qmp_call(t->src.qmp, "announce-self", json_pack("{s:i,s:i,s:i,s:i}", "initial", 50, "max", 550, "rounds", 5, "step", 50), NULL,
		     &e))
		log_info("%s", e.msg);
	t->src.end.has_shut_down = t->src.end.was_ended = t->src.end.stays_shut = false;
	err_set(&t->end.why, ECANCELED,
		"taken back as asked; what it did at the destination is lost, and its clock is behind by that time");
}
