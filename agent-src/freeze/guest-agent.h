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

#define FREEZE_MAX_MS 10000 /* as long as Windows allows it, too */

struct freeze {
	struct rescuer thaws;
	const char *path;
	pid_t qemu;
};

/* The entry that is journaled before freeze_begin(), until the guest is thawed; a new reference. */
json_t *freeze_entry(const char *path, pid_t qemu);
/* By such an entry: thaws if the guest's agent says that its file systems are frozen. 0: they are not, or its QEMU has ended. */
int freeze_settle(const json_t *entry, struct err *e);

/* 0: its file systems are frozen, until freeze_end(), or for FREEZE_MAX_MS; path stays until then. -EIO: nothing says that they are not. Otherwise they are not, or
 * not any more. e says why. */
int freeze_begin(struct freeze *f, const char *path, pid_t qemu, struct err *e);
/* Thaws. 0: they were frozen all the time, and are not any more. -ETIMEDOUT: not all the time; -EIO: nothing says that they are thawed. */
int freeze_end(struct freeze *f, struct err *e);

#endif
