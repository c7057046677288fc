/*
 * link.h: a connection to a peer before a channel has it: a socket, plain or with TLS in it. Blocking, with deadlines.
 *
 * Nothing is read ahead: what the peer sends after the last thing that was asked for is still in the socket when a channel
 * takes the link over.
 */
#ifndef VMFERRY_LINK_H
#define VMFERRY_LINK_H

#include "err.h"
#include "tls.h"

struct link {
	int fd;
	struct tls *tls; /* NULL: plain */
};

#define LINK_NONE ((struct link){.fd = -1})

/* Exactly n bytes. Deadlines are of now_ns(). -ETIMEDOUT, -EPIPE (the peer closed), -errno. */
int link_send(struct link *l, const void *p, size_t n, uint64_t deadline_ns, struct err *e);
int link_receive(struct link *l, void *p, size_t n, uint64_t deadline_ns, struct err *e);
/* Shakes hands; t belongs to the link from here on, whatever happens. */
int link_secure(struct link *l, struct tls *t, uint64_t deadline_ns, struct err *e);
/* Does what the peer sends first look like TLS? Waits for it. 1, 0 or -errno. */
int link_peek_tls(const struct link *l, uint64_t deadline_ns, struct err *e);
void link_close(struct link *l);

#endif
