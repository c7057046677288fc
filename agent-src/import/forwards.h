/* forwards.h: chooses the description's port forwardings that are possible on this host. */
#ifndef VMFERRY_IMPORT_FORWARDS_H
#define VMFERRY_IMPORT_FORWARDS_H

#include "guest-description.h"

/*
 * Leaves out, with a note, what a card that is not on QEMU's NAT (nets: --net) cannot have, and what something else here has, as a QEMU that
 * does not get a port does not start. The ports that stay are noted, too.
 */
void forwards_choose(const char *const *nets, struct guest_description *d);

#endif
