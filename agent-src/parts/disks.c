/* disks.c: see disks.h. */
#include "disks-private.h"
#include "source-sockets.h"
#include "json-text.h"
#include "log.h"
#include "milestone.h"
#include "qemu-names.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct disk *disk_add(struct disks *ds, const struct guest_disk *g)
{
	uint32_t object = OBJECT_DISK_BASE + ds->count;
	struct disk *d = &ds->at[object];

	*d = (struct disk){.guest = g, .object = object, .mark_fd = -1};
	ds->list[ds->count++] = d;
	return d;
}

/* ---- QEMU's NBD server ---- */

/* Owns all that has a name of this attempt, before the first of them is made. */
static int own_names(struct disks *ds, struct err *e)
{
	char prefix[QEMU_PREFIX_MAX];
	int r;

	qemu_prefix(prefix, ds->part.a->id);
	r = attempt_own(ds->part.a, "bitmaps", json_pack("{s:s}", "prefix", prefix), e);
	return r ?: attempt_own(ds->part.a, "exports", json_pack("{s:s}", "prefix", prefix), e);
}

int disks_prepare(struct part *p, struct err *e)
{
	struct disks *ds = disks_of(p);
	int r;

	if (!ds->count)
		return 0;
	ds->nbd_socket = source_socket(ds->src, "nbd");
	r = attempt_own(p->a, "nbd-server", json_pack("{s:s}", "path", ds->nbd_socket), e);
	if (r)
		return r;
	r = qmp_call(ds->src->qmp, "nbd-server-start",
		     json_pack("{s:{s:s,s:{s:s}}}", "addr", "type", "unix", "data", "path", ds->nbd_socket), NULL, e);
	if (!r)
		return own_names(ds, e);
	/* refused, it was not started by us: it must not be stopped by us. Without an answer it may have been */
	if (r == -EREMOTEIO)
		attempt_disown(p->a, "nbd-server", json_pack("{s:s}", "path", ds->nbd_socket));
	if (r == -EREMOTEIO && strstr(e->msg, "already running"))
		return err_set(
			e, EBUSY,
			"another client has started the NBD server of this QEMU, which has only one: end it first (nbd-server-stop)");
	return err_prefix(e, "the guest's NBD server");
}

static int stop_nbd_server(struct source *s, const json_t *detail, struct err *e)
{
	const char *path = json_text(detail, "path");

	if (!path)
		return err_set(e, EBADMSG, "the journal does not say at which socket");
	return qemu_undo_nbd_server(s->qmp, s->guest.pid, path, e);
}

int disks_undo_nbd_server(struct part *p, const json_t *detail, struct err *e)
{
	const char *path = json_text(detail, "path");
	int r = source_undo(disks_of(p)->src, stop_nbd_server, detail, e);

	if (r == 1 && path && unlink(path) && errno != ENOENT)
		return err_sys(e, errno, "cannot remove %s", path);
	return MIN(r, 0);
}

static int remove_bitmaps(struct source *s, const json_t *detail, struct err *e)
{
	const char *prefix = json_text(detail, "prefix");

	return prefix ? qemu_undo_bitmaps(s->qmp, prefix, e) : err_set(e, EBADMSG, "the journal does not say which");
}

int disks_undo_bitmaps(struct part *p, const json_t *detail, struct err *e)
{
	return MIN(source_undo(disks_of(p)->src, remove_bitmaps, detail, e), 0);
}

static int remove_exports(struct source *s, const json_t *detail, struct err *e)
{
	const char *prefix = json_text(detail, "prefix");

	return prefix ? qemu_undo_exports(s->qmp, s->part.a->loop, prefix, e) : err_set(e, EBADMSG, "the journal does not say which");
}

int disks_undo_exports(struct part *p, const json_t *detail, struct err *e)
{
	return MIN(source_undo(disks_of(p)->src, remove_exports, detail, e), 0);
}

/* ---- how far they are ---- */

