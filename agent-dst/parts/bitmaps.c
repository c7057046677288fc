/* bitmaps.c: see bitmaps.h. */
#include "bitmaps.h"
#include "json-text.h"
#include "messages.h"
#include "object.h"
#include "util.h"

#include <errno.h>
#include <string.h>

#define UNIT_SHIFT_MIN 16	    /* unit in which writes are known: 64 KiB */
#define UNITS_MAX      (1ULL << 24) /* units of one bitmap, which take 2 MiB of memory; a larger disk has larger units */
/* runs that are written where a guest may stand still: if there are more, some become one, with what is between them */
#define RUNS_MAX	32768
#define GRANULARITY_MAX (2U << 30)
#define IN_FLIGHT	64
#define OPEN_MS		10000
#define STEP_MS		1000
#define SILENT_MS	20000

/* ---- what they are ---- */

static int plan_one(struct arriving_bitmap *b, const json_t *said, uint64_t units, struct err *e)
{
	const char *name = json_text(said, "name");
	json_int_t granularity = json_integer_value(json_object_get(said, "granularity"));

	if (!name || !*name || strlen(name) > 1023 || granularity < DISK_SECTOR || granularity > GRANULARITY_MAX ||
	    granularity & (granularity - 1))
		return err_set(e, EPROTO, "the source's description of a dirty bitmap is incomplete, or none of QEMU's");
	*b = (struct arriving_bitmap){.name = xstrdup(name),
				      .granularity = (uint32_t)granularity,
				      .persistent = json_is_true(json_object_get(said, "persistent")),
				      .recording = json_is_true(json_object_get(said, "recording"))};
	unit_set_init(&b->bits, units);
	return 0;
}

static bool has_name(const struct arriving_disk *d, const char *name)
{
	for (unsigned i = 0; i < d->bitmaps.count; i++)
		if (!strcmp(d->bitmaps.list[i].name, name))
			return true;
	return false;
}

int bitmaps_plan(struct arriving_disk *d, const json_t *described, struct err *e)
{
	size_t n = json_array_size(described), i;
	uint64_t units;
	int r = 0;

	if (!n)
		return 0;
	if (n > BITMAPS_MAX || d->as_file || d->empty || !d->virtual_size || d->virtual_size > INT64_MAX)
		return err_set(e, EPROTO, "the source describes %zu dirty bitmaps of disk %s", n, d->source.name);
	for (d->bitmaps.shift = UNIT_SHIFT_MIN; d->virtual_size >> d->bitmaps.shift >= UNITS_MAX; d->bitmaps.shift++)
		;
	units = (d->virtual_size >> d->bitmaps.shift) + 1;
	unit_set_init(&d->bitmaps.written, units);
	d->bitmaps.list = xcalloc(n, sizeof(*d->bitmaps.list));
	for (i = 0; i < n && !r; i++) {
		const json_t *said = json_array_get(described, i);

		r = has_name(d, json_text(said, "name") ?: "") ? err_set(e, EPROTO, "the source describes two dirty bitmaps of one name")
							       : plan_one(&d->bitmaps.list[i], said, units, e);
		d->bitmaps.count += !r;
	}
	return r;
}

void bitmaps_fini(struct arriving_disk *d)
{
	for (unsigned i = 0; i < d->bitmaps.count; i++) {
		free(d->bitmaps.list[i].name);
		unit_set_fini(&d->bitmaps.list[i].bits);
	}
	unit_set_fini(&d->bitmaps.written);
	free(d->bitmaps.list);
	free(d->bitmaps.node);
}

/* ---- what is in them ---- */

/* Runs of sectors, which the channel has checked. */
static void add_runs(struct unit_set *to, unsigned shift, const uint8_t *runs, size_t n)
{
	struct reader rd = reader_of(runs, n);
	uint64_t at = 0, start, length;

	while (runs_get(&rd, &at, UINT64_MAX >> DISK_SHIFT, &start, &length) > 0) {
		uint64_t first = start << DISK_SHIFT >> shift, last = ((start + length) << DISK_SHIFT) - 1;

		unit_set_add(to, first, (last >> shift) - first + 1);
	}
}

