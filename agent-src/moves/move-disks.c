/*
 * move-disks.c: rounds of disks. Per disk: a bulk copy of what is allocated, then rounds of what was written since,
 * each taken from a dirty bitmap that is rotated out in one QMP transaction; the last one after the guest has stopped.
 *
 * A round of a disk is over when the destination has it on stable storage (DURABLE); only then the next one begins.
 */
#include "move-private.h"
#include "log.h"
#include "qemu-undo.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Fine enough for a database, coarse enough for a terabyte: 2 MiB of bitmap. QEMU's default, made explicit. */
#define GRANULARITY 65536

static struct disk *first(struct move *m)
{
	return &m->disks[OBJECT_DISK_BASE];
}

static void bitmap_name(const struct move *m, char out[48], const struct disk *d, unsigned generation)
{
	char prefix[QEMU_PREFIX_MAX];

	snprintf(out, 48, "%s%u-%u", qemu_prefix(prefix, m->attempt), d->object, generation);
}

static json_t *bitmap_ref(const struct disk *d, const char *name)
{
	return json_pack("{s:s,s:s}", "node", d->guest->node, "name", name);
}

static json_t *action_add(const struct disk *d, const char *name)
{
	return json_pack("{s:s,s:{s:s,s:s,s:i,s:b}}", "type", "block-dirty-bitmap-add", "data", "node", d->guest->node, "name",
			 name, "granularity", GRANULARITY, "persistent", 0);
}

static json_t *action_disable(const struct disk *d, const char *name)
{
	return json_pack("{s:s,s:o}", "type", "block-dirty-bitmap-disable", "data", bitmap_ref(d, name));
}

/* The recording bitmaps stop and become the next round's; unless the guest is stopped, new ones take over: in one
 * transaction, so that all disks are as of one moment. */
static int rotate(struct move *m, bool final, struct err *e)
{
	json_t *actions = json_array();
	char name[48];
	unsigned i;

	for (i = 0; i < m->disk_count; i++) {
		struct disk *d = &first(m)[i];

		if (!final) {
			bitmap_name(m, name, d, d->bitmap + 1);
			json_array_append_new(actions, action_add(d, name));
		}
		bitmap_name(m, name, d, d->bitmap);
		json_array_append_new(actions, action_disable(d, name));
	}
	return qmp_call(m->qmp, "transaction", json_pack("{s:o}", "actions", actions), NULL, e);
}

static void export_id(const struct move *m, char out[48], const struct disk *d)
{
	char prefix[QEMU_PREFIX_MAX];

	snprintf(out, 48, "%s%u-r%u", qemu_prefix(prefix, m->attempt), d->object, d->round);
}

static int add_export(struct move *m, const struct disk *d, struct err *e)
{
	char id[48], bitmap[48];
	json_t *args;
	int r;

	export_id(m, id, d);
	args = json_pack("{s:s,s:s,s:s,s:s,s:b}", "type", "nbd", "id", id, "node-name", d->guest->node, "name", id, "writable", 0);
	if (d->round) {
		bitmap_name(m, bitmap, d, d->bitmap - 1);
		json_object_set_new(args, "bitmaps", json_pack("[s]", bitmap));
	} else if (move_keeps_chain(m, d->guest)) {
		json_object_set_new(args, "allocation-depth", json_true());
	}
	r = qmp_call(m->qmp, "block-export-add", args, NULL, e);
	return r ? err_prefix(e, "exporting disk %s", d->guest->real_path) : 0;
}

static void read_round(struct move *m, struct disk *d)
{
	char id[48], bitmap[48], context[80];
	struct disk_round round = {.object = d->object,
				   .number = d->round,
				   .at = {.path = m->nbd_socket, .export_name = id},
				   .name = d->guest->real_path,
				   .size = d->guest->virtual_size,
				   .detect_zeros = !strcmp(d->guest->format, "raw")};

	export_id(m, id, d);
	if (d->round) {
		bitmap_name(m, bitmap, d, d->bitmap - 1);
		snprintf(context, sizeof(context), "qemu:dirty-bitmap:%s", bitmap);
		round.at.select = context;
	} else if (move_keeps_chain(m, d->guest)) {
		round.at.select = "qemu:allocation-depth";
	}
	d->in_flight = true;
	d->queued = false;
	disk_reader_round(m->reader, &round);
}

/*
 * All disks go from round to round together, and nothing is connected to QEMU's NBD server while their bitmaps and exports
 * change: a transaction drains all of QEMU's I/O, and a drain beside an NBD client that comes or goes was seen never to end
 * (QEMU 10.0, one in some hundred transactions).
 */
