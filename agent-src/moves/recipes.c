/* recipes.c: the kinds of transfer, and the ways into one: a row each. */
#include "transfer.h"
#include "log.h"
#include "util.h"

#include <errno.h>
#include <string.h>

#define PART(name) offsetof(struct transfer, name.part)

/* Callbacks for a guest that runs or is paused. */
#define RUNS .cutover = &live_cutover, .find = live_find, .known_as = live_known_as, .can_run = live_can_run, .take_up = live_take_up

#define LIVE                                                                                                                               \
	RUNS, .undecided = "undecided: it may run at the destination; it is held on the source. Run: vmferry recover",                     \
	      .parts = {PART(src),   PART(tpm),		PART(files),	    PART(ram),                                                     \
			PART(disks), PART(around.unit), PART(around.aside), PART(around.gone)},                                            \
	      .stages = live_stages, .describe_for_journal = live_describe_for_journal, .take_back = live_take_back,                       \
	      .left_in = "postmigrate"

/* Members for libvirt's guests: the definition may start the guest here. libvirt there starts the TPM itself; PART(tpm) is for a
 * destination without libvirt. */
#define LIBVIRT                                                                                                                            \
	.owner = "libvirt", RUNS, .undecided = "undecided: it may run at the destination; it is held on the source. Run: vmferry recover", \
	.parts = {PART(src), PART(tpm), PART(around.definition), PART(files), PART(ram), PART(disks), PART(around.gone)},                  \
	.stages = live_stages, .describe_for_journal = live_describe_for_journal, .take_back = libvirt_take_back, .left_in = "postmigrate"

/* The guest stays where it is, and what its disks hold goes there. */
#define STAYS(table, ...)                                                                                                                  \
	RUNS, .traits = {.guest_runs = true, .stays_here = true}, .undecided = "undecided. Run: vmferry recover",                          \
	      .parts = {PART(src), __VA_ARGS__}, .stages = table, .describe_for_journal = warm_describe_for_journal,                       \
	      .take_back = ahead_take_back

/* Callbacks for a guest that is shut down. */
#define SHUT_DOWN .cutover = &cold_cutover, .can_run = cold_can_run, .take_up = cold_take_up

#define COLD(...)                                                                                                                          \
	SHUT_DOWN, .parts = {__VA_ARGS__}, .stages = cold_stages, .find = cold_find, .known_as = cold_known_as,                            \
		   .describe_for_journal = cold_describe_for_journal, .back = "shut down on the source, as it was"

#define HEAD_START(...)                                                                                                                    \
	SHUT_DOWN, .described = "cold", .traits = {.stays_here = true}, .parts = {__VA_ARGS__}, .stages = head_start_stages,               \
		   .find = head_start_find, .known_as = head_start_known_as, .describe_for_journal = head_start_describe_for_journal,      \
		   .undecided = "undecided. Run: vmferry recover", .back = "on the source, as it was"

