/* source-images.c: see source-images.h. */
#include "source-images.h"
#include "named-images.h"
#include "process.h"
#include "util.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

/* Notes an image by the name that QEMU was given, and by the one that it has in the file system. */
static void note(const struct guest *g, const struct guest_disk *d, json_t *images)
{
	AUTO_FREE char *given = d->file && *d->file == '/' ? xstrdup(d->file) : NULL;

	if (given && process_has_open(g->pid, given))
		named_image_note(images, given);
	if (process_has_open(g->pid, d->real_path))
		named_image_note(images, d->real_path);
}

json_t *source_images_of(const struct guest *g)
{
	json_t *images = json_object();
	size_t i;

	for (i = 0; i < g->disk_count && g->pid && process_shows_files(g->pid); i++)
		if (!g->disks[i].removable_empty && !g->disks[i].read_only && g->disks[i].real_path)
			note(g, &g->disks[i], images);
	return images;
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
