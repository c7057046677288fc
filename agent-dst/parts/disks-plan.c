/* disks-plan.c: may the disks come, where each goes, and what may be there already. */
#include "arriving-point.h"
#include "bitmaps.h"
#include "block-device.h"
#include "disk-device.h"
#include "arriving-disks-private.h"
#include "disks-space.h"
#include "fault.h"
#include "image-create.h"
#include "image-mark.h"
#include "json-members.h"
#include "json-text.h"
#include "same-file.h"
#include "shell-quote.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DISKS_MAX 64

bool disks_path_taken(const struct disks *ds, const char *path)
{
	struct stat st;

	for (size_t i = 0; i < ds->count; i++)
		if (ds->list[i].path && !strcmp(ds->list[i].path, path))
			return true;
	return !lstat(path, &st);
}

/* True if the file there is perhaps the guest's own, on storage that both hosts see. It has the same inode number and time of birth
 * then; where that time is not told only the same name makes it likely. */
static bool is_same_file(const char *path, const json_t *o)
{
	json_int_t inode = json_integer_value(json_object_get(o, "inode")), born = json_integer_value(json_object_get(o, "btime"));
	struct statx x;

	if (!inode || statx(AT_FDCWD, path, 0, STATX_INO | STATX_BTIME, &x) || (json_int_t)x.stx_ino != inode)
		return false;
	if (born && x.stx_mask & STATX_BTIME && x.stx_btime.tv_sec > 0)
		return born == (json_int_t)x.stx_btime.tv_sec * 1000000000 + x.stx_btime.tv_nsec;
	return !strcmp(path, json_text(o, "real_path") ?: "");
}

static bool is_a_disk_of_the_guest(const struct disks *ds, const char *path)
{
	json_t *disk;
	size_t i;

	json_array_foreach(json_object_get(ds->target->description, "disks"), i, disk)
		if (is_same_file(path, disk))
			return true;
	return false;
}

static bool same(const char *a, const char *b)
{
	return a && b && !strcmp(a, b);
}

/* Something is where the disk is to go: perhaps the disk itself. */
static int refuse_taken(const struct disks *ds, const char *path, const char *reuse, struct err *e)
{
	bool was_left;

	if (is_a_disk_of_the_guest(ds, path))
		return err_set(
			e, EEXIST,
			"%s at the destination is the guest's own disk, on storage that both hosts see: it can stay where it is only in "
			"a move of a running guest with its memory, if locks are seen by both, too, and it is not to be copied. Choose a "
			"place for a copy: --disk-dir DIR",
			path);
	was_left = old_copy_was_left(ds->state_dir, ds->target->name, path);
	return err_set(e, EEXIST, "%s exists already at the destination; choose another place with --disk-dir DIR, or move it away%s", path,
		       was_left ? ". It is what an earlier move left there: --reuse auto takes from it what is the same, and replaces it"
		       : same(reuse, "auto") ? ". --reuse auto takes nothing from it, as no earlier move of this guest left it there"
					     : "");
}

/* Checks the disk against those before it: each has a place of its own, and no old copy is where another is to be. */
static int check_apart(const struct disks *ds, const struct arriving_disk *d, struct err *e)
{
	for (size_t i = 0; i < ds->count; i++) {
		const struct arriving_disk *k = &ds->list[i];

		if (same(k->path, d->path))
			return err_set(e, EEXIST, "two disks would go to %s at the destination: say where with --disk DISK=PATH", d->path);
		if (same(k->path, d->begins.old.path) || same(k->begins.old.path, d->path))
			return err_set(e, EINVAL, "%s is where one disk is to go, and cannot be the old copy of another",
				       same(k->path, d->begins.old.path) ? k->path : d->path);
	}
	return 0;
}

/* Plans a disk onto a block device, only where the user says so by name. */
static int plan_device(struct disks *ds, struct arriving_disk *d, const json_t *o, struct err *e)
{
	const char *format = json_text(o, "format") ?: "";

	if (is_a_disk_of_the_guest(ds, d->path))
		return refuse_taken(ds, d->path, json_text(o, "reuse"), e);
	if (strcmp(format, "raw"))
		return err_set(e, ENOTSUP, "disk %s is a %s image: onto block device %s at the destination goes a raw disk",
			       json_text(o, "real_path"), format, d->path);
	d->device = true;
	return disk_device_check(d->path, (uint64_t)json_integer_value(json_object_get(o, "virtual_size")), &d->device_bytes, e);
}

