/* libvirt-notes.h: a definition's lists of words: what of its host it names beside disks, what keeps it from a live move, secrets. Pure. */
#ifndef VMFERRY_LIBVIRT_NOTES_H
#define VMFERRY_LIBVIRT_NOTES_H

#include "libvirt-walk.h"

/* Fills files, blocks_live, secrets and listens. -EINVAL: there are too many. */
int libvirt_notes_read(struct libvirt_definition *d, const xmlNode *domain, struct err *e);

#endif