static bool all(const struct disks *ds, bool (*is)(const struct disk *d))
{
	for (unsigned i = 0; i < ds->count; i++)
		if (!is(ds->list[i]))
			return false;
	return true;
}

static bool is_idle(const struct disk *d)
{
	return !d->progress.in_flight;
}

static bool was_read(const struct disk *d)
{
	return d->progress.round || d->progress.queued;
}

static bool has_arrived(const struct disk *d)
{
	return d->progress.bulk_read && d->progress.arrived;
}

static bool is_finished(const struct disk *d)
{
	return d->progress.finished;
}

static bool is_durable(const struct disk *d)
{
	return d->progress.finished && !d->progress.in_flight;
}

bool disks_have_begun(const struct disks *d)
{
	unsigned i;

	for (i = 0; i < d->count && !d->list[i]->begun; i++)
		;
	return i < d->count;
}

bool disks_idle(const struct disks *ds)
{
	return all(ds, is_idle);
}

bool disks_read(const struct disks *ds)
{
	return all(ds, was_read);
}

bool disks_arrived(const struct disks *ds)
{
	return all(ds, has_arrived);
}

static bool finished(const struct disks *ds)
{
	return all(ds, is_finished);
}

static bool durable(const struct disks *ds)
{
	return all(ds, is_durable);
}

/* ---- rounds ---- */

/* Fine enough for a database, coarse enough for a terabyte: 2 MiB of bitmap. QEMU's default, made explicit. */
#define GRANULARITY	65536
#define CLUSTER_DEFAULT 65536 /* cluster size of qcow2 */

static json_t *bitmap_ref(const struct disk *d, const char *name)
{
	return json_pack("{s:s,s:s}", "node", d->guest->node, "name", name);
}

static json_t *action_add(const struct disk *d, const char *name)
{
	return json_pack("{s:s,s:{s:s,s:s,s:i,s:b}}", "type", "block-dirty-bitmap-add", "data", "node", d->guest->node, "name", name,
			 "granularity", GRANULARITY, "persistent", 0);
}

static json_t *action_disable(const struct disk *d, const char *name)
{
	return json_pack("{s:s,s:o}", "type", "block-dirty-bitmap-disable", "data", bitmap_ref(d, name));
}

/* The recording bitmaps stop and become the next round's; unless the guest is stopped, new ones take over: in one
 * transaction, so that all disks are as of one moment. */
static int rotate(struct disks *ds, bool final, struct err *e)
{
	json_t *actions = json_array();
	char name[48];

	for (unsigned i = 0; i < ds->count; i++) {
		struct disk *d = ds->list[i];

		if (d->progress.finished)
			continue;
		if (!final) {
			disk_bitmap_name(ds, name, d, d->progress.bitmap + 1);
			json_array_append_new(actions, action_add(d, name));
		}
		disk_bitmap_name(ds, name, d, d->progress.bitmap);
		json_array_append_new(actions, action_disable(d, name));
	}
	return qmp_call(ds->src->qmp, "transaction", json_pack("{s:o}", "actions", actions), NULL, e);
}

static void export_id(const struct disks *ds, char out[48], const struct disk *d)
{
	char prefix[QEMU_PREFIX_MAX];

	snprintf(out, 48, "%s%u-r%u", qemu_prefix(prefix, ds->part.a->id), d->object, d->progress.round);
}

/* Sets out to the bitmap that says what is in the round; false: there is none, and the round has everything. */
static bool round_bitmap(const struct disks *ds, char out[POINT_BITMAP_NAME], const struct disk *d)
{
	if (!d->progress.round && (!point_bitmaps_are_round_0(ds) || d->since.left_out))
		return false;
	if (d->progress.round)
		disk_bitmap_name(ds, out, d, d->progress.bitmap - 1);
	else
		point_bitmap_name(ds, out, ds->since.from);
	return true;
}

