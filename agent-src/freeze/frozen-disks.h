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
	const char *node, *name; /* in QEMU; for people */
	uint64_t bytes;
	const char *target; /* our file, an empty image of that size */
	const char *bitmap; /* of the node: what it has is copied; NULL: everything */
	bool done;
};

struct frozen_disks {
	struct qmp *q;
	struct loop *l;
	char prefix[QEMU_PREFIX_MAX]; /* of all names */
	const char *format;	      /* of the targets: "qcow2", or "raw" */
	bool compress;		      /* qcow2 */
	unsigned workers;	      /* of each job, where QEMU can be told; 0: as it likes */
	struct frozen_disk *disk;     /* copied; what it points to is not */
	size_t count;
	bool began;	/* there is something in QEMU to be undone */
	struct err bad; /* code: a job or a file failed */
};

/* -ENOTSUP: this QEMU has no quorum, as some builds do not. Fills in whether workers can be said. */
int frozen_check(struct qmp *q, bool *has_workers, struct err *e);
/* Where the disks go, each with what never fails. q, l, prefix, format and what is wished are set. frozen_fini() in any case. */
int frozen_prepare(struct frozen_disks *f, const struct frozen_disk *disks, size_t count, struct err *e);
/* The moment: all disks are, from now on, as they are now. held: actions of the same transaction, while no disk is written to (QEMU holds a disk from its
 * backup's turn to the end of the transaction); borrowed; NULL: none. speed: bytes a second of each disk; 0: no limit. */
int frozen_begin(struct frozen_disks *f, json_t *held, uint64_t speed, struct err *e);
/* Whatever QEMU says. */
void frozen_event(struct frozen_disks *f, const char *name, const json_t *data);
/* All is copied, or bad says why not. */
bool frozen_is_over(const struct frozen_disks *f);
/* In percent, as QEMU says. */
int frozen_progress(struct frozen_disks *f, double *percent, struct err *e);
/* Removes what is in QEMU; the files are nobody's then, and bad may have been heard of late. -errno: something stays. */
int frozen_undo(struct frozen_disks *f, struct err *e);
void frozen_fini(struct frozen_disks *f);

#endif
