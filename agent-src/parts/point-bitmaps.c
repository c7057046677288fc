/* point-bitmaps.c: see point-bitmaps.h. */
#include "point-bitmaps.h"
#include "disks-private.h"
#include "json-text.h"
#include "qemu-names.h"
#include "replica-sync.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define GRANULARITY 4096 /* bytes: up to 512 GiB a disk; of larger ones so many that a bitmap has 16 MiB */
#define BITS_MAX    (1ULL << 27)

#define TWIN_GRANULARITY 65536 /* bytes */

void point_bitmap_name(const struct disks *ds, char out[POINT_BITMAP_NAME], uint64_t number)
{
	snprintf(out, POINT_BITMAP_NAME, "vmfr-%s-%llu", ds->since.sync->pair, (unsigned long long)number);
}

static json_t *reference(const struct disk *d, const char *name)
{
	return json_pack("{s:s,s:s}", "node", d->guest->node, "name", name);
}

static void add_action(json_t *actions, const char *type, json_t *data)
{
	json_array_append_new(actions, json_pack("{s:s,s:o}", "type", type, "data", data));
}

int point_bitmaps_transact(struct disks *ds, json_t *actions, struct err *e)
{
	return qmp_call(ds->src->qmp, "transaction", json_pack("{s:o}", "actions", actions), NULL, e);
}

/* ---- which bitmaps there are ---- */

enum state { ABSENT, ENDED, RECORDS };

/* Borrowed; NULL: the disk has none of that name. */
static const json_t *find_bitmap(json_t *nodes, const struct disk *d, const char *name)
{
	return json_find(json_object_get(json_find(nodes, "node-name", d->guest->node), "dirty-bitmaps"), "name", name);
}

static enum state state_of(json_t *nodes, const struct disk *d, const char *name)
{
	const json_t *bitmap = find_bitmap(nodes, d, name);

	if (!bitmap || json_is_true(json_object_get(bitmap, "inconsistent")))
		return ABSENT;
	return json_is_true(json_object_get(bitmap, "recording")) ? RECORDS : ENDED;
}

/* Writes to such a disk are in no point. */
static bool is_left(const struct disk *d)
{
	return d->left_behind || d->since.left_out;
}

/* True if the bitmaps of all disks are in this state: a bitmap that only some disks have is of no use. */
static bool all_are(const struct disks *ds, json_t *nodes, uint64_t number, enum state state)
{
	char name[POINT_BITMAP_NAME];
	unsigned i, have = 0;

	point_bitmap_name(ds, name, number);
	for (i = 0; i < ds->count; i++) {
		if (is_left(ds->list[i]))
			continue;
		if (state_of(nodes, ds->list[i], name) != state)
			return false;
		have++;
	}
	return have;
}

/* The highest number on the first disk; 0: none. */
static uint64_t highest(const struct disks *ds, json_t *nodes)
{
	AUTO_FREE char *prefix = xasprintf("vmfr-%s-", ds->since.sync->pair);
	uint64_t most = 0;
	json_t *node, *bitmap;
	size_t i, k;

	json_array_foreach(nodes, i, node)
		json_array_foreach(json_object_get(node, "dirty-bitmaps"), k, bitmap) {
			const char *name = json_text(bitmap, "name") ?: "";

			if (text_starts_with(name, prefix))
				most = MAX(most, strtoull(name + strlen(prefix), NULL, 10));
		}
	return most;
}

static uint64_t bytes_in(json_t *nodes, const struct disk *d, const char *name)
{
	json_int_t n = json_integer_value(json_object_get(find_bitmap(nodes, d, name), "count"));

	return n > 0 ? (uint64_t)n : 0;
}

/* Bytes that are to be sent at most: the older bitmap's may be there already. */
static uint64_t bytes_since(const struct disks *ds, json_t *nodes, const struct disk *d)
{
	char name[POINT_BITMAP_NAME];
	uint64_t bytes;

	if (is_left(d))
		return d->since.left_out ? d->guest->allocated : 0;
	point_bitmap_name(ds, name, ds->since.recording);
	bytes = bytes_in(nodes, d, name);
	point_bitmap_name(ds, name, ds->since.recording - 1);
	return bytes + (ds->since.two ? bytes_in(nodes, d, name) : 0);
}

/* Lower bound of the data behind a bitmap's marks: a marked block may hold one write of 4 KiB, and parts without data in the image may
 * have been discarded. */
static uint64_t certain(json_t *nodes, const struct disk *d, const char *name)
{
	json_int_t block = json_integer_value(json_object_get(find_bitmap(nodes, d, name), "granularity"));
	uint64_t written = bytes_in(nodes, d, name) / (uint64_t)MAX(block, GRANULARITY) * GRANULARITY;
	uint64_t has = d->guest->lacks.snapshots ? 0 : MIN(d->guest->allocated, d->guest->virtual_size);

	return written + has > d->guest->virtual_size ? written + has - d->guest->virtual_size : 0;
}

