/*
 * qemu-disks-now.c: writes into the guest's command line which images its drives have now. While it ran disks may have gone elsewhere (vmferry storage, a
 * mirror and its pivot), or on top of what they had (an external snapshot), and media may have been changed; the line still names what they began with.
 *
 * A disk of the line is told by the id of its -drive, or that which QEMU gives one without, or by its device and the node that this has, or by the place of its
 * device among those without an id, or in the machine's flash; never by the name that an image has now, which may have been another's. A device that was plugged in anew is none of this: it may have other
 * options, too.
 */
#include "qemu-discover.h"
#include "disk-line.h"
#include "obstacles.h"
#include "qemu-opts.h"
#include "qemu-props.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct line_disk {
	char *path;		      /* path as on the line */
	const struct guest_disk *now; /* the drive's present disk; NULL: not known */
};

/* A bit for each of the first 64 places, as index= counts them. */
struct ide {
	uint64_t taken, unnamed; /* places taken by any drive; by drives without an id */
	bool unclear;		 /* others may be taken in ways that are not counted */
};

struct line_disks {
	struct line_disk *v;
	size_t n;
	uint64_t virtio;		       /* bit per place of if=virtio that is taken, of the first 64 */
	uint64_t flash;			       /* bit per place of if=pflash that is taken, of the first 64 */
	struct ide so_far;		       /* places in the part of the line that was read so far */
	struct ide of_line;		       /* places in the whole line */
	struct nameless {		       /* devices without an id that have a node of a -blockdev */
		unsigned all, so_far, as_json; /* options of the whole line; options read so far; those in JSON, which QEMU handles last */
	} nameless;
};

static void add(struct line_disks *l, const char *path, const struct guest_disk *now)
{
	l->v = xrealloc(l->v, (l->n + 1) * sizeof(*l->v));
	l->v[l->n++] = (struct line_disk){xstrdup(path), now};
}

static void drop(struct line_disks *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i].path);
	free(l->v);
}

static bool is_image(const struct guest *g, const char *path, const struct guest_disk *d)
{
	AUTO_FREE char *whole = guest_path(g, path);
	AUTO_FREE char *real = realpath(whole, NULL);

	return (d->file && !strcmp(d->file, path)) || (real && d->real_path && !strcmp(real, d->real_path));
}

/* ---- what the line says ---- */

/* Property `key` of that node's -blockdev, malloc'ed; NULL: none. */
static char *of_node(const struct guest *g, const char *node, const char *key)
{
	struct qemu_opt opt;
	char *value = NULL;
	size_t i = 1;

	while (!value && qemu_opt_next(g->line.expanded, g->line.expanded_count, &i, &opt)) {
		struct props p;
		const char *name;

		if (!opt.value || strcmp(opt.name, "blockdev"))
			continue;
		props_parse(&p, opt.value);
		name = kv_get(&p.l, "node-name", NULL);
		if (name && !strcmp(name, node) && kv_get(&p.l, key, NULL))
			value = xstrdup(kv_get(&p.l, key, NULL));
		props_fini(&p);
	}
	return value;
}

/* malloc'ed; NULL: no node of the line's, or one without a file. */
static char *file_of_node(const struct guest *g, const char *node)
{
	char *path = of_node(g, node, "file.filename"), *below = path ? NULL : of_node(g, node, "file");

	if (below)
		path = of_node(g, below, "filename");
	free(below);
	return path;
}

/* The place that is said, or the first that is free; -1: it is beyond what is counted. */
static int choose_place(uint64_t *taken, const char *index)
{
	unsigned long at = index ? strtoul(index, NULL, 0) : 0;

	while (!index && at < 64 && *taken >> at & 1)
		at++;
	if (at >= 64)
		return -1;
	*taken |= 1ULL << at;
	return (int)at;
}

static const char *index_of(const struct kv_list *drive)
{
	return kv_get(drive, "index", NULL) ?: kv_get(drive, "unit", NULL);
}

/* The id that QEMU gives a -drive with if=virtio and none, malloc'ed; NULL: it is no such. */
static char *usual_id(struct line_disks *l, const struct kv_list *drive)
{
	const char *interface = kv_get(drive, "if", NULL);
	int at = interface && !strcmp(interface, "virtio") ? choose_place(&l->virtio, index_of(drive)) : -1;

	return at < 0 ? NULL : xasprintf("virtio%d", at);
}

/* ---- firmware and its variables: the machine's own devices, "/machine/system.flash1" ---- */