/* ---- making them ---- */

/* Writes zeros to a disk of no contents. */
struct setter {
	struct nbd *nbd;
	struct slot {
		struct nbd_req req;
		struct setter *of;
		bool busy;
	} slot[IN_FLIGHT];
	unsigned busy;
	int res;
};

static void on_zeroed(struct nbd_req *req, int res)
{
	struct slot *slot = container_of(req, struct slot, req);

	slot->busy = false;
	slot->of->busy--;
	slot->of->res = slot->of->res ?: res;
}

static int wait_for_room(struct setter *s, struct loop *l, unsigned busy_at_most, struct err *e)
{
	uint64_t until = now_ns() + SILENT_MS * 1000000ULL;
	unsigned busy = s->busy;

	while (s->busy > busy_at_most && !s->res) {
		if (loop_step(l, STEP_MS, e))
			return -e->code;
		if (s->busy != busy)
			until = now_ns() + SILENT_MS * 1000000ULL;
		busy = s->busy;
		if (now_ns() > until)
			return err_set(e, ETIMEDOUT, "QEMU does not take what is in a dirty bitmap");
	}
	return s->res ? err_sys(e, -s->res, "QEMU does not take what is in a dirty bitmap") : 0;
}

static int zero(struct setter *s, struct loop *l, uint64_t offset, uint64_t bytes, struct err *e)
{
	uint32_t n;
	unsigned i;

	for (; bytes; offset += n, bytes -= n) {
		n = (uint32_t)MIN(bytes, NBD_MAX_SPAN);
		if (wait_for_room(s, l, IN_FLIGHT - 1, e))
			return -e->code;
		for (i = 0; s->slot[i].busy; i++)
			;
		s->slot[i].busy = true;
		s->slot[i].req.done = on_zeroed;
		s->busy++;
		nbd_zero(s->nbd, &s->slot[i].req, offset, n);
	}
	return 0;
}

/* The next run, and those that begin within `gap` units behind one another. */
static bool next_joined(const struct unit_set *which, uint64_t gap, uint64_t *at, uint64_t *first, uint64_t *n)
{
	uint64_t then, more, next;

	if (!unit_set_next(which, at, first, n))
		return false;
	for (next = *at; unit_set_next(which, &next, &then, &more) && then - (*first + *n) < gap; *at = next)
		*n = then + more - *first;
	return true;
}

static uint64_t runs_with(const struct unit_set *which, uint64_t gap)
{
	uint64_t at = 0, first, n, runs = 0;

	while (next_joined(which, gap, &at, &first, &n))
		runs++;
	return runs;
}

static int set_bits(struct disks *ds, const struct arriving_disk *d, const struct unit_set *which, uint64_t runs_max, const char *export,
		    struct err *e)
{
	struct loop *l = ds->part.a->loop;
	AUTO_FREE struct setter *s = xcalloc(1, sizeof(*s));
	uint64_t at = 0, first, n, gap = 1;
	int r = nbd_open(&s->nbd, l, ds->nbd_socket, export, NULL, OPEN_MS, e);

	for (unsigned i = 0; i < IN_FLIGHT; i++)
		s->slot[i].of = s;
	while (runs_with(which, gap) > runs_max)
		gap *= 2;
	while (!r && next_joined(which, gap, &at, &first, &n)) {
		uint64_t from = first << d->bitmaps.shift;

		r = zero(s, l, from, MIN(n << d->bitmaps.shift, d->virtual_size - from), e);
	}
	r = r ?: wait_for_room(s, l, 0, e);
	if (r && s->nbd)
		nbd_drop(s->nbd);
	nbd_close(s->nbd);
	return r;
}

