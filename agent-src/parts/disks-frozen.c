/*
 * disks-frozen.c: the disks of a guest that runs, for a point of its replica: as they are at one moment, all of them.
 *
 * What the guest writes is recorded in bitmaps of QEMU's, "vmfr-PAIR-N": since point N. The moment of point N+1 is one transaction: bitmaps N+1 begin,
 * N end, and what N has is copied into files here, below a quorum (frozen-disks.h). QEMU is left alone then, and the files are sent.
 * Both bitmaps stay until the point is durable there. Whoever dies before leaves both, and the number of the newest point there tells the next what they
 * are worth: with N+1 there N has served its time, and with N the newer is merged into it, and N goes on recording.
 *
 * Where no bitmap records since a point that is there (the first time, a QEMU that was started anew) all is sent in rounds, or compared with what is there, as
 * of any move; the last round is then such a moment.
 */
#include "disks-private.h"
#include "fault.h"
#include "agent-talk.h"
#include "frozen-disks.h"
#include "guest-agent.h"
#include "json-message.h"
#include "json-text.h"
#include "log.h"
#include "milestone.h"
#include "qemu-names.h"
#include "replica-sync.h"
#include "point-spool.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NAME_BYTES  64
#define GRANULARITY 4096 /* bytes: up to 512 GiB a disk; of larger ones so many that a bitmap has 16 MiB */
#define BITS_MAX    (1ULL << 27)
#define WORKERS	    4 /* of a backup job: with more, or fewer, the guest's writes wait longer */

enum moment { MOMENT_AHEAD, MOMENT_COPIES, MOMENT_SENT };

struct disks_frozen {
	struct replica_sync *sync;
	struct frozen_disks copy;
	enum moment moment;
	bool records, two; /* on all disks bitmap `recording` does, and so did the one before, which was ended */
	uint64_t recording;
	uint64_t from;		/* the point there that a delta is sent to; 0: all is sent, or compared */
	char *spool[DISKS_MAX]; /* by the order of list */
	struct disk_map map[DISKS_MAX];
};

static void bitmap_name(const struct disks *ds, char out[NAME_BYTES], uint64_t number)
{
	snprintf(out, NAME_BYTES, "vmfr-%s-%llu", ds->frozen->sync->pair, (unsigned long long)number);
}

static json_t *reference(const struct disk *d, const char *name)
{
	return json_pack("{s:s,s:s}", "node", d->guest->node, "name", name);
}

static void add_action(json_t *actions, const char *type, json_t *data)
{
	json_array_append_new(actions, json_pack("{s:s,s:o}", "type", type, "data", data));
}

static int transact(struct disks *ds, json_t *actions /* stolen */, struct err *e)
{
	return qmp_call(ds->src->qmp, "transaction", json_pack("{s:o}", "actions", actions), NULL, e);
}

/* ---- which bitmaps there are ---- */

enum state { ABSENT, ENDED, RECORDS };

/* Borrowed; NULL: the disk has none of that name. */
static const json_t *find_bitmap(json_t *nodes, const struct disk *d, const char *name)
{
	json_t *node, *bitmap;
	size_t i, k;

	json_array_foreach(nodes, i, node)
		if (!strcmp(json_text(node, "node-name") ?: "", d->guest->node))
			json_array_foreach(json_object_get(node, "dirty-bitmaps"), k, bitmap)
				if (!strcmp(json_text(bitmap, "name") ?: "", name))
					return bitmap;
	return NULL;
}

static enum state state_of(json_t *nodes, const struct disk *d, const char *name)
{
	const json_t *bitmap = find_bitmap(nodes, d, name);

	if (!bitmap || json_is_true(json_object_get(bitmap, "inconsistent")))
		return ABSENT;
	return json_is_true(json_object_get(bitmap, "recording")) ? RECORDS : ENDED;
}

/* All disks' are in this state: what only some have is worth nothing. */
static bool all_are(const struct disks *ds, json_t *nodes, uint64_t number, enum state state)
{
	char name[NAME_BYTES];
	unsigned i;

	bitmap_name(ds, name, number);
	for (i = 0; i < ds->count; i++)
		if (state_of(nodes, ds->list[i], name) != state)
			return false;
	return ds->count;
}

