/*
 * clients.h: character devices of the guest that connect when QEMU starts (-serial tcp:HOST:PORT, -chardev socket,path=…). QEMU does not start where nobody
 * listens, so this is looked up: nobody is connected to, as a program that serves one client would take that one for the guest.
 */
#ifndef VMFERRY_DST_CLIENTS_H
#define VMFERRY_DST_CLIENTS_H

#include "target.h"

/* Adds an obstacle for each socket on which nobody listens: those by name, and ports of this host. A guest at rest is not started by us. */
void clients_examine(struct target *t);
/* Adds a sentence for each, of a guest at rest. */
void clients_tell(const struct target *t, json_t *cautions);

#endif
