/* qemu-migration.c: see qemu-migration.h. */
#include "qemu-migration.h"
#include "json-text.h"
#include "util.h"
#include "words.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PAUSE_MS     5
#define SETTLE_MS    3000
#define CANCEL_MS    5000
#define RUN_STATE_MS 2

const char *qemu_migration_status(struct qmp *q, char out[MIGRATION_STATUS_MAX])
{
	json_t *info;
	const char *s;
	struct err e;

	strcpy(out, "unknown");
	if (qmp_call(q, "query-migrate", NULL, &info, &e))
		return out;
	s = json_string_value(json_object_get(info, "status"));
	snprintf(out, MIGRATION_STATUS_MAX, "%s", s ? s : "none");
	json_decref(info);
	return out;
}

bool qemu_migration_is_over(struct qmp *q)
{
	static const char *const over[] = {"none", "cancelled", "failed", "completed", NULL};
	char status[MIGRATION_STATUS_MAX];

	qemu_migration_status(q, status);
	return word_index(over, status) >= 0;
}

/* 1: it has one, or something of one; 0: it has not, or is too old to say. */
static int has_any(struct qmp *q, struct err *e)
{
	json_t *list;
	int r = qmp_call(q, "query-yank", NULL, &list, e);

	if (r)
		return r == -EREMOTEIO ? 0 : r;
	r = json_find(list, "type", "migration") != NULL;
	json_decref(list);
	return r;
}

int qemu_migration_settle(struct qmp *q, struct loop *l, struct err *e)
{
	uint64_t until = now_ns() + SETTLE_MS * 1000000ULL;
	char status[MIGRATION_STATUS_MAX];
	int r;

	while ((r = has_any(q, e)) == 1) {
		if (now_ns() > until)
			return err_set(e, EBUSY,
				       "QEMU has not done with its last migration (which it calls %s); if that stays so it has lost track "
				       "of it, and migrates again only once this guest has been shut down and started anew",
				       qemu_migration_status(q, status));
		r = loop_step(l, PAUSE_MS, e);
		if (r)
			return r;
	}
	return r;
}

int qemu_migration_cancel(struct qmp *q, struct loop *l, uint64_t until_ns, struct err *e)
{
	int r = 1;

	while (!qemu_migration_is_over(q)) {
		if (r) /* refused once, it is asked again */
			r = qmp_call(q, "migrate_cancel", NULL, NULL, e);
		if (now_ns() > until_ns || !qmp_alive(q) || loop_step(l, PAUSE_MS, e))
			return err_set(e, ETIMEDOUT, "the source QEMU does not end its migration");
	}
	return 0;
}

/* QEMU refuses with "yank instance" when the status is "setup" already. Another migration under way would have been refused for itself,
 * and none can start now: this one is ours. */
int qemu_migration_begin(struct qmp *q, struct loop *l, const char *uri, struct err *e)
{
	struct err why;
	int r = qmp_call(q, "migrate", json_pack("{s:s}", "uri", uri), NULL, e);

	if (r != -EREMOTEIO || !strstr(e->msg, "yank instance"))
		return r;
	if (!qemu_migration_cancel(q, l, now_ns() + CANCEL_MS * 1000000ULL, &why))
		return err_prefix(e, "QEMU has not done with its last migration");
	*e = why;
	return -why.code;
}

int qemu_migration_run_state(struct qmp *q, struct loop *l, uint64_t until_ns, char out[MIGRATION_STATUS_MAX], struct err *e)
{
	json_t *status;
	int r;

	do {
		r = qmp_call(q, "query-status", NULL, &status, e);
		if (r)
			return r;
		snprintf(out, MIGRATION_STATUS_MAX, "%s", json_text(status, "status") ?: "?");
		json_decref(status);
		if (strcmp(out, "finish-migrate"))
			return 0;
	} while (now_ns() < until_ns && !(r = loop_step(l, RUN_STATE_MS, e)));
	return r ?: err_set(e, ETIMEDOUT, "QEMU does not leave the state finish-migrate");
}

bool qemu_migrated_away(struct qmp *q, const char *run_state)
{
	static const char *const here[] = {"cancelled", "failed", NULL};
	char status[MIGRATION_STATUS_MAX];

	return !strcmp(run_state, "postmigrate") && word_index(here, qemu_migration_status(q, status)) < 0;
}
