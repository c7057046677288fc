/* live.c: a guest that runs, or is paused, with its memory: a QEMU waits for it, is filled, and loads the device state at the end. */
#include "arriving-transfer.h"
#include "taken-over.h"

bool live_can_run(const struct transfer *t)
{
	return qemu_is_alive(t->target.qemu.pid, t->target.qemu.start_time);
}

void live_set_streams(struct transfer *t)
{
	struct data_plane *d = &t->data;

	if (t->ram.opaque) {
		/* QEMU may wait for one stream while it loads, before it serves its disks: they have a channel of their own */
		d->shared.streams = 1 + t->ram.multifd;
		d->channels = d->shared.streams + (t->disks.count ? 1 : 0);
		d->shared.incoming = t->ram.incoming;
	}
	d->shared.ram = t->ram.place;
}

int live_receive(struct transfer *t, struct err *e)
{
	int r = startup_draft(&t->startup, e) ?: tpm_start(&t->tpm, e) ?: target_start_qemu(&t->target, e);

	r = r ?: target_configure_qemu(&t->target, t->ram.opaque ? t->ram.multifd : 0, e) ?: ram_choose_mode(&t->ram, e);
	r = r ?: disks_open(&t->disks, &t->data.shared, e) ?: ram_listen(&t->ram, e);
	live_set_streams(t);
	return r;
}

void live_tell_ready(const struct transfer *t, json_t *ready)
{
	json_object_set_new(ready, "ram_mode", json_string(t->ram.opaque ? "opaque" : "pages"));
	if (t->ram.why)
		json_object_set_new(ready, "why", json_string(t->ram.why));
	if (t->ram.place)
		json_object_set_new(ready, "how", json_string(ram_place_how(t->ram.place)));
	json_object_set_new(ready, "seeds", json_boolean(t->ram.place));
	json_object_set_new(ready, "pid", json_integer(t->target.qemu.pid));
}

/* Loads the RAM once the disks allow it: direct writes to files may still be on their way to stable storage, but writes through our QEMU
 * must be there before its exports are closed. */
int live_load(struct transfer *t, struct err *e)
{
	int r;

	if (t->ram.opaque || t->ram.feed || (t->data.unsynced && disks_have_exports(&t->disks)))
		return 0;
	r = disks_close_exports(&t->disks, e);
	if (target_locks_at_load(&t->target))
		disks_unlock(&t->disks);
	return r ?: ram_load(&t->ram, e);
}

/* Disks synced, too, and the state loaded: activate the disks and promise. */
int live_finish(struct transfer *t, struct err *e)
{
	int r = live_load(t, e);

	if (r || !ram_is_loaded(&t->ram) || t->data.unsynced)
		return r;
	if (!t->disks.stays) { /* the source's QEMU lets go of disks that stay only when it has heard our promise */
		disks_unlock(&t->disks);
		r = target_activate(&t->target, e);
	}
	r = r ?: bitmaps_make(&t->disks, e) ?: tpm_settle(&t->tpm, e) ?: target_stands(&t->target, e) ?: disks_let_go(&t->disks, e);
	return r ?: disks_note_shared(&t->disks, e) ?: taken_over_hold(&t->point, e) ?: attempt_step(&t->a, EV_PREPARED_OK, HO_NONE, e);
}
