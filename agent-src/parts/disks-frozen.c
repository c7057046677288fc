/*
 * disks-frozen.c: the disks of a guest that runs, for a point of its replica: as they are at one moment, all of them.
 *
 * What the guest writes is recorded in bitmaps of QEMU's, "vmfr-PAIR-N": since point N. The moment of point N+1 is one transaction: what N has is copied
 * into files here, below a quorum (frozen-disks.h), N end, and bitmaps N+1 begin. QEMU is left alone then, and the files are sent.
 * The order decides: QEMU holds a disk from the moment its copy is asked for until the transaction is over, and no disk because of a bitmap.
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
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define WORKERS 4 /* workers of a backup job: with more, or fewer, the guest's writes wait longer */

#define FREEZE "freeze" /* journal entry: the guest's file systems are frozen */

enum moment { MOMENT_AHEAD, MOMENT_COPIES, MOMENT_SENT };

struct disks_frozen {
	struct frozen_disks copy;
	enum moment moment;
	char *spool[DISKS_MAX]; /* spool files, in the order of disks.list */
	struct disk_map map[DISKS_MAX];
};

/* ---- the plan ---- */

static int examine(struct part *p, struct err *e)
{
	struct disks *ds = disks_of(p);
	bool has_workers;
	int r = disks_examine(p, e);

	if (!r && point_spool_places(ds, ds->since.sync->spool, e))
		r = source_obstacle(ds->src, e);

	if (!r && frozen_check(ds->src->qmp, &has_workers, e))
		return source_obstacle(ds->src, e);
	ds->frozen->copy.workers = !r && has_workers ? WORKERS : 0;
	return r;
}

static json_t *paths_of(const struct disks *ds)
{
	json_t *out = json_array();

	for (unsigned i = 0; i < ds->count; i++)
		if (ds->list[i]->guest->real_path)
			json_array_append_new(out, json_string(ds->list[i]->guest->real_path));
	return out;
}

static int describe(struct part *p, json_t *out, struct err *e)
{
	struct disks *ds = disks_of(p);
	int r = disks_describe(p, out, e) ?: point_bitmaps_look(ds, e);

	json_decref(ds->since.sync->outcome.disks);
	ds->since.sync->outcome.disks = paths_of(ds);
	point_bitmaps_describe(ds, out);
	return r;
}

/* Once is enough, as list, status and hooks have it as long as it holds; -v shows it each time. */
static void tell_news(const struct disks *ds, const char *before, json_t *sentence)
{
	if (ds->src->opt->dest.verbose || !json_has(ds->since.sync->told, sentence))
		report_notice(ds->src->report, "%s: %s", before, json_string_value(sentence) ?: "?");
}

/* Obstacles of a run there are in no point's way. */
static void take_plan(struct disks *ds, json_t *would_start)
{
	struct replica_sync *sync = ds->since.sync;
	json_t *why;
	size_t i;

	if (!json_is_object(would_start))
		return;
	json_decref(sync->outcome.would_start);
	sync->outcome.would_start = json_incref(would_start);
	json_array_foreach(json_object_get(would_start, "why"), i, why)
		tell_news(ds, "the guest would not start there as things are", why);
}

/* The points that are there may be in need of somebody. */
static void take_warnings(struct disks *ds, json_t *warnings)
{
	struct replica_sync *sync = ds->since.sync;
	json_t *one;
	size_t i;

	if (!json_is_array(warnings))
		return;
	json_decref(sync->outcome.warnings);
	sync->outcome.warnings = json_incref(warnings);
	json_array_foreach(warnings, i, one)
		tell_news(ds, "at the replica's host", one);
}

/* The first copy of a guest without points there. An older vmferry says nothing of bundles. */
static int agree_on_bundle(const struct disks *ds, const json_t *accept, struct err *e)
{
	const char *from = ds->since.sync->initial;
	unsigned i, found = 0, asked = 0;

	if (!from || json_integer_value(json_object_get(json_object_get(accept, "replica"), "points")))
		return 0;
	for (i = 0; i < ds->count; i++) {
		const struct disk *d = ds->list[i];

		if (!disk_bundle(ds, d->guest))
			continue;
		asked++;
		found += d->old != NULL;
		if (!d->old)
			report_notice(ds->src->report, "%s there has no disk %s: all of it travels", from, d->guest->real_path);
	}
	return found || !asked
		       ? 0
		       : err_set(e, ENOENT,
				 "--initial %s: that bundle has none of this guest's disks, or the vmferry there is older than this one and reads no "
				 "bundles. Name images there by --reuse DISK=FILE, or leave it out",
				 from);
}