static int add_export(struct disks *ds, const struct disk *d, struct err *e)
{
	char id[48], bitmap[POINT_BITMAP_NAME];
	json_t *args;
	int r;

	export_id(ds, id, d);
	args = json_pack("{s:s,s:s,s:s,s:s,s:b}", "type", "nbd", "id", id, "node-name", d->guest->node, "name", id, "writable", 0);
	if (round_bitmap(ds, bitmap, d)) {
		json_object_set_new(args, "bitmaps", json_pack("[s]", bitmap));
	} else if (disk_keeps_chain(ds, d->guest)) {
		json_object_set_new(args, "allocation-depth", json_true());
	}
	r = qmp_call(ds->src->qmp, "block-export-add", args, NULL, e);
	return r ? err_prefix(e, "exporting disk %s", d->guest->real_path) : 0;
}

static void read_round(struct disks *ds, struct disk *d)
{
	char id[48], bitmap[POINT_BITMAP_NAME], context[96];
	struct disk_round round = {.object = d->object,
				   .number = d->progress.round,
				   .at = {.path = ds->nbd_socket, .export_name = id},
				   .name = d->guest->real_path,
				   .size = d->guest->virtual_size,
				   .have = d->progress.round ? NULL : d->have,
				   .compares = ds->makes_point,
				   .alike = d->alike,
				   .detect_zeros = !strcmp(d->guest->format, "raw") || d->fills};

	if ((d->begun || d->alike) && !d->progress.round)
		round.fills = !strcmp(d->guest->format, "raw") ? DISK_SECTOR : d->guest->cluster_size ?: CLUSTER_DEFAULT;

	export_id(ds, id, d);
	if (round_bitmap(ds, bitmap, d)) {
		snprintf(context, sizeof(context), "qemu:dirty-bitmap:%s", bitmap);
		round.at.select = context;
	} else if (disk_keeps_chain(ds, d->guest)) {
		round.at.select = "qemu:allocation-depth";
	}
	d->progress.in_flight = true;
	d->progress.queued = false;
	disk_reader_round(ds->reader, &round);
}

/* Adds the exports of a round. All disks change rounds together, and nothing is connected to QEMU's NBD server while their bitmaps and
 * exports change: a transaction drains all of QEMU's I/O, and a drain beside an NBD client that comes or goes never ended in about one of
 * some hundred transactions (QEMU 10.0). */
static int add_exports(struct disks *ds, struct err *e)
{
	int r = 0;

	for (unsigned i = 0; i < ds->count && !r; i++)
		if (!ds->list[i]->progress.finished)
			r = add_export(ds, ds->list[i], e);
	return r;
}

static void read_rounds(struct disks *ds)
{
	for (unsigned i = 0; i < ds->count; i++)
		if (!ds->list[i]->progress.finished)
			read_round(ds, ds->list[i]);
}

static void clean_export(struct disks *ds, const struct disk *d)
{
	char id[48];
	struct err e;

	export_id(ds, id, d);
	if (qmp_call(ds->src->qmp, "block-export-del", json_pack("{s:s,s:s}", "id", id, "mode", "hard"), NULL, &e))
		log_debug("export %s: %s (removed later)", id, e.msg);
}

static void clean_bitmap(struct disks *ds, const struct disk *d)
{
	char name[48];
	struct err e;

	if (!d->progress.round)
		return;
	disk_bitmap_name(ds, name, d, d->progress.bitmap - 1);
	if (qmp_call(ds->src->qmp, "block-dirty-bitmap-remove", bitmap_ref(d, name), NULL, &e))
		log_debug("bitmap %s: %s (removed later)", name, e.msg);
}

/* Removes the exports of the round that is over, and the bitmaps that it was read by. */
static void clean_rounds(struct disks *ds)
{
	if (ds->count && !ds->list[0]->progress.round)
		disks_clean_bitmaps(ds);
	for (unsigned i = 0; i < ds->count; i++)
		clean_export(ds, ds->list[i]);
	for (unsigned i = 0; i < ds->count; i++)
		clean_bitmap(ds, ds->list[i]);
}

