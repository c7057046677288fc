/* disks-plan.c: may the disks be moved, what is told of them, and where they go. */
#include "disks-private.h"
#include "block-device.h"
#include "disk-line.h"
#include "image-mark.h"
#include "image-name.h"
#include "json-members.h"
#include "json-text.h"
#include "open-regular.h"
#include "process.h"
#include "qemu-opts.h"
#include "replica-sync.h"
#include "rights.h"
#include "same-file.h"
#include "shell-quote.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXTENTS_AT_ONCE 512
#define EXTENTS_ASKED	256 /* limit on how often extents are asked for */

bool disk_keeps_chain(const struct disks *ds, const struct guest_disk *d)
{
	return d->chain_count && ds->src->opt->disks.chain != CHAIN_FLATTEN;
}

/* ---- may they be moved? ---- */

/* The user's last word about disk d in a list of DISK=VALUE: the command line's words are behind those of a file of defaults. NULL: none. */
static const char *said_of(const struct option_list *pairs, const struct guest_disk *d)
{
	for (unsigned i = pairs->count; i-- > 0;)
		if (guest_disk_is_called(d, pairs->at[i], (size_t)(option_pair_value(pairs->at[i]) - 1 - pairs->at[i])))
			return option_pair_value(pairs->at[i]);
	return NULL;
}

bool disk_is_to(const struct disks *ds, const struct guest_disk *d, const char *word)
{
	const char *said = ds->src->opt->in_place ? "shared" : said_of(&ds->src->opt->disks.map, d);

	return said && !strcmp(said, word);
}

bool disk_is_left_behind(const struct disks *ds, const struct guest_disk *g)
{
	return disk_is_to(ds, g, "empty");
}

bool disk_is_left_out(const struct disks *ds, const struct guest_disk *g)
{
	const struct option_list *out = ds->since.sync ? ds->since.sync->left_out : NULL;

	return out && !strcmp(said_of(out, g) ?: "", "empty");
}

int disks_check_left(const struct disks *ds, const struct guest_disk *g, struct err *e)
{
	bool boots = !ds->src->traits.carries_memory, known = !strcmp(g->format, "raw") || !strcmp(g->format, "qcow2");
	const char *why = ds->src->traits.stays_here && !ds->makes_point ? "nothing of it would be brought"
			  : !boots ? "a guest that runs on needs what is in it; one that boots there may not (--how warm, --how cold)"
			  : g->chain_count		    ? "it has backing files"
			  : ds->rests && g->lacks.encrypted ? "it is encrypted by QEMU"
			  : !known			    ? "it is neither raw nor qcow2"
							    : NULL;

	return disk_is_left_behind(ds, g) && why
		       ? err_set(e, ENOTSUP, "an empty disk cannot take the place of %s at the destination: %s", g->real_path, why)
		       : 0;
}

/* Checks that the disk's contents can be carried, unless the disk stays. */
static int check_contents(const struct disks *ds, const struct guest_disk *g, struct err *e)
{
	unsigned accept = ds->src->opt->disks.accept | DISK_ACCEPT_PART |
			  (disk_is_left_behind(ds, g) ? DISK_ACCEPT_SNAPSHOTS | DISK_ACCEPT_BITMAPS : 0) |
			  (disks_carry_bitmaps(ds) || ds->src->traits.stays_here ? DISK_ACCEPT_BITMAPS : 0);
	int r = disk_is_to(ds, g, "shared") ? 0 : guest_disk_movable(g, accept, e);

	return r ?: disks_check_left(ds, g, e);
}

/* A read-only disk is carried as a file whose digest identifies it, so the file must hold all of its contents. */
static int check_read_only(const struct guest_disk *g, struct err *e)
{
	const char *why = g->chain_count		     ? "is an image that is based on another"
			  : g->lacks.data_file		     ? "keeps its data in an external file"
			  : g->block_device && !g->removable ? "is a block device"
							     : NULL;

	return why ? err_set(e, ENOTSUP, "the read-only disk %s %s, which is not carried", g->real_path ?: g->node, why) : 0;
}

