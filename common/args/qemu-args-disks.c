/*
 * qemu-args-disks.c: the rules of qemu-args.c for disks, firmware in flash and removable media: names of files in -drive,
 * -blockdev, -hda and the like.
 */
#include "qemu-args-rules.h"
#include "util.h"
#include "words.h"

#include <errno.h>
#include <string.h>

/* The place where a file name stands, as map_filename() needs it. */
struct place {
	const struct item *it;
	enum args_role role;
	bool read_only;
	const char *format; /* NULL: not given */
};

/* ---- the role of a file ---- */

/* A CD drive never writes, whatever its -drive says. */
static bool is_cd(const struct item *device)
{
	static const char *const drives[] = {"ide-cd", "scsi-cd"};
	const char *driver = device ? kv_get(&device->p.l, "driver", "driver") : NULL;

	return driver && args_among(driver, drives, ARRAY_LEN(drives));
}

/* True for a drive for removable media, judged by the device that uses it. */
static bool is_media_device(const struct item *device)
{
	return is_cd(device) || (device && !strcmp(kv_get(&device->p.l, "driver", "driver") ?: "", "floppy"));
}

static bool is_pflash(const struct rewrite *w, const char *node)
{
	return args_find(w, "machine", "pflash0", node) || args_find(w, "machine", "pflash1", node) || args_find(w, "M", "pflash0", node) ||
	       args_find(w, "M", "pflash1", node);
}

/* The block node whose file is this one: that of the format, above that of the protocol. */
static const struct item *node_above(const struct rewrite *w, const char *node)
{
	return args_find(w, "blockdev", "file", node);
}

#define NODES_MAX 8 /* stacked on one another; the limit also ends a loop of nodes */

/* The role of the drive that the block node or -drive id belongs to. */
static enum args_role drive_role(const struct rewrite *w, const char *id, bool read_only)
{
	const struct item *above;

	for (unsigned depth = 0; id && depth < NODES_MAX; depth++) {
		if (is_media_device(args_find(w, "device", "drive", id)))
			return ARGS_MEDIA;
		above = node_above(w, id);
		if (above)
			read_only |= kv_flag(&above->p.l, "read-only", false);
		if (is_pflash(w, id))
			return read_only ? ARGS_PFLASH_CODE : ARGS_PFLASH_VARS;
		id = above ? kv_get(&above->p.l, "node-name", NULL) : NULL;
	}
	return ARGS_DISK;
}

static bool node_read_only(const struct rewrite *w, const struct item *it)
{
	for (unsigned depth = 0; it && depth < NODES_MAX; depth++) {
		const char *node = kv_get(&it->p.l, "node-name", NULL);

		if (kv_flag(&it->p.l, "read-only", false))
			return true;
		it = node ? node_above(w, node) : NULL;
	}
	return false;
}

/* Protocol drivers such as "file" only access the image, and filters pass on what is below them; all others are formats. */
static bool is_format(const char *driver)
{
	static const char *const others[] = {"file",	 "host_device",	 "host_cdrom", "throttle",   "copy-on-read",
					     "blkdebug", "blklogwrites", "blkverify",  "preallocate"};

	return driver && !args_among(driver, others, ARRAY_LEN(others));
}

/* The first format among a block node and those above it; a node without one is used as raw. */
static const char *node_format(const struct rewrite *w, const struct item *it)
{
	for (unsigned depth = 0; it && depth < NODES_MAX; depth++) {
		const char *driver = kv_get(&it->p.l, "driver", "driver"), *node = kv_get(&it->p.l, "node-name", NULL);

		if (is_format(driver))
			return driver;
		it = node ? node_above(w, node) : NULL;
	}
	return "raw";
}

static const char *drive_format(const struct kv_list *l)
{
	const char *format = kv_get(l, "format", NULL) ?: kv_get(l, "driver", NULL);

	return format && !is_format(format) ? "raw" : format;
}

static void drive_place(const struct rewrite *w, const struct item *it, struct place *at)
{
	const char *media = kv_get(&it->p.l, "media", NULL), *bus = kv_get(&it->p.l, "if", NULL);
	bool cdrom = media && !strcmp(media, "cdrom");

	at->it = it;
	at->format = drive_format(&it->p.l);
	at->read_only = cdrom || kv_flag(&it->p.l, "readonly", false) || kv_flag(&it->p.l, "read-only", false);
	at->role = drive_role(w, kv_get(&it->p.l, "id", NULL), at->read_only);
	at->read_only |= is_cd(args_find(w, "device", "drive", kv_get(&it->p.l, "id", NULL)));
	if (cdrom || (bus && !strcmp(bus, "floppy")))
		at->role = ARGS_MEDIA;
	if (bus && !strcmp(bus, "pflash"))
		at->role = at->read_only ? ARGS_PFLASH_CODE : ARGS_PFLASH_VARS;
}

