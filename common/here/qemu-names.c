/* qemu-names.c: see qemu-names.h. */
#include "qemu-names.h"
#include "json-text.h"
#include "process.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define GONE_MS	      3000
#define GONE_PAUSE_MS 2
#define JOBS_MS	      30000  /* a job ends when what it has under way is written */
#define CLOSE_MS      600000 /* time to close a node whose file is on slow storage */
#define BORN_BITS     0xffffffffff

const char *qemu_prefix(char out[QEMU_PREFIX_MAX], const uint8_t attempt[ATTEMPT_ID_LEN])
{
	char id[2 * ATTEMPT_ID_LEN + 1];

	snprintf(out, QEMU_PREFIX_MAX, QEMU_PREFIX "%.8s-", attempt_id_format(attempt, id));
	return out;
}

const char *qemu_prefix_of_process(char out[QEMU_PREFIX_MAX])
{
	uint64_t born = 0;

	process_start_time(getpid(), &born);
	snprintf(out, QEMU_PREFIX_MAX, QEMU_PREFIX "x%d-%llx-", (int)getpid(), (unsigned long long)born & BORN_BITS);
	return out;
}

static bool begins_with(const json_t *name, const char *prefix)
{
	return json_is_string(name) && !strncmp(json_string_value(name), prefix, strlen(prefix));
}

static int query_nodes(struct qmp *q, json_t **out, struct err *e)
{
	return qmp_call(q, "query-named-block-nodes", json_pack("{s:b}", "flat", 1), out, e);
}

/* ---- jobs ---- */

static bool has_concluded(const json_t *job)
{
	return !strcmp(json_text(job, "status") ?: "", "concluded");
}

int qemu_conclude_job(struct qmp *q, struct loop *l, const char *id, unsigned ms, struct err *e)
{
	uint64_t until = now_ns() + ms * 1000000ULL;
	json_t *jobs, *job;
	struct err ignored;
	int r;

	while (!(r = qmp_call(q, "query-jobs", NULL, &jobs, e))) {
		job = json_find(jobs, "id", id);
		if (!job || has_concluded(job)) {
			if (json_text(job, "error"))
				r = err_set(e, EIO, "%s", json_text(job, "error"));
			if (job)
				qmp_call(q, "job-dismiss", json_pack("{s:s}", "id", id), NULL, &ignored);
			json_decref(jobs);
			return r;
		}
		json_decref(jobs);
		if (now_ns() > until)
			return err_set(e, ETIMEDOUT, "QEMU does not end its job %s", id);
		r = loop_step(l, GONE_PAUSE_MS, e);
		if (r < 0)
			return r;
	}
	return r;
}

/* Asks all of them to end; *left: how many there are. */
static int cancel_jobs(struct qmp *q, const char *prefix, unsigned *left, struct err *e)
{
	json_t *jobs, *job;
	struct err ignored; /* the job is ending already */
	size_t i;
	int r = qmp_call(q, "query-jobs", NULL, &jobs, e);

	*left = 0;
	if (r)
		return r;
	json_array_foreach(jobs, i, job) {
		json_t *id = json_object_get(job, "id");

		if (!begins_with(id, prefix))
			continue;
		(*left)++;
		qmp_call(q, has_concluded(job) ? "job-dismiss" : "job-cancel", json_pack("{s:O}", "id", id), NULL, &ignored);
	}
	json_decref(jobs);
	return 0;
}

int qemu_undo_jobs(struct qmp *q, struct loop *l, const char *prefix, struct err *e)
{
	uint64_t until = now_ns() + JOBS_MS * 1000000ULL;
	unsigned left;
	int r;

	while (!(r = cancel_jobs(q, prefix, &left, e)) && left) {
		if (now_ns() > until)
			return err_set(e, ETIMEDOUT, "QEMU does not end its jobs %s…", prefix);
		r = loop_step(l, GONE_PAUSE_MS, e);
		if (r < 0)
			return r;
	}
	return r;
}

/* ---- nodes ---- */

