/*
 * ahead.c: the disks of a guest, which are brought to the destination, and kept there; it stays where it is, and does what it does. The attempt ends as one
 * that fails: what has arrived is kept as of any that does (PROTOCOL.md, "What is kept"), for a move that begins with it.
 */
#include "transfer.h"
#include "exit-code.h"
#include "qemu-migration.h"

#include <errno.h>
#include <string.h>

/* ---- copy ---- */

static int brought(struct transfer *t, struct err *e)
{
	t->end.brought = true;
	return err_set(e, ECANCELED, "its disks have been copied (--only-disks)");
}

static int copy_ahead_event(void *ctx, const struct event *ev, struct err *e)
{
	struct transfer *t = ctx;
	int r = common_event(t, ev, e);

	if (r || t->a.con.stage != ST_COPY || ev->kind != EVENT_TICK)
		return r;
	r = warm_measure(t, e);
	if (r)
		return r;
	return warm_is_copied(t) ? brought(t, e) : disks_next_round(&t->disks, 1, e);
}

static int does_not_happen(void *ctx, struct err *e)
{
	(void)ctx;
	return err_set(e, ENOTRECOVERABLE, "disks alone are not switched over");
}

const struct stage ahead_stages[] = {
	[ST_CONNECT] = {"connect", connect_enter, connect_event},
	[ST_PREFLIGHT] = {"preflight", preflight_enter, preflight_event},
	[ST_PREPARE] = {"prepare", prepare_enter, prepare_event},
	[ST_COPY] = {"copy", warm_copy_enter, copy_ahead_event},
	[ST_SWITCHOVER] = {"switchover", does_not_happen, common_event},
	[ST_COMMIT] = {"commit", does_not_happen, common_event},
	[ST_RELEASE] = {"release", NULL, common_event},
};

/* ---- the hand-off ---- */

/* The move changes nothing in the guest, so its state is only looked at. */
int ahead_take_back(struct transfer *t, struct err *e)
{
	char state[32];
	int r = cutover_open_monitor_again(&t->src, e);

	r = r ?: source_run_state(&t->src, state, now_ns() + SOURCE_SETTLES_MS * 1000000ULL, e);
	if (!r && qemu_migrated_away(t->src.qmp, state)) {
		t->end.migrated_away = true;
		return err_set(e, ECANCELED, MIGRATED_AWAY);
	}
	return r;
}

/* ---- the end ---- */

bool ahead_has_brought(const struct transfer *t)
{
	bool here = t->a.handoff.qemu_alive && !t->a.over && (!t->src.end.has_shut_down || t->src.end.stays_shut) &&
		    !t->end.migrated_away && t->a.exit_code != EXIT_PAUSED;

	return t->end.brought && here && t->peer.aborted && !t->peer.forgotten && t->peer.kept == t->disks.count &&
	       t->peer.told == t->peer.kept && !json_array_size(t->a.leftovers);
}

void ahead_settle(struct transfer *t)
{
	if (t->end.brought && !t->opt->cold.head && !ahead_has_brought(t))
		err_set(&t->end.why, ECANCELED,
			"vmferry copied the guest's %u disks (--only-disks), but the destination kept only %zu of "
			"them",
			t->disks.count, t->peer.kept);
}
