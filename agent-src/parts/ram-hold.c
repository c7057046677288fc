/* ram-hold.c: see ram-hold.h. */
#include "ram-hold.h"
#include "json-text.h"
#include "qemu-migration.h"
#include "qemu-settings.h"
#include "qemu-names.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ARMED_PER_S   1000000000LL /* a limit of 1 MB: QEMU looks again and again for what the guest has written */
#define TINY_PER_S    1000	   /* limit of 1 byte: less than any bitmap */
#define SMALL_BITS    16	   /* bits of the bitmap, where the limit is ours to set */
#define SMALL_GRAIN   (64 * 1024)
#define LARGE_BITS    (16 * MIB) /* bits; with fewer QEMU takes 1 ms of what it has measured: as much as 16 GB/s */
#define LARGE_GRAIN   512
#define NODE_NAME_MAX (QEMU_PREFIX_MAX + 8)
#define BITMAP	      "hold"

/* True in *out if a machine type of this QEMU has the older meaning of switchover-ack back as a compatibility property: then it knows
 * the newer one. QEMU before 9.1 does not tell the properties, and knows the older one only. */
static int knows_newer_acknowledgement(struct qmp *q, bool *out, struct err *e)
{
	json_t *machines, *machine, *property;
	size_t i, k;
	int r = qmp_call(q, "query-machines", json_pack("{s:b}", "compat-props", 1), &machines, e);

	*out = false;
	if (r)
		return r == -EREMOTEIO ? 0 : r;
	json_array_foreach(machines, i, machine)
		json_array_foreach(json_object_get(machine, "compat-props"), k, property)
			*out |= !strcmp(json_text(property, "qom-type") ?: "", "migration") &&
				!strcmp(json_text(property, "property") ?: "", "switchover-ack-legacy");
	json_decref(machines);
	return 0;
}

int hold_choose(struct ram_hold *h, struct source *s, const json_t *settings, struct err *e)
{
	bool newer;
	int r = knows_newer_acknowledgement(s->qmp, &newer, e);

	*h = (struct ram_hold){0};
	if (r)
		return r;
	if (settings_has_capability(settings, "switchover-ack") && !newer) {
		h->way = HOLD_ACKNOWLEDGEMENT;
		/* a QEMU without that limit (8.1) would not look again once the guest runs */
		h->while_paused = s->run.paused && (s->opt->stop.hold || s->opt->stop.at) &&
				  settings_has_capability(settings, "dirty-bitmaps") &&
				  settings_has_parameter(settings, "avail-switchover-bandwidth");
	} else if (settings_has_capability(settings, "dirty-bitmaps"))
		h->way = HOLD_BITMAP;
	return 0;
}

uint64_t hold_limit(const struct ram_hold *h)
{
	return h->begun ? TINY_PER_S : ARMED_PER_S;
}

unsigned hold_capabilities(const struct ram_hold *h, const char **on)
{
	unsigned n = 0;

	if (h->way == HOLD_ACKNOWLEDGEMENT)
		on[n++] = "switchover-ack";
	if (h->begun)
		on[n++] = "dirty-bitmaps";
	return n;
}

static const char *node_name(char out[NODE_NAME_MAX], const struct source *s)
{
	char prefix[QEMU_PREFIX_MAX];

	snprintf(out, NODE_NAME_MAX, "%shold", qemu_prefix(prefix, s->part.a->id));
	return out;
}

static int make_bitmap(struct source *s, const char *node, bool large, struct err *e)
{
	json_int_t bits = large ? LARGE_BITS : SMALL_BITS, grain = large ? LARGE_GRAIN : SMALL_GRAIN;
	int r = qmp_call(s->qmp, "blockdev-add", json_pack("{s:s,s:s,s:I}", "driver", "null-co", "node-name", node, "size", bits * grain),
			 NULL, e);

	return r ? r
		 : qmp_call(s->qmp, "block-dirty-bitmap-add",
			    json_pack("{s:s,s:s,s:I}", "node", node, "name", BITMAP, "granularity", grain), NULL, e);
}

/* Memory's migration carries no other bitmap: the guest's own travel with the disks (disks-bitmaps.h), and the move's stay here. */
static int name_bitmap(struct source *s, const char *node, struct err *e)
{
	return qmp_call(s->qmp, "migrate-set-parameters",
			json_pack("{s:[{s:s,s:s,s:[{s:s,s:s}]}]}", "block-bitmap-mapping", "node-name", node, "alias", node, "bitmaps",
				  "name", BITMAP, "alias", BITMAP),
			NULL, e);
}

int hold_begin(struct ram_hold *h, struct source *s, const json_t *settings, struct err *e)
{
	char node[NODE_NAME_MAX];
	json_t *before = json_object_get(json_object_get(settings, "parameters"), "block-bitmap-mapping");
	int r;

	if (h->way != HOLD_BITMAP && !h->while_paused)
		return 0;
	node_name(node, s);
	r = attempt_own(s->part.a, "hold", json_pack("{s:s,s:O*}", "node", node, "mapping", before), e);
	r = r ?: make_bitmap(s, node, !settings_has_parameter(settings, "avail-switchover-bandwidth"), e) ?: name_bitmap(s, node, e);
	h->begun = !r;
	return r;
}

/* QEMU cannot go back to "every bitmap", which it begins with: where nothing was set before, no bitmap is. A mapping that somebody else
 * has set meanwhile stays. */
static int put_mapping_back(struct source *s, const json_t *detail, const char *node, struct err *e)
{
	json_t *before = json_object_get(detail, "mapping"), *now;
	bool ours;
	int r = qmp_call(s->qmp, "query-migrate-parameters", NULL, &now, e);

	if (r)
		return r;
	ours = !strcmp(json_text(json_array_get(json_object_get(now, "block-bitmap-mapping"), 0), "node-name") ?: "", node);
	json_decref(now);
	return ours ? qmp_call(s->qmp, "migrate-set-parameters",
			       json_pack("{s:o}", "block-bitmap-mapping", before ? json_incref(before) : json_array()), NULL, e)
		    : 0;
}

int hold_undo(struct source *s, const json_t *detail, struct err *e)
{
	const char *node = json_text(detail, "node");
	int r;

	if (!node)
		return err_set(e, EBADMSG, "the journal does not name the node");
	r = qemu_migration_settle(s->qmp, s->part.a->loop, e) ?: put_mapping_back(s, detail, node, e);
	r = r ?: qmp_call(s->qmp, "blockdev-del", json_pack("{s:s}", "node-name", node), NULL, e);
	return r == -EREMOTEIO && strstr(e->msg, "find") ? 0 : r;
}
