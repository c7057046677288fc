/* frozen-disks.c: see frozen-disks.h. QEMU's commands and events: qapi/block-core.json. */
#include "frozen-disks.h"
#include "json-text.h"
#include "util.h"

#include <errno.h>
#include <string.h>

#define BEGIN_MS 30000 /* a transaction waits for what the guest has under way */

/* ---- what QEMU can do, and says ---- */

static bool has_member(json_t *schema, const char *name)
{
	json_t *one;
	size_t i;

	json_array_foreach(schema, i, one)
		if (json_find(json_object_get(one, "members"), "name", name))
			return true;
	return false;
}

int frozen_check(struct qmp *q, bool *has_workers, struct err *e)
{
	json_auto_t *schema = NULL;
	bool found;
	int r = qmp_call(q, "query-qmp-schema", NULL, &schema, e);

	if (r)
		return r;
	found = has_member(schema, "vote-threshold");
	*has_workers = has_member(schema, "x-perf") && has_member(schema, "max-workers");
	return found ? 0
		     : err_set(e, ENOTSUP, "the guest's QEMU has no quorum, without which a full disk here would fail the guest's writes");
}

/* The index behind the prefix and a letter; count: the name is none of ours. */
static size_t index_of(const struct frozen_disks *f, const char *name, char letter)
{
	size_t n = strlen(f->prefix), i;
	char *end;

	if (!name || strncmp(name, f->prefix, n) || name[n] != letter)
		return f->count;
	i = strtoul(name + n + 1, &end, 10);
	return *end || i >= f->count ? f->count : i;
}

static void job_ended(struct frozen_disks *f, size_t i, bool completed, const char *why)
{
	if (!f->bad.code && (why || !completed))
		err_set(&f->bad, EIO, "disk %s cannot be copied: %s", f->disk[i].name, why ? why : "its job was cancelled");
	f->disk[i].done = true;
}

void frozen_event(struct frozen_disks *f, const char *name, const json_t *data)
{
	const char *why = json_text(data, "error");
	bool completed = !strcmp(name, "BLOCK_JOB_COMPLETED");
	size_t i;

	if (!strcmp(name, "QUORUM_REPORT_BAD")) {
		i = index_of(f, json_text(data, "node-name"), 't');
		if (i < f->count && !f->bad.code)
			err_set(&f->bad, EIO, "%s cannot be written: %s", f->disk[i].target, why ? why : "QEMU does not say why");
	} else if (completed || !strcmp(name, "BLOCK_JOB_CANCELLED")) {
		i = index_of(f, json_text(data, "device"), 'j');
		if (i < f->count)
			job_ended(f, i, completed, why);
	}
}

bool frozen_is_over(const struct frozen_disks *f)
{
	size_t i;

	for (i = 0; i < f->count && f->disk[i].done; i++)
		;
	return f->bad.code || i == f->count;
}

int frozen_progress(struct frozen_disks *f, double *percent, struct err *e)
{
	double now = 0, total = 0, count = (double)f->count;
	json_t *jobs, *job;
	size_t i, n = 0;
	int r = qmp_call(f->q, "query-jobs", NULL, &jobs, e);

	if (r)
		return r;
	json_array_foreach(jobs, i, job)
		if (index_of(f, json_text(job, "id"), 'j') < f->count) {
			now += json_number_value(json_object_get(job, "current-progress"));
			total += json_number_value(json_object_get(job, "total-progress"));
			n++;
		}
	json_decref(jobs);
	*percent = total > 0 ? 100.0 * now / total * ((double)n / count) + 100.0 * (count - (double)n) / count : 0;
	return 0;
}

/* ---- the moment ---- */

static char *name_of(const struct frozen_disks *f, char letter, size_t i)
{
	return xasprintf("%s%c%zu", f->prefix, letter, i);
}

/* Adds our file. We bring it onto stable storage later, and QEMU does not when it closes it: its main loop would wait for that, and the
 * guest with it. Compression, if wished, is done by a node above the file, as a quorum does not hand on that wish. */
