/* vma-disks.h: the guest of an archive of Proxmox VE's (vma.h): its configuration, which disks of it are there, and these unpacked. */
#ifndef VMFERRY_IMPORT_VMA_DISKS_H
#define VMFERRY_IMPORT_VMA_DISKS_H

#include "sources.h"

/* Reads the configuration into s->text. 0; -EINVAL: it has none, or is damaged; -errno. */
int vma_disks_open(struct sources *s, struct err *e);
/* Leaves out those disks of d that are neither in it nor named by the user. */
void vma_disks_find(struct sources *s, struct guest_description *d, const struct sources_named *named);

#endif
