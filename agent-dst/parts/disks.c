/* disks.c: see disks.h. */
#include "disks.h"
#include "disk-device.h"
#include "fault.h"
#include "image-create.h"
#include "image-lock.h"
#include "json-text.h"
#include "log.h"
#include "made.h"
#include "own-file.h"
#include "process.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DISKS_MAX     64
#define HELPER_END_MS 10000

static struct disks *disks_of(struct part *p)
{
	return container_of(p, struct disks, part);
}

/* ---- the plan ---- */

bool disks_path_taken(const struct disks *ds, const char *path)
{
	struct stat st;
	size_t i;

	for (i = 0; i < ds->count; i++)
		if (ds->list[i].path && !strcmp(ds->list[i].path, path))
			return true;
	return !lstat(path, &st);
}

/* Is the file there perhaps the guest's own, on storage that both hosts see? Then it has the same inode number and time of birth; where
 * that time is not told only the same name makes it likely. */
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

/* Something is where the disk is to go: perhaps the disk itself. */
static int refuse_taken(const struct disks *ds, const char *path, struct err *e)
{
	if (is_a_disk_of_the_guest(ds, path))
		return err_set(
			e, EEXIST,
			"%s at the destination is the guest's own disk, on storage that both hosts see: a disk that stays where "
			"it is cannot be moved yet, as both QEMUs would need its lock at once while the move may still be rolled back. "
			"Choose a place for a copy: --disk-dir DIR",
			path);
	return err_set(e, EEXIST, "%s exists already at the destination; choose another place with --disk-dir DIR, or move it away%s", path,
		       old_copy_was_left(ds->state_dir, ds->target->name, path)
			       ? ". It is what an earlier move left there: --reuse auto takes from it what is the same, and replaces it"
			       : "");
}

static bool same(const char *a, const char *b)
{
	return a && b && !strcmp(a, b);
}

/* With those before it: each has a place of its own, and no old copy is where another is to be. */
static int check_apart(const struct disks *ds, const struct arriving_disk *d, struct err *e)
{
	size_t i;

	for (i = 0; i < ds->count; i++) {
		const struct arriving_disk *k = &ds->list[i];

		if (same(k->path, d->path))
			return err_set(e, EEXIST, "two disks would go to %s at the destination: say where with --disk DISK=PATH", d->path);
		if (same(k->path, d->old.path) || same(k->old.path, d->path))
			return err_set(e, EINVAL, "%s is where one disk is to go, and cannot be the old copy of another",
				       same(k->path, d->old.path) ? k->path : d->path);
	}
	return 0;
}

/* Only where the user says so by name. */
static int plan_device(struct disks *ds, struct arriving_disk *d, const json_t *o, struct err *e)
{
	const char *format = json_text(o, "format") ?: "";

	if (is_a_disk_of_the_guest(ds, d->path))
		return refuse_taken(ds, d->path, e);
	if (strcmp(format, "raw"))
		return err_set(e, ENOTSUP, "disk %s is a %s image: onto block device %s at the destination goes a raw disk",
			       json_text(o, "real_path"), format, d->path);
	d->device = true;
	return disk_device_check(d->path, (uint64_t)json_integer_value(json_object_get(o, "virtual_size")), e);
}

/* Where it goes, and what may be there already. */
static int plan_place(struct disks *ds, struct arriving_disk *d, const json_t *o, struct err *e)
{
	const char *want = json_text(o, "path"), *dir = json_text(ds->target->description, "disk_dir"), *real = json_text(o, "real_path");
	AUTO_FREE char *copy = xstrdup(real);
	struct stat st;
	int r = 0;

	d->path = want ? xstrdup(want) : dir ? xasprintf("%s/%s", dir, basename(copy)) : xstrdup(real);
	if (want && disk_device_is(d->path))
		r = plan_device(ds, d, o, e);
	else if (!is_a_disk_of_the_guest(ds, d->path))
		r = old_copy_choose(&d->old, ds->state_dir, ds->target->name, json_text(o, "reuse"), d->path, e);
	r = r ? r : check_apart(ds, d, e);
	return !r && !d->device && !d->old.replaced && !lstat(d->path, &st) ? refuse_taken(ds, d->path, e) : r;
}

