/*
 * move-switchover.c: the blackout. Decided by us: QEMU waits for the acknowledgement that only we give. Or unasked: a
 * guest that is paused or stops by itself makes QEMU switch at once, in whatever stage we are.
 *
 * Disks come first: once QEMU goes on it inactivates its block nodes before it sends the rest of RAM, and an inactive
 * node cannot be read any more (QEMU 10: EPERM). In pages mode they need only be read by then, as RAM and disks are
 * written side by side at the destination; in opaque mode they must be finished there, as the destination QEMU takes its
 * disks over while it reads the stream.
 */
#include "move-private.h"
#include "fault.h"
#include "log.h"
#include "qemu-rp.h"
#include "util.h"

#include <errno.h>
#include <string.h>

#define DOWNTIME_LIMIT_MS 2000000 /* QEMU's largest: the moment is ours to choose */
#define PLENTY_BPS	  (1LL << 50)
#define ARM_SLACK	  1.25	  /* QEMU may switch a little before we want it */
#define ARM_CALM_MS	  20	  /* with a guest that writes little we wait until so little is left, or less */
#define ARM_AGAIN	  1.25	  /* a rate that differs by less is the same */
#define BLACKOUT_MS	  60000	  /* patience with a destination that nothing more gets to */

/*
 * QEMU looks every 100 ms from how little on it may switch. It is told so in time, of what we shall decide by: then it stops as
 * soon as we acknowledge, and until then does not go round and round over nothing, which the guest would feel.
 */
void switchover_arm(struct move *m)
{
	double bps = m->best_rate_bps * ARM_SLACK;
	/* and in its first pass over memory QEMU is to look at what was written at its end, not again and again */
	bool busy = m->ram.pass >= 2 && m->dirty_bps > m->best_rate_bps * CONVERGE_CALM;
	unsigned limit_ms = busy ? m->opt->max_downtime_ms : MIN(m->opt->max_downtime_ms, ARM_CALM_MS);

	if (!m->has_ack || !m->has_bandwidth || m->best_rate_bps <= 0)
		return;
	if (limit_ms == m->armed_ms && bps < m->armed_bps * ARM_AGAIN && bps > m->armed_bps / ARM_AGAIN)
		return;
	m->armed_bps = bps;
	m->armed_ms = limit_ms;
	qmp_send(m->qmp, "migrate-set-parameters",
		 json_pack("{s:I,s:I}", "downtime-limit", (json_int_t)limit_ms, "avail-switchover-bandwidth", (json_int_t)bps),
		 QMP_DEADLINE_MS, NULL, NULL);
}

/* Now, whatever is left: at the latest when QEMU next looks. */
static int ask_for_switchover(struct move *m, struct err *e)
{
	uint8_t ack[4];
	json_t *p = json_pack("{s:i}", "downtime-limit", DOWNTIME_LIMIT_MS);
	int r;

	if (m->has_bandwidth)
		json_object_set_new(p, "avail-switchover-bandwidth", json_integer(PLENTY_BPS));
	/* without acknowledgements (QEMU < 8.1) a stall is what keeps QEMU from switching until we let it */
	capture_stall(m->capture, !m->has_ack);
	r = qmp_call(m->qmp, "migrate-set-parameters", p, NULL, e);
	capture_stall(m->capture, false);
	fault_point("src-acknowledge");
	if (!r && m->has_ack && !m->blackout.stopped)
		capture_return_path(m->capture, ack, rp_encode_switchover_ack(ack));
	return r;
}

static int let_qemu_go_on(struct move *m, struct err *e)
{
	m->blackout.continued = true;
	return qmp_call(m->qmp, "migrate-continue", json_pack("{s:s}", "state", "pre-switchover"), NULL, e);
}

static void queue_end(struct move *m, uint32_t object)
{
	unsigned i;

	for (i = object_is_disk(object) ? m->streams : 0; i < m->channels; i++) {
		struct send_item *it = send_mark_new(0, NULL, 0);

		it->mark = MARK_END;
		it->object = object;
		sender_put(m->senders[i], it);
	}
}

