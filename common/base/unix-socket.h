/* unix-socket.h: a connection to a unix stream socket. */
#ifndef VMFERRY_UNIX_SOCKET_H
#define VMFERRY_UNIX_SOCKET_H

#include <stdbool.h>

#define UNIX_SOCKET_PATH_MAX 107 /* bytes */

/*
 * The connected socket, close-on-exec; flags: 0 or SOCK_NONBLOCK. Otherwise -errno of connect(2), with -ENAMETOOLONG for a path that no
 * such address holds; with SOCK_NONBLOCK -EAGAIN means that somebody listens and has no time for more.
 */
int unix_connect(const char *path, int flags);
/* True if a live socket is bound to the path, or if that cannot be told. Its owner notices nothing: we connect with another socket type,
 * which fails with EPROTOTYPE (unix(7)) if it lives, and with ECONNREFUSED if it is gone. */
bool unix_is_bound(const char *path);

#endif