static void disk_fini(struct arriving_disk *d)
{
	free(d->from);
	free(d->path);
	free(d->format);
	free(d->node);
	free(d->backing);
	free(d->backing_format);
	free(d->acl);
	old_copy_fini(&d->old);
}

static bool is_at_rest(const struct target *t)
{
	return !strcmp(json_text(t->description, "how") ?: "", "cold");
}

static int plan_disk(struct disks *ds, const json_t *o, struct err *e)
{
	struct arriving_disk *d = &ds->list[ds->count];
	const char *real = json_text(o, "real_path");
	const json_t *backing = json_object_get(o, "backing");
	json_int_t object = json_integer_value(json_object_get(o, "object"));
	size_t i;

	if (!real || !json_text(o, "file") || !json_text(o, "format") || !object_is_disk((uint32_t)object))
		return err_set(e, EPROTO, "the source's description of a disk is incomplete");
	for (i = 0; i < ds->count; i++)
		if (ds->list[i].object == (uint32_t)object)
			return err_set(e, EPROTO, "the source describes two disks with one number");
	d->as_file = json_is_integer(json_object_get(o, "file_bytes"));
	if (d->as_file != is_at_rest(ds->target))
		return err_set(e, EPROTO, "the source describes disk %s as one of a guest that %s", real,
			       d->as_file ? "is shut down, and the guest runs" : "runs, and the guest is shut down");
	if (!d->as_file && !image_format_known(json_text(o, "format")))
		return err_set(e, ENOTSUP, "disk %s has format %s, which cannot be moved yet (raw and qcow2 can)", real,
			       json_text(o, "format"));
	d->held_fd = d->lock_fd = -1;
	if (plan_place(ds, d, o, e)) {
		disk_fini(d);
		return -e->code;
	}
	d->object = (uint32_t)object;
	d->from = xstrdup(json_text(o, "file"));
	d->format = xstrdup(json_text(o, "format"));
	d->virtual_size = (uint64_t)json_integer_value(json_object_get(o, "virtual_size"));
	d->allocated = (uint64_t)json_integer_value(json_object_get(o, "allocated"));
	d->file_bytes = (uint64_t)json_integer_value(json_object_get(o, "file_bytes"));
	if (d->as_file && disk_padded(d->file_bytes) != d->virtual_size) {
		disk_fini(d);
		return err_set(e, EPROTO, "the source describes a file of %llu bytes as a disk of %llu", (unsigned long long)d->file_bytes,
			       (unsigned long long)d->virtual_size);
	}
	d->cluster_size = (unsigned)json_integer_value(json_object_get(o, "cluster_size"));
	d->mode = (unsigned)json_integer_value(json_object_get(o, "mode"));
	d->uid = (long)json_integer_value(json_object_get(o, "uid"));
	d->gid = (long)json_integer_value(json_object_get(o, "gid"));
	if (json_text(o, "acl"))
		d->acl = xstrdup(json_text(o, "acl"));
	if (json_text(backing, "name"))
		d->backing = xstrdup(json_text(backing, "name"));
	if (json_text(backing, "format"))
		d->backing_format = xstrdup(json_text(backing, "format"));
	ds->count++;
	return 0;
}

static const char *first_file(const struct disks *ds)
{
	size_t i;

	for (i = 0; i < ds->count; i++)
		if (!ds->list[i].device)
			return ds->list[i].path;
	return NULL;
}