int disks_agree_on_point(struct disks *ds, const json_t *accept, struct err *e)
{
	const json_t *said = json_object_get(accept, "replica");
	int r = agree_on_bundle(ds, accept, e);

	if (r)
		return r;
	take_plan(ds, json_object_get(said, "would_start"));
	take_warnings(ds, json_object_get(said, "warnings"));
	return 0;
}

static int agree(struct part *p, const json_t *accept, struct err *e)
{
	struct disks *ds = disks_of(p);

	return disks_agree(p, accept, e) ?: point_bitmaps_agree(ds, accept, e) ?: disks_agree_on_point(ds, accept, e);
}

/* ---- preparing ---- */

static json_t *spool_files(const struct disks_frozen *f)
{
	json_t *list = json_array();

	for (size_t i = 0; i < DISKS_MAX && f->spool[i]; i++)
		json_array_append_new(list, json_string(f->spool[i]));
	return list;
}

static int make_spools(struct disks *ds, struct err *e)
{
	struct disks_frozen *f = ds->frozen;
	char prefix[QEMU_PREFIX_MAX];
	int r;

	qemu_prefix(prefix, ds->part.a->id);
	for (unsigned i = 0; i < ds->count; i++) {
		AUTO_FREE char *dir = point_spool_dir(ds, ds->list[i]->guest, ds->since.sync->spool);

		f->spool[i] = xasprintf("%s/.%s%u.delta", dir, prefix, ds->list[i]->object);
	}
	r = attempt_own(ds->part.a, "frozen", json_pack("{s:s,s:o}", "prefix", prefix, "files", spool_files(f)), e);
	for (unsigned i = 0; i < ds->count && !r; i++)
		r = point_spool_make(f->spool[i], ds->list[i]->guest, e);
	return r;
}

static int prepare(struct part *p, struct err *e)
{
	struct disks *ds = disks_of(p);

	return disks_prepare(p, e) ?: make_spools(ds, e) ?: point_bitmaps_settle(ds, e);
}

/* ---- the moment ---- */

/* Begins the point while all file systems are frozen. A point without that is still one, as after a power failure. */
static int begin_frozen(struct disks *ds, json_t *actions, struct err *e)
{
	struct replica_sync *sync = ds->since.sync;
	AUTO_FREE char *path = sync->freezes ? guest_agent_path(&ds->src->guest) : NULL;
	struct freeze agent = {.thaws = {.pid = 0}};
	bool asks = path && !ds->src->run.paused;
	json_auto_t *entry = asks ? freeze_entry(path, ds->src->guest.pid) : NULL;
	struct err why;
	bool stuck;
	int r, thawed;

	if (sync->freezes && !path)
		report_notice(ds->src->report, "the guest's file systems are not frozen for this point: it has no guest agent's port");
	r = asks ? attempt_own(ds->part.a, FREEZE, json_incref(entry), &why) ?: freeze_begin(&agent, path, ds->src->guest.pid, &why) : 0;
	if (r)
		report_notice(ds->src->report, "the guest's file systems are not frozen for this point: %s", why.msg);
	sync->outcome.frozen = asks && !r;
	stuck = r == -EIO;
	r = frozen_begin(&ds->frozen->copy, actions, 0, e);
	thawed = freeze_end(&agent, &why);
	if (thawed) {
		sync->outcome.frozen = false;
		report_notice(ds->src->report, "the guest's file systems: %s", why.msg);
	}
	if (asks && !stuck && thawed != -EIO) /* otherwise it is tried again when this attempt is over */
		attempt_disown(ds->part.a, FREEZE, json_incref(entry));
	return r;
}

