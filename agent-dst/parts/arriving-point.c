/* arriving-point.c: see arriving-point.h. */
#include "arriving-point.h"
#include "arriving-data.h"
#include "durable-file.h"
#include "fault.h"
#include "json-message.h"
#include "json-text.h"
#include "log.h"
#include "merge.h"
#include "messages.h"
#include "onward.h"
#include "point-disks.h"
#include "points-note.h"
#include "points-state.h"
#include "primary-note.h"
#include "taken-over.h"
#include "util.h"
#include "whereabouts.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CLUSTER_OF_DELTA 131072 /* cluster size, with 32 sub-clusters of 4 KiB: a small block needs nothing from below */
#define CLUSTER_OF_WHOLE 65536

static struct arriving_point *point_of(struct part *p)
{
	return container_of(p, struct arriving_point, part);
}

static const json_t *asked(const struct arriving_point *a)
{
	return json_object_get(a->target->description, "replica");
}

/* ---- the plan ---- */

static int check_asked(const struct arriving_point *a, struct err *e)
{
	const json_t *o = asked(a);
	const char *pair = json_text(o, "pair"), *dir = json_text(a->target->description, "disk_dir");
	struct keep_rule k;

	if (!pair || strlen(pair) != 16 || strspn(pair, "0123456789abcdef") != 16 || json_integer_value(json_object_get(o, "term")) < 1 ||
	    !json_text(o, "keep"))
		return err_set(e, EPROTO, "the source's description of the replica is incomplete");
	if (!dir || *dir != '/')
		return err_set(e, EINVAL, "a replica needs a directory of its own at its host: --disk-dir DIR");
	return keep_rule_parse(json_text(o, "keep"), &k, e);
}

/* A higher term means that the guest was taken over: what a primary of before sends is older than what runs here. */
static int check_term(const struct arriving_point *a, struct err *e)
{
	json_int_t here = json_integer_value(json_object_get(a->store.replica, "term"));
	const json_t *run = json_object_get(a->store.replica, "run");

	if (run && taken_over_is_unsettled(a->state_dir, run))
		return err_set(
			e, EBUSY,
			"a move of guest %s to this host of its replica is not settled: vmferry recover at its primary; or, if the guest "
			"certainly runs there, vmferry replica failover %s --cancel --runs-at-primary here",
			a->target->name, a->target->name);
	if (onward_replaced(&a->store) && a->term <= (uint64_t)onward_own_term(&a->store))
		return err_set(
			e, ESTALE,
			"replaced: guest %s was taken over at %s, where its replica here goes on to, and what runs at this host is not it any more: "
			"end that guest here, and see to the one there",
			a->target->name, onward_to(&a->store));
	if ((uint64_t)here > a->term || run || points_are_over(&a->store))
		return err_set(
			e, ESTALE,
			"replaced: guest %s was taken over at the replica in term %lld%s%s, and what runs at this host is not it any "
			"more: end that guest here, and see to the one there",
			a->target->name, (long long)here, json_text(run, "at") ? ", at " : "", json_text(run, "at") ?: "");
	return 0;
}

/* The points that were here went, as the guest stayed here, or somebody has removed them: then they were another pair's, or the guest has
 * gone on from here, in the term that it had here. */
static bool is_of_past(const struct arriving_point *a)
{
	uint64_t least = (uint64_t)json_integer_value(json_object_get(a->store.replica, "term")) + points_are_over(&a->store);

	return points_are_vacant(&a->store) &&
	       (strcmp(json_text(a->store.replica, "pair") ?: "", json_text(asked(a), "pair")) || a->term >= least);
}

/* Refuses the points of a pair that another pair has replaced in a higher term. */
static int check_past(struct arriving_point *a, struct err *e)
{
	a->replaced = points_replaced_in(json_object_get(a->store.replica, "past"), json_text(asked(a), "pair"), (json_int_t)a->term);
	return a->replaced
		       ? err_set(e, ESTALE,
				 "replaced: guest %s was taken over at the replica, and what runs at this host is not it any more: end that "
				 "guest here, and see to the one there",
				 a->target->name)
		       : 0;
}