/* Deletes the nodes whose names begin with prefix, or (NULL) are among names. *left: how many matched; *gone: how many of these were
 * deleted; e: why the others were not. */
static int remove_nodes(struct qmp *q, const char *prefix, const json_t *names, unsigned *left, unsigned *gone, struct err *e)
{
	json_t *nodes, *node;
	size_t i;
	int r = query_nodes(q, &nodes, e);

	*left = *gone = 0;
	if (r)
		return r;
	json_array_foreach(nodes, i, node) {
		json_t *name = json_object_get(node, "node-name");

		if (prefix ? !begins_with(name, prefix) : !json_has(names, name))
			continue;
		(*left)++;
		*gone += !qmp_call_ms(q, CLOSE_MS, "blockdev-del", json_pack("{s:O}", "node-name", name), NULL, e);
	}
	json_decref(nodes);
	return 0;
}

int qemu_undo_nodes(struct qmp *q, const char *prefix, const json_t *names, struct err *e)
{
	unsigned left, gone;
	int r;

	while (!(r = remove_nodes(q, prefix, names, &left, &gone, e)) && left)
		if (!gone)
			return err_prefix(e, "a block node of ours stays in the guest's QEMU");
	return r;
}

/* ---- bitmaps ---- */

static int remove_bitmap(struct qmp *q, json_t *node, json_t *name, struct err *e)
{
	int r = qmp_call(q, "block-dirty-bitmap-remove", json_pack("{s:O,s:O}", "node", node, "name", name), NULL, e);

	/* ended meanwhile with its node, say */
	return r == -EREMOTEIO && strstr(e->msg, "not found") ? 0 : r;
}

/* Removes as many bitmaps as it can, and returns the first error. */
int qemu_undo_bitmaps(struct qmp *q, const char *prefix, struct err *e)
{
	json_t *nodes, *node, *bitmap;
	struct err one;
	size_t i, k;
	int r = query_nodes(q, &nodes, e);

	if (r)
		return r;
	json_array_foreach(nodes, i, node)
		json_array_foreach(json_object_get(node, "dirty-bitmaps"), k, bitmap) {
			json_t *name = json_object_get(bitmap, "name");

			if (!begins_with(name, prefix) || !remove_bitmap(q, json_object_get(node, "node-name"), name, &one) || r)
				continue;
			*e = one;
			r = -one.code;
		}
	json_decref(nodes);
	return r;
}

/* ---- exports ---- */

static int query_exports(struct qmp *q, json_t **out, struct err *e)
{
	return qmp_call(q, "query-block-exports", NULL, out, e);
}

/* 1: it is there, 0: it is not. */
static int is_exported(struct qmp *q, const char *id, struct err *e)
{
	json_auto_t *list = NULL;
	int r = query_exports(q, &list, e);

	if (r)
		return r;
	return json_find(list, "id", id) != NULL;
}

/* Removes the export and waits until QEMU no longer lists it, which is when its clients are disconnected. */
static int remove_export(struct qmp *q, struct loop *l, const char *id, struct err *e)
{
	uint64_t until = now_ns() + GONE_MS * 1000000ULL;
	int r = qmp_call(q, "block-export-del", json_pack("{s:s,s:s}", "id", id, "mode", "hard"), NULL, e);

	if (r == -EREMOTEIO && (strstr(e->msg, "shutting down") || strstr(e->msg, "not found")))
		r = 0;
	while (!r && (r = is_exported(q, id, e)) == 1) {
		if (now_ns() > until)
			return err_set(e, ETIMEDOUT, "the NBD export %s does not go away", id);
		r = loop_step(l, GONE_PAUSE_MS, e);
	}
	return r;
}

/* Removes as many exports as it can, and returns the first error. */
int qemu_undo_exports(struct qmp *q, struct loop *l, const char *prefix, struct err *e)
{
	json_t *list, *x;
	struct err one;
	size_t i;
	int r = query_exports(q, &list, e);

	if (r)
		return r;
	json_array_foreach(list, i, x) {
		json_t *id = json_object_get(x, "id");

		if (!begins_with(id, prefix) || !remove_export(q, l, json_string_value(id), &one) || r)
			continue;
		*e = one;
		r = -one.code;
	}
	json_decref(list);
	return r;
}

