/* events.c: events that mean the same in every stage of a move. */
#include "arriving-transfer.h"
#include "exit-code.h"
#include "log.h"
#include "process.h"
#include "util.h"

#include <errno.h>
#include <string.h>

#define QEMU_END_MS 5000

int qemu_gone(struct transfer *t, struct err *e)
{
	AUTO_FREE char *tail = qemu_log_tail(&t->target.qemu);

	if (!t->a.handing_off || t->a.handoff.state == HO_DST_DONE)
		return 0;
	/* a closed monitor is not a dead QEMU: whatever is left of it must not come back to life */
	if (qemu_is_alive(t->target.qemu.pid, t->target.qemu.start_time) && t->a.handoff.state != HO_DST_STARTED &&
	    !t->start.cont_is_sent && process_end(t->target.qemu.pid, t->target.qemu.start_time, QEMU_END_MS, e))
		return -e->code;
	err_set(e, EPIPE, "the destination QEMU ended%s%s", *tail ? ": " : "", tail);
	return t->a.handoff.state == HO_DST_BEGUN ? -e->code : cutover_qemu_dead(t, e->msg, e);
}

/* Another client resumed the guest, as we send no `cont` before START. The guest may run at the source, so this QEMU must end. */
static int resumed(struct transfer *t, struct err *e)
{
	if (!t->a.handing_off || (t->a.handoff.state != HO_DST_BEGUN && t->a.handoff.state != HO_DST_PREPARED))
		return 0;
	if (process_end(t->target.qemu.pid, t->target.qemu.start_time, QEMU_END_MS, e))
		return -e->code; /* nothing is promised while it lives */
	err_set(e, ECANCELED,
		"the guest was resumed at the destination by another client (cont in a monitor of its QEMU) before it was handed over");
	return t->a.handoff.state == HO_DST_BEGUN ? -e->code : cutover_qemu_dead(t, e->msg, e);
}

static int control_gone(struct transfer *t, const struct event *ev, struct err *e)
{
	t->a.control_lost = true;
	if (t->a.handing_off && t->a.handoff.state == HO_DST_BEGUN)
		return err_set(e, EPIPE, "the source is gone: %s", ev->err.msg);
	/* either nothing was created, or only `recover` can go on, with the journals of both sides */
	log_info("source gone in %s: %s", handoff_state_name(t->a.handoff.state), ev->err.msg);
	t->a.exit_code = t->a.handing_off && t->a.handoff.state != HO_DST_ABORTED ? EXIT_UNDECIDED : EXIT_SOURCE;
	conductor_finish(&t->a.con);
	return 0;
}

int common_event(void *ctx, const struct event *ev, struct err *e)
{
	struct transfer *t = ctx;
	int r = parts_event(&t->parts, ev, e);

	if (r != PART_NOT_MINE)
		return r;
	switch (ev->kind) {
	case EVENT_CONTROL_LOST:
		return control_gone(t, ev, e);
	case EVENT_CONTROL_CUT:
		outage_cut(&t->outage, 0, &ev->err);
		return 0;
	case EVENT_CONTROL_BACK:
		outage_back(&t->outage, 0);
		return 0;
	case EVENT_QMP_LOST:
		return qemu_gone(t, e);
	case EVENT_FRAME:
		if (ev->type == MSG_HANDOFF)
			return cutover_on_handoff(t, ev, e);
		return err_set(e, EPROTO, "unexpected %s in stage %s", msg_name(ev->type), t->a.con.stages[t->a.con.stage].name);
	case EVENT_WORKER: /* data channels close as the source lets go: no matter then */
		return 0;
	case EVENT_QMP:
		cutover_on_qemu(t, ev);
		return !strcmp(ev->name, "RESUME") ? resumed(t, e) : 0;
	case EVENT_USER:
	case EVENT_TICK:
		return 0;
	}
	return 0;
}
