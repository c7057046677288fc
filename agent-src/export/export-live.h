/* export-live.h: the guest of an export that runs, or is paused: may it be exported, and its disks as they are at one moment (frozen-disks.h). */
#ifndef VMFERRY_EXPORT_LIVE_H
#define VMFERRY_EXPORT_LIVE_H

#include "frozen-disks.h"
#include "qemu-discover.h"

struct live {
	struct loop *l;
	struct qmp *q;
	const struct guest *g;
	struct frozen_disks frozen;
	bool stands;	       /* the guest was stopped for a moment, and may not run on */
	bool stopped, resumed; /* QEMU has told so, since whoever asks set it to false */
	bool shuts_down;       /* the guest has shut itself down; its QEMU may stay */
	const char *broken;    /* the run state in which an error has stopped the guest since; NULL: none has */
	json_t *images;	       /* images that QEMU writes to (source-images.h); NULL: not asked for */
	struct err unset;      /* code: a setting of QEMU's is not as it was before */
};

/* Asks g's QEMU; *removed: what it still had of exporters that died. 0, or what stands in the way. live_close() in any case. */
int live_open(struct live *x, struct guest *g, unsigned *removed, struct err *e);
/* Prepares the copies. targets: empty qcow2 images of the disks' sizes; an error of one does not reach the guest. What the lists point to
 * stays until live_close(). */
int live_prepare(struct live *x, const struct guest_disk *const *disks, const char *const *targets, size_t count, struct err *e);
/* The moment: all disks are, from now on, as they are now. speed: bytes a second of each; 0: no limit. */
int live_begin(struct live *x, uint64_t speed, struct err *e);
/* Waits until everything is copied and no process has the files open. -ECANCELED: we are to end. */
int live_wait(struct live *x, struct err *e);
/* Removes what is left in QEMU; -errno: something stays. */
int live_undo(struct live *x, struct err *e);
void live_close(struct live *x);

#endif