/* "vmferry-3-bitmap-0": what is there for a moment. */
static char *name_of(const struct arriving_disk *d, unsigned i)
{
	return xasprintf("vmferry-%u-bitmap-%u", d->object, i);
}

static int add_node(struct disks *ds, const struct arriving_disk *d, unsigned i, const char *name, struct err *e)
{
	struct qmp *q = ds->target->qmp;
	int r = qmp_call(q, "blockdev-add",
			 json_pack("{s:s,s:s,s:I,s:b}", "driver", "null-co", "node-name", name, "size", (json_int_t)d->virtual_size,
				   "read-zeroes", 1),
			 NULL, e);

	return r ? r
		 : qmp_call(q, "block-dirty-bitmap-add",
			    json_pack("{s:s,s:s,s:I}", "node", name, "name", name, "granularity",
				      (json_int_t)d->bitmaps.list[i].granularity),
			    NULL, e);
}

static int add_export(struct disks *ds, const char *name, struct err *e)
{
	return qmp_call(ds->target->qmp, "block-export-add",
			json_pack("{s:s,s:s,s:s,s:s,s:b}", "type", "nbd", "id", name, "node-name", name, "name", name, "writable", 1), NULL,
			e);
}

/* A function for every bitmap that is to be made: d is its disk, i its number among that disk's bitmaps. */
typedef int each_fn(struct disks *ds, struct arriving_disk *d, unsigned i, struct err *e);

static int each(struct disks *ds, each_fn *fn, struct err *e)
{
	int r = 0;

	for (size_t k = 0; k < ds->count; k++)
		for (unsigned i = 0; i < ds->list[k].bitmaps.count && !r; i++)
			if (!ds->list[k].bitmaps.list[i].dropped)
				r = fn(ds, &ds->list[k], i, e);
	return r;
}

static int find_place(struct disks *ds, struct arriving_disk *d, struct err *e)
{
	bool ignored;

	return d->bitmaps.node ? 0 : disks_find_node(d, ds->target->qmp, &d->bitmaps.node, &ignored, e);
}

static int prepare_one(struct disks *ds, struct arriving_disk *d, unsigned i, struct err *e)
{
	AUTO_FREE char *name = name_of(d, i);
	int r = find_place(ds, d, e) ?: add_node(ds, d, i, name, e);

	d->bitmaps.list[i].has_node = !r;
	return r ?: disks_start_nbd(ds, e) ?: add_export(ds, name, e);
}

int bitmaps_prepare(struct disks *ds, struct err *e)
{
	return each(ds, prepare_one, e) ? err_prefix(e, "making room for the guest's dirty bitmaps (--drop=bitmaps leaves them behind)")
					: 0;
}

static int delete_export(struct disks *ds, struct arriving_disk *d, unsigned i, struct err *e)
{
	AUTO_FREE char *name = name_of(d, i);

	return d->bitmaps.list[i].has_node
		       ? qmp_call(ds->target->qmp, "block-export-del", json_pack("{s:s,s:s}", "id", name, "mode", "hard"), NULL, e)
		       : 0;
}

int bitmaps_delete_exports(struct disks *ds, struct err *e)
{
	return ds->late ? 0 : each(ds, delete_export, e);
}

/* Finds the units that were written here and are missing in the bitmap. */
static void look_what_is_missing(const struct arriving_disk *d, const struct arriving_bitmap *b, struct unit_set *missing)
{
	uint64_t at = 0, first, n, k;

	unit_set_init(missing, d->bitmaps.written.units);
	while (unit_set_next(&d->bitmaps.written, &at, &first, &n))
		for (k = first; k < first + n; k++)
			if (!unit_set_has(&b->bits, k))
				unit_set_add(missing, k, 1);
}

static void add_all(struct unit_set *to, const struct unit_set *which)
{
	uint64_t at = 0, first, n;

	while (unit_set_next(which, &at, &first, &n))
		unit_set_add(to, first, n);
}