static const struct recipe recipes[] = {
	{.how = "live", .traits = {.guest_runs = true, .carries_memory = true}, LIVE},
	{.how = "quick", .traits = {.guest_runs = true, .carries_memory = true, .stops_first = true}, LIVE},
	{.how = "live", .traits = {.guest_runs = true, .carries_memory = true}, LIBVIRT},
	{.how = "quick", .traits = {.guest_runs = true, .carries_memory = true, .stops_first = true}, LIBVIRT},
	{.how = "warm",
	 .traits = {.guest_runs = true, .boots_after = true},
	 .undecided = "undecided: it may run at the destination; it is shut down on the source, and held. Run: vmferry recover",
	 .parts = {PART(src), PART(around.power), PART(tpm), PART(files), PART(disks), PART(around.unit), PART(around.aside),
		   PART(around.gone)},
	 .stages = warm_stages,
	 RUNS,
	 .describe_for_journal = warm_describe_for_journal,
	 .take_back = warm_take_back,
	 .left_in = "shutdown"},
	{.how = "disks", STAYS(ahead_stages, PART(disks))},
	{.how = "disks", .owner = "libvirt", STAYS(ahead_stages, PART(disks))}, /* libvirt is only needed to reach the guest's monitor */
	{.how = "replica", STAYS(replica_stages, PART(tpm), PART(disks)), .points = true},
	{.how = "replica",
	 .owner = "libvirt",
	 STAYS(replica_stages, PART(disks)),
	 .points = true}, /* a TPM of libvirt's is in no plain line */
	{.how = "replica",
	 .owner = "points", /* owner is this host's store of points: the newest of them holds the contents to send */
	 .traits = {.stays_here = true},
	 .parts = {PART(src), PART(disks)},
	 .stages = onward_stages,
	 SHUT_DOWN,
	 .find = onward_find,
	 .known_as = onward_known_as,
	 .describe_for_journal = onward_describe_for_journal,
	 .points = true,
	 .undecided = "undecided. Run: vmferry recover",
	 .back = "where it was: this host has the points of its replica"},
	{.how = "cold",
	 COLD(PART(src), PART(tpm), PART(files), PART(disks), PART(around.unit), PART(around.aside), PART(around.gone),
	      PART(around.definition)),
	 .undecided =
		 "undecided: it may be the destination's; it is shut down, and nothing of vmferry's starts it here. Run: vmferry recover"},
	{.how = "cold",
	 .owner = "libvirt",
	 COLD(PART(src), PART(tpm), PART(files), PART(disks), PART(around.definition), PART(around.gone)),
	 .undecided = "undecided: it may be the destination's; it is shut down, and libvirt does not define it here. Run: vmferry recover"},
	{.how = "head-start", .owner = "libvirt", HEAD_START(PART(src), PART(tpm), PART(files), PART(disks), PART(around.definition))},
	{.how = "head-start",
	 HEAD_START(PART(src), PART(tpm), PART(files), PART(disks), PART(around.unit), PART(around.aside), PART(around.definition))},
};

int recipe_choose(struct transfer *t, const char *how, const char *owner, struct err *e)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(recipes) && (strcmp(recipes[i].how, how ?: "live") || !text_equal(recipes[i].owner, owner)); i++)
		;
	if (i == ARRAY_LEN(recipes))
		return err_set(e, ENOTSUP, "this vmferry does not know how to move a guest '%s': a newer one began that", how);
	t->recipe = &recipes[i];
	t->src.how = t->life.how = t->recipe->how;
	t->src.traits = t->recipe->traits;
	t->a.ops = t->recipe->cutover;
	t->a.con.stages = t->recipe->stages;
	t->parts.count = 0;
	for (unsigned k = 0; k < PARTS_MAX && t->recipe->parts[k]; k++)
		parts_add(&t->parts, (struct part *)((char *)t + t->recipe->parts[k]));
	if (t->recipe->points && text_equal(owner, "points"))
		disks_for_onward(&t->disks, t->opt ? t->opt->replica : NULL);
	else if (t->recipe->points)
		disks_for_point(&t->disks, t->opt ? t->opt->replica : NULL);
	else if (t->opt && t->opt->replica)
		disks_begin_on_point(&t->disks, t->opt->replica);
	log_debug("recipe: %s", t->recipe->how);
	return 0;
}

static const struct entry migrate = {.name = "migrate", .first = ST_CONNECT, .last = ST_RELEASE};
static const struct entry bring = {.name = "bring", .first = ST_CONNECT, .last = ST_COPY};
static const struct entry make_point = {.name = "sync", .first = ST_CONNECT, .last = ST_COPY};
static const struct entry head_start = {.name = "head-start", .first = ST_CONNECT, .last = ST_COPY};
static const struct entry dry_run = {.name = "dry-run", .first = ST_CONNECT, .last = ST_PREFLIGHT};
static const struct entry check = {.name = "check", .first = ST_CONNECT, .last = ST_PREFLIGHT, .planned = estimate};
static const struct entry script = {.name = "script", .first = ST_CONNECT, .last = ST_PREFLIGHT, .planned = print_script};

/* Recover decides by the journal alone; nothing is carried. */
const struct entry entry_recover = {.name = "recover", .first = ST_COMMIT, .last = ST_RELEASE};

const struct entry *entry_for(const struct move_options *opt)
{
	if (opt->plan.only)
		return opt->plan.as_script ? &script : opt->plan.estimate ? &check : &dry_run;
	return opt->how == HOW_DISKS ? &bring : opt->how == HOW_REPLICA ? &make_point : head_start_runs(opt) ? &head_start : &migrate;
}
