/*
 * cold.c: a guest that is shut down: its disks are copied as the files that they are. The hand-off is that of a guest that runs; here and at
 * the destination "its QEMU is alive" means that this copy could be started. What keeps ours from being started is that its files are locked,
 * and before all is promised, that nobody starts it by its unit or by its script any more.
 */
#include "transfer.h"
#include "fault.h"
#include "guest-at-rest.h"
#include "milestone.h"
#include "util.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define TICK_MS 25

/* A guest of libvirt's is called by its name, which nothing that starts a guest has; one that ran when the command began may have been called otherwise. */
static int find_libvirts(struct transfer *t, struct err *e)
{
	const struct move_options *o = t->opt;
	const struct guest *ran = o->cold.head ? o->cold.head->guest : NULL;
	bool has_other_name = o->cold.line || (!o->cold.only_off && (strchr(o->vm, '/') || !access(o->vm, F_OK) || guest_is_unit(o->vm)));
	int r = 0;

	if (ran && guest_is_libvirts(ran))
		r = definition_find(&t->around.definition, ran->name, LIBVIRT_GOES_DOWN, e);
	else if (!ran && !has_other_name)
		r = definition_find(&t->around.definition, o->vm, LIBVIRT_SHUT_DOWN, e);
	if (!r && o->cold.only_off)
		r = err_set(e, ENOENT, "libvirt here has no guest %s that is shut down", o->vm);
	if (!r && ran && guest_is_libvirts(ran))
		r = err_set(e, ESTALE, "libvirt does not define the guest %s any more", ran->name);
	r = r > 0 ? recipe_choose(t, "cold", "libvirt", e) : r;
	return r ?: cold_decide_as(t, e);
}

int cold_find(struct transfer *t, struct err *e)
{
	int r = find_libvirts(t, e) ?: source_find_at_rest(&t->src, t->recipe->owner ? &t->around.definition.guest : NULL, e);

	r = r ? r : cold_become(t, e);
	if (!r && head_start_check_images(t, e))
		r = source_obstacle(&t->src, e);
	disks_rest(&t->disks);
	if (t->src.script)
		t->around.aside.script = xstrdup(t->src.script);
	return r ?: transfer_open(t, e);
}

pid_t cold_known_as(const struct transfer *t)
{
	return guest_at_rest_known_as(json_string_value(json_array_get(t->src.disk_paths, 0))
					      ?: t->src.guest.disk_count ? t->src.guest.disks[0].real_path
									 : NULL);
}

void cold_describe_for_journal(struct transfer *t, json_t *begin)
{
	source_describe_for_journal(&t->src, begin);
	head_start_describe(t, begin);
}

/* ---- copy ---- */

static int copy_cold_enter(void *ctx, struct err *e)
{
	struct transfer *t = ctx;
	int r = tpm_send(&t->tpm, e);

	if (!t->recipe->owner && !t->around.aside.script && !t->around.unit.autostart.unit && !t->around.aside.starter)
		report_notice(&t->life.report, "vmferry does not know what starts this guest here: make sure that nothing starts it once "
					       "it has gone");
	conductor_tick(&t->a.con, TICK_MS);
	return r ?: parts_begin(&t->parts, e);
}

static int copy_cold_event(void *ctx, const struct event *ev, struct err *e)
{
	struct transfer *t = ctx;
	int r = common_event(t, ev, e);

	if (ev->kind == EVENT_TICK)
		copy_tick(t, false);
	if (!r && t->a.con.stage == ST_COPY && parts_reached(&t->parts) & M_DISKS_QUEUED)
		conductor_goto(&t->a.con, ST_SWITCHOVER);
	return r;
}

/* ---- switchover ---- */

static int send_ends(struct transfer *t, struct err *e)
{
	int r = attempt_step(&t->a, EV_END_SENT, HO_NONE, e);

	if (r)
		return r;
	for (unsigned i = 0; i < t->disks.count; i++)
		data_plane_end_of(&t->data, t->disks.list[i]->object);
	data_plane_end_of(&t->data, GROUP_RAM); /* the last word on each channel; there is no memory */
	return 0;
}

/* Sets aside what starts the guest, so that after this stage neither a reboot nor a person who knows its script starts it here. */
static int switchover_cold_enter(void *ctx, struct err *e)
{
	struct transfer *t = ctx;
	int r = unit_block_now(&t->around.unit, e) ?: aside_scripts(&t->around.aside, e) ?: definition_undefine(&t->around.definition, e);

	r = r ?: disks_unchanged(&t->disks, e);
	if (!r)
		r = cutover_note_disks(t, e); /* the destination may have everything after this, and promise */
	return r ?: send_ends(t, e);
}