static int start_rounds(struct move *m, struct err *e)
{
	unsigned i;
	int r = 0;

	for (i = 0; i < m->disk_count && !r; i++)
		r = add_export(m, &first(m)[i], e);
	for (i = 0; i < m->disk_count && !r; i++)
		read_round(m, &first(m)[i]);
	return r;
}

static void clean_export(struct move *m, const struct disk *d)
{
	char id[48];
	struct err e;

	export_id(m, id, d);
	if (qmp_call(m->qmp, "block-export-del", json_pack("{s:s,s:s}", "id", id, "mode", "hard"), NULL, &e))
		log_debug("export %s: %s (removed later)", id, e.msg);
}

static void clean_bitmap(struct move *m, const struct disk *d)
{
	char name[48];
	struct err e;

	if (!d->round)
		return;
	bitmap_name(m, name, d, d->bitmap - 1);
	if (qmp_call(m->qmp, "block-dirty-bitmap-remove", bitmap_ref(d, name), NULL, &e))
		log_debug("bitmap %s: %s (removed later)", name, e.msg);
}

/* Removes the exports of the round that is over, and the bitmaps that it was read by. */
static void clean_rounds(struct move *m)
{
	unsigned i;

	for (i = 0; i < m->disk_count; i++)
		clean_export(m, &first(m)[i]);
	for (i = 0; i < m->disk_count; i++)
		clean_bitmap(m, &first(m)[i]);
}

int disks_begin(struct move *m, struct err *e)
{
	json_t *actions = json_array();
	unsigned i;
	int r;

	for (i = 0; i < m->disk_count; i++) {
		struct disk *d = &first(m)[i];
		char name[48];

		bitmap_name(m, name, d, 0);
		json_array_append_new(actions, action_add(d, name));
		d->started = true;
	}
	if (!m->disk_count) {
		json_decref(actions);
		return 0;
	}
	r = qmp_call(m->qmp, "transaction", json_pack("{s:o}", "actions", actions), NULL, e);
	return r ? r : start_rounds(m, e);
}

static int next_round(struct move *m, bool final, struct err *e)
{
	unsigned i;
	int r = rotate(m, final, e);

	if (r)
		return err_prefix(e, "dirty bitmaps of the disks");
	for (i = 0; i < m->disk_count; i++) {
		struct disk *d = &first(m)[i];

		d->final = final;
		d->bitmap++;
		d->round++;
		d->dirty = 0;
	}
	return start_rounds(m, e);
}

/* May another round begin? */
static bool may_go_on(const struct move *m)
{
	const struct disk *d = &m->disks[OBJECT_DISK_BASE];

	return m->disk_count && d->started && !d->final && disks_idle(m);
}

int disks_next_round(struct move *m, uint64_t at_least, struct err *e)
{
	uint64_t dirty = 0;
	unsigned i;

	if (!may_go_on(m))
		return 0;
	for (i = 0; i < m->disk_count; i++)
		dirty += first(m)[i].dirty;
	return dirty >= at_least ? next_round(m, false, e) : 0;
}

int disks_final(struct move *m, struct err *e)
{
	return may_go_on(m) ? next_round(m, true, e) : 0;
}

int disks_on_result(struct move *m, struct disk_round *res, struct err *e)
{
	struct disk *d = &m->disks[res->object];

	if (res->err.code) {
		*e = res->err;
		return -e->code;
	}
	if (res->number != d->round) /* overtaken by its own DURABLE */
		return 0;
	log_info("disk %u round %u: %llu bytes dirty, %llu read", res->object, res->number,
		 (unsigned long long)res->dirty_bytes, (unsigned long long)res->read_bytes);
	d->queued = true;
	d->last_dirty = res->dirty_bytes;
	d->read_bytes += res->read_bytes;
	if (d->final)
		d->finished = true;
	return 0;
}

int disks_on_durable(struct move *m, uint32_t object, uint32_t number, uint64_t at_ns, struct err *e)
{
	struct disk *d;

	if (!object_is_disk(object) || !m->disks[object].in_flight || m->disks[object].round != number)
		return err_set(e, EPROTO, "the destination confirmed a round of a disk that it was not sent");
	d = &m->disks[object];
	log_info("disk %u round %u: durable", object, number);
	d->in_flight = false;
	d->durable_ns = at_ns;
	if (!d->final && disks_idle(m))
		clean_rounds(m);
	return 0;
}

