/*
 * disks-onward.c: the disks of the newest point of a guest's replica on this host, which goes on to a further host (an extended replica). No guest is asked for
 * anything: a QEMU of ours opens the point's images, which nobody changes, and what was written since the newest point there lies in the images above that.
 *
 * That QEMU ends with this agent. Until then its locks keep points from being merged that it reads.
 */
#include "disks-private.h"
#include "fault.h"
#include "json-members.h"
#include "json-text.h"
#include "milestone.h"
#include "onward.h"
#include "qcow2-header.h"
#include "qemu-find.h"
#include "qemu-helper.h"
#include "replica-sync.h"
#include "same-file.h"
#include "source-sockets.h"

#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CLUSTER_OF_QCOW2 65536 /* bytes */

#define DIR_OF_HELPER "reader-dir" /* journal entry */

struct disks_onward {
	struct points store;
	const struct point *point;
	char *dir; /* directory of the helper QEMU's sockets; NULL: not made yet */
	struct qemu_helper helper;
	unsigned depth[DISKS_MAX]; /* images above the newest point there, by the order of the point's disks */
};

json_t *disks_onward_tpm(const struct disks *ds)
{
	return ds->onward && ds->onward->point ? json_object_get(ds->onward->point->json, "tpm") : NULL;
}

/* ---- the point ---- */

static int open_store(struct disks_onward *w, const struct replica_sync *sync, struct err *e)
{
	int r;

	points_close(&w->store);
	w->point = NULL;
	r = points_read(&w->store, sync->store, e) ?: onward_check(&w->store, sync->pair, e);
	return r ?: points_find(&w->store, NULL, &w->point, e);
}

static char *image_of(const struct points *p, const struct point *pt, size_t i)
{
	return points_path(p, pt->slot, json_text(point_disk(pt, i), "file"));
}

/* Bytes of a disk in its images above point number; 0: in all of them. */
static uint64_t allocated_above(const struct disks_onward *w, size_t i, uint64_t number)
{
	uint64_t sum = 0;

	for (size_t k = 0; k < w->store.count; k++) {
		bool is_above = w->store.list[k].number > number && point_disk(&w->store.list[k], i);
		AUTO_FREE char *path = is_above ? image_of(&w->store, &w->store.list[k], i) : NULL;

		sum += path ? path_allocated(path) : 0;
	}
	return sum;
}

/* Lower bound of bytes to send per point, in order: the largest of the disk's images above that point, each of which is sent whole. */
static json_t *least_above(const struct disks_onward *w, size_t i)
{
	json_t *out = json_array();
	uint64_t most = 0;

	for (size_t k = w->store.count; k-- > 0;) {
		AUTO_FREE char *path = point_disk(&w->store.list[k], i) ? image_of(&w->store, &w->store.list[k], i) : NULL;

		json_array_insert_new(out, 0, json_integer((json_int_t)most));
		most = MAX(most, path ? path_allocated(path) : 0);
	}
	return out;
}

/* The disk is described as its primary did, so that the further host knows it by the same words. */
static void take_disk(const struct disks_onward *w, struct guest *g, size_t i)
{
	const json_t *is = point_disk(w->point, i);
	uint64_t bytes = (uint64_t)json_integer_value(json_object_get(is, "bytes"));

	g->disks[g->disk_count++] = (struct guest_disk){.node = xstrdup(json_text(is, "node")) ?: xasprintf("disk%zu", i),
							.file = xstrdup(json_text(is, "named") ?: "?"),
							.real_path = xstrdup(json_text(is, "from") ?: "?"),
							.format = xstrdup(json_text(is, "source_format") ?: "raw"),
							.qdev = xstrdup(json_text(is, "qdev")),
							.virtual_size = bytes,
							.allocated = MIN(allocated_above(w, i, 0), bytes)};
}

