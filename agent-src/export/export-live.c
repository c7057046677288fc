/* export-live.c: see export-live.h. */
#include "export-live.h"
#include "error-stop.h"
#include "json-text.h"
#include "life.h"
#include "process.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define OPEN_MS	 5000
#define LOOK_MS	 200
#define BEGIN_MS 30000 /* a transaction waits for what the guest has under way */

/* ---- what QEMU says ---- */

/* The index behind "vmferry-xPID-START-j"; count: it is none of ours. */
static size_t index_of(const struct live *x, const char *name, char letter)
{
	size_t n = strlen(x->prefix), i;
	char *end;

	if (!name || strncmp(name, x->prefix, n) || name[n] != letter)
		return x->count;
	i = strtoul(name + n + 1, &end, 10);
	return *end || i >= x->count ? x->count : i;
}

static void note_error(struct live *x, const char *broken)
{
	if (!broken || x->broken)
		return;
	x->broken = broken;
	life_notice(life_now(), "the guest was stopped by %s (run state %s)", error_stop_cause(broken), broken);
}

static void on_event(void *ctx, const char *name, json_t *data, uint64_t at_ns)
{
	struct live *x = ctx;
	const char *why = json_text(data, "error");
	size_t i;

	(void)at_ns;
	note_error(x, error_stop_announced(name, data));
	if (!strcmp(name, "QUORUM_REPORT_BAD")) {
		i = index_of(x, json_text(data, "node-name"), 't');
		if (i < x->count && !x->bad.code)
			err_set(&x->bad, EIO, "%s cannot be written: %s", x->targets[i], why ? why : "QEMU does not say why");
	} else if (!strcmp(name, "BLOCK_JOB_COMPLETED") || !strcmp(name, "BLOCK_JOB_CANCELLED")) {
		i = index_of(x, json_text(data, "device"), 'j');
		if (i == x->count)
			return;
		if (!x->bad.code && (why || *name != 'B' || strcmp(name, "BLOCK_JOB_COMPLETED")))
			err_set(&x->bad, EIO, "disk %s cannot be copied: %s", x->disks[i]->real_path ?: x->disks[i]->node,
				why ? why : "its job was cancelled");
		x->done[i] = true;
	} else if (!strcmp(name, "STOP")) {
		x->stopped = true;
	} else if (!strcmp(name, "RESUME")) {
		x->resumed = true;
		x->broken = NULL;
	}
}

/* ---- may it be exported? ---- */

static int check_state(const struct guest *g, struct err *e)
{
	if (run_state_moves(g->status))
		return 0;
	return err_set(e, EBUSY, "the guest is in state '%s'; a guest can be exported that runs, or would go on by cont", g->status);
}

static int check_list(struct live *x, const char *command, const char *key, const char *what, struct err *e)
{
	json_t *list;
	int r = qmp_call(x->q, command, NULL, &list, e);

	if (r)
		return r;
	if (json_array_size(list))
		r = err_set(e, EBUSY, "%s (%s); wait for it or end it first", what, json_text(json_array_get(list, 0), key) ?: "?");
	json_decref(list);
	return r;
}

/* What a move of ours, or QEMU's own, is doing. */
static int check_moves(struct live *x, struct err *e)
{
	json_t *migration;
	const char *status;
	int r = qmp_call(x->q, "query-migrate", NULL, &migration, e);

	if (r)
		return r;
	status = json_text(migration, "status");
	if (status && strcmp(status, "none") && strcmp(status, "failed") && strcmp(status, "cancelled") && strcmp(status, "completed"))
		r = err_set(e, EBUSY, "the guest is being moved (its migration is '%s'): wait for that", status);
	json_decref(migration);
	return r ? r : check_list(x, "query-block-exports", "id", "this QEMU exports a disk: a move, or a backup, is under way", e);
}