/* Fills in where the current round of a disk is read; round 0 is read there, too, a little later. */
static void where_round_is(const struct disks *ds, const struct disk *d, struct want_disk *out)
{
	static char id[OBJECT_DISK_MAX + 1][48];

	export_id(ds, id[d->object], d);
	out->at = (struct disk_at){.path = ds->nbd_socket, .export_name = id[d->object]};
}

int disks_begin(struct part *p, struct err *e)
{
	struct disks *ds = disks_of(p);
	json_t *actions = json_array();
	int r;

	for (unsigned i = 0; i < ds->count; i++) {
		struct disk *d = ds->list[i];
		char name[48];

		disk_bitmap_name(ds, name, d, 0);
		json_array_append_new(actions, action_add(d, name));
		d->progress.started = true;
	}
	if (point_bitmaps_are_round_0(ds))
		point_bitmaps_change(ds, actions);
	r = disks_copy_bitmaps(ds, actions, e);
	if (r || !ds->count) {
		json_decref(actions);
		return r;
	}
	r = qmp_call(ds->src->qmp, "transaction", json_pack("{s:o}", "actions", actions), NULL, e);
	if (r)
		return err_prefix(e, "dirty bitmaps of the disks");
	r = disks_export_bitmaps(ds, e) ?: add_exports(ds, e) ?: disks_send_bitmaps(ds, e);
	if (!r && ds->others.alike.ms)
		return disks_want(ds, where_round_is, e);
	if (!r)
		read_rounds(ds);
	return r;
}

static int next_round(struct disks *ds, bool final, struct err *e)
{
	int r = rotate(ds, final, e);

	if (r)
		return err_prefix(e, "dirty bitmaps of the disks");
	for (unsigned i = 0; i < ds->count; i++) {
		struct disk *d = ds->list[i];

		if (d->progress.finished)
			continue;
		d->progress.final = final;
		d->progress.bitmap++;
		d->progress.round++;
		d->progress.dirty = 0;
	}
	r = add_exports(ds, e);
	if (!r)
		read_rounds(ds);
	return r;
}

/* May another round begin? */
static bool may_go_on(const struct disks *ds)
{
	return ds->count && ds->list[0]->progress.started && !ds->final && disks_idle(ds);
}

int disks_next_round(struct disks *ds, uint64_t at_least, struct err *e)
{
	uint64_t dirty = 0;

	if (!may_go_on(ds))
		return 0;
	for (unsigned i = 0; i < ds->count; i++)
		dirty += ds->list[i]->progress.dirty;
	if (dirty < at_least)
		return 0;
	return disks_look_at_bitmaps(ds, e) ? -e->code : next_round(ds, false, e);
}

/* The reader's results and the destination's confirmations arrive in any order. */
static void note_durable(struct disks *ds)
{
	if (durable(ds) && !ds->end.durable_ns)
		ds->end.durable_ns = now_ns();
}

static int on_result(struct disks *ds, const struct disk_round *res, struct err *e)
{
	struct disk *d = &ds->at[res->object];

	if (res->err.code) {
		*e = res->err;
		return -e->code;
	}
	d->progress.bulk_read |= !res->number;
	if (res->number != d->progress.round) /* overtaken by its own DURABLE */
		return 0;
	log_info("disk %u round %u: %llu bytes dirty, %llu read", res->object, res->number, (unsigned long long)res->dirty_bytes,
		 (unsigned long long)res->read_bytes);
	d->progress.queued = true;
	d->progress.last_dirty = res->dirty_bytes;
	d->progress.read_bytes += res->read_bytes;
	if (d->progress.final)
		d->progress.finished = true;
	note_durable(ds);
	return 0;
}