static void take_guest(const struct disks_onward *w, struct guest *g)
{
	const json_t *is = json_object_get(w->point->json, "guest");

	*g = (struct guest){.name = xstrdup(json_text(is, "name") ?: "?"),
			    .exe = xstrdup(json_text(is, "exe")),
			    .cwd = xstrdup("/"),
			    .machine = xstrdup(json_text(is, "machine")),
			    .ram_bytes = (uint64_t)json_integer_value(json_object_get(is, "ram_bytes")),
			    .cpu.count = (unsigned)json_integer_value(json_object_get(is, "vcpus"))};
	g->disks = xcalloc(POINT_DISKS_MAX + 1, sizeof(*g->disks));
	for (size_t i = 0; point_disk(w->point, i) && i < MIN(POINT_DISKS_MAX, DISKS_MAX); i++)
		take_disk(w, g, i);
}

int disks_find_point(struct disks *ds, struct err *e)
{
	struct disks_onward *w = ds->onward;
	struct replica_sync *sync = ds->since.sync;
	int lock = -1, r = points_lock(sync->store, &lock, e);

	r = r ?: open_store(w, sync, e);
	if (lock >= 0)
		close(lock);
	if (r)
		return r;
	take_guest(w, &ds->src->guest);
	sync->term = (uint64_t)json_integer_value(json_object_get(w->store.replica, "term"));
	sync->outcome.at_ms = w->point->at_ms;
	sync->outcome.shut_down = json_is_true(json_object_get(w->point->json, "shut_down"));
	sync->outcome.frozen = json_is_true(json_object_get(w->point->json, "frozen"));
	return 0;
}

/* ---- the plan ---- */

static int examine(struct part *p, struct err *e)
{
	struct disks *ds = disks_of(p);
	const struct guest *g = &ds->src->guest;

	(void)e;
	for (size_t i = 0; i < g->disk_count; i++) {
		struct disk *d = disk_add(ds, &g->disks[i]);

		d->left_behind = point_disk_is_left_out(ds->onward->point, i);
		json_array_append_new(ds->src->disk_paths, json_string(g->disks[i].real_path));
	}
	return 0;
}

static void describe_disk(struct disks *ds, const struct disk *d)
{
	const struct disks_onward *w = ds->onward;
	const struct guest_disk *g = d->guest;
	size_t i = d->object - OBJECT_DISK_BASE;
	uint64_t since = allocated_above(w, i, onward_number(&w->store));
	bool is_told = !ds->since.sync->whole && !d->left_behind;

	json_array_append_new(ds->described,
			      json_of(MEMBER_COUNT("object", d->object), MEMBER_TEXT("node", g->node), MEMBER_TEXT("qdev", g->qdev),
				      MEMBER_TEXT("file", g->file), MEMBER_TEXT("real_path", g->real_path),
				      MEMBER_TEXT("format", g->format), MEMBER_COUNT("virtual_size", g->virtual_size),
				      MEMBER_COUNT("allocated", d->left_behind ? 0 : g->allocated), MEMBER_COUNT("since_bytes", since),
				      MEMBER_MAYBE("since_least", is_told ? least_above(w, i) : NULL), MEMBER_COUNT("mode", 0600),
				      MEMBER_TEXT("reuse", disk_reuse(ds, g)), MEMBER_TEXT("bundle", disk_bundle(ds, g)),
				      MEMBER_IF("empty", d->left_behind)));
}

/* Points since which all that was written can be told, each with its moment; if all is to be compared, none. The newest itself may be there already. */
static void describe_since(const struct disks *ds, json_t *replica)
{
	const struct points *p = &ds->onward->store;
	const struct point *newest = ds->onward->point;
	json_t *since = json_array(), *moments = json_array();

	for (size_t i = 0; i < p->count; i++) {
		const struct point *pt = &p->list[i];

		if (pt->number > newest->number || (pt->number < newest->number && ds->since.sync->whole))
			continue;
		json_array_append_new(since, json_integer((json_int_t)pt->number));
		json_array_append_new(moments, json_integer((json_int_t)pt->at_ms));
	}
	json_object_set_new(replica, "since", since);
	json_object_set_new(replica, "since_at_ms", moments);
}

