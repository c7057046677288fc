/* startup.h: what starts the guest here again without us (afterwards.h), as a part of its move: planned, drafted, and given its name at the
 * end. */
#ifndef VMFERRY_STARTUP_H
#define VMFERRY_STARTUP_H

#include "arriving-disks.h"
#include "arriving-tpm.h"

struct startup {
	struct part part;
	struct target *target;
	const struct disks *disks;
	const struct tpm *tpm;
	json_t *plan, *settled;	  /* plan, and what came of it; NULL: not yet */
	bool run;		  /* start was tried, in this life */
	struct qemu_proc started; /* process that the script started, not looked at yet */
	uint64_t started_ns;
};

void startup_init(struct startup *s, struct target *target, const struct disks *disks, const struct tpm *tpm);
/* Drafts the script or unit, once the line is known. */
int startup_draft(struct startup *s, struct err *e);
/* Publishes it once the guest can only be ours. Once per life. went_on: another client has since moved the guest elsewhere, or shut it
 * down. */
void startup_settle(struct startup *s, bool went_on);
/* Runs the script after startup_settle(). The result is reported with the rest. */
void startup_run(struct startup *s);
/* Waits until it has run for a moment, for which the source, which has heard that the guest is started, need not wait. */
void startup_look_at_started(struct startup *s);
/* Reports that it was to be run, but not in this life. */
void startup_tell_not_run(struct startup *s);

#endif