/* QEMU opens a file once more at the switchover, by the name that it was given (raw_reconfigure_getfd() of 10.0), relative to its
 * working directory, which is / since it put itself into the background. */
static int check_reopens(const struct disks *ds, const struct guest_disk *g, struct err *e)
{
	const struct guest *guest = &ds->src->guest;
	bool relative = g->file && *g->file != '/' && !qemu_path_has_protocol(g->file);
	AUTO_FREE char *seen = relative && ds->src->traits.carries_memory ? xasprintf("/proc/%d/cwd/%s", (int)guest->pid, g->file) : NULL;
	const char *base = seen && g->real_path ? strrchr(g->real_path, '/') : NULL;
	AUTO_FREE char *where = NULL;

	if (!base || paths_lead_to_one(seen, g->real_path))
		return 0;
	where = shell_quote(g->real_path);
	return err_set(
		e, ENOTSUP,
		"QEMU cannot hand over disk %s: it was given the name %s, which leads nowhere from its directory now (-daemonize), and QEMU "
		"opens it by that once more when it lets go of it. --attach puts that QEMU back into the directory that it was started in; or "
		"give the disk a whole name while the guest runs (vmferry storage %s --disk %s=/NEW/PLACE), and move it then",
		g->real_path, g->file, guest->name, where);
}

/* Owner, mode and room are the file's that has the name, and it is what may be deleted afterwards. */
static int check_is_that(const struct disks *ds, const struct guest_disk *g, struct err *e)
{
	return g->real_path && !g->network && !g->block_device ? guest_reads_what_is_there(&ds->src->guest, g->real_path, e) : 0;
}

/* True if the disk is under a job's filter node; then the job is the obstacle that is reported. */
static bool is_under_a_job(const struct disks *ds, const struct guest_disk *g)
{
	return ds->has_jobs && g->format && guest_filter_is_of_job(g->format);
}

/* A disk that cannot be moved is described, too: the destination may find another obstacle at its path. */
static int examine_disk(struct disks *ds, const struct guest_disk *g, struct err *e)
{
	static int (*const checks[])(const struct disks *, const struct guest_disk *, struct err *) = {check_reopens, check_contents,
												       check_is_that};
	bool refused = is_under_a_job(ds, g);
	struct disk *d;

	if (g->removable_empty)
		return 0;
	if (g->read_only) /* stays as it is in the command line */
		return ds->src->opt->in_place || !check_read_only(g, e) ? 0 : source_obstacle(ds->src, e);
	for (size_t i = 0; i < ARRAY_LEN(checks) && !is_under_a_job(ds, g); i++) {
		if (!checks[i](ds, g, e))
			continue;
		if (source_obstacle(ds->src, e))
			return -e->code;
		refused = true;
	}
	if (refused && !g->network && (!g->real_path || !g->file))
		return 0;
	if (ds->count == DISKS_MAX) {
		err_set(e, ENOTSUP, "the guest has more than %d disks, and no more can be moved", DISKS_MAX);
		return source_obstacle(ds->src, e);
	}
	d = disk_add(ds, g);
	d->refused = refused;
	d->left_behind = disk_is_left_behind(ds, g);
	d->by_word = g->network || (disk_is_to(ds, g, "shared") && g->block_device);
	if (!d->by_word)
		json_array_append_new(ds->src->disk_paths, json_string(g->real_path));
	return 0;
}

const char *disk_name(const struct disk *d)
{
	const struct guest_disk *g = d->guest;

	/* a volume has the name that it was given: /dev/vg/web says more than /dev/dm-3, which may be another's after a reboot */
	return g->network ?: (d->by_word || g->block_device) && g->file && *g->file == '/' ? g->file : g->real_path;
}

const char *disk_reuse(const struct disks *ds, const struct guest_disk *d)
{
	const struct disk_options *o = &ds->src->opt->disks;

	return disk_is_left_behind(ds, d) ? NULL : said_of(&o->reuse, d) ?: said_of(&o->left, d) ?: o->reuse_all;
}

