/*
 * link.h: a connection to a peer before a channel has it: a socket, plain or with TLS in it. The connecting side waits, with
 * deadlines; the accepting side has many strangers at once and waits for none.
 *
 * A link never reads ahead: bytes after the last message that was asked for are still in the socket when a channel takes it over.
 */
#ifndef VMFERRY_LINK_H
#define VMFERRY_LINK_H

#include "err.h"
#include "tls.h"

#define LINK_RECORD_HEADER 5 /* RFC 8446, 5.1: type, version, length */

struct link {
	int fd;
	struct tls *tls; /* NULL: plain */
	unsigned record; /* bytes of the TLS record that is coming in; not for decryption before it is whole */
	uint8_t header[LINK_RECORD_HEADER];
};

#define LINK_NONE ((struct link){.fd = -1})

/* Sends exactly n bytes. Deadlines are moments of now_ns(); 0: fails unless it can be done at once. -ETIMEDOUT, -EPIPE (the peer
 * closed), -errno. */
int link_send(struct link *l, const void *p, size_t n, uint64_t deadline_ns, struct err *e);
/* Waits until something arrives. 0, or -ETIMEDOUT. */
int link_wait(const struct link *l, uint64_t deadline_ns, struct err *e);
/* Shakes hands; t belongs to the link from here on, whatever happens. */
int link_secure(struct link *l, struct tls *t, uint64_t deadline_ns, struct err *e);
/* The round-trip time to the peer in ms, as TCP has measured it; 0: it has not, or this is not TCP. tcp(7), TCP_INFO. */
double link_round_trip_ms(const struct link *l);
/* Says goodbye. */
void link_close(struct link *l);

/* Goes on without waiting. 1: done; 0: call again when more has come in; -errno. */
int link_secure_more(struct link *l, struct err *e); /* l->tls shakes hands */
/* *have of n bytes are there; starts with 0. */
int link_receive_more(struct link *l, void *p, size_t n, size_t *have, struct err *e);
/* Checks whether the peer's first bytes look like TLS; *yes is set if 1 is returned. */
int link_peek_tls(const struct link *l, bool *yes, struct err *e);
/* Closes this process's end without a word to the peer, which another process may have. */
void link_forget(struct link *l);

#endif