/* ---- the server ---- */

/* A QEMU has a single NBD server, so stopping it would also cut off any other client that exports a disk on it. */
static int check_unused(struct qmp *q, const char *socket, struct err *e)
{
	json_auto_t *list = NULL;
	json_t *x;
	const char *id = NULL;
	size_t i;
	int r = query_exports(q, &list, e);

	if (r)
		return r;
	json_array_foreach(list, i, x)
		if (!strcmp(json_text(x, "type") ?: "", "nbd") && !begins_with(json_object_get(x, "id"), QEMU_PREFIX))
			id = json_text(x, "id");
	if (id)
		r = err_set(e, EBUSY, "another client exports a disk (%s) on the NBD server that the move has started (%s)", id, socket);
	return r;
}

int qemu_undo_nbd_server(struct qmp *q, pid_t pid, const char *socket, struct err *e)
{
	/* an answer, even an error, shows that QEMU has finished the commands sent before it, also those it has not answered */
	int r = qmp_call(q, "query-status", NULL, NULL, e);

	r = r == -EREMOTEIO ? 0 : r;
	if (!r && process_may_have_socket(pid, socket)) {
		r = check_unused(q, socket, e);
		if (r)
			return r;
		r = qmp_call(q, "nbd-server-stop", NULL, NULL, e);
		if (r == -EREMOTEIO && strstr(e->msg, "not running"))
			r = 0;
	}
	if (!r && unlink(socket) && errno != ENOENT)
		r = err_sys(e, errno, "cannot remove %s", socket);
	return r;
}

/* ---- of processes that have died ---- */

/* The prefix of a process that a name begins with, if it is one. */
static bool prefix_of(const char *name, char out[QEMU_PREFIX_MAX], int *pid, uint64_t *born)
{
	unsigned long long start;
	int n = 0;

	if (!name ||
	    (sscanf(name, QEMU_PREFIX "x%d-%llx-%n", pid, &start, &n) != 2 && sscanf(name, "vmfx-%d-%llx-%n", pid, &start, &n) != 2) ||
	    !n || n >= QEMU_PREFIX_MAX || *pid <= 0)
		return false;
	*born = start;
	snprintf(out, QEMU_PREFIX_MAX, "%.*s", n, name);
	return true;
}

static bool lives(int pid, uint64_t born)
{
	uint64_t now;

	return !process_start_time(pid, &now) && (now & BORN_BITS) == born && qemu_is_alive(pid, now);
}

/* Removes everything that dead processes have left, one prefix at a time. */
static int undo_listed(struct qmp *q, struct loop *l, const json_t *list, const char *key, unsigned *removed, struct err *e)
{
	char prefix[QEMU_PREFIX_MAX];
	json_t *one;
	uint64_t born;
	size_t i;
	int pid, r = 0;

	json_array_foreach((json_t *)(uintptr_t)list, i, one) {
		if (r || !prefix_of(json_text(one, key), prefix, &pid, &born))
			continue;
		if (lives(pid, born))
			return err_set(e, EBUSY, "an export of this guest is under way (pid %d): wait for it, or end it", pid);
		(*removed)++;
		r = qemu_undo_jobs(q, l, prefix, e)
			    ?: qemu_undo_nodes(q, prefix, NULL, e); /* the later names with this prefix then find nothing left */
	}
	return r;
}

int qemu_undo_dead(struct qmp *q, struct loop *l, unsigned *removed, struct err *e)
{
	json_t *list;
	int r = qmp_call(q, "query-jobs", NULL, &list, e);

	*removed = 0;
	if (r)
		return r;
	r = undo_listed(q, l, list, "id", removed, e);
	json_decref(list);
	r = r ?: query_nodes(q, &list, e);
	if (r)
		return r;
	r = undo_listed(q, l, list, "node-name", removed, e);
	json_decref(list);
	return r;
}