/* True if the old copy was not named by the user, so that it need not be there. */
static bool is_left(const struct disks *ds, const struct guest_disk *d)
{
	const char *left = said_of(&ds->src->opt->disks.left, d);

	return left && disk_reuse(ds, d) == left;
}

const char *disk_bundle(const struct disks *ds, const struct guest_disk *d)
{
	return ds->since.sync && !disk_is_left_behind(ds, d) && !disk_reuse(ds, d) ? ds->since.sync->initial : NULL;
}

/* Checks that each pair names exactly one disk of this guest. */
static int check_pairs(const struct disks *ds, const struct option_list *pairs, const char *option, struct err *e)
{
	unsigned i, k, hits;
	int r = 0;

	for (i = 0; i < pairs->count && !r; i++) {
		const char *pair = pairs->at[i];
		size_t n = (size_t)(option_pair_value(pair) - 1 - pair);

		for (hits = 0, k = 0; k < ds->count; k++)
			hits += guest_disk_is_called(ds->list[k]->guest, pair, n);
		if (hits == 1)
			continue;
		AUTO_FREE char *names = guest_disks_called(&ds->src->guest);

		err_set(e, EINVAL, "%s %s: %s disk of this guest is called %.*s (its node, drive, device or file name); its disks: %s",
			option, pair, hits ? "more than one" : "no", (int)n, pair, names);
		r = source_obstacle(ds->src, e);
	}
	return r;
}

int disks_check_words(struct disks *ds, struct err *e)
{
	const struct disk_options *o = &ds->src->opt->disks;
	int r = check_pairs(ds, &o->map, "--disk", e);

	r = r ? r : check_pairs(ds, &o->reuse, "--reuse", e);
	for (unsigned i = 0; i < ds->count && !r; i++)
		if (ds->list[i]->left_behind && said_of(&o->reuse, ds->list[i]->guest)) {
			err_set(e, EINVAL, "--reuse: disk %s is left behind, and an old copy of it would serve nothing",
				disk_name(ds->list[i]));
			r = source_obstacle(ds->src, e);
		}
	if (!r && ds->count != 1 && o->reuse_all && strcmp(o->reuse_all, "auto"))
		r = err_set(e, EINVAL, "--reuse %s: this guest has %u disks; say of which it is an old copy: --reuse DISK=%s", o->reuse_all,
			    ds->count, o->reuse_all);
	return r;
}

/* QEMU has one NBD server, and only its exports can be seen. */
static int check_exports(struct disks *ds, struct err *e)
{
	json_auto_t *exports = NULL;
	const char *id;
	int r = qmp_call(ds->src->qmp, "query-block-exports", NULL, &exports, e);

	if (r)
		return r;
	id = json_text(json_array_get(exports, 0), "id");
	if (ds->count && json_array_size(exports))
		r = err_set(e, EBUSY,
			    "this QEMU exports a disk already (block export %s), by the one NBD server that vmferry needs; "
			    "end that first (block-export-del, nbd-server-stop)",
			    id ? id : "?");
	return r;
}

/* Refuses a guest with a block job, whichever kind it is. */
static int check_jobs(struct disks *ds, struct err *e)
{
	json_t *jobs, *job;
	size_t i;
	int r = qmp_call(ds->src->qmp, "query-block-jobs", NULL, &jobs, e);

	if (r)
		return r;
	ds->has_jobs = json_array_size(jobs);
	json_array_foreach(jobs, i, job) {
		err_set(e, EBUSY, "a block job (%s, %s) is running in this guest; %s or cancel it (block-job-cancel) first",
			json_text(job, "device") ?: "?", json_text(job, "type") ?: "?",
			json_is_true(json_object_get(job, "ready")) ? "complete it (block-job-complete)" : "wait for it");
		r = r ? r : source_obstacle(ds->src, e);
	}
	json_decref(jobs);
	return r;
}

