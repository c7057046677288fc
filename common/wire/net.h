/*
 * net.h: the few socket calls both agents need before a channel exists.
 */
#ifndef VMFERRY_NET_H
#define VMFERRY_NET_H

#include "err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* A range of TCP ports; 0, 0: any free one. */
struct net_ports {
	unsigned first, last;
};

/* "HOST:PORT", "[V6]:PORT". Splits into malloc'ed parts; port may be "0". */
int net_parse(const char *text, char **host, char **port, struct err *e);
/* "50000-50100", "7788", "0". */
int net_parse_ports(const char *text, struct net_ports *out, struct err *e);
/* Listens on a numeric address, "localhost", or "*" (every address, of IPv6 too where there is that), on the first port of
 * the range that is free. *actual (malloc'ed, may be NULL) is "ADDR:PORT" with the port that was given. Only an address that
 * carries traffic in clear safely (loopback) or `any` is accepted. */
int net_listen(const char *host, struct net_ports ports, bool any, int *fd, char **actual, struct err *e);
/* net-connect.c. any as above. */
int net_connect(const char *host, const char *port, bool any, unsigned timeout_ms, int *fd, struct err *e);
/* Sets TCP_NODELAY and keep-alive: a dead peer is noticed within seconds. A live peer that takes nothing for a while, as its disk is
 * slow, does not lose the connection. */
void net_tune(int fd);
/* Limits silence: a dead peer is also noticed while bytes are unacknowledged. For the control connection, which is always read. */
void net_limit_silence(int fd);
/* True if TCP has had no answer to data or keep-alive probes for limit_ms (0: no limit): a live peer that takes nothing still answers. Call
 * it now and then; *answered_ns is its memory, 0 at first. False for sockets other than TCP. tcp(7), TCP_INFO. */
bool net_is_silent(int fd, unsigned limit_ms, uint64_t *answered_ns);
/* The address of a connected socket's peer as "ADDR:PORT", malloc'ed. */
char *net_peer(int fd);
/* The peer's address alone, numeric, malloc'ed; NULL: it has none. */
char *net_peer_address(int fd);
/* The addresses of a connection, the connecting end's first: the same text at both ends, unless something rewrites addresses between them.
 * malloc'ed. */
char *net_way(int fd, bool accepted);
int net_local_port(int fd);

bool net_is_loopback(const struct sockaddr *sa);
bool net_peer_is_loopback(int fd);
/* Sets the sentence why host is refused, and returns -EPERM. */
int net_refuse_clear(const char *host, struct err *e);

#endif
