/*
 * qemu-undo.h: what a move adds to the source QEMU's block layer, found again by its names and removed.
 *
 * All names of an attempt begin alike, so that its journal holds one record for all bitmaps and one for all exports, however long it takes,
 * and nothing of it is in the way of another attempt. QEMU is asked what there is: nothing counts as gone because it did not answer.
 */
#ifndef VMFERRY_QEMU_UNDO_H
#define VMFERRY_QEMU_UNDO_H

#include "journal.h"
#include "qmp.h"

#define QEMU_PREFIX	"vmferry-" /* of every attempt */
#define QEMU_PREFIX_MAX 24

/* "vmferry-", 8 hex digits of the attempt, "-". Returns out. */
const char *qemu_prefix(char out[QEMU_PREFIX_MAX], const uint8_t attempt[ATTEMPT_ID_LEN]);

/* Each: 0 when none is left, wherever in its block graph it was. */
int qemu_undo_bitmaps(struct qmp *q, const char *prefix, struct err *e);
int qemu_undo_exports(struct qmp *q, struct loop *l, const char *prefix, struct err *e);
/* Stops QEMU's NBD server, unless it is another one than that at this socket; the socket goes, too. */
int qemu_undo_nbd_server(struct qmp *q, pid_t pid, const char *socket, struct err *e);

#endif
