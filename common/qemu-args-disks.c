/*
 * qemu-args-disks.c: the rules of qemu-args.c for disks: names of files in -drive, -blockdev, -hda
 * and the like.
 */
#include "qemu-args-rules.h"
#include "util.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

static const struct args_map *find_disk(const struct rewrite *w, const char *path)
{
	AUTO_FREE char *want = args_absolute(w, path);
	size_t i;

	for (i = 0; i < w->o->disk_count; i++) {
		AUTO_FREE char *from = args_absolute(w, w->o->disks[i].from);

		if (!strcmp(from, want))
			return &w->o->disks[i];
	}
	return NULL;
}

static void replace_filenames(struct rewrite *w, json_t *node, const struct args_map **found);

/* "json:{…}" in place of a file name. */
static int map_json_filename(struct rewrite *w, char **value, const struct args_map **found)
{
	json_error_t je;
	json_t *tree = json_loads(*value + 5, 0, &je);
	char *text;

	if (!json_is_object(tree)) {
		json_decref(tree);
		return err_set(w->e, EINVAL, "cannot read the disk description %s: %s", *value,
			       je.text);
	}
	replace_filenames(w, tree, found);
	text = json_dumps(tree, JSON_COMPACT);
	kv_replace(value, xasprintf("json:%s", text));
	free(text);
	json_decref(tree);
	return 0;
}

/* One file name: *found becomes its entry in the map, if it has one. */
static int map_filename(struct rewrite *w, char **value, const struct args_map **found)
{
	const char *path = args_starts(*value, "file:") ? *value + 5 : *value;
	const struct args_map *m;

	if (args_starts(*value, "json:"))
		return map_json_filename(w, value, found);
	if (!*path || (path == *value && qemu_path_has_protocol(path)))
		return 0;
	m = find_disk(w, path);
	if (m) {
		if (strcmp(path, m->to))
			args_note(w, "disk %s is %s on the destination", path, m->to);
		*found = m;
		kv_replace(value, xstrdup(m->to));
	} else {
		kv_replace(value, args_absolute(w, path));
	}
	return 0;
}

/* The protocol driver that fits the destination, or NULL when driver is not one of the two or fits
 * already. */
static const char *other_driver(const char *driver, const struct args_map *m)
{
	const char *want = m->to_device ? "host_device" : "file";

	if (!driver || !strcmp(driver, want) ||
	    (strcmp(driver, "file") && strcmp(driver, "host_device")))
		return NULL;
	return want;
}

static void replace_filenames(struct rewrite *w, json_t *node, const struct args_map **found)
{
	const char *key, *driver;
	json_t *child;
	void *next;
	size_t i;

	json_array_foreach(node, i, child) replace_filenames(w, child, found);
	json_object_foreach_safe(node, next, key, child)
	{
		const struct args_map *m = NULL;
		char *name;

		replace_filenames(w, child, found);
		if (strcmp(key, "filename") || !json_is_string(child))
			continue;
		name = xstrdup(json_string_value(child));
		map_filename(w, &name, &m);
		json_object_set_new(node, key, json_string(name));
		free(name);
		if (!m)
			continue;
		*found = m;
		driver = other_driver(json_string_value(json_object_get(node, "driver")), m);
		if (driver)
			json_object_set_new(node, "driver", json_string(driver));
	}
}

/* "file.driver" beside "file.filename", "driver" beside "filename". */
static void fit_driver(struct kv_list *l, const char *filename_key, const struct args_map *m)
{
	int prefix = (int)(strlen(filename_key) - strlen("filename"));
	AUTO_FREE char *key = xasprintf("%.*sdriver", prefix, filename_key);
	const char *driver;
	size_t i;

	for (i = 0; i < l->n; i++) {
		/* the first part may leave its key out */
		if (strcmp(l->v[i].key ? l->v[i].key : i ? "" : "driver", key))
			continue;
		driver = other_driver(l->v[i].value, m);
		if (driver)
			kv_replace(&l->v[i].value, xstrdup(driver));
	}
}

static bool is_filename_key(const char *key)
{
	size_t n = strlen(key), f = strlen("filename");

	return n >= f && !strcmp(key + n - f, "filename") && (n == f || key[n - f - 1] == '.');
}

