/*
 * source-sockets.h: where the sockets between a guest's QEMU and us are. A QEMU of ours has them in our runtime directory; one of libvirt's, which mostly runs as
 * another user, in a directory of its user's, by names that libvirt's security drivers let it have.
 */
#ifndef VMFERRY_SOURCE_SOCKETS_H
#define VMFERRY_SOURCE_SOCKETS_H

#include "source.h"

#define SOCKET_DIR "socket-dir" /* journal entry */

/* A path that its QEMU may listen at, or connect to; what: "nbd". Malloc'ed. */
char *source_socket(const struct source *s, const char *what);
/* Makes the directory, if it takes one of its own, and finds out whose it is: s->libvirt_user. */
int source_sockets_prepare(struct source *s, struct err *e);
/* Removes it, from the journal alone: whoever made a socket there has removed that. */
int source_sockets_undo(const json_t *detail, struct err *e);

#endif
