/*
 * frozen-disks.h: the disks of a guest that runs, or is paused, as they are at one moment, copied by its QEMU into files of ours.
 *
 * Each disk's backup job writes into a quorum of two: our file, and a null device that takes everything. So a write of the guest's that waits for old
 * contents to be saved cannot fail because ours does (a full disk): QEMU says that the file is bad (QUORUM_REPORT_BAD), and the copy fails in its
 * place. The jobs need nobody: if we die they go on to their end, the guest runs on, and jobs and nodes are found by their names (qemu-names.h).
 *
 * Nothing here waits. Who uses it hands on QEMU's events, and waits until frozen_is_over().
 */
#ifndef VMFERRY_FROZEN_DISKS_H
#define VMFERRY_FROZEN_DISKS_H

#include "qemu-names.h"

struct frozen_disk {
	const char *node, *name; /* name in QEMU; name for messages */
	uint64_t bytes;
	const char *target; /* our file, an empty image of that size */
	const char *bitmap; /* bitmap of the node: only its blocks are copied; NULL: everything */
	bool done;
};

struct frozen_disks {
	struct qmp *q;
	struct loop *l;
	char prefix[QEMU_PREFIX_MAX]; /* prefix of all names in QEMU */
	const char *format;	      /* format of the targets: "qcow2", or "raw" */
	bool compress;		      /* qcow2 */
	unsigned workers;	      /* per job, if QEMU has that option; 0: QEMU's default */
	struct frozen_disk *disk;     /* array is copied; what it points to is not */
	size_t count;
	bool began;	/* QEMU has nodes or jobs to be undone */
	struct err bad; /* code set: a job or a file failed */
};

/* -ENOTSUP: this build of QEMU has no quorum driver. *has_workers: the number of workers can be set. */
int frozen_check(struct qmp *q, bool *has_workers, struct err *e);
/* Adds the targets to QEMU, each in a quorum with a null device. The caller sets q, l, prefix, format and the wishes. frozen_fini() in
 * any case. */
int frozen_prepare(struct frozen_disks *f, const struct frozen_disk *disks, size_t count, struct err *e);
/* Fixes the moment: copies have the disks' contents as of now. held: actions for the same transaction, during which no disk is written
 * to (QEMU holds a disk from its backup's turn to the end); borrowed; NULL: none. speed: bytes a second per disk; 0: no limit. */
int frozen_begin(struct frozen_disks *f, json_t *held, uint64_t speed, struct err *e);
/* Takes QEMU's events. */
void frozen_event(struct frozen_disks *f, const char *name, const json_t *data);
/* True once all is copied, or bad says why not. */
bool frozen_is_over(const struct frozen_disks *f);
/* Progress in percent, by QEMU's count. */
int frozen_progress(struct frozen_disks *f, double *percent, struct err *e);
/* Removes nodes and jobs from QEMU, which then has closed the files; bad may be set late. -errno: something is left. */
int frozen_undo(struct frozen_disks *f, struct err *e);
void frozen_fini(struct frozen_disks *f);

#endif
