/*
 * in-place.h: a QEMU that starts on the host of the one whose guest it is to have, and whose line it has.
 *
 * Theory of operation. QEMU makes its sockets, and its pidfile, under the names that the line says, in place of whatever has
 * them: the other QEMU's. So for the moment in which it starts those are set aside (kind "aside" in the journal). As soon as
 * it is up its own are hidden (monitors.h), and the others have their names back: until the guest is handed over who calls a monitor
 * speaks with the QEMU that has the guest. Then the new ones take their places. But a QEMU that ends by itself removes what has those names,
 * whose ever it is: so the others keep their second name, too, until it is known which QEMU stays.
 */
#ifndef VMFERRY_IN_PLACE_H
#define VMFERRY_IN_PLACE_H

#include "target.h"

/* Whether QEMU makes it, and takes away what has its name. */
bool in_place_is_taken(const struct args_file *f);
/* Nobody else has made something there meanwhile. */
bool in_place_may_replace(const struct target *t, const char *path);
/* hidden: of the new QEMU. It is to be used by those who may use what it takes the place of. */
void in_place_give_rights(const struct target *t, const char *path, const char *hidden);
/* What is there already is of the QEMU in whose place it is to be, and of nobody else: -EEXIST. */
int in_place_examine(const struct target *t, struct err *e);
/* Makes room for what QEMU is about to make. */
int in_place_set_aside(struct target *t, struct err *e);
/* What was set aside has its names again, too. -EEXIST: somebody else made something meanwhile. */
int in_place_put_back(struct target *t, struct err *e);
/* The journal says that path was set aside, of a QEMU that lives. */
bool in_place_knows(const struct target *t, const char *path);
/* As part_undo.undo: it has its one name again, or what is there is the new QEMU's. */
int in_place_undo(const struct target *t, const json_t *detail, struct err *e);

#endif