/* Beside the first disk that is a file, unless the user says otherwise. */
static int choose_dir(struct disks *ds, struct err *e)
{
	const json_t *d = ds->target->description;
	AUTO_FREE char *copy = first_file(ds) ? xstrdup(first_file(ds)) : NULL;
	const char *dir = json_text(d, "disk_dir") ?: copy ? dirname(copy) : json_text(d, "cwd") ?: "/";
	struct stat st;

	ds->target->dir = xstrdup(json_text(d, "disk_dir") ?: dir);
	dir = ds->target->dir;
	if (dir[0] != '/' || stat(dir, &st) || !S_ISDIR(st.st_mode))
		return err_set(e, ENOENT, "the directory %s does not exist at the destination; create it first", dir);
	ds->nbd_socket = xasprintf("%s/nbd", ds->target->run_dir);
	return 0;
}

static int examine(struct part *p, struct err *e)
{
	struct disks *ds = disks_of(p);
	const json_t *disks = json_object_get(ds->target->description, "disks");
	size_t i;
	int r = 0;

	if (json_array_size(disks) > DISKS_MAX)
		return err_set(e, EPROTO, "the source describes %zu disks; %d are possible", json_array_size(disks), DISKS_MAX);
	ds->list = xcalloc(json_array_size(disks) + 1, sizeof(*ds->list));
	for (i = 0; i < json_array_size(disks) && !r; i++)
		r = plan_disk(ds, json_array_get(disks, i), e);
	return r ? r : choose_dir(ds, e);
}

static int describe(struct part *p, json_t *accept, struct err *e)
{
	const struct disks *ds = disks_of(p);
	json_t *out = json_array();
	size_t i;

	(void)e;
	for (i = 0; i < ds->count; i++)
		json_array_append_new(out, json_pack("{s:i,s:s,s:s,s:b,s:s*,s:b}", "object", (int)ds->list[i].object, "path",
						     ds->list[i].path, "format", ds->list[i].format, "device", ds->list[i].device, "reuse",
						     ds->list[i].old.path, "replaces", ds->list[i].old.replaced));
	json_object_set_new(accept, "disks", out);
	return 0;
}

/* ---- their images ---- */

static int make_disk(struct disks *ds, struct arriving_disk *d, char *const *env, struct err *e)
{
	AUTO_FREE char *temp = made_temp_name(ds->part.a, d->path);
	struct image im = {temp,
			   d->as_file ? "raw" : d->format,
			   d->backing,
			   d->backing_format,
			   d->virtual_size,
			   d->cluster_size,
			   d->mode,
			   d->uid,
			   d->gid,
			   d->acl};
	int r = d->old.replaced ? old_copy_move_aside(ds->part.a, &d->old, e) : 0;

	r = r ? r : made_own(ds->part.a, "file", temp, e);
	if (!r)
		r = image_create(ds->part.a->loop, ds->target->exe, env, ds->target->run_dir, &im, e);
	if (!r) /* until our QEMU has it open nobody else is to find it unused */
		d->held_fd = open(temp, O_RDONLY | O_CLOEXEC);
	if (!r && d->as_file)
		r = image_lock(temp, IMAGE_OWN, &d->lock_fd, e);
	return r ? r : made_publish(ds->part.a, temp, d->path, e);
}

static int make_disks(struct disks *ds, char *const *env, struct err *e)
{
	size_t i;
	int r = 0;

	for (i = 0; i < ds->count && !r; i++) {
		struct arriving_disk *d = &ds->list[i];

		r = d->device ? disk_device_take(ds->part.a, d->path, d->virtual_size, &d->lock_fd, e) : make_disk(ds, d, env, e);
	}
	return r;
}

static void let_images_go(struct disks *ds)
{
	size_t i;

	for (i = 0; i < ds->count; i++) {
		if (ds->list[i].held_fd >= 0)
			close(ds->list[i].held_fd);
		ds->list[i].held_fd = -1;
	}
}

static void unlock_images(struct disks *ds)
{
	size_t i;

	for (i = 0; i < ds->count; i++) {
		if (ds->list[i].lock_fd >= 0)
			close(ds->list[i].lock_fd);
		ds->list[i].lock_fd = -1;
	}
}

