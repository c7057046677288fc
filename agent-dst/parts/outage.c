/* outage.c: see outage.h. */
#include "outage.h"
#include "conn.h"
#include "log.h"
#include "resume.h"
#include "util.h"

#include <errno.h>

#define LOOK_MS	   100
#define WATCH_MS   500
#define ANSWER_MS  3000
#define DECIDED_MS 5000 /* once the guest is here the journals decide, with any agent that connects */

/* Stops waiting for reconnections. Each channel now reports its loss, as without --reconnect-timeout. */
static void let_go(struct outage *o)
{
	struct data_plane *d = o->data;

	loop_timer_clear(d->a->loop, &o->look);
	if (d->a->control)
		channel_outlive(d->a->control, false);
	for (unsigned i = 1; i <= d->channels; i++)
		if (o->missing >> i & 1 && d->receivers[i - 1])
			receiver_let_go(d->receivers[i - 1]);
	o->missing = 0;
}

static bool is_over(const struct outage *o)
{
	const struct attempt *a = o->data->a;
	bool undecided = a->handoff.state == HO_DST_BEGUN || a->handoff.state == HO_DST_PREPARED;
	uint64_t ms = undecided ? (uint64_t)o->patience_ms + OUTAGE_MARGIN_MS : DECIDED_MS;

	return now_ns() - o->since_ns > ms * 1000000ULL || (a->journal && journal_wanted(a->journal));
}

static void look(struct timer *t)
{
	struct outage *o = container_of(t, struct outage, look);

	if (o->data->a->handoff.state != HO_DST_BEGUN) /* the data channels have brought all that there is */
		o->missing &= 1;
	if (!o->missing)
		return;
	if (is_over(o))
		let_go(o);
	else
		loop_timer_set(o->data->a->loop, t, LOOK_MS);
}

/*
 * Through SSH our connection ends on this very host, and is as it was when the source's is gone. Who wants the journal may know that, and is not kept
 * waiting by a source that is not there to acknowledge anything.
 */
static void watch(struct timer *t)
{
	struct outage *o = container_of(t, struct outage, watch);
	struct attempt *a = o->data->a;
	struct err e;
	bool gone;

	if (!a->journal)
		return;
	loop_timer_set(a->loop, t, WATCH_MS);
	gone = !a->control || !channel_open(a->control) || o->missing & 1;
	if (gone || channel_bytes_acked(a->control) != o->acked)
		o->asked_ns = 0;
	if (gone || !journal_wanted(a->journal))
		return;
	if (!o->asked_ns) {
		o->asked_ns = now_ns();
		o->acked = channel_bytes_acked(a->control);
		channel_post(a->control, MSG_PROBE, "", 0);
	} else if (now_ns() - o->asked_ns > ANSWER_MS * 1000000ULL) {
		err_set(&e, ETIMEDOUT, "the source does not answer, and the user told vmferry to go on without it");
		channel_outlive(a->control, false);
		channel_lost(a->control, &e);
	}
}

void outage_init(struct outage *o, struct data_plane *data)
{
	*o = (struct outage){.data = data, .look = {.fire = look}, .watch = {.fire = watch}};
}

void outage_watch(struct outage *o)
{
	loop_timer_set(o->data->a->loop, &o->watch, WATCH_MS);
}

void outage_agree(struct outage *o, unsigned patience_ms)
{
	o->patience_ms = MIN(patience_ms, OUTAGE_MS_MAX);
	o->data->shared.resumes = o->patience_ms > 0;
	channel_outlive(o->data->a->control, o->data->shared.resumes);
}

void outage_cut(struct outage *o, unsigned channel, const struct err *why)
{
	log_info("the connection of channel %u is gone, and may come back: %s", channel, why->msg);
	if (!o->missing) {
		o->since_ns = now_ns();
		loop_timer_set(o->data->a->loop, &o->look, LOOK_MS);
	}
	o->missing |= 1u << channel;
}

void outage_back(struct outage *o, unsigned channel)
{
	log_info("channel %u has a connection again", channel);
	o->missing &= ~(1u << channel);
	if (!o->missing)
		loop_timer_clear(o->data->a->loop, &o->look);
}

void outage_fini(struct outage *o)
{
	loop_timer_clear(o->data->a->loop, &o->watch);
	loop_timer_clear(o->data->a->loop, &o->look);
}
