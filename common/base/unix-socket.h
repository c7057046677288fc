/* unix-socket.h: a connection to a unix stream socket. */
#ifndef VMFERRY_UNIX_SOCKET_H
#define VMFERRY_UNIX_SOCKET_H

#define UNIX_SOCKET_PATH_MAX 107 /* bytes */

/*
 * The connected socket, close-on-exec; flags: 0 or SOCK_NONBLOCK. Otherwise -errno of connect(2), with -ENAMETOOLONG for a path that no
 * such address holds; with SOCK_NONBLOCK -EAGAIN means that somebody listens and has no time for more.
 */
int unix_connect(const char *path, int flags);

#endif
