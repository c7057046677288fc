/* disk-line.c: see disk-line.h. */
#include "disk-line.h"
#include "qemu-args.h"
#include "qemu-opts.h"
#include "qemu-props.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct walk {
	const struct disk_line_change *c;
	char **argv; /* a copy, which is changed */
	size_t argc;
	struct disk_line_options o;
	unsigned hits;
	bool has_set; /* -set drive.ID.KEY=VALUE, whichever it is */
	struct err *e;
};

/* ---- the options that a disk may have ---- */

/* Options of the file's node; in a -drive, and in a format's node that contains its file, also as file.KEY. */
static const char *const file_keys[] = {"driver",	 "filename",  "node-name",	"aio",		"aio-max-batch",  "locking",
					"drop-cache",	 "read-only", "auto-read-only", "cache.direct", "cache.no-flush", "discard",
					"detect-zeroes", NULL};
/* Options that all formats have, and offset= and size= of raw. Others of a single format are not here. */
static const char *const format_keys[] = {"driver",	    "file",    "node-name",	"read-only", "auto-read-only", "cache.direct",
					  "cache.no-flush", "discard", "detect-zeroes", "offset",    "size",	       NULL};
/* Further options of a -drive. */
static const char *const drive_keys[] =
	{"if",		"id",	       "index",	    "bus",     "unit",	  "media",    "format",	      "cache",	    "cache.writeback",
	 "aio",		"readonly",    "werror",    "rerror",  "serial",  "snapshot", "copy-on-read", "group",	    "bps",
	 "bps_rd",	"bps_wr",      "iops",	    "iops_rd", "iops_wr", "bps_max",  "bps_rd_max",   "bps_wr_max", "iops_max",
	 "iops_rd_max", "iops_wr_max", "iops_size", NULL};

static bool is_one_of(const char *key, const char *const *keys)
{
	while (*keys && strcmp(key, *keys))
		keys++;
	return *keys != NULL;
}

static bool is_on(const char *value)
{
	return value && (!strcmp(value, "on") || !strcmp(value, "true") || !strcmp(value, "yes") || !strcmp(value, "y"));
}

static bool unmaps(const char *value)
{
	return value && (!strcmp(value, "unmap") || !strcmp(value, "on"));
}

static int refuse(struct walk *w, const char *option, const char *what)
{
	return err_set(w->e, ENOTSUP,
		       "the guest's command line says of this disk, by -%s, %s: with another image that would not be the same", option,
		       what);
}

static int check_keys(struct walk *w, const struct kv_list *l, const char *option, bool is_drive)
{
	for (size_t i = 0; i < l->n; i++) {
		const char *key = l->v[i].key ? l->v[i].key : "";

		if (!strncmp(key, "file.", 5)
			    ? is_one_of(key + 5, file_keys)
			    : is_one_of(key, format_keys) || (is_drive && (is_one_of(key, drive_keys) || !strncmp(key, "throttling.", 11))))
			continue;
		return refuse(w, option, *key ? key : l->v[i].value);
	}
	if (kv_flag(l, "snapshot", false) || kv_flag(l, "copy-on-read", false))
		return refuse(w, option, "snapshot or copy-on-read");
	return 0;
}

/* ---- reading the options ---- */

static void note_file_options(struct disk_line_options *o, const struct kv_list *l, const char *prefix)
{
	AUTO_FREE char *aio = xasprintf("%saio", prefix);
	AUTO_FREE char *discard = xasprintf("%sdiscard", prefix);
	AUTO_FREE char *direct = xasprintf("%scache.direct", prefix);
	AUTO_FREE char *no_flush = xasprintf("%scache.no-flush", prefix);
	AUTO_FREE char *locking = xasprintf("%slocking", prefix);

	if (kv_get(l, aio, NULL))
		snprintf(o->aio, sizeof(o->aio), "%s", kv_get(l, aio, NULL));
	o->file_unmap |= unmaps(kv_get(l, discard, NULL));
	o->has_file_cache |= kv_get(l, direct, NULL) || kv_get(l, no_flush, NULL);
	o->file_direct |= is_on(kv_get(l, direct, NULL));
	o->file_no_flush |= is_on(kv_get(l, no_flush, NULL));
	o->no_locking |= kv_get(l, locking, NULL) && !strcmp(kv_get(l, locking, NULL), "off");
}

