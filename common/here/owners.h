/*
 * owners.h: whose a file is that both hosts see. libvirt gives a guest's images to its QEMU's user when it starts the guest, and to root when it has ended; of
 * one that goes on at the other host that takes its images away from it. Called by both agents where libvirt forgets a guest whose images stay.
 */
#ifndef VMFERRY_OWNERS_H
#define VMFERRY_OWNERS_H

#include "err.h"

#include <jansson.h>

/* {"path", "uid", "gid"}, for a journal; NULL: it is not there. */
json_t *owner_of(const char *path);
/* It is theirs again. One that is not there any more is nobody's. */
int owner_give_back(const json_t *owner, struct err *e);

#endif
