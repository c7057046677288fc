/*
 * cold.c: a guest that is shut down: its disks arrive as the files that they are, and nothing runs them here. The hand-off is that of a
 * guest that runs; "its QEMU is alive" means here that its files are those that were made, and "cont" that it may be started: by its
 * script, which gets its name then.
 */
#include "arriving-transfer.h"
#include "log.h"
#include "util.h"

bool cold_can_run(const struct transfer *t)
{
	return disks_are_here(&t->disks);
}

int cold_receive(struct transfer *t, struct err *e)
{
	int r = startup_draft(&t->startup, e) ?: disks_open(&t->disks, &t->data.shared, e);

	t->a.handoff.qemu_alive = !r;
	return r;
}

void cold_tell_ready(const struct transfer *t, json_t *ready)
{
	(void)t, (void)ready;
}

int cold_finish(struct transfer *t, struct err *e)
{
	int r;

	if (t->data.unsynced || t->tpm.awaited)
		return 0;
	r = disks_trim(&t->disks, e) ?: tpm_fill(&t->tpm, e) ?: tpm_settle(&t->tpm, e);
	return r ?: attempt_step(&t->a, EV_PREPARED_OK, HO_NONE, e);
}

/* ---- the hand-off ---- */

/* Releases the disks so that the guest can be started. */
static void let_go_of_disks(struct disks *ds)
{
	disks_stop(ds);
	disks_close_images(ds, false);
}

static int define(struct transfer *t, enum handoff_event *what, struct err *why)
{
	return definition_define(&t->definition, what, why);
}

/* A guest of libvirt's may be started once it is defined. */
static int start_defined(struct transfer *t, struct err *e)
{
	struct err why = {.code = 0};
	enum handoff_event what;
	int r = cutover_ask_libvirt(t, define, &what, &why);

	if (why.code)
		log_error("defining the guest: %s", why.msg);
	if (r) {
		*e = why;
		return attempt_die(&t->a, r);
	}
	if (what == EV_CONT_OK)
		let_go_of_disks(&t->disks);
	return cutover_step(t, what, what == EV_CONT_OK ? NULL : why.msg, e);
}

/* Starts a guest that is shut down: no process here runs it, so none needs to be resumed or ended. */
static int start(struct attempt *a, struct err *e)
{
	struct transfer *t = container_of(a, struct transfer, a);

	if (t->recipe->owner)
		return start_defined(t, e);
	let_go_of_disks(&t->disks);
	return attempt_step(a, EV_CONT_OK, HO_NONE, e);
}

static int nothing(struct attempt *a, struct err *e)
{
	(void)a, (void)e;
	return 0;
}

/* Done in this life only: in a later one the guest may have run, and ended. */
static void carried_out(struct attempt *a, bool has_entered)
{
	struct transfer *t = container_of(a, struct transfer, a);

	cutover_carried_out(a, has_entered);
	if (!has_entered || a->handoff.state != HO_DST_STARTED || !target_is_to_start(&t->target))
		return;
	if (t->recipe->owner)
		definition_start(&t->definition);
	else
		startup_run(&t->startup);
}

static int remove_scaffolding(struct attempt *a, struct err *e)
{
	struct transfer *t = container_of(a, struct transfer, a);
	int r = cutover_remove_scaffolding(a, e);

	startup_look_at_started(&t->startup);
	if (a->handoff.state == HO_DST_DONE && target_is_to_start(&t->target))
		startup_tell_not_run(&t->startup);
	return r;
}

const struct attempt_ops cold_cutover = {
	.act = {[ACT_SEND_STATE] = cutover_send_state,
		[ACT_CONT_DESTINATION] = start,
		[ACT_END_DESTINATION_QEMU] = nothing,
		[ACT_REMOVE_SCAFFOLDING] = remove_scaffolding},
	.entered = cutover_entered,
	.not_noted = cutover_not_noted,
	.carried_out = carried_out,
	.undo = transfer_undo_one,
	.left_behind = transfer_left_behind,
};