/* The highest number on the first disk; 0: none. */
static uint64_t highest(const struct disks *ds, json_t *nodes)
{
	AUTO_FREE char *prefix = xasprintf("vmfr-%s-", ds->frozen->sync->pair);
	uint64_t most = 0;
	json_t *node, *bitmap;
	size_t i, k;

	json_array_foreach(nodes, i, node)
		json_array_foreach(json_object_get(node, "dirty-bitmaps"), k, bitmap) {
			const char *name = json_text(bitmap, "name") ?: "";

			if (!strncmp(name, prefix, strlen(prefix)))
				most = MAX(most, strtoull(name + strlen(prefix), NULL, 10));
		}
	return most;
}

static int look_for_bitmaps(struct disks *ds, struct err *e)
{
	struct disks_frozen *f = ds->frozen;
	json_t *nodes;
	int r = qmp_call(ds->src->qmp, "query-named-block-nodes", json_pack("{s:b}", "flat", 1), &nodes, e);

	if (r)
		return r;
	f->recording = highest(ds, nodes);
	f->records = f->recording && all_are(ds, nodes, f->recording, RECORDS);
	f->two = f->records && f->recording > 1 && all_are(ds, nodes, f->recording - 1, ENDED);
	json_decref(nodes);
	return 0;
}

/* ---- the plan ---- */

static int examine(struct part *p, struct err *e)
{
	struct disks *ds = disks_of(p);
	bool has_workers;
	int r = disks_examine(p, e);

	if (!r && point_spool_places(ds, ds->frozen->sync->spool, e))
		r = source_obstacle(ds->src, e);

	if (!r && frozen_check(ds->src->qmp, &has_workers, e))
		return source_obstacle(ds->src, e);
	ds->frozen->copy.workers = !r && has_workers ? WORKERS : 0;
	return r;
}

static json_t *paths_of(const struct disks *ds)
{
	json_t *out = json_array();
	unsigned i;

	for (i = 0; i < ds->count; i++)
		if (ds->list[i]->guest->real_path)
			json_array_append_new(out, json_string(ds->list[i]->guest->real_path));
	return out;
}

static int describe(struct part *p, json_t *out, struct err *e)
{
	struct disks *ds = disks_of(p);
	struct disks_frozen *f = ds->frozen;
	json_t *since = json_array();
	int r = disks_describe(p, out, e) ?: look_for_bitmaps(ds, e);

	json_decref(f->sync->disks);
	f->sync->disks = paths_of(ds);

	if (f->records && !f->sync->whole) {
		json_array_append_new(since, json_integer((json_int_t)f->recording));
		if (f->two)
			json_array_append_new(since, json_integer((json_int_t)f->recording - 1));
	}
	json_object_set_new(out, "replica",
			    json_pack("{s:s,s:I,s:s,s:o}", "pair", f->sync->pair, "term", (json_int_t)f->sync->term, "keep", f->sync->keep,
				      "since", since));
	return r;
}

static int agree(struct part *p, const json_t *accept, struct err *e)
{
	struct disks *ds = disks_of(p);
	struct disks_frozen *f = ds->frozen;
	const json_t *said = json_object_get(accept, "replica");
	json_int_t number = json_integer_value(json_object_get(said, "number")), from = json_integer_value(json_object_get(said, "from"));
	int r = disks_agree(p, accept, e);

	if (r)
		return r;
	if (number < 1 || from < 0 || from >= number)
		return err_set(e, EPROTO, "the destination's plan does not say which point comes next");
	if (from && !(f->records && ((uint64_t)from == f->recording || (f->two && (uint64_t)from == f->recording - 1))))
		return err_set(e, EPROTO, "the destination wants what was written since point %lld, which is not known here",
			       (long long)from);
	f->from = (uint64_t)from;
	f->sync->number = (uint64_t)number;
	f->sync->was_whole = !from;
	return 0;
}

/* ---- preparing ---- */

static json_t *spool_files(const struct disks_frozen *f)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < DISKS_MAX && f->spool[i]; i++)
		json_array_append_new(list, json_string(f->spool[i]));
	return list;
}

