/* data-plane.c: see data-plane.h. */
#include "data-plane.h"
#include "util.h"

#define WINDOW_ALL (16 * MIB) /* frames on their way, over all channels */

struct word {
	struct qnode node;
	struct event *ev;
};

void data_plane_tell(struct data_plane *d, struct event *ev)
{
	struct word *w = xcalloc(1, sizeof(*w));

	w->ev = ev;
	queue_put(&d->words, &w->node);
}

static void hear(struct queue *q)
{
	struct data_plane *d = container_of(q, struct data_plane, words);
	struct qnode *n;

	while ((n = queue_take(q))) {
		struct word *w = container_of(n, struct word, node);

		conductor_put(&d->a->con, w->ev);
		free(w);
	}
}

static void channel_lost(void *ctx, unsigned channel, const struct err *why)
{
	struct event *ev = event_new(EVENT_WORKER, WORD_CHANNEL_LOST, NULL, 0);

	(void)channel;
	ev->err = *why;
	data_plane_tell(ctx, ev);
}

static void tell_channel(struct data_plane *d, enum worker_word word, const struct channel_word *w, const struct err *why)
{
	struct event *ev = event_new(EVENT_WORKER, (uint16_t)word, w, sizeof(*w));

	if (why)
		ev->err = *why;
	data_plane_tell(d, ev);
}

static void channel_cut(void *ctx, unsigned channel, uint32_t generation, uint64_t received, const struct err *why)
{
	tell_channel(ctx, WORD_CHANNEL_CUT, &(struct channel_word){channel, generation, received}, why);
}

static void channel_back(void *ctx, unsigned channel)
{
	tell_channel(ctx, WORD_CHANNEL_BACK, &(struct channel_word){.channel = channel}, NULL);
}

void data_plane_init(struct data_plane *d, struct attempt *a, const struct move_options *opt)
{
	*d = (struct data_plane){.a = a};
	d->shared.cpu = &a->cpu_used;
	d->shared.codec = opt->carry.codec;
	d->shared.pacer.bytes_per_s = opt->carry.bwlimit;
	queue_init(&d->words, a->loop, hear);
}

int data_plane_connect(struct data_plane *d, struct dest *dest, unsigned port, double *round_trip_ms, struct err *e)
{
	uint64_t t0, quickest = UINT64_MAX;
	double tcp_ms, least_ms = 0;
	struct link link;
	int r = 0;

	d->shared.channels = d->channels;
	d->shared.window_bytes = MAX(2 * MIB, WINDOW_ALL / d->channels);
	d->shared.lost = channel_lost;
	d->shared.cut = channel_cut;
	d->shared.back = channel_back;
	d->shared.ctx = d;
	send_shared_init(&d->shared);
	for (unsigned i = 0; i < d->channels && !r; i++) {
		t0 = now_ns();
		r = dest_connect_data(dest, port, i + 1, &link, e);
		quickest = MIN(quickest, now_ns() - t0);
		if (r)
			break;
		tcp_ms = link_round_trip_ms(&link);
		least_ms = i ? MIN(least_ms, tcp_ms) : tcp_ms;
		r = sender_start(&d->senders[i], link, i + 1, &d->shared, e);
	}
	/* TCP's own measurement comes first. Without it: connecting and HELLO take two round trips, TLS one more. The minimum over all
	 * channels leaves out a lost packet or a busy processor. */
	*round_trip_ms = least_ms > 0 ? least_ms : (double)quickest / 1e6 / (dest->tls ? 3 : 2);
	return r;
}

void data_plane_end_of(struct data_plane *d, uint32_t object)
{
	for (unsigned i = object_is_disk(object) ? d->streams : 0; i < d->channels; i++) {
		struct send_item *it = send_mark_new(0, NULL, 0);

		it->mark = MARK_END;
		it->object = object;
		sender_put(d->senders[i], it);
	}
}

static uint64_t sum(const struct data_plane *d, uint64_t (*of)(const struct sender *s))
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < d->channels; i++)
		bytes += d->senders[i] ? of(d->senders[i]) : 0;
	return bytes;
}

void data_plane_outlive(struct data_plane *d, bool yes)
{
	for (unsigned i = 0; i < d->channels; i++)
		if (d->senders[i])
			sender_outlive(d->senders[i], yes);
}

uint64_t data_plane_acked(const struct data_plane *d)
{
	return sum(d, sender_acked_bytes);
}

uint64_t data_plane_moved(const struct data_plane *d)
{
	return data_plane_acked(d) + sum(d, sender_rechecked_pages);
}

uint64_t data_plane_bytes_again(const struct data_plane *d)
{
	return d->bytes_again + sum(d, sender_bytes_again);
}

uint64_t data_plane_wire_bytes(const struct data_plane *d)
{
	return sum(d, sender_wire_bytes);
}

uint64_t data_plane_contents(const struct data_plane *d)
{
	return sum(d, sender_contents);
}

uint64_t data_plane_queued(const struct data_plane *d)
{
	return sum(d, sender_queued_bytes);
}

uint64_t data_plane_unacked(const struct data_plane *d)
{
	return sum(d, sender_unacked_bytes);
}

void data_plane_limit(struct data_plane *d, uint64_t bytes_per_s)
{
	__atomic_store_n(&d->shared.pacer.bytes_per_s, bytes_per_s, __ATOMIC_RELAXED);
}

uint64_t data_plane_limit_now(const struct data_plane *d)
{
	return __atomic_load_n(&d->shared.pacer.bytes_per_s, __ATOMIC_RELAXED);
}

void data_plane_stop(struct data_plane *d)
{
	for (unsigned i = 0; i < d->channels; i++) {
		if (!d->senders[i])
			continue;
		sender_stats(d->senders[i], &d->sent);
		d->wire_bytes += sender_wire_bytes(d->senders[i]);
		d->bytes_again += sender_bytes_again(d->senders[i]);
		sender_stop(d->senders[i]);
		d->senders[i] = NULL;
	}
	hear(&d->words); /* their last messages */
}
