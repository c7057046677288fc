/* arriving-disks-private.h: between the files of the disks: arriving-disks.c, disks-plan.c (before anything is touched), disks-by-word.c and
 * disks-recorded.c. */
#ifndef VMFERRY_ARRIVING_DISKS_PRIVATE_H
#define VMFERRY_ARRIVING_DISKS_PRIVATE_H

#include "arriving-disks.h"
#include "util.h"

static inline struct disks *disks_of(struct part *p)
{
	return container_of(p, struct disks, part);
}

int disks_examine(struct part *p, struct err *e);
int disks_describe(struct part *p, json_t *accept, struct err *e);
/* Checks disks that stay because the user says so, once the guest's QEMU has started: it must see each in the size that it has at the
 * source. */
int disks_look_at_word(struct disks *ds, struct err *e);
/* Notes in the journal which file has the name of each disk, if both hosts see some of them: QEMU opens all of them when the guest begins
 * to run. */
int disks_note_names(struct disks *ds, struct err *e);
/* True if zeros are written as data, so that the disk has the same blocks allocated as at the source. */
bool disk_fills_zeros(const struct arriving_disk *d);
/* True if disks may be filled from other images here, and there are some. */
bool disks_offer_alike(const struct disks *ds);
void arriving_disk_fini(struct arriving_disk *d);
void staying_disk_fini(struct staying_disk *d);

#endif