static int make_spools(struct disks *ds, struct err *e)
{
	struct disks_frozen *f = ds->frozen;
	char prefix[QEMU_PREFIX_MAX];
	unsigned i;
	int r;

	qemu_prefix(prefix, ds->part.a->id);
	for (i = 0; i < ds->count; i++) {
		AUTO_FREE char *dir = point_spool_dir(ds, ds->list[i]->guest, f->sync->spool);

		f->spool[i] = xasprintf("%s/.%s%u.delta", dir, prefix, ds->list[i]->object);
	}
	r = attempt_own(ds->part.a, "frozen", json_pack("{s:s,s:o}", "prefix", prefix, "files", spool_files(f)), e);
	for (i = 0; i < ds->count && !r; i++)
		r = point_spool_make(f->spool[i], ds->list[i]->guest, e);
	return r;
}

/* The newer bitmap's part is added to the one that records since the point that is there, which goes on. */
static void merge_newer(struct disks *ds, json_t *actions)
{
	char older[NAME_BYTES], newer[NAME_BYTES];
	unsigned i;

	bitmap_name(ds, newer, ds->frozen->recording);
	bitmap_name(ds, older, ds->frozen->recording - 1);
	for (i = 0; i < ds->count; i++) {
		const struct disk *d = ds->list[i];

		add_action(actions, "block-dirty-bitmap-merge",
			   json_pack("{s:s,s:s,s:[s]}", "node", d->guest->node, "target", older, "bitmaps", newer));
		add_action(actions, "block-dirty-bitmap-enable", reference(d, older));
		add_action(actions, "block-dirty-bitmap-remove", reference(d, newer));
	}
}

static void drop_older(struct disks *ds, json_t *actions)
{
	char older[NAME_BYTES];
	unsigned i;

	bitmap_name(ds, older, ds->frozen->recording - 1);
	for (i = 0; i < ds->count; i++)
		add_action(actions, "block-dirty-bitmap-remove", reference(ds->list[i], older));
}

static int remove_bitmaps(struct disks *ds, struct err *e)
{
	AUTO_FREE char *prefix = xasprintf("vmfr-%s-", ds->frozen->sync->pair);

	return qemu_undo_bitmaps(ds->src->qmp, prefix, e);
}

/* From here on bitmap `from` records on all disks, alone; or there is none. */
static int settle_bitmaps(struct disks *ds, struct err *e)
{
	struct disks_frozen *f = ds->frozen;
	json_t *actions;
	int r;

	if (!f->from)
		return remove_bitmaps(ds, e);
	if (!f->two)
		return 0;
	actions = json_array();
	if (f->from == f->recording)
		drop_older(ds, actions);
	else
		merge_newer(ds, actions);
	r = transact(ds, actions, e);
	f->recording = f->from;
	f->two = false;
	return r ? err_prefix(e, "bitmaps of the replica") : 0;
}

static int prepare(struct part *p, struct err *e)
{
	struct disks *ds = disks_of(p);

	return disks_prepare(p, e) ?: make_spools(ds, e) ?: settle_bitmaps(ds, e);
}

/* ---- the moment ---- */

static unsigned granularity_of(const struct disk *d)
{
	unsigned bytes = GRANULARITY;

	while (d->guest->virtual_size / bytes > BITS_MAX)
		bytes *= 2;
	return bytes;
}

/* By which the last delta is told: the replica's own, or of the rounds so far. */
static void ending_bitmap(const struct disks *ds, char out[NAME_BYTES], const struct disk *d)
{
	if (ds->frozen->from)
		bitmap_name(ds, out, ds->frozen->from);
	else
		disk_bitmap_name(ds, out, d, d->bitmap);
}

static json_t *change_bitmaps(const struct disks *ds)
{
	char ends[NAME_BYTES], begins[NAME_BYTES];
	json_t *actions = json_array();
	unsigned i;

	bitmap_name(ds, begins, ds->frozen->sync->number);
	for (i = 0; i < ds->count; i++) {
		const struct disk *d = ds->list[i];

		ending_bitmap(ds, ends, d);
		add_action(actions, "block-dirty-bitmap-add",
			   json_pack("{s:s,s:s,s:i,s:b}", "node", d->guest->node, "name", begins, "granularity", (int)granularity_of(d),
				     "persistent", 0));
		add_action(actions, "block-dirty-bitmap-disable", reference(d, ends));
	}
	return actions;
}

