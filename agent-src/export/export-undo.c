/* export-undo.c: see export-undo.h. */
#include "export-undo.h"
#include "json-text.h"
#include "process.h"
#include "qemu-discover.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PREFIX	      "vmfx-"
#define GONE_MS	      30000 /* a job ends when what it has under way is written */
#define GONE_PAUSE_MS 10
#define CLOSE_MS      600000 /* of a node whose file is on storage that is slow */
#define OPEN_MS	      5000

const char *export_tag(char out[EXPORT_TAG_MAX])
{
	uint64_t born = 0;

	process_start_time(getpid(), &born);
	snprintf(out, EXPORT_TAG_MAX, PREFIX "%d-%llx-", (int)getpid(), (unsigned long long)born & 0xffffffffff);
	return out;
}

static bool begins_with(const char *name, const char *tag)
{
	return name && !strncmp(name, tag, strlen(tag));
}

/* ---- jobs ---- */

/* Asks all of them to end; *left: how many there are. */
static int cancel_jobs(struct qmp *q, const char *tag, unsigned *left, struct err *e)
{
	json_t *jobs, *job;
	size_t i;
	int r = qmp_call(q, "query-jobs", NULL, &jobs, e);

	*left = 0;
	if (r)
		return r;
	json_array_foreach(jobs, i, job) {
		const char *id = json_text(job, "id"), *status = json_text(job, "status");
		struct err ignored; /* it is ending already */

		if (!begins_with(id, tag))
			continue;
		(*left)++;
		if (status && !strcmp(status, "concluded"))
			qmp_call(q, "job-dismiss", json_pack("{s:s}", "id", id), NULL, &ignored);
		else
			qmp_call(q, "job-cancel", json_pack("{s:s}", "id", id), NULL, &ignored);
	}
	json_decref(jobs);
	return 0;
}

static int end_jobs(struct qmp *q, struct loop *l, const char *tag, struct err *e)
{
	uint64_t until = now_ns() + GONE_MS * 1000000ULL;
	unsigned left;
	int r;

	while (!(r = cancel_jobs(q, tag, &left, e)) && left) {
		if (now_ns() > until)
			return err_set(e, ETIMEDOUT, "a job of an export does not end");
		r = loop_step(l, GONE_PAUSE_MS, e);
		if (r < 0)
			return r;
	}
	return r;
}

/* ---- nodes ---- */

/* Those that nothing is on; *left: how many there were, *gone: how many of them are no more. */
static int remove_nodes(struct qmp *q, const char *tag, unsigned *left, unsigned *gone, struct err *e)
{
	json_t *nodes, *node;
	size_t i;
	int r = qmp_call(q, "query-named-block-nodes", json_pack("{s:b}", "flat", 1), &nodes, e);

	*left = *gone = 0;
	if (r)
		return r;
	json_array_foreach(nodes, i, node) {
		const char *name = json_text(node, "node-name");

		if (!begins_with(name, tag))
			continue;
		(*left)++;
		*gone += !qmp_call_ms(q, CLOSE_MS, "blockdev-del", json_pack("{s:s}", "node-name", name), NULL, e);
	}
	json_decref(nodes);
	return 0;
}

/* From the top down: what is below another can go when that has. */
int export_undo(struct qmp *q, struct loop *l, const char *tag, struct err *e)
{
	unsigned left, gone;
	int r = end_jobs(q, l, tag, e);

	while (!r && !(r = remove_nodes(q, tag, &left, &gone, e)) && left)
		if (!gone)
			return err_prefix(e, "a block node of an export stays in the guest's QEMU");
	return r;
}

/* ---- of others ---- */

/* The tag that a name begins with, if it is one. */
static bool tag_of(const char *name, char out[EXPORT_TAG_MAX], int *pid, uint64_t *born)
{
	unsigned long long start;
	int n = 0;

	if (!name || sscanf(name, PREFIX "%d-%llx-%n", pid, &start, &n) != 2 || !n || n >= EXPORT_TAG_MAX || *pid <= 0)
		return false;
	*born = start;
	snprintf(out, EXPORT_TAG_MAX, "%.*s", n, name);
	return true;
}

static bool lives(int pid, uint64_t born)
{
	uint64_t now;

	return !process_start_time(pid, &now) && (now & 0xffffffffff) == born && qemu_is_alive(pid, now);
}

/* One exporter's names after the other. */
static int undo_first(struct qmp *q, struct loop *l, const json_t *list, const char *key, unsigned *removed, struct err *e)
{
	char tag[EXPORT_TAG_MAX];
	json_t *one;
	uint64_t born;
	size_t i;
	int pid, r = 0;

	json_array_foreach((json_t *)list, i, one) {
		if (r || !tag_of(json_text(one, key), tag, &pid, &born))
			continue;
		if (lives(pid, born))
			return err_set(e, EBUSY, "an export of this guest is under way (pid %d): wait for it, or end it", pid);
		(*removed)++;
		r = export_undo(q, l, tag, e); /* nothing to be done for the others of that tag */
	}
	return r;
}

int export_undo_dead(struct qmp *q, struct loop *l, unsigned *removed, struct err *e)
{
	json_t *list;
	int r = qmp_call(q, "query-jobs", NULL, &list, e);

	*removed = 0;
	if (r)
		return r;
	r = undo_first(q, l, list, "id", removed, e);
	json_decref(list);
	if (!r)
		r = qmp_call(q, "query-named-block-nodes", json_pack("{s:b}", "flat", 1), &list, e);
	if (r)
		return r;
	r = undo_first(q, l, list, "node-name", removed, e);
	json_decref(list);
	return r;
}

int export_recover(const char *vm, unsigned *removed, struct err *e)
{
	struct loop *l = NULL;
	struct qmp *q = NULL;
	struct err ignored;
	struct guest g;
	int r = 0;

	*removed = 0;
	if (!guest_find(&g, vm, &ignored) && !guest_check_user(&g, &ignored)) {
		r = loop_new(&l, 64, e);
		if (!r)
			r = guest_open_qmp(&g, &q, l, OPEN_MS, NULL, NULL, e);
		if (!r)
			r = export_undo_dead(q, l, removed, e);
		qmp_close(q);
		if (l)
			loop_free(l);
	}
	guest_fini(&g);
	return r;
}
