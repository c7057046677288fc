/*
 * owners.h: whose a file is that both hosts see. libvirt gives a guest's images to its QEMU's user when it starts the guest, and to root when it has ended; of
 * one that goes on at the other host that takes its images away from it. Called by both agents where libvirt forgets a guest whose images stay.
 */
#ifndef VMFERRY_OWNERS_H
#define VMFERRY_OWNERS_H

#include "err.h"

#include <jansson.h>
#include <sys/types.h>

/* The real path is noted: {"path", "uid", "gid", "dev", "inode", "born"}, for a journal; NULL: it is not there, or no regular file. */
json_t *owner_of(const char *path);
/* An image is theirs again. One that is not there any more is nobody's. Others may change what is at that path, so only the same file is given back, and only from root
 * or the user whom libvirt here gave it to (given; 0: not known). */
int owner_give_back(const json_t *owner, uid_t given, struct err *e);

#endif
