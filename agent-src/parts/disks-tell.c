/* disks-tell.c: the disks of a guest in the plan, the progress, the status and the result of its move. */
#include "disks-private.h"
#include "json-members.h"
#include "words.h"

#include <string.h>

static json_t *tell_progress(const struct disks *ds, const struct disk *d)
{
	uint64_t done, left, whole;

	disk_reader_progress(ds->reader, d->object, &done, &left);
	whole = d->progress.round ? d->progress.last_dirty : d->guest->allocated;
	if (!d->progress.round && !d->progress.queued && !done) /* reading has not begun */
		left = whole;
	return json_pack("{s:s,s:s,s:i,s:I,s:f}", "node", d->guest->node, "name", path_base(d->guest->real_path), "round",
			 (int)d->progress.round, "left", (json_int_t)(left + d->progress.dirty), "percent",
			 whole > left ? 100.0 - 100.0 * (double)left / (double)whole
			 : left	      ? 0.0
				      : 100.0);
}

static json_t *tell_result(const struct disks *ds, const struct disk *d)
{
	const struct send_stats *sent = &ds->data->sent;

	return json_of(MEMBER_TEXT("node", d->guest->node), MEMBER_TEXT("from", d->guest->real_path), MEMBER_TEXT("to", d->to),
		       MEMBER_COUNT("rounds", d->progress.round + 1), MEMBER_COUNT("bytes_read", d->progress.read_bytes),
		       MEMBER_COUNT("bytes_wire", sent->disk_bytes[d->object]), MEMBER_COUNT("bytes_kept", sent->kept_bytes[d->object]),
		       MEMBER_TEXT("format", d->guest->format), MEMBER_TEXT("reuse", d->old), MEMBER_IF("alike", d->alike));
}

/* Reports how much of the old copies there has been told of, while that is not all. */
static void tell_compared(const struct disks *ds, json_t *out)
{
	uint64_t told = 0, all = 0;

	for (unsigned i = 0; i < ds->count; i++)
		if (ds->list[i]->have && !ds->list[i]->progress.round) {
			told += have_told(ds->list[i]->have);
			all += ds->list[i]->guest->virtual_size;
		}
	if (told < all)
		json_object_set_new(out, "compared_percent", json_real(100.0 * (double)told / (double)all));
}

void disks_tell(const struct part *p, enum part_tale tale, json_t *out)
{
	static json_t *(*const of_one[])(const struct disks *, const struct disk *) =
		{[TELL_PLAN] = disk_tell_plan, [TELL_PROGRESS] = tell_progress, [TELL_STATUS] = NULL, [TELL_RESULT] = tell_result};
	const struct disks *ds = container_of(p, const struct disks, part);
	json_t *list;

	if (tale == TELL_PROGRESS || tale == TELL_STATUS)
		json_object_set_new(out, "disk_left", json_integer((json_int_t)disks_left(ds)));
	if (tale == TELL_PROGRESS || tale == TELL_STATUS)
		tell_compared(ds, out);
	if (tale == TELL_PLAN && ds->others.alike.ms)
		json_object_set_new(out, "alike", json_pack("{s:i}", "images", (int)ds->others.alike.images));
	if (!of_one[tale])
		return;
	list = json_array();
	for (unsigned i = 0; i < ds->count; i++)
		json_array_append_new(list, of_one[tale](ds, ds->list[i]));
	for (unsigned i = 0; i < ds->uncopied.stays && tale == TELL_PLAN; i++)
		json_array_append_new(list, disk_tell_plan(ds, ds->uncopied.stay[i]));
	for (unsigned i = 0; i < ds->uncopied.behinds && tale == TELL_PLAN; i++)
		json_array_append_new(list, disk_tell_plan(ds, ds->uncopied.behind[i]));
	json_object_set_new(out, "disks", list);
}
