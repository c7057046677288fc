/* arrived.c: see arrived.h. */
#include "arrived.h"
#include "json-text.h"
#include "util.h"
#include "whereabouts.h"

#include <errno.h>

#define KIND "arrived"

static json_t *list_paths(const struct disks *ds)
{
	json_t *out = json_array();
	size_t i;

	for (i = 0; i < ds->count; i++)
		if (ds->list[i].path)
			json_array_append_new(out, json_string(ds->list[i].path));
	for (i = 0; i < ds->stays; i++)
		if (ds->stay[i].path)
			json_array_append_new(out, json_string(ds->stay[i].path));
	return out;
}

static int prepare(struct part *p, struct err *e)
{
	const struct arrived *a = container_of(p, const struct arrived, part);
	const struct target *t = a->target;
	AUTO_FREE char *path = whereabouts_path(a->disks->state_dir, t->name);
	char id[2 * ATTEMPT_ID_LEN + 1];
	json_t *entry;

	if (target_is_in_place(t))
		return 0;
	entry = json_pack("{s:s,s:s,s:s,s:o}", "guest", t->name, "attempt", attempt_id_format(p->a->id, id), "came_from",
			  json_text(t->description, "host") ?: "another host", "disks", list_paths(a->disks));
	return attempt_own(p->a, KIND, json_pack("{s:s,s:o}", "path", path, "entry", entry), e);
}

static int undo(struct part *p, const json_t *detail, struct err *e)
{
	json_t *entry;
	int r;

	if (!container_of(p, struct arrived, part)->target->keep_guest)
		return 0;
	entry = json_deep_copy(json_object_get(detail, "entry"));
	r = whereabouts_add(json_text(detail, "path"), entry, e);
	json_decref(entry);
	return r ? err_prefix(e, "cannot note that the guest has come") : 0;
}

static const struct part_undo table[] = {{KIND, "the note that the guest has come", undo}, {NULL, NULL, NULL}};

static const struct part_ops ops = {.name = "arrived", .prepare = prepare, .undo = table};

void arrived_init(struct arrived *a, const struct target *target, const struct disks *disks)
{
	*a = (struct arrived){.part = {&ops, target->part.a}, .target = target, .disks = disks};
}
