/*
 * replica.c: a point of a guest's replica: its disks as they are at one moment, kept at the destination; the guest stays where it is, and does what it does. As
 * with disks alone (ahead.c) the attempt ends as one that fails: what either end has made for it is undone, and the point, which is nobody's scaffolding, stays.
 */
#include "transfer.h"
#include "exit-code.h"
#include "fault.h"
#include "json-message.h"
#include "replica-sync.h"

#include <errno.h>
#include <string.h>

/* ---- copy ---- */

/* The point's description is the source's word; its contents the destination has. */
static int make_point(struct transfer *t, struct err *e)
{
	struct replica_sync *s = t->opt->replica;

	t->pace.held = true;
	s->outcome.shut_down = s->store ? s->outcome.shut_down : t->src.end.was_shut;
	fault_point("src-point");
	return json_message_send(t->a.control, MSG_POINT, t->a.id,
				 json_pack("{s:I,s:I,s:I,s:b,s:b,s:I,s:o*}", "number", (json_int_t)s->outcome.number, "term",
					   (json_int_t)s->term, "at_ms", (json_int_t)s->outcome.at_ms, "frozen", s->outcome.frozen,
					   "shut_down", s->outcome.shut_down, "delta_bytes", (json_int_t)s->outcome.delta_bytes, "tpm",
					   s->store ? json_incref(disks_onward_tpm(&t->disks)) : tpm_taken(&t->tpm)),
				 e);
}

/* The contents of its TPM are of the moment that its disks are of, but for some milliseconds. */
static int freeze(struct transfer *t, struct err *e)
{
	return disks_freeze(&t->disks, e) ?: tpm_take(&t->tpm, e);
}

/* Begins to copy a point: the moment is at once where only what was written since the last point is sent. */
static int copy_point_enter(void *ctx, struct err *e)
{
	struct transfer *t = ctx;
	int r = warm_copy_enter(t, e);

	return r || !disks_are_frozen(&t->disks) ? r : tpm_take(&t->tpm, e);
}

int replica_go_on(struct transfer *t, struct err *e)
{
	if (t->opt->replica->outcome.durable)
		return t->end.brought = true, err_set(e, ECANCELED, "the point is made");
	if (disks_frozen_are_there(&t->disks))
		return t->pace.held ? 0 : make_point(t, e);
	if (disks_are_frozen(&t->disks))
		return 0;
	return warm_is_copied(t) ? freeze(t, e) : disks_next_round(&t->disks, 1, e);
}

static int copy_point_event(void *ctx, const struct event *ev, struct err *e)
{
	struct transfer *t = ctx;
	int r = common_event(t, ev, e);

	if (r || t->a.con.stage != ST_COPY)
		return r;
	if (ev->kind == EVENT_TICK && !disks_are_frozen(&t->disks))
		r = warm_measure(t, e);
	return r ? r : ev->kind == EVENT_TICK || ev->kind == EVENT_FRAME || ev->kind == EVENT_WORKER ? replica_go_on(t, e) : 0;
}

int replica_does_not_switch(void *ctx, struct err *e)
{
	(void)ctx;
	return err_set(e, ENOTRECOVERABLE, "a guest whose replica is kept is not switched over");
}

const struct stage replica_stages[] = {
	[ST_CONNECT] = {"connect", connect_enter, connect_event},
	[ST_PREFLIGHT] = {"preflight", preflight_enter, preflight_event},
	[ST_PREPARE] = {"prepare", prepare_enter, prepare_event},
	[ST_COPY] = {"copy", copy_point_enter, copy_point_event},
	[ST_SWITCHOVER] = {"switchover", replica_does_not_switch, common_event},
	[ST_COMMIT] = {"commit", replica_does_not_switch, common_event},
	[ST_RELEASE] = {"release", NULL, common_event},
};

/* ---- the end ---- */

bool replica_has_point(const struct transfer *t)
{
	return t->opt && t->opt->replica && t->opt->replica->outcome.durable && t->a.handoff.qemu_alive && !t->end.migrated_away &&
	       t->a.exit_code != EXIT_PAUSED && t->peer.aborted && !has_leftovers(t);
}
