/*
 * bitmaps.c: dirty bitmaps of the guest's own (a backup tool's) go along with its disks (storage.h). They are copied in the moment in which the old image
 * and the new one are the same and no request of the guest's is under way, so there is as much in them as there was. An image that stays keeps its own.
 */
#include "json-text.h"
#include "moving.h"
#include "qemu-names.h"
#include "util.h"

#include <errno.h>
#include <string.h>

static bool is_set(const json_t *bitmap, const char *key)
{
	return json_is_true(json_object_get(bitmap, key));
}

static int check_one(struct storage *s, struct moving_disk *d, const char *at, const json_t *bitmap, struct err *e)
{
	const char *why = is_set(bitmap, "inconsistent") ? "is not sound any more"
			  : is_set(bitmap, "busy")	 ? "is in use by another client or job"
			  : is_set(bitmap, "persistent") && strcmp(d->format, "qcow2")
				  ? "is to outlive its QEMU, and the new image is not qcow2 (--format)"
				  : NULL;

	(void)s;
	(void)at;
	if (why)
		return err_set(e, ENOTSUP, "the dirty bitmap %s of disk %s %s (--drop=bitmaps leaves such behind)",
			       json_text(bitmap, "name"), d->from, why);
	return json_array_append_new(d->bitmaps, json_string(json_text(bitmap, "name")));
}

static int copy_one(struct storage *s, struct moving_disk *d, const char *at, const json_t *bitmap, struct err *e)
{
	const char *name = json_text(bitmap, "name"), *new = d->names.format;
	int r = check_one(s, d, at, bitmap, e);

	if (!r)
		r = qmp_call(s->qmp, "block-dirty-bitmap-add",
			     json_pack("{s:s,s:s,s:O,s:b,s:b}", "node", new, "name", name, "granularity",
				       json_object_get(bitmap, "granularity"), "persistent", is_set(bitmap, "persistent"), "disabled",
				       !is_set(bitmap, "recording")),
			     NULL, e);
	if (!r)
		r = qmp_call(s->qmp, "block-dirty-bitmap-merge",
			     json_pack("{s:s,s:s,s:[{s:s,s:s}]}", "node", new, "target", name, "bitmaps", "node", at, "name", name), NULL,
			     e);
	return r ? err_prefix(e, "the dirty bitmap %s of disk %s", name, d->from) : 0;
}

typedef int one_fn(struct storage *s, struct moving_disk *d, const char *at, const json_t *bitmap, struct err *e);

static int each_of(struct storage *s, struct moving_disk *d, const json_t *node, one_fn *fn, struct err *e)
{
	json_t *bitmap;
	size_t i;
	int r = 0;

	json_array_foreach(json_object_get(node, "dirty-bitmaps"), i, bitmap) {
		const char *name = json_text(bitmap, "name"); /* a job's has none */

		if (!r && name && *name && !text_starts_with(name, QEMU_PREFIX))
			r = fn(s, d, json_text(node, "node-name"), bitmap, e);
	}
	return r;
}

/* True if node is the disk's own, or the mirror's filter above it, which is what a drive's name means while the mirror runs. */
static bool is_of(const char *node, const struct moving_disk *d)
{
	return node && (!strcmp(node, d->node) || !strcmp(node, d->names.filter));
}

/* Calls fn for every dirty bitmap that exists now. */
static int each(struct storage *s, one_fn *fn, struct err *e)
{
	json_t *nodes, *node;
	size_t k;
	int r = s->o->accept & DISK_ACCEPT_BITMAPS ? 1
						   : qmp_call(s->qmp, "query-named-block-nodes", json_pack("{s:b}", "flat", 1), &nodes, e);

	if (r)
		return MIN(r, 0);
	for (unsigned i = 0; i < s->count; i++)
		json_array_clear(s->disks[i].bitmaps);
	json_array_foreach(nodes, k, node)
		for (unsigned i = 0; i < s->count; i++)
			if (!r && is_of(json_text(node, "node-name"), &s->disks[i]))
				r = each_of(s, &s->disks[i], node, fn, e);
	json_decref(nodes);
	return r;
}

int bitmaps_check(struct storage *s, struct err *e)
{
	return each(s, check_one, e);
}

int bitmaps_copy(struct storage *s, struct err *e)
{
	return each(s, copy_one, e);
}
