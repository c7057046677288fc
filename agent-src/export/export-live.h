/*
 * export-live.h: the disks of a guest that runs, or is paused, as they are at one moment, copied by its QEMU.
 *
 * Each disk's backup job writes into a quorum of two: our qcow2 file (below a node that compresses, if that is wished), and a null device that takes
 * everything. So a write of the guest's that waits for old contents to be saved cannot fail because ours does (a full disk): QEMU says that the file is
 * bad (QUORUM_REPORT_BAD), and the export fails in its place. The jobs need nobody: if we die they go on to their end, the guest runs on, and the nodes
 * are found by their names (qemu-names.h).
 */
#ifndef VMFERRY_EXPORT_LIVE_H
#define VMFERRY_EXPORT_LIVE_H

#include "qemu-discover.h"
#include "qemu-names.h"

struct live {
	struct loop *l;
	struct qmp *q;
	const struct guest *g;
	char prefix[QEMU_PREFIX_MAX];
	bool began; /* there is something in QEMU to be undone */
	bool compress;
	bool stands;	       /* the guest was stopped for a moment, and may not run on */
	bool stopped, resumed; /* QEMU has told so, since whoever asks set it to false */
	const char *broken;    /* the run state in which an error has stopped the guest since; NULL: none has */
	const struct guest_disk **disks;
	const char **targets; /* empty qcow2 images of the disks' sizes */
	size_t count;
	bool *done;
	struct err bad;	  /* code: a job or a file failed */
	struct err unset; /* code: a setting of QEMU's is not as it was before */
};

/* Asks g's QEMU; *removed: what it still had of exporters that died. 0, or what stands in the way. live_close() in any case. */
int live_open(struct live *x, struct guest *g, unsigned *removed, struct err *e);
/* Where the disks go, each with what never fails. The lists are copied; what they point to stays until live_close(). */
int live_prepare(struct live *x, const struct guest_disk *const *disks, const char *const *targets, size_t count, struct err *e);
/* The moment: all disks are, from now on, as they are now. speed: bytes a second of each; 0: no limit. */
int live_begin(struct live *x, uint64_t speed, struct err *e);
/* Until all is copied and the files are nobody's. -ECANCELED: we are to end. */
int live_wait(struct live *x, struct err *e);
/* Removes what is left in QEMU; -errno: something stays. */
int live_undo(struct live *x, struct err *e);
void live_close(struct live *x);

#endif
