/* export-live.c: see export-live.h. */
#include "export-live.h"
#include "error-stop.h"
#include "json-text.h"
#include "life.h"
#include "process.h"
#include "util.h"

#include <errno.h>
#include <string.h>

#define OPEN_MS 5000
#define LOOK_MS 200

/* ---- what QEMU says ---- */

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

	(void)at_ns;
	note_error(x, error_stop_announced(name, data));
	frozen_event(&x->frozen, name, data);
	if (!strcmp(name, "SHUTDOWN")) {
		x->shuts_down = true;
	} else if (!strcmp(name, "STOP")) {
		x->stopped = true;
		note_error(x, x->shuts_down ? "shutdown" : NULL);
	} else if (!strcmp(name, "RESUME")) {
		x->resumed = true;
		x->shuts_down = false;
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
	json_auto_t *list = NULL;
	int r = qmp_call(x->q, command, NULL, &list, e);

	if (r)
		return r;
	if (json_array_size(list))
		r = err_set(e, EBUSY, "%s (%s); wait for it or end it first", what, json_text(json_array_get(list, 0), key) ?: "?");
	return r;
}

/* Refuses if a migration of the guest, by a move of ours or by others, is under way. */
static int check_moves(struct live *x, struct err *e)
{
	json_auto_t *migration = NULL;
	const char *status;
	int r = qmp_call(x->q, "query-migrate", NULL, &migration, e);

	if (r)
		return r;
	status = json_text(migration, "status");
	if (status && strcmp(status, "none") && strcmp(status, "failed") && strcmp(status, "cancelled") && strcmp(status, "completed"))
		r = err_set(e, EBUSY, "the guest is being moved (its migration is '%s'): wait for that", status);
	return r ?: check_list(x, "query-block-exports", "id", "this QEMU exports a disk: a move, or a backup, is under way", e);
}

static int check_quorum(struct live *x, struct err *e)
{
	bool has_workers;
	int r = frozen_check(x->q, &has_workers, e);
	struct err why;

	if (r != -ENOTSUP)
		return r;
	why = *e;
	return err_set(e, ENOTSUP, "%s: shut the guest down to export it", why.msg);
}

int live_open(struct live *x, struct guest *g, unsigned *removed, struct err *e)
{
	static const struct qmp_handlers handlers = {.event = on_event};
	int r;

	*x = (struct live){.g = g};
	*removed = 0;
	qemu_prefix_of_process(x->frozen.prefix);
	x->frozen.format = "qcow2";
	r = loop_new(&x->l, 64, e) ?: guest_open_qmp(g, &x->q, x->l, OPEN_MS, &handlers, x, e);
	if (!r) /* the jobs end before the disks are looked at: a job's filter may be in front of one */
		r = qemu_undo_dead(x->q, x->l, removed, e);
	r = r ?: guest_query(g, x->q, e) ?: check_state(g, e) ?: guest_check_drift(g, x->q, NULL, e) ?: check_moves(x, e);
	return r ?: check_list(x, "query-block-jobs", "device", "a block job is running in this guest", e) ?: check_quorum(x, e);
}

/* ---- the moment ---- */

int live_prepare(struct live *x, const struct guest_disk *const *disks, const char *const *targets, size_t count, struct err *e)
{
	AUTO_FREE struct frozen_disk *list = xcalloc(count + 1, sizeof(*list));

	for (size_t i = 0; i < count; i++)
		list[i] = (struct frozen_disk){.node = disks[i]->node,
					       .name = disks[i]->real_path ?: disks[i]->node,
					       .bytes = disks[i]->virtual_size,
					       .target = targets[i]};
	x->frozen.q = x->q;
	x->frozen.l = x->l;
	return frozen_prepare(&x->frozen, list, count, e);
}

int live_begin(struct live *x, uint64_t speed, struct err *e)
{
	return frozen_begin(&x->frozen, NULL, speed, e);
}

/* ---- until it is over ---- */

static int show(struct live *x, struct err *e)
{
	double percent;
	int r = frozen_progress(&x->frozen, &percent, e);

	if (!r)
		life_percent(life_now(), percent);
	return r;
}

int live_wait(struct live *x, struct err *e)
{
	uint64_t next = 0;
	int r = 0;

	life_stage(life_now(), "copying the disks");
	while (!r && !frozen_is_over(&x->frozen)) {
		if (life_interrupted())
			r = err_set(e, ECANCELED, "interrupted");
		else if (!qmp_alive(x->q))
			r = err_set(e, EPIPE, "the guest's QEMU has ended, or closed its monitor");
		else if (now_ns() >= next)
			r = show(x, e), next = now_ns() + LOOK_MS * 1000000ULL;
		else
			r = loop_step(x->l, LOOK_MS, e), r = r < 0 ? r : 0;
	}
	if (!r && x->frozen.bad.code)
		*e = x->frozen.bad, r = -e->code;
	r = r ?: live_undo(x, e);
	if (!r && x->frozen.bad.code) /* heard when the files were closed */
		*e = x->frozen.bad, r = -e->code;
	return r;
}

int live_undo(struct live *x, struct err *e)
{
	if (!x->frozen.began || qmp_alive(x->q))
		return frozen_undo(&x->frozen, e);
	return qemu_is_alive(x->g->pid, x->g->start_time)
		       ? err_set(e, EPIPE, "the guest's monitor was lost, and nodes and jobs of the export are still in its QEMU")
		       : 0;
}

void live_close(struct live *x)
{
	qmp_close(x->q);
	if (x->l)
		loop_free(x->l);
	frozen_fini(&x->frozen);
	json_decref(x->images);
	x->q = NULL;
	x->l = NULL;
}