static int prepare(struct part *p, struct err *e)
{
	struct disks *ds = disks_of(p);
	char **env = target_environment(ds->target);
	int r = make_disks(ds, env, e);

	target_free_environment(env);
	return r;
}

/* ---- writing ---- */

/* The QEMU that writes what we cannot. */
static struct qmp *writer(const struct disks *ds)
{
	return ds->helper.qmp ?: ds->target->qmp;
}

static bool is_raw(const struct arriving_disk *d)
{
	return d->as_file || !strcmp(d->format, "raw");
}

int disks_start_helper(struct disks *ds, struct err *e)
{
	static const struct qmp_handlers none = {NULL, NULL};
	static char *const options[] = {"-machine", "none", NULL};
	char **env;
	size_t i;
	int r;

	ds->late = true;
	for (i = 0; i < ds->count && is_raw(&ds->list[i]); i++)
		;
	if (i == ds->count)
		return 0;
	env = target_environment(ds->target);
	r = qemu_helper_start(&ds->helper, ds->part.a->loop, ds->target->exe, env, ds->target->run_dir, options, &none, NULL, e);
	target_free_environment(env);
	if (!r) /* it dies with us, but has the images open until it has */
		r = attempt_note(ds->part.a, "helper",
				 json_pack("{s:i,s:I}", "pid", (int)ds->helper.proc.pid, "start_time",
					   (json_int_t)ds->helper.proc.start_time),
				 e);
	fault_point("dst-helper-noted");
	return r ? err_prefix(e, "starting a QEMU that writes the disks") : 0;
}

static void end_helper(struct disks *ds)
{
	if (ds->helper.qmp)
		qemu_helper_end(&ds->helper);
}

void disks_restore(struct disks *ds)
{
	const json_t *note = journal_last_note(ds->part.a->journal, "helper");
	struct err e;

	if (note && !made_is_rebooted(ds->target) &&
	    process_end((pid_t)json_integer_value(json_object_get(note, "pid")),
			(uint64_t)json_integer_value(json_object_get(note, "start_time")), HELPER_END_MS, &e))
		log_error("%s", e.msg);
}

/* "vmferry-3", or of its old copy "vmferry-3-old" */
static char *export_id(const struct arriving_disk *d, bool old)
{
	return xasprintf("vmferry-%u%s", d->object, old ? "-old" : "");
}

static int add_node(struct disks *ds, struct arriving_disk *d, struct err *e)
{
	AUTO_FREE char *node = export_id(d, false);
	int r = qmp_call(writer(ds), "blockdev-add",
			 json_pack("{s:s,s:s,s:s,s:{s:s,s:s}}", "driver", d->format, "node-name", node, "discard", "unmap", "file",
				   "driver", d->device ? "host_device" : "file", "filename", d->path),
			 NULL, e);

	if (!r)
		d->node = xstrdup(node);
	return r ? err_prefix(e, "opening the new disk %s", d->path) : 0;
}

static int find_node(struct disks *ds, struct arriving_disk *d, struct err *e)
{
	json_t *nodes, *node;
	size_t i;
	int r = qmp_call(writer(ds), "query-named-block-nodes", NULL, &nodes, e);

	if (r)
		return r;
	json_array_foreach(nodes, i, node) {
		const char *file = json_text(node, "file"), *drv = json_text(node, "drv");

		if (file && drv && !strcmp(file, d->path) && !strcmp(drv, d->format)) {
			d->node = xstrdup(json_text(node, "node-name"));
			break;
		}
	}
	json_decref(nodes);
	return d->node ? 0 : err_set(e, ENOENT, "the destination QEMU has no %s disk at %s", d->format, d->path);
}

