/* copy.c: what arrives, until every digest is equal; then the recipe finishes it, until all that a guest needs is here. */
#include "arriving-transfer.h"
#include "host-load.h"
#include "json-message.h"
#include "process.h"
#include "util.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

int copy_enter(void *ctx, struct err *e)
{
	struct transfer *t = ctx;
	json_t *ready = json_object();

	t->data.ready = true;
	t->recipe->tell_ready(t, ready);
	if (json_array_size(t->target.notices))
		json_object_set(ready, "notices", t->target.notices);
	json_object_set_new(ready, "channels", json_integer(t->data.channels));
	json_object_set_new(ready, "data_port", json_integer(net_local_port(t->data.listen_fd)));
	json_object_set_new(ready, "sums_heads", json_true());
	json_object_set_new(ready, "journal_ms", json_real(journal_write_ms(t->a.journal)));
	json_object_set_new(ready, "busy", json_real(host_load_average() / own_processors()));
	json_object_set_new(ready, "agent_pid", json_integer(getpid()));
	json_object_set_new(ready, "io_uring", json_boolean(loop_has_io_uring(t->a.loop)));
	return json_message_send(t->a.control, MSG_COPY_READY, t->a.id, ready, e) ? -e->code : disks_compare(&t->disks, &t->data.shared, e);
}

/* True if all content is in place with equal digests, and this side has promised nothing yet. */
static bool is_switching(const struct transfer *t)
{
	return t->a.handoff.state == HO_DST_BEGUN && t->a.con.stage == ST_SWITCHOVER && t->a.con.entered;
}

static int finish_if_switching(struct transfer *t, struct err *e)
{
	return is_switching(t) ? t->recipe->finish(t, e) : 0;
}

static int channel_complete(struct transfer *t)
{
	if (++t->data.complete == t->data.channels) {
		t->data.complete_ns = now_ns();
		conductor_goto(&t->a.con, ST_SWITCHOVER);
	}
	return 0;
}

static int channel_lost(struct transfer *t, const struct receive_event *rev, struct err *e)
{
	if (!t->recipe->can_run(t)) /* seen here first, as its memory is gone */
		return qemu_gone(t, e);
	*e = rev->err;
	return err_prefix(e, "data channel %u", rev->channel);
}

static int have(struct transfer *t, const struct receive_event *rev)
{
	channel_send(t->a.control, HAVE, have, .object = rev->group, .block = rev->offset, .last = rev->number != 0,
		     .hashes = {rev->data, rev->n});
	return 0;
}

static int on_receive(struct transfer *t, const struct receive_event *rev, struct err *e)
{
	switch (rev->kind) {
	case RECEIVE_APPLIED:
		disks_compared(&t->disks, rev->group);
		data_plane_count(&t->data, rev);
		return disks_have_their_length(&t->disks, e) ?: bitmaps_take(&t->disks, rev, e);
	case RECEIVE_DURABLE:
		data_plane_count(&t->data, rev);
		return 0;
	case RECEIVE_COMPLETE:
		return channel_complete(t);
	case RECEIVE_LOST:
		return channel_lost(t, rev, e);
	case RECEIVE_CUT:
		if (t->a.handoff.state == HO_DST_BEGUN) /* later the source has nothing more to say there */
			outage_cut(&t->outage, rev->channel, &rev->err);
		return 0;
	case RECEIVE_BACK:
		outage_back(&t->outage, rev->channel);
		return 0;
	case RECEIVE_HAVE:
		return have(t, rev);
	case RECEIVE_BITMAP:
	case RECEIVE_DELTA:
		return bitmaps_take(&t->disks, rev, e);
	case RECEIVE_STREAM:
	case RECEIVE_STREAM_MARK:
	case RECEIVE_STREAM_OPEN:
	case RECEIVE_STREAM_END:
	case RECEIVE_RETURN_PATH:
		return ram_take(&t->ram, rev, e);
	}
	return 0;
}

/* The source has no more for the disks (opaque mode). */
static int on_disks_done(struct transfer *t, const struct event *ev, struct err *e)
{
	struct msg_disks_done msg;
	int r;

	if (msg_disks_done_decode(&msg, ev->bytes, ev->n) || memcmp(msg.attempt, t->a.id, sizeof(t->a.id)))
		return err_set(e, EPROTO, "the source sent a DISKS_DONE of %zu bytes that cannot be read, or of another attempt", ev->n);
	r = disks_close_exports(&t->disks, e);
	if (target_locks_at_load(&t->target))
		disks_unlock(&t->disks);
	if (!r)
		channel_post(t->a.control, MSG_DISKS_CLOSED, t->a.id, sizeof(t->a.id));
	return r;
}

int copy_event(void *ctx, const struct event *ev, struct err *e)
{
	struct transfer *t = ctx;
	int r;

	if (ev->kind == EVENT_WORKER) {
		r = on_receive(t, ev->ptr, e);
	} else if (ev->kind == EVENT_FRAME && ev->type == MSG_DISKS_DONE) {
		r = on_disks_done(t, ev, e);
	} else {
		r = common_event(t, ev, e);
	}
	return r ?: finish_if_switching(t, e);
}

int switchover_enter(void *ctx, struct err *e)
{
	return finish_if_switching(ctx, e);
}