static int on_durable(struct disks *ds, const struct event *ev, struct err *e)
{
	struct msg_durable msg;
	struct disk *d;

	if (msg_durable_decode(&msg, ev->bytes, ev->n))
		return err_set(e, EPROTO, "the destination sent a DURABLE of %zu bytes that cannot be read", ev->n);
	if (!object_is_disk(msg.group) || !ds->at[msg.group].progress.in_flight || ds->at[msg.group].progress.round != msg.number)
		return err_set(e, EPROTO, "the destination confirmed round %u of disk %u, which it was not sent", msg.number, msg.group);
	d = &ds->at[msg.group];
	log_info("disk %u round %u: durable", msg.group, msg.number);
	d->progress.in_flight = false;
	d->progress.arrived = true;
	/* a rollback undoes this, and QEMU may have gone by then */
	if (!d->progress.final && disks_idle(ds) && ds->part.a->handoff.state == HO_SRC_BEGUN)
		clean_rounds(ds);
	note_durable(ds);
	return 0;
}

static int on_applied(struct disks *ds, const struct event *ev, struct err *e)
{
	struct msg_applied msg;

	if (msg_applied_decode(&msg, ev->bytes, ev->n))
		return err_set(e, EPROTO, "the destination sent an APPLIED of %zu bytes that cannot be read", ev->n);
	if (!object_is_disk(msg.group))
		return PART_NOT_MINE;
	if (!ds->at[msg.group].progress.in_flight || ds->at[msg.group].progress.round != msg.number)
		return err_set(e, EPROTO, "the destination has a round of disk %u, which it was not sent", msg.group);
	ds->at[msg.group].progress.arrived = true;
	return 0;
}

/* Reads the disks once the destination has written all that it has found: contents that came before that would be written over. */
static void read_after_alike(struct disks *ds)
{
	if (!ds->others.want || disks_wait_for_alike(ds) || ds->part.a->handoff.state != HO_SRC_BEGUN)
		return;
	want_stop(ds->others.want);
	ds->others.want = NULL;
	if (ds->rests)
		disks_read_at_rest(ds);
	else
		read_rounds(ds);
}

static int on_have(struct disks *ds, const struct event *ev, struct err *e)
{
	struct msg_have m;
	int r;

	if (msg_have_decode(&m, ev->bytes, ev->n))
		return err_set(e, EPROTO, "the destination sent a HAVE of %zu bytes that cannot be read", ev->n);
	if (!object_is_disk(m.object) || !ds->at[m.object].have)
		return err_set(e, EPROTO, "the destination has an old copy of disk %u, which it did not say before", m.object);
	r = have_take(ds->at[m.object].have, &m, e);
	if (!r && ds->reader)
		disk_reader_go_on(ds->reader);
	if (!r)
		read_after_alike(ds);
	return r;
}

int disks_event(struct part *p, const struct event *ev, struct err *e)
{
	struct disks *ds = disks_of(p);

	if (ev->kind == EVENT_WORKER && ev->type == WORD_DISK_ROUND)
		return on_result(ds, ev->ptr, e);
	if (ev->kind == EVENT_FRAME && ev->type == MSG_APPLIED)
		return on_applied(ds, ev, e);
	if (ev->kind == EVENT_FRAME && ev->type == MSG_HAVE)
		return on_have(ds, ev, e);
	if (ev->kind == EVENT_FRAME && ev->type == MSG_DURABLE)
		return on_durable(ds, ev, e);
	if (ev->kind == EVENT_FRAME && ev->type == MSG_DISKS_CLOSED && ds->end.done_said) {
		ds->end.closed = true;
		return 0;
	}
	return PART_NOT_MINE;
}

void disks_say_done(struct disks *ds)
{
	ds->end.done_said = true;
	channel_post(ds->part.a->control, MSG_DISKS_DONE, ds->part.a->id, sizeof(ds->part.a->id));
}

uint64_t disks_left(const struct disks *ds)
{
	uint64_t sum = 0, done, left;

	for (unsigned i = 0; ds->reader && i < ds->count; i++) {
		disk_reader_progress(ds->reader, ds->list[i]->object, &done, &left);
		sum += left + ds->list[i]->progress.dirty;
	}
	return sum;
}

uint64_t disks_allocated(const struct disks *ds)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < ds->count; i++)
		sum += ds->since.from ? ds->list[i]->since.bytes : ds->list[i]->guest->allocated;
	return sum;
}

