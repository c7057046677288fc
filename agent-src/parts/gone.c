/* gone.c: see gone.h. */
#include "gone.h"
#include "json-text.h"
#include "paths.h"
#include "points.h"
#include "points-note.h"
#include "primary-note.h"
#include "util.h"
#include "whereabouts.h"

#include <errno.h>
#include <libgen.h>

#define KIND "gone"

static json_t *entry_of(const struct gone *g)
{
	const struct source *s = g->src;
	json_t *shared = json_copy(s->shared_paths);
	char id[2 * ATTEMPT_ID_LEN + 1];

	json_array_extend(shared, s->disks_by_word);
	return json_pack("{s:s,s:s,s:s,s:s*,s:O,s:o}", "guest", s->guest.name, "attempt", attempt_id_format(g->part.a->id, id), "gone_to",
			 s->opt->dest.where, "instance", g->instance, "disks", s->disk_paths, "shared", shared);
}

/* Taken over here from its replica: the primary of before, where it may be going, may not have heard of that. */
static void tell_took_over(const struct gone *g, json_t *out)
{
	AUTO_FREE char *state_dir = NULL, *dir = NULL;
	struct points p = {.dir = NULL};
	struct err ignored;
	int r = state_dir_get(&state_dir, g->src->opt->dirs.state, &ignored);

	dir = r ? NULL : points_noted(state_dir, g->src->guest.name);
	if (dir && !points_read(&p, dir, &ignored) && (json_object_get(p.replica, "run") || points_are_over(&p)))
		json_object_set_new(out, "took_over",
				    json_pack("{s:O*,s:O*}", "pair", json_object_get(p.replica, "pair"), "term",
					      json_object_get(p.replica, "term")));
	points_close(&p);
}

/* A guest whose replica is made from here takes that along: points are made from where it is. */
static int describe(struct part *p, json_t *out, struct err *e)
{
	struct gone *g = container_of(p, struct gone, part);
	const struct move_options *opt = g->src->opt;
	AUTO_FREE char *dir = NULL;
	struct err ignored;

	(void)e;
	tell_took_over(g, out);
	g->replica_goes = opt->replica; /* the guest goes to it */
	if (opt->in_place || opt->replica || state_dir_get(&dir, opt->dirs.state, &ignored))
		return 0;
	g->has_replica = json_object_set_new(out, "replicated", primary_note_read(dir, g->src->guest.name)) == 0;
	return 0;
}

static int agree(struct part *p, const json_t *accept, struct err *e)
{
	struct gone *g = container_of(p, struct gone, part);

	(void)e;
	g->instance = json_text(json_object_get(accept, "host"), "instance");
	g->replica_goes |= g->has_replica && json_is_true(json_object_get(accept, "replicated"));
	if (g->src->opt->replica)
		return 0;
	if (g->replica_goes)
		report_notice(
			g->src->report,
			"points of its replica are made from the destination once it is there: by vmferry replica run, or sync, there");
	else if (g->has_replica)
		report_notice(
			g->src->report,
			"the guest's replica does not move with it: the destination has a replica of a guest of that name, or does not "
			"know its settings. vmferry makes no more points of the guest (vmferry replica add, there, begins anew). If that "
			"replica is this guest's own, vmferry replica failover %s --planned takes the guest there, and sends only what it "
			"has written since",
			g->src->guest.name);
	return 0;
}

static int prepare(struct part *p, struct err *e)
{
	struct gone *g = container_of(p, struct gone, part);
	AUTO_FREE char *journal = xstrdup(journal_path(p->a->journal)), *note_dir = xstrdup(journal);
	AUTO_FREE char *path = whereabouts_path(dirname(journal), g->src->guest.name);

	if (g->src->opt->in_place)
		return 0;
	return attempt_own(p->a, KIND,
			   json_pack("{s:s,s:o,s:s,s:b}", "path", path, "entry", entry_of(g), "state_dir", dirname(note_dir), "replica",
				     g->replica_goes),
			   e);
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
	if (!r && json_is_true(json_object_get(detail, "replica")) && json_text(detail, "state_dir"))
		primary_note_gone(json_text(detail, "state_dir"), json_text(json_object_get(detail, "entry"), "guest") ?: "");
	return r ? err_prefix(e, "cannot note where the guest has gone") : 0;
}

static const struct part_undo table[] = {{KIND, "the note of where the guest has gone", undo}, {NULL, NULL, NULL}};

static const struct part_ops ops = {.name = "gone", .describe = describe, .agree = agree, .prepare = prepare, .undo = table};

void gone_init(struct gone *g, const struct source *src)
{
	*g = (struct gone){.part = {&ops, src->part.a}, .src = src};
}