/* In the moment between them all file systems are still. A point that is not frozen is one all the same, as after a power failure. */
static int begin_frozen(struct disks *ds, json_t *actions, struct err *e)
{
	struct replica_sync *sync = ds->frozen->sync;
	AUTO_FREE char *path = sync->freezes ? guest_agent_path(&ds->src->guest) : NULL;
	struct freeze agent = {.thaws = {.pid = 0}};
	struct err why;
	int r;

	if (sync->freezes && !path)
		report_notice(ds->src->report, "the guest's file systems are not frozen for this point: it has no guest agent's port");
	if (path && !ds->src->paused && freeze_begin(&agent, path, ds->src->guest.pid, &why))
		report_notice(ds->src->report, "the guest's file systems are not frozen for this point: %s", why.msg);
	else
		sync->frozen = path && !ds->src->paused;
	r = frozen_begin(&ds->frozen->copy, actions, 0, e);
	if (freeze_end(&agent, &why)) {
		sync->frozen = false;
		report_notice(ds->src->report, "the guest's file systems: %s", why.msg);
	}
	return r;
}

/* ---- room for what is to be sent ---- */

static uint64_t dirty_bytes(const struct disks *ds, json_t *nodes, const struct disk *d)
{
	char name[NAME_BYTES];
	json_int_t n;

	ending_bitmap(ds, name, d);
	n = json_integer_value(json_object_get(find_bitmap(nodes, d, name), "count"));
	return n > 0 ? (uint64_t)n : 0;
}

/* Before QEMU writes any: where the guest's disks grow, a file system that is full would stop it. */
static int check_room(const struct disks *ds, struct err *e)
{
	uint64_t need[DISKS_MAX];
	json_t *nodes;
	unsigned i;
	int r = qmp_call(ds->src->qmp, "query-named-block-nodes", json_pack("{s:b}", "flat", 1), &nodes, e);

	if (r)
		return r;
	for (i = 0; i < ds->count; i++)
		need[i] = dirty_bytes(ds, nodes, ds->list[i]);
	json_decref(nodes);
	return fault_point("src-spool-room") ? 0 : point_spool_room(ds->frozen->spool, need, ds->count, e);
}

int disks_freeze(struct disks *ds, struct err *e)
{
	struct disks_frozen *f = ds->frozen;
	struct frozen_disk *list = xcalloc(ds->count + 1, sizeof(*list));
	char(*names)[NAME_BYTES] = xcalloc(ds->count + 1, sizeof(*names));
	json_t *actions = change_bitmaps(ds);
	unsigned i;
	int r = check_room(ds, e);

	for (i = 0; i < ds->count; i++) {
		const struct disk *d = ds->list[i];

		ending_bitmap(ds, names[i], d);
		list[i] = (struct frozen_disk){.node = d->guest->node,
					       .name = d->guest->real_path,
					       .bytes = d->guest->virtual_size,
					       .target = f->spool[i],
					       .bitmap = names[i]};
	}
	qemu_prefix(f->copy.prefix, ds->part.a->id);
	f->copy.q = ds->src->qmp;
	f->copy.l = ds->part.a->loop;
	f->copy.format = "raw";
	if (!r)
		f->moment = MOMENT_COPIES;
	r = r ?: frozen_prepare(&f->copy, list, ds->count, e);
	fault_point("src-moment");
	r = r ?: begin_frozen(ds, actions, e);
	f->sync->at_ms = (int64_t)time(NULL) * 1000;
	fault_point("src-moment-begun");
	for (i = 0; i < f->copy.count; i++) /* the names are this function's */
		f->copy.disk[i].bitmap = NULL;
	json_decref(actions);
	free(list);
	free(names);
	return r ? err_prefix(e, "the moment of the point") : 0;
}

bool disks_are_frozen(const struct disks *ds)
{
	return ds->frozen && ds->frozen->moment != MOMENT_AHEAD;
}

/* ---- what is sent of it ---- */

static void export_name(const struct disks *ds, char out[NAME_BYTES], const struct disk *d)
{
	char prefix[QEMU_PREFIX_MAX];

	snprintf(out, NAME_BYTES, "%s%u-map", qemu_prefix(prefix, ds->part.a->id), d->object);
}

