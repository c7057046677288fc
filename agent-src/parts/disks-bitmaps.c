/*
 * disks-bitmaps.c: dirty bitmaps of the guest's own (a backup tool's) go along with a disk that is copied.
 *
 * What is in them is sent as it is in the very moment in which the copy begins. What is written from then on the destination knows from the rounds,
 * and marks it in all of them by itself, so that there is at least as much in them as here: a backup of too much harms nobody.
 */
#include "disks-private.h"
#include "json-text.h"
#include "log.h"
#include "nbd.h"
#include "qemu-undo.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define OPEN_MS	   10000
#define RUNS_BYTES 4096 /* of one message */

/* ---- which there are ---- */

bool disks_carry_bitmaps(const struct disks *ds)
{
	const struct move_options *o = ds->src->opt;

	return !ds->rests && o->how != HOW_DISKS && !(o->disks.accept & DISK_ACCEPT_BITMAPS);
}

static struct disk *disk_of_node(struct disks *ds, const json_t *node)
{
	const char *name = json_text(node, "node-name") ?: "";
	unsigned i;

	for (i = 0; i < ds->count && strcmp(ds->list[i]->guest->node ?: "", name); i++)
		;
	return i < ds->count ? ds->list[i] : NULL;
}

static bool is_sound(const json_t *bitmap)
{
	return !json_is_true(json_object_get(bitmap, "inconsistent")) && !json_is_true(json_object_get(bitmap, "busy"));
}

static void tell_of_loss(const struct disks *ds, const char *node, const char *name)
{
	report_notice(
		ds->src->report,
		"block node %s has the dirty bitmap %s, a backup tool's, which does not go along: its next backup has to be a full one",
		node, name);
}

static void keep(struct disk *d, const json_t *node, const json_t *bitmap)
{
	d->carried = xrealloc(d->carried, (d->carried_count + 1) * sizeof(*d->carried));
	d->carried[d->carried_count++] =
		(struct carried_bitmap){.name = xstrdup(json_text(bitmap, "name")),
					.node = xstrdup(json_text(node, "node-name")),
					.granularity = (unsigned)json_integer_value(json_object_get(bitmap, "granularity")),
					.persistent = json_is_true(json_object_get(bitmap, "persistent")),
					.recording = json_is_true(json_object_get(bitmap, "recording"))};
}

/* One that is in the image only once that is closed, or never. QEMU would take it along by its own migration of disks alone. */
static int find_one(struct disks *ds, const json_t *node, const json_t *bitmap, struct err *e)
{
	struct disk *d = disk_of_node(ds, node);
	const char *name = json_text(bitmap, "name");
	bool persistent = json_is_true(json_object_get(bitmap, "persistent")), stays = d && disk_is_to(ds, d->guest, "shared");
	bool dropped = (d && d->left_behind) || ds->src->opt->disks.accept & DISK_ACCEPT_BITMAPS;

	if (!name || !strncmp(name, QEMU_PREFIX, strlen(QEMU_PREFIX)) || (persistent && (stays || dropped)))
		return 0;
	if (d && !stays && !dropped && disks_carry_bitmaps(ds) && is_sound(bitmap) && d->carried_count < BITMAPS_MAX) {
		keep(d, node, bitmap);
		return 0;
	}
	if (d && !stays && persistent && disks_carry_bitmaps(ds))
		return err_set(e, ENOTSUP,
			       "the persistent dirty bitmap %s of disk %s is %s, and would be lost (--drop=bitmaps leaves such behind)",
			       name, disk_name(d), is_sound(bitmap) ? "one of too many" : "in use by somebody, or is not sound any more");
	tell_of_loss(ds, json_text(node, "node-name") ?: "?", name);
	return 0;
}

int disks_find_bitmaps(struct disks *ds, struct err *e)
{
	json_t *nodes, *node, *bitmap;
	size_t i, k;
	int r;

	if (ds->src->opt->how == HOW_DISKS)
		return 0;
	r = qmp_call(ds->src->qmp, "query-named-block-nodes", json_pack("{s:b}", "flat", 1), &nodes, e);
	if (r)
		return r;
	json_array_foreach(nodes, i, node)
		json_array_foreach(json_object_get(node, "dirty-bitmaps"), k, bitmap)
			r = r ? r : find_one(ds, node, bitmap, e);
	json_decref(nodes);
	return r;
}

json_t *disk_describe_bitmaps(const struct disk *d)
{
	json_t *out = json_array();
	unsigned i;

	for (i = 0; i < d->carried_count; i++)
		json_array_append_new(out, json_pack("{s:s,s:I,s:b,s:b}", "name", d->carried[i].name, "granularity",
						     (json_int_t)d->carried[i].granularity, "persistent", d->carried[i].persistent,
						     "recording", d->carried[i].recording));
	return out;
}