uint64_t disks_left(const struct move *m)
{
	uint64_t sum = 0, done, left;
	unsigned i;

	for (i = OBJECT_DISK_BASE; i < OBJECT_DISK_BASE + m->disk_count; i++) {
		disk_reader_progress(m->reader, i, &done, &left);
		sum += left + m->disks[i].dirty;
	}
	return sum;
}

static bool all(const struct move *m, bool (*is)(const struct disk *d))
{
	unsigned i;

	for (i = OBJECT_DISK_BASE; i < OBJECT_DISK_BASE + m->disk_count; i++)
		if (!is(&m->disks[i]))
			return false;
	return true;
}

static bool is_idle(const struct disk *d)
{
	return !d->in_flight;
}

static bool was_read(const struct disk *d)
{
	return d->round || d->queued;
}

static bool is_finished(const struct disk *d)
{
	return d->finished;
}

static bool is_durable(const struct disk *d)
{
	return d->finished && !d->in_flight;
}

bool disks_idle(const struct move *m)
{
	return all(m, is_idle);
}

bool disks_read(const struct move *m)
{
	return all(m, was_read);
}

bool disks_finished(const struct move *m)
{
	return all(m, is_finished);
}

bool disks_durable(const struct move *m)
{
	return all(m, is_durable);
}

/* ---- slowing the guest's writes down (--on-stall=throttle) ---- */

#define THROTTLE_MIN_BPS MIB

static json_t *throttle_args(const char *qdev, uint64_t write_bps)
{
	return json_pack("{s:s,s:i,s:i,s:I,s:i,s:i,s:i}", "id", qdev, "bps", 0, "bps_rd", 0, "bps_wr", (json_int_t)write_bps,
			 "iops", 0, "iops_rd", 0, "iops_wr", 0);
}

int disks_throttle(struct move *m, uint64_t bps, struct err *e)
{
	json_t *detail;
	unsigned i;
	int r = 0;

	for (i = 0; i < m->disk_count && !r; i++) {
		struct disk *d = &first(m)[i];

		if (!d->guest->qdev || d->has_throttle) /* the user's own limit stays */
			continue;
		detail = json_pack("{s:s}", "qdev", d->guest->qdev);
		r = journal_own(m->journal, "throttle", detail, e);
		json_decref(detail);
		if (!r)
			r = qmp_call(m->qmp, "block_set_io_throttle",
				     throttle_args(d->guest->qdev, MAX(THROTTLE_MIN_BPS, bps / m->disk_count)), NULL, e);
	}
	return r;
}

int disks_unthrottle(struct qmp *q, const char *qdev, struct err *e)
{
	return qmp_call(q, "block_set_io_throttle", throttle_args(qdev, 0), NULL, e);
}

static bool has_throttle(const json_t *inserted)
{
	static const char *const limits[] = {"bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr"};
	size_t i;

	for (i = 0; i < ARRAY_LEN(limits); i++)
		if (json_integer_value(json_object_get(inserted, limits[i])))
			return true;
	return false;
}

/* ---- how much is dirty ---- */

static void on_query_block(void *arg, json_t *ret, const struct err *err)
{
	struct move *m = arg;
	json_t *entry, *bitmap;
	size_t i, j;
	unsigned k;
	char name[48];

	m->bitmaps_pending = false;
	if (err)
		return;
	guest_watch_drives(&m->watch, ret);
	json_array_foreach(ret, i, entry) {
		json_t *inserted = json_object_get(entry, "inserted");
		const char *node = json_string_value(json_object_get(inserted, "node-name"));

		for (k = 0; node && k < m->disk_count; k++) {
			struct disk *d = &first(m)[k];

			if (strcmp(d->guest->node, node))
				continue;
			if (!m->throttled)
				d->has_throttle = has_throttle(inserted);
			bitmap_name(m, name, d, d->bitmap);
			json_array_foreach(json_object_get(inserted, "dirty-bitmaps"), j, bitmap) {
				const char *is = json_string_value(json_object_get(bitmap, "name"));

				if (is && !strcmp(is, name))
					d->dirty = (uint64_t)json_integer_value(json_object_get(bitmap, "count"));
			}
		}
	}
}

void disks_query_dirty(struct move *m)
{
	if (m->bitmaps_pending || !m->disk_count || !m->qmp)
		return;
	m->bitmaps_pending = true;
	qmp_send(m->qmp, "query-block", NULL, QMP_DEADLINE_MS, on_query_block, m);
}
