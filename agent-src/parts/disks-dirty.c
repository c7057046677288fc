/* disks-dirty.c: what the guest has written to its disks, as QEMU's dirty bitmaps have it. */
#include "disks-private.h"
#include "json-text.h"
#include "qemu-names.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void disk_bitmap_name(const struct disks *ds, char out[48], const struct disk *d, unsigned generation)
{
	char prefix[QEMU_PREFIX_MAX];

	snprintf(out, 48, "%s%u-%u", qemu_prefix(prefix, ds->part.a->id), d->object, generation);
}

static void note_bitmap(struct disk *d, const json_t *bitmap)
{
	const json_t *count = json_object_get(bitmap, "count");

	d->progress.dirty = (uint64_t)json_integer_value(count);
	d->progress.looked_at = true;
	d->progress.recording = json_is_integer(count) && json_is_true(json_object_get(bitmap, "recording")) &&
				!json_is_true(json_object_get(bitmap, "inconsistent"));
}

/* Nodes below filters are no drive's. */
static bool some_are_below_filters(const struct disks *ds)
{
	bool yes = false;

	for (unsigned i = 0; i < ds->count; i++)
		yes |= ds->list[i]->guest->filter != NULL;
	return yes;
}

/* Others than when the guest was looked at have come since, and are not on the command line that goes along. */
static void note_limits(struct disks *ds, struct disk *d, const json_t *inserted)
{
	int64_t limits[GUEST_LIMITS];

	d->has_throttle = guest_disk_read_limits(inserted, limits);
	if (!memcmp(limits, d->guest->limits, sizeof(limits)) || d->limits_told)
		return;
	d->limits_told = true;
	report_notice(
		ds->src->report,
		"another client changed the I/O limits of disk %s while it was copied (block_set_io_throttle): at the destination the disk "
		"has those of the command line, until they are set again",
		d->guest->file ?: d->guest->node);
}

/* drives: of query-block, or of query-named-block-nodes */
static void note_dirty(struct disks *ds, json_t *drives)
{
	json_t *entry, *bitmap;
	size_t i;
	char name[48];

	json_array_foreach(drives, i, entry) {
		json_t *inserted = json_object_get(entry, "inserted") ?: entry;
		const char *node = json_string_value(json_object_get(inserted, "node-name"));

		for (unsigned k = 0; node && k < ds->count; k++) {
			struct disk *d = ds->list[k];

			if (strcmp(d->guest->node, node))
				continue;
			if (!ds->throttled && inserted != entry)
				note_limits(ds, d, inserted);
			disk_bitmap_name(ds, name, d, d->progress.bitmap);
			bitmap = json_find(json_object_get(inserted, "dirty-bitmaps"), "name", name);
			if (bitmap)
				note_bitmap(d, bitmap);
		}
	}
}

int disks_look_at_bitmaps(struct disks *ds, struct err *e)
{
	json_t *drives;
	int r;

	for (unsigned i = 0; i < ds->count; i++)
		ds->list[i]->progress.looked_at = false;
	r = qmp_call(ds->src->qmp, "query-block", NULL, &drives, e);
	if (r)
		return r;
	note_dirty(ds, drives);
	json_decref(drives);
	if (some_are_below_filters(ds)) {
		r = qmp_call(ds->src->qmp, "query-named-block-nodes", json_pack("{s:b}", "flat", 1), &drives, e);
		if (r)
			return r;
		note_dirty(ds, drives);
		json_decref(drives);
	}
	for (unsigned i = 0; i < ds->count; i++)
		if (ds->list[i]->progress.looked_at && !ds->list[i]->progress.recording)
			return err_set(e, EBUSY,
				       "another client switched off the dirty bitmap by which vmferry knows what is written to disk %s",
				       ds->list[i]->guest->real_path);
	return 0;
}

static void on_query_nodes(void *arg, json_t *ret, const struct err *err)
{
	struct disks *ds = arg;

	ds->query_pending = false;
	if (!err && !ds->final)
		note_dirty(ds, ret);
}

static void on_query_block(void *arg, json_t *ret, const struct err *err)
{
	struct disks *ds = arg;

	ds->query_pending = false;
	if (err || ds->final) /* the answer is older than the last look */
		return;
	guest_watch_drives(&ds->src->watch, ret);
	note_dirty(ds, ret);
	if (!some_are_below_filters(ds))
		return;
	ds->query_pending = true;
	qmp_send(ds->src->qmp, "query-named-block-nodes", json_pack("{s:b}", "flat", 1), QMP_DEADLINE_MS, on_query_nodes, ds);
}

void disks_query_dirty(struct disks *ds)
{
	if (ds->query_pending || !ds->count || !ds->src->qmp)
		return;
	ds->query_pending = true;
	qmp_send(ds->src->qmp, "query-block", NULL, QMP_DEADLINE_MS, on_query_block, ds);
}