static int check_pair(const struct arriving_point *a, struct err *e)
{
	return strcmp(json_text(a->store.replica, "pair") ?: "", json_text(asked(a), "pair"))
		       ? err_set(e, EEXIST,
				 "%s is the replica of another guest, or of this one from before: choose another --disk-dir, or remove it there "
				 "(vmferry replica remove %s)",
				 a->store.dir, a->target->name)
		       : 0;
}

/* Points that are sent on from another replica are told with their moments: after a restored backup a number may be another point's. */
static bool is_that_point(const struct arriving_point *a, size_t i, const struct point *newest)
{
	const json_t *moments = json_object_get(asked(a), "since_at_ms");

	return !moments || json_integer_value(json_array_get(moments, i)) == newest->at_ms;
}

/* The newest point here, if the source can tell what was written since; 0: all is to come. */
static uint64_t choose_from(const struct arriving_point *a, const struct point *newest)
{
	const json_t *disks = json_object_get(a->target->description, "disks");
	json_t *since;
	size_t i;

	if (point_lacks_disk(newest, disks))
		return 0;
	json_array_foreach(json_object_get(asked(a), "since"), i, since)
		if ((uint64_t)json_integer_value(since) == newest->number && is_that_point(a, i, newest) && point_has_sizes(newest, disks))
			return newest->number;
	return 0;
}

/* A damaged point may be the one that the source knows as the last. A point that is sent on from another replica has the number that it has
 * there. */
static uint64_t next_number(const struct arriving_point *a)
{
	json_int_t wished = json_integer_value(json_object_get(asked(a), "number"));
	uint64_t number = MAX(points_next_number(&a->store), wished > 0 ? (uint64_t)wished : 0);
	json_t *since;
	size_t i;

	json_array_foreach(json_object_get(asked(a), "since"), i, since)
		if (a->store.damaged_count && wished <= 0 && json_integer_value(since) > 0)
			number = MAX(number, (uint64_t)json_integer_value(since) + 1);
	return number;
}

static int check_disks(const struct arriving_point *a, const struct point *newest, struct err *e)
{
	const json_t *disks = json_object_get(a->target->description, "disks"), *had = json_object_get(newest->json, "disks");

	for (size_t i = 0; i < json_array_size(disks) || i < json_array_size(had); i++) {
		const json_t *is = json_array_get(disks, i), *was = json_array_get(had, i);

		if (!is || !was || !point_has_disk(had, i, is, a->from))
			return err_set(
				e, ENOTSUP,
				"the guest has other disks than its replica has (disk %zu was %s): begin a new one, by vmferry replica "
				"remove %s at both hosts, and add",
				i + 1, json_text(was, "from") ?: "none", a->target->name);
	}
	return 0;
}

/* Refuses a guest name from which no name of a script or a socket can be made here. */
static int check_name(const struct arriving_point *a, struct err *e)
{
	return strpbrk(a->target->name, "/,")
		       ? err_set(e, EINVAL,
				 "a guest whose name has '/' or ',' in it (%s) could not be run from its replica: name it otherwise",
				 a->target->name)
		       : 0;
}

static char *note_path(const struct arriving_point *a)
{
	AUTO_FREE char *dir = xasprintf("%s/replicas", a->state_dir), *name = points_dir(dir, a->target->name);

	return xasprintf("%s.json", name);
}

/* Refuses a name whose points are elsewhere: the host notes a single place per name, so the other guest's points would not be found any
 * more. */
static int check_noted(const struct arriving_point *a, struct err *e)
{
	AUTO_FREE char *dir = NULL;
	struct points other = {.dir = NULL};
	int r = points_look_up(a->state_dir, a->target->name, &dir, e);

	if (!r && dir && strcmp(dir, a->store.dir)) {
		r = points_read(&other, dir, e);
		if (!r && !points_are_vacant(&other))
			r = err_set(
				e, EEXIST,
				"the host has a replica of a guest %s in %s already: remove that there first (vmferry replica remove %s)",
				a->target->name, dir, a->target->name);
		r = r == -ENOENT ? 0 : r;
		points_close(&other);
	}
	return r;
}