unsigned disks_rounds(const struct disks *ds)
{
	unsigned i, round = 0;

	for (i = 0; i < ds->count; i++)
		round = MAX(round, ds->list[i]->progress.round);
	return round;
}

/* ---- the last round ---- */

/* The guest is stopped, and what it wrote is in the bitmaps. */
int disks_final(struct disks *ds, struct err *e)
{
	int r;

	if (!may_go_on(ds))
		return 0;
	ds->final = true;
	r = disks_look_at_bitmaps(ds, e) ?: disks_check_bitmaps(ds, e);
	for (unsigned i = 0; !r && i < ds->count; i++) { /* a disk that it has not written to since its last round needs no other */
		ds->list[i]->progress.finished = ds->list[i]->progress.looked_at && !ds->list[i]->progress.dirty;
		ds->list[i]->progress.final = true;
	}
	if (!r && !finished(ds))
		r = next_round(ds, true, e);
	note_durable(ds);
	return r;
}

/* ---- their life ---- */

uint32_t disks_reached(const struct part *p)
{
	const struct disks *ds = container_of(p, const struct disks, part);

	return (finished(ds) ? M_DISKS_QUEUED : 0) | (durable(ds) ? M_DISKS_DURABLE : 0) | (ds->end.closed ? M_DISKS_CLOSED : 0);
}

static void on_results(struct queue *q)
{
	struct disks *ds = container_of(q, struct disks, results);
	struct qnode *n;

	while ((n = queue_take(q))) {
		struct event *ev = event_new(EVENT_WORKER, WORD_DISK_ROUND, NULL, 0);

		ev->ptr = container_of(n, struct disk_round, node);
		conductor_put(&ds->part.a->con, ev);
	}
}

int disks_connect(struct disks *ds, struct err *e)
{
	struct data_plane *dp = ds->data;

	return disk_reader_start(&ds->reader, dp->senders + dp->streams, dp->channels - dp->streams, &dp->shared, &ds->results, e);
}

void disks_stop(struct disks *ds)
{
	want_stop(ds->others.want);
	ds->others.want = NULL;
	disk_reader_stop(ds->reader);
}

void disks_free_reader(struct disks *ds)
{
	disk_reader_free(ds->reader);
	ds->reader = NULL;
}

void disks_fini(struct part *p)
{
	struct disks *ds = disks_of(p);

	on_results(&ds->results); /* the reader's last results are dropped with the conductor */
	disks_end_writeback(ds);
	images_unlock(&ds->locked);
	disks_unmark(ds);
	for (unsigned i = OBJECT_DISK_BASE; i <= OBJECT_DISK_MAX; i++) {
		free(ds->at[i].to);
		free(ds->at[i].old);
		disk_forget_bitmaps(&ds->at[i]);
		have_free(ds->at[i].have); /* the reader has ended */
		have_free(ds->at[i].notes);
	}
	json_decref(ds->described);
	free(ds->nbd_socket);
}

static const struct part_undo undo[] = {
	{"exports", "NBD exports of its QEMU", disks_undo_exports},
	{"bitmaps", "dirty bitmaps in its QEMU", disks_undo_bitmaps},
	{"nbd-server", "the NBD server of its QEMU", disks_undo_nbd_server},
	{"throttle", "a limit of writes to a disk", disks_undo_throttle},
	{NULL, NULL, NULL},
};

static const struct part_ops ops = {.name = "disks",
				    .examine = disks_examine,
				    .describe = disks_describe,
				    .agree = disks_agree,
				    .prepare = disks_prepare,
				    .begin = disks_begin,
				    .event = disks_event,
				    .reached = disks_reached,
				    .undo = undo,
				    .tell = disks_tell,
				    .fini = disks_fini};

void disks_init(struct disks *ds, struct source *src, struct data_plane *data)
{
	*ds = (struct disks){.part = {&ops, src->part.a}, .src = src, .data = data, .described = json_array()};
	queue_init(&ds->results, src->part.a->loop, on_results);
}
