/* disks-recorded.c: questions about the disks that the attempt's journal, and its notes, name: are they still here, under their names, nobody else's,
 * and unwritten? A later life asks them, too, so they need no more than that. */
#include "arriving-disks-private.h"
#include "disk-device.h"
#include "image-mark.h"
#include "json-text.h"
#include "made.h"
#include "named-images.h"
#include "own-file.h"
#include "process.h"

#include <errno.h>
#include <string.h>

int disks_are_nobody_else_s(const struct disks *ds, struct err *e)
{
	json_t *owned, *entry;
	size_t i;
	int r = 0;

	if (journal_owned(ds->part.a->journal, &owned))
		return 0;
	json_array_foreach(owned, i, entry) {
		const json_t *known = json_object_get(entry, "detail");
		const char *kind = json_text(entry, "kind") ?: "", *path = json_text(known, "path");
		bool disk = !strcmp(kind, "device") || (!strcmp(kind, "file") && json_object_get(known, "inode"));
		pid_t pid = disk && path && !r ? process_that_opened(path, ds->target->qemu.pid) : 0;
		AUTO_FREE char *who = process_text(pid);

		if (pid)
			r = err_set(e, EBUSY, "%s there is open in %s", path, who);
	}
	json_decref(owned);
	return r;
}

static bool is_at_its_place(const struct disks *ds, const json_t *owned, const char *image)
{
	json_t *entry;
	size_t i;

	json_array_foreach((json_t *)owned, i, entry) {
		const json_t *known = json_object_get(entry, "detail");

		if (!strcmp(json_text(entry, "kind") ?: "", "file") && json_object_get(known, "inode") &&
		    !strcmp(json_text(known, "path") ?: "", image))
			return own_file_is_there(known, made_is_rebooted(ds->target));
	}
	return false;
}

/* A question about one record that the journal owns; `owned` has all of them. */
typedef bool (*holds_fn)(const struct disks *ds, const json_t *owned, const char *kind, const json_t *detail);

/* The answer is yes for every record; false, too, if the journal cannot be read. */
static bool holds_of_all(const struct disks *ds, holds_fn holds)
{
	json_t *owned, *entry;
	bool yes = true;
	size_t i;

	if (!ds->part.a->journal || journal_owned(ds->part.a->journal, &owned))
		return false;
	json_array_foreach(owned, i, entry)
		yes = yes && holds(ds, owned, json_text(entry, "kind") ?: "", json_object_get(entry, "detail"));
	json_decref(owned);
	return yes;
}

static bool has_its_name(const struct disks *ds, const json_t *owned, const char *kind, const json_t *detail)
{
	const char *image = strcmp(kind, "held") ? NULL : json_text(detail, "image");

	return !image || is_at_its_place(ds, owned, image);
}

bool disks_have_their_names(const struct disks *ds)
{
	return holds_of_all(ds, has_its_name);
}

static bool is_here(const struct disks *ds, const json_t *owned, const char *kind, const json_t *detail)
{
	(void)owned;
	if (!strcmp(kind, "file") && json_object_get(detail, "inode"))
		return own_file_is_there(detail, made_is_rebooted(ds->target));
	return strcmp(kind, "device") || disk_device_is_there(detail, made_is_rebooted(ds->target));
}

bool disks_are_here(const struct disks *ds)
{
	return holds_of_all(ds, is_here);
}

#define NAMES "names" /* journal entry */

int disks_note_names(struct disks *ds, struct err *e)
{
	json_t *images = json_object();

	for (size_t i = 0; i < ds->stays; i++) /* a disk behind a network has no file name, and is not noted */
		named_image_note(images, ds->stay[i].path);
	for (size_t i = 0; i < ds->count && ds->stays; i++)
		named_image_note(images, ds->list[i].path);
	return json_object_size(images) ? attempt_note(ds->part.a, NAMES, images, e) : (json_decref(images), 0);
}

int disks_are_named(const struct disks *ds, struct err *e)
{
	const char *why, *path = named_image_lost(journal_last_note(ds->part.a->journal, NAMES), &why);

	return path ? err_set(e, EBUSY,
			      "disk %s at the destination %s since the move began: the guest is not run over what has that name now", path,
			      why)
		    : 0;
}

int disks_note_shared(struct disks *ds, struct err *e)
{
	json_t *written = json_object();

	for (size_t i = 0; i < ds->stays; i++)
		if (!ds->stay[i].by_word)
			json_object_set_new(written, ds->stay[i].path, json_integer(file_written_ns(ds->stay[i].path)));
	return json_object_size(written) ? attempt_note(ds->part.a, "shared", written, e) : (json_decref(written), 0);
}

int disks_shared_unwritten(const struct disks *ds, struct err *e)
{
	const char *why, *path = file_written_since(journal_last_note(ds->part.a->journal, "shared"), &why);

	if (disks_are_named(ds, e))
		return -e->code;
	return path ? err_set(e, EBUSY,
			      "disk %s, which both hosts see, %s since the guest's memory came here: it is not run over it, as it is older. "
			      "Start the guest anew from its disk, once it is certain that it runs nowhere",
			      path, why)
		    : 0;
}
