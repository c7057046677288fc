/* arriving-data.c: see arriving-data.h. */
#include "arriving-data.h"
#include "fault.h"
#include "log.h"
#include "process.h"
#include "resume.h"
#include "util.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define HELLO_MS 10000

/* ---- what receivers tell ---- */

static void on_work(struct queue *q)
{
	struct data_plane *d = container_of(q, struct data_plane, work);
	struct qnode *n;

	while ((n = queue_take(q))) {
		struct event *ev = event_new(EVENT_WORKER, 0, NULL, 0);

		ev->ptr = container_of(n, struct receive_event, node);
		conductor_put(&d->a->con, ev);
	}
}

/* ---- who connects ---- */

int data_plane_listen(struct data_plane *d, struct err *e)
{
	bool any = d->cfg->plaintext || d->cfg->access->key_count;

	if (d->listen_fd >= 0)
		return 0;
	return net_listen(d->cfg->listen_host, d->cfg->data_ports, any, &d->listen_fd, NULL, e);
}

static bool has_channel(const struct data_plane *d, unsigned channel)
{
	return channel ? d->receivers[channel - 1] != NULL : d->a->control && channel_open(d->a->control);
}

/* The session's own data channels come one after another, and any channel again; strangers may come, too. */
static int data_wanted(void *ctx, const struct hello *theirs, struct err *e)
{
	const struct data_plane *d = ctx;
	bool again = theirs->generation > 0;

	if (memcmp(theirs->session, d->cfg->session, 16) || theirs->channel > d->channels || has_channel(d, theirs->channel) != again ||
	    (again ? !d->shared.resumes : !theirs->channel || !d->ready))
		return err_set(e, EPERM, "this is not a channel of the session");
	return 0;
}

static void comes_again(struct data_plane *d, struct link link, const struct hello *theirs)
{
	struct err e;

	if (theirs->channel) {
		receiver_resume(d->receivers[theirs->channel - 1], link, theirs);
		return;
	}
	net_limit_silence(link.fd);
	if (resume_answer(d->a->loop, d->a->control, link, theirs, &e))
		log_info("control: %s", e.msg);
	else
		conductor_put(&d->a->con, event_new(EVENT_CONTROL_BACK, 0, NULL, 0));
}

static void data_enters(void *ctx, struct link *link, const struct hello *theirs)
{
	struct data_plane *d = ctx;
	struct err e;

	if (data_wanted(d, theirs, &e)) /* the channel was wanted when its HELLO came, but is not any more */
		link_close(link);
	else if (theirs->generation)
		comes_again(d, *link, theirs);
	else if (receiver_start(&d->receivers[theirs->channel - 1], *link, theirs->channel, &d->shared, &e))
		log_info("data channel %u: %s", theirs->channel, e.msg);
	else
		d->connected++;
}

static void watch_door(struct data_plane *d)
{
	struct io_uring_sqe *sqe = loop_sqe(d->a->loop);

	io_uring_prep_poll_add(sqe, door_fd(d->door), POLLIN);
	loop_bind(sqe, &d->door_op);
	d->door_watched = true;
}

/* Refuses further connections, instead of leaving them waiting, once nobody else is expected. */
static void close_door(struct data_plane *d)
{
	door_free(d->door);
	d->door = NULL;
	if (d->listen_fd >= 0)
		close(d->listen_fd);
	d->listen_fd = -1;
}

static void at_door(struct op *op, int res, uint32_t flags)
{
	struct data_plane *d = container_of(op, struct data_plane, door_op);

	(void)flags;
	d->door_watched = false;
	if (res == -ECANCELED || d->a->con.finished)
		return;
	door_step(d->door);
	if (d->connected < d->channels || d->shared.resumes)
		watch_door(d);
	else
		close_door(d);
}

int data_plane_open_door(struct data_plane *d, struct err *e)
{
	struct door_config dc = {.access = d->cfg->access,
				 .timeout_ms = HELLO_MS,
				 .level = LOG_LEVEL_INFO,
				 .wanted = data_wanted,
				 .enter = data_enters,
				 .ctx = d};
	int r = door_new(&d->door, d->listen_fd, &dc, e);

	if (r)
		return r;
	d->door_op.done = at_door;
	watch_door(d);
	return 0;
}

/* ---- how far they are ---- */

void data_plane_count(struct data_plane *d, const struct receive_event *rev)
{
	struct round_count *c = &d->rounds[rev->group];
	unsigned channels = d->channels - d->shared.streams;

	d->a->rss_anon_max = MAX(d->a->rss_anon_max, own_rss_anon());
	if (rev->kind == RECEIVE_APPLIED && ++c->applied == channels) {
		c->applied = 0;
		d->unsynced += object_is_disk(rev->group);
		fault_point("dst-applied");
		channel_send(d->a->control, APPLIED, applied, .group = rev->group, .number = rev->number);
	} else if (rev->kind == RECEIVE_DURABLE && ++c->durable == channels) {
		c->durable = 0;
		d->unsynced -= !fault_point("dst-not-durable");
		channel_send(d->a->control, DURABLE, durable, .group = rev->group, .number = rev->number);
	}
}

/* ---- its life ---- */

void data_plane_init(struct data_plane *d, struct attempt *a, const struct move_config *cfg)
{
	*d = (struct data_plane){.a = a, .cfg = cfg, .listen_fd = -1};
	d->shared.cpu = &a->cpu_used;
	d->shared.events = &d->work;
	queue_init(&d->work, a->loop, on_work);
}

void data_plane_stop(struct data_plane *d)
{
	for (unsigned i = 0; i < CHANNELS_MAX; i++)
		receiver_end(d->receivers[i]);
	for (unsigned i = 0; i < CHANNELS_MAX; i++) {
		receiver_stop(d->receivers[i]);
		d->receivers[i] = NULL;
	}
}

void data_plane_fini(struct data_plane *d)
{
	struct err e;

	if (d->door_watched)
		loop_cancel(d->a->loop, &d->door_op);
	while (d->door_watched)
		if (loop_step(d->a->loop, 1000, &e))
			break;
	data_plane_stop(d);
	on_work(&d->work); /* events that the receivers sent last are dropped with the conductor */
	close_door(d);
}