/* A name in /dev where no device is, and where a file would be gone with the next boot. */
static int refuse_no_device(const struct arriving_disk *d, const json_t *o, struct err *e)
{
	const char *name = json_text(o, "real_path");
	AUTO_FREE char *onto = xasprintf(", or goes onto a blank device: --disk %s=/dev/…", name);

	return json_text(o, "path") ? err_set(e, ENODEV, "the destination has no block device %s", d->path)
				    : err_set(e, ENODEV, "block device %s becomes a file with --disk-dir DIR%s", name,
					      strcmp(json_text(o, "format") ?: "", "raw") ? "" : onto);
}

/* Plans where a disk goes, and what may be there already. */
static int plan_place_of_guest(struct disks *ds, struct arriving_disk *d, const json_t *o, struct err *e)
{
	const char *want = json_text(o, "path"), *dir = json_text(ds->target->description, "disk_dir"), *real = json_text(o, "real_path");
	AUTO_FREE char *copy = xstrdup(real);
	struct stat st;
	json_t *kind;
	int r = 0;

	d->path = want ? xstrdup(want) : dir ? xasprintf("%s/%s", dir, basename(copy)) : xstrdup(real);
	if (want && disk_device_is(d->path))
		r = plan_device(ds, d, o, e);
	else if (!strncmp(d->path, "/dev/", 5) && strncmp(d->path, "/dev/shm/", 9)) /* a file there would be gone with the next boot */
		r = refuse_no_device(d, o, e);
	else if (!is_a_disk_of_the_guest(ds, d->path))
		r = old_copy_choose(&d->begins.old, ds->state_dir, ds->target->name, json_text(o, "reuse"), d->path, e);
	kind = d->device || r ? NULL : partial_kind(ds->target->description, o);
	if (kind)
		partial_find(&d->begins.partial, &ds->partials, d->path, kind, d->as_file || !strcmp(json_text(o, "format"), "raw"));
	json_decref(kind);
	d->begins.known = partial_is_as_left(&d->begins.partial, json_text(o, "known"));
	r = r ?: check_apart(ds, d, e);
	return !r && !d->device && !d->begins.old.replaced && !lstat(d->path, &st) ? refuse_taken(ds, d->path, json_text(o, "reuse"), e)
										   : r;
}

static int plan_place(struct disks *ds, struct arriving_disk *d, const json_t *o, struct err *e)
{
	return ds->point ? arriving_point_place(ds->point, d, o, e) : plan_place_of_guest(ds, d, o, e);
}

void arriving_disk_fini(struct arriving_disk *d)
{
	FREE_ALL(d->source.name, d->path, d->format, d->node, d->backing, d->backing_format);
	json_decref(d->qcow2);
	old_copy_fini(&d->begins.old);
	partial_fini(&d->begins.partial);
	bitmaps_fini(d);
}

static bool has_number(const struct disks *ds, uint32_t object)
{
	for (size_t i = 0; i < ds->count; i++)
		if (ds->list[i].object == object)
			return true;
	for (size_t i = 0; i < ds->stays; i++)
		if (ds->stay[i].object == object)
			return true;
	return false;
}

void staying_disk_fini(struct staying_disk *d)
{
	FREE_ALL(d->from, d->real, d->path, d->format);
}

/* Path at which the source's own file would be seen here, if it may stay there; else NULL. */
static const char *may_stay_at(const struct disks *ds, const json_t *o)
{
	const char *want = json_text(o, "path");
	bool copy = json_text(ds->target->description, "disk_dir") && !want && !json_is_true(json_object_get(o, "shared"));

	return !target_has_state(ds->target) || !json_is_integer(json_object_get(o, "mark")) || copy ? NULL
												       : want ?: json_text(o, "real_path");
}

/* Checks that a block device's name leads to the same device here. */
static int check_identity(const json_t *o, const char *path, struct err *e)
{
	const char *there = json_text(o, "identity");
	AUTO_FREE char *here = NULL;

	if (!disk_device_is(path))
		return err_set(e, ENODEV, "the destination has no block device %s, where disk %s is to stay", path, path);
	here = block_device_identity(path);
	return !here || !there || !strcmp(here, there)
		       ? 0
		       : err_set(e, EINVAL,
				 "block device %s is %s at the destination, and %s at the source: it is not the same one at both ends",
				 path, here, there);
}