/* Points that would go round in a circle. */
static int check_comes_from_elsewhere(const struct arriving_point *a, struct err *e)
{
	const char *here = json_text(a->store.replica, "store");

	return json_find(json_object_get(asked(a), "through"), NULL, here)
		       ? err_set(e, ELOOP, "points of guest %s went on from %s, and cannot come to it again", a->target->name, a->store.dir)
		       : 0;
}

static int check_store(struct arriving_point *a, const struct point *newest, struct err *e)
{
	int r = check_name(a, e) ?: check_comes_from_elsewhere(a, e) ?: check_noted(a, e) ?: check_past(a, e);

	if (r || a->is_first)
		return r;
	r = check_pair(a, e);
	if (r)
		return r;
	r = check_term(a, e);
	a->replaced = r == -ESTALE;
	return r ? r : newest ? check_disks(a, newest, e) : 0;
}

/* True if the transfer makes a point, or brings the guest to the host of its replica. */
static bool is_about_replica(const struct arriving_point *a)
{
	return asked(a) || !strcmp(json_text(a->target->description, "how") ?: "", "replica");
}

/* A disk that the newest point leaves out comes as a whole. */
static bool has_left_out(const struct arriving_point *a, const struct point *newest)
{
	const json_t *disks = json_object_get(a->target->description, "disks");

	for (size_t i = 0; point_disk(newest, i); i++)
		if (point_disk_is_left_out(newest, i) && !json_is_true(json_object_get(json_array_get(disks, i), "whole")))
			return false;
	return true;
}

static int check_planned(const struct arriving_point *a, const struct point *newest, struct err *e)
{
	AUTO_FREE char *dir = taken_over_dir(a->store.dir);

	if (!newest || a->from != newest->number || !has_left_out(a, newest))
		return err_set(
			e, EAGAIN,
			"what guest %s has written since its newest point here is not known at the source: vmferry replica sync %s first",
			a->target->name, a->target->name);
	return access(dir, F_OK)
		       ? 0
		       : err_set(e, EEXIST, "%s is of a move of guest %s to here that is not settled: vmferry recover at its primary", dir,
				 a->target->name);
}

static int examine(struct part *p, struct err *e)
{
	struct arriving_point *a = point_of(p);
	AUTO_FREE char *dir = NULL;
	const struct point *newest;
	int r = is_about_replica(a) ? check_asked(a, e) : 1;

	if (r)
		return MIN(r, 0);
	a->planned = json_is_true(json_object_get(asked(a), "planned"));
	a->term = (uint64_t)json_integer_value(json_object_get(asked(a), "term"));
	dir = points_dir(json_text(a->target->description, "disk_dir"), a->target->name);
	r = points_read(&a->store, dir, e);
	a->is_first = r == -ENOENT || (!r && is_of_past(a));
	a->disks->point = a;
	newest = points_newest(&a->store);
	if (r && !a->is_first)
		return r;
	a->from = newest ? choose_from(a, newest) : 0;
	if (check_store(a, newest, e))
		return target_obstacle(a->target, e);
	a->is_primarys = !a->is_first && !a->planned;
	a->number = next_number(a);
	return a->planned && check_planned(a, newest, e) ? target_obstacle(a->target, e) : 0;
}

