/* disks-space.c: see disks-space.h. */
#include "disks-space.h"
#include "arriving-point.h"
#include "host-state.h"
#include "room.h"
#include "same-file.h"
#include "space.h"
#include "store-cost.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_ADDS    ((ssize_t)strlen(".vmferry-01234567" PARTIAL_SUFFIX)) /* bytes: while it arrives, or is kept, a file has a longer name */
#define TABLES_PART  100						   /* the tables of an image have less than this part of its size */
#define STORES_TRIED 4							   /* each takes a moment */

/* The directory of path, or where that is to be made; malloc'ed. */
static char *dir_of(const struct disks *d, const char *path)
{
	AUTO_FREE char *copy = xstrdup(path);
	const char *dir = dirname(copy);

	while (target_makes_dir(d->target, dir) || (d->point && arriving_point_makes(d->point, dir)))
		dir = dirname(copy);
	return xstrdup(dir);
}

/* A directory whose files may be neither renamed nor removed (chattr +a), as a disk is when it is whole, or when a move fails. */
static bool only_grows(const char *dir)
{
	struct statx st;

	return !statx(AT_FDCWD, dir, 0, 0, &st) && st.stx_attributes & STATX_ATTR_APPEND;
}

/* Counts what goes to path's directory. */
static int need_space(struct space *s, const struct disks *d, const char *path, uint64_t bytes, struct err *e)
{
	AUTO_FREE char *dir = dir_of(d, path);
	long longest = pathconf(dir, _PC_NAME_MAX);
	const char *slash = strrchr(path, '/'); /* NULL: a source may say anything */
	ssize_t len = (ssize_t)strlen(slash ? slash + 1 : path);

	if (!path_is_directory(dir))
		return disks_refuse_dir(d, dir, e);
	if (access(dir, W_OK))
		return err_sys(e, errno, "%s at the destination cannot be written", dir);
	if (only_grows(dir))
		return err_set(e, EPERM, "%s at the destination does not let files be renamed (chattr -a %s mends that)", dir, dir);
	if (longest > 0 && len + NAME_ADDS > longest)
		return err_set(
			e, ENAMETOOLONG,
			"the name of %s is too long for the destination: at most %ld bytes, as more is added while it arrives. Give it another "
			"(--disk DISK=PATH)",
			path, longest - (long)NAME_ADDS);
	return space_add(s, dir, bytes, e);
}

static int need_space_for_disk(struct space *s, const struct disks *d, const struct arriving_disk *a, struct err *e)
{
	return a->device ? 0 : need_space(s, d, a->path, a->allocated - MIN(a->allocated, partial_bytes(&a->begins.partial)), e);
}

/* tells: what cannot be written there goes to the obstacles of the plan. */
static void add_needs(struct space *s, const struct disks *d, const struct files *f, bool tells)
{
	struct err e;

	for (size_t i = 0; i < d->count; i++)
		if (need_space_for_disk(s, d, &d->list[i], &e) && tells)
			target_obstacle(d->target, &e);
	for (size_t i = 0; i < f->count; i++)
		if (f->list[i].transfer == CARRY_COPY && need_space(s, d, f->list[i].to, f->list[i].size, &e) && tells)
			target_obstacle(d->target, &e);
}

json_t *space_volumes(const struct disks *d, const struct files *f)
{
	json_t *volumes = json_array();
	struct space s = {.count = 0};

	add_needs(&s, d, f, false);
	for (size_t i = 0; i < s.count; i++)
		json_array_append_new(volumes, host_volume(s.volumes[i].dir, s.volumes[i].need));
	space_fini(&s);
	return volumes;
}

static void tell_missing(const struct disks *d, struct space *s, const char *what)
{
	struct err e;

	for (size_t i = 0; i < s->count; i++)
		if (space_check_volume(&s->volumes[i], what, &e)) {
			err_prefix(&e, "at the destination");
			target_obstacle(d->target, &e);
		}
	space_fini(s);
}

/* The directory of a first point is not there yet; that none can be made is an obstacle already. */
void space_for_point(const struct disks *d)
{
	AUTO_FREE char *first = xasprintf("%s/-", d->target->dir);
	struct space s = {.count = 0};
	struct err ignored;

	for (size_t i = 0; i < d->count; i++)
		need_space(&s, d, d->point->is_first ? first : d->list[i].path, d->list[i].least, &ignored);
	tell_missing(d, &s, "the point's disks");
}

/* QEMU inherits the limit, and would be ended, with its guest, by the first write behind it. */
static void check_file_limit(const struct disks *d)
{
	char size[24], limit[24];
	struct rlimit l;
	struct err e;

	if (getrlimit(RLIMIT_FSIZE, &l) || l.rlim_cur == RLIM_INFINITY)
		return;
	for (size_t i = 0; i < d->count; i++)
		if (!d->list[i].device && d->list[i].virtual_size + d->list[i].virtual_size / TABLES_PART > l.rlim_cur) {
			err_set(&e, EFBIG,
				"%s is to have %s at the destination, where vmferry-dst, and QEMU by it, may write files of %s at most: raise that limit for "
				"its user (ulimit -f; fsize in /etc/security/limits.conf)",
				d->list[i].path, format_bytes(size, d->list[i].virtual_size), format_bytes(limit, l.rlim_cur));
			target_obstacle(d->target, &e);
		}
}

void space_for_files(const struct disks *d, const struct files *f)
{
	AUTO_FREE char *here = xasprintf("%s/-", d->target->dir);
	struct space s = {.count = 0};
	struct err e;

	if (need_space(&s, d, here, 0, &e))
		target_obstacle(d->target, &e);
	check_file_limit(d);
	add_needs(&s, d, f, true);
	tell_missing(d, &s, "the disks");
}

double space_store_bps(const struct disks *d)
{
	double all = 0, longest_s = 0, bps;
	struct space s = {.count = 0};
	struct err ignored;

	for (size_t i = 0; i < d->count; i++)
		need_space_for_disk(&s, d, &d->list[i], &ignored);
	for (size_t i = 0; i < MIN(s.count, STORES_TRIED); i++) {
		const struct volume *v = &s.volumes[i];

		bps = v->need ? store_bps(v->dir) : 0;
		all += (double)v->need;
		longest_s = MAX(longest_s, bps > 0 ? (double)v->need / bps : 0);
	}
	space_fini(&s);
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
