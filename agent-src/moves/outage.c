/*
 * outage.c: connections to the destination that are gone, and are made again: the channels go on where they were. The guest knows nothing of
 * it as long as it runs; while it stands still there is little patience.
 */
#include "transfer.h"
#include "json-text.h"
#include "log.h"
#include "resume.h"
#include "util.h"

#include <errno.h>

#define LOOK_MS		  100
#define TELL_MS		  500	/* shorter outages are not reported */
#define STANDS_MS	  2000	/* patience while a guest is stopped for the switchover; then it goes on here */
#define STANDS_SILENCE_MS 1500	/* silence of the network that counts as a loss while the guest is stopped */
#define SILENCE_MS	  15000 /* silence that counts as a loss otherwise */
#define DECIDED_MS	  5000	/* patience once the journals decide, which they do in any session */

/* True if the guest is stopped but could go on at once, here or there: a guest that is shut down would have to boot again. */
static bool stands(const struct transfer *t)
{
	return t->blackout.stopped && t->src.traits.carries_memory && !t->src.traits.stops_first;
}

static bool in_a_hurry(const struct transfer *t)
{
	return stands(t) || t->a.handoff.state != HO_SRC_BEGUN;
}

static uint64_t patience_ms(const struct transfer *t)
{
	if (t->a.handoff.state != HO_SRC_BEGUN)
		return DECIDED_MS;
	return stands(t) ? STANDS_MS : t->opt->reconnect_ms;
}

/* Gives up the connections that are missing; any that is lost later is not waited for either. */
static void let_go(struct transfer *t, const struct err *why)
{
	struct outage *o = &t->outage;

	loop_timer_clear(t->a.loop, &o->look);
	if (!o->agreed)
		return;
	log_info("no connection is waited for any more: %s", why->msg);
	o->agreed = false;
	o->given_up = o->missing;
	o->missing = 0;
	o->lost_ns += now_ns() - o->since_ns;
	if (t->a.control)
		channel_outlive(t->a.control, false);
	data_plane_outlive(&t->data, false);
}

static uint64_t arrived(const struct transfer *t)
{
	return data_plane_acked(&t->data) + (t->a.control ? channel_bytes_acked(t->a.control) : 0);
}

static void over(struct transfer *t)
{
	struct outage *o = &t->outage;

	loop_timer_clear(t->a.loop, &o->look);
	o->count++;
	o->over_ns = now_ns();
	o->last_ns = o->over_ns - o->since_ns;
	o->lost_ns += o->last_ns;
}

static void look(struct timer *timer)
{
	struct transfer *t = container_of(timer, struct transfer, outage.look);
	struct outage *o = &t->outage;
	uint64_t now = now_ns(), from = stands(t) ? MAX(o->waited_since_ns, t->blackout.stop_ns) : o->waited_since_ns;
	struct err e;

	if (t->a.handoff.state != HO_SRC_BEGUN) /* control alone has anything more to say */
		o->missing &= 1;
	if (!o->missing) {
		over(t);
		return;
	}
	reconnect_hurry(o->reconnect, in_a_hurry(t));
	if (!o->told && now - o->since_ns > TELL_MS * 1000000ULL) {
		o->told = true;
		report_notice(&t->life.report, "no connection to the destination (%s): %s, and it is tried again for up to %.0f s",
			      o->why.msg, t->blackout.stopped || t->src.run.stopped ? "the guest stands still" : "the guest runs on here",
			      (double)patience_ms(t) / 1000);
	}
	if (now - from <= patience_ms(t) * 1000000) {
		loop_timer_set(t->a.loop, timer, LOOK_MS);
		return;
	}
	err_set(&e, ETIMEDOUT, "none came for %.0f s", (double)patience_ms(t) / 1000);
	let_go(t, &e);
}

/* True if the connection stood for so long that we would have noticed if it carried nothing. Otherwise, if nothing has arrived since the
 * last outage, that outage goes on: a connection that can be made but carries nothing does not count. */
static bool has_stood(const struct transfer *t)
{
	uint64_t ms = MAX(t->opt->reconnect_ms, 2 * SILENCE_MS);

	return t->outage.since_ns - t->outage.over_ns > ms * 1000000;
}

static void begin(struct transfer *t, const struct err *why)
{
	struct outage *o = &t->outage;
	uint64_t acked = arrived(t);

	o->why = *why;
	o->since_ns = now_ns();
	o->told = false;
	if (!o->count || acked != o->arrived || has_stood(t))
		o->waited_since_ns = o->since_ns;
	o->arrived = acked;
}

static void cut(struct transfer *t, unsigned channel, uint32_t generation, uint64_t received, const struct err *why)
{
	struct outage *o = &t->outage;

	log_info("channel %u waits for connection %u: %s", channel, generation, why->msg);
	if (!o->missing)
		begin(t, why);
	o->missing |= 1u << channel;
	reconnect_hurry(o->reconnect, in_a_hurry(t));
	reconnect_channel(o->reconnect, channel, generation, received);
	look(&o->look);
}

