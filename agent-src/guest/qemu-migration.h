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

/* QEMU's migration status; "none": no migration yet; "unknown": QEMU did not answer. Returns out. */
const char *qemu_migration_status(struct qmp *q, char out[MIGRATION_STATUS_MAX]);
/* True if no migration is under way; the last may not be cleaned up yet. */
bool qemu_migration_is_over(struct qmp *q);
/* Waits until no migration is left, nor any part of the last one: before its settings change, and so before another begins. EBUSY: one
 * is still there after some seconds. Pumps the loop. */
int qemu_migration_settle(struct qmp *q, struct loop *l, struct err *e);
/* Sends `migrate`. EREMOTEIO: refused, none of ours is under way; any other error: one of ours may be. Pumps the loop. */
int qemu_migration_begin(struct qmp *q, struct loop *l, const char *uri, struct err *e);
/* Sends `migrate_cancel` if our own migration is under way, and waits for its end. ETIMEDOUT: it has not ended by then (now_ns()). Pumps
 * the loop. */
int qemu_migration_cancel(struct qmp *q, struct loop *l, uint64_t until_ns, struct err *e);
/* QEMU's run state (query-status) once it is stable: QEMU calls a migration completed shortly before it leaves "finish-migrate".
 * ETIMEDOUT: it has not left by then (now_ns()). Pumps the loop. */
int qemu_migration_run_state(struct qmp *q, struct loop *l, uint64_t until_ns, char out[MIGRATION_STATUS_MAX], struct err *e);
/* True if a guest in this run state was migrated, and may run elsewhere. QEMU 7.2 leaves a guest that was stopped before "postmigrate" even where
 * its migration failed or was cancelled; where that cannot be told it is true. */
bool qemu_migrated_away(struct qmp *q, const char *run_state);

#endif
