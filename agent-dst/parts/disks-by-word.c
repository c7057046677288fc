/* disks-by-word.c: disks that both hosts see by the user's word, behind a network or block devices: each QEMU reaches them as the command
 * line says, and nothing of ours looks inside. */
#include "arriving-disks-private.h"
#include "json-text.h"

#include <errno.h>
#include <string.h>

static int compare_size(const struct disks *ds, json_t *drives, const struct staying_disk *d, struct err *e)
{
	const json_t *said = target_described_disk(ds->target, d->object);
	json_t *image = json_object_get(json_object_get(json_find(drives, "qdev", json_text(said, "qdev")), "inserted"), "image");
	json_int_t there = json_integer_value(json_object_get(said, "virtual_size"));
	json_int_t here = json_integer_value(json_object_get(image, "virtual-size"));

	if (!image)
		return err_set(e, EPROTO, "the destination QEMU does not tell what disk %s is like there", d->path);
	return here == there
		       ? 0
		       : err_set(e, EINVAL,
				 "disk %s has %lld bytes from the destination, and %lld from the source: it is not the same one at both ends",
				 d->path, (long long)here, (long long)there);
}

static int check_sizes(const struct disks *ds, struct err *e)
{
	json_auto_t *drives = NULL;
	int r = 0;

	for (size_t i = 0; i < ds->stays && !r; i++) {
		if (ds->stay[i].by_word && !drives)
			r = qmp_call(ds->target->qmp, "query-block", NULL, &drives, e);
		if (ds->stay[i].by_word && !r)
			r = compare_size(ds, drives, &ds->stay[i], e);
	}
	return r;
}

static int note_names(struct disks *ds, struct err *e)
{
	json_t *names = json_array();

	for (size_t i = 0; i < ds->stays; i++)
		if (ds->stay[i].by_word)
			json_array_append_new(names, json_string(ds->stay[i].path));
	return json_array_size(names) ? attempt_note(ds->part.a, "by_word", names, e) : (json_decref(names), 0);
}

int disks_look_at_word(struct disks *ds, struct err *e)
{
	return note_names(ds, e) ?: check_sizes(ds, e);
}

/* The image was written to, or may have been, since it was last known; `since` says by whom. */
static int refuse_to_run(const struct disks *ds, const char *since, struct err *e)
{
	const char *name = json_string_value(json_array_get(journal_last_note(ds->part.a->journal, "by_word"), 0));

	return name ? err_set(e, EBUSY,
			      "vmferry cannot see whether disk %s was written to since %s: the guest's memory, which came here, may be "
			      "older than the disk, so the guest is not resumed here. Once you are certain that the guest runs nowhere, "
			      "start it anew from its disk",
			      name, since)
		    : 0;
}

int disks_by_word_watched(const struct disks *ds, struct err *e)
{
	return json_is_true(json_object_get(journal_last_note(ds->part.a->journal, "paused"), "lost"))
		       ? refuse_to_run(ds, "the source's QEMU was lost", e)
		       : 0;
}

int disks_may_be_vouched_for(const struct disks *ds, struct err *e)
{
	return refuse_to_run(ds, "that was promised", e) ?: disks_shared_unwritten(ds, e);
}