/* ---- names ---- */

static int map_list(struct rewrite *w, struct props *in, const char *file_key, const struct place *at, const struct args_map **found);

/* "json:{…}" in place of a file name. */
static int map_json_filename(struct rewrite *w, char **value, const struct place *at, const struct args_map **found)
{
	struct place here = *at;
	struct props p;
	AUTO_FREE char *text = NULL;
	int r;

	props_parse(&p, *value + 5);
	if (!p.tree) {
		props_fini(&p);
		return err_set(w->e, EINVAL, "cannot read the disk description %s: it is no JSON", *value);
	}
	if (is_format(kv_get(&p.l, "driver", NULL)))
		here.format = kv_get(&p.l, "driver", NULL);
	r = map_list(w, &p, "filename", &here, found);
	text = props_print(&p);
	kv_replace(value, xasprintf("json:%s", text));
	props_fini(&p);
	return r;
}

/* True for a network disk that the caller lists as staying in place. Each -drive is a disk of the guest; a block node may be one, lie below
 * one, or be something else. */
static bool stays_behind_network(const struct rewrite *w, const struct item *it)
{
	if (!w->o->network_count || strcmp(it->name, "blockdev"))
		return w->o->network_count > 0;
	for (unsigned depth = 0; it && depth < NODES_MAX; depth++) {
		const char *node = kv_get(&it->p.l, "node-name", NULL);

		for (size_t i = 0; node && i < w->o->network_count; i++)
			if (!strcmp(w->o->network[i], node))
				return true;
		it = node ? node_above(w, node) : NULL;
	}
	return false;
}

static bool may_be_remote(const struct rewrite *w, const struct place *at, const char *what)
{
	return at->read_only || (qemu_is_network_storage(what) && stays_behind_network(w, at->it));
}

static int refuse_protocol(struct rewrite *w, const struct place *at, const char *what)
{
	return err_set(w->e, EINVAL, "%s %s is not a local file: vmferry copies files and block devices only",
		       at->role == ARGS_DISK ? "disk" : "medium", what);
}

/* Maps "fat:[floppy:][SIZE:][rw:]DIRECTORY", from which QEMU makes a disk when it starts (vvfat). Only a guest that boots there may have
 * one: a guest that goes on with its memory has seen another disk than QEMU would make there. */
static void map_directory(struct rewrite *w, const struct place *at, char **value)
{
	const char *path = strrchr(*value, ':') + 1;
	int prefix = (int)(path - *value);
	AUTO_FREE char *name = xstrdup(path);

	args_file(w, at->it, ARGS_DIRECTORY, at->read_only || !strstr(*value, ":rw:"), NULL, &name);
	kv_replace(value, xasprintf("%.*s%s", prefix, *value, name));
}

/* An image that QEMU accesses over the network, or makes up. */
static int on_protocol(struct rewrite *w, const struct place *at, const char *name)
{
	static const char *const harmless[] = {"null-co:*", "null-aio:*", "null-co", "null-aio"};

	if (args_among(name, harmless, ARRAY_LEN(harmless)))
		return 0;
	if (!may_be_remote(w, at, name) || text_starts_with(name, "fat:") || text_starts_with(name, "nvme:"))
		return refuse_protocol(w, at, name);
	args_note(w, "%s is opened from the destination, too", name);
	return 0;
}

/* Maps a file name; *found becomes its entry in the map, if it has one. */
static int map_filename(struct rewrite *w, char **value, const struct place *at, const struct args_map **found)
{
	const char *path = text_starts_with(*value, "file:") ? *value + 5 : *value;
	const struct args_map *m;
	size_t known = w->r->file_count;
	char *name;

	if (text_starts_with(*value, "json:"))
		return map_json_filename(w, value, at, found);
	if (!*path)
		return 0;
	if (text_starts_with(*value, "fat:") && w->o->no_state) {
		map_directory(w, at, value);
		return 0;
	}
	if (path == *value && qemu_path_has_protocol(path))
		return on_protocol(w, at, path);
	name = xstrdup(path);
	m = args_file(w, at->it, at->role, at->read_only, NULL, &name);
	kv_replace(value, name);
	if (w->r->file_count > known && at->format)
		w->r->files[known].format = xstrdup(at->format);
	if (m)
		*found = m;
	return 0;
}

/* The protocol driver that fits the destination, or NULL when driver is not one of the two or fits already. */
static const char *other_driver(const char *driver, const struct args_map *m)
{
	const char *want = m->to_device ? "host_device" : "file";

	if (!driver || !strcmp(driver, want) || (strcmp(driver, "file") && strcmp(driver, "host_device")))
		return NULL;
	return want;
}

