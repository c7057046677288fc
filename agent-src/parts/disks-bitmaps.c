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
#include "qemu-names.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define OPEN_MS	   10000
#define RUNS_BYTES 4096	 /* size of the runs in one message */
#define PIECE	   65536 /* bytes: finer than that nothing goes along */

/* ---- which there are ---- */

bool disks_carry_bitmaps(const struct disks *ds)
{
	return !ds->rests && !ds->src->libvirt.is_its && !ds->src->traits.stays_here && !(ds->src->opt->disks.accept & DISK_ACCEPT_BITMAPS);
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
	bool replicas = text_starts_with(name, "vmfr-");

	report_notice(ds->src->report, "block node %s has the dirty bitmap %s, %s, which does not go along: %s", node, name,
		      replicas ? "its replica's" : "a backup tool's",
		      replicas ? "all of that disk is compared for the next point" : "its next backup has to be a full one");
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

/* A bitmap reaches its image only when that is closed, if at all. Only QEMU's own migration of disks would carry it along. */
static int find_one(struct disks *ds, const json_t *node, const json_t *bitmap, struct err *e)
{
	struct disk *d = disk_of_node(ds, node);
	const char *name = json_text(bitmap, "name");
	bool persistent = json_is_true(json_object_get(bitmap, "persistent")), stays = d && disk_is_to(ds, d->guest, "shared");
	bool dropped = (d && d->left_behind) || ds->src->opt->disks.accept & DISK_ACCEPT_BITMAPS;

	if (!name || text_starts_with(name, QEMU_PREFIX) || point_bitmap_is_own(ds, name) || (persistent && (stays || dropped)))
		return 0;
	if (!d && persistent) /* an image that is carried as a file brings its bitmaps along */
		return 0;
	if (d && !stays && !dropped && disks_carry_bitmaps(ds) && is_sound(bitmap) && !d->guest->named_by_json &&
	    d->carried_count < BITMAPS_MAX) {
		keep(d, node, bitmap);
		return 0;
	}
	if (ds->has_jobs && json_is_true(json_object_get(bitmap, "busy"))) /* the job is in the way, and has it */
		return 0;
	if (d && !stays && persistent && disks_carry_bitmaps(ds))
		return err_set(e, ENOTSUP,
			       "the persistent dirty bitmap %s of disk %s is %s, and would be lost (--drop=bitmaps leaves such behind)",
			       name, disk_name(d),
			       is_sound(bitmap) ? "one of too many, or of a disk whose name only QEMU understands"
						: "in use by another client or job, or no longer sound");
	tell_of_loss(ds, json_text(node, "node-name") ?: "?", name);
	return 0;
}

int disks_find_bitmaps(struct disks *ds, struct err *e)
{
	json_auto_t *nodes = NULL;
	json_t *node, *bitmap;
	size_t i, k;
	int r;

	if (ds->src->traits.stays_here)
		return 0;
	r = qmp_call(ds->src->qmp, "query-named-block-nodes", json_pack("{s:b}", "flat", 1), &nodes, e);
	if (r)
		return r;
	json_array_foreach(nodes, i, node)
		json_array_foreach(json_object_get(node, "dirty-bitmaps"), k, bitmap)
			if (!r && find_one(ds, node, bitmap, e))
				r = source_obstacle(ds->src, e);
	return r;
}

json_t *disk_describe_bitmaps(const struct disk *d)
{
	json_t *out = json_array();

	for (unsigned i = 0; i < d->carried_count; i++)
		json_array_append_new(out, json_pack("{s:s,s:I,s:b,s:b}", "name", d->carried[i].name, "granularity",
						     (json_int_t)d->carried[i].granularity, "persistent", d->carried[i].persistent,
						     "recording", d->carried[i].recording));
	return out;
}

json_t *disk_tell_bitmaps(const struct disk *d)
{
	json_t *out = d->carried_count ? json_array() : NULL;

	for (unsigned i = 0; i < d->carried_count; i++)
		json_array_append_new(out, json_string(d->carried[i].name));
	return out;
}

void disk_forget_bitmaps(struct disk *d)
{
	for (unsigned i = 0; i < d->carried_count; i++) {
		free(d->carried[i].name);
		free(d->carried[i].node);
	}
	free(d->carried);
	d->carried = NULL;
	d->carried_count = 0;
}

/* Persistent bitmaps stay in the image of a disk that stays; the others exist only in this QEMU's memory and are lost. */
int disk_agree_bitmaps(struct disks *ds, struct disk *d, const json_t *said, struct err *e)
{
	if (!d->carried_count || (!d->stays && json_is_true(json_object_get(said, "bitmaps"))))
		return 0;
	for (unsigned i = 0; i < d->carried_count; i++) {
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

/* 'c': of its copy, and of the export through which that is read; 's': of its shadow, which shows whether anybody adds to it but by the guest's writes. */
static void name_for(const struct disks *ds, char out[48], char what, const struct disk *d, unsigned i)
{
	char prefix[QEMU_PREFIX_MAX];

	snprintf(out, 48, "%s%u-%c%u", qemu_prefix(prefix, ds->part.a->id), d->object, what, i);
}

static json_t *action(const char *type, json_t *data /* stolen */)
{
	return json_pack("{s:s,s:o}", "type", type, "data", data);
}

static json_t *action_add(const struct carried_bitmap *b, const char *name, bool records)
{
	return action("block-dirty-bitmap-add", json_pack("{s:s,s:s,s:I,s:b}", "node", b->node, "name", name, "granularity",
							  (json_int_t)MAX(b->granularity, PIECE), "disabled", !records));
}

static json_t *action_merge(const struct carried_bitmap *b, const char *name)
{
	return action("block-dirty-bitmap-merge", json_pack("{s:s,s:s,s:[s]}", "node", b->node, "target", name, "bitmaps", b->name));
}

typedef int each_fn(struct disks *ds, struct disk *d, unsigned i, void *arg, struct err *e);

/* Calls fn for every bitmap that is carried. */
static int each(struct disks *ds, each_fn *fn, void *arg, struct err *e)
{
	unsigned i, k;
	int r = 0;

	for (k = 0; k < ds->count; k++)
		for (i = 0; i < ds->list[k]->carried_count && !r; i++)
			if (!ds->list[k]->carried[i].dropped)
				r = fn(ds, ds->list[k], i, arg, e);
	return r;
}

static int copy_one(struct disks *ds, struct disk *d, unsigned i, void *actions, struct err *e)
{
	const struct carried_bitmap *b = &d->carried[i];
	char name[48];

	(void)e;
	name_for(ds, name, 'c', d, i);
	json_array_append_new(actions, action_add(b, name, false));
	json_array_append_new(actions, action_merge(b, name));
	name_for(ds, name, 's', d, i);
	json_array_append_new(actions, action_add(b, name, true));
	json_array_append_new(actions, action_merge(b, name));
	return 0;
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

	for (size_t k = 0; k < count; k++) {
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

static int send_one(struct disks *ds, struct disk *d, unsigned i, void *arg, struct err *e)
{
	char name[48], context[80];
	const char *contexts[] = {context, NULL};
	struct loop *l = ds->part.a->loop;
	AUTO_FREE struct nbd_extent *extents = NULL;
	struct nbd *nbd;
	size_t count;
	int r;

	(void)arg;
	name_for(ds, name, 'c', d, i);
	snprintf(context, sizeof(context), "qemu:dirty-bitmap:%s", name);
	r = nbd_open(&nbd, l, ds->nbd_socket, name, contexts, OPEN_MS, e);
	if (!r) {
		r = nbd_info(nbd)->size == d->guest->virtual_size ? nbd_map(nbd, l, 0, 0, d->guest->virtual_size, &extents, &count, e)
								  : err_set(e, ESTALE, "the disk's size has changed");
		nbd_close(nbd);
	}
	if (!r)
		send_extents(ds, d, i, extents, count);
	return r ? err_prefix(e, "the dirty bitmap %s of disk %s (--drop=bitmaps leaves such behind)", d->carried[i].name, disk_name(d))
		 : 0;
}

int disks_send_bitmaps(struct disks *ds, struct err *e)
{
	return each(ds, send_one, NULL, e);
}

static int export_one(struct disks *ds, struct disk *d, unsigned i, void *arg, struct err *e)
{
	char name[48];

	(void)arg;
	name_for(ds, name, 'c', d, i);
	return qmp_call(ds->src->qmp, "block-export-add",
			json_pack("{s:s,s:s,s:s,s:s,s:b,s:[s]}", "type", "nbd", "id", name, "node-name", d->carried[i].node, "name", name,
				  "writable", 0, "bitmaps", name),
			NULL, e);
}

int disks_export_bitmaps(struct disks *ds, struct err *e)
{
	return each(ds, export_one, NULL, e);
}

static int clean_one(struct disks *ds, struct disk *d, unsigned i, void *arg, struct err *e)
{
	char name[48];

	(void)arg;
	name_for(ds, name, 'c', d, i);
	if (qmp_call(ds->src->qmp, "block-export-del", json_pack("{s:s,s:s}", "id", name, "mode", "hard"), NULL, e) ||
	    qmp_call(ds->src->qmp, "block-dirty-bitmap-remove", json_pack("{s:s,s:s}", "node", d->carried[i].node, "name", name), NULL, e))
		log_debug("bitmap %s: %s (removed later)", name, e->msg);
	return 0;
}

void disks_clean_bitmaps(struct disks *ds)
{
	struct err ignored;

	each(ds, clean_one, NULL, &ignored);
}

/* ---- what became of them ---- */

static const json_t *find_now(const json_t *nodes, const char *at, const char *name)
{
	return json_find(json_object_get(json_find(nodes, "node-name", at), "dirty-bitmaps"), "name", name);
}

static bool is_as_before(const json_t *now, const struct carried_bitmap *b)
{
	return now && !json_is_true(json_object_get(now, "inconsistent")) &&
	       json_integer_value(json_object_get(now, "granularity")) == (json_int_t)b->granularity &&
	       json_is_true(json_object_get(now, "recording")) == b->recording &&
	       json_is_true(json_object_get(now, "persistent")) == b->persistent;
}

static int query_nodes(struct disks *ds, json_t **nodes, struct err *e)
{
	return qmp_call(ds->src->qmp, "query-named-block-nodes", json_pack("{s:b}", "flat", 1), nodes, e);
}

static void drop(struct disks *ds, struct disk *d, unsigned i)
{
	d->carried[i].dropped = true;
	put(ds, d, i, BITMAP_DROPPED, (struct slice){NULL, 0});
	report_notice(
		ds->src->report,
		"another client changed or removed the dirty bitmap %s of disk %s meanwhile: the bitmap is not moved, and the next backup "
		"has to be a full one",
		d->carried[i].name, disk_name(d));
}

static int look_at_one(struct disks *ds, struct disk *d, unsigned i, void *nodes, struct err *e)
{
	const struct carried_bitmap *b = &d->carried[i];

	(void)e;
	if (!is_as_before(find_now(nodes, b->node, b->name), b))
		drop(ds, d, i);
	return 0;
}

static int count_one(struct disks *ds, struct disk *d, unsigned i, void *any, struct err *e)
{
	(void)ds, (void)d, (void)i, (void)e;
	*(bool *)any = true;
	return 0;
}

static bool goes_any(struct disks *ds)
{
	struct err ignored;
	bool any = false;

	each(ds, count_one, &any, &ignored);
	return any;
}

int disks_copy_bitmaps(struct disks *ds, json_t *actions, struct err *e)
{
	json_t *nodes;
	int r = goes_any(ds) ? query_nodes(ds, &nodes, e) : 1;

	if (r)
		return MIN(r, 0);
	each(ds, look_at_one, nodes, e);
	json_decref(nodes);
	return each(ds, copy_one, actions, e);
}

static json_int_t shadow_count(const struct disks *ds, const struct disk *d, unsigned i, const json_t *nodes)
{
	char name[48];

	name_for(ds, name, 's', d, i);
	return json_integer_value(json_object_get(find_now(nodes, d->carried[i].node, name), "count"));
}

/* The shadow has what was in it and what the guest has written since: with what is in it now it has no more, or somebody has merged another into it. */
static int merge_one(struct disks *ds, struct disk *d, unsigned i, void *actions, struct err *e)
{
	char name[48];

	(void)e;
	name_for(ds, name, 's', d, i);
	json_array_append_new(actions, action_merge(&d->carried[i], name));
	return 0;
}

struct before_after {
	json_t *before, *after;
};

static int compare_one(struct disks *ds, struct disk *d, unsigned i, void *arg, struct err *e)
{
	const struct before_after *k = arg;

	(void)e;
	if (shadow_count(ds, d, i, k->before) != shadow_count(ds, d, i, k->after))
		drop(ds, d, i);
	return 0;
}

int disks_check_bitmaps(struct disks *ds, struct err *e)
{
	struct before_after k = {NULL, NULL};
	json_t *actions;
	int r = goes_any(ds) ? query_nodes(ds, &k.before, e) : 1;

	if (r)
		return MIN(r, 0);
	each(ds, look_at_one, k.before, e);
	actions = json_array();
	each(ds, merge_one, actions, e);
	r = qmp_call(ds->src->qmp, "transaction", json_pack("{s:o}", "actions", actions), NULL, e) ?: query_nodes(ds, &k.after, e);
	if (!r)
		each(ds, compare_one, &k, e);
	json_decref(k.before);
	json_decref(k.after);
	return r;
}
