/*
 * in-place.h: a QEMU that starts on the host of the one whose guest it is to have, and whose line it has.
 *
 * Theory of operation. QEMU makes its sockets, and its pidfile, under the names that the line says, in place of whatever has them: the
 * other QEMU's. So for the moment in which it starts those are set aside (kind "aside" in the journal). As soon as it is up its own are
 * hidden (monitors.h), and the others have their names back: until the guest is handed over who calls a monitor speaks with the QEMU that
 * has the guest. Then the new ones take their places. But a QEMU that ends by itself removes what has those names, whose ever it is: so the
 * others keep their second name, too, until it is known which QEMU stays.
 */
#ifndef VMFERRY_IN_PLACE_H
#define VMFERRY_IN_PLACE_H

#include "target.h"

/* True if QEMU makes the file, and takes away any file of that name. */
bool in_place_is_taken(const struct args_file *f);
/* True if no other program has made something there meanwhile. */
bool in_place_may_replace(const struct target *t, const char *path);
/* Gives the new QEMU's hidden file the access rights of the file that it replaces. */
void in_place_give_rights(const struct target *t, const char *path, const char *hidden);
/* 0: all existing files at these names belong to the QEMU that is replaced; else -EEXIST. */
int in_place_examine(const struct target *t, struct err *e);
/* Sets existing files aside, for those that QEMU is about to make. */
int in_place_set_aside(struct target *t, struct err *e);
/* Gives the files that were set aside their names back. -EEXIST: another process has taken a name meanwhile. */
int in_place_put_back(struct target *t, struct err *e);
/* True if the journal says that path was set aside, and its QEMU lives. */
bool in_place_knows(const struct target *t, const char *path);
/* Undoes as part_undo.undo: the file has its only name again, or the name belongs to the new QEMU. */
int in_place_undo(const struct target *t, const json_t *detail, struct err *e);

#endif
