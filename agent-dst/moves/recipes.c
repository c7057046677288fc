/* recipes.c: the kinds of transfer: a row each. */
#include "arriving-transfer.h"
#include "util.h"

#include <errno.h>
#include <string.h>

#define PART(name) offsetof(struct transfer, name.part)

#define LIVE                                                                                                                               \
	.parts = {PART(target), PART(point), PART(ram), PART(disks), PART(files), PART(tpm), PART(startup), PART(line), PART(arrived)},    \
	.cutover = &live_cutover, .lost = "the destination QEMU ended", .can_run = live_can_run, .receive = live_receive,                  \
	.tell_ready = live_tell_ready, .finish = live_finish

#define LIBVIRT                                                                                                                            \
	.owner = "libvirt",                                                                                                                \
	.parts = {PART(target), PART(ram), PART(disks), PART(files), PART(domain), PART(definition), PART(line), PART(arrived)},           \
	.cutover = &libvirt_cutover, .lost = "the destination QEMU ended", .can_run = live_can_run, .receive = libvirt_receive,            \
	.tell_ready = live_tell_ready, .finish = libvirt_finish

/* The guest is shut down. owner_part keeps its start here: the unit of a plain guest, or libvirt's definition. */
#define COLD(owner_part)                                                                                                                   \
	.parts = {PART(target), PART(disks), PART(files), PART(tpm), PART(owner_part), PART(line), PART(arrived)},                         \
	.cutover = &cold_cutover, .lost = "its files at the destination were removed, or replaced by others", .can_run = cold_can_run,     \
	.receive = cold_receive, .tell_ready = cold_tell_ready, .finish = cold_finish

/* The guest stays at the source; only the contents of its disks arrive here. */
#define AHEAD                                                                                                                              \
	.cutover = &live_cutover, .can_run = warm_can_run, .receive = ahead_receive, .tell_ready = warm_tell_ready, .finish = ahead_finish

static const struct recipe recipes[] = {
	{.how = "live", LIVE},
	{.how = "quick", LIVE}, /* the row is that of "live" here: the source stops the guest first */
	{.how = "live", LIBVIRT},
	{.how = "quick", LIBVIRT},
	{.how = "warm",
	 .parts = {PART(target), PART(point), PART(disks), PART(files), PART(tpm), PART(startup), PART(line), PART(arrived)},
	 .cutover = &live_cutover,
	 .lost = "the destination QEMU ended",
	 .can_run = warm_can_run,
	 .receive = warm_receive,
	 .tell_ready = warm_tell_ready,
	 .finish = warm_finish},
	{.how = "disks", AHEAD, .parts = {PART(target), PART(disks)}, .lost = "the QEMU that writes the disks ended"},
	{.how = "replica", /* the same as disks, except that the disks become a point */
	 AHEAD,
	 .parts = {PART(target), PART(point), PART(disks), PART(would_start)},
	 .lost = "the QEMU that writes the point ended"},
	{.how = "cold", COLD(startup)},
	{.how = "cold", .owner = "libvirt", COLD(definition)},
};

int recipe_choose(struct transfer *t, const char *how, const char *owner, struct err *e)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(recipes) && (strcmp(recipes[i].how, how ?: "live") || !text_equal(recipes[i].owner, owner)); i++)
		;
	if (i == ARRAY_LEN(recipes))
		return err_set(e, ENOTSUP, "this vmferry-dst does not know how to move a guest%s%s '%s': is it older than the source's?",
			       owner ? " of " : "", owner ?: "", how);
	t->recipe = &recipes[i];
	t->a.ops = t->recipe->cutover;
	t->parts.count = 0;
	for (unsigned k = 0; k < PARTS_MAX && t->recipe->parts[k]; k++)
		parts_add(&t->parts, (struct part *)((char *)t + t->recipe->parts[k]));
	return 0;
}
