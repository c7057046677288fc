/* disks-private.h: between the files of the disks: disks.c, disks-plan.c (before anything is touched), disks-by-word.c and disks-recorded.c. */
#ifndef VMFERRY_DST_DISKS_PRIVATE_H
#define VMFERRY_DST_DISKS_PRIVATE_H

#include "disks.h"
#include "util.h"

static inline struct disks *disks_of(struct part *p)
{
	return container_of(p, struct disks, part);
}

int disks_examine(struct part *p, struct err *e);
int disks_describe(struct part *p, json_t *accept, struct err *e);
/* Those that stay by word, once the guest's QEMU has started: it sees each in the size that it has at the source. */
int disks_look_at_word(struct disks *ds, struct err *e);
/* Notes in the journal which file has the name of each disk, of a guest some of whose both hosts see: its QEMU opens all of them as the guest begins to run. */
int disks_note_names(struct disks *ds, struct err *e);
/* Zeros are written as contents are, so that it has the blocks which it has at the source. */
bool disk_fills_zeros(const struct arriving_disk *d);
/* Some may be filled from other images here, and there are such. */
bool disks_offer_alike(const struct disks *ds);
void arriving_disk_fini(struct arriving_disk *d);
void staying_disk_fini(struct staying_disk *d);

#endif
