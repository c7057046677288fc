/* box.h: tar archives that are compressed, or not an OVA: a Vagrant box has metadata.json, and its guest's OVF (VirtualBox), VMX with
 * disks (VMware), or images (libvirt). */
#ifndef VMFERRY_IMPORT_BOX_H
#define VMFERRY_IMPORT_BOX_H

#include "file-kind.h"
#include "sources.h"

/* Sets s->tar, and *kind by its contents. A compressed archive, or a VMX with its disks, is unpacked below dir until sources_clean();
 * then s->description is that VMX. -EINVAL: damaged, or not such an archive. */
int box_open(struct sources *s, enum file_kind *kind, const char *dir, struct err *e);

#endif
