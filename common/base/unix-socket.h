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
/* Whether a socket that lives is bound to it; true, too, if that cannot be told. Whoever has it notices nothing: it is asked with a type
 * that it has not (unix(7): EPROTOTYPE), and one that has gone answers ECONNREFUSED. */
bool unix_is_bound(const char *path);

#endif