/* Stores that the point has come through, this one the last: none of them takes it again. */
static json_t *stores_through(const struct disks_onward *w)
{
	json_t *before = json_object_get(w->point->json, "through"), *out = json_is_array(before) ? json_deep_copy(before) : json_array();

	if (json_text(w->store.replica, "store"))
		json_array_append(out, json_object_get(w->store.replica, "store"));
	return out;
}

/* The guest, as the point has it, is described by what its primary said. */
static int describe(struct part *p, json_t *out, struct err *e)
{
	struct disks *ds = disks_of(p);
	const struct replica_sync *sync = ds->since.sync;
	json_t *replica = json_pack("{s:s,s:I,s:s,s:I}", "pair", sync->pair, "term", (json_int_t)sync->term, "keep", sync->keep, "number",
				    (json_int_t)ds->onward->point->number);

	(void)e;
	json_object_update_missing(out, json_object_get(ds->onward->point->json, "guest"));
	for (unsigned i = 0; i < ds->count; i++)
		describe_disk(ds, ds->list[i]);
	json_object_set(out, "disks", ds->described);
	describe_since(ds, replica);
	if (sync->asks_start)
		json_object_set_new(replica, "plans", json_true());
	json_object_set_new(replica, "through", stores_through(ds->onward));
	json_object_set_new(out, "replica", replica);
	json_decref(ds->since.sync->outcome.disks);
	ds->since.sync->outcome.disks = json_deep_copy(ds->src->disk_paths);
	return 0;
}

static const struct point *find_number(const struct points *p, uint64_t number)
{
	size_t i;

	for (i = 0; i < p->count && p->list[i].number != number; i++)
		;
	return i < p->count ? &p->list[i] : NULL;
}

/* An older vmferry gives the point a number of its own choice, by which it would not be known again. */
static int agree(struct part *p, const json_t *accept, struct err *e)
{
	struct disks *ds = disks_of(p);
	const json_t *said = json_object_get(accept, "replica");
	json_int_t number = json_integer_value(json_object_get(said, "number")), from = json_integer_value(json_object_get(said, "from"));
	uint64_t here = ds->onward->point->number;
	int r = disks_agree(p, accept, e);

	if (r)
		return r;
	if (from == (json_int_t)here && ds->since.sync->whole)
		return err_set(e, EALREADY, "point %llu, the newest here, is there already: what is compared is the next that goes there",
			       (unsigned long long)here);
	if (from == (json_int_t)here) {
		ds->since.sync->outcome.was_there = true;
		ds->since.sync->outcome.number = here;
		return err_set(e, EALREADY, "point %llu, the newest here, is there already", (unsigned long long)here);
	}
	if (number != (json_int_t)here)
		return err_set(
			e, ENOTSUP,
			"the newest point here is %llu, and the next one there would be %lld: its vmferry is older than this one, or a restored "
			"backup took the place of newer points here. Remove the replica there (vmferry replica remove %s), and add it again",
			(unsigned long long)here, (long long)number, ds->src->guest.name);
	if (from < 0 || (from && (ds->since.sync->whole || from >= number || !find_number(&ds->onward->store, (uint64_t)from))))
		return err_set(e, EPROTO, "the destination wants what was written since point %lld, which is not known here",
			       (long long)from);
	ds->since.from = (uint64_t)from;
	ds->since.sync->outcome.number = here;
	ds->since.sync->outcome.was_whole = !from;
	return disks_agree_on_point(ds, accept, e);
}

/* ---- preparing ---- */

/* Malloc'ed: the file that an image refers to, with links followed; NULL: it has none below it. */
static char *below(const char *image, struct err *e)
{
	AUTO_FREE char *copy = xstrdup(image), *path = NULL;
	struct qcow2_header h;

	if (qcow2_header_read(image, &h, e))
		return NULL;
	if (h.backing && *h.backing != '/')
		path = xasprintf("%s/%s", dirname(copy), h.backing);
	else if (h.backing)
		path = xstrdup(h.backing);
	qcow2_header_fini(&h);
	return path ? realpath(path, NULL) : NULL;
}

