/*
 * qemu-args-part.c: the part of its file that a raw disk shows (`offset` and `size` of QEMU's raw driver), if it differs at the
 * destination. A copy of what the guest sees fills its whole file, unless that is a larger block device.
 */
#include "qemu-args-rules.h"
#include "util.h"

#include <errno.h>
#include <string.h>

/* The prefix of the options of the node above a file: "" for "file" and "file.filename", "file." for "file.file.filename". Malloc'ed. NULL:
 * that node is not in this list, or the file is not a disk's. */
static char *prefix_above(const char *filename_key)
{
	const char *end = strstr(filename_key, "filename");
	size_t n = end ? (size_t)(end - filename_key) : strlen(filename_key) + 1; /* including the dot */

	if (n < 5 || strncmp(filename_key + n - 5, "file", 4) || (n > 5 && filename_key[n - 6] != '.'))
		return NULL;
	return xasprintf("%.*s", (int)(n - 5), filename_key);
}

/* True for a raw disk. QEMU detects the format of a drive that names none. */
static bool is_raw(const struct kv_list *l, const char *prefix)
{
	AUTO_FREE char *key = xasprintf("%sdriver", prefix);
	const char *driver = kv_get(l, key, "driver") ?: *prefix ? NULL : kv_get(l, "format", NULL);

	return !driver || !strcmp(driver, "raw");
}

static bool has_option(const struct kv_list *l, const char *prefix, const char *option)
{
	AUTO_FREE char *key = xasprintf("%s%s", prefix, option);

	return kv_get(l, key, NULL);
}

static void remove_option(struct kv_list *l, const char *prefix, const char *option)
{
	AUTO_FREE char *key = xasprintf("%s%s", prefix, option);

	kv_remove(l, key);
}

static int refuse(struct rewrite *w, const struct item *it, const struct args_map *m, const char *why)
{
	return err_set(
		w->e, EINVAL,
		"block device %s is larger than its disk, and the guest's command line (-%s %s) has no place to say so: %s. Give it a device of "
		"its size",
		m->to, it->name, it->value, why);
}

int args_show_part(struct rewrite *w, const struct item *it, struct props *in, const char *filename_key, const struct args_map *m)
{
	AUTO_FREE char *prefix = prefix_above(filename_key);
	bool raw = prefix && is_raw(&in->l, prefix);

	if (!m->to || (!m->anew && !m->shows))
		return 0;
	if (!raw)
		return m->shows ? refuse(w, it, m, "the driver above the file is not raw") : 0;
	if (m->anew) {
		remove_option(&in->l, prefix, "offset");
		remove_option(&in->l, prefix, "size");
	} else if (has_option(&in->l, prefix, "size")) { /* the file is there as it was */
		if (m->shown)
			*m->shown = true;
		return 0;
	} else if (has_option(&in->l, prefix, "offset")) {
		return refuse(w, it, m, "the disk begins in the middle of its file (offset=)");
	}
	if (m->shown)
		*m->shown = true;
	if (!m->shows)
		return 0;
	props_set_number(in, prefix, "size", m->shows);
	args_note(w, "size=%llu is added for %s, which is larger: the guest sees the size that its disk has", (unsigned long long)m->shows,
		  m->to);
	return 0;
}

bool args_is_file_node(const struct item *it, const struct props *in, const char *filename_key)
{
	return in == &it->p && !strcmp(it->name, "blockdev") && !strcmp(filename_key, "filename");
}

void args_find_files(struct rewrite *w)
{
	for (size_t i = 0; i < w->item_count; i++) {
		struct item *it = &w->items[i];
		const char *file = strcmp(it->name, "blockdev") ? NULL : kv_get(&it->p.l, "filename", NULL);

		it->map = file ? args_find_map(w, file) : NULL;
	}
}

int args_show_part_of_node(struct rewrite *w, struct item *it)
{
	const struct item *below = args_find(w, "blockdev", "node-name", kv_get(&it->p.l, "file", NULL));
	const struct item *above = it->map ? args_find(w, "blockdev", "file", kv_get(&it->p.l, "node-name", NULL)) : NULL;

	if (it->map && it->map->to && it->map->shows && (!above || !is_raw(&above->p.l, "")))
		return refuse(w, it, it->map, "no raw driver stands above the file");
	return below && below->map && is_raw(&it->p.l, "") ? args_show_part(w, it, &it->p, "file", below->map) : 0;
}
