/*
 * box.h: archives of tar that are no OVA, or are compressed: a Vagrant box has metadata.json, and of its guest an OVF (VirtualBox), a VMX with its disks
 * (VMware), or images (libvirt).
 */
#ifndef VMFERRY_IMPORT_BOX_H
#define VMFERRY_IMPORT_BOX_H

#include "file-kind.h"
#include "sources.h"

/*
 * Sets s->tar, and *kind to what is in it. What is compressed, and a VMX with its disks, is unpacked below dir until sources_clean(); s->description is that
 * VMX then. 0; -EINVAL: it is damaged, or a tar as none of these is; -errno.
 */
int box_open(struct sources *s, enum file_kind *kind, const char *dir, struct err *e);

#endif
