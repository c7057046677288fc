/*
 * guest-agent.h: the file systems of a running guest, frozen for a moment by qemu-ga in it.
 *
 * A process of its own does it, which thaws what it has frozen when it is told to, when we die, or when FREEZE_MAX_MS are over, whatever
 * comes first: no guest stays frozen because an exporter was killed. Should that process die, freeze_end() thaws; should both, whoever takes up the journal does,
 * by what freeze_entry() has put there.
 */
#ifndef VMFERRY_GUEST_AGENT_H
#define VMFERRY_GUEST_AGENT_H

#include "err.h"
#include "qemu-discover.h"
#include "rescuer.h"

#include <jansson.h>

#define FREEZE_MAX_MS 10000 /* maximum that Windows allows */

struct freeze {
	struct rescuer thaws;
	const char *path;
	pid_t qemu;
};

/* Journal entry to be written before freeze_begin(), until the guest is thawed; a new reference. */
json_t *freeze_entry(const char *path, pid_t qemu);
/* Settles such an entry: thaws if the guest's agent reports frozen file systems. 0: they are not frozen any more, or QEMU has ended. */
int freeze_settle(const json_t *entry, struct err *e);

/* 0: the file systems are frozen until freeze_end(), or for FREEZE_MAX_MS; path must stay valid until then. -EIO: they may be frozen.
 * Another -errno: they are not, or not any more; *e says why. */
int freeze_begin(struct freeze *f, const char *path, pid_t qemu, struct err *e);
/* Thaws. 0: they were frozen all the time, and are thawed. -ETIMEDOUT: they were not frozen all the time; -EIO: they may still be
 * frozen. */
int freeze_end(struct freeze *f, struct err *e);

#endif