/* ---- changing ---- */

static void set(struct kv_list *l, const char *key, const char *value)
{
	struct kv *p = kv_find(l, key, NULL);

	if (p)
		kv_replace(&p->value, xstrdup(value));
	else
		kv_append(l, key, value);
}

/* A protocol driver: how QEMU accesses the image, not its format. */
static bool is_protocol(const char *driver)
{
	return !strcmp(driver, "file") || !strcmp(driver, "host_device");
}

static bool is_format(const char *driver)
{
	return driver && (!strcmp(driver, "raw") || !strcmp(driver, "qcow2"));
}

static void set_file(const struct walk *w, struct kv_list *l, const char *name_key, const char *driver_key)
{
	const char *driver = kv_get(l, driver_key, strcmp(driver_key, "driver") ? NULL : "driver");
	struct kv *p = kv_find(l, name_key, NULL);

	kv_replace(&p->value, xstrdup(w->c->to));
	if (driver && is_protocol(driver))
		kv_replace(&kv_find(l, driver_key, "driver")->value, xstrdup(w->c->to_device ? "host_device" : "file"));
}

/* Reads a size as QEMU does: 4096, 64M. False: not a size. */
static bool read_size(const char *text, uint64_t *bytes)
{
	static const char units[] = "BKMGTPE";
	char *end;
	const char *unit;
	unsigned shift;

	if (!text || *text < '0' || *text > '9')
		return !text;
	errno = 0;
	*bytes = strtoull(text, &end, 10);
	unit = *end ? strchr(units, *end >= 'a' ? *end - 'a' + 'A' : *end) : units;
	if (errno || !unit || (*end && end[1]))
		return false;
	shift = 10 * (unsigned)(unit - units);
	if (*bytes > UINT64_MAX >> shift)
		return false;
	*bytes <<= shift;
	return true;
}

/* The format's options stand at the top of l. */
static int note_part(struct walk *w, const struct kv_list *l, const char *option)
{
	const char *offset = kv_get(l, "offset", NULL), *size = kv_get(l, "size", NULL);

	if (!read_size(offset, &w->o.begins))
		return refuse(w, option, "offset");
	return read_size(size, &w->o.shows) ? 0 : refuse(w, option, "size");
}

static void set_part(const struct walk *w, struct props *p)
{
	if (w->c->same_bytes)
		return;
	kv_remove(&p->l, "offset");
	kv_remove(&p->l, "size");
	if (w->c->begins)
		props_set_number(p, "", "offset", w->c->begins);
	if (w->c->shows)
		props_set_number(p, "", "size", w->c->shows);
}

static const char *plain(const char *value)
{
	return !strncmp(value, "file:", 5) ? value + 5 : value;
}

static bool names_it(const struct walk *w, const char *value)
{
	return value && *value && strncmp(value, "json:", 5) && w->c->is_it(w->c->ctx, plain(value));
}

static int on_drive(struct walk *w, char **value)
{
	struct props p;
	struct kv_list *l = &p.l;
	const char *key, *format;
	int r = 0;

	props_parse(&p, *value);
	key = kv_get(l, "file.filename", NULL) ? "file.filename" : "file";
	if (!names_it(w, kv_get(l, key, NULL)))
		goto out;
	w->hits++;
	r = check_keys(w, l, "drive", true);
	format = kv_get(l, "format", NULL) ?: kv_get(l, "driver", NULL);
	if (!r && format && !is_format(format))
		r = refuse(w, "drive", format);
	r = r ?: note_part(w, l, "drive");
	if (r)
		goto out;
	note_file_options(&w->o, l, "file.");
	if (kv_get(l, "aio", NULL))
		snprintf(w->o.aio, sizeof(w->o.aio), "%s", kv_get(l, "aio", NULL));
	w->o.unmap |= unmaps(kv_get(l, "discard", NULL));
	w->o.file_unmap |= w->o.unmap; /* a drive's discard= also goes to the file's node */
	if (w->c->to) {
		set_file(w, l, key, "file.driver");
		set(l, kv_get(l, "driver", NULL) ? "driver" : "format", w->c->format);
		set_part(w, &p);
		kv_replace(value, props_print(&p));
	}
out:
	props_fini(&p);
	return r;
}

