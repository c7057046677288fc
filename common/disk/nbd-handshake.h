/*
 * nbd-handshake.h: from a socket's path to a negotiated NBD connection. Blocking, against one deadline: it happens
 * before the data path. Only for nbd.c.
 */
#ifndef VMFERRY_NBD_HANDSHAKE_H
#define VMFERRY_NBD_HANDSHAKE_H

#include "nbd.h"

struct nbd_session {
	int fd;
	struct nbd_info info;
	bool structured; /* replies */
	uint32_t context_id[NBD_MAX_CONTEXTS];
};

/* Fills *s; on failure nothing is left open. contexts: NULL-terminated, or NULL. */
int nbd_handshake(struct nbd_session *s, const char *socket_path, const char *export_name, const char *const *contexts, unsigned timeout_ms,
		  struct err *e);

#endif