/* "file.driver" beside "file.filename", "driver" beside "filename". */
static void fit_driver(struct kv_list *l, const char *filename_key, const struct args_map *m)
{
	int prefix = (int)(strlen(filename_key) - strlen("filename"));
	AUTO_FREE char *key = xasprintf("%.*sdriver", prefix, filename_key);
	struct kv *p = kv_find(l, key, prefix ? NULL : "driver"); /* the first part may leave its key out */
	const char *driver = p && m->to ? other_driver(p->value, m) : NULL;

	if (driver)
		kv_replace(&p->value, xstrdup(driver));
}

static bool is_filename_key(const char *key)
{
	size_t n = strlen(key), f = strlen("filename");

	return n >= f && !strcmp(key + n - f, "filename") && (n == f || key[n - f - 1] == '.');
}

/* *found: the entry of the last file that is in the map. */
static int map_list(struct rewrite *w, struct props *in, const char *file_key, const struct place *at, const struct args_map **found)
{
	struct kv_list *l = &in->l;
	const struct args_map *part = NULL;
	const char *part_key = NULL;
	int r = 0;

	for (size_t i = 0; i < l->n && r == 0; i++) {
		const struct args_map *m = NULL;
		const char *key = l->v[i].key;
		struct place here = *at;
		bool json;

		if (!key || (strcmp(key, file_key) && !is_filename_key(key)))
			continue;
		/* QEMU opens backing files read-only */
		here.read_only |= text_starts_with(key, "backing.") || strstr(key, ".backing.");
		json = text_starts_with(l->v[i].value, "json:");
		r = map_filename(w, &l->v[i].value, &here, &m);
		if (!m)
			continue;
		*found = m;
		if (is_filename_key(key))
			fit_driver(l, key, m);
		if (!json && !args_is_file_node(at->it, in, key))
			part = m, part_key = key;
	}
	return r || !part ? r : args_show_part(w, at->it, in, part_key, part);
}

/* "driver=rbd", "file.driver=nbd" and so on have no filename at all. */
static int check_drivers(struct rewrite *w, const struct kv_list *l, const struct place *at)
{
	static const char *const remote[] = {"nbd",	"rbd", "iscsi", "ssh",	 "http",   "https",	  "ftp",	   "ftps",
					     "gluster", "nfs", "nvme",	"vvfat", "quorum", "replication", "nvme-io_uring", "virtio-blk-*"};

	for (size_t i = 0; i < l->n; i++) {
		const char *key = l->v[i].key ? l->v[i].key : i ? "" : "driver";
		size_t n = strlen(key);

		if ((strcmp(key, "driver") && (n < 7 || strcmp(key + n - 7, ".driver"))) ||
		    !args_among(l->v[i].value, remote, ARRAY_LEN(remote)))
			continue;
		if (!may_be_remote(w, at, l->v[i].value) || !strcmp(l->v[i].value, "nvme"))
			return err_set(w->e, EINVAL, "-%s %s has the driver %s: vmferry copies local files and block devices only",
				       at->it->name, at->it->value, l->v[i].value);
		args_note(w, "-%s with driver %s is opened from the destination, too", at->it->name, l->v[i].value);
	}
	return 0;
}

/* ---- rules ---- */

static void add_format(struct rewrite *w, struct kv_list *l, const struct args_map *m)
{
	if (!m->format || kv_get(l, "format", NULL) || kv_get(l, "driver", NULL))
		return;
	kv_append(l, "format", m->format);
	args_note(w, "format=%s is made explicit for %s", m->format, m->to);
}

/* Leaves a drive without a medium, and without options that QEMU rejects on an empty drive. */
static void eject(struct kv_list *l)
{
	static const char *const keys[] = {"file",	   "file.*",	     "filename", "format",	   "driver",  "cache",
					   "cache.direct", "cache.no-flush", "discard",	 "auto-read-only", "locking", "force-share"};
	size_t i = 0;

	while (i < l->n) {
		const char *key = l->v[i].key;

		if (!key || !args_among(key, keys, ARRAY_LEN(keys))) {
			i++;
			continue;
		}
		AUTO_FREE char *gone = xstrdup(key);

		kv_remove(l, gone);
	}
}

#define IN_TEMPORARY_FILES                                                                                                                         \
	"what the guest wrote is in a temporary file that only the running QEMU can read, and that goes when it ends. Shut the guest down, which " \
	"discards it, and move it with --how cold"

int args_on_snapshot(struct rewrite *w, struct item *it)
{
	if (!w->o->at_rest)
		return err_set(w->e, EINVAL, "the guest runs with -snapshot: " IN_TEMPORARY_FILES);
	args_emit(w, it->name, NULL);
	return 0;
}