/* Contents in both bitmaps are sent once, so together they need at least as much as the larger one. */
static void look_at_least(const struct disks *ds, json_t *nodes, struct disk *d)
{
	for (unsigned i = 0; i < ARRAY_LEN(d->since.least); i++) {
		char name[POINT_BITMAP_NAME];

		point_bitmap_name(ds, name, ds->since.recording - i);
		d->since.least[i] = is_left(d) || i > ds->since.two ? 0 : certain(nodes, d, name);
		if (i)
			d->since.least[i] = MAX(d->since.least[i], d->since.least[i - 1]);
	}
}

int point_bitmaps_look(struct disks *ds, struct err *e)
{
	json_auto_t *nodes = NULL;
	int r = qmp_call(ds->src->qmp, "query-named-block-nodes", json_pack("{s:b}", "flat", 1), &nodes, e);

	if (r)
		return r;
	ds->since.recording = highest(ds, nodes);
	ds->since.records = ds->since.recording && all_are(ds, nodes, ds->since.recording, RECORDS);
	ds->since.two = ds->since.records && ds->since.recording > 1 && all_are(ds, nodes, ds->since.recording - 1, ENDED);
	for (unsigned i = 0; i < ds->count; i++) {
		ds->list[i]->since.bytes = bytes_since(ds, nodes, ds->list[i]);
		look_at_least(ds, nodes, ds->list[i]);
	}
	return 0;
}

bool point_bitmaps_are_round_0(const struct disks *ds)
{
	return ds->since.sync && ds->since.sync->planned;
}

bool point_bitmap_is_own(const struct disks *ds, const char *name)
{
	AUTO_FREE char *prefix = ds->since.sync ? xasprintf("vmfr-%s-", ds->since.sync->pair) : NULL;

	return prefix && text_starts_with(name, prefix);
}

uint64_t point_bitmap_bytes(const struct disks *ds, json_t *nodes, const struct disk *d)
{
	char name[POINT_BITMAP_NAME];

	point_bitmap_that_ends(ds, name, d);
	return bytes_in(nodes, d, name);
}

/* ---- what both ends say of them ---- */

void point_bitmaps_describe(const struct disks *ds, json_t *out)
{
	const struct point_bitmaps *b = &ds->since;
	json_t *since = json_array(), *replica;

	for (unsigned i = 0; i < ds->count; i++) {
		json_t *described = json_array_get(ds->described, ds->list[i]->object - OBJECT_DISK_BASE);

		if (b->records) {
			json_object_set_new(described, "since_bytes", json_integer((json_int_t)ds->list[i]->since.bytes));
			json_object_set_new(described, "since_least",
					    json_pack("[I,I]", (json_int_t)ds->list[i]->since.least[0],
						      (json_int_t)ds->list[i]->since.least[1]));
		}
		if (ds->list[i]->since.left_out)
			json_object_set_new(described, "whole", json_true());
	}
	if (b->records && !b->sync->whole) {
		json_array_append_new(since, json_integer((json_int_t)b->recording));
		if (b->two)
			json_array_append_new(since, json_integer((json_int_t)b->recording - 1));
	}
	replica = json_pack("{s:s,s:I,s:s,s:o}", "pair", b->sync->pair, "term", (json_int_t)b->sync->term, "keep", b->sync->keep, "since",
			    since);
	if (b->sync->asks_start)
		json_object_set_new(replica, "plans", json_true());
	if (b->sync->planned)
		json_object_set_new(replica, "planned", json_true());
	json_object_set_new(out, "replica", replica);
}

static bool is_known(const struct point_bitmaps *b, uint64_t from)
{
	return b->records && (from == b->recording || (b->two && from == b->recording - 1));
}

int point_bitmaps_agree(struct disks *ds, const json_t *accept, struct err *e)
{
	const json_t *said = json_object_get(accept, "replica");
	json_int_t number = json_integer_value(json_object_get(said, "number")), from = json_integer_value(json_object_get(said, "from"));

	if (number < 1 || from < 0 || from >= number)
		return err_set(e, EPROTO, "the destination's plan does not say which point comes next");
	if (from && !is_known(&ds->since, (uint64_t)from))
		return err_set(e, EPROTO, "the destination wants what was written since point %lld, which is not known here",
			       (long long)from);
	ds->since.from = (uint64_t)from;
	ds->since.sync->outcome.number = (uint64_t)number;
	ds->since.sync->outcome.was_whole = !from;
	return 0;
}

/* ---- how they change ---- */

static void merge(json_t *actions, const struct disk *d, const char *from, const char *into)
{
	add_action(actions, "block-dirty-bitmap-merge",
		   json_pack("{s:s,s:s,s:[s]}", "node", d->guest->node, "target", into, "bitmaps", from));
}