static int only_with_memory(const struct disks *ds, const char *name, struct err *e)
{
	return target_has_state(ds->target)
		       ? 0
		       : err_set(e, ENOTSUP, "disk %s can stay where it is only in a move of a running guest with its memory", name);
}

/* The source's user says that it is the same from here. It stands in the command line, which is left as it is there. */
static int plan_by_word(struct disks *ds, const json_t *o, struct err *e)
{
	const char *name = json_text(o, "by_word");

	if (!name || !json_text(o, "node") || !json_text(o, "format"))
		return err_set(e, EPROTO, "the source's description of a disk is incomplete");
	if (only_with_memory(ds, name, e))
		return -e->code;
	if (json_is_true(json_object_get(o, "device")) && check_identity(o, name, e))
		return -e->code;
	ds->stay[ds->stays++] = (struct staying_disk){.object = (uint32_t)json_integer_value(json_object_get(o, "object")),
						      .by_word = true,
						      .path = xstrdup(name),
						      .format = xstrdup(json_text(o, "format"))};
	ds->target->disks_stay = true;
	return 0;
}

/* 1: it stays; 0: it does not, or need not. */
static int plan_staying(struct disks *ds, const json_t *o, struct err *e)
{
	const char *path = may_stay_at(ds, o);
	bool told = json_is_true(json_object_get(o, "shared"));

	if (told && only_with_memory(ds, json_text(o, "real_path") ?: "?", e))
		return -e->code;
	if (!path || !image_is_marked(path, json_integer_value(json_object_get(o, "mark"))))
		return told ? err_set(e, ENOENT,
				      "disk %s is to stay where it is, and the destination cannot see that %s there is the same file: it "
				      "is not, or it is not a regular file, or locks do not work across its file system",
				      json_text(o, "real_path"), path ?: "a file")
			    : 0;
	if (access(path, R_OK | W_OK))
		return err_sys(e, errno, "disk %s stays where it is, and cannot be opened at the destination", path);
	ds->stay[ds->stays++] = (struct staying_disk){.object = (uint32_t)json_integer_value(json_object_get(o, "object")),
						      .from = xstrdup(json_text(o, "file")),
						      .real = xstrdup(json_text(o, "real_path")),
						      .path = xstrdup(path),
						      .format = xstrdup(json_text(o, "format"))};
	ds->target->disks_stay = true;
	return 1;
}

static int plan_disk(struct disks *ds, const json_t *o, struct err *e)
{
	struct arriving_disk *d = &ds->list[ds->count];
	const char *real = json_text(o, "real_path");
	const json_t *backing = json_object_get(o, "backing");
	json_int_t object = json_integer_value(json_object_get(o, "object"));
	int r;

	if (object != (uint32_t)object || !object_is_disk((uint32_t)object))
		return err_set(e, EPROTO, "the source's description of a disk is incomplete");
	if (has_number(ds, (uint32_t)object))
		return err_set(e, EPROTO, "the source describes two disks with one number");
	if (json_object_get(o, "by_word"))
		return plan_by_word(ds, o, e);
	if (!real || !json_text(o, "file") || !json_text(o, "format"))
		return err_set(e, EPROTO, "the source's description of a disk is incomplete");
	r = plan_staying(ds, o, e);
	if (r)
		return MIN(r, 0);
	d->empty = json_is_true(json_object_get(o, "empty"));
	d->set_aside = json_is_true(json_object_get(o, "set_aside"));
	d->as_file = json_is_integer(json_object_get(o, "file_bytes"));
	if (d->empty && (d->as_file || backing || target_has_state(ds->target)))
		return err_set(e, EPROTO, "the source describes disk %s as an empty one, and as one with something in it", real);
	if (!d->empty && d->as_file != target_is_at_rest(ds->target))
		return err_set(e, EPROTO, "the source describes disk %s as one of a guest that %s", real,
			       d->as_file ? "is shut down, and the guest runs" : "runs, and the guest is shut down");
	/* a refused description has its obstacle already */
	if (!d->as_file && !image_format_known(json_text(o, "format")) && !target_is_refused(ds->target))
		return err_set(e, ENOTSUP, "disk %s has format %s, which cannot be moved yet (raw and qcow2 can)", real,
			       json_text(o, "format"));
	d->held_fd = d->lock_fd = -1;
	if (plan_place(ds, d, o, e)) /* the disk keeps its place in the plan, so that the rest of the plan can be made */
		target_obstacle(ds->target, e);
	d->object = (uint32_t)object;
	d->source.name = xstrdup(json_text(o, "file"));
	d->format = xstrdup(json_text(o, "format"));
	d->source.is_qcow2 = !strcmp(d->format, "qcow2");
	d->virtual_size = (uint64_t)json_integer_value(json_object_get(o, "virtual_size"));
	d->allocated = (uint64_t)json_integer_value(json_object_get(o, "allocated"));
	d->file_bytes = (uint64_t)json_integer_value(json_object_get(o, "file_bytes"));
	if (bitmaps_plan(d, json_object_get(o, "bitmaps"), e)) {
		arriving_disk_fini(d);
		return -e->code;
	}
	if (d->as_file && disk_padded(d->file_bytes) != d->virtual_size) {
		arriving_disk_fini(d);
		return err_set(e, EPROTO, "the source describes a file of %llu bytes as a disk of %llu", (unsigned long long)d->file_bytes,
			       (unsigned long long)d->virtual_size);
	}
	d->cluster_size = (unsigned)json_integer_value(json_object_get(o, "cluster_size"));
	d->source.part = !d->as_file && json_is_true(json_object_get(o, "part"));
	d->qcow2 = json_incref(json_object_get(o, "qcow2"));
	d->rights = (struct rights){.uid = (long)json_integer_value(json_object_get(o, "uid")),
				    .gid = (long)json_integer_value(json_object_get(o, "gid")),
				    .mode = (int)json_integer_value(json_object_get(o, "mode")) ?: -1};
	rights_parse_acl(&d->rights, json_text(o, "acl"));
	if (json_text(backing, "name"))
		d->backing = xstrdup(json_text(backing, "name"));
	if (json_text(backing, "format"))
		d->backing_format = xstrdup(json_text(backing, "format"));
	if (ds->point)
		arriving_point_dress(ds->point, d, o);
	ds->count++;
	return 0;
}

