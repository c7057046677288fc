/*
 * onward.c: a point of a guest's replica that is on this host goes on to a further one (an extended replica). The guest, which runs elsewhere, is asked nothing,
 * and neither is its host. The attempt ends as one of a point that is made here (replica.c).
 */
#include "transfer.h"
#include "guest-at-rest.h"
#include "replica-sync.h"

#include <string.h>

#define TICK_MS 25

int onward_find(struct transfer *t, struct err *e)
{
	int r = disks_find_point(&t->disks, e);

	source_is_in_point(&t->src);
	return r ?: transfer_open(t, e);
}

/* The directory of its points stands for the guest, which has no process here. A later life goes by what was journaled. */
pid_t onward_known_as(const struct transfer *t)
{
	const char *store = t->opt->replica ? t->opt->replica->store : json_string_value(json_array_get(t->src.disk_paths, 0));

	return guest_at_rest_known_as(store);
}

void onward_describe_for_journal(struct transfer *t, json_t *begin)
{
	source_describe_for_journal(&t->src, begin);
	json_object_set_new(begin, "disks", json_pack("[s]", t->opt->replica->store));
}

/* ---- copy ---- */

static int copy_onward_event(void *ctx, const struct event *ev, struct err *e)
{
	struct transfer *t = ctx;
	int r = common_event(t, ev, e);

	if (r || t->a.con.stage != ST_COPY)
		return r;
	if (ev->kind == EVENT_TICK)
		copy_tick(t, false);
	return replica_go_on(t, e);
}

const struct stage onward_stages[] = {
	[ST_CONNECT] = {"connect", connect_enter, connect_event},
	[ST_PREFLIGHT] = {"preflight", preflight_enter, preflight_event},
	[ST_PREPARE] = {"prepare", prepare_enter, prepare_event},
	[ST_COPY] = {"copy", warm_copy_enter, copy_onward_event},
	[ST_SWITCHOVER] = {"switchover", replica_does_not_switch, common_event},
	[ST_COMMIT] = {"commit", replica_does_not_switch, common_event},
	[ST_RELEASE] = {"release", NULL, common_event},
};