/* *found: the entry of the last file that is in the map. */
static int map_list(struct rewrite *w, struct kv_list *l, const char *file_key,
		    const struct args_map **found)
{
	size_t i;
	int r = 0;

	for (i = 0; i < l->n && r == 0; i++) {
		const struct args_map *m = NULL;
		const char *key = l->v[i].key;

		if (!key || (strcmp(key, file_key) && !is_filename_key(key)))
			continue;
		r = map_filename(w, &l->v[i].value, &m);
		if (!m)
			continue;
		*found = m;
		if (is_filename_key(key))
			fit_driver(l, key, m);
	}
	return r;
}

static void add_format(struct rewrite *w, struct kv_list *l, const struct args_map *m)
{
	if (!m->format || kv_get(l, "format", NULL) || kv_get(l, "driver", NULL))
		return;
	kv_append(l, "format", m->format);
	args_note(w, "format=%s is made explicit for %s", m->format, m->to);
}

int args_on_drive(struct rewrite *w, const struct qemu_opt *opt)
{
	const struct args_map *m = NULL;
	const char *file, *media;
	struct kv_list l;
	int r;

	kv_parse(&l, opt->value);
	if (kv_flag(&l, "snapshot", false)) {
		kv_fini(&l);
		return err_set(w->e, EINVAL,
			       "-drive %s has snapshot=on: what the guest wrote is in a temporary "
			       "file that only the "
			       "running QEMU can read, so this disk cannot be moved",
			       opt->value);
	}
	r = map_list(w, &l, "file", &m);
	file = kv_get(&l, "file", NULL);
	media = kv_get(&l, "media", NULL);
	if (m)
		add_format(w, &l, m);
	else if (r == 0 && file && *file && !(media && !strcmp(media, "cdrom")))
		args_note(w, "disk %s is opened under the same name on the destination", file);
	if (r == 0)
		args_emit_list(w, opt->name, &l);
	kv_fini(&l);
	return r;
}

int args_on_blockdev(struct rewrite *w, const struct qemu_opt *opt)
{
	const struct args_map *m = NULL;
	struct kv_list l;
	json_error_t je;
	json_t *tree;
	char *text;
	int r;

	if (*opt->value == '{') {
		tree = json_loads(opt->value, 0, &je);
		if (!tree)
			return err_set(w->e, EINVAL, "cannot read -blockdev %s: %s", opt->value,
				       je.text);
		replace_filenames(w, tree, &m);
		text = json_dumps(tree, JSON_COMPACT);
		args_emit(w, opt->name, text);
		free(text);
		json_decref(tree);
		return 0;
	}
	kv_parse(&l, opt->value);
	r = map_list(w, &l, "filename", &m); /* file= names a node here */
	if (r == 0)
		args_emit_list(w, opt->name, &l);
	kv_fini(&l);
	return r;
}

/* -hda FILE and its like have no place for a format: with one to give they become a -drive. */
int args_on_disk_file(struct rewrite *w, const struct qemu_opt *opt)
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
	};
	const struct args_map *m = NULL;
	char *file = xstrdup(opt->value);
	struct kv_list l = {.n = 0};
	size_t i;
	int r = map_filename(w, &file, &m);

	if (r == 0 && !m)
		args_note(w, "disk %s is opened under the same name on the destination", file);
	if (r == 0 && (!m || !m->format)) {
		args_emit(w, opt->name, file);
	} else if (r == 0) {
		for (i = 0; strcmp(forms[i].name, opt->name); i++)
			;
		kv_parse(&l, forms[i].as);
		kv_append(&l, "file", file);
		add_format(w, &l, m);
		args_emit_list(w, "drive", &l);
		kv_fini(&l);
	}
	free(file);
	return r;
}

int args_on_media(struct rewrite *w, const struct qemu_opt *opt)
{
	const struct args_map *m = NULL;
	char *file = xstrdup(opt->value);
	int r = map_filename(w, &file, &m);

	if (r == 0)
		args_emit(w, opt->name, file);
	free(file);
	return r;
}