/* --chain=flatten makes the image and its bases one image, so an option that names a base has nothing to apply to. */
static int check_flatten(struct disks *ds, struct err *e)
{
	const struct guest *g = &ds->src->guest;
	size_t i;

	for (i = 0; i < g->disk_count && (!g->disks[i].chain_count || g->disks[i].read_only); i++)
		;
	if (i == g->disk_count || ds->src->opt->disks.chain != CHAIN_FLATTEN)
		return 0;
	return disk_line_check_bases(
		g->line.expanded, g->line.expanded_count,
		"which one that is made whole (--chain=flatten) has not: without that option its backing files go along", e);
}

int disks_examine(struct part *p, struct err *e)
{
	static int (*const checks[])(struct disks *, struct err *) = {disks_check_words, check_flatten, check_exports, disks_find_bitmaps};
	struct disks *ds = disks_of(p);
	int r = check_jobs(ds, e);

	r = r && source_obstacle(ds->src, e) ? r : 0;
	for (size_t i = 0; i < ds->src->guest.disk_count && !r; i++)
		r = examine_disk(ds, &ds->src->guest.disks[i], e);
	for (size_t i = 0; i < ARRAY_LEN(checks) && !r; i++)
		if (checks[i](ds, e))
			r = source_obstacle(ds->src, e);
	return r;
}

/* ---- what is told of them ---- */

/* The file's access control list; in hex, malloc'ed, or NULL. */
static char *acl_of(const char *path)
{
	struct rights r = RIGHTS_NONE;

	rights_read_acl(&r, path);
	return rights_print_acl(&r);
}

/* True if both QEMUs see a write before it is flushed: in place they share this host's memory, except that each process may have its own
 * cache of a network disk. */
static bool is_seen_unflushed(const struct disks *ds, const struct guest_disk *g)
{
	return ds->src->opt->in_place && !g->network;
}

/* Reason, in words, why the disk cannot stay; NULL: none. */
static const char *what_keeps_it_from_staying(const struct disks *ds, const struct guest_disk *g)
{
	if (ds->rests)
		return "the guest is shut down";
	if (!g->network && !g->real_path)
		return "it is not a regular file, and no block device";
	if (g->lacks.data_file)
		return "its data is in another file";
	if (g->no_flush && !is_seen_unflushed(ds, g))
		return "it is used with cache=unsafe: what the guest has written may be in this host's memory only";
	if ((g->network || g->block_device) && g->chain_count)
		return "vmferry cannot see whether its backing files are the same there";
	if (g->network)
		return NULL;
	if (g->chain_count && !disk_keeps_chain(ds, g))
		return "its backing files are to be made one image with it (--chain=flatten)";
	if (!process_has_open(ds->src->guest.pid, g->real_path))
		return "the guest's QEMU has another file open: this one was put in its place since";
	return g->block_device || image_has_locks(g->real_path) ? NULL : "the guest's QEMU does not lock it";
}

/* Node, in words, that never flushes though its device does: cache.no-flush of a -blockdev. NULL: none. */
static const char *what_never_flushes(const struct disks *ds)
{
	json_t *nodes, *node;
	struct err ignored;
	bool yes = false;
	size_t i;

	if (qmp_call(ds->src->qmp, "query-named-block-nodes", json_pack("{s:b}", "flat", 1), &nodes, &ignored))
		return "QEMU does not tell whether one of the guest's block nodes is used with cache.no-flush: try it again";
	json_array_foreach(nodes, i, node)
		yes |= json_is_true(json_object_get(json_object_get(node, "cache"), "no-flush"));
	json_decref(nodes);
	return yes ? "a block node of the guest's is used with cache.no-flush: what the guest has written may be in this host's memory only"
		   : NULL;
}

/* Marks the image, so that the destination can tell whether it sees this very file. */
static int mark(const struct disks *ds, struct disk *d, struct err *e)
{
	const struct guest_disk *g = d->guest;
	const char *why = what_keeps_it_from_staying(ds, g);

	if (!why && !is_seen_unflushed(ds, g) && !disk_is_to(ds, g, "copy"))
		why = what_never_flushes(ds);
	if (why && disk_is_to(ds, g, "shared"))
		return err_set(e, ENOTSUP, "disk %s cannot stay where it is: %s", g->network ?: g->real_path ?: g->node, why);
	if (!why && !g->network && !g->block_device && d->mark_fd < 0 && !disk_is_to(ds, g, "copy") && !d->left_behind)
		d->mark_fd = image_mark(g->real_path, &d->mark);
	return 0;
}

