/*
 * arriving-definition.h: the definition of a libvirt guest that comes shut down, as a part of its move: looked at with this host's libvirt, kept in
 * a file that the journal owns, and defined with its snapshots and its autostart when the guest may start here.
 */
#ifndef VMFERRY_ARRIVING_DEFINITION_H
#define VMFERRY_ARRIVING_DEFINITION_H

#include "arriving-disks.h"
#include "handoff.h"
#include "libvirt-rpc.h"
#include "target.h"

struct definition {
	struct part part;
	struct target *target;
	const struct disks *disks;
	json_t *accept; /* report about this host's libvirt for ACCEPT; NULL: it was not asked */
	json_t *settled;
	json_t *kept;	/* definition of a settled move */
	json_t *failed; /* snapshots and autostart that failed: a sentence each */
	bool started;	/* start was tried, in this life */
	bool has_left;	/* the guest was here, and has gone elsewhere since */
};

void definition_init(struct definition *d, struct target *target, const struct disks *disks);
/* Takes the definition from PREPARE. The journal owns its file from then on. */
int definition_take(struct definition *d, const json_t *prepare, struct err *e);
/* Notes the devices that the guest has as it arrives; see living_definition_note(). */
int definition_note_devices(struct definition *d, struct lv *v, const struct lv_domain *it, struct err *e);
/* Disks that were made in the place of a pool become volumes of it. What libvirt cannot do it says when it needs them. */
void definition_find_volumes(const struct definition *d);
/* Defines the guest, in this life or a later one. 0: *out says whether it is defined; -EAGAIN: that cannot be told. */
int definition_define(struct definition *d, enum handoff_event *out, struct err *e);
/* Completes the definition once the guest can only be ours. Once per life. */
void definition_settle(struct definition *d);
/* Has libvirt start the guest, after definition_settle(), once per life. The result is reported with the rest. */
void definition_start(struct definition *d);

#endif
