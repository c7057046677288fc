/* recipes.c: the kinds of transfer, and the ways into one: a row each. */
#include "transfer.h"
#include "log.h"
#include "util.h"

#define PART(name) offsetof(struct transfer, name.part)

#define MOVING PART(src), PART(files), PART(ram), PART(disks), PART(unit)

static const struct recipe live = {.name = "live", .parts = {MOVING}, .first = ST_CONNECT, .last = ST_RELEASE};
static const struct recipe dry_run = {.name = "dry-run", .parts = {MOVING}, .first = ST_CONNECT, .last = ST_PREFLIGHT};
static const struct recipe check = {.name = "check", .parts = {MOVING}, .first = ST_CONNECT, .last = ST_PREFLIGHT, .planned = estimate};
static const struct recipe script = {.name = "script",
				     .parts = {MOVING},
				     .first = ST_CONNECT,
				     .last = ST_PREFLIGHT,
				     .planned = print_script};

/* By the journal alone; nothing is carried. */
const struct recipe recipe_recover = {.name = "recover", .parts = {MOVING}, .first = ST_COMMIT, .last = ST_RELEASE};

const struct recipe *recipe_for(const struct move_options *opt)
{
	return !opt->dry_run ? &live : opt->script ? &script : opt->estimate ? &check : &dry_run;
}

void recipe_put_together(struct transfer *t, const struct recipe *r)
{
	unsigned i;

	t->recipe = r;
	log_debug("recipe: %s", r->name);
	for (i = 0; i < PARTS_MAX && r->parts[i]; i++)
		parts_add(&t->parts, (struct part *)((char *)t + r->parts[i]));
}