static const struct guest_disk *disk_at_flash(const struct guest *g, int at)
{
	AUTO_FREE char *name = xasprintf(".flash%d", at);

	for (size_t i = 0; i < g->disk_count; i++) {
		const char *end = g->disks[i].qdev ? strrchr(g->disks[i].qdev, '.') : NULL;

		if (end && !strcmp(end, name))
			return &g->disks[i];
	}
	return NULL;
}

/* The place of a -drive with if=pflash; -1: it is no such. */
static int place_in_flash(struct line_disks *l, const struct kv_list *drive)
{
	const char *interface = kv_get(drive, "if", NULL);

	return interface && !strcmp(interface, "pflash") ? choose_place(&l->flash, index_of(drive)) : -1;
}

static void note_machine(const struct guest *g, struct line_disks *l, const char *value)
{
	static const char *const keys[] = {"pflash0", "pflash1"};
	struct props p;

	props_parse(&p, value);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		const char *node = kv_get(&p.l, keys[i], NULL);
		AUTO_FREE char *path = node ? file_of_node(g, node) : NULL;

		if (path)
			add(l, path, disk_at_flash(g, (int)i));
	}
	props_fini(&p);
}

/* ---- without an id, on IDE: QEMU names them by their places, which depends on the machine, but in that order ---- */

static int take_place(struct ide *ide, unsigned long at, bool has_id)
{
	ide->unclear |= at >= 64;
	if (at >= 64)
		return -1;
	ide->taken |= 1ULL << at;
	ide->unnamed |= has_id ? 0 : 1ULL << at;
	return has_id ? -1 : (int)at;
}

/* The place of the drive that this option makes; -1: none, or one that has a name of its own. */
static int place_on_ide(struct ide *ide, const struct qemu_opt *opt)
{
	static const struct {
		const char *option;
		unsigned place;
	} plain[] = {{"", 0}, {"hda", 0}, {"hdb", 1}, {"hdc", 2}, {"hdd", 3}, {"cdrom", 2}};
	const char *interface, *index;
	unsigned long at;
	struct kv_list kv;
	bool is_ide, has_id;

	for (size_t i = 0; i < ARRAY_LEN(plain); i++)
		if (!strcmp(opt->name, plain[i].option))
			return take_place(ide, plain[i].place, false);
	if (!opt->value || strcmp(opt->name, "drive"))
		return -1;
	kv_parse(&kv, opt->value);
	interface = kv_get(&kv, "if", NULL);
	index = kv_get(&kv, "index", NULL);
	has_id = kv_get(&kv, "id", NULL);
	is_ide = !interface || !strcmp(interface, "ide");
	ide->unclear |= is_ide && (kv_get(&kv, "bus", NULL) || kv_get(&kv, "unit", NULL));
	for (at = index ? strtoul(index, NULL, 0) : 0; !index && at < 64 && ide->taken >> at & 1; at++)
		;
	kv_fini(&kv);
	return is_ide ? take_place(ide, at, has_id) : -1;
}

/* "ide1-hd0", "ide2-cd0" */
static bool ide_place(const struct guest_disk *d, unsigned *place)
{
	unsigned bus, unit;
	char kind;
	int end = 0;

	if (!d->drive_id || sscanf(d->drive_id, "ide%u-%cd%u%n", &bus, &kind, &unit, &end) != 3 || d->drive_id[end])
		return false;
	*place = bus << 16 | (unit & 0xffff);
	return true;
}

/* The disk at that place of IDE, if there are as many disks as the line makes. */
static const struct guest_disk *disk_at_ide(const struct guest *g, struct ide ide, int at)
{
	const struct guest_disk *found = NULL;
	unsigned place, other, all = 0, before, n;
	size_t i, k;

	for (i = 0; i < g->disk_count; i++)
		all += ide_place(&g->disks[i], &other);
	n = (unsigned)__builtin_popcountll(ide.unnamed & ((1ULL << at) - 1));
	for (i = 0; i < g->disk_count; i++) {
		if (!ide_place(&g->disks[i], &place))
			continue;
		for (k = before = 0; k < g->disk_count; k++)
			before += ide_place(&g->disks[k], &other) && other < place;
		if (before == n)
			found = &g->disks[i];
	}
	return !ide.unclear && all == (unsigned)__builtin_popcountll(ide.unnamed) ? found : NULL;
}

