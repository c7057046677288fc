/* guest-brought.h: guests that a move brings to this host right now, as that move's journal here says. */
#ifndef VMFERRY_GUEST_BROUGHT_H
#define VMFERRY_GUEST_BROUGHT_H

#include "qemu-discover.h"

/* True if this QEMU waits for a guest that has not been started in it yet: one of libvirt's does not descend from our agent, and has no
 * monitor of ours. */
bool guest_is_brought(const struct guest *g);

#endif
