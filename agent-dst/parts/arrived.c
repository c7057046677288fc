/* arrived.c: see arrived.h. */
#include "arrived.h"
#include "json-text.h"
#include "primary-note.h"
#include "util.h"
#include "whereabouts.h"

#include <errno.h>
#include <string.h>

#define KIND "arrived"

static json_t *list_paths(const struct disks *ds)
{
	json_t *out = json_array();

	for (size_t i = 0; i < ds->count; i++)
		if (ds->list[i].path)
			json_array_append_new(out, json_string(ds->list[i].path));
	for (size_t i = 0; i < ds->stays; i++)
		if (ds->stay[i].path)
			json_array_append_new(out, json_string(ds->stay[i].path));
	return out;
}

/* The note about the guest's replica, whose points are made from this host once the guest has arrived; NULL: there is none. */
static const json_t *replica_of(const struct arrived *a)
{
	const json_t *note = json_object_get(a->target->description, "replicated");

	return note && !target_is_in_place(a->target) && primary_note_fits(a->disks->state_dir, a->target->name, note) ? note : NULL;
}

static int describe(struct part *p, json_t *accept, struct err *e)
{
	(void)e;
	if (replica_of(container_of(p, const struct arrived, part)))
		json_object_set_new(accept, "replicated", json_true());
	return 0;
}

static int prepare(struct part *p, struct err *e)
{
	const struct arrived *a = container_of(p, const struct arrived, part);
	const struct target *t = a->target;
	AUTO_FREE char *path = whereabouts_path(a->disks->state_dir, t->name);
	char id[2 * ATTEMPT_ID_LEN + 1];
	json_t *entry, *all;
	int r;

	if (target_is_in_place(t))
		return 0;
	r = whereabouts_read(path, &all, e);
	if (r)
		return err_prefix(e, "cannot tell where guest %s was before", t->name);
	entry = json_pack("{s:s,s:s,s:s,s:o,s:o}", "guest", t->name, "attempt", attempt_id_format(p->a->id, id), "came_from",
			  json_text(t->description, "host") ?: "another host", "disks", list_paths(a->disks), "known",
			  whereabouts_attempts(all));
	json_decref(all);
	return attempt_own(p->a, KIND,
			   json_pack("{s:s,s:o,s:s,s:O*,s:O*}", "path", path, "entry", entry, "state_dir", a->disks->state_dir,
				     "replicated", replica_of(a), "took_over", json_object_get(t->description, "took_over")),
			   e);
}

/* Settings by which this host was the primary of the copy that is old now. */
static int end_primary(const char *state_dir, const char *guest, const json_t *took_over, struct err *e)
{
	const char *pair = json_text(took_over, "pair");
	json_int_t term = json_integer_value(json_object_get(took_over, "term"));
	int r = pair && term > 0 ? primary_note_replaced(state_dir, guest, pair, (uint64_t)term, e) : 0;

	if (!r)
		primary_note_here(state_dir, guest, false);
	return r;
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
	if (!r && json_text(detail, "state_dir")) {
		const char *guest = json_text(json_object_get(detail, "entry"), "guest") ?: "";

		r = end_primary(json_text(detail, "state_dir"), guest, json_object_get(detail, "took_over"), e);
		r = r ?: primary_note_take(json_text(detail, "state_dir"), guest, json_object_get(detail, "replicated"), e);
	}
	return r ? err_prefix(e, "cannot note that the guest has come") : 0;
}

int arrived_has_left(const struct attempt *a, bool *left, struct err *e)
{
	json_t *owned = NULL, *one, *all;
	size_t i;
	int r = journal_owned(a->journal, &owned) ? err_set(e, ENOMEM, "the journal cannot be read") : 0;

	*left = false;
	json_array_foreach(owned, i, one) {
		const json_t *detail = json_object_get(one, "detail");

		if (r || strcmp(json_text(one, "kind") ?: "", KIND))
			continue;
		r = whereabouts_read(json_text(detail, "path") ?: "", &all, e);
		if (r)
			continue;
		*left |= whereabouts_has_left_since(all, json_object_get(detail, "entry"));
		json_decref(all);
	}
	json_decref(owned);
	return r;
}

static const struct part_undo table[] = {{KIND, "the note that the guest has come", undo}, {NULL, NULL, NULL}};

static const struct part_ops ops = {.name = "arrived", .describe = describe, .prepare = prepare, .undo = table};

void arrived_init(struct arrived *a, const struct target *target, const struct disks *disks)
{
	*a = (struct arrived){.part = {&ops, target->part.a}, .target = target, .disks = disks};
}