static void back(struct transfer *t, unsigned channel)
{
	struct outage *o = &t->outage;

	if (!(o->missing >> channel & 1))
		return;
	o->missing &= ~(1u << channel);
	if (o->missing)
		return;
	over(t);
	if (o->told)
		report_notice(&t->life.report, "connected to the destination again after %.1f s: going on where it was",
			      (double)o->last_ns / 1e9);
}

/* Lets channels outlive their connections from now on. */
static void agree(struct transfer *t)
{
	t->outage.agreed = true;
	t->outage.given_up = 0;
	if (t->a.control)
		channel_outlive(t->a.control, true);
	data_plane_outlive(&t->data, true);
	outage_watch_silence(t);
}

/* ---- what happens ---- */

void outage_control_cut(struct transfer *t, const struct err *why)
{
	uint64_t received;
	struct err e;

	if (t->outage.agreed && t->a.control && !channel_detach(t->a.control, channel_generation(t->a.control) + 1, &received, &e))
		cut(t, 0, channel_generation(t->a.control), received, why);
}

void outage_channel_word(struct transfer *t, const struct event *ev)
{
	struct channel_word w;

	memcpy(&w, ev->bytes, sizeof(w));
	/* the connection returned just as waiting was given up, and no other channel is missing */
	if (ev->type == WORD_CHANNEL_BACK && t->outage.reconnect && !t->outage.agreed && t->outage.given_up == 1u << w.channel)
		agree(t);
	else if (ev->type == WORD_CHANNEL_BACK)
		back(t, w.channel);
	else if (t->outage.agreed && t->a.handoff.state == HO_SRC_BEGUN) /* later nothing more is said there */
		cut(t, w.channel, w.generation, w.received, &ev->err);
}

static void made(struct transfer *t, struct reconnected *r)
{
	struct sender *s = r->channel ? t->data.senders[r->channel - 1] : NULL;
	struct err e;

	if (r->link.fd < 0)
		let_go(t, &r->e);
	else if (!(t->outage.missing >> r->channel & 1) || (r->channel && !s))
		link_close(&r->link);
	else if (s)
		sender_resume(s, r->link, r->generation, r->peer_received);
	else if (resume_attach(t->a.loop, t->a.control, r->link, r->generation, r->peer_received, &e))
		log_info("control: %s", e.msg);
	else
		back(t, 0);
}

static void on_made(struct queue *q)
{
	struct transfer *t = container_of(q, struct transfer, outage.made);
	struct qnode *n;

	while ((n = queue_take(q))) {
		struct reconnected *r = container_of(n, struct reconnected, node);

		made(t, r);
		free(r);
	}
}

bool outage_is_away(const struct transfer *t)
{
	return t->outage.missing ||
	       (t->outage.reconnect && !t->outage.agreed); /* given up: the channels' own word of it is about to come */
}

/* ---- life ---- */

void outage_init(struct transfer *t)
{
	t->outage = (struct outage){.look = {.fire = look}};
	queue_init(&t->outage.made, t->a.loop, on_made);
}

int outage_agree(struct transfer *t, struct err *e)
{
	json_int_t port = json_integer_value(json_object_get(t->told.plan, "resume_port"));
	int r;

	if (!t->opt->reconnect_ms || port < 1 || port > 65535)
		return 0;
	r = reconnect_start(&t->outage.reconnect, &t->dest, &t->opt->dest, (unsigned)port, &t->outage.made, e);
	if (r)
		return r;
	agree(t);
	return 0;
}

void outage_take_data(struct transfer *t)
{
	data_plane_outlive(&t->data, t->outage.agreed);
}

void outage_watch_silence(struct transfer *t)
{
	unsigned ms = !t->outage.agreed ? 0 : stands(t) ? STANDS_SILENCE_MS : SILENCE_MS;

	__atomic_store_n(&t->a.silence_ms, ms, __ATOMIC_RELAXED);
	__atomic_store_n(&t->data.shared.silence_ms, ms, __ATOMIC_RELAXED);
	__atomic_store_n(&t->dest.silence_ms, ms, __ATOMIC_RELAXED);
}

void outage_end(struct transfer *t)
{
	struct outage *o = &t->outage;
	struct qnode *n;

	loop_timer_clear(t->a.loop, &o->look);
	reconnect_stop(o->reconnect);
	o->reconnect = NULL;
	o->agreed = false;
	o->missing = 0;
	outage_watch_silence(t);
	while ((n = queue_take(&o->made))) {
		struct reconnected *r = container_of(n, struct reconnected, node);

		link_close(&r->link);
		free(r);
	}
}

json_t *outage_tell(const struct transfer *t)
{
	const struct outage *o = &t->outage;
	uint64_t again = data_plane_bytes_again(&t->data) + (t->a.control ? channel_bytes_again(t->a.control) : 0);

	if (!o->count && !o->lost_ns && !o->missing)
		return NULL;
	return json_pack("{s:i,s:f,s:I,s:b}", "count", (int)(o->count + (o->missing != 0)), "ms",
			 (double)(o->lost_ns + (o->missing ? now_ns() - o->since_ns : 0)) / 1e6, "bytes_again", (json_int_t)again, "now",
			 o->missing != 0);
}