/* Some builds leave it out. */
static int check_quorum(struct live *x, struct err *e)
{
	json_t *schema, *one, *member;
	bool found = false;
	size_t i, k;
	int r = qmp_call(x->q, "query-qmp-schema", NULL, &schema, e);

	if (r)
		return r;
	json_array_foreach(schema, i, one)
		json_array_foreach(json_object_get(one, "members"), k, member)
			found = found || !strcmp(json_text(member, "name") ?: "", "vote-threshold");
	json_decref(schema);
	return found ? 0
		     : err_set(e, ENOTSUP,
			       "the guest's QEMU has no quorum, without which a full disk here would fail the guest's writes: shut the guest "
			       "down to export it");
}

int live_open(struct live *x, struct guest *g, unsigned *removed, struct err *e)
{
	static const struct qmp_handlers handlers = {.event = on_event};
	int r;

	*x = (struct live){.g = g};
	*removed = 0;
	qemu_prefix_of_process(x->prefix);
	r = loop_new(&x->l, 64, e);
	if (!r)
		r = guest_open_qmp(g, &x->q, x->l, OPEN_MS, &handlers, x, e);
	if (!r) /* before its disks are looked at, which a filter of a job may be in front of */
		r = qemu_undo_dead(x->q, x->l, removed, e);
	if (!r)
		r = guest_query(g, x->q, e);
	if (!r)
		r = check_state(g, e);
	if (!r)
		r = guest_check_drift(g, x->q, NULL, e);
	if (!r)
		r = check_moves(x, e);
	if (!r)
		r = check_list(x, "query-block-jobs", "device", "a block job is running in this guest", e);
	return r ? r : check_quorum(x, e);
}

/* ---- the moment ---- */

static char *node_name(const struct live *x, char letter, size_t i)
{
	return xasprintf("%s%c%zu", x->prefix, letter, i);
}

/* Our file, which is brought onto stable storage by us, later, and not by QEMU when it is closed: its main loop would wait for that, and the guest with it.
 * What is written to it is compressed, if that is wished: by a node above it, as a quorum does not hand on that wish. */
static int add_image(struct live *x, size_t i, struct err *e)
{
	AUTO_FREE char *top = node_name(x, 't', i), *image = node_name(x, 'i', i);
	int r = qmp_call(x->q, "blockdev-add",
			 json_pack("{s:s,s:{s:b},s:s,s:{s:s,s:s}}", "driver", "qcow2", "cache", "no-flush", 1, "node-name",
				   x->compress ? image : top, "file", "driver", "file", "filename", x->targets[i]),
			 NULL, e);

	if (!r && x->compress)
		r = qmp_call(x->q, "blockdev-add", json_pack("{s:s,s:s,s:s}", "driver", "compress", "node-name", top, "file", image), NULL,
			     e);
	return r;
}

/* The file below a quorum with what never fails. */
static int add_target(struct live *x, size_t i, struct err *e)
{
	AUTO_FREE char *file = node_name(x, 't', i), *null = node_name(x, 'n', i), *both = node_name(x, 'q', i);
	int r = add_image(x, i, e);

	if (!r)
		r = qmp_call(x->q, "blockdev-add",
			     json_pack("{s:s,s:s,s:I}", "driver", "null-co", "node-name", null, "size",
				       (json_int_t)x->disks[i]->virtual_size),
			     NULL, e);
	return r ? r
		 : qmp_call(x->q, "blockdev-add",
			    json_pack("{s:s,s:s,s:[s,s],s:i,s:s}", "driver", "quorum", "node-name", both, "children", file, null,
				      "vote-threshold", 1, "read-pattern", "fifo"),
			    NULL, e);
}

static json_t *action(const struct live *x, size_t i, uint64_t speed)
{
	AUTO_FREE char *job = node_name(x, 'j', i), *both = node_name(x, 'q', i), *filter = node_name(x, 'f', i);

	return json_pack("{s:s,s:{s:s,s:s,s:s,s:s,s:s,s:I}}", "type", "blockdev-backup", "data", "job-id", job, "device", x->disks[i]->node,
			 "target", both, "filter-node-name", filter, "sync", "full", "speed", (json_int_t)speed);
}