json_t *disk_tell_bitmaps(const struct disk *d)
{
	json_t *out = d->carried_count ? json_array() : NULL;
	unsigned i;

	for (i = 0; i < d->carried_count; i++)
		json_array_append_new(out, json_string(d->carried[i].name));
	return out;
}

void disk_forget_bitmaps(struct disk *d)
{
	unsigned i;

	for (i = 0; i < d->carried_count; i++) {
		free(d->carried[i].name);
		free(d->carried[i].node);
	}
	free(d->carried);
	d->carried = NULL;
	d->carried_count = 0;
}

/* They stay in the image of a disk that stays; the others are in the memory of this QEMU alone. */
int disk_agree_bitmaps(struct disks *ds, struct disk *d, const json_t *said, struct err *e)
{
	unsigned i;

	if (!d->carried_count || (!d->stays && json_is_true(json_object_get(said, "bitmaps"))))
		return 0;
	for (i = 0; i < d->carried_count; i++) {
		const struct carried_bitmap *b = &d->carried[i];

		if (!d->stays && b->persistent)
			return err_set(
				e, ENOTSUP,
				"the vmferry at the destination is older, and would lose the dirty bitmap %s of disk %s (--drop=bitmaps leaves it "
				"behind)",
				b->name, disk_name(d));
		if (!b->persistent)
			tell_of_loss(ds, b->node, b->name);
	}
	disk_forget_bitmaps(d);
	return 0;
}

/* ---- what is in them ---- */

/* Of its copy, and of the export through which that is read. */
static void copy_name(const struct disks *ds, char out[48], const struct disk *d, unsigned i)
{
	char prefix[QEMU_PREFIX_MAX];

	snprintf(out, 48, "%s%u-c%u", qemu_prefix(prefix, ds->part.a->id), d->object, i);
}

void disks_copy_bitmaps(const struct disks *ds, json_t *actions)
{
	char name[48];
	unsigned i, k;

	for (k = 0; k < ds->count; k++)
		for (i = 0; i < ds->list[k]->carried_count; i++) {
			const struct carried_bitmap *b = &ds->list[k]->carried[i];

			copy_name(ds, name, ds->list[k], i);
			json_array_append_new(actions,
					      json_pack("{s:s,s:{s:s,s:s,s:I,s:b}}", "type", "block-dirty-bitmap-add", "data", "node",
							b->node, "name", name, "granularity", (json_int_t)b->granularity, "disabled", 1));
			json_array_append_new(actions, json_pack("{s:s,s:{s:s,s:s,s:[s]}}", "type", "block-dirty-bitmap-merge", "data",
								 "node", b->node, "target", name, "bitmaps", b->name));
		}
}

static void put(const struct disks *ds, const struct disk *d, unsigned i, enum bitmap_what what, struct slice runs)
{
	struct msg_bitmap m = {.object = d->object, .index = (uint16_t)i, .what = what, .runs = runs};
	uint8_t buf[RUNS_BYTES + 64];
	struct writer w = writer_of(buf, sizeof(buf));

	msg_bitmap_encode(&w, &m);
	sender_put(ds->data->senders[ds->data->streams], send_mark_new(MSG_BITMAP, buf, writer_len(&w)));
}

static void send_extents(const struct disks *ds, const struct disk *d, unsigned i, const struct nbd_extent *x, size_t count)
{
	uint8_t runs[RUNS_BYTES];
	struct writer w = writer_of(runs, sizeof(runs));
	uint64_t at = 0;
	size_t k;

	for (k = 0; k < count; k++) {
		uint64_t start = x[k].offset >> DISK_SHIFT, length = x[k].length >> DISK_SHIFT;

		if (!(x[k].flags & NBD_STATE_DIRTY) || runs_put(&w, &at, start, length))
			continue;
		put(ds, d, i, BITMAP_MORE, (struct slice){runs, writer_len(&w)});
		w = writer_of(runs, sizeof(runs));
		at = 0;
		runs_put(&w, &at, start, length);
	}
	put(ds, d, i, BITMAP_LAST, (struct slice){runs, writer_len(&w)});
}

