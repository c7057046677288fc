/* gone.c: see gone.h. */
#include "gone.h"
#include "json-text.h"
#include "util.h"
#include "whereabouts.h"

#include <errno.h>
#include <libgen.h>

#define KIND "gone"

static json_t *describe(const struct gone *g)
{
	const struct source *s = g->src;
	json_t *shared = json_copy(s->shared_paths);
	char id[2 * ATTEMPT_ID_LEN + 1];

	json_array_extend(shared, s->disks_by_word);
	return json_pack("{s:s,s:s,s:s,s:O,s:o}", "guest", s->guest.name, "attempt", attempt_id_format(g->part.a->id, id), "gone_to",
			 s->opt->dest.where, "disks", s->disk_paths, "shared", shared);
}

static int prepare(struct part *p, struct err *e)
{
	struct gone *g = container_of(p, struct gone, part);
	AUTO_FREE char *journal = xstrdup(journal_path(p->a->journal));
	AUTO_FREE char *path = whereabouts_path(dirname(journal), g->src->guest.name);

	if (g->src->opt->in_place)
		return 0;
	return attempt_own(p->a, KIND, json_pack("{s:s,s:o}", "path", path, "entry", describe(g)), e);
}

static int undo(struct part *p, const json_t *detail, struct err *e)
{
	const char *path = json_text(detail, "path");
	json_t *entry;
	int r;

	if (p->a->handoff.state != HO_SRC_RELEASED)
		return 0;
	if (!path)
		return err_set(e, EBADMSG, "the journal does not say where");
	entry = json_deep_copy(json_object_get(detail, "entry"));
	r = whereabouts_add(path, entry, e);
	json_decref(entry);
	return r ? err_prefix(e, "cannot note where the guest has gone") : 0;
}

static const struct part_undo table[] = {{KIND, "the note of where the guest has gone", undo}, {NULL, NULL, NULL}};

static const struct part_ops ops = {.name = "gone", .prepare = prepare, .undo = table};

void gone_init(struct gone *g, const struct source *src)
{
	*g = (struct gone){.part = {&ops, src->part.a}, .src = src};
}