/* Images that lie between the two, which is the distance of the points but where a merge was cut off, or a point is damaged. */
static int count_above(const struct disks_onward *w, const struct point *from, size_t i, unsigned *depth, struct err *e)
{
	AUTO_FREE char *first = image_of(&w->store, w->point, i), *last = image_of(&w->store, from, i);
	AUTO_FREE char *until = realpath(last, NULL), *at = realpath(first, NULL);

	for (*depth = 0; at && until && strcmp(at, until) != 0; ++*depth) {
		char *next = *depth > w->store.count ? NULL : below(at, e); /* the lowest is raw, whatever a guest has written into it */

		free(at);
		at = next;
	}
	return at && until ? 0
			   : err_set(e, EBADMSG, "%s is not below %s any more: vmferry replica verify %s compares everything", last, first,
				     json_text(w->store.replica, "guest") ?: "VM");
}

static json_t *image_node(const struct disks_onward *w, size_t i, const char *name)
{
	AUTO_FREE char *path = image_of(&w->store, w->point, i);

	return json_pack("{s:s,s:s,s:b,s:{s:s,s:s}}", "driver", json_text(point_disk(w->point, i), "format"), "node-name", name,
			 "read-only", 1, "file", "driver", "file", "filename", path);
}

static void name_of(char out[32], const struct disk *d)
{
	snprintf(out, 32, "vmferry-%u", d->object);
}

static int export_disk(struct disks *ds, const struct disk *d, struct err *e)
{
	struct disks_onward *w = ds->onward;
	size_t i = d->object - OBJECT_DISK_BASE;
	const struct point *from = ds->since.from ? find_number(&w->store, ds->since.from) : NULL;
	char name[32];
	int r = from ? count_above(w, from, i, &w->depth[i], e) : 0;

	name_of(name, d);
	r = r ?: qmp_call(w->helper.qmp, "blockdev-add", image_node(w, i, name), NULL, e);
	return r
		       ?: qmp_call(w->helper.qmp, "block-export-add",
				   json_pack("{s:s,s:s,s:s,s:s,s:b,s:b}", "type", "nbd", "id", name, "node-name", name, "name", name,
					     "writable", 0, "allocation-depth", 1),
				   NULL, e);
}

static int start_helper(struct disks *ds, struct err *e)
{
	static char *const options[] = {"-machine", "none", NULL};
	struct disks_onward *w = ds->onward;
	AUTO_FREE char *exe = qemu_find(ds->src->guest.exe ?: "", false, e);
	int r = exe ? 0 : -e->code;

	w->dir = source_socket(ds->src, "reader");
	r = r ?: attempt_own(ds->part.a, DIR_OF_HELPER, json_pack("{s:s}", "path", w->dir), e);
	if (!r && mkdir(w->dir, 0700))
		r = err_sys(e, errno, "cannot make the directory %s", w->dir);
	r = r ?: qemu_helper_start(&w->helper, ds->part.a->loop, exe, NULL, w->dir, options, e);
	ds->nbd_socket = xasprintf("%s/nbd", w->dir);
	r = r
		    ?: qmp_call(w->helper.qmp, "nbd-server-start",
				json_pack("{s:{s:s,s:{s:s}}}", "addr", "type", "unix", "data", "path", ds->nbd_socket), NULL, e);
	return r ? err_prefix(e, "a QEMU that reads the point") : 0;
}

/* Between the plan and this a point may have been dropped, which takes its images' names away. */
static int find_again(struct disks_onward *w, const struct replica_sync *sync, uint64_t from, struct err *e)
{
	uint64_t number = w->point->number;
	int64_t at_ms = w->point->at_ms;
	int r = open_store(w, sync, e);

	w->point = r ? NULL : find_number(&w->store, number);
	if (r)
		return r;
	return w->point && w->point->at_ms == at_ms && (!from || find_number(&w->store, from))
		       ? 0
		       : err_set(e, EAGAIN, "the points in %s have changed meanwhile: try it again", w->store.dir);
}

