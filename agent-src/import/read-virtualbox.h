/* read-virtualbox.h: what VirtualBox's own <Machine> says of a guest, within an OVF as in a .vbox. */
#ifndef VMFERRY_IMPORT_READ_VIRTUALBOX_H
#define VMFERRY_IMPORT_READ_VIRTUALBOX_H

#include "guest-description.h"
#include "xml.h"

/* Firmware, chipset, identity, clock, serial ports. machine may be NULL. -EINVAL: it is a guest of another processor. */
int virtualbox_machine(struct guest_description *d, const xmlNode *machine, struct err *e);
/* The machine's n-th adapter that is enabled; NULL: it has no more. */
const xmlNode *virtualbox_adapter(const xmlNode *machine, size_t number);
/* Model, address, network and PCI address of an adapter (NULL: nothing is known of it), whose model is else as in sub. */
void virtualbox_nic(struct guest_description *d, struct described_nic *to, const xmlNode *adapter, const char *sub);

#endif