static int export_map(struct disks *ds, const struct disk *d, struct err *e)
{
	char id[NAME_BYTES], ended[NAME_BYTES];

	export_name(ds, id, d);
	ending_bitmap(ds, ended, d);
	return qmp_call(ds->src->qmp, "block-export-add",
			json_pack("{s:s,s:s,s:s,s:s,s:b,s:[s]}", "type", "nbd", "id", id, "node-name", d->guest->node, "name", id,
				  "writable", 0, "bitmaps", ended),
			NULL, e);
}

/* The delta's file has what the bitmap selects, whether or not the guest's disk has data there. */
static int take_map(struct disks *ds, unsigned i, struct disk_io *io, struct err *e)
{
	struct disk_map m = {.count = 0}, *out = &ds->frozen->map[i];
	size_t k;
	int r = disk_io_map(io, &m, e);

	disk_map_free(out);
	for (k = 0; k < m.count && !r; k++) {
		r = disk_map_add(out, m.extent[k].length, DISK_DATA, m.extent[k].selected, e);
		ds->frozen->sync->delta_bytes += m.extent[k].selected ? m.extent[k].length : 0;
	}
	disk_map_free(&m);
	return r;
}

static int read_map(struct disks *ds, unsigned i, struct err *e)
{
	const struct disk *d = ds->list[i];
	char id[NAME_BYTES], ended[NAME_BYTES];
	AUTO_FREE char *select = NULL;
	struct disk_at at = {.path = ds->nbd_socket, .export_name = id};
	struct disk_io *io = NULL;
	int r;

	export_name(ds, id, d);
	ending_bitmap(ds, ended, d);
	select = xasprintf("qemu:dirty-bitmap:%s", ended);
	at.select = select;
	r = disk_io_open(&io, ds->part.a->loop, &at, e);
	if (!r && !io->caps.selects)
		r = err_set(e, EPROTO, "QEMU does not tell what is in its dirty bitmap %s", ended);
	r = r ?: take_map(ds, i, io, e);
	disk_io_close(io);
	return r;
}

/* No client comes or goes beside a change of exports: see disks.c. */
static int read_maps(struct disks *ds, struct err *e)
{
	char prefix[QEMU_PREFIX_MAX];
	unsigned i;
	int r = 0;

	qemu_prefix(prefix, ds->part.a->id);
	for (i = 0; i < ds->count && !r; i++)
		r = export_map(ds, ds->list[i], e);
	for (i = 0; i < ds->count && !r; i++)
		r = read_map(ds, i, e);
	r = r ?: qemu_undo_exports(ds->src->qmp, ds->part.a->loop, prefix, e);
	return r ? err_prefix(e, "what was written since the last point") : 0;
}

static void send_delta(struct disks *ds, unsigned i)
{
	struct disk *d = ds->list[i];
	struct disk_round round = {.object = d->object,
				   .at = {.path = ds->frozen->spool[i], .map = &ds->frozen->map[i]},
				   .name = d->guest->real_path,
				   .size = d->guest->virtual_size,
				   .detect_zeros = true};

	if (!ds->frozen->from) {
		d->bitmap++;
		d->round++;
	}
	round.number = d->round;
	d->started = d->final = d->in_flight = true;
	d->queued = false;
	d->dirty = 0;
	disk_reader_round(ds->reader, &round);
}

static int copied(struct disks *ds, struct err *e)
{
	struct disks_frozen *f = ds->frozen;
	unsigned i;
	int r;

	if (f->copy.bad.code)
		return *e = f->copy.bad, -e->code;
	r = read_maps(ds, e) ?: frozen_undo(&f->copy, e);
	if (!r && conductor_has_qmp(&ds->part.a->con, "QUORUM_REPORT_BAD")) /* heard as the files were closed */
		r = err_set(e, EIO, "what is to be sent cannot be written here, perhaps for want of room");
	fault_point("src-moment-copied");
	if (r)
		return r;
	f->moment = MOMENT_SENT;
	ds->final = true;
	for (i = 0; i < ds->count; i++)
		send_delta(ds, i);
	return 0;
}