static const char *first_file(const struct disks *ds)
{
	for (size_t i = 0; i < ds->count; i++)
		if (!ds->list[i].device)
			return ds->list[i].path;
	for (size_t i = 0; i < ds->stays; i++)
		if (!ds->stay[i].by_word)
			return ds->stay[i].path;
	return NULL;
}

static bool has_parent(const char *dir)
{
	AUTO_FREE char *copy = xstrdup(dir);

	return path_is_directory(dirname(copy));
}

int disks_refuse_dir(const struct disks *ds, const char *dir, struct err *e)
{
	AUTO_FREE char *q = shell_quote(dir);

	if (!access(dir, F_OK))
		err_set(e, ENOTDIR, "%s at the destination is no directory: choose another with --disk-dir", dir);
	else
		err_set(e, ENOENT,
			"the directory %s does not exist at the destination: make it there (mkdir -p %s), or choose another with --disk-dir",
			dir, q);
	return target_obstacle(ds->target, e);
}

/* Chooses the directory for new files: the one of the first disk that is a file, unless the user names another. */
static int choose_dir(struct disks *ds, struct err *e)
{
	const json_t *d = ds->target->description;
	AUTO_FREE char *copy = first_file(ds) ? xstrdup(first_file(ds)) : NULL;
	const char *dir = json_text(d, "disk_dir") ?: copy ? dirname(copy) : json_text(d, "cwd") ?: "/";
	struct stat st;

	ds->target->dir = xstrdup(json_text(d, "disk_dir") ?: dir);
	dir = ds->target->dir;
	ds->target->makes_dir = dir[0] == '/' && lstat(dir, &st) && errno == ENOENT && has_parent(dir);
	if (!ds->target->makes_dir && (dir[0] != '/' || !path_is_directory(dir)))
		disks_refuse_dir(ds, dir, e);
	ds->nbd_socket = xasprintf("%s/nbd", ds->target->run_dir);
	return 0;
}

/* The guest's own QEMU is not asked, as disks that stay by word would need. */
static bool is_libvirts_live(const struct disks *ds)
{
	return target_has_state(ds->target) && json_text(ds->target->description, "owner");
}

/* A new file, of which the source will tell all. Holes in an image above a base mean something else. */
static bool may_be_filled(const struct arriving_disk *d)
{
	return d->path && !d->device && !d->empty && !d->begins.partial.known && !d->begins.above && !d->begins.old.path && !d->backing &&
	       !d->backing_format;
}

