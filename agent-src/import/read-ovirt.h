/* read-ovirt.h: what oVirt and RHV (the engine's OVF, within an OVA or on an export domain) write otherwise than the standard says. */
#ifndef VMFERRY_IMPORT_READ_OVIRT_H
#define VMFERRY_IMPORT_READ_OVIRT_H

#include "guest-description.h"
#include "xml.h"

#include <stdbool.h>

/* Gives <Section xsi:type="ovf:DiskSection_Type"> and <Content …> the names that the standard has for them. True: the OVF is one of oVirt's. */
bool ovirt_normalize(xmlNode *envelope);
/* Machine, firmware and identity. */
void ovirt_machine(struct guest_description *d, const xmlNode *system);
int ovirt_cpus(struct guest_description *d, const xmlNode *item, struct err *e);
/* disk: an element of the DiskSection. */
void ovirt_disk(struct described_disk *to, const xmlNode *disk, const xmlNode *item);
void ovirt_nic(struct guest_description *d, struct described_nic *to, const xmlNode *item);
/* Reads a device that is neither disk, drive, card, memory nor processor. */
void ovirt_device(struct guest_description *d, const xmlNode *item);

#endif
