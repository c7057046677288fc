/* replica-reverse.c: see replica-reverse.h. */
#include "replica-reverse.h"
#include "exit-code.h"
#include "json-text.h"
#include "process.h"
#include "qemu-discover.h"
#include "replica-here.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define QMP_MS 5000

char *replica_flat_path(const char *store, const char *name, size_t i, const char *format)
{
	AUTO_FREE char *dir = replica_parent_dir(store);

	return xasprintf("%s/%s-disk%zu.%s", dir, name, i, format);
}

const char *replica_flat_format(const json_t *disk)
{
	return !strcmp(json_text(disk, "source_format") ?: "", "qcow2") ? "qcow2" : "raw";
}

json_t *replica_disks_before(const struct point *pt)
{
	json_t *out = json_array();

	for (size_t i = 0; point_disk(pt, i); i++)
		json_array_append_new(out, json_pack("{s:O*,s:s,s:O*}", "from", json_object_get(point_disk(pt, i), "from"), "format",
						     replica_flat_format(point_disk(pt, i)), "empty",
						     json_object_get(point_disk(pt, i), "empty")));
	return out;
}

/* ---- what there is of it here ---- */

static int read_store(const struct replica_conf *c, const char *guest, struct points *p, struct err *e)
{
	AUTO_FREE char *dir = replica_store(c->state_dir, guest);

	*p = (struct points){.dir = NULL};
	if (!dir)
		return err_set(e, ENOENT, "this host had no replica of guest %s, so there is none to be reversed (vmferry replica add)",
			       guest);
	return points_read(p, dir, e);
}

/* 0: the guest has its own disks here. */
static int see_to_disks(struct replica_conf *c, const char *guest)
{
	struct points p;
	struct err e;
	int r = read_store(c, guest, &p, &e);
	bool runs = !r && json_object_get(p.replica, "run"), over = !r && points_are_over(&p);

	points_close(&p);
	if (r)
		return replica_say(&e);
	if (runs)
		return replica_failover_complete(c, guest);
	if (over)
		return 0;
	fprintf(stderr, "vmferry: guest %s runs at its primary still, as far as is known here: it can come by vmferry replica failover\n",
		guest);
	return EXIT_REFUSED;
}

/* ---- old disks there ---- */

/* vmferry storage may have given the guest another image, and left this one where it is. */
static bool is_in_use(const char *image)
{
	return !access(image, F_OK) && process_that_opened(image, 0);
}

struct image_now {
	char *path; /* NULL: it is no file */
	char *format;
};

/* Images that the guest's QEMU has now, in the order in which points have its disks. Their count; 0: not known. */
static size_t images_now(const char *guest, struct image_now now[POINT_DISKS_MAX])
{
	static const struct qmp_handlers none = {.event = NULL};
	struct loop *l = NULL;
	struct qmp *q = NULL;
	struct guest g;
	struct err ignored;
	size_t n = 0, i;
	int r = guest_find(&g, guest, &ignored);

	r = r ?: loop_new(&l, 64, &ignored) ?: guest_open_qmp(&g, &q, l, QMP_MS, &none, NULL, &ignored) ?: guest_query(&g, q, &ignored);
	for (i = 0; !r && i < g.disk_count; i++)
		if (!g.disks[i].read_only && !g.disks[i].removable_empty && n < POINT_DISKS_MAX)
			now[n++] = (struct image_now){g.disks[i].real_path ? xstrdup(g.disks[i].real_path) : NULL,
						      xstrdup(g.disks[i].format ?: "")};
	if (q)
		qmp_close(q);
	if (l)
		loop_free(l);
	guest_fini(&g);
	return n;
}

/* The image that took a disk's place (vmferry storage): the one at its place among as many. A guess that is wrong costs nothing but reading, as
 * all is compared by hash. */