/* Sets missing bits early, while the disk has an export, so that fewer are left for the blackout. */
static int fill_missing(struct disks *ds, struct arriving_disk *d, unsigned i, struct err *e)
{
	AUTO_FREE char *name = name_of(d, i);
	struct arriving_bitmap *b = &d->bitmaps.list[i];
	struct unit_set missing;
	int r = 0;

	look_what_is_missing(d, b, &missing);
	if (missing.count)
		r = set_bits(ds, d, &missing, RUNS_MAX, name, e);
	if (!r)
		add_all(&b->bits, &missing);
	unit_set_fini(&missing);
	return r;
}

static int fill_early(struct disks *ds, struct arriving_disk *d, const struct receive_event *rev, struct err *e)
{
	AUTO_FREE char *name = name_of(d, rev->number);
	int r = 0;

	if (ds->late)
		return 0;
	if (!ds->nbd_running) /* a BITMAP would not be in what is made */
		return rev->kind != RECEIVE_BITMAP
			       ? 0
			       : err_set(e, EPROTO, "the source sent a BITMAP of disk %u after its disks' end", rev->group);
	if (rev->kind == RECEIVE_BITMAP)
		r = d->bitmaps.list[rev->number].bits.count ? set_bits(ds, d, &d->bitmaps.list[rev->number].bits, UINT64_MAX, name, e) : 0;
	for (unsigned i = 0; i < d->bitmaps.count && rev->kind == RECEIVE_APPLIED && !r; i++)
		if (d->bitmaps.list[i].complete && !d->bitmaps.list[i].dropped)
			r = fill_missing(ds, d, i, e);
	return r ? err_prefix(e, "filling the guest's dirty bitmaps at the destination (--drop=bitmaps leaves such behind)") : 0;
}

static json_t *action(const char *type, json_t *data /* stolen */)
{
	return json_pack("{s:s,s:o}", "type", type, "data", data);
}

static void take_over(json_t *actions, const struct arriving_disk *d, unsigned i, const char *node)
{
	const struct arriving_bitmap *b = &d->bitmaps.list[i];
	AUTO_FREE char *from = name_of(d, i);

	json_array_append_new(actions, action("block-dirty-bitmap-add",
					      json_pack("{s:s,s:s,s:I,s:b,s:b}", "node", node, "name", b->name, "granularity",
							(json_int_t)b->granularity, "persistent", b->persistent, "disabled", 1)));
	json_array_append_new(actions, action("block-dirty-bitmap-merge", json_pack("{s:s,s:s,s:[{s:s,s:s}]}", "node", node, "target",
										    b->name, "bitmaps", "node", from, "name", from)));
	if (b->recording)
		json_array_append_new(actions, action("block-dirty-bitmap-enable", json_pack("{s:s,s:s}", "node", node, "name", b->name)));
}

static int check_complete(struct disks *ds, struct arriving_disk *d, unsigned i, struct err *e)
{
	(void)ds;
	return d->bitmaps.list[i].complete ? 0
					   : err_set(e, EPROTO, "the source has not sent all of the dirty bitmap %s of disk %s",
						     d->bitmaps.list[i].name, d->path);
}

/* Fills a bitmap in a QEMU that was started late; the disk of no contents is there no longer than this. */
static int fill_late(struct disks *ds, struct arriving_disk *d, unsigned i, struct err *e)
{
	AUTO_FREE char *name = name_of(d, i);
	struct arriving_bitmap *b = &d->bitmaps.list[i];
	struct unit_set missing;
	int r = b->has_node ? 0 : add_node(ds, d, i, name, e);

	look_what_is_missing(d, b, &missing);
	if (!b->has_node)
		add_all(&missing, &b->bits);
	b->has_node |= !r;
	r = r ?: add_export(ds, name, e) ?: set_bits(ds, d, &missing, RUNS_MAX, name, e);
	unit_set_fini(&missing);
	return r;
}