void disks_unmark(struct disks *ds)
{
	for (unsigned i = OBJECT_DISK_BASE; i <= OBJECT_DISK_MAX; i++) {
		if (ds->at[i].guest && ds->at[i].mark_fd >= 0)
			close(ds->at[i].mark_fd);
		ds->at[i].mark_fd = -1;
	}
}

/* Time when the file was made; 0: that cannot be told. */
static json_int_t born_ns(const char *path)
{
	struct statx x;

	return statx(AT_FDCWD, path, 0, STATX_BTIME, &x) || !(x.stx_mask & STATX_BTIME)
		       ? 0
		       : (json_int_t)x.stx_btime.tv_sec * 1000000000 + x.stx_btime.tv_nsec;
}

/* Bytes of a file's blocks that nobody has written to (Documentation/filesystems/fiemap.rst of Linux). lseek() would not do: such a block that is in the
 * page cache counts as data there. */
static uint64_t unwritten_bytes(int fd)
{
	AUTO_FREE struct fiemap *map = xcalloc(1, sizeof(*map) + EXTENTS_AT_ONCE * sizeof(map->fm_extents[0]));
	uint64_t sum = 0;
	unsigned i, asked;

	for (asked = 0; asked < EXTENTS_ASKED; asked++) {
		map->fm_length = FIEMAP_MAX_OFFSET - map->fm_start;
		map->fm_extent_count = EXTENTS_AT_ONCE;
		if (ioctl(fd, FS_IOC_FIEMAP, map) || !map->fm_mapped_extents)
			return sum;
		for (i = 0; i < map->fm_mapped_extents; i++)
			sum += map->fm_extents[i].fe_flags & FIEMAP_EXTENT_UNWRITTEN ? map->fm_extents[i].fe_length : 0;
		map->fm_start = map->fm_extents[i - 1].fe_logical + map->fm_extents[i - 1].fe_length;
	}
	return sum;
}

/* The image was preallocated, and not written to everywhere: (nearly) all of the file has blocks, and not all blocks have contents. */
static bool is_set_aside(const struct guest_disk *g, bool rests)
{
	AUTO_CLOSE int fd = g->block_device || (!rests && strcmp(g->format, "raw")) ? -1 : open_regular(g->real_path);
	struct stat st;
	uint64_t few;

	if (fd < 0 || fstat(fd, &st))
		return false;
	few = (uint64_t)st.st_size / 64;
	return (uint64_t)st.st_blocks * 512 >= (uint64_t)st.st_size - few && unwritten_bytes(fd) > few;
}

/* The command line says how it is reached, and the destination's QEMU what it sees there. */
static json_t *describe_by_word(const struct disk *d)
{
	const struct guest_disk *g = d->guest;
	AUTO_FREE char *identity = g->block_device ? block_device_identity(g->real_path) : NULL;

	return json_pack("{s:i,s:s,s:s*,s:s*,s:s,s:b,s:s*,s:s,s:I}", "object", (int)d->object, "node", g->node, "drive", g->drive_id,
			 "qdev", g->qdev, "by_word", disk_name(d), "device", g->block_device, "identity", identity, "format", g->format,
			 "virtual_size", (json_int_t)g->virtual_size);
}

/* True if the disk is a part of its image: the copy begins where the part does, and the command line at the destination must not contradict
 * that. */
static bool is_part(const struct disks *ds, const struct disk *d)
{
	return d->guest->bounds.begins_later && !ds->rests && !disk_is_to(ds, d->guest, "shared");
}