static const char *image_instead(const struct image_now *now, size_t count, const json_t *had, size_t i)
{
	const char *format = json_text(json_array_get(had, i), "format") ?: "raw";

	return count == json_array_size(had) && !strcmp(now[i].format, format) ? now[i].path : NULL;
}

/* Disks that the guest has here still under the name that they got, or those that took their place. */
static void take_old_disks(struct replica_conf *c, const char *guest, const struct points *p)
{
	static char *pairs[POINT_DISKS_MAX]; /* pairs must live as long as the command */
	const json_t *had = json_object_get(p->replica, "had");
	struct option_list *left = &c->o.disks.left;
	struct image_now now[POINT_DISKS_MAX];
	size_t count = images_now(guest, now);
	json_t *one;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)had, i, one) {
		AUTO_FREE char *flat = replica_flat_path(p->dir, guest, i, json_text(one, "format") ?: "raw");
		const char *image = flat;

		if (i >= POINT_DISKS_MAX || left->count == OPTION_LIST_MAX || !json_text(one, "from") ||
		    json_is_true(json_object_get(one, "empty")))
			continue;
		if (!is_in_use(flat))
			image = image_instead(now, count, had, i);
		if (!image) {
			fprintf(c->o.events.json ? stderr : stdout,
				"no process has %s open: all of what took its place travels, unless --reuse PATH=%s says under which name the guest has "
				"that disk now\n",
				flat, json_text(one, "from"));
			continue;
		}
		free(pairs[i]);
		pairs[i] = xasprintf("%s=%s", image, json_text(one, "from"));
		left->at[left->count++] = pairs[i];
		fprintf(c->o.events.json ? stderr : stdout,
			"what %s there, or a point of it, has of disk %s need not travel, if it is there still\n", json_text(one, "from"),
			image);
	}
	for (i = 0; i < count; i++) {
		free(now[i].path);
		free(now[i].format);
	}
	fflush(stdout); /* the move's own words are not buffered */
}

/* A disk that no point has had has no use for points there, either. */
static void leave_out_again(struct replica_conf *c, const char *guest, const struct points *p)
{
	static char *pairs[POINT_DISKS_MAX]; /* pairs must live as long as the command */
	const json_t *had = json_object_get(p->replica, "had");
	struct option_list *map = &c->o.disks.map;
	json_t *one;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)had, i, one) {
		AUTO_FREE char *flat = replica_flat_path(p->dir, guest, i, json_text(one, "format") ?: "raw");

		if (i >= POINT_DISKS_MAX || map->count == OPTION_LIST_MAX || !json_is_true(json_object_get(one, "empty")) ||
		    !is_in_use(flat))
			continue;
		free(pairs[i]);
		pairs[i] = xasprintf("%s=empty", flat);
		map->at[map->count++] = pairs[i];
		fprintf(c->o.events.json ? stderr : stdout,
			"disk %s is left out of the replica still (vmferry replica set %s disk=%s=copy takes that back)\n", flat, guest,
			flat);
	}
	fflush(stdout);
}

int replica_reverse(struct replica_conf *c, const char *guest)
{
	struct points p;
	struct err e;
	int r = see_to_disks(c, guest);

	if (r)
		return r;
	r = read_store(c, guest, &p, &e);
	if (!r && strlen(json_text(p.replica, "pair") ?: "") != REPLICA_PAIR_LEN)
		r = err_set(&e, EINVAL, "%s/replica.json cannot be understood", p.dir);
	if (!r) {
		c->pair = xstrdup(json_text(p.replica, "pair"));
		c->term = (unsigned)json_integer_value(json_object_get(p.replica, "term"));
		if (!c->o.disk_dir)
			c->o.disk_dir = replica_parent_dir(p.dir);
		if (!c->o.disks.reuse_all)
			take_old_disks(c, guest, &p);
		if (!c->o.disks.map.count)
			leave_out_again(c, guest, &p);
	}
	points_close(&p);
	return r ? replica_say(&e) : 0;
}