/* Deletes the nodes of all bitmaps, also of dropped ones. */
static int delete_nodes(struct disks *ds, struct err *e)
{
	int r = 0;

	for (size_t k = 0; k < ds->count; k++)
		for (unsigned i = 0; i < ds->list[k].bitmaps.count && !r; i++) {
			AUTO_FREE char *name = name_of(&ds->list[k], i);

			if (ds->list[k].bitmaps.list[i].has_node)
				r = qmp_call(ds->target->qmp, "blockdev-del", json_pack("{s:s}", "node-name", name), NULL, e);
		}
	return r;
}

static int make_all(struct disks *ds, struct err *e)
{
	json_t *actions = json_array();
	int r = 0;

	for (size_t k = 0; k < ds->count && !r; k++) {
		struct arriving_disk *d = &ds->list[k];

		if (d->bitmaps.count)
			r = find_place(ds, d, e);
		for (unsigned i = d->bitmaps.count; i-- > 0 && !r;) /* QEMU lists the newest first */
			if (!d->bitmaps.list[i].dropped)
				take_over(actions, d, i, d->bitmaps.node);
	}
	if (!r && json_array_size(actions))
		return qmp_call(ds->target->qmp, "transaction", json_pack("{s:o}", "actions", actions), NULL, e);
	json_decref(actions);
	return r;
}

static struct arriving_disk *disk_of(struct disks *ds, uint32_t object)
{
	size_t i;

	for (i = 0; i < ds->count && ds->list[i].object != object; i++)
		;
	return i < ds->count ? &ds->list[i] : NULL;
}

int bitmaps_take(struct disks *ds, const struct receive_event *rev, struct err *e)
{
	struct arriving_disk *d = disk_of(ds, rev->group);
	struct arriving_bitmap *b =
		d && rev->kind == RECEIVE_BITMAP && rev->number < d->bitmaps.count ? &d->bitmaps.list[rev->number] : NULL;

	if (rev->kind == RECEIVE_APPLIED)
		return d && d->bitmaps.count && rev->number ? fill_early(ds, d, rev, e) : 0;
	if (d && rev->kind == RECEIVE_DELTA)
		add_runs(&d->bitmaps.written, d->bitmaps.shift, rev->data, rev->n);
	else if (!b || b->dropped || (b->complete && rev->offset != BITMAP_DROPPED))
		return err_set(e, EPROTO, "the source sent a BITMAP of disk %u after its end", rev->group);
	else
		add_runs(&b->bits, d->bitmaps.shift, rev->data, rev->n);
	if (b) {
		b->complete |= rev->offset == BITMAP_LAST;
		b->dropped = rev->offset == BITMAP_DROPPED;
	}
	return b && rev->offset == BITMAP_LAST ? fill_early(ds, d, rev, e) : 0;
}

/* 1: something is to be written still. */
static int is_missing(struct disks *ds, struct arriving_disk *d, unsigned i, struct err *e)
{
	struct unit_set missing;
	bool yes;

	(void)ds, (void)e;
	look_what_is_missing(d, &d->bitmaps.list[i], &missing);
	yes = missing.count || !d->bitmaps.list[i].has_node;
	unit_set_fini(&missing);
	return yes;
}

int bitmaps_make(struct disks *ds, struct err *e)
{
	int r = each(ds, check_complete, e);
	bool late = !r && each(ds, is_missing, e);

	if (late)
		r = disks_start_nbd(ds, e);
	if (!r && late)
		r = each(ds, fill_late, e);
	if (!r && late)
		r = each(ds, delete_export, e);
	if (!r && late) /* nothing uses them any more, and no client comes or goes beside the transaction */
		r = qmp_call(ds->target->qmp, "nbd-server-stop", NULL, NULL, e);
	if (!r && late)
		ds->nbd_running = false;
	r = r ?: make_all(ds, e) ?: delete_nodes(ds, e);
	return r ? err_prefix(e, "making the guest's dirty bitmaps at the destination (--drop=bitmaps leaves them behind)") : 0;
}
