/* tcp-listener.h: the TCP port on which another process listens, by what the kernel says of both (/proc/PID/net/tcp, /proc/PID/fd). */
#ifndef VMFERRY_TCP_LISTENER_H
#define VMFERRY_TCP_LISTENER_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>

/*
 * The number of the socket on which this process listens at this port; *at: how we reach it, on the loopback interface where it
 * listens on all addresses. 0: it does not, or in another network namespace than ours, or it cannot be told.
 */
unsigned long tcp_listener_of(pid_t pid, unsigned port, struct sockaddr_storage *at);
/* True if some process of our network namespace listens at this port, on whatever address; also where that cannot be told. Connects to nobody. */
bool tcp_is_listened_at(unsigned port);
/* True if the process has a connection that it has taken at this port. */
bool tcp_serves_client(pid_t pid, unsigned port);
/* The size of an IPv4 or IPv6 address. */
socklen_t tcp_address_bytes(const struct sockaddr_storage *at);

#endif