static int prepare(struct part *p, struct err *e)
{
	struct disks *ds = disks_of(p);
	struct disks_onward *w = ds->onward;
	const char *store = ds->since.sync->store;
	int lock = -1, r = start_helper(ds, e);

	r = r ?: points_lock(store, &lock, e) ?: find_again(w, ds->since.sync, ds->since.from, e);
	for (unsigned i = 0; i < ds->count && !r; i++)
		r = export_disk(ds, ds->list[i], e);
	if (lock >= 0)
		close(lock);
	fault_point("src-onward");
	return r;
}

/* ---- copying ---- */

static void read_disk(struct disks *ds, struct disk *d)
{
	size_t i = d->object - OBJECT_DISK_BASE;
	char name[32];
	struct disk_round round = {.object = d->object,
				   .at = {.path = ds->nbd_socket, .export_name = name},
				   .name = d->guest->real_path,
				   .size = d->guest->virtual_size,
				   .have = ds->since.from ? NULL : d->have,
				   .compares = true,
				   .fills = ds->since.from || !d->begun	       ? 0
					    : !strcmp(d->guest->format, "raw") ? DISK_SECTOR
									       : CLUSTER_OF_QCOW2,
				   .detect_zeros = ds->since.from || !strcmp(d->guest->format, "raw") || d->fills};

	name_of(name, d);
	if (ds->since.from) {
		round.at.select = "qemu:allocation-depth";
		round.at.depth = ds->onward->depth[i];
	}
	d->progress.started = d->progress.final = d->progress.in_flight = true;
	disk_reader_round(ds->reader, &round);
}

static int begin(struct part *p, struct err *e)
{
	struct disks *ds = disks_of(p);

	(void)e;
	ds->final = true;
	for (unsigned i = 0; i < ds->count; i++)
		read_disk(ds, ds->list[i]);
	return 0;
}

static int on_point(struct disks *ds, const struct event *ev, struct err *e)
{
	struct replica_sync *sync = ds->since.sync;

	for (unsigned i = 0; i < ds->count && ds->since.from; i++)
		sync->outcome.delta_bytes += ds->list[i]->progress.last_dirty;
	return disks_reached(&ds->part) & M_DISKS_DURABLE
		       ? disks_take_point(ds, ev, e)
		       : err_set(e, EPROTO, "the destination has made a point before all of it was sent");
}

static int event(struct part *p, const struct event *ev, struct err *e)
{
	return ev->kind == EVENT_FRAME && ev->type == MSG_POINT ? on_point(disks_of(p), ev, e) : disks_event(p, ev, e);
}

/* ---- undoing ---- */

static void end_helper(struct disks_onward *w)
{
	if (w->helper.qmp)
		qemu_helper_end(&w->helper);
}

static int undo_dir(struct part *p, const json_t *detail, struct err *e)
{
	static const char *const sockets[] = {"helper.qmp", "nbd"};
	const char *dir = json_text(detail, "path");

	if (!dir)
		return err_set(e, EBADMSG, "the journal does not say which");
	end_helper(disks_of(p)->onward);
	for (size_t i = 0; i < ARRAY_LEN(sockets); i++) {
		AUTO_FREE char *path = xasprintf("%s/%s", dir, sockets[i]);

		unlink(path);
	}
	return rmdir(dir) && errno != ENOENT ? err_sys(e, errno, "cannot remove %s", dir) : 0;
}

static void fini(struct part *p)
{
	struct disks *ds = disks_of(p);
	struct disks_onward *w = ds->onward;

	disks_fini(p);
	end_helper(w);
	points_close(&w->store);
	free(w->dir);
	free(w);
	ds->onward = NULL;
}

static const struct part_undo undo[] = {
	{DIR_OF_HELPER, "sockets of a QEMU that reads a point", undo_dir},
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

void disks_for_onward(struct disks *ds, struct replica_sync *sync)
{
	if (!ds->onward)
		ds->onward = xcalloc(1, sizeof(*ds->onward));
	ds->onward->helper.proc = QEMU_PROC_NONE;
	ds->makes_point = true;
	ds->since.sync = sync;
	ds->part.ops = &ops;
}