/* What is declared complete must be the guest as it stands now. */
static int send_ends(struct move *m, struct err *e)
{
	unsigned i;
	int r = guest_watch_result(&m->watch, e);

	if (!r)
		r = move_handoff(m, EV_END_SENT, HO_NONE, e);
	if (r)
		return r;
	m->blackout.ends_sent = true;
	for (i = 0; i < m->disk_count; i++)
		queue_end(m, OBJECT_DISK_BASE + i);
	queue_end(m, GROUP_RAM);
	return 0;
}

/* An event of its own, so that the blackout goes on. */
static void watch_answered(void *ctx)
{
	struct move *m = ctx;

	conductor_put(&m->con, event_new(EVENT_TICK, 0, NULL, 0));
}

/* One step further, if what it waits for is there. Called after every event of the blackout. */
static int advance(struct move *m, struct err *e)
{
	int r = disks_final(m, e);

	if (r || !m->blackout.stopped)
		return r;
	m->watch.answered = watch_answered;
	m->watch.ctx = m;
	guest_watch_ask(&m->watch, m->qmp);
	if (disks_durable(m) && !m->blackout.disks_done_ns)
		m->blackout.disks_done_ns = now_ns();
	if (!m->opaque) {
		if (disks_finished(m) && !m->blackout.continued)
			r = let_qemu_go_on(m, e);
		if (!r && m->ram.done && disks_finished(m) && guest_watch_answered(&m->watch) && !m->blackout.ends_sent)
			r = send_ends(m, e);
		return r;
	}
	if (disks_finished(m) && guest_watch_answered(&m->watch) && !m->blackout.ends_sent)
		r = send_ends(m, e);
	if (!r && disks_durable(m) && !m->blackout.disks_done_sent) {
		m->blackout.disks_done_sent = true;
		channel_post(m->control, MSG_DISKS_DONE, m->attempt, sizeof(m->attempt));
	}
	if (!r && m->blackout.disks_closed && !m->blackout.continued)
		r = let_qemu_go_on(m, e);
	return r;
}

int switchover_stopped(struct move *m, uint64_t at_ns, struct err *e)
{
	if (m->blackout.stopped)
		return 0;
	fault_point("src-pre-switchover");
	m->blackout.stopped = true;
	if (!m->blackout.stop_ns)
		m->blackout.stop_ns = at_ns;
	/* a limit would only keep the guest stopped for longer */
	__atomic_store_n(&m->shared.pacer.bytes_per_s, 0, __ATOMIC_RELAXED);
	m->blackout.moved_ns = now_ns();
	if (m->con.stage != ST_SWITCHOVER) {
		m->blackout.predicted_ms = m->converge.predicted_ms;
		capture_stall(m->capture, false);
		conductor_goto(&m->con, ST_SWITCHOVER);
		return 0;
	}
	return advance(m, e);
}

int switchover_enter(void *ctx, struct err *e)
{
	struct move *m = ctx;
	int r = autostart_block(&m->autostart, m->journal, e);

	if (r)
		return r;
	return m->blackout.stopped ? advance(m, e) : ask_for_switchover(m, e);
}

/* A destination that takes nothing more must not keep the guest stopped for ever. */
static int watch(struct move *m, struct err *e)
{
	uint64_t bytes = 0;
	unsigned i;

	for (i = 0; i < m->channels; i++)
		bytes += sender_wire_bytes(m->senders[i]);
	if (bytes != m->blackout.moved_bytes || !m->blackout.stopped)
		m->blackout.moved_ns = now_ns();
	m->blackout.moved_bytes = bytes;
	if (now_ns() - m->blackout.moved_ns < BLACKOUT_MS * 1000000ULL)
		return 0;
	return err_set(e, ETIMEDOUT, "the guest is stopped and the destination takes nothing more for %d s", BLACKOUT_MS / 1000);
}

int switchover_event(void *ctx, const struct event *ev, struct err *e)
{
	struct move *m = ctx;
	int r;

	if (ev->kind == EVENT_FRAME && ev->type == MSG_DISKS_CLOSED)
		m->blackout.disks_closed = true;
	else if ((r = ev->kind == EVENT_TICK ? watch(m, e) : move_common_event(m, ev, e)))
		return r;
	return m->con.stage == ST_SWITCHOVER && m->blackout.stopped && !m->blackout.completed ? advance(m, e) : 0;
}