static void find_alike(struct disks *ds)
{
	if (!json_is_true(json_object_get(ds->target->description, "alike")) || fault_point("dst-knows-no-alike"))
		return;
	for (size_t i = 0; i < ds->count; i++) {
		struct arriving_disk *d = &ds->list[i];

		d->begins.alike = may_be_filled(d);
		if (d->begins.alike)
			alike_images_add(&ds->images, d->path, ds->target->name, d->rights.uid);
	}
}

bool disks_offer_alike(const struct disks *ds)
{
	size_t i;

	for (i = 0; i < ds->count && !ds->list[i].begins.alike; i++)
		;
	return i < ds->count && ds->images.count;
}

int disks_examine(struct part *p, struct err *e)
{
	struct disks *ds = disks_of(p);
	const json_t *disks = json_object_get(ds->target->description, "disks");
	int r = 0;

	if (json_array_size(disks) > DISKS_MAX)
		return err_set(e, EPROTO, "the source describes %zu disks; %d are possible", json_array_size(disks), DISKS_MAX);
	ds->list = xcalloc(json_array_size(disks) + 1, sizeof(*ds->list));
	ds->stay = xcalloc(json_array_size(disks) + 1, sizeof(*ds->stay));
	if (target_keep_partial_s(ds->target))
		partials_open(&ds->partials, ds->state_dir, ds->target->name);
	for (size_t i = 0; i < json_array_size(disks) && !r; i++) {
		r = plan_disk(ds, json_array_get(disks, i), e);
		if (!r && ds->stays && ds->stay[ds->stays - 1].by_word && is_libvirts_live(ds))
			r = err_set(
				e, ENOTSUP,
				"disk %s would stay where it is, on a network or a block device, and vmferry cannot see who writes to "
				"that. It does not move a running guest of libvirt with such a disk: use virsh migrate, or, if that disk "
				"is on a network, move the guest once it is shut down (--how cold)",
				ds->stay[ds->stays - 1].path);
		if (!r || r == -EPROTO)
			continue;
		ds->list[ds->count] = (struct arriving_disk){.object = 0};
		ds->refused = true;
		r = target_obstacle(ds->target, e);
	}
	if (!r)
		find_alike(ds);
	r = r ?: choose_dir(ds, e);
	if (!r && ds->point && !ds->point->planned && !ds->refused)
		space_for_point(ds);
	return r;
}

static json_t *describe_disk(const struct arriving_disk *d)
{
	const char *partial = partial_path(&d->begins.partial);

	return json_of(MEMBER_COUNT("object", d->object), MEMBER_TEXT("path", d->path), MEMBER_TEXT("format", d->format),
		       MEMBER_FLAG("device", d->device), MEMBER_FLAG("fills", disk_fills_zeros(d)),
		       MEMBER_TEXT("reuse", d->begins.above ? d->path : partial ?: d->begins.old.path),
		       MEMBER_FLAG("replaces", d->begins.old.replaced), MEMBER_FLAG("begun", d->begins.above || partial),
		       MEMBER_TEXT("transfer", d->empty ? "empty" : NULL), MEMBER_FLAG("bitmaps", d->bitmaps.count > 0),
		       MEMBER_MAYBE("device_bytes", disk_is_on_larger(d) ? json_integer((json_int_t)d->device_bytes) : NULL),
		       MEMBER_IF("part", d->source.part), MEMBER_IF("known", d->begins.known), MEMBER_IF("alike", d->begins.alike));
}

int disks_describe(struct part *p, json_t *accept, struct err *e)
{
	const struct disks *ds = disks_of(p);
	json_t *out = json_array();

	(void)e;
	for (size_t i = 0; i < ds->count; i++)
		json_array_append_new(out, describe_disk(&ds->list[i]));
	for (size_t i = 0; i < ds->stays; i++)
		json_array_append_new(out, json_pack("{s:i,s:s,s:s,s:s}", "object", (int)ds->stay[i].object, "path", ds->stay[i].path,
						     "format", ds->stay[i].format, "transfer", "shared"));
	json_object_set_new(accept, "disks", out);
	if (disks_offer_alike(ds))
		json_object_set_new(accept, "alike",
				    json_pack("{s:i,s:I}", "images", (int)ds->images.count, "bytes",
					      (json_int_t)alike_images_bytes(&ds->images)));
	return 0;
}