/* ---- room for what is to be sent ---- */

/* Checks the room before QEMU writes any spool: where the guest's disks grow, a file system that is full would stop it. */
static int check_room(const struct disks *ds, json_t *nodes, struct err *e)
{
	uint64_t need[DISKS_MAX];

	for (unsigned i = 0; i < ds->count; i++)
		need[i] = point_bitmap_bytes(ds, nodes, ds->list[i]);
	return fault_point("src-spool-room") ? 0 : point_spool_room(ds->frozen->spool, need, ds->count, e);
}

static int make_ready(struct disks *ds, struct err *e)
{
	json_auto_t *nodes = NULL;
	int r = qmp_call(ds->src->qmp, "query-named-block-nodes", json_pack("{s:b}", "flat", 1), &nodes, e);

	if (r)
		return r;
	return check_room(ds, nodes, e) ?: point_bitmaps_double(ds, nodes, e);
}

int disks_freeze(struct disks *ds, struct err *e)
{
	struct disks_frozen *f = ds->frozen;
	AUTO_FREE struct frozen_disk *list = xcalloc(ds->count + 1, sizeof(*list));
	char(*names)[POINT_BITMAP_NAME] = xcalloc(ds->count + 1, sizeof(*names));
	json_auto_t *actions = json_array();
	int r = make_ready(ds, e);

	point_bitmaps_change(ds, actions);
	for (unsigned i = 0; i < ds->count; i++) {
		const struct disk *d = ds->list[i];

		point_bitmap_twin(ds, names[i], d);
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
	ds->since.sync->outcome.at_ms = (int64_t)time(NULL) * 1000;
	fault_point("src-moment-begun");
	for (unsigned i = 0; i < f->copy.count; i++) /* the names are this function's */
		f->copy.disk[i].bitmap = NULL;
	free(names);
	return r ? err_prefix(e, "the moment of the point") : 0;
}

bool disks_are_frozen(const struct disks *ds)
{
	return ds->onward || (ds->frozen && ds->frozen->moment != MOMENT_AHEAD);
}

/* ---- what is sent of it ---- */

static void export_name(const struct disks *ds, char out[POINT_BITMAP_NAME], const struct disk *d)
{
	char prefix[QEMU_PREFIX_MAX];

	snprintf(out, POINT_BITMAP_NAME, "%s%u-map", qemu_prefix(prefix, ds->part.a->id), d->object);
}

static int export_map(struct disks *ds, const struct disk *d, struct err *e)
{
	char id[POINT_BITMAP_NAME], ended[POINT_BITMAP_NAME];

	export_name(ds, id, d);
	point_bitmap_that_ends(ds, ended, d);
	return qmp_call(ds->src->qmp, "block-export-add",
			json_pack("{s:s,s:s,s:s,s:s,s:b,s:[s]}", "type", "nbd", "id", id, "node-name", d->guest->node, "name", id,
				  "writable", 0, "bitmaps", ended),
			NULL, e);
}

/* The delta's file has what the bitmap selects, whether or not the guest's disk has data there. */
static int take_map(struct disks *ds, unsigned i, struct disk_io *io, struct err *e)
{
	struct disk_map m = {.count = 0}, *out = &ds->frozen->map[i];
	int r = disk_io_map(io, &m, e);

	disk_map_free(out);
	for (size_t k = 0; k < m.count && !r; k++) {
		r = disk_map_add(out, m.extent[k].length, DISK_DATA, m.extent[k].selected, e);
		ds->since.sync->outcome.delta_bytes += m.extent[k].selected ? m.extent[k].length : 0;
	}
	disk_map_free(&m);
	return r;
}

static int read_map(struct disks *ds, unsigned i, struct err *e)
{
	const struct disk *d = ds->list[i];
	char id[POINT_BITMAP_NAME], ended[POINT_BITMAP_NAME];
	AUTO_FREE char *select = NULL;
	struct disk_at at = {.path = ds->nbd_socket, .export_name = id};
	struct disk_io *io = NULL;
	int r;

	export_name(ds, id, d);
	point_bitmap_that_ends(ds, ended, d);
	select = xasprintf("qemu:dirty-bitmap:%s", ended);
	at.select = select;
	r = disk_io_open(&io, ds->part.a->loop, &at, e);
	if (!r && !io->caps.selects)
		r = err_set(e, EPROTO, "QEMU does not tell what is in its dirty bitmap %s", ended);
	r = r ?: take_map(ds, i, io, e);
	disk_io_close(io);
	return r;
}

/* Clients must not connect or disconnect while exports change: see disks.c. */
static int read_maps(struct disks *ds, struct err *e)
{
	char prefix[QEMU_PREFIX_MAX];
	int r = 0;

	qemu_prefix(prefix, ds->part.a->id);
	for (unsigned i = 0; i < ds->count && !r; i++)
		r = export_map(ds, ds->list[i], e);
	for (unsigned i = 0; i < ds->count && !r; i++)
		r = read_map(ds, i, e);
	r = r ?: qemu_undo_exports(ds->src->qmp, ds->part.a->loop, prefix, e);
	return r ? err_prefix(e, "cannot read the changes since the last point") : 0;
}

static void send_delta(struct disks *ds, unsigned i)
{
	struct disk *d = ds->list[i];
	struct disk_round round = {.object = d->object,
				   .at = {.path = ds->frozen->spool[i], .map = &ds->frozen->map[i]},
				   .name = d->guest->real_path,
				   .size = d->guest->virtual_size,
				   .detect_zeros = true};

	if (!ds->since.from) {
		d->progress.bitmap++;
		d->progress.round++;
	}
	round.number = d->progress.round;
	d->progress.started = d->progress.final = d->progress.in_flight = true;
	d->progress.queued = false;
	d->progress.dirty = 0;
	disk_reader_round(ds->reader, &round);
}

static int copied(struct disks *ds, struct err *e)
{
	struct disks_frozen *f = ds->frozen;
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
	for (unsigned i = 0; i < ds->count; i++)
		send_delta(ds, i);
	return 0;
}

int disks_take_point(struct disks *ds, const struct event *ev, struct err *e)
{
	json_t *said;
	int r = json_message_take(ev->type, ev->bytes, ev->n, ds->part.a->id, NULL, &said, e);

	if (r)
		return r;
	if (!disks_are_frozen(ds) || json_integer_value(json_object_get(said, "number")) != (json_int_t)ds->since.sync->outcome.number)
		r = err_set(e, EPROTO, "the destination has made another point than the one that was sent");
	ds->since.sync->outcome.points = (uint64_t)json_integer_value(json_object_get(said, "points"));
	json_decref(said);
	if (r)
		return r;
	ds->since.sync->outcome.durable = true;
	fault_point("src-point-durable");
	return 0;
}

/* The point is there, and what led to it serves nothing any more. */
static int on_point(struct disks *ds, const struct event *ev, struct err *e)
{
	int r = ds->frozen->moment == MOMENT_SENT ? disks_take_point(ds, ev, e)
						  : err_set(e, EPROTO, "the destination has made a point before all of it was sent");

	if (r)
		return r;
	if (ds->since.from) {
		json_t *actions = json_array();

		ds->since.recording = ds->since.sync->outcome.number;
		point_bitmaps_drop_older(ds, actions);
		if (point_bitmaps_transact(ds, actions, e)) /* the next one does */
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

	return ds->since.from ? disks_freeze(ds, e) : disks_begin(p, e);
}

bool disks_frozen_are_there(const struct disks *ds)
{
	return (ds->onward || ds->frozen->moment == MOMENT_SENT) && disks_reached(&ds->part) & M_DISKS_DURABLE;
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

static int undo_freeze(struct part *p, const json_t *detail, struct err *e)
{
	(void)p;
	return freeze_settle(detail, e);
}

static void fini(struct part *p)
{
	struct disks *ds = disks_of(p);
	struct disks_frozen *f = ds->frozen;

	disks_fini(p);
	for (size_t i = 0; i < DISKS_MAX; i++) {
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
	{FREEZE, "the guest's frozen file systems", undo_freeze},
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
	ds->makes_point = true;
	ds->since.sync = sync;
	ds->part.ops = &ops;
}
