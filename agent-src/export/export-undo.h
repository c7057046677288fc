/*
 * export-undo.h: what an export adds to a guest's QEMU (block nodes, jobs), by names that say whose it is, and how it is removed.
 *
 * There is no journal: every name begins with the process that made it and that process's start, so what a dead exporter has left is
 * known for what it is, in the QEMU itself. It harms no guest: a job without its exporter goes on to its end.
 */
#ifndef VMFERRY_EXPORT_UNDO_H
#define VMFERRY_EXPORT_UNDO_H

#include "qmp.h"

#define EXPORT_TAG_MAX 27 /* with two letters and a number QEMU takes 31 bytes */

/* The names of this process begin with it. Returns out. */
const char *export_tag(char out[EXPORT_TAG_MAX]);
/* Cancels jobs and removes nodes whose names begin with tag. 0 when none is left. */
int export_undo(struct qmp *q, struct loop *l, const char *tag, struct err *e);
/* The same for all exporters that have died. *removed: what there was of them. -EBUSY: one lives. */
int export_undo_dead(struct qmp *q, struct loop *l, unsigned *removed, struct err *e);
/* The same in the QEMU of the guest that vm names, if one runs. */
int export_recover(const char *vm, unsigned *removed, struct err *e);

#endif
