/*
 * afterwards.h: the guest belongs to its new host: what starts it there again, without vmferry.
 *
 * Theory of operation. The plan names a script DIR/NAME.sh, and with --install-unit a systemd unit that runs it. Prepare
 * writes the script as a hidden draft that nobody can execute, owned by the journal like a disk: a rollback removes it.
 * Once STARTED is durable the guest can only be this host's: afterwards_settle gives the draft its name, writes the unit and
 * enables it. It needs nothing but the journal and may be repeated, so that a later life finishes what a dead agent began;
 * before STARTED nothing here can start the guest, not even at a reboot. A file of that name stays what it is, and the script is
 * NAME-2.sh, but for one of vmferry's own (afterwards_replace).
 */
#ifndef VMFERRY_AFTERWARDS_H
#define VMFERRY_AFTERWARDS_H

#include "err.h"
#include "journal.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Plans the files that start the guest later: {"guest", "script", "draft"}, with install_unit also {"unit", "unit_file", "user"}. Creates
 * nothing. -EEXIST: such a unit exists. -ENOTSUP: this host has no systemd. -EPERM: we may not install a unit. */
int afterwards_plan(json_t **out, const char *guest, const char *dir, const char *attempt, bool install_unit, struct err *e);
/*
 * The guest's disks here (paths), of those that it brings: a script that vmferry wrote before and nobody has edited, and that starts a guest from one
 * of them, is of this guest, as it was here before. The new script takes its place, and those that were renamed as the guest left are removed.
 */
void afterwards_replace(json_t *plan, json_t *disks);
/* Makes the planned unit, if there is one, wait for the mount that path lies on. */
void afterwards_need(json_t *plan, const char *path);
/* Notes the plan in the journal and writes the draft. */
int afterwards_prepare(struct journal *j, json_t *plan, const char *text, struct err *e);
/*
 * STARTED is durable. What came of it, a new reference: "start_script", "unit", "after_reboot" (a sentence), "after_error"
 * (what could not be done), each if there is one. NULL if nothing was planned. doubt: why nobody should start the guest unseen, so that no unit does, with
 * what to do first, in words ("…: see where it runs"); NULL: there is none.
 */
json_t *afterwards_settle(struct journal *j, const char *doubt);
/* The unit that runs the script; malloc'ed. For tests. */
char *afterwards_unit_text(const json_t *plan, const char *script);

#endif
