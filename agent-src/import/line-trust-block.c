/*
 * line-trust-block.c: a stranger's disks and media: -drive and -blockdev. Their files are the bundle's, and nothing is behind a network, or is a
 * directory of the host.
 *
 * The bundle's files were looked at from their first byte on: none is an image that names other files, as far as it is read from there. So a format, said
 * or found by QEMU, stands directly above a file: above a part of one, or above what another image shows, it would read bytes that nobody has
 * looked at.
 */
#include "line-trust-private.h"
#include "util.h"

#include <string.h>

#define NOT_LOOKED_AT "an image within another or within a part of a file, which vmferry has not examined"

static bool ends_with(const char *key, const char *end)
{
	size_t n = strlen(key), k = strlen(end);

	return n >= k && !strcmp(key + n - k, end) && (n == k || key[n - k - 1] == '.');
}

#define KEYS_MAX  256 /* keys of one option */
#define DEPTH_MAX 8   /* nodes above one another in it */

/* ---- what stands above what ---- */

/* A -drive or -blockdev, with what it has as JSON in its list. */
struct block {
	struct kv_list l;
	bool names_file; /* "file=" names a file here, and a node otherwise */
};

/* The value of that key of the node whose keys begin with prefix ("", "file.", "file.backing."). */
static const char *value_of(const struct block *b, const char *prefix, const char *key)
{
	AUTO_FREE char *name = xasprintf("%s%s", prefix, key);

	return kv_get(&b->l, name, *prefix || strcmp(key, "driver") ? NULL : "driver");
}

/* A key of that name, or of something below it. */
static bool has_keys(const struct block *b, const char *prefix, const char *more)
{
	AUTO_FREE char *start = xasprintf("%s%s", prefix, more);

	for (size_t i = 0; i < b->l.n; i++) {
		const char *key = b->l.v[i].key;
		size_t n = strlen(start);

		if (key && !strncmp(key, start, n) && (!key[n] || key[n] == '.'))
			return true;
	}
	return false;
}

/* The driver of a node that has an option of its own; "": none has, or several are called so. */
static char *driver_of_node(const struct judge *j, const char *name)
{
	char *driver = xstrdup("");
	struct qemu_opt opt;
	size_t i = 1, found = 0;

	while (qemu_opt_next(j->line->argv, j->line->argc, &i, &opt)) {
		struct props p;
		const char *id;

		if (strcmp(opt.name, "blockdev") || !opt.value || !strstr(opt.value, name))
			continue;
		props_parse(&p, opt.value);
		id = kv_get(&p.l, "node-name", NULL);
		if (id && !strcmp(id, name))
			kv_replace(&driver, xstrdup(found++ ? "" : kv_get(&p.l, "driver", "driver") ?: ""));
		props_fini(&p);
	}
	return driver;
}

/* The driver of the node that is its "file", malloc'ed; "file" is also what QEMU takes where only a name is said. "": none, or it is not known. */
static char *driver_below(const struct judge *j, const struct block *b, const char *prefix)
{
	AUTO_FREE char *below = xasprintf("%sfile.", prefix);
	const char *driver = value_of(b, below, "driver"), *file = value_of(b, prefix, "file");
	bool is_name = !*prefix && b->names_file;

	if (has_keys(b, below, "file") || has_keys(b, below, "backing"))
		return xstrdup(driver ?: "");
	if (driver || value_of(b, below, "filename") || (file && is_name))
		return xstrdup(driver ?: "file");
	return file ? driver_of_node(j, file) : xstrdup("");
}

static int judge_node(struct judge *j, const struct block *b, const char *prefix)
{
	const char *driver = value_of(b, prefix, "driver");
	AUTO_FREE char *below = driver_below(j, b, prefix);
	bool on_file = !strcmp(below, "file") || !strcmp(below, "host_device");
	bool on_format = !strcmp(below, "raw") || !strcmp(below, "qcow2");

	if (!driver && *prefix && has_keys(b, prefix, "file"))
		return judge_object(j, NOT_LOOKED_AT);
	if (!driver) /* QEMU looks at what is there; or it is a file, or an empty drive */
		return on_file || (!*below && !has_keys(b, prefix, "file") && !has_keys(b, prefix, "backing"))
			       ? 0
			       : judge_object(j, NOT_LOOKED_AT);
	if (!strcmp(driver, "qcow2"))
		return on_file ? 0 : judge_object(j, NOT_LOOKED_AT);
	return !strcmp(driver, "raw") && on_format ? judge_object(j, NOT_LOOKED_AT) : 0;
}

/* Judges each node to which the key belongs: "file.backing.driver" belongs to "", to "file." and to "file.backing.". */
static int judge_nodes_of(struct judge *j, const struct block *b, const char *key)
{
	static const char *const is_of_node[] = {"driver", "filename", "file", "backing"};
	size_t depth = 0, i;
	const char *p = key, *dot;
	bool of_node = false;
	int r = 0;

	for (i = 0; i < ARRAY_LEN(is_of_node); i++)
		of_node |= ends_with(key, is_of_node[i]);
	for (; !r && (dot = strchr(p, '.')); p = dot + 1) {
		AUTO_FREE char *prefix = xasprintf("%.*s", (int)(dot + 1 - key), key);

		if ((strncmp(p, "file.", 5) && strncmp(p, "backing.", 8)) || ++depth > DEPTH_MAX)
			return of_node ? judge_object(j, NOT_HARMLESS) : 0;
		r = judge_node(j, b, prefix);
	}
	return r;
}

