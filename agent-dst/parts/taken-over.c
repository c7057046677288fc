/* taken-over.c: see taken-over.h. */
#include "taken-over.h"
#include "arriving-point.h"
#include "fault.h"
#include "json-text.h"
#include "moment.h"
#include "primary-note.h"
#include "process.h"
#include "util.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define KIND "take-over" /* journal entry */

char *taken_over_dir(const char *store)
{
	return xasprintf("%s/run", store);
}

int taken_over_prepare(struct arriving_point *a, struct err *e)
{
	const struct point *newest = points_newest(&a->store);
	AUTO_FREE char *script = xasprintf("%s/%s.sh", json_text(a->target->description, "disk_dir"), a->target->name);

	return attempt_own(a->part.a, KIND,
			   json_pack("{s:s,s:s,s:I,s:s,s:I,s:s,s:s}", "path", a->draft, "store", a->store.dir, "number",
				     newest ? (json_int_t)newest->number : 0, "slot", newest ? newest->slot : "", "term",
				     (json_int_t)a->term, "script", script, "pair", json_text(a->store.replica, "pair") ?: ""),
			   e);
}

bool taken_over_is_unsettled(const char *state_dir, const json_t *run)
{
	const char *attempt = json_text(run, "attempt");
	AUTO_FREE char *path = xasprintf("%s/%s-dst.journal", state_dir, attempt ?: "");

	return attempt && !access(path, F_OK);
}

/* A new reference; NULL: the attempt is not about a replica. */
static json_t *noted(const struct attempt *a)
{
	json_t *owned, *entry, *found = NULL;
	size_t i;

	if (!a->journal || journal_owned(a->journal, &owned))
		return NULL;
	json_array_foreach(owned, i, entry)
		if (!strcmp(json_text(entry, "kind") ?: "", KIND))
			found = json_incref(json_object_get(entry, "detail"));
	json_decref(owned);
	return found;
}

static bool is_ours(const struct attempt *a, const struct points *store)
{
	char id[2 * ATTEMPT_ID_LEN + 1];

	return !strcmp(json_text(json_object_get(store->replica, "run"), "attempt") ?: "", attempt_id_format(a->id, id));
}

/* The run as failover's --complete needs to know it, and by which an undo knows that it was this attempt. */
static json_t *describe_run(const struct attempt *a, const json_t *detail, pid_t pid, uint64_t start_time)
{
	AUTO_FREE char *boot = boot_id();
	char at[MOMENT_TEXT], id[2 * ATTEMPT_ID_LEN + 1];

	return json_pack("{s:O,s:s,s:i,s:I,s:s*,s:O,s:O,s:s,s:b}", "number", json_object_get(detail, "number"), "at",
			 moment_text(at, time(NULL)), "pid", (int)pid, "start_time", (json_int_t)start_time, "boot_id", boot, "term_before",
			 json_object_get(detail, "term"), "script", json_object_get(detail, "script"), "attempt",
			 attempt_id_format(a->id, id), "came", 1);
}

static int raise_term(struct attempt *a, struct points *store, const json_t *detail, pid_t pid, uint64_t start_time, struct err *e)
{
	json_int_t here = json_integer_value(json_object_get(store->replica, "term")),
		   was = json_integer_value(json_object_get(detail, "term"));

	if (is_ours(a, store))
		return 0;
	if (here > was || json_object_get(store->replica, "run"))
		return err_set(e, ESTALE, "the guest was taken over here by another client meanwhile, in term %lld", (long long)here);
	if (!points_newest(store) || (json_int_t)points_newest(store)->number != json_integer_value(json_object_get(detail, "number")) ||
	    strcmp(points_newest(store)->slot, json_text(detail, "slot") ?: ""))
		return err_set(e, ESTALE, "the point on which its disks begin is not the newest any more, or was removed");
	json_object_set_new(store->replica, "run", describe_run(a, detail, pid, start_time));
	return points_set(store, "term", json_integer(was + 1), e);
}

int taken_over_hold(struct arriving_point *a, struct err *e)
{
	return a->planned ? points_lock_now(a->store.dir, &a->lock_fd, e) : 0;
}

static void let_go(struct arriving_point *a)
{
	if (a->lock_fd >= 0)
		close(a->lock_fd);
	a->lock_fd = -1;
}

int taken_over_raise(struct arriving_point *a, pid_t pid, uint64_t start_time, struct err *e)
{
	json_auto_t *detail = noted(a->part.a);
	const char *dir = json_text(detail, "store");
	struct points store = {.dir = NULL};
	int r = dir && a->lock_fd < 0 ? points_lock(dir, &a->lock_fd, e) : 0;

	if (!r && dir)
		r = points_read(&store, dir, e) ?: raise_term(a->part.a, &store, detail, pid, start_time, e);
	if (!r && dir && fault_point("dst-taken-over"))
		r = err_set(e, EIO, "a fault was asked for");
	let_go(a);
	points_close(&store);
	return r ? err_prefix(e, "cannot note that the guest takes its primary's place") : 0;
}

static int lower_term(const struct attempt *a, const json_t *detail, struct err *e)
{
	const char *dir = json_text(detail, "store");
	struct points store = {.dir = NULL};
	json_t *before;
	int lock = -1, r = dir ? points_lock(dir, &lock, e) : err_set(e, EBADMSG, "the journal does not say which");

	r = r ?: points_read(&store, dir, e);
	if (!r && is_ours(a, &store)) {
		before = json_incref(json_object_get(json_object_get(store.replica, "run"), "term_before"));
		json_object_del(store.replica, "run");
		r = points_set(&store, "term", before, e);
	}
	if (lock >= 0)
		close(lock);
	points_close(&store);
	return r == -ENOENT ? 0 : r;
}

int taken_over_undo(struct part *p, const json_t *detail, struct err *e)
{
	struct arriving_point *a = container_of(p, struct arriving_point, part);
	const char *path = json_text(detail, "path");
	int r;

	let_go(a);
	if (a->target->keep_guest) {
		primary_note_here(a->state_dir, a->target->name, true);
		return 0;
	}
	r = lower_term(p->a, detail, e);
	return r ? r : path && rmdir(path) && errno != ENOENT ? err_sys(e, errno, "cannot remove %s", path) : 0;
}
