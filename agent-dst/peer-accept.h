/*
 * peer-accept.h: from a connection that was accepted to a peer that may be listened to: TLS, HELLO, and the proof that
 * it has the right to move guests here. The counterpart of the source's dest-connect.h.
 */
#ifndef VMFERRY_PEER_ACCEPT_H
#define VMFERRY_PEER_ACCEPT_H

#include "channel.h"
#include "hello.h"

#include <stddef.h>

/* Who may move guests here: who has one of these keys (TLS), or, where there are none, who shows the token (in clear). */
struct access {
	const struct tls_key *keys;
	size_t key_count;
	const char *token;	  /* "" with keys */
	const char *token_origin; /* where the user finds it, for the refusal */
};

/* Takes over fd. On failure the peer has been told why, as far as it can be, and everything is closed. Blocks up to
 * timeout_ms. */
int peer_accept(int fd, const struct access *access, unsigned timeout_ms, struct link *link, struct hello *theirs, struct err *e);

#endif