/* The destination has promised. What is there must be the guest as it lies here now. */
static int let_go(struct transfer *t, struct err *e)
{
	int r;

	t->blackout.completed = true;
	fault_point("src-completed");
	r = disks_unchanged(&t->disks, e);
	r = r ? r : tpm_unchanged(&t->tpm, e);
	r = r ? r : definition_stays_undefined(&t->around.definition, e);
	return r ?: attempt_step(&t->a, EV_QEMU_COMPLETED, HO_NONE, e);
}

static int switchover_cold_event(void *ctx, const struct event *ev, struct err *e)
{
	struct transfer *t = ctx;
	int r = common_event(t, ev, e);

	if (ev->kind == EVENT_TICK)
		copy_tick(t, false);
	if (r || t->a.con.stage != ST_SWITCHOVER || !t->a.handoff.shut_released || t->blackout.completed)
		return r;
	return let_go(t, e);
}

const struct stage cold_stages[] = {
	[ST_CONNECT] = {"connect", connect_enter, connect_event},
	[ST_PREFLIGHT] = {"preflight", preflight_enter, preflight_event},
	[ST_PREPARE] = {"prepare", prepare_enter, prepare_event},
	[ST_COPY] = {"copy", copy_cold_enter, copy_cold_event},
	[ST_SWITCHOVER] = {"switchover", switchover_cold_enter, switchover_cold_event},
	[ST_COMMIT] = {"commit", commit_enter, common_event},
	[ST_RELEASE] = {"release", NULL, common_event},
};

/* ---- the hand-off ---- */

static int release_shut(struct attempt *a, struct err *e)
{
	(void)e;
	fault_point("src-ready");
	container_of(a, struct transfer, a)->blackout.prepared_ns = now_ns();
	return 0;
}

/* Locked and unchanged: that was seen to before; in a later life, by take_up(). What starts the guest again and again must find its disks no more before the
 * destination may start it: should the guard die with us, nobody has them locked. */
static int hold(struct attempt *a, struct err *e)
{
	struct transfer *t = container_of(a, struct transfer, a);
	int r;

	disk_locks_take(t);
	r = a->handoff.state == HO_SRC_BEGUN ? aside_images(&t->around.aside, e) : 0;
	fault_point("src-held");
	return r || a->handoff.state != HO_SRC_BEGUN ? r : attempt_step(a, EV_QEMU_HELD, HO_NONE, e);
}

/* A guest that is shut down has no process here to let go on or to end. */
static int nothing(struct attempt *a, struct err *e)
{
	(void)a, (void)e;
	return 0;
}

/* Images are set aside once the destination was told; end_source() does so again before the guest is declared gone. */
static void carried_out(struct attempt *a, bool has_entered)
{
	(void)has_entered;
	cutover_set_images_aside_early(container_of(a, struct transfer, a));
}

/* Images are set aside in place of ending a QEMU: what starts the guest must not find its disks. */
static int end_source(struct attempt *a, struct err *e)
{
	struct transfer *t = container_of(a, struct transfer, a);
	int r = aside_images(&t->around.aside, e);

	if (!r)
		return 0;
	t->end.why = *e;
	return attempt_die(a, r);
}

const struct attempt_ops cold_cutover = {
	.act = {[ACT_SEND_STATE] = cutover_send_state,
		[ACT_RELEASE_SHUT] = release_shut,
		[ACT_HOLD_QEMU] = hold,
		[ACT_CONT_SOURCE] = nothing,
		[ACT_END_SOURCE_QEMU] = end_source,
		[ACT_REMOVE_SCAFFOLDING] = cutover_remove_scaffolding},
	.entered = cutover_entered,
	.not_noted = cutover_not_noted,
	.carried_out = carried_out,
	.undo = transfer_undo_one,
	.left_behind = transfer_left_behind,
};

/* ---- an earlier life ---- */

bool cold_can_run(const struct transfer *t)
{
	(void)t;
	return true;
}

int cold_take_up(struct transfer *t, struct err *e)
{
	t->a.handoff.asks = journal_last_note(t->a.journal, "disks-written") != NULL;
	if (t->a.handoff.state != HO_SRC_COMMITTED)
		return 0;
	t->end.ran_on = cutover_nobody_restarted_it(t, e) != 0;
	return t->end.ran_on ? -e->code : 0;
}
