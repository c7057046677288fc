/* conductor.c: see conductor.h. */
#include "conductor.h"
#include "log.h"
#include "util.h"

#include <string.h>

#define FRAMES_MAX (4 * MIB)

static void on_tick(struct timer *t)
{
	struct conductor *c = container_of(t, struct conductor, tick);

	conductor_put(c, event_new(EVENT_TICK, 0, NULL, 0));
	if (c->tick_ms)
		loop_timer_set(c->loop, &c->tick, c->tick_ms);
}

void conductor_init(struct conductor *c, struct loop *l, const struct stage *stages, void *ctx,
		    void (*fail)(void *ctx, const struct err *why))
{
	*c = (struct conductor){.loop = l, .stages = stages, .ctx = ctx, .fail = fail, .tick = {.fire = on_tick}};
	c->tail = &c->head;
}

void conductor_begin_at(struct conductor *c, unsigned stage)
{
	c->stage = stage;
	c->entered = stage != 0;
}

void conductor_goto(struct conductor *c, unsigned stage)
{
	log_info("stage %s -> %s", c->stages[c->stage].name, c->stages[stage].name);
	c->stage = stage;
	c->entered = false;
}

void conductor_finish(struct conductor *c)
{
	c->finished = true;
}

void conductor_tick(struct conductor *c, unsigned ms)
{
	c->tick_ms = ms;
	loop_timer_clear(c->loop, &c->tick);
	if (ms)
		loop_timer_set(c->loop, &c->tick, ms);
}

struct event *event_new(enum event_kind kind, uint16_t type, const void *bytes, size_t n)
{
	struct event *ev = xcalloc(1, sizeof(*ev) + n);

	ev->kind = kind;
	ev->type = type;
	ev->at_ns = now_ns();
	ev->n = n;
	if (n)
		memcpy(ev->bytes, bytes, n);
	return ev;
}

void conductor_put(struct conductor *c, struct event *ev)
{
	ev->next = NULL;
	*c->tail = ev;
	c->tail = &ev->next;
}

bool conductor_has_qmp(const struct conductor *c, const char *name)
{
	const struct event *ev;

	for (ev = c->head; ev; ev = ev->next)
		if (ev->kind == EVENT_QMP && !strcmp(ev->name, name))
			return true;
	return false;
}

static void event_free(struct event *ev)
{
	json_decref(ev->json);
	FREE_ALL(ev->name, ev->ptr, ev);
}

static struct event *take(struct conductor *c)
{
	struct event *ev = c->head;

	if (ev && !(c->head = ev->next))
		c->tail = &c->head;
	if (ev && ev->kind == EVENT_FRAME)
		c->frame_bytes -= sizeof(*ev) + ev->n;
	return ev;
}

/* Lets the paused peer go on; its next message may arrive at once. */
static void resume(struct conductor *c)
{
	struct channel *ch = c->waiting;

	if (!ch || c->frame_bytes > FRAMES_MAX / 2)
		return;
	c->waiting = NULL;
	channel_resume(ch);
}

/* Deals with one event or one entry; false when there is nothing to do. */
static bool advance(struct conductor *c)
{
	struct event *ev;
	struct err e;
	int r = 0;

	if (!c->entered) {
		c->entered = true;
		if (c->stages[c->stage].enter)
			r = c->stages[c->stage].enter(c->ctx, &e);
	} else {
		ev = take(c);
		if (!ev)
			return false;
		if (c->stages[c->stage].event)
			r = c->stages[c->stage].event(c->ctx, ev, &e);
		event_free(ev);
		resume(c);
	}
	if (r < 0)
		c->fail(c->ctx, &e);
	return true;
}

int conductor_run(struct conductor *c, struct err *e)
{
	int r = 0;

	while (!c->finished && !r)
		if (!advance(c))
			r = loop_step(c->loop, 60000, e);
	return r;
}

void conductor_fini(struct conductor *c)
{
	struct event *ev;

	loop_timer_clear(c->loop, &c->tick);
	while ((ev = take(c)))
		event_free(ev);
}

/* ---- handlers ---- */

static int on_frame(void *ctx, struct channel *ch, uint16_t type, const uint8_t *payload, size_t n, struct err *e)
{
	struct conductor *c = ctx;
	struct event *ev;

	(void)e;
	if (!(type & MSG_CRITICAL)) /* a message of the session, such as PROBE, which only needs its acknowledgement */
		return 0;
	if (c->frame_bytes > FRAMES_MAX) {
		c->waiting = ch;
		channel_pause(ch);
		return CHANNEL_LATER;
	}
	log_debug("received %s (%zu bytes)", msg_name(type), n);
	ev = event_new(EVENT_FRAME, type, payload, n);
	c->frame_bytes += sizeof(*ev) + n;
	conductor_put(c, ev);
	return 0;
}

static void on_closed(void *ctx, struct channel *ch, const struct err *why)
{
	struct event *ev = event_new(EVENT_CONTROL_LOST, 0, NULL, 0);
	struct conductor *c = ctx;

	if (c->waiting == ch)
		c->waiting = NULL;
	ev->err = *why;
	conductor_put(ctx, ev);
}

static void on_lost(void *ctx, struct channel *ch, const struct err *why)
{
	struct event *ev = event_new(EVENT_CONTROL_CUT, 0, NULL, 0);

	(void)ch;
	ev->err = *why;
	conductor_put(ctx, ev);
}

const struct channel_handlers conductor_channel = {.frame = on_frame, .closed = on_closed, .lost = on_lost};

static void on_qmp_event(void *ctx, const char *name, json_t *data, uint64_t at_ns)
{
	struct event *ev = event_new(EVENT_QMP, 0, NULL, 0);

	ev->name = xstrdup(name);
	ev->json = json_incref(data);
	ev->at_ns = at_ns;
	log_debug("QMP event %s", name);
	conductor_put(ctx, ev);
}

static void on_qmp_closed(void *ctx, const struct err *why)
{
	struct event *ev = event_new(EVENT_QMP_LOST, 0, NULL, 0);

	ev->err = *why;
	conductor_put(ctx, ev);
}

const struct qmp_handlers conductor_qmp = {on_qmp_event, on_qmp_closed};