static void note_drive(const struct guest *g, struct line_disks *l, const struct qemu_opt *opt)
{
	int at = place_on_ide(&l->so_far, opt), flash;
	const char *path = opt->value, *id = NULL;
	const struct guest_disk *now;
	AUTO_FREE char *usual = NULL;
	AUTO_KV struct kv_list kv = {.n = 0};

	if (!strcmp(opt->name, "drive")) {
		kv_parse(&kv, opt->value);
		usual = usual_id(l, &kv);
		id = kv_get(&kv, "id", NULL) ?: usual;
		path = kv_get(&kv, "file.filename", NULL) ?: kv_get(&kv, "file", NULL);
	}
	flash = place_in_flash(l, &kv);
	now = at >= 0 ? disk_at_ide(g, l->of_line, at) : flash >= 0 ? disk_at_flash(g, flash) : id ? guest_disk_of_drive(g, id) : NULL;
	if (path && *path && !qemu_path_has_protocol(path))
		add(l, path, now);
}

/* ---- on devices without an id: QEMU numbers them in the order of the line, and guest_check_nameless_devices() has seen that all are there ---- */

static bool nameless_place(const struct guest_disk *d, unsigned *place)
{
	return !d->drive_id && d->qdev && sscanf(d->qdev, "/machine/peripheral-anon/device[%u]", place) == 1;
}

/* A node of the line's is where the line has it, or else the order is another. */
static bool may_be_of(const struct guest *g, const struct guest_disk *d, const char *node)
{
	AUTO_FREE char *driver = d->node ? of_node(g, d->node, "driver") : NULL;

	return !driver || !strcmp(d->node, node);
}

static const struct guest_disk *disk_of_nameless(const struct guest *g, const struct nameless *of, const char *node)
{
	const struct guest_disk *found = NULL;
	unsigned place, other, all = 0, before;
	size_t i, k;

	for (i = 0; i < g->disk_count; i++) {
		if (!nameless_place(&g->disks[i], &place))
			continue;
		all++;
		for (k = before = 0; k < g->disk_count; k++)
			before += nameless_place(&g->disks[k], &other) && other < place;
		if (before == of->so_far)
			found = &g->disks[i];
	}
	return found && all == of->all && (!of->as_json || of->as_json == all) && may_be_of(g, found, node) ? found : NULL;
}

/* The node of that -device and its file, malloc'ed; NULL: none of a -blockdev. *id: its id, malloc'ed; NULL: it has none. */
static char *node_of_device(const struct guest *g, const char *value, char **id, char **path)
{
	const char *drive;
	struct props p;
	char *node;

	props_parse(&p, value);
	drive = kv_get(&p.l, "drive", NULL);
	*path = drive ? file_of_node(g, drive) : NULL;
	node = *path ? xstrdup(drive) : NULL;
	*id = kv_get(&p.l, "id", NULL) ? xstrdup(kv_get(&p.l, "id", NULL)) : NULL;
	props_fini(&p);
	return node;
}

static void count_nameless(const struct guest *g, struct nameless *of, const struct qemu_opt *opt)
{
	AUTO_FREE char *id = NULL, *path = NULL;
	AUTO_FREE char *node = opt->value && !strcmp(opt->name, "device") ? node_of_device(g, opt->value, &id, &path) : NULL;

	of->all += node && !id;
	of->as_json += node && !id && *opt->value == '{';
}

static void note_device(const struct guest *g, struct line_disks *l, const char *value)
{
	AUTO_FREE char *id = NULL, *path = NULL;
	AUTO_FREE char *node = node_of_device(g, value, &id, &path);

	if (!node)
		return;
	add(l, path, id ? guest_disk_of_device(g, id) : disk_of_nameless(g, &l->nameless, node));
	l->nameless.so_far += !id;
}

static void read_line(const struct guest *g, struct line_disks *l)
{
	struct qemu_opt opt;
	size_t i = 1;

	while (qemu_opt_next(g->line.expanded, g->line.expanded_count, &i, &opt)) {
		place_on_ide(&l->of_line, &opt);
		count_nameless(g, &l->nameless, &opt);
	}
	for (i = 1; qemu_opt_next(g->line.expanded, g->line.expanded_count, &i, &opt);) {
		if (opt.value && !strcmp(opt.name, "device"))
			note_device(g, l, opt.value);
		else if (opt.value && (!strcmp(opt.name, "machine") || !strcmp(opt.name, "M")))
			note_machine(g, l, opt.value);
		else if (opt.value &&
			 (!strcmp(opt.name, "drive") || !strcmp(opt.name, "") || !strncmp(opt.name, "hd", 2) || !strcmp(opt.name, "cdrom")))
			note_drive(g, l, &opt);
	}
}