static int send_one(struct disks *ds, const struct disk *d, unsigned i, struct err *e)
{
	char name[48], context[80];
	const char *contexts[] = {context, NULL};
	struct loop *l = ds->part.a->loop;
	struct nbd_extent *extents = NULL;
	struct nbd *nbd;
	size_t count;
	int r;

	copy_name(ds, name, d, i);
	snprintf(context, sizeof(context), "qemu:dirty-bitmap:%s", name);
	r = nbd_open(&nbd, l, ds->nbd_socket, name, contexts, OPEN_MS, e);
	if (r)
		return r;
	r = nbd_info(nbd)->size == d->guest->virtual_size ? nbd_map(nbd, l, 0, 0, d->guest->virtual_size, &extents, &count, e)
							  : err_set(e, ESTALE, "the disk's size has changed");
	nbd_close(nbd);
	if (!r)
		send_extents(ds, d, i, extents, count);
	free(extents);
	return r;
}

static int export_one(struct disks *ds, const struct disk *d, unsigned i, struct err *e)
{
	char name[48];

	copy_name(ds, name, d, i);
	return qmp_call(ds->src->qmp, "block-export-add",
			json_pack("{s:s,s:s,s:s,s:s,s:b,s:[s]}", "type", "nbd", "id", name, "node-name", d->carried[i].node, "name", name,
				  "writable", 0, "bitmaps", name),
			NULL, e);
}

/* Of every bitmap: all exports first, as no client may come or go beside a change of them (disks.c). */
static int each(struct disks *ds, int (*fn)(struct disks *ds, const struct disk *d, unsigned i, struct err *e), struct err *e)
{
	unsigned i, k;
	int r = 0;

	for (k = 0; k < ds->count; k++)
		for (i = 0; i < ds->list[k]->carried_count && !r; i++) {
			r = fn(ds, ds->list[k], i, e);
			if (r)
				r = err_prefix(e, "the dirty bitmap %s of disk %s (--drop=bitmaps leaves such behind)",
					       ds->list[k]->carried[i].name, disk_name(ds->list[k]));
		}
	return r;
}

int disks_send_bitmaps(struct disks *ds, struct err *e)
{
	int r = each(ds, export_one, e);

	return r ? r : each(ds, send_one, e);
}

static int clean_one(struct disks *ds, const struct disk *d, unsigned i, struct err *e)
{
	char name[48];

	copy_name(ds, name, d, i);
	if (qmp_call(ds->src->qmp, "block-export-del", json_pack("{s:s,s:s}", "id", name, "mode", "hard"), NULL, e) ||
	    qmp_call(ds->src->qmp, "block-dirty-bitmap-remove", json_pack("{s:s,s:s}", "node", d->carried[i].node, "name", name), NULL, e))
		log_debug("bitmap %s: %s (removed later)", name, e->msg);
	return 0;
}

void disks_clean_bitmaps(struct disks *ds)
{
	struct err ignored;

	each(ds, clean_one, &ignored);
}

/* ---- what became of them ---- */

static const json_t *find_now(const json_t *nodes, const struct carried_bitmap *b)
{
	json_t *node, *bitmap;
	size_t i, k;

	json_array_foreach((json_t *)nodes, i, node)
		if (!strcmp(json_text(node, "node-name") ?: "", b->node))
			json_array_foreach(json_object_get(node, "dirty-bitmaps"), k, bitmap)
				if (!strcmp(json_text(bitmap, "name") ?: "", b->name))
					return bitmap;
	return NULL;
}

static bool is_as_before(const json_t *now, const struct carried_bitmap *b)
{
	return now && !json_is_true(json_object_get(now, "inconsistent")) &&
	       json_integer_value(json_object_get(now, "granularity")) == (json_int_t)b->granularity &&
	       json_is_true(json_object_get(now, "recording")) == b->recording &&
	       json_is_true(json_object_get(now, "persistent")) == b->persistent;
}

int disks_check_bitmaps(struct disks *ds, struct err *e)
{
	json_t *nodes;
	unsigned i, k;
	int r;

	for (k = 0; k < ds->count && !ds->list[k]->carried_count; k++)
		;
	if (k == ds->count)
		return 0;
	r = qmp_call(ds->src->qmp, "query-named-block-nodes", json_pack("{s:b}", "flat", 1), &nodes, e);
	if (r)
		return r;
	for (k = 0; k < ds->count; k++)
		for (i = 0; i < ds->list[k]->carried_count; i++) {
			struct carried_bitmap *b = &ds->list[k]->carried[i];

			if (is_as_before(find_now(nodes, b), b))
				continue;
			b->dropped = true;
			put(ds, ds->list[k], i, BITMAP_DROPPED, (struct slice){NULL, 0});
			report_notice(
				ds->src->report,
				"somebody has changed, or removed, the dirty bitmap %s of disk %s meanwhile: it does not go along, and its next "
				"backup has to be a full one",
				b->name, disk_name(ds->list[k]));
		}
	json_decref(nodes);
	return 0;
}
