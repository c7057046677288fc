/* lv-monitor.c: see libvirt-monitor.h. */
#include "lv-private.h"
#include "util.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A command under way; fn NULL: its reply is no longer wanted. */
struct command {
	struct lv_pending p;
	struct lv *v;
	char *guest;
	unsigned deadline_ms;
	struct timer late;
	lv_reply_fn fn;
	void *arg;
};

static void command_end(struct command *c, const char *reply, const struct err *e)
{
	lv_reply_fn fn = c->fn;

	c->fn = NULL;
	if (fn)
		fn(c->arg, reply, e);
}

static void on_late(struct timer *t)
{
	struct command *c = container_of(t, struct command, late);
	struct err e;

	err_set(&e, ETIMEDOUT, "the QEMU of '%s' did not answer through libvirt within %u ms", c->guest, c->deadline_ms);
	command_end(c, NULL, &e);
}

static int read_reply(struct command *c, const struct lv_head *h, const uint8_t *body, char **text, struct err *e)
{
	struct lv_ask ask = {LV_MONITOR_COMMAND, .what = "ask the QEMU of guest", .object = c->guest, .of_qemu = true};
	struct lv_reader r = lv_reader_of(body, h->length - LV_HEAD_BYTES);

	if (h->status == LV_ERROR)
		return lv_refusal(c->v, &ask, r, e) == -EPROTO ? lv_frames_lose(c->v, e) : -e->code;
	*text = lv_read_string(&r);
	return lv_reply_end(c->v, &ask, &r, e);
}

static void on_reply(struct lv_pending *p, const struct lv_head *h, uint8_t *body)
{
	struct command *c = container_of(p, struct command, p);
	const struct err *why = &c->v->why;
	char *text = NULL;
	struct err e;
	int r;

	loop_timer_clear(c->v->loop, &c->late);
	if (h)
		r = read_reply(c, h, body, &text, &e);
	else
		r = err_set(&e, why->code == ECANCELED ? ECANCELED : EPIPE, "the QEMU of '%s' is out of reach: %s", c->guest, why->msg);
	command_end(c, r < 0 ? NULL : text, r < 0 ? &e : NULL);
	FREE_ALL(text, body, c->guest, c);
}

int lv_monitor(struct lv *v, const struct lv_domain *d, const char *qmp, unsigned deadline_ms, lv_reply_fn fn, void *arg, struct err *e)
{
	struct lv_ask ask = lv_ask_of(d, LV_MONITOR_COMMAND, "ask the QEMU of guest");
	struct command *c = xcalloc(1, sizeof(*c));
	int r;

	*c = (struct command){.p = {.program = LV_QEMU_PROGRAM, .procedure = LV_MONITOR_COMMAND, .replied = on_reply},
			      .v = v,
			      .guest = xstrdup(d->name),
			      .deadline_ms = deadline_ms,
			      .late.fire = on_late,
			      .fn = fn,
			      .arg = arg};
	lv_write_string(&ask.args, qmp);
	lv_write_u32(&ask.args, 0); /* flags: QMP, not HMP */
	if (v->dead)
		r = err_set(e, EPIPE, "the QEMU of '%s' is out of reach: %s", d->name, v->why.msg);
	else if (ask.args.bad)
		r = err_set(e, E2BIG, "a QMP command for '%s' is longer than the %u bytes that libvirt takes", d->name, LV_STRING_MAX);
	else
		r = lv_frames_send(v, &c->p, &ask.args, e);
	lv_writer_fini(&ask.args);
	if (!r) {
		loop_timer_set(v->loop, &c->late, deadline_ms);
		return 0;
	}
	free(c->guest);
	free(c);
	return r;
}

/*
 * The events that we watch: all but MIGRATION_PASS, of which QEMU sends a thousand a second while it has nothing to transfer. libvirtd
 * queues 64 KiB for each and sends none before all are queued, so that it grows by a gigabyte and stops answering. query-migrate reports
 * the number of passes anyway.
 */
#define WATCHED	      "^(?!MIGRATION_PASS$)"
#define WATCHED_REGEX 1

int lv_watch(struct lv *v, const struct lv_domain *d, struct err *e)
{
	struct lv_ask ask = {LV_MONITOR_EVENT_REGISTER, .what = "hear of the QEMU of guest", .object = d->name, .of_qemu = true};
	struct lv_reader r;

	lv_write_u32(&ask.args, 1); /* the events of one guest only */
	lv_write_domain(&ask.args, d);
	lv_write_optional(&ask.args, WATCHED);
	lv_write_u32(&ask.args, WATCHED_REGEX);
	v->watching = true; /* the first event may come before the reply */
	if (lv_call(v, &ask, &r, e) < 0) {
		v->watching = false;
		return -e->code;
	}
	lv_read_i32(&r); /* the id for cancelling it */
	return lv_reply_end(v, &ask, &r, e);
}

static uint64_t event_time(uint64_t seconds, uint32_t us)
{
	return seconds && seconds <= INT64_MAX / 1000000000 && us < 1000000 ? seconds * 1000000000 + us * 1000ULL : 0;
}

int lv_take_event(struct lv *v, const struct lv_head *h, const uint8_t *body, struct err *e)
{
	struct lv_reader r = lv_reader_of(body, h->length - LV_HEAD_BYTES);
	AUTO_FREE char *name = NULL, *data = NULL;
	struct lv_domain d;
	uint64_t seconds, at_ns;

	if (h->program != LV_QEMU_PROGRAM || h->procedure != LV_MONITOR_EVENT || !v->watching)
		return 0;
	lv_read_i32(&r);
	lv_read_domain(&r, &d);
	lv_domain_fini(&d);
	name = lv_read_string(&r);
	seconds = lv_read_u64(&r);
	at_ns = event_time(seconds, lv_read_u32(&r));
	data = lv_read_optional(&r);
	if (!lv_reader_done(&r))
		return err_set(e, EPROTO, "libvirt sent a malformed event of QEMU");
	if (v->handlers && v->handlers->event)
		v->handlers->event(v->ctx, name, data, at_ns);
	return 0;
}