/* Refuses `backing` on the line, also null, which the flat list does not hold. */
static int check_base(struct walk *w, const struct props *p)
{
	return w->c->may_have_base && p->tree && json_object_get(p->tree, "backing") ? refuse(w, "blockdev", "backing") : 0;
}

/* The node of the format above a node of a file. */
static int on_node_above(struct walk *w, const char *node)
{
	struct qemu_opt opt;
	size_t i = 1, above = 0;
	int r = 0;

	while (!r && qemu_opt_next(w->argv, w->argc, &i, &opt)) {
		struct props p;
		const char *file;

		if (!opt.value || strcmp(opt.name, "blockdev"))
			continue;
		props_parse(&p, opt.value);
		file = kv_get(&p.l, "file", NULL);
		if (file && !strcmp(file, node)) {
			above++;
			r = is_format(kv_get(&p.l, "driver", "driver")) ? check_keys(w, &p.l, "blockdev", false)
									: refuse(w, "blockdev", kv_get(&p.l, "driver", "driver") ?: "?");
			r = r ?: check_base(w, &p) ?: note_part(w, &p.l, "blockdev");
			w->o.unmap |= unmaps(kv_get(&p.l, "discard", NULL));
			if (!r && w->c->to) {
				kv_replace(&kv_find(&p.l, "driver", "driver")->value, xstrdup(w->c->format));
				set_part(w, &p);
				kv_replace(&w->argv[i - 1], props_print(&p));
			}
		}
		props_fini(&p);
	}
	return r || above == 1 ? r : refuse(w, "blockdev", above ? "that several nodes use its file" : "that it has no format");
}

static int on_blockdev(struct walk *w, char **value)
{
	const char *driver, *node;
	struct props p;
	int r = 0;

	props_parse(&p, *value);
	driver = kv_get(&p.l, "driver", "driver");
	if (names_it(w, kv_get(&p.l, "file.filename", NULL))) { /* a file inside its format's node */
		w->hits++;
		r = is_format(driver) ? check_keys(w, &p.l, "blockdev", false) : refuse(w, "blockdev", driver ?: "?");
		r = r ?: check_base(w, &p) ?: note_part(w, &p.l, "blockdev");
		note_file_options(&w->o, &p.l, "file.");
		w->o.unmap |= unmaps(kv_get(&p.l, "discard", NULL));
		if (!r && w->c->to) {
			set_file(w, &p.l, "file.filename", "file.driver");
			kv_replace(&kv_find(&p.l, "driver", "driver")->value, xstrdup(w->c->format));
			set_part(w, &p);
			kv_replace(value, props_print(&p));
		}
	} else if (names_it(w, kv_get(&p.l, "filename", NULL))) {
		AUTO_FREE char *above = NULL;

		w->hits++;
		for (size_t i = 0; i < p.l.n && !r; i++)
			if (p.l.v[i].key && !is_one_of(p.l.v[i].key, file_keys))
				r = refuse(w, "blockdev", p.l.v[i].key);
		node = kv_get(&p.l, "node-name", NULL);
		if (!r && (!driver || !is_protocol(driver) || !node))
			r = refuse(w, "blockdev", driver ?: "?");
		note_file_options(&w->o, &p.l, "");
		above = xstrdup(node);
		if (!r && w->c->to) {
			set_file(w, &p.l, "filename", "driver");
			kv_replace(value, props_print(&p));
		}
		r = r ?: on_node_above(w, above);
	}
	props_fini(&p);
	return r;
}

/* -hda and its like, which cannot name a format. */
static bool is_plain_disk(const char *name)
{
	static const char *const names[] = {"", "hda", "hdb", "hdc", "hdd", "pflash", "sd", "mtdblock", NULL};

	return is_one_of(name, names);
}

