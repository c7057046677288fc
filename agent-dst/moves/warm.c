/*
 * warm.c: a guest that runs on at the source while its disks arrive, and boots here. Its QEMU is started once to see whether that
 * is possible, with empty disks, and ended. There is none of its own then until all of them are here: what only QEMU can write is
 * written through one that helps. Its own is then started as it will run, but for the first instruction, before anything is
 * promised. From there on it is the hand-off of a live move.
 */
#include "arriving-transfer.h"
#include "taken-over.h"

/* True if the guest can be started here: by its QEMU once that is launched, and before that unless the agent was restarted. */
bool warm_can_run(const struct transfer *t)
{
	return t->target.qemu.pid ? live_can_run(t) : t->a.handoff.state == HO_DST_BEGUN && !t->a.handoff.restarted;
}

int warm_receive(struct transfer *t, struct err *e)
{
	int r = startup_draft(&t->startup, e) ?: tpm_start(&t->tpm, e);

	if (!r) /* better now than when the guest was shut down for it */
		r = target_try_qemu(&t->target, e);
	return r ?: tpm_forget(&t->tpm, e) ?: disks_start_helper(&t->disks, e) ?: disks_open(&t->disks, &t->data.shared, e);
}

void warm_tell_ready(const struct transfer *t, json_t *ready)
{
	(void)t, (void)ready;
}

int warm_finish(struct transfer *t, struct err *e)
{
	int r;

	if (t->data.unsynced || t->tpm.awaited)
		return 0;
	r = disks_close_exports(&t->disks, e) ?: tpm_fill(&t->tpm, e) ?: tpm_start(&t->tpm, e);
	disks_unlock(&t->disks);
	r = r ?: target_start_qemu(&t->target, e) ?: disks_let_go(&t->disks, e);
	disks_stop(&t->disks); /* the guest's QEMU has the disks open by now */
	r = r ?: bitmaps_make(&t->disks, e) ?: tpm_settle(&t->tpm, e) ?: target_stands(&t->target, e) ?: taken_over_hold(&t->point, e);
	return r ?: attempt_step(&t->a, EV_PREPARED_OK, HO_NONE, e);
}
