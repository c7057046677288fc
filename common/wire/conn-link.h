/*
 * conn-link.h: the connection of a channel over a link: a socket, plain or with TLS in it, in a loop.
 */
#ifndef VMFERRY_CONN_LINK_H
#define VMFERRY_CONN_LINK_H

#include "channel.h"
#include "link.h"
#include "loop.h"

/* Makes a connection for channel_attach(), in l's thread or before that runs. The link is the connection's from then on. */
struct conn *conn_link_new(struct loop *l, struct link link);
/* A channel over its first connection. */
struct channel *channel_over(struct loop *l, struct link link, const struct channel_config *cfg);

#endif
