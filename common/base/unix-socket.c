/* unix-socket.c: see unix-socket.h. */
#include "unix-socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int connect_to(const char *path, int type)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd, r;

	_Static_assert(sizeof(sa.sun_path) == UNIX_SOCKET_PATH_MAX + 1, "unix(7)");
	if (strlen(path) > UNIX_SOCKET_PATH_MAX)
		return -ENAMETOOLONG;
	strcpy(sa.sun_path, path);
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	if (fd < 0 || !connect(fd, (struct sockaddr *)&sa, sizeof(sa)))
		return fd < 0 ? -errno : fd;
	r = -errno;
	close(fd);
	return r;
}

int unix_connect(const char *path, int flags)
{
	return connect_to(path, SOCK_STREAM | flags);
}

bool unix_is_bound(const char *path)
{
	int fd = connect_to(path, SOCK_SEQPACKET | SOCK_NONBLOCK);

	if (fd >= 0)
		close(fd);
	return fd != -ECONNREFUSED && fd != -ENOENT;
}
