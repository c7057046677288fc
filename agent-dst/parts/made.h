/*
 * made.h: files that this move makes here: owned by the journal before they are there, under a name that only this attempt has, and given
 * their own when they are whole.
 */
#ifndef VMFERRY_MADE_H
#define VMFERRY_MADE_H

#include "target.h"

/* A name that only we can have made: of this attempt. */
int made_own(struct attempt *a, const char *kind, const char *path, struct err *e);
/* Gives it its final name, unless another file has that. */
int made_publish(struct attempt *a, const char *temp, const char *path, struct err *e);
/* Journals the files that QEMU is about to make, by its line: sockets, logs and the like that do not exist yet. */
int made_own_what_qemu_makes(struct target *t, pid_t pid, struct err *e);
/* The files that QEMU has made are its own by now: found when it starts, or (found) before it is ended. */
void made_know_what_qemu_made(struct target *t, bool found);

/* Looks for a move that is not over and has made path, or is about to: it would remove path if it were rolled back. 1: there is one; 0:
 * none; -errno. */
int made_by_another(const char *state_dir, const char *path, struct err *e);
/* True if the host has rebooted since the attempt began. */
bool made_is_rebooted(const struct target *t);

/* Undoes "file" and "made-by-qemu"; as attempt_ops.undo. */
int made_undo_file(struct target *t, const json_t *detail, struct err *e);
int made_undo_unknown(struct target *t, const json_t *detail, struct err *e);

#endif
