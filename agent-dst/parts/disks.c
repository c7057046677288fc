/* disks.c: see disks.h. */
#include "disks.h"
#include "image-create.h"
#include "json-text.h"
#include "made.h"
#include "util.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define DISKS_MAX 64

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

/* Something is where the disk is to go: perhaps the disk itself. An inode number is the same on every client of a file
 * system that hosts share. */
static int refuse_taken(const char *path, const json_t *o, struct err *e)
{
	json_int_t inode = json_integer_value(json_object_get(o, "inode"));
	const char *real = json_text(o, "real_path");
	struct stat st;

	if (inode && !strcmp(path, real) && !stat(path, &st) && (json_int_t)st.st_ino == inode)
		return err_set(
			e, EEXIST,
			"%s at the destination is the guest's own disk, on storage that both hosts see: a disk that stays where "
			"it is cannot be moved yet, as both QEMUs would need its lock at once while the move may still be rolled back. "
			"Choose a place for a copy: --disk-dir DIR",
			path);
	return err_set(e, EEXIST, "%s exists already at the destination; choose another place with --disk-dir DIR, or move it away", path);
}

static int plan_disk(struct disks *ds, const json_t *o, struct err *e)
{
	struct arriving_disk *d = &ds->list[ds->count];
	const char *real = json_text(o, "real_path"), *want = json_text(o, "path"), *dir = json_text(ds->target->description, "disk_dir");
	const json_t *backing = json_object_get(o, "backing");
	json_int_t object = json_integer_value(json_object_get(o, "object"));
	AUTO_FREE char *copy = NULL;
	char *path;
	size_t i;

	if (!real || !json_text(o, "file") || !json_text(o, "format") || !object_is_disk((uint32_t)object))
		return err_set(e, EPROTO, "the source's description of a disk is incomplete");
	for (i = 0; i < ds->count; i++)
		if (ds->list[i].object == (uint32_t)object)
			return err_set(e, EPROTO, "the source describes two disks with one number");
	if (!image_format_known(json_text(o, "format")))
		return err_set(e, ENOTSUP, "disk %s has format %s, which cannot be moved yet (raw and qcow2 can)", real,
			       json_text(o, "format"));
	copy = xstrdup(real);
	path = want ? xstrdup(want) : dir ? xasprintf("%s/%s", dir, basename(copy)) : xstrdup(real);
	if (disks_path_taken(ds, path)) {
		refuse_taken(path, o, e);
		free(path);
		return -e->code;
	}
	d->object = (uint32_t)object;
	d->from = xstrdup(json_text(o, "file"));
	d->path = path;
	d->format = xstrdup(json_text(o, "format"));
	d->virtual_size = (uint64_t)json_integer_value(json_object_get(o, "virtual_size"));
	d->allocated = (uint64_t)json_integer_value(json_object_get(o, "allocated"));
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

/* Beside the first disk, unless the user says otherwise. */
static int choose_dir(struct disks *ds, struct err *e)
{
	const json_t *d = ds->target->description;
	AUTO_FREE char *copy = ds->count ? xstrdup(ds->list[0].path) : NULL;
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
		json_array_append_new(out, json_pack("{s:i,s:s,s:s}", "object", (int)ds->list[i].object, "path", ds->list[i].path, "format",
						     ds->list[i].format));
	json_object_set_new(accept, "disks", out);
	return 0;
}

/* ---- their images ---- */

static int make_disk(struct disks *ds, const struct arriving_disk *d, char *const *env, struct err *e)
{
	AUTO_FREE char *temp = made_temp_name(ds->part.a, d->path);
	struct image im = {temp,   d->format, d->backing, d->backing_format, d->virtual_size, d->cluster_size, d->mode,
			   d->uid, d->gid,    d->acl};
	int r = made_own(ds->part.a, "file", temp, e);

	if (!r)
		r = image_create(ds->part.a->loop, ds->target->exe, env, ds->target->run_dir, &im, e);
	return r ? r : made_publish(ds->part.a, temp, d->path, e);
}

static int make_disks(struct disks *ds, char *const *env, struct err *e)
{
	size_t i;
	int r = 0;

	for (i = 0; i < ds->count && !r; i++)
		r = make_disk(ds, &ds->list[i], env, e);
	return r;
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

static int find_node(struct disks *ds, struct arriving_disk *d, struct err *e)
{
	json_t *nodes, *node;
	size_t i;
	int r = qmp_call(ds->target->qmp, "query-named-block-nodes", NULL, &nodes, e);

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

int disks_open(struct disks *ds, struct receive_shared *shared, struct err *e)
{
	size_t i;
	int r = 0;

	for (i = 0; i < ds->count && !r; i++) {
		struct arriving_disk *d = &ds->list[i];
		struct disk_target *t = &shared->disk[d->object];
		char id[32];

		t->bytes = d->virtual_size;
		t->name = t->at.path = d->path;
		t->at.writable = true;
		if (!strcmp(d->format, "raw"))
			continue;
		if (!ds->nbd_running) {
			r = qmp_call(ds->target->qmp, "nbd-server-start",
				     json_pack("{s:{s:s,s:{s:s}}}", "addr", "type", "unix", "data", "path", ds->nbd_socket), NULL, e);
			ds->nbd_running = !r;
		}
		if (!r)
			r = find_node(ds, d, e);
		snprintf(id, sizeof(id), "vmferry-%u", d->object);
		if (!r)
			r = qmp_call(ds->target->qmp, "block-export-add",
				     json_pack("{s:s,s:s,s:s,s:s,s:b}", "type", "nbd", "id", id, "node-name", d->node, "name", d->path,
					       "writable", 1),
				     NULL, e);
		t->at.path = ds->nbd_socket;
		t->at.export_name = d->path;
	}
	return r;
}

int disks_close_exports(struct disks *ds, struct err *e)
{
	char id[32];
	size_t i;
	int r = 0;

	if (!ds->nbd_running)
		return 0;
	for (i = 0; i < ds->count && !r; i++) {
		if (!ds->list[i].node)
			continue;
		snprintf(id, sizeof(id), "vmferry-%u", ds->list[i].object);
		r = qmp_call(ds->target->qmp, "block-export-del", json_pack("{s:s,s:s}", "id", id, "mode", "hard"), NULL, e);
	}
	if (!r)
		r = qmp_call(ds->target->qmp, "nbd-server-stop", NULL, NULL, e);
	ds->nbd_running = r != 0;
	return r;
}

/* ---- their life ---- */

static void fini(struct part *p)
{
	struct disks *ds = disks_of(p);
	size_t i;

	for (i = 0; i < ds->count; i++) {
		struct arriving_disk *d = &ds->list[i];

		free(d->from);
		free(d->path);
		free(d->format);
		free(d->node);
		free(d->backing);
		free(d->backing_format);
		free(d->acl);
	}
	free(ds->list);
	free(ds->nbd_socket);
}

static const struct part_ops ops = {.name = "disks", .examine = examine, .describe = describe, .prepare = prepare, .fini = fini};

void disks_init(struct disks *ds, struct target *target)
{
	*ds = (struct disks){.part = {&ops, target->part.a}, .target = target};
}
