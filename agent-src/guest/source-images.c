/* source-images.c: see source-images.h. */
#include "source-images.h"
#include "image-name.h"
#include "named-images.h"
#include "process.h"
#include "qmp.h"
#include "util.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

static void note(const struct guest *g, const char *name, json_t *images)
{
	if (process_has_open(g->pid, name))
		named_image_note(images, name);
}

/* Notes a disk by the name that QEMU was given, and by its name in the file system. */
static void note_disk(const struct guest *g, const struct guest_disk *d, json_t *images)
{
	if (d->file && *d->file == '/')
		note(g, d->file, images);
	note(g, d->real_path, images);
}

/* Files below a disk's own: a qcow2's data file, whichever way QEMU was told of it. A relative name is read where QEMU was started. */
static void note_node(const struct guest *g, const json_t *node, json_t *images)
{
	const char *driver = json_string_value(json_object_get(node, "drv")) ?: "";
	AUTO_FREE char *file = image_name_file(json_string_value(json_object_get(node, "file")));
	AUTO_FREE char *path = file ? guest_path(g, file) : NULL;

	if (path && !json_is_true(json_object_get(node, "ro")) && (!strcmp(driver, "file") || !strcmp(driver, "host_device")))
		note(g, path, images);
}

int source_images_of(const struct guest *g, struct qmp *q, json_t **images, struct err *e)
{
	json_t *nodes = NULL, *node;
	size_t i;
	bool can = g->pid && process_shows_files(g->pid);
	int r = can ? qmp_call(q, "query-named-block-nodes", json_pack("{s:b}", "flat", 1), &nodes, e) : 0;

	if (r)
		return r;
	*images = json_object();
	for (i = 0; i < g->disk_count && can; i++)
		if (!g->disks[i].removable_empty && !g->disks[i].read_only && g->disks[i].real_path)
			note_disk(g, &g->disks[i], *images);
	json_array_foreach(nodes, i, node)
		note_node(g, node, *images);
	json_decref(nodes);
	return 0;
}

char *source_image_held_at(const struct guest *g, const json_t *entry)
{
	AUTO_FREE char *dir = xasprintf("/proc/%d/fd", (int)g->pid);
	DIR *d = opendir(dir);
	char *found = NULL;
	struct dirent *x;

	while (d && !found && (x = readdir(d))) {
		AUTO_FREE char *fd = xasprintf("%s/%s", dir, x->d_name);

		if (*x->d_name != '.' && named_image_is(entry, fd))
			found = xstrdup(fd);
	}
	if (d)
		closedir(d);
	return found;
}

int source_images_named(const struct guest *g, const json_t *images, struct err *e)
{
	const char *why, *name = named_image_lost(images, &why);
	AUTO_FREE char *at = name ? source_image_held_at(g, json_object_get(images, name)) : NULL;

	return name ? err_set(e, ESTALE,
			      "disk %s %s since the command began: QEMU opens it once more by its name when it lets go of it, and would go on with "
			      "what has that name then. The guest has its own file still (%s): put that back, or copy its disks elsewhere while it "
			      "runs (vmferry storage)",
			      name, why, at ?: "open, and without a name")
		    : 0;
}

int source_images_named_again(const struct guest *g, const json_t *images, struct err *e)
{
	const char *why, *name = named_image_lost(images, &why);
	AUTO_FREE char *at = name ? source_image_held_at(g, json_object_get(images, name)) : NULL;

	return !name ? 0
	       : at  ? err_set(e, ESTALE,
			       "the guest is paused at the source, and must not go on as it is: its disk %s %s while QEMU did not write to it, and QEMU "
				"would write to what has that name now. What the guest wrote is at %s as long as QEMU (process %d) lives: copy that (cp "
				"--sparse=always), give the copy the disk's name (mv), and then let the guest go on (QMP cont)",
			       name, why, at, (int)g->pid)
		     : err_set(e, ESTALE,
			       "the guest is paused at the source, and must not go on as it is: its disk %s %s, and QEMU (process %d) has not the file any "
				"more that the guest wrote to. Give that its name back, if it has another, and let the guest go on then (QMP cont); "
				"otherwise start the guest anew from the disk that you have",
			       name, why, (int)g->pid);
}