int args_on_drive(struct rewrite *w, struct item *it)
{
	const struct args_map *m = NULL;
	struct kv_list *l = &it->p.l;
	struct place at;
	int r;

	if (kv_flag(l, "snapshot", false) && !w->o->at_rest)
		return err_set(w->e, EINVAL, "-drive %s has snapshot=on: " IN_TEMPORARY_FILES, it->value);
	drive_place(w, it, &at);
	r = check_drivers(w, l, &at);
	if (r == 0)
		r = map_list(w, &it->p, "file", &at, &m);
	if (r < 0)
		return r;
	if (m && m->to)
		add_format(w, l, m);
	else if (m)
		eject(l);
	args_emit_item(w, it);
	return 0;
}

int args_on_blockdev(struct rewrite *w, struct item *it)
{
	const char *node = kv_get(&it->p.l, "node-name", NULL);
	const struct args_map *m = NULL;
	struct place at = {.it = it};
	int r;

	at.format = node_format(w, it);
	at.read_only = node_read_only(w, it);
	at.role = drive_role(w, node, at.read_only);
	r = check_drivers(w, &it->p.l, &at);
	if (r == 0)
		r = map_list(w, &it->p, "filename", &at, &m); /* file= names a node here */
	r = r ?: args_show_part_of_node(w, it);
	if (r == 0 && !it->ejected)
		args_emit_item(w, it);
	return r;
}

static bool has_ejected_file(const struct rewrite *w, const struct item *it)
{
	const char *below = kv_get(&it->p.l, "file", NULL);
	const struct item *node = args_find(w, "blockdev", "node-name", below);

	if (node && node->ejected)
		return true;
	for (size_t i = 0; i < it->p.l.n; i++) {
		const struct kv *p = &it->p.l.v[i];
		const struct args_map *m = p->key && is_filename_key(p->key) ? args_find_map(w, p->value) : NULL;

		if (m && !m->to)
			return true;
	}
	return false;
}

/* The nodes of media that stay behind, from the file upwards. */
void args_mark_ejected(struct rewrite *w)
{
	bool more = true;

	for (unsigned depth = 0; more && depth < NODES_MAX; depth++) {
		more = false;
		for (size_t i = 0; i < w->item_count; i++) {
			struct item *it = &w->items[i];

			if (it->ejected || strcmp(it->name, "blockdev") || !has_ejected_file(w, it))
				continue;
			it->ejected = more = true;
		}
	}
}

/* -hda FILE and its like cannot name a format: if one is to be given, they become a -drive. */
static const char *as_drive(const char *name)
{
	static const struct {
		const char *name, *as;
	} forms[] = {
		{"", "index=0,media=disk"},
		{"hda", "index=0,media=disk"},
		{"hdb", "index=1,media=disk"},
		{"hdc", "index=2,media=disk"},
		{"hdd", "index=3,media=disk"},
		{"pflash", "if=pflash"},
		{"sd", "if=sd"},
		{"mtdblock", "if=mtd"},
		{"cdrom", "index=2,media=cdrom"},
		{"fda", "if=floppy,index=0"},
		{"fdb", "if=floppy,index=1"},
	};
	__auto_type form = ROW_OF(forms, name, name);

	return form ? form->as : "";
}

static int emit_as_drive(struct rewrite *w, const struct item *it, const char *file, const struct args_map *m)
{
	struct props p;
	int r = 0;

	props_parse(&p, as_drive(it->name));
	if (file) {
		kv_append(&p.l, "file", file);
		add_format(w, &p.l, m);
		r = args_show_part(w, it, &p, "file", m);
	}
	if (!r)
		args_emit_list(w, "drive", &p.l);
	props_fini(&p);
	return r;
}

int args_on_disk_file(struct rewrite *w, struct item *it)
{
	struct place at = {.it = it, .role = strcmp(it->name, "pflash") ? ARGS_DISK : ARGS_PFLASH_VARS};
	const struct args_map *m = NULL;
	AUTO_FREE char *file = xstrdup(it->value);
	int r = map_filename(w, &file, &at, &m);

	if (r == 0 && m && m->to && (m->format || m->shows))
		r = emit_as_drive(w, it, file, m);
	else if (r == 0)
		args_emit(w, it->name, file);
	return r;
}

int args_on_media(struct rewrite *w, struct item *it)
{
	struct place at = {.it = it, .role = ARGS_MEDIA, .read_only = !strcmp(it->name, "cdrom")};
	const struct args_map *m = NULL;
	AUTO_FREE char *file = xstrdup(it->value);
	int r = map_filename(w, &file, &at, &m);

	if (r == 0 && m && !m->to)
		r = emit_as_drive(w, it, NULL, m);
	else if (r == 0)
		args_emit(w, it->name, file);
	return r;
}