/* ---- what they name ---- */

/* Files that QEMU opens there are not written to. */
static bool is_read_only(const struct block *b, const char *key)
{
	const char *end = strstr(key, "filename"), *media = kv_get(&b->l, "media", NULL);
	AUTO_FREE char *flag = xasprintf("%.*sread-only", end ? (int)(end - key) : 0, key);

	return (media && !strcmp(media, "cdrom")) || kv_flag(&b->l, "readonly", false) || kv_flag(&b->l, "read-only", false) ||
	       kv_flag(&b->l, flag, false) || !strncmp(key, "backing.", 8) || strstr(key, ".backing.");
}

/* A node of a file, as libvirt writes it, that is named by blocks which only read, and by nothing else: QEMU does not write to it. */
static bool is_read_above(const struct judge *j, const struct block *b, const char *key)
{
	const char *name = strcmp(key, "filename") ? NULL : kv_get(&b->l, "node-name", NULL);
	struct qemu_opt opt;
	size_t i = 1, readers = 0, others = 0;

	while (name && qemu_opt_next(j->line->argv, j->line->argc, &i, &opt)) {
		struct props p;

		if (!opt.value || !strstr(opt.value, name))
			continue;
		props_parse(&p, opt.value);
		for (size_t k = 0; k < p.l.n; k++) {
			if (strcmp(p.l.v[k].value, name) || (p.l.v[k].key && !strcmp(p.l.v[k].key, "node-name")))
				continue;
			if (!strcmp(opt.name, "blockdev") && p.l.v[k].key && !strcmp(p.l.v[k].key, "file") &&
			    kv_flag(&p.l, "read-only", false))
				readers++;
			else
				others++;
		}
		others += p.broken;
		props_fini(&p);
	}
	return readers && !others;
}

static int judge_value(struct judge *j, const struct block *b, const char *key, const char *value)
{
	static const char *const drivers[] = {"raw",	  "qcow2",    "file",	      "host_device", "null-co",
					      "null-aio", "throttle", "copy-on-read", "preallocate"};
	bool is_name = ends_with(key, "filename") || (b->names_file && !strcmp(key, "file"));

	if (is_name)
		return !*value ? 0 : judge_name(j, value, !is_read_only(b, key) && !is_read_above(j, b, key));
	if (!strncmp(value, "json:", 5))
		return judge_object(j, NOT_HARMLESS);
	if (ends_with(key, "driver") || !strcmp(key, "format"))
		return judge_among(value, drivers, ARRAY_LEN(drivers)) ? 0 : judge_object(j, "a driver that " NOT_HARMLESS);
	if (!ends_with(key, "file") && !ends_with(key, "backing")) /* nodes */
		return judge_pair(j, key, value);
	return strchr(value, '/') ? judge_object(j, NOT_HARMLESS) : 0;
}

/* ---- an option ---- */

/* "file=json:{…}" is what is in it, but for what the option says itself. False: that cannot be read. */
static bool read_block(struct block *b, const struct judge *j)
{
	bool drive = !strcmp(j->option, "drive");
	struct props p, in = {.tree = NULL};
	const char *file, *format;
	bool ok;

	props_parse(&p, j->value);
	file = drive ? kv_get(&p.l, "file", NULL) : NULL;
	format = drive ? kv_get(&p.l, "format", NULL) : NULL;
	*b = (struct block){.names_file = drive};
	if (file && !strncmp(file, "json:", 5)) {
		props_parse(&in, file + 5);
		b->names_file = false;
	}
	for (size_t i = 0; i < in.l.n; i++)
		kv_append(&b->l, in.l.v[i].key, in.l.v[i].value);
	for (size_t i = 0; i < p.l.n; i++)
		if (b->names_file || !drive || !p.l.v[i].key || strcmp(p.l.v[i].key, "file"))
			kv_append(&b->l, p.l.v[i].key ?: i ? p.l.v[i].key : "driver", p.l.v[i].value);
	if (format)
		kv_append(&b->l, "driver", format);
	ok = !p.broken && !in.broken && (b->names_file || !drive || in.tree);
	props_fini(&in);
	props_fini(&p);
	return ok;
}

static int judge_parts(struct judge *j, const struct block *b)
{
	int r = b->l.n > KEYS_MAX ? judge_object(j, "which has more properties than any disk") : judge_node(j, b, "");

	for (size_t i = 0; i < b->l.n && b->l.n <= KEYS_MAX && !r; i++) {
		const struct kv *p = &b->l.v[i];

		if (!p->key) /* a word that is on or off */
			continue;
		r = judge_value(j, b, p->key, p->value) ?: judge_nodes_of(j, b, p->key);
	}
	return r;
}

int judge_block(struct judge *j)
{
	struct block b;
	int r = read_block(&b, j) ? judge_parts(j, &b) : judge_object(j, "which cannot be read");

	kv_fini(&b.l);
	return r;
}
