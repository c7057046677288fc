/*
 * stream-receive.c: QEMU's own stream as it arrives: the thin stream to the main thread, opaque ones into QEMU.
 */
#include "data-receive-private.h"
#include "log.h"
#include "util.h"

#include <errno.h>
#include <string.h>

int receive_stream_open(struct receiver *r, const struct msg_object *m)
{
	struct stream *s = &r->stream[m->id - OBJECT_STREAM_BASE];
	struct receive_event *ev;

	s->open = true;
	s->state = XXH3_createState();
	XXH3_128bits_reset_withSecret(s->state, r->shared->key.secret, DIGEST_SECRET_BYTES);
	ev = receive_event_new(r, RECEIVE_STREAM_OPEN, NULL, 0);
	ev->group = m->id;
	receive_tell(r, ev);
	return 0;
}

static void feed_drained(void *ctx)
{
	struct receiver *r = ctx;

	r->feeding = false;
	receive_go_on(r);
}

static void feed_message(void *ctx, const struct rp_message *m)
{
	struct receiver *r = ctx;
	struct receive_event *ev = receive_event_new(r, RECEIVE_RETURN_PATH, m->data, m->data_bytes);

	ev->rp_type = m->type;
	ev->rp_value = m->value;
	receive_tell(r, ev);
}

static void feed_closed(void *ctx, const struct err *why)
{
	(void)ctx;
	log_info("QEMU's incoming channel: %s", why->msg); /* QMP says whether that is an error */
}

static const struct feed_handlers feed_on = {feed_drained, feed_message, feed_closed};

static int to_qemu(struct receiver *r, uint32_t object, const uint8_t *p, size_t n, struct err *e)
{
	struct stream *s = &r->stream[object - OBJECT_STREAM_BASE];
	bool is_main = object == OBJECT_STREAM_BASE;

	if (!s->feed) {
		if (!is_main && !__atomic_load_n(&r->shared->main_connected, __ATOMIC_ACQUIRE)) {
			r->held.bytes = xmalloc(n);
			memcpy(r->held.bytes, p, n);
			r->held.n = n;
			r->held.object = object;
			channel_pause(r->ch);
			return 0;
		}
		if (feed_open(&s->feed, r->loop, r->shared->incoming, &feed_on, r, e))
			return -e->code;
		if (is_main) {
			__atomic_store_n(&r->shared->main_connected, true, __ATOMIC_RELEASE);
			for (unsigned i = 0; i < r->shared->channels; i++) {
				struct receiver *other = __atomic_load_n(&r->shared->receivers[i], __ATOMIC_ACQUIRE);

				if (other)
					loop_post(other->loop, &other->retry);
			}
		}
	}
	r->feeding = true;
	channel_pause(r->ch); /* the channel goes on when QEMU has taken it */
	feed_write(s->feed, p, n);
	return 0;
}

void receive_stream_retry(struct task *t)
{
	struct receiver *r = container_of(t, struct receiver, retry);
	struct held_bytes held = r->held;
	struct err e;

	if (!held.bytes || !__atomic_load_n(&r->shared->main_connected, __ATOMIC_ACQUIRE))
		return;
	r->held.bytes = NULL;
	if (to_qemu(r, held.object, held.bytes, held.n, &e))
		receive_lost(r, &e);
	free(held.bytes);
}

int receive_stream_data(struct receiver *r, struct data *d, struct err *e)
{
	struct stream *s = &r->stream[d->m.object - OBJECT_STREAM_BASE];
	const uint8_t *raw;
	unsigned i;
	uint64_t at;
	int k;

	if (!s->open || s->ended)
		return receive_refuse(r, "DATA", d->m.object, e, "it was not announced, or has ended");
	k = receive_decode(r, d, UINT64_MAX / 2, STREAM_SHIFT, e);
	if (k)
		return k;
	if (d->m.codec == CODEC_ZERO || d->m.codec == CODEC_HOLE || d->m.codec == CODEC_KEPT)
		return receive_refuse(r, "DATA", d->m.object, e, "a hole in a stream, or an old copy of it");
	raw = receive_contents(r, d, r->scratch, e);
	if (!raw)
		return -e->code;
	for (i = 0, at = s->bytes; i < d->m.extents; at += d->x[i++].units)
		if (d->x[i].offset != at)
			return receive_refuse(r, "DATA", d->m.object, e, "out of order: extent %u begins at byte %llu, byte %llu is next",
					      i, (unsigned long long)d->x[i].offset, (unsigned long long)at);
	if (!r->shared->incoming && d->m.raw_bytes > THIN_MAX - s->bytes) /* here, too: the main thread may be waiting for QEMU */
		return err_set(e, EPROTO, "the guest's device state is larger than %d MiB", (int)(THIN_MAX / MIB));
	XXH3_128bits_update(s->state, raw, d->m.raw_bytes);
	s->bytes += d->m.raw_bytes;
	if (r->shared->incoming)
		return to_qemu(r, d->m.object, raw, d->m.raw_bytes, e);
	receive_tell(r, receive_event_new(r, RECEIVE_STREAM, raw, d->m.raw_bytes));
	return 0;
}

int receive_stream_mark(struct receiver *r, const struct msg_stream_mark *m, struct err *e)
{
	struct receive_event *ev;

	if (m->object != OBJECT_STREAM_BASE || r->shared->incoming)
		return receive_refuse(r, "STREAM_MARK", m->object, e, "only a thin stream has one");
	if (m->offset > THIN_MAX || r->marked)
		return receive_refuse(r, "STREAM_MARK", m->object, e, "at byte %llu: there is one, and within %d MiB",
				      (unsigned long long)m->offset, (int)(THIN_MAX / MIB));
	r->marked = true;
	ev = receive_event_new(r, RECEIVE_STREAM_MARK, NULL, 0);
	ev->offset = m->offset;
	receive_tell(r, ev);
	return 0;
}

int receive_stream_end(struct receiver *r, const struct msg_end *m, struct err *e)
{
	struct stream *s = &r->stream[m->object - OBJECT_STREAM_BASE];
	XXH128_hash_t x = XXH3_128bits_digest(s->state);
	struct receive_event *ev;
	int k;

	if (s->ended)
		return receive_ended_before(r, m->object, e);
	s->ended = true;
	k = receive_digest_equal(m, s->bytes, (struct hash128){x.low64, x.high64}, "QEMU's migration stream", e);
	if (k)
		return k;
	ev = receive_event_new(r, RECEIVE_STREAM_END, NULL, 0);
	ev->group = m->object;
	receive_tell(r, ev);
	return 0;
}
