/* mirror.c: the copy by QEMU: its nodes and jobs, known by their names (moving.h, qemu_prefix). */
#include "fault.h"
#include "image-create.h"
#include "json-members.h"
#include "json-text.h"
#include "log.h"
#include "moving.h"
#include "process.h"
#include "util.h"

#include <errno.h>
#include <string.h>

#define CONCLUDE_MS 30000

/* ---- nodes ---- */

static json_t *cache(bool direct, bool no_flush)
{
	return json_pack("{s:b,s:b}", "direct", direct, "no-flush", no_flush);
}

/* The options of the new file's node. Zeros stay holes while it is filled, whatever applies afterwards. */
static json_t *file_options(const struct moving_disk *d, bool final)
{
	bool direct = d->o.has_file_cache ? d->o.file_direct : d->direct, no_flush = d->o.has_file_cache ? d->o.file_no_flush : d->no_flush;
	json_t *o = json_pack("{s:s,s:s,s:s,s:b,s:o,s:s}", "driver", d->to_device ? "host_device" : "file", "node-name", d->names.file,
			      "filename", d->to, "read-only", 0, "cache", cache(direct, no_flush), "discard",
			      final && !d->o.file_unmap ? "ignore" : "unmap");

	if (d->o.aio[0])
		json_object_set_new(o, "aio", json_string(d->o.aio));
	if (d->o.no_locking)
		json_object_set_new(o, "locking", json_string("off"));
	return o;
}

static json_t *format_options(const struct moving_disk *d, bool final)
{
	json_t *o = json_pack("{s:s,s:s,s:s,s:b,s:o,s:s,s:s}", "driver", d->format, "node-name", d->names.format, "file", d->names.file,
			      "read-only", 0, "cache", cache(d->direct, d->no_flush), "discard", final && !d->o.unmap ? "ignore" : "unmap",
			      "detect-zeroes", d->detect_zeroes);

	if (d->to_shows)
		json_object_set_new(o, "size", json_integer((json_int_t)d->to_shows));
	return o;
}

static int create_format(struct storage *s, struct moving_disk *d, struct err *e)
{
	const struct image im = {.format = d->format, .bytes = d->bytes, .cluster_size = d->cluster, .qcow2 = d->qcow2};

	return image_format(s->life.loop, s->qmp, &im, d->names.file, d->names.job, e);
}

int mirror_add(struct storage *s, struct moving_disk *d, struct err *e)
{
	int r = qmp_call(s->qmp, "blockdev-add", file_options(d, false), NULL, e);

	/* QEMU may see other files by this name: in a root directory, or a mount namespace, of its own */
	if (!r && !process_has_open(s->guest.pid, d->to))
		r = err_set(e, ENOENT, "QEMU has opened another %s than the one that is here: it runs in a namespace of its own?", d->to);
	if (!r && strcmp(d->format, "raw"))
		r = create_format(s, d, e);
	r = r ?: qmp_call(s->qmp, "blockdev-add", format_options(d, false), NULL, e);
	return r ? err_prefix(e, "the new image %s", d->to) : 0;
}

int mirror_settle_options(struct storage *s, struct moving_disk *d, struct err *e)
{
	if (d->o.unmap && d->o.file_unmap)
		return 0;
	return qmp_call(s->qmp, "blockdev-reopen", json_pack("{s:[o,o]}", "options", file_options(d, true), format_options(d, true)), NULL,
			e);
}

/* ---- jobs ---- */

/* Starts the mirror in background mode. A write-blocking job that fails or is cancelled while the guest writes makes QEMU use memory that
 * it has freed, which may kill the guest (seen with 10.0.2: mirror_run() frees in_flight_bitmap before it drains the disk). */
int mirror_begin(struct storage *s, struct moving_disk *d, struct err *e)
{
	json_t *args =
		json_of(MEMBER_TEXT("job-id", d->names.job), MEMBER_TEXT("device", d->node), MEMBER_TEXT("target", d->names.format),
			MEMBER_TEXT("filter-node-name", d->names.filter), MEMBER_TEXT("sync", "full"), MEMBER_FLAG("auto-finalize", false),
			MEMBER_FLAG("auto-dismiss", false), MEMBER_TEXT("on-source-error", "report"),
			MEMBER_TEXT("on-target-error", "report"), MEMBER_COUNT("speed", s->bwlimit));
	int r = qmp_call(s->qmp, "blockdev-mirror", args, NULL, e);

	return r ? err_prefix(e, "disk %s", d->from) : 0;
}

static enum mirror_state state_of(const char *status)
{
	return !strcmp(status, "ready") || !strcmp(status, "standby")	     ? MIRROR_READY
	       : !strcmp(status, "pending")				     ? MIRROR_PENDING
	       : !strcmp(status, "concluded") || !strcmp(status, "aborting") ? MIRROR_CONCLUDED
									     : MIRROR_COPYING;
}

