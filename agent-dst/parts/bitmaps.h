/*
 * bitmaps.h: dirty bitmaps of the guest's own go along, so that a backup tool's next incremental backup is still one.
 *
 * Theory of operation. The source sends what was in a bitmap when the copy began (BITMAP); what is written from then on comes in rounds,
 * whose deltas say where (DELTA). Both together are at least what is in the source's bitmap in the end, and more than that harms no backup.
 * QEMU has no command that sets bits of a bitmap. So a disk of no contents is made in it, with a bitmap, zeros are written to it where the
 * bits are to be, and the bitmap that is to stay takes those bits over (block-dirty-bitmap-merge). Most of that is done while the guest
 * runs on at the source.
 */
#ifndef VMFERRY_BITMAPS_H
#define VMFERRY_BITMAPS_H

#include "arriving-disks.h"

/* described: of that disk in DESCRIBE; NULL: none. -EPROTO. */
int bitmaps_plan(struct arriving_disk *d, const json_t *described, struct err *e);
/* Makes and exports the helper disks in the guest's QEMU before a client connects. */
int bitmaps_prepare(struct disks *ds, struct err *e);
int bitmaps_delete_exports(struct disks *ds, struct err *e);
/* RECEIVE_BITMAP, RECEIVE_DELTA or RECEIVE_APPLIED. */
int bitmaps_take(struct disks *ds, const struct receive_event *rev, struct err *e);
/* Makes the bitmaps in the guest's QEMU, which is paused and has the disks open. */
int bitmaps_make(struct disks *ds, struct err *e);
void bitmaps_fini(struct arriving_disk *d);

#endif