/* The newer bitmap's part is added to the one that records since the point that is there, which goes on. */
static void merge_newer(struct disks *ds, json_t *actions)
{
	char older[POINT_BITMAP_NAME], newer[POINT_BITMAP_NAME];

	point_bitmap_name(ds, newer, ds->since.recording);
	point_bitmap_name(ds, older, ds->since.recording - 1);
	for (unsigned i = 0; i < ds->count; i++) {
		const struct disk *d = ds->list[i];

		if (is_left(d))
			continue;
		add_action(actions, "block-dirty-bitmap-enable", reference(d, older)); /* first: what is written in between is in it */
		merge(actions, d, newer, older);
		add_action(actions, "block-dirty-bitmap-remove", reference(d, newer));
	}
}

void point_bitmaps_drop_older(struct disks *ds, json_t *actions)
{
	char older[POINT_BITMAP_NAME];

	point_bitmap_name(ds, older, ds->since.recording - 1);
	for (unsigned i = 0; i < ds->count; i++)
		if (!is_left(ds->list[i]))
			add_action(actions, "block-dirty-bitmap-remove", reference(ds->list[i], older));
}

static int remove_bitmaps(struct disks *ds, struct err *e)
{
	AUTO_FREE char *prefix = xasprintf("vmfr-%s-", ds->since.sync->pair);

	return qemu_undo_bitmaps(ds->src->qmp, prefix, e);
}

/* Leaves bitmap `from` alone to record on all disks; without `from`, removes all bitmaps. */
int point_bitmaps_settle(struct disks *ds, struct err *e)
{
	json_t *actions;
	int r;

	if (!ds->since.from)
		return remove_bitmaps(ds, e);
	if (!ds->since.two)
		return 0;
	actions = json_array();
	if (ds->since.from == ds->since.recording)
		point_bitmaps_drop_older(ds, actions);
	else
		merge_newer(ds, actions);
	r = point_bitmaps_transact(ds, actions, e);
	ds->since.recording = ds->since.from;
	ds->since.two = false;
	return r ? err_prefix(e, "bitmaps of the replica") : 0;
}

static unsigned granularity_of(const struct disk *d)
{
	unsigned bytes = GRANULARITY;

	while (d->guest->virtual_size / bytes > BITS_MAX)
		bytes *= 2;
	return bytes;
}

/* Name of the bitmap that says what is in the last delta: the replica's own, or that of the rounds so far. */
void point_bitmap_that_ends(const struct disks *ds, char out[POINT_BITMAP_NAME], const struct disk *d)
{
	if (ds->since.from)
		point_bitmap_name(ds, out, ds->since.from);
	else
		disk_bitmap_name(ds, out, d, d->progress.bitmap);
}

void point_bitmap_twin(const struct disks *ds, char out[POINT_BITMAP_NAME], const struct disk *d)
{
	char prefix[QEMU_PREFIX_MAX];

	snprintf(out, POINT_BITMAP_NAME, "%s%u-twin", qemu_prefix(prefix, ds->part.a->id), d->object);
}

/* A job copies clusters of 64 KiB anyway. With finer blocks than the bitmap that ends a twin would lack what that has. */
static unsigned twin_granularity(json_t *nodes, const struct disk *d, const char *ends)
{
	json_int_t n = json_integer_value(json_object_get(find_bitmap(nodes, d, ends), "granularity"));

	return (unsigned)MAX(n, TWIN_GRANULARITY);
}

int point_bitmaps_double(struct disks *ds, json_t *nodes, struct err *e)
{
	char ends[POINT_BITMAP_NAME], twin[POINT_BITMAP_NAME];
	json_t *actions = json_array();

	for (unsigned i = 0; i < ds->count; i++) {
		const struct disk *d = ds->list[i];

		point_bitmap_that_ends(ds, ends, d);
		point_bitmap_twin(ds, twin, d);
		add_action(actions, "block-dirty-bitmap-add",
			   json_pack("{s:s,s:s,s:i,s:b}", "node", d->guest->node, "name", twin, "granularity",
				     (int)twin_granularity(nodes, d, ends), "persistent", 0));
		merge(actions, d, ends, twin);
	}
	return point_bitmaps_transact(ds, actions, e);
}

void point_bitmaps_change(const struct disks *ds, json_t *actions)
{
	char ends[POINT_BITMAP_NAME], begins[POINT_BITMAP_NAME];

	point_bitmap_name(ds, begins, ds->since.sync->outcome.number);
	for (unsigned i = 0; i < ds->count; i++) {
		const struct disk *d = ds->list[i];

		if (is_left(d))
			continue;
		point_bitmap_that_ends(ds, ends, d);
		add_action(actions, "block-dirty-bitmap-add",
			   json_pack("{s:s,s:s,s:i,s:b}", "node", d->guest->node, "name", begins, "granularity", (int)granularity_of(d),
				     "persistent", 0));
		add_action(actions, "block-dirty-bitmap-disable", reference(d, ends));
	}
}