static int on_option(struct walk *w, const struct qemu_opt *opt, size_t at)
{
	bool cdrom = w->c->to && !strcmp(opt->name, "cdrom"); /* only a change may concern a CD; a mere look is about disks */

	if (!opt->value)
		return 0;
	if (!strcmp(opt->name, "drive"))
		return on_drive(w, &w->argv[at]);
	if (!strcmp(opt->name, "blockdev"))
		return on_blockdev(w, &w->argv[at]);
	w->has_set |= !strcmp(opt->name, "set") && !strncmp(opt->value, "drive.", 6);
	if (!(cdrom || is_plain_disk(opt->name)) || !names_it(w, opt->value))
		return 0;
	if (!w->c->to || strcmp(w->c->format, cdrom ? "raw" : "qcow2")) /* the formats that QEMU detects by itself */
		return err_set(w->e, ENOTSUP,
			       "the guest's command line names this disk by %s%s, which has no place for its format: use -drive",
			       *opt->name ? "-" : "its name alone", opt->name);
	w->hits++;
	kv_replace(&w->argv[at], xstrdup(w->c->to));
	return 0;
}

int disk_line_change(char *const *argv, size_t argc, const struct disk_line_change *c, char ***out, size_t *count,
		     struct disk_line_options *options, struct err *e)
{
	struct walk w = {.c = c, .argv = xcalloc(argc + 1, sizeof(char *)), .argc = argc, .e = e};
	struct qemu_opt opt;
	size_t i;
	int r = 0;

	for (i = 0; i < argc; i++)
		w.argv[i] = xstrdup(argv[i]);
	i = 1;
	while (!r && qemu_opt_next(w.argv, w.argc, &i, &opt))
		r = on_option(&w, &opt, i - 1);
	if (!r && w.hits > 1)
		r = err_set(e, ENOTSUP, "the guest's command line names this disk more than once");
	if (!r && w.hits && w.has_set)
		r = refuse(&w, "set", "more than by its -drive");
	if (!r && w.hits && options)
		*options = w.o;
	if (r || !w.hits || !out) {
		args_free_strings(w.argv, w.argc);
	} else {
		*out = w.argv;
		*count = w.argc;
	}
	return r ? r : (int)w.hits;
}

struct names {
	const char *named, *real;
};

static bool is_called(void *ctx, const char *path)
{
	const struct names *n = ctx;

	return (n->named && !strcmp(path, n->named)) || (n->real && !strcmp(path, n->real));
}

int disk_line_overlay(char ***argv, size_t *argc, const char *named, const char *real, const char *to, struct err *e)
{
	struct names n = {named, real};
	const struct disk_line_change change = {.is_it = is_called, .ctx = &n, .to = to, .format = "qcow2", .may_have_base = true};
	struct disk_line_options ignored;
	char **out = NULL;
	size_t count = 0;
	int r = disk_line_change(*argv, *argc, &change, &out, &count, &ignored, e);

	r = r ?: err_set(e, ENOTSUP, "the guest's command line does not name disk %s", real ?: named ?: "?");
	if (r < 0)
		return r;
	args_free_strings(*argv, *argc);
	*argv = out;
	*argc = count;
	return 0;
}

int disk_line_check_bases(char *const *argv, size_t argc, const char *why, struct err *e)
{
	struct qemu_opt opt;
	size_t i = 1, k;
	bool found = false;

	while (qemu_opt_next(argv, argc, &i, &opt)) {
		struct props p;

		if (!opt.value || (strcmp(opt.name, "drive") && strcmp(opt.name, "blockdev")))
			continue;
		props_parse(&p, opt.value);
		for (k = 0; k < p.l.n; k++) {
			const char *key = p.l.v[k].key ?: "";

			found |= !strcmp(key, "backing") || !strncmp(key, "backing.", 8) || strstr(key, ".backing");
		}
		props_fini(&p);
		if (found)
			return err_set(e, ENOTSUP, "-%s %s names what its image is based on, %s", opt.name, opt.value, why);
	}
	return 0;
}