/* The point is there, and what led to it serves nothing any more. */
static int on_point(struct disks *ds, const struct event *ev, struct err *e)
{
	struct disks_frozen *f = ds->frozen;
	json_t *said;
	int r = json_message_take(ev->type, ev->bytes, ev->n, ds->part.a->id, NULL, &said, e);

	if (r)
		return r;
	if (f->moment != MOMENT_SENT || json_integer_value(json_object_get(said, "number")) != (json_int_t)f->sync->number)
		r = err_set(e, EPROTO, "the destination has made another point than the one that was sent");
	f->sync->points = (uint64_t)json_integer_value(json_object_get(said, "points"));
	json_decref(said);
	if (r)
		return r;
	f->sync->durable = true;
	f->sync->bitmap_number = f->sync->number;
	fault_point("src-point-durable");
	if (f->from) {
		json_t *actions = json_array();

		f->recording = f->sync->number;
		drop_older(ds, actions);
		if (transact(ds, actions, e)) /* the next one does */
			log_info("%s", e->msg);
	}
	return 0;
}

static int event(struct part *p, const struct event *ev, struct err *e)
{
	struct disks *ds = disks_of(p);
	struct disks_frozen *f = ds->frozen;

	if (ev->kind == EVENT_QMP && f->moment == MOMENT_COPIES) {
		frozen_event(&f->copy, ev->name, ev->json);
		return frozen_is_over(&f->copy) ? copied(ds, e) ?: PART_NOT_MINE : PART_NOT_MINE;
	}
	if (ev->kind == EVENT_FRAME && ev->type == MSG_POINT)
		return on_point(ds, ev, e);
	return disks_event(p, ev, e);
}

static int begin(struct part *p, struct err *e)
{
	struct disks *ds = disks_of(p);

	return ds->frozen->from ? disks_freeze(ds, e) : disks_begin(p, e);
}

bool disks_frozen_are_there(const struct disks *ds)
{
	return ds->frozen->moment == MOMENT_SENT && disks_reached(&ds->part) & M_DISKS_DURABLE;
}

/* ---- undoing ---- */

static int remove_from_qemu(struct source *s, const json_t *detail, struct err *e)
{
	const char *prefix = json_text(detail, "prefix");

	return prefix ? qemu_undo_jobs(s->qmp, s->part.a->loop, prefix, e) ?: qemu_undo_nodes(s->qmp, prefix, NULL, e)
		      : err_set(e, EBADMSG, "the journal does not say which");
}

static int undo_frozen(struct part *p, const json_t *detail, struct err *e)
{
	int r = source_undo(disks_of(p)->src, remove_from_qemu, detail, e);
	json_t *file;
	size_t i;

	if (r < 0)
		return r;
	json_array_foreach(json_object_get(detail, "files"), i, file)
		if (json_string_value(file) && unlink(json_string_value(file)) && errno != ENOENT)
			return err_sys(e, errno, "cannot remove %s", json_string_value(file));
	return 0;
}

static void fini(struct part *p)
{
	struct disks *ds = disks_of(p);
	struct disks_frozen *f = ds->frozen;
	size_t i;

	disks_fini(p);
	for (i = 0; i < DISKS_MAX; i++) {
		free(f->spool[i]);
		disk_map_free(&f->map[i]);
	}
	frozen_fini(&f->copy);
	free(f);
}

static const struct part_undo undo[] = {
	{"exports", "NBD exports of its QEMU", disks_undo_exports},
	{"bitmaps", "dirty bitmaps in its QEMU", disks_undo_bitmaps},
	{"nbd-server", "the NBD server of its QEMU", disks_undo_nbd_server},
	{"frozen", "jobs of its QEMU, and files with what was to be sent", undo_frozen},
	{NULL, NULL, NULL},
};

static const struct part_ops ops = {.name = "disks",
				    .examine = examine,
				    .describe = describe,
				    .agree = agree,
				    .prepare = prepare,
				    .begin = begin,
				    .event = event,
				    .reached = disks_reached,
				    .undo = undo,
				    .tell = disks_tell,
				    .fini = fini};

void disks_for_point(struct disks *ds, struct replica_sync *sync)
{
	if (!ds->frozen)
		ds->frozen = xcalloc(1, sizeof(*ds->frozen));
	ds->frozen->sync = sync;
	ds->part.ops = &ops;
}
