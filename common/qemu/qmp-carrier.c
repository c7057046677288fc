/* qmp-carrier.c: see qmp-carrier.h. */
#include "log.h"
#include "qmp-private.h"
#include "util.h"

#include <errno.h>

struct qmp *qmp_new_carried(struct loop *l, const char *name, pid_t pid, const struct qmp_carrier *carrier, void *carried_by,
			    const struct qmp_handlers *h, void *ctx)
{
	struct qmp *q = qmp_new(l, -1, name, h, ctx);

	q->carrier = carrier;
	q->carried_by = carried_by;
	q->peer_pid = pid;
	q->greeted = true;
	return q;
}

int qmp_meet_carried(struct qmp *q, struct err *e)
{
	json_t *version = NULL;
	int r = qmp_call(q, "query-version", NULL, &version, e);
	json_t *qemu = json_object_get(version, "qemu");

	q->version[0] = (int)json_integer_value(json_object_get(qemu, "major"));
	q->version[1] = (int)json_integer_value(json_object_get(qemu, "minor"));
	q->version[2] = (int)json_integer_value(json_object_get(qemu, "micro"));
	json_decref(version);
	q->opened = !r;
	return r;
}

void qmp_carried_answer(struct qmp *q, json_int_t id, const char *text, const struct err *why)
{
	json_t *msg = text ? json_loads(text, 0, NULL) : NULL;
	struct request *r = qmp_request_find(q, id);
	struct err e;

	if (!r || q->closing) {
		json_decref(msg);
		return;
	}
	if (!why && !json_object_get(msg, "return") && !json_object_get(msg, "error")) {
		err_set(&e, EPROTO, "the answer to %s is no QMP", r->command);
		why = &e;
	}
	if (why)
		qmp_request_finish(r, NULL, why);
	else
		qmp_take_reply(q, id, msg);
	json_decref(msg);
}

void qmp_carried_event(struct qmp *q, const char *name, const char *data, uint64_t realtime_ns)
{
	json_auto_t *json = data ? json_loads(data, 0, NULL) : NULL;

	log_debug("QMP %s: event %s", q->path, name);
	q->event_realtime_ns = realtime_ns;
	if (!q->dead && !q->closing && q->opened && q->handlers && q->handlers->event)
		q->handlers->event(q->ctx, name, json, now_ns());
}

void qmp_carried_lost(struct qmp *q, const char *reason)
{
	qmp_lose(q, EPIPE, reason);
}

/* The owner of a guest must learn that its QEMU has ended, and a libvirt that was restarted does not report it to us. */
void qmp_carried_ended(struct qmp *q)
{
	bool was_lost = q->dead && !q->closing && q->opened;
	struct err why;

	qmp_lose(q, EPIPE, "QEMU has ended");
	if (!was_lost || !q->handlers || !q->handlers->closed)
		return;
	err_set(&why, EPIPE, "QEMU has ended");
	q->handlers->closed(q->ctx, &why);
}