static int start_nbd(struct disks *ds, struct err *e)
{
	int r = 0;

	if (!ds->nbd_running)
		r = qmp_call(writer(ds), "nbd-server-start",
			     json_pack("{s:{s:s,s:{s:s}},s:i}", "addr", "type", "unix", "data", "path", ds->nbd_socket, "max-connections",
				       0),
			     NULL, e);
	ds->nbd_running |= !r;
	return r;
}

static int add_export(struct disks *ds, const struct arriving_disk *d, bool old, const char *node, const char *name, struct err *e)
{
	AUTO_FREE char *id = export_id(d, old);
	int r = start_nbd(ds, e);

	return r ? r
		 : qmp_call(writer(ds), "block-export-add",
			    json_pack("{s:s,s:s,s:s,s:s,s:b}", "type", "nbd", "id", id, "node-name", node, "name", name, "writable", !old),
			    NULL, e);
}

static int delete_export(struct disks *ds, const struct arriving_disk *d, bool old, struct err *e)
{
	AUTO_FREE char *id = export_id(d, old);

	return qmp_call(writer(ds), "block-export-del", json_pack("{s:s,s:s}", "id", id, "mode", "hard"), NULL, e);
}

/* Its blocks are in a file of another format, which only QEMU reads. */
static int open_old_image(struct disks *ds, struct arriving_disk *d, struct err *e)
{
	AUTO_FREE char *node = export_id(d, true);
	json_t *file = json_pack("{s:s,s:s,s:b}", "driver", "file", "filename", d->old.at, "read-only", 1);
	/* what lies in files below is not this image's */
	int r = qmp_call(writer(ds), "blockdev-add",
			 json_pack("{s:s,s:s,s:b,s:o,s:n}", "driver", d->format, "node-name", node, "read-only", 1, "file", file,
				   "backing"),
			 NULL, e);

	if (r)
		return err_prefix(e, "the old copy %s", d->old.path);
	d->old.node = xstrdup(node);
	d->old.export_name = xasprintf("%s/old", d->path);
	return add_export(ds, d, true, node, d->old.export_name, e);
}

static int open_disk(struct disks *ds, struct arriving_disk *d, struct disk_target *t, struct err *e)
{
	struct err why;
	int r = 0;

	t->bytes = d->virtual_size;
	t->name = t->at.path = d->path;
	t->at.writable = true;
	t->old = (struct disk_at){.path = d->old.at};
	t->old_name = d->old.path;
	if (is_raw(d))
		return 0;
	r = ds->helper.qmp ? add_node(ds, d, e) : find_node(ds, d, e);
	r = r ? r : add_export(ds, d, false, d->node, d->path, e);
	t->at.path = ds->nbd_socket;
	t->at.export_name = d->path;
	if (r || !d->old.path || !old_copy_is_qcow2(&d->old))
		return r;
	if (open_old_image(ds, d, &why)) {
		log_info("%s: all of disk %s travels", why.msg, d->path);
		t->old.path = NULL;
		return 0;
	}
	t->old = (struct disk_at){.path = ds->nbd_socket, .export_name = d->old.export_name};
	return 0;
}

int disks_open(struct disks *ds, struct receive_shared *shared, struct err *e)
{
	size_t i;
	int r = 0;

	for (i = 0; i < ds->count && !r; i++)
		r = open_disk(ds, &ds->list[i], &shared->disk[ds->list[i].object], e);
	if (!ds->late)
		let_images_go(ds);
	return r;
}

int disks_compare(struct disks *ds, struct receive_shared *shared, struct err *e)
{
	size_t i;

	for (i = 0; i < ds->count; i++)
		if (ds->list[i].old.path)
			return old_reader_start(&ds->old_reader, shared, e);
	return 0;
}

void disks_compared(struct disks *ds, uint32_t object)
{
	if (ds->old_reader)
		old_reader_enough(ds->old_reader, object);
}

int disks_trim(struct disks *ds, struct err *e)
{
	size_t i;

	for (i = 0; i < ds->count; i++) {
		const struct arriving_disk *d = &ds->list[i];

		if (!d->device && (ftruncate(d->lock_fd, (off_t)d->file_bytes) || fsync(d->lock_fd)))
			return err_sys(e, errno, "cannot give %s its size", d->path);
	}
	return 0;
}

