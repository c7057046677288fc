/*
 * qemu-migration.h: the source QEMU's own migration: begun, cancelled, and whether it is over.
 *
 * QEMU calls a migration failed or cancelled before it has cleaned up behind it. Until then its yank instance (query-yank, QEMU 6.0) is
 * there, and QEMU is touchy: it refuses the next `migrate` after it has set the status to `setup`, for good (migration/migration.c,
 * qmp_migrate), and ends with a failed assertion if its capability multifd is switched off (migration/multifd.c, multifd_send_shutdown).
 * One whose sockets go while it is set up may never clean up.
 */
#ifndef VMFERRY_QEMU_MIGRATION_H
#define VMFERRY_QEMU_MIGRATION_H

#include "qmp.h"

#define MIGRATION_STATUS_MAX 32

/* What QEMU calls its status; "none": there was no migration yet, "unknown": QEMU did not say. Returns out. */
const char *qemu_migration_status(struct qmp *q, char out[MIGRATION_STATUS_MAX]);
/* None is under way; it may not be cleaned up yet. */
bool qemu_migration_is_over(struct qmp *q);
/* Waits until there is none, and nothing of the last one: before its settings are changed, and so before another is begun. EBUSY: there
 * still is after some seconds. Pumps the loop. */
int qemu_migration_settle(struct qmp *q, struct loop *l, struct err *e);
/* `migrate`. EREMOTEIO: refused, and none of ours is under way; any other error: one of ours may be. Pumps the loop. */
int qemu_migration_begin(struct qmp *q, struct loop *l, const char *uri, struct err *e);
/* `migrate_cancel`, if one is under way, and waits until it is over: one of our own only. ETIMEDOUT: not by then (now_ns()). Pumps the loop. */
int qemu_migration_cancel(struct qmp *q, struct loop *l, uint64_t until_ns, struct err *e);
/* QEMU's run state (query-status), once it is not about to change by itself: QEMU calls a migration completed shortly before it leaves
 * "finish-migrate". ETIMEDOUT: it is still in that by then (now_ns()). Pumps the loop. */
int qemu_migration_run_state(struct qmp *q, struct loop *l, uint64_t until_ns, char out[MIGRATION_STATUS_MAX], struct err *e);

#endif
