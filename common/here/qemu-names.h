/*
 * qemu-names.h: what we add to a guest's QEMU (jobs, block nodes, dirty bitmaps, exports), found again by its names and removed.
 *
 * All names begin with QEMU_PREFIX. If the attempt has a journal, its id follows; the journal then holds one record for all bitmaps and one
 * for all exports. If it has none (an export), an x, the pid and the start time of the process follow: leftovers of a dead process can be
 * recognised in the QEMU itself, and harm no guest. Names of different attempts never collide. QEMU is asked what exists: nothing counts as
 * gone because QEMU did not answer.
 */
#ifndef VMFERRY_QEMU_NAMES_H
#define VMFERRY_QEMU_NAMES_H

#include "attempt-id.h"
#include "qmp.h"

#define QEMU_PREFIX	"vmferry-"
#define QEMU_PREFIX_MAX 29 /* QEMU takes 31 bytes: a prefix, a letter and a number of two digits */

/* "vmferry-", 8 hex digits of the attempt, "-". Returns out. */
const char *qemu_prefix(char out[QEMU_PREFIX_MAX], const uint8_t attempt[ATTEMPT_ID_LEN]);
/* "vmferry-x", our pid, "-", our start in hex, "-". Returns out. */
const char *qemu_prefix_of_process(char out[QEMU_PREFIX_MAX]);

/* Waits until the job has ended, and takes it off. 0: it did well, or is not there; -EIO: it failed; -ETIMEDOUT: it goes on. */
int qemu_conclude_job(struct qmp *q, struct loop *l, const char *id, unsigned ms, struct err *e);

/* Each of these removes what has a name that begins with prefix, anywhere in QEMU's block graph; 0: none is left. Jobs are cancelled, and
 * end once their I/O under way is done. */
int qemu_undo_jobs(struct qmp *q, struct loop *l, const char *prefix, struct err *e);
int qemu_undo_bitmaps(struct qmp *q, const char *prefix, struct err *e);
int qemu_undo_exports(struct qmp *q, struct loop *l, const char *prefix, struct err *e);
/* Nodes whose names begin with prefix, or (NULL) are among names, are deleted from the top down: a node can only go after the one above
 * it. */
int qemu_undo_nodes(struct qmp *q, const char *prefix, const json_t *names, struct err *e);
/* Stops QEMU's NBD server if it is the one at this socket, and removes the socket. */
int qemu_undo_nbd_server(struct qmp *q, pid_t pid, const char *socket, struct err *e);
/* Removes jobs and nodes left by processes that have died, also by older versions, whose names begin with "vmfx-". *removed: how many there
 * were. -EBUSY: one of these processes lives. */
int qemu_undo_dead(struct qmp *q, struct loop *l, unsigned *removed, struct err *e);

#endif