bool disks_are_here(const struct disks *ds)
{
	json_t *owned, *entry;
	bool yes = true;
	size_t i;

	if (!ds->part.a->journal || journal_owned(ds->part.a->journal, &owned))
		return false;
	json_array_foreach(owned, i, entry) {
		const json_t *known = json_object_get(entry, "detail");
		const char *kind = json_text(entry, "kind") ?: "";

		if (!strcmp(kind, "file") && json_object_get(known, "inode"))
			yes = yes && own_file_is_there(known, made_is_rebooted(ds->target));
		if (!strcmp(kind, "device"))
			yes = yes && disk_device_is_there(known, made_is_rebooted(ds->target));
	}
	json_decref(owned);
	return yes;
}

void disks_stop(struct disks *ds)
{
	end_helper(ds);
	let_images_go(ds);
	unlock_images(ds);
	old_reader_stop(ds->old_reader);
	ds->old_reader = NULL;
}

bool disks_have_exports(const struct disks *ds)
{
	return ds->nbd_running;
}

static int delete_exports(struct disks *ds, struct err *e)
{
	size_t i;
	int r = 0;

	for (i = 0; i < ds->count && !r; i++) {
		if (ds->list[i].old.node)
			r = delete_export(ds, &ds->list[i], true, e);
		if (!r && ds->list[i].node)
			r = delete_export(ds, &ds->list[i], false, e);
	}
	return r;
}

static int delete_node(struct disks *ds, const char *node, struct err *e)
{
	return qmp_call(writer(ds), "blockdev-del", json_pack("{s:s}", "node-name", node), NULL, e);
}

/* Once the server has stopped nothing uses them any more; before that an export that was deleted may. */
static int delete_nodes(struct disks *ds, struct err *e)
{
	size_t i;
	int r = 0;

	for (i = 0; i < ds->count && !r; i++) {
		if (ds->list[i].old.node)
			r = delete_node(ds, ds->list[i].old.node, e);
		if (!r && ds->helper.qmp && ds->list[i].node) /* closes the image as it is to be */
			r = delete_node(ds, ds->list[i].node, e);
	}
	return r;
}

int disks_close_exports(struct disks *ds, struct err *e)
{
	int r;

	if (!ds->nbd_running)
		return 0;
	r = delete_exports(ds, e);
	r = r ? r : qmp_call(writer(ds), "nbd-server-stop", NULL, NULL, e);
	r = r ? r : delete_nodes(ds, e);
	ds->nbd_running = r != 0;
	if (!r)
		end_helper(ds);
	return r;
}

/* ---- their life ---- */

static void fini(struct part *p)
{
	struct disks *ds = disks_of(p);
	size_t i;

	end_helper(ds);
	unlock_images(ds);
	for (i = 0; i < ds->count; i++)
		disk_fini(&ds->list[i]);
	free(ds->list);
	free(ds->nbd_socket);
}

static int undo_old_copy(struct part *p, const json_t *detail, struct err *e)
{
	return old_copy_undo(disks_of(p)->target, detail, e);
}

static int undo_device(struct part *p, const json_t *detail, struct err *e)
{
	return disk_device_undo(disks_of(p)->target, detail, e);
}

static const struct part_undo undo[] = {
	{"device", "a block device that a disk was written to", undo_device},
	{"old-copy", "an old copy that was in the way of a disk", undo_old_copy},
	{NULL, NULL, NULL},
};

static const struct part_ops ops =
	{.name = "disks", .examine = examine, .describe = describe, .prepare = prepare, .undo = undo, .fini = fini};

void disks_init(struct disks *ds, struct target *target, const char *state_dir)
{
	*ds = (struct disks){.part = {&ops, target->part.a}, .target = target, .state_dir = state_dir};
}
