/* space.c: see space.h. */
#include "room.h"
#include "space.h"
#include "store-cost.h"
#include "util.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define STORES_TRIED 4 /* each takes a moment */

/* What is to be written on one file system. */
struct volume {
	dev_t device;
	char *dir; /* one on it */
	uint64_t need;
};

/* The directory of path, or where that is to be made; malloc'ed. */
static char *dir_of(const struct disks *d, const char *path)
{
	AUTO_FREE char *copy = xstrdup(path);
	const char *dir = dirname(copy);

	if (!d->target->makes_dir || strcmp(dir, d->target->dir))
		return xstrdup(dir);
	AUTO_FREE char *parent = xstrdup(dir);

	return xstrdup(dirname(parent));
}

/* Adds to the volumes what goes to path's directory. */
static int need_space(struct volume *v, size_t *n, const struct disks *d, const char *path, uint64_t bytes, struct err *e)
{
	AUTO_FREE char *dir = dir_of(d, path);
	struct stat st;
	size_t i;

	if (stat(dir, &st) || !S_ISDIR(st.st_mode))
		return disks_refuse_dir(d, dir, e);
	if (access(dir, W_OK))
		return err_sys(e, errno, "%s at the destination cannot be written", dir);
	for (i = 0; i < *n && v[i].device != st.st_dev; i++)
		;
	if (i == *n)
		v[(*n)++] = (struct volume){st.st_dev, xstrdup(dir), 0};
	v[i].need += bytes;
	return 0;
}

static int check_volume(const struct volume *v, struct err *e)
{
	struct statvfs vfs;
	uint64_t have;
	char a[24], b[24];

	if (statvfs(v->dir, &vfs))
		return err_sys(e, errno, "the directory %s at the destination", v->dir);
	have = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	if (v->need > have)
		return err_set(e, ENOSPC, "the disks need %s but %s at the destination has only %s free", format_bytes(a, v->need), v->dir,
			       format_bytes(b, have));
	return 0;
}

static int need_space_for_disk(struct volume *v, size_t *n, const struct disks *d, const struct arriving_disk *a, struct err *e)
{
	return a->device ? 0 : need_space(v, n, d, a->path, a->allocated - MIN(a->allocated, partial_bytes(&a->partial)), e);
}

static void volumes_free(struct volume *v, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		free(v[i].dir);
	free(v);
}

void space_for_files(const struct disks *d, const struct files *f)
{
	struct volume *v = xcalloc(d->count + f->count + 1, sizeof(*v));
	AUTO_FREE char *here = xasprintf("%s/-", d->target->dir);
	struct err e;
	size_t n = 0, i;

	if (need_space(v, &n, d, here, 0, &e))
		target_obstacle(d->target, &e);
	for (i = 0; i < d->count; i++)
		if (need_space_for_disk(v, &n, d, &d->list[i], &e))
			target_obstacle(d->target, &e);
	for (i = 0; i < f->count; i++)
		if (f->list[i].transfer == CARRY_COPY && need_space(v, &n, d, f->list[i].to, f->list[i].size, &e))
			target_obstacle(d->target, &e);
	for (i = 0; i < n; i++)
		if (check_volume(&v[i], &e))
			target_obstacle(d->target, &e);
	volumes_free(v, n);
}

double space_store_bps(const struct disks *d)
{
	struct volume *v = xcalloc(d->count + 1, sizeof(*v));
	double all = 0, longest_s = 0, bps;
	struct err ignored;
	size_t n = 0, i;

	for (i = 0; i < d->count; i++)
		need_space_for_disk(v, &n, d, &d->list[i], &ignored);
	for (i = 0; i < MIN(n, STORES_TRIED); i++) {
		bps = v[i].need ? store_bps(v[i].dir) : 0;
		all += (double)v[i].need;
		longest_s = MAX(longest_s, bps > 0 ? (double)v[i].need / bps : 0);
	}
	volumes_free(v, n);
	return longest_s > 0 ? all / longest_s : 0;
}

int space_in_memory(const struct target *t, struct err *e)
{
	uint64_t ram = (uint64_t)json_integer_value(json_object_get(t->description, "ram_bytes")), available = memory_available();
	char a[24], b[24];

	if (available && ram > available)
		return err_set(e, ENOMEM, "the guest has %s of memory but only %s is available at the destination", format_bytes(a, ram),
			       format_bytes(b, available));
	return 0;
}
