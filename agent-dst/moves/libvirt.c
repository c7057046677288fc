/*
 * libvirt.c: a guest of libvirt's that comes as it runs: a live move (live.c), but for who starts its QEMU and who lets it run, which is this host's libvirt.
 * Images that only a QEMU can write are written by one that helps, while libvirt's has them open and inactive, as it has on storage that two hosts
 * share.
 */
#include "arriving-transfer.h"
#include "fault.h"
#include "log.h"
#include "process.h"
#include "util.h"

#include <errno.h>

/* Disks that both hosts see: libvirt here gives them to its QEMU's user. */
static int own_owners(struct transfer *t, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < t->disks.stays && !r; i++)
		r = domain_own_disk(&t->domain, t->disks.stay[i].path, e);
	return r;
}

int libvirt_receive(struct transfer *t, struct err *e)
{
	int r = disks_start_helper(&t->disks, e);

	definition_find_volumes(&t->definition);
	r = r ?: own_owners(t, e) ?: domain_start(&t->domain, e);
	r = r ?: definition_note_devices(&t->definition, t->domain.events, &t->domain.known, e);
	r = r ?: ram_take_waiting(&t->ram, t->domain.socket, e) ?: disks_open(&t->disks, &t->data.shared, e);
	if (!r)
		live_set_streams(t);
	return r;
}

/* Lets libvirt take the guest over once all of it is loaded; what can be promised then is a guest that is held. */
int libvirt_finish(struct transfer *t, struct err *e)
{
	int r = live_load(t, e);

	if (!r && t->ram.feed)
		r = domain_watch(&t->domain, e);
	if (r || !ram_is_loaded(&t->ram) || t->data.unsynced)
		return r;
	disks_leave(&t->disks); /* the guest's QEMU has the disks open */
	r = domain_finish(&t->domain, t->disks.stays > 0, e) ?: disks_let_go(&t->disks, e);
	return r ?: disks_note_shared(&t->disks, e) ?: attempt_step(&t->a, EV_PREPARED_OK, HO_NONE, e);
}

/* ---- the hand-off ---- */

static int resume(struct transfer *t, enum handoff_event *what, struct err *why)
{
	return domain_resume(&t->domain, what, why);
}

/* Disks that both hosts see were written since its memory came: by the guest itself, if an earlier life let it go. 1: it never ran; 0: it may go on, or goes;
 * -EAGAIN: that cannot be told. */
static int is_older_than_disks(struct transfer *t, struct err *e)
{
	const struct qemu_proc *q = &t->target.qemu;

	if (!disks_shared_unwritten(&t->disks, e))
		return 0;
	if (process_is_held(q->pid, q->start_time) || !qemu_is_alive(q->pid, q->start_time))
		return 1;
	if (target_run_state(&t->target) == RUNS)
		return 0;
	e->code = EAGAIN;
	return err_prefix(e, "cannot tell whether the guest runs at the destination");
}

static int let_it_run(struct transfer *t, enum handoff_event *what, struct err *why)
{
	int older = is_older_than_disks(t, why);

	if (older < 0)
		return older;
	*what = EV_CONT_FAILED_NEVER_RAN;
	if (older)
		return 0;
	*why = (struct err){.code = 0};
	return cutover_ask_libvirt(t, resume, what, why);
}

static int start(struct attempt *a, struct err *e)
{
	struct transfer *t = container_of(a, struct transfer, a);
	struct err why = {.code = 0};
	enum handoff_event what;
	int r;

	t->start.cont_is_sent = true;
	t->start.cont_ns = now_ns();
	r = let_it_run(t, &what, &why);
	if (r) {
		*e = why;
		return attempt_die(a, r);
	}
	if (what == EV_CONT_OK && !target_is_paused(&t->target))
		t->start.ns = now_ns();
	if (why.code && what != EV_CONT_OK)
		log_error("starting the guest: %s", why.msg);
	fault_point("dst-libvirt-resumed");
	return cutover_step(t, what, what == EV_CONT_OK || !why.code ? NULL : why.msg, e);
}

static int end_qemu(struct attempt *a, struct err *e)
{
	struct transfer *t = container_of(a, struct transfer, a);
	int r = target_end_qemu(&t->target, e);

	if (r)
		return attempt_die(a, r);
	domain_end(&t->domain);
	return 0;
}

const struct attempt_ops libvirt_cutover = {
	.act = {[ACT_SEND_STATE] = cutover_send_state,
		[ACT_CONT_DESTINATION] = start,
		[ACT_END_DESTINATION_QEMU] = end_qemu,
		[ACT_REMOVE_SCAFFOLDING] = cutover_remove_scaffolding},
	.entered = cutover_entered,
	.not_noted = cutover_not_noted,
	.carried_out = cutover_carried_out,
	.undo = transfer_undo_one,
	.left_behind = transfer_left_behind,
};