static json_t *describe_disk(const struct disks *ds, const struct disk *d)
{
	const struct disk_options *o = &ds->src->opt->disks;
	const struct guest_disk *g = d->guest;
	const char *to = said_of(&o->map, g);
	struct stat st = {.st_mode = 0600};
	uint64_t size;
	json_int_t born;
	AUTO_FREE char *acl = g->block_device ? NULL : acl_of(g->real_path);

	if (g->block_device || stat(g->real_path, &st))
		st = (struct stat){.st_mode = 0600, .st_uid = geteuid(), .st_gid = getegid()};
	/* size of a disk that is left behind: that of the empty disk which takes its place */
	size = d->left_behind && g->inner_size ? g->inner_size : g->virtual_size;
	born = st.st_ino ? born_ns(g->real_path) : 0;
	return json_of(MEMBER_COUNT("object", d->object), MEMBER_TEXT("node", g->node), MEMBER_TEXT("file", g->file),
		       MEMBER_TEXT("real_path", disk_name(d)), MEMBER_TEXT("format", g->format), MEMBER_COUNT("virtual_size", size),
		       MEMBER_COUNT("allocated", d->left_behind ? 0 : guest_disk_allocated(g, !disk_keeps_chain(ds, g))),
		       MEMBER_COUNT("cluster_size", g->cluster_size), MEMBER_COUNT("mode", st.st_mode & 0777),
		       MEMBER_COUNT("uid", st.st_uid), MEMBER_COUNT("gid", st.st_gid), MEMBER_TEXT("path", to && *to == '/' ? to : NULL),
		       MEMBER_TEXT("acl", acl), MEMBER_COUNT("inode", st.st_ino), MEMBER_TEXT("reuse", disk_reuse(ds, g)),
		       MEMBER_IF("reuse_if_there", is_left(ds, g)), MEMBER_TEXT("bundle", disk_bundle(ds, g)),
		       MEMBER_MAYBE("btime", born ? json_integer(born) : NULL),
		       MEMBER_SAME("qcow2", json_object_size(g->qcow2) ? g->qcow2 : NULL),
		       MEMBER_IF("set_aside", !d->left_behind && is_set_aside(g, ds->rests)),
		       MEMBER_MAYBE("mark", d->mark_fd >= 0 ? json_integer(d->mark) : NULL),
		       MEMBER_IF("shared", disk_is_to(ds, g, "shared")), MEMBER_IF("part", is_part(ds, d)),
		       MEMBER_IF("empty", d->left_behind),
		       /* holes of a chain are finer than an image's clusters */
		       MEMBER_IF("keep", !d->left_behind && o->keep.partial_s && (!g->chain_count || ds->rests)),
		       MEMBER_MAYBE("bitmaps", d->carried_count ? disk_describe_bitmaps(d) : NULL),
		       MEMBER_MAYBE("backing", disk_keeps_chain(ds, g) ? disk_describe_backing(d) : NULL));
}

/* Their backing files stand among the guest's other files, which have been described before. */
int disks_describe(struct part *p, json_t *out, struct err *e)
{
	struct disks *ds = disks_of(p);
	int r = 0;

	for (unsigned i = 0; i < ds->count && !r; i++) {
		struct disk *d = ds->list[i];

		if (!d->refused && mark(ds, d, e))
			r = source_obstacle(ds->src, e);
		json_array_append_new(ds->described, d->by_word ? describe_by_word(d) : describe_disk(ds, d));
		if (!r && !d->by_word && !d->refused)
			r = disk_describe_chain(ds, d, json_object_get(out, "files"), e);
	}
	json_object_set(out, "disks", ds->described);
	if (disks_ask_alike(ds))
		json_object_set_new(out, "alike", json_true());
	return r;
}

/* ACCEPT's entry for one disk; NULL: none. */
static const json_t *answer_for(const json_t *accept, const struct disk *d)
{
	json_t *a;
	size_t k;

	json_array_foreach(json_object_get(accept, "disks"), k, a)
		if (json_integer_value(json_object_get(a, "object")) == d->object && json_text(a, "path"))
			return a;
	return NULL;
}

static bool is_to_be(const json_t *said, const char *transfer)
{
	return !strcmp(json_text(said, "transfer") ?: "", transfer);
}

