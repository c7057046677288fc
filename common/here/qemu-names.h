/*
 * qemu-names.h: what we add to a guest's QEMU (jobs, block nodes, dirty bitmaps, exports), found again by its names and removed.
 *
 * All names begin with QEMU_PREFIX. Behind it is the attempt, if its journal says what there is to undo: it holds one record for all bitmaps and one
 * for all exports, however long it takes. Behind an x is the process that made it and that process's start, if it has no journal (an export): what
 * a dead one has left is known for what it is, in the QEMU itself, and harms no guest. Nothing of the one is in the way of another. QEMU is asked
 * what there is: nothing counts as gone because it did not answer.
 */
#ifndef VMFERRY_QEMU_NAMES_H
#define VMFERRY_QEMU_NAMES_H

#include "attempt-id.h"
#include "qmp.h"

#define QEMU_PREFIX	"vmferry-"
#define QEMU_PREFIX_MAX 29 /* with a letter and a number of two digits QEMU takes 31 bytes */

/* "vmferry-", 8 hex digits of the attempt, "-". Returns out. */
const char *qemu_prefix(char out[QEMU_PREFIX_MAX], const uint8_t attempt[ATTEMPT_ID_LEN]);
/* "vmferry-x", our pid, "-", our start in hex, "-". Returns out. */
const char *qemu_prefix_of_process(char out[QEMU_PREFIX_MAX]);

/* The job of that name; NULL: there is none. jobs: what query-jobs says; borrowed. */
json_t *qemu_find_job(json_t *jobs, const char *id);
/* Waits until the job has ended, and takes it off. 0: it did well, or is not there; -EIO: it failed; -ETIMEDOUT: it goes on. */
int qemu_conclude_job(struct qmp *q, struct loop *l, const char *id, unsigned ms, struct err *e);

/* Each: 0 when none is left whose name begins with prefix, wherever in its block graph it was. Jobs are cancelled, and wait for what they have
 * under way. */
int qemu_undo_jobs(struct qmp *q, struct loop *l, const char *prefix, struct err *e);
int qemu_undo_bitmaps(struct qmp *q, const char *prefix, struct err *e);
int qemu_undo_exports(struct qmp *q, struct loop *l, const char *prefix, struct err *e);
/* Likewise nodes whose names begin with prefix, or (NULL) are among names: from the top down, as what is below another can go when that has. */
int qemu_undo_nodes(struct qmp *q, const char *prefix, const json_t *names, struct err *e);
/* Stops QEMU's NBD server, unless it is another one than that at this socket; the socket goes, too. */
int qemu_undo_nbd_server(struct qmp *q, pid_t pid, const char *socket, struct err *e);
/* Jobs and nodes of processes that have died (of older versions, too, whose names begin with "vmfx-"). *removed: what there was of them. -EBUSY: one
 * lives. */
int qemu_undo_dead(struct qmp *q, struct loop *l, unsigned *removed, struct err *e);

#endif