/* ---- what it has ---- */

static bool has_image(const struct guest_disk *d)
{
	return !d->removable_empty && d->real_path && d->file;
}

/* ---- changing ---- */

static bool is_it(void *ctx, const char *path)
{
	return !strcmp(ctx, path);
}

static int change_line(const struct disk_line_change *c, char ***argv, size_t *argc, struct err *e)
{
	char **out;
	size_t count;
	int r = disk_line_change(*argv, *argc, c, &out, &count, NULL, e);

	if (r != 1)
		return r;
	args_free_strings(*argv, *argc);
	*argv = out;
	*argc = count;
	return 1;
}

static int change(struct guest *g, const char *path, const struct guest_disk *d, struct err *e)
{
	AUTO_FREE char *old = xstrdup(path);
	struct disk_line_change c = {.is_it = is_it,
				     .ctx = old,
				     .to = *d->file == '/' ? d->file : d->real_path,
				     .format = d->format,
				     .to_device = d->block_device,
				     .shows = d->bounds.ends_by_size ? d->virtual_size : 0,
				     .may_have_base = true};
	int r = !d->format || (strcmp(d->format, "raw") && strcmp(d->format, "qcow2"))
			? err_set(e, ENOTSUP, "it has a format that cannot be moved")
			: 0;

	if (!r && d->named_by_json)
		r = err_set(e, ENOTSUP, "QEMU has it with options that its name and format do not tell");
	r = r ?: change_line(&c, &g->line.argv, &g->line.argc, e);
	r = r == 1 ? change_line(&c, &g->line.expanded, &g->line.expanded_count, e) : r;
	r = r ?: err_set(e, ENOTSUP, "its command line does not name that where it could be changed");
	if (r < 0)
		return err_prefix(e, "a drive of the guest has %s now, and %s on its command line, from which the destination starts",
				  d->real_path, path);
	guest_note(g, "a drive that had %s has %s now, and has that on the guest's command line at the destination", path, c.to);
	return 0;
}

char *guest_disk_device(const struct guest_disk *d)
{
	return d->qdev && *d->qdev != '/' ? xasprintf("/machine/peripheral/%s", d->qdev) : xstrdup(d->qdev ?: "");
}

/* Sets *yes if the disk's device was plugged in while the guest ran. */
static int is_plugged(const struct guest *g, struct qmp *q, const struct guest_disk *d, bool *yes, struct err *e)
{
	AUTO_FREE char *path = guest_disk_device(d);
	json_auto_t *value = NULL;
	int r = guest_get(g, q, path, "hotplugged", &value, e);

	*yes = json_is_true(value);
	return r;
}

static int change_if_moved(struct guest *g, struct qmp *q, const struct line_disk *l, struct err *e)
{
	bool plugged;
	int r;

	/* an ejected medium is ejected at the destination, too */
	if (l->now && l->now->removable && l->now->removable_empty && guest_is_inserted(g, l->path))
		return err_set(
			e, ENOTSUP,
			"medium %s is in another drive than its command line says (%s), from which the destination starts; put it back first",
			l->path, l->now->drive_id ?: l->now->qdev ?: "which has no name");
	if (!l->now || !has_image(l->now) || is_image(g, l->path, l->now))
		return 0;
	r = is_plugged(g, q, l->now, &plugged, e);
	if (!r && plugged)
		r = err_set(
			e, ENOTSUP,
			"a drive of the guest has %s now, and %s on its command line, from which the destination starts, and its device was "
			"plugged in anew while the guest ran. Have it as it was first (device_del, device_add)",
			l->now->real_path, l->path);
	return r ?: change(g, l->path, l->now, e);
}

int guest_write_in_disks(struct guest *g, struct qmp *q, struct obstacles *o, struct err *e)
{
	struct line_disks l = {.n = 0};
	int r = 0;

	read_line(g, &l);
	for (size_t i = 0; i < l.n && !r; i++)
		r = change_if_moved(g, q, &l.v[i], e) ? obstacles_fact(o, e) : 0;
	drop(&l);
	return r;
}

bool guest_node_is_of(const struct guest *g, const char *node, const struct guest_disk *d)
{
	AUTO_FREE char *path = file_of_node(g, node);

	return path && is_image(g, path, d);
}