static void agree_on(const struct disks *ds, struct disk *d, const json_t *said)
{
	const char *old = json_text(said, "reuse");

	d->to = xstrdup(json_text(said, "path") ?: "?");
	d->stays = (d->mark_fd >= 0 || d->by_word) && is_to_be(said, "shared");
	d->to_device = json_is_true(json_object_get(said, "device"));
	d->device_bytes = json_integer_value(json_object_get(said, "device_bytes"));
	d->fills = json_is_true(json_object_get(said, "fills"));
	if (d->left_behind)
		return;
	d->alike = json_is_true(json_object_get(said, "alike"));
	d->begun = (ds->src->opt->disks.keep.partial_s || ds->makes_point) && json_is_true(json_object_get(said, "begun"));
	if (!old || (!d->begun && !disk_reuse(ds, d->guest) && !disk_bundle(ds, d->guest)))
		return;
	d->old = xstrdup(old);
	d->replaces = json_is_true(json_object_get(said, "replaces"));
	d->have = d->begun && json_is_true(json_object_get(said, "known")) ? disks_known(ds, d->guest) : NULL;
	d->knows = d->have;
	d->have = d->have ?: have_new(d->guest->virtual_size, HAVE_SHIFT);
	d->alike = false;
}

/* The file that a qcow2 image keeps its data in is as good as the image; its name is read where QEMU was started. */
static void add_data_file(struct disks *ds, const struct guest_disk *g)
{
	AUTO_FREE char *file = image_name_file(g->lacks.data_file), *path = file ? guest_path(&ds->src->guest, file) : NULL;
	AUTO_FREE char *real = path ? realpath(path, NULL) : NULL;

	if (real && process_has_open(ds->src->guest.pid, real))
		json_array_append_new(ds->src->disk_paths, json_string(real));
}

/* Disks that are not copied leave disk_paths: the user must not be told to delete them, nor does their use prove that the guest was
 * started again. */
static void part_from_those_not_copied(struct disks *ds)
{
	unsigned i, n = 0;

	json_array_clear(ds->src->disk_paths);
	for (i = 0; i < ds->count; i++) {
		struct disk *d = ds->list[i];

		if (d->left_behind) {
			ds->uncopied.behind[ds->uncopied.behinds++] = d;
			continue;
		}
		json_array_append_new(d->by_word ? ds->src->disks_by_word
				      : d->stays ? ds->src->shared_paths
						 : ds->src->disk_paths,
				      json_string(d->by_word ? disk_name(d) : d->guest->real_path));
		if (d->stays)
			ds->uncopied.stay[ds->uncopied.stays++] = d;
		else
			ds->list[n++] = d;
	}
	ds->count = n;
	for (i = 0; i < ds->count; i++)
		add_data_file(ds, ds->list[i]->guest);
}

/* A destination keeps nothing of an image above a base (PROTOCOL.md, "What is kept"), nor of what it has written to a device. */
static int check_kept(const struct disks *ds, struct err *e)
{
	for (unsigned i = 0; i < ds->count; i++) {
		const struct disk *d = ds->list[i];
		const char *why = d->to_device ? "it goes onto a block device" : d->guest->chain_count ? "it has backing files" : NULL;

		if (why && ds->src->opt->cold.head)
			return err_set(
				e, ENOTSUP,
				"disk %s cannot go ahead while the guest runs: %s. Shut the guest down, and say the same again: all of it goes then",
				disk_name(d), why);
		if (why)
			return err_set(e, ENOTSUP, "nothing of disk %s could be kept at the destination (--only-disks): %s", disk_name(d),
				       why);
	}
	return ds->count ? 0 : err_set(e, ENOTSUP, "the guest has no disk that would be copied (--only-disks)");
}

/* Disks of a guest that runs are read over NBD, which its QEMU has to bear. */
static int check_threads(const struct disks *ds, struct err *e)
{
	int r = 0;

	for (unsigned i = 0; !r && i < ds->count && !ds->rests && !ds->onward; i++)
		r = guest_check_iothread(&ds->src->guest, ds->src->qmp, ds->list[i]->guest, e);
	return r;
}