int live_prepare(struct live *x, const struct guest_disk *const *disks, const char *const *targets, size_t count, struct err *e)
{
	size_t i;
	int r = 0;

	x->disks = xcalloc(count + 1, sizeof(*x->disks));
	x->targets = xcalloc(count + 1, sizeof(*x->targets));
	memcpy(x->disks, disks, count * sizeof(*x->disks));
	memcpy(x->targets, targets, count * sizeof(*x->targets));
	x->count = count;
	x->done = xcalloc(count + 1, sizeof(*x->done));
	x->began = true;
	for (i = 0; i < count && !r; i++)
		r = add_target(x, i, e);
	return r;
}

int live_begin(struct live *x, uint64_t speed, struct err *e)
{
	json_t *actions = json_array();
	size_t i;
	int r = 0;

	for (i = 0; i < x->count; i++)
		json_array_append_new(actions, action(x, i, speed));
	if (x->count)
		r = qmp_call_ms(x->q, BEGIN_MS, "transaction", json_pack("{s:O}", "actions", actions), NULL, e);
	json_decref(actions);
	return r;
}

/* ---- until it is over ---- */

static bool all_done(const struct live *x)
{
	size_t i;

	for (i = 0; i < x->count && x->done[i]; i++)
		;
	return i == x->count;
}

static int show(struct live *x, struct err *e)
{
	double now = 0, total = 0;
	json_t *jobs, *job;
	size_t i, n = 0;
	int r = qmp_call(x->q, "query-jobs", NULL, &jobs, e);

	if (r)
		return r;
	json_array_foreach(jobs, i, job)
		if (index_of(x, json_text(job, "id"), 'j') < x->count) {
			now += json_number_value(json_object_get(job, "current-progress"));
			total += json_number_value(json_object_get(job, "total-progress"));
			n++;
		}
	json_decref(jobs);
	life_percent(life_now(),
		     total > 0 ? 100.0 * now / total * ((double)n / (double)x->count) + 100.0 * (double)(x->count - n) / (double)x->count
			       : 0);
	return 0;
}

int live_wait(struct live *x, struct err *e)
{
	uint64_t next = 0;
	int r = 0;

	life_stage(life_now(), "copying the disks");
	while (!r && !x->bad.code && !all_done(x)) {
		if (life_interrupted())
			r = err_set(e, ECANCELED, "interrupted");
		else if (!qmp_alive(x->q))
			r = err_set(e, EPIPE, "the guest's QEMU has ended, or closed its monitor");
		else if (now_ns() >= next)
			r = show(x, e), next = now_ns() + LOOK_MS * 1000000ULL;
		else
			r = loop_step(x->l, LOOK_MS, e), r = r < 0 ? r : 0;
	}
	if (!r && x->bad.code)
		*e = x->bad, r = -e->code;
	if (!r)
		r = live_undo(x, e);
	if (!r && x->bad.code) /* heard when the files were closed */
		*e = x->bad, r = -e->code;
	return r;
}

int live_undo(struct live *x, struct err *e)
{
	int r;

	if (!x->began)
		return 0;
	if (!qmp_alive(x->q))
		return qemu_is_alive(x->g->pid, x->g->start_time)
			       ? err_set(e, EPIPE, "the guest's monitor was lost, and nodes and jobs of the export are still in its QEMU")
			       : 0;
	r = qemu_undo_jobs(x->q, x->l, x->prefix, e) ?: qemu_undo_nodes(x->q, x->prefix, NULL, e);
	if (!r)
		qmp_drain(x->q);
	x->began = r != 0;
	return r;
}

void live_close(struct live *x)
{
	qmp_close(x->q);
	if (x->l)
		loop_free(x->l);
	free(x->disks);
	free(x->targets);
	free(x->done);
	x->q = NULL;
	x->l = NULL;
}
