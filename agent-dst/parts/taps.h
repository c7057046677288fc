/*
 * taps.h: the guest's taps go over to the QEMU that takes the place of another on the same host (common/host/tap.h).
 *
 * Theory of operation. Until the other QEMU has ended its taps are its own, and the new one has others that stand in for them. What is
 * owned here (kind "tap" of the journal) is the task to pass one on: undone for a guest that stays here it is carried out, by this life or
 * a later one; for one that does not, the tap is as persistent as it was.
 */
#ifndef VMFERRY_TAPS_H
#define VMFERRY_TAPS_H

#include "target.h"

/* 0: the taps of the new line can be passed on; else -EPERM, -ENODEV, -EEXIST. */
int taps_examine(struct target *t, struct err *e);
/* Checks the tap of a QEMU that replaces no other. 0: it can be made or opened here; -EBUSY: a process has it open;
 * -EEXIST: something else has its name; -EPERM: QEMU (exe) has no right to. */
int taps_check_free(const struct args_nic *n, const char *exe, struct err *e);
/* A tap that is here has as many queues as the line has QEMU open: one, or several (-EINVAL). */
int taps_check_queues(const struct args_result *line, const struct args_nic *n, struct err *e);
/* Makes the taps persist, before the new QEMU begins. */
int taps_hold(struct target *t, struct err *e);
/* Checks, once the new QEMU has begun, that we may pass the taps on. */
int taps_try(struct target *t, struct err *e);
/* Adds cautions about taps for the user. */
void taps_tell(const struct target *t, json_t *cautions);
/* Undoes as part_undo.undo. */
int taps_undo(const struct target *t, const json_t *detail, struct err *e);

#endif
