/*
 * owners.h: the owner of a file that both hosts see. libvirt gives a guest's images to QEMU's user when it starts the guest, and to root
 * when the guest has ended; if the guest goes on at the other host, that takes its images away from it. Called by both agents where libvirt
 * forgets a guest whose images stay.
 */
#ifndef VMFERRY_OWNERS_H
#define VMFERRY_OWNERS_H

#include "err.h"

#include <jansson.h>
#include <sys/types.h>

/* The owner for a journal: {"path" (the real path), "uid", "gid", "dev", "inode", "born"}; NULL: the file is missing, or not a regular
 * file. */
json_t *owner_of(const char *path);
/* Gives an image back to the owner noted; 0 also if it is gone. Others may change what is at that path, so only the same file is given
 * back, and only from root or from the user whom libvirt here gave it to (given; 0: not known). */
int owner_give_back(const json_t *owner, uid_t given, struct err *e);

#endif