static int choose_old_copy(const struct arriving_point *a, struct arriving_disk *d, const json_t *o, struct err *e)
{
	const char *bundle = json_text(o, "bundle"), *old = json_text(o, "reuse");

	if (old && json_is_true(json_object_get(o, "reuse_if_there")) && access(old, F_OK) && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	return bundle ? old_copy_unpack(&d->begins.old, bundle, json_text(o, "real_path"), json_text(o, "file"), e)
		      : old_copy_choose(&d->begins.old, a->state_dir, a->target->name, old, d->path, e);
}

/* Old copies may have something of the first point: the disks of an old primary, say. Later ones have the point before. */
int arriving_point_place(struct arriving_point *a, struct arriving_disk *d, const json_t *o, struct err *e)
{
	char id[2 * ATTEMPT_ID_LEN + 1];
	bool is_whole = !points_newest(&a->store);

	if (!a->draft && a->planned)
		a->draft = taken_over_dir(a->store.dir);
	else if (!a->draft)
		a->draft = points_draft(&a->store, a->number, attempt_id_format(a->part.a->id, id));
	d->path = xasprintf("%s/disk%zu.%s", a->draft, a->disks->count, is_whole ? "raw" : "qcow2");
	return is_whole ? choose_old_copy(a, d, o, e) : 0;
}

bool arriving_point_makes(const struct arriving_point *a, const char *dir)
{
	return a->draft && !strcmp(dir, a->draft);
}

static void put_above(const struct arriving_point *a, struct arriving_disk *d, const char *slot, const json_t *below)
{
	free(d->backing);
	free(d->backing_format);
	d->backing = xasprintf(a->planned ? "../points/%s/%s" : "../%s/%s", slot, json_text(below, "file"));
	d->backing_format = xstrdup(json_text(below, "format"));
}

/* Bytes that the disk surely needs here, as far as the source can tell: those since the point on which it is put. A new image may share
 * blocks with an old copy. */
static uint64_t least_of(const struct arriving_point *a, const struct arriving_disk *d, const json_t *o)
{
	const json_t *since = json_object_get(asked(a), "since"), *least = json_object_get(o, "since_least");
	json_int_t n = 0;
	json_t *number;
	size_t i;

	if (!a->from)
		return d->begins.above || d->begins.old.path || d->empty ? 0 : d->allocated;
	json_array_foreach((json_t *)(uintptr_t)since, i, number)
		if ((uint64_t)json_integer_value(number) == a->from)
			n = json_integer_value(json_array_get(least, i));
	return d->empty || n < 0 ? 0 : MIN(d->allocated, (uint64_t)n);
}

void arriving_point_dress(const struct arriving_point *a, struct arriving_disk *d, const json_t *o)
{
	const struct point *newest = points_newest(&a->store);
	bool whole = a->planned && json_is_true(json_object_get(o, "whole"));
	const json_t *below = newest && !whole ? point_disk(newest, a->disks->count) : NULL;

	FREE_ALL(d->format, d->backing, d->backing_format);
	json_decref(d->qcow2);
	d->backing = d->backing_format = NULL;
	d->qcow2 = NULL;
	d->rights = RIGHTS_NONE;
	d->rights.mode = 0600;
	d->set_aside = false;
	d->format = xstrdup(below || whole ? "qcow2" : "raw");
	d->begins.above = below && !a->from && !d->empty;
	d->allocated = a->from ? MIN(d->allocated, (uint64_t)json_integer_value(json_object_get(o, "since_bytes"))) : d->allocated;
	d->least = least_of(a, d, o);
	if (!below)
		return;
	put_above(a, d, newest->slot, below);
	d->cluster_size = a->from ? CLUSTER_OF_DELTA : CLUSTER_OF_WHOLE;
	d->qcow2 = json_pack("{s:s,s:b}", "version", "v3", "extended-l2", a->from != 0);
}

static int describe(struct part *p, json_t *accept, struct err *e)
{
	const struct arriving_point *a = point_of(p);

	(void)e;
	if (!asked(a))
		return 0;
	if (json_object_get(a->target->description, "tpm")) /* no directory of its own: POINT brings what it keeps */
		json_object_set_new(accept, "tpm", json_pack("{s:s}", "dir", a->store.dir));
	json_object_set_new(accept, "replica",
			    json_pack("{s:I,s:I,s:I,s:s,s:O*,s:o}", "number", (json_int_t)a->number, "from", (json_int_t)a->from, "points",
				      (json_int_t)a->store.count, "dir", a->store.dir, "would_start", a->would_start, "warnings",
				      a->store.replica ? points_warnings(&a->store) : json_array()));
	return 0;
}

/* ---- the draft ---- */

static int create_store(const struct arriving_point *a, struct err *e)
{
	char name[2 * ATTEMPT_ID_LEN + 1]; /* id that no other store has */
	json_auto_t *about =
		json_pack("{s:i,s:s,s:s,s:O,s:O,s:O,s:s*}", "version", 1, "store", attempt_id_format(a->part.a->id, name), "guest",
			  a->target->name, "pair", json_object_get(asked(a), "pair"), "term", json_object_get(asked(a), "term"), "keep",
			  json_object_get(asked(a), "keep"), "from", json_text(a->target->description, "host"));

	return points_create(a->store.dir, about, e);
}

/* Notes the store where `vmferry replica` of this host finds it: STATE_DIR/replicas/NAME.json. */
static int note_store(const struct arriving_point *a, struct err *e)
{
	AUTO_FREE char *dir = xasprintf("%s/replicas", a->state_dir), *path = note_path(a), *text = NULL;
	json_t *o = json_pack("{s:s,s:s}", "guest", a->target->name, "dir", a->store.dir);

	text = json_text_dump(o, 0);
	json_decref(o);
	if (mkdir(dir, 0700) && errno != EEXIST)
		return err_sys(e, errno, "cannot make %s", dir);
	return replace_file(path, text, strlen(text), e);
}

/* The plan is as old as the source took to agree: it is still so. */
static int plan_again(struct arriving_point *a, struct err *e)
{
	AUTO_FREE char *dir = xstrdup(a->store.dir);
	int r;

	points_close(&a->store);
	r = points_read(&a->store, dir, e) ?: check_pair(a, e) ?: check_term(a, e);
	if (!r && next_number(a) != a->number)
		r = err_set(e, EAGAIN, "another point of guest %s was made meanwhile", a->target->name);
	return r;
}

/* A merge that cannot go on blocks no new point. */
static int mend(struct arriving_point *a, struct err *e)
{
	struct err why;
	bool failed = points_mend(&a->store, &why);

	if (failed)
		log_error("%s", why.msg);
	if (failed && a->store.replica)
		points_note_kept(&a->store, why.msg, &(struct err){0});
	return plan_again(a, e);
}

/* The newest may have gone into the slot below it since the disks were planned, as a merge was gone on with. Its disks are the same. */
static void dress_again(struct arriving_point *a)
{
	const struct point *newest = points_newest(&a->store);

	for (size_t i = 0; newest && i < a->disks->count && point_disk(newest, i); i++)
		if (a->disks->list[i].backing) /* a disk that comes whole is above nothing */
			put_above(a, &a->disks->list[i], newest->slot, point_disk(newest, i));
}

static int make_draft(struct arriving_point *a, struct err *e)
{
	AUTO_CLOSE int lock = -1;
	int r = points_session(a->store.dir, &a->session_fd, e) ?: points_lock(a->store.dir, &lock, e);

	if (r)
		return r;
	r = plan_again(a, e) ?: mend(a, e);
	if (!r)
		dress_again(a);
	if (!r && a->planned)
		r = taken_over_prepare(a, e);
	else if (!r)
		r = attempt_own(a->part.a, "point-draft", json_pack("{s:s}", "path", a->draft), e);
	if (!r && mkdir(a->draft, 0700))
		r = err_sys(e, errno, "cannot make the directory %s", a->draft);
	return r;
}

/* Attempts by which the guest came here, or left, before this point: its primary runs elsewhere. */
static json_t *list_known(const struct arriving_point *a)
{
	AUTO_FREE char *path = whereabouts_path(a->state_dir, a->target->name);
	json_t *all, *known;
	struct err e;

	if (whereabouts_read(path, &all, &e)) {
		log_error("%s: a failover will not be able to tell whether the guest itself came here since this point", e.msg);
		return json_array();
	}
	known = whereabouts_attempts(all);
	json_decref(all);
	return known;
}

static int prepare(struct part *p, struct err *e)
{
	struct arriving_point *a = point_of(p);
	int r = asked(a) && a->is_first ? create_store(a, e) : 0;

	if (!asked(a))
		return 0;
	a->known = list_known(a);
	return r ?: make_draft(a, e) ?: note_store(a, e) ?: primary_note_replaced(a->state_dir, a->target->name, json_text(asked(a), "pair"), a->term, e);
}

/* ---- the point ---- */

static json_t *list_disks(const struct arriving_point *a)
{
	json_t *out = json_array();

	for (size_t i = 0; i < a->disks->count; i++) {
		const struct arriving_disk *d = &a->disks->list[i];
		const json_t *o = target_described_disk(a->target, d->object);

		json_array_append_new(out, json_pack("{s:s,s:s,s:I,s:o*,s:O*,s:O*,s:O*,s:O*,s:O*}", "file", strrchr(d->path, '/') + 1,
						     "format", d->format, "bytes", (json_int_t)d->virtual_size, "empty",
						     d->empty ? json_true() : NULL, "from", json_object_get(o, "real_path"), "named",
						     json_object_get(o, "file"), "source_format", json_object_get(o, "format"), "node",
						     json_object_get(o, "node"), "qdev", json_object_get(o, "qdev")));
	}
	return out;
}

/* Describes the point, and how the guest is started, so that it can be from here without its primary. */
static json_t *describe_point(const struct arriving_point *a, const json_t *said)
{
	static const char *const kept[] = {"name",	"exe",	"argv",	     "env",   "cwd",	 "accel",   "machine",
					   "cpu_model", "host", "ram_bytes", "vcpus", "map_net", "configs", "tpm"};
	json_t *out = json_pack("{s:I,s:I,s:O*,s:O*,s:O*,s:O*,s:O*,s:o}", "number", (json_int_t)a->number, "term", (json_int_t)a->term,
				"at_ms", json_object_get(said, "at_ms"), "frozen", json_object_get(said, "frozen"), "shut_down",
				json_object_get(said, "shut_down"), "delta_bytes", json_object_get(said, "delta_bytes"), "tpm",
				json_object_get(said, "tpm"), "disks", list_disks(a));
	json_t *guest = json_object();

	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		if (json_object_get(a->target->description, kept[i]))
			json_object_set(guest, kept[i], json_object_get(a->target->description, kept[i]));
	json_object_set_new(out, "guest", guest);
	json_object_set(out, "known", a->known);
	if (json_is_array(json_object_get(asked(a), "through")))
		json_object_set(out, "through", json_object_get(asked(a), "through"));
	return out;
}

/* The guest was taken over where the points went on to, and comes from there. */
static bool is_of_higher_term(const struct arriving_point *a)
{
	return onward_to(&a->store) && a->term > (uint64_t)onward_own_term(&a->store);
}

static int take_keep(struct arriving_point *a, struct err *e)
{
	return strcmp(json_text(a->store.replica, "keep") ?: "", json_text(asked(a), "keep"))
		       ? points_set(&a->store, "keep", json_string(json_text(asked(a), "keep")), e)
		       : 0;
}

/* Publishes the point, unless another client took the guest over meanwhile, which raises the term. */
static int publish(struct arriving_point *a, const json_t *said, struct err *e)
{
	json_auto_t *point = describe_point(a, said);
	int lock, r = points_lock(a->store.dir, &lock, e);

	if (!r) {
		r = plan_again(a, e);
		fault_point("dst-point");
		if (!r && is_of_higher_term(a))
			onward_is_over(a->state_dir, a->target->name, &a->store);
		if (!r && (uint64_t)json_integer_value(json_object_get(a->store.replica, "term")) < a->term)
			r = points_set(&a->store, "term", json_integer((json_int_t)a->term), e);
		r = r ?: take_keep(a, e);
		if (!r && a->would_start) /* asked once a minute, and shown whichever points stay */
			r = points_set(&a->store, "planned_at", json_integer((json_int_t)time(NULL)), e)
				    ?: points_set(&a->store, "would_start", json_incref(a->would_start), e);
		r = r ?: points_publish(&a->store, a->draft, point, e);
		close(lock);
	}
	return r;
}

/* NULL, or bytes in hexadecimal digits: more than these the guest's TPM cannot keep. */
static int check_tpm(const json_t *said, struct err *e)
{
	const char *kept = json_text(json_object_get(said, "tpm"), "kept");
	size_t n = kept ? strlen(kept) : 0;

	return n % 2 || n > 2 * TPM_FILE_MAX || (kept && strspn(kept, "0123456789abcdef") != n)
		       ? err_set(e, EPROTO, "what the guest's TPM keeps is not in the point as it should be")
		       : 0;
}

static int on_point(struct arriving_point *a, const struct event *ev, struct err *e)
{
	json_t *said;
	int r = json_message_take(ev->type, ev->bytes, ev->n, a->part.a->id, NULL, &said, e);

	if (r)
		return r;
	if (a->made || a->data->unsynced || !a->data->ready || json_integer_value(json_object_get(said, "number")) != (json_int_t)a->number)
		r = err_set(e, EPROTO, "the source ends a point that has not arrived");
	r = r ?: check_tpm(said, e) ?: disks_close_exports(a->disks, e);
	disks_unlock(a->disks); /* an agent that makes the next point, or tests this one, takes locks of its own */
	disks_close_images(a->disks, false);
	r = r ?: publish(a, said, e);
	json_decref(said);
	if (r)
		return r;
	a->made = true;
	fault_point("dst-point-made");
	return json_message_send(a->part.a->control, MSG_POINT, a->part.a->id,
				 json_pack("{s:I,s:I}", "number", (json_int_t)a->number, "points", (json_int_t)a->store.count + 1), e);
}

static int event(struct part *p, const struct event *ev, struct err *e)
{
	return ev->kind == EVENT_FRAME && ev->type == MSG_POINT && point_of(p)->draft && !point_of(p)->planned
		       ? on_point(point_of(p), ev, e)
		       : PART_NOT_MINE;
}

/* Takes the new limits though no point was made, for lack of room, say: fewer points that are to be kept leave room for the next. */
static int take_keep_alone(struct arriving_point *a, struct err *e)
{
	AUTO_CLOSE int lock = -1;

	return points_lock(a->store.dir, &lock, e) ?: plan_again(a, e) ?: take_keep(a, e);
}

void arriving_point_prune(struct arriving_point *a)
{
	AUTO_FREE char *dir = xstrdup(a->store.dir);
	struct err e;
	int r = 0;

	if (!a->made && (!a->is_primarys || (a->draft && !access(a->draft, F_OK))))
		return;
	if (!a->made)
		r = take_keep_alone(a, &e);
	r = r ?: a->session_fd >= 0 ? points_tidy(dir, &e) : points_tidy_at(dir, &e);
	if (r)
		log_error("not every point of %s that need not stay is dropped this time: %s", dir, e.msg);
}

/* ---- undoing ---- */

/* Removes the directory of a draft. Its disks were made later, so they were removed before. */
static int undo_draft(struct part *p, const json_t *detail, struct err *e)
{
	const char *path = json_text(detail, "path");

	(void)p;
	if (!path)
		return err_set(e, EBADMSG, "the journal does not say which");
	return rmdir(path) && errno != ENOENT ? err_sys(e, errno, "cannot remove %s", path) : 0;
}

static void fini(struct part *p)
{
	struct arriving_point *a = point_of(p);

	points_close(&a->store);
	json_decref(a->known);
	free(a->draft);
	if (a->session_fd >= 0)
		close(a->session_fd);
	if (a->lock_fd >= 0)
		close(a->lock_fd);
}

static const struct part_undo undo[] = {
	{"point-draft", "a point of a replica that is not whole", undo_draft},
	{"take-over", "the guest in place of its primary", taken_over_undo},
	{NULL, NULL, NULL},
};

static const struct part_ops ops =
	{.name = "point", .examine = examine, .describe = describe, .prepare = prepare, .event = event, .undo = undo, .fini = fini};

void arriving_point_init(struct arriving_point *a, struct target *target, struct disks *disks, const struct data_plane *data,
			 const char *state_dir)
{
	*a = (struct arriving_point){.part = {&ops, target->part.a},
				     .target = target,
				     .disks = disks,
				     .data = data,
				     .state_dir = state_dir,
				     .session_fd = -1,
				     .lock_fd = -1};
}