static int look_at(struct storage *s, struct moving_disk *d, json_t *jobs, enum mirror_state *least, struct err *e)
{
	json_t *job = json_find(jobs, "id", d->names.job);
	enum mirror_state state;

	if (!job)
		return err_set(e, ENOENT, "another client has ended the copy of disk %s", d->from);
	state = state_of(json_text(job, "status") ?: "");
	if (state == MIRROR_CONCLUDED)
		return err_set(e, EIO, "the copy of disk %s has ended: %s", d->from,
			       json_text(job, "error") ?: "another client has cancelled it");
	d->done = (uint64_t)MAX(json_integer_value(json_object_get(job, "current-progress")), 0);
	d->total = (uint64_t)MAX(json_integer_value(json_object_get(job, "total-progress")), 0);
	*least = MIN(*least, state);
	if (state == MIRROR_PENDING && !s->held_since_ns)
		s->held_since_ns = now_ns();
	return 0;
}

int mirrors_look(struct storage *s, enum mirror_state *least, struct err *e)
{
	json_auto_t *jobs = NULL;
	int r = qmp_call(s->qmp, "query-jobs", NULL, &jobs, e);

	if (r)
		return r;
	*least = MIRROR_PENDING;
	for (unsigned i = 0; i < s->count && !r; i++)
		r = look_at(s, &s->disks[i], jobs, least, e);
	return r;
}

int mirrors_limit(struct storage *s, uint64_t bytes_per_s, struct err *e)
{
	int r = 0;

	for (unsigned i = 0; i < s->count && !r; i++)
		r = qmp_call(s->qmp, "block-job-set-speed",
			     json_pack("{s:s,s:I}", "device", s->disks[i].names.job, "speed", (json_int_t)bytes_per_s), NULL, e);
	return r;
}

/* ---- what the guest's devices use ---- */

static bool is_device(const json_t *block, const char *name)
{
	const char *qdev = json_text(block, "qdev"), *drive = json_text(block, "device");

	return (qdev && !strcmp(qdev, name)) || (drive && *drive && !strcmp(drive, name));
}

/* QEMU's own word on what the guest's device uses. */
static json_t *used_by(json_t *blocks, const struct moving_disk *d)
{
	json_t *block;
	size_t i;

	json_array_foreach(blocks, i, block)
		if (is_device(block, d->device))
			return json_object_get(block, "inserted");
	return NULL;
}

int mirrors_look_at_devices(struct storage *s, struct err *e)
{
	json_auto_t *blocks = NULL;
	int r = qmp_call(s->qmp, "query-block", NULL, &blocks, e);

	if (r)
		return r;
	for (unsigned i = 0; i < s->count; i++) {
		struct moving_disk *d = &s->disks[i];
		const char *node = json_text(used_by(blocks, d), "node-name");

		d->switched = node && !strcmp(node, d->names.format);
		if (!r && (!node || (!d->switched && strcmp(node, d->node) && strcmp(node, d->names.filter))))
			r = err_set(e, ESTALE, "another client has changed the drive of disk %s: it uses the node %s", d->from,
				    node ?: "?");
	}
	return r;
}

/* ---- the end ---- */

int mirrors_finalize(struct storage *s, struct err *e)
{
	struct err one;
	int r = 0;

	for (unsigned i = 0; i < s->count; i++) {
		struct moving_disk *d = &s->disks[i];

		/* a job that is gone may have switched or not: the devices tell */
		if (qmp_call(s->qmp, "job-finalize", json_pack("{s:s}", "id", d->names.job), NULL, &one))
			log_info("%s", one.msg);
		fault_point("src-finalized-%u", i);
	}
	for (unsigned i = 0; i < s->count; i++)
		if (qemu_conclude_job(s->qmp, s->life.loop, s->disks[i].names.job, CONCLUDE_MS, &one) && !r) {
			*e = one;
			r = err_prefix(e, "QEMU did not switch disk %s", s->disks[i].from);
		}
	return mirrors_look_at_devices(s, &one) ? (*e = one, -one.code) : r;
}

/* Cancels jobs in every state: a pending job ends without having switched. The job's own error does not matter. */
int mirrors_cancel(struct storage *s, struct err *e)
{
	return qemu_undo_jobs(s->qmp, s->life.loop, s->prefix, e);
}

int mirrors_remove_nodes(struct storage *s, struct err *e)
{
	struct err one;
	int r = 0, k;

	for (unsigned i = 0; i < s->count; i++) {
		struct moving_disk *d = &s->disks[i];
		json_t *new = json_pack("[s,s]", d->names.format, d->names.file);

		k = qemu_undo_nodes(s->qmp, NULL, d->switched ? d->old.nodes : new, &one);
		json_decref(new);
		if (k && d->switched)
			err_prefix(&one, "the old image %s is still open", d->from);
		if (k && !r) {
			*e = one;
			r = k;
		}
	}
	return r;
}