int disks_agree(struct part *p, const json_t *accept, struct err *e)
{
	struct disks *ds = disks_of(p);
	int r = 0;

	for (unsigned i = 0; i < ds->count; i++) {
		struct disk *d = ds->list[i];
		const json_t *said = answer_for(accept, d);

		agree_on(ds, d, said);
		if (!r && disk_is_to(ds, d->guest, "shared") && !d->stays)
			r = err_set(e, EPROTO, "the destination would copy disk %s, which is to stay where it is", disk_name(d));
		r = r ?: disk_agree_bitmaps(ds, d, said, e);
		if (!r && is_part(ds, d) && !d->stays && !json_is_true(json_object_get(said, "part")))
			r = err_set(e, ENOTSUP,
				    "the vmferry at the destination is older, and would skip the beginning of disk %s (offset=)",
				    disk_name(d));
		if (!r && d->left_behind && !is_to_be(said, "empty"))
			r = err_set(e, ENOTSUP, "the vmferry at the destination is older, and would not leave disk %s behind",
				    disk_name(d));
	}
	part_from_those_not_copied(ds);
	disks_agree_alike(ds, accept);
	if (!r && ds->uncopied.behinds && !ds->count)
		r = err_set(e, EINVAL, "all disks of the guest would be left behind (--disk %s=empty)", disk_name(ds->uncopied.behind[0]));
	if (json_array_size(ds->src->disks_by_word))
		report_notice(ds->src->report, "nothing keeps two QEMUs from writing to %s at once: when the guest is %s",
			      json_string_value(json_array_get(ds->src->disks_by_word, 0)),
			      ds->src->opt->in_place ? "in its new QEMU, nothing may start it again because its old one has ended"
						     : "at the destination, do not start it here again");
	disks_unmark(ds);
	r = r ?: check_threads(ds, e);
	return r || !ds->src->traits.stays_here || ds->makes_point ? r : check_kept(ds, e);
}

json_t *disk_tell_plan(const struct disks *ds, const struct disk *d)
{
	const struct guest_disk *g = d->guest;
	json_t *said = json_array_get(ds->described, d->object - OBJECT_DISK_BASE);
	AUTO_FREE char *mode = xasprintf("%03o", (unsigned)json_integer_value(json_object_get(said, "mode")));
	AUTO_FREE char *owner = xasprintf("%d:%d", (int)json_integer_value(json_object_get(said, "uid")),
					  (int)json_integer_value(json_object_get(said, "gid")));

	return json_of(MEMBER_TEXT("node", g->node), MEMBER_TEXT("from", disk_name(d)), MEMBER_TEXT("to", d->to),
		       MEMBER_FLAG("device", d->to_device),
		       MEMBER_MAYBE("device_bytes", d->device_bytes ? json_integer(d->device_bytes) : NULL),
		       MEMBER_TEXT("format", g->format),
		       MEMBER_COUNT("virtual_size", d->left_behind && g->inner_size ? g->inner_size : g->virtual_size),
		       MEMBER_SAME("allocated", json_object_get(said, "allocated")), /* NULL: it is not told */
		       MEMBER_TEXT("transfer", d->stays		? "shared"
					       : d->left_behind ? "empty"
								: "copy"),
		       MEMBER_FLAG("flatten", g->chain_count && !disk_keeps_chain(ds, g)), MEMBER_TEXT("mode", mode),
		       MEMBER_TEXT("owner", owner), MEMBER_FLAG("acl", json_object_get(said, "acl") != NULL), MEMBER_TEXT("reuse", d->old),
		       MEMBER_FLAG("replaces", d->replaces), MEMBER_FLAG("begun", d->begun), MEMBER_FLAG("by_word", d->by_word),
		       MEMBER_MAYBE("bitmaps", disk_tell_bitmaps(d)),
		       MEMBER_TEXT("reuse_gone", !d->old && !d->begun && is_left(ds, g) ? disk_reuse(ds, g) : NULL));
}