static int add_image(struct frozen_disks *f, size_t i, struct err *e)
{
	AUTO_FREE char *top = name_of(f, 't', i), *image = name_of(f, 'i', i);
	int r = qmp_call(f->q, "blockdev-add",
			 json_pack("{s:s,s:{s:b},s:s,s:{s:s,s:s}}", "driver", f->format, "cache", "no-flush", 1, "node-name",
				   f->compress ? image : top, "file", "driver", "file", "filename", f->disk[i].target),
			 NULL, e);

	if (!r && f->compress)
		r = qmp_call(f->q, "blockdev-add", json_pack("{s:s,s:s,s:s}", "driver", "compress", "node-name", top, "file", image), NULL,
			     e);
	return r;
}

/* Puts the file below a quorum with a node that takes every write (null-co), so that an error of the file does not reach the guest. */
static int add_target(struct frozen_disks *f, size_t i, struct err *e)
{
	AUTO_FREE char *file = name_of(f, 't', i), *null = name_of(f, 'n', i), *both = name_of(f, 'q', i);
	int r = add_image(f, i, e);

	if (!r)
		r = qmp_call(f->q, "blockdev-add",
			     json_pack("{s:s,s:s,s:I}", "driver", "null-co", "node-name", null, "size", (json_int_t)f->disk[i].bytes), NULL,
			     e);
	return r ? r
		 : qmp_call(f->q, "blockdev-add",
			    json_pack("{s:s,s:s,s:[s,s],s:i,s:s}", "driver", "quorum", "node-name", both, "children", file, null,
				      "vote-threshold", 1, "read-pattern", "fifo"),
			    NULL, e);
}

int frozen_prepare(struct frozen_disks *f, const struct frozen_disk *disks, size_t count, struct err *e)
{
	int r = 0;

	f->disk = xcalloc(count + 1, sizeof(*f->disk));
	memcpy(f->disk, disks, count * sizeof(*f->disk));
	f->count = count;
	f->began = true;
	for (size_t i = 0; i < count && !r; i++)
		r = add_target(f, i, e);
	return r;
}

static json_t *backup_of(const struct frozen_disks *f, size_t i, uint64_t speed)
{
	AUTO_FREE char *job = name_of(f, 'j', i), *both = name_of(f, 'q', i), *filter = name_of(f, 'f', i);
	const struct frozen_disk *d = &f->disk[i];
	json_t *data = json_pack("{s:s,s:s,s:s,s:s,s:s,s:I}", "job-id", job, "device", d->node, "target", both, "filter-node-name", filter,
				 "sync", d->bitmap ? "bitmap" : "full", "speed", (json_int_t)speed);

	if (d->bitmap) { /* the bitmap is left as it is: whoever made it knows what became of the copy */
		json_object_set_new(data, "bitmap", json_string(d->bitmap));
		json_object_set_new(data, "bitmap-mode", json_string("never"));
	}
	if (f->workers)
		json_object_set_new(data, "x-perf", json_pack("{s:i}", "max-workers", (int)f->workers));
	return json_pack("{s:s,s:o}", "type", "blockdev-backup", "data", data);
}

int frozen_begin(struct frozen_disks *f, json_t *held, uint64_t speed, struct err *e)
{
	json_auto_t *actions = json_array();
	int r = 0;

	for (size_t i = 0; i < f->count; i++)
		json_array_append_new(actions, backup_of(f, i, speed));
	if (held)
		json_array_extend(actions, held);
	if (f->count)
		r = qmp_call_ms(f->q, BEGIN_MS, "transaction", json_pack("{s:O}", "actions", actions), NULL, e);
	return r;
}

int frozen_undo(struct frozen_disks *f, struct err *e)
{
	struct err ignored;
	int r;

	if (!f->began)
		return 0;
	r = qemu_undo_jobs(f->q, f->l, f->prefix, e) ?: qemu_undo_nodes(f->q, f->prefix, NULL, e);
	if (!r)
		qmp_drain(f->q, &ignored);
	f->began = r != 0;
	return r;
}

void frozen_fini(struct frozen_disks *f)
{
	free(f->disk);
	f->disk = NULL;
	f->count = 0;
}
