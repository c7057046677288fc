/* claim.c: see claim.h. */
#include "claim.h"
#include "process.h"
#include "util.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Whoever has the name, if their word counts; 0: nobody's does. */
static pid_t holder(const struct sockaddr_un *name, socklen_t len)
{
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct ucred who;
	socklen_t n = sizeof(who);

	if (fd < 0 || connect(fd, (const struct sockaddr *)name, len) || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n))
		return 0;
	return who.uid == geteuid() || !who.uid ? who.pid : 0;
}

/* The name is abstract (unix(7)): it needs no directory, and goes with its socket. */
int guest_claim(pid_t qemu, int *claim, struct err *e)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	uint64_t start_time;
	socklen_t len;
	pid_t other;

	*claim = -1;
	if (process_start_time(qemu, &start_time))
		return 0;
	len = (socklen_t)offsetof(struct sockaddr_un, sun_path) + 1 +
	      (socklen_t)snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "vmferry-guest-%d-%llu", (int)qemu,
				  (unsigned long long)start_time);
	*claim = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*claim < 0)
		return err_sys(e, errno, "socket");
	if (!bind(*claim, (const struct sockaddr *)&name, len) && !listen(*claim, SOMAXCONN))
		return 0;
	close(*claim);
	*claim = -1;
	other = holder(&name, len);
	return other ? err_set(e, EBUSY,
			       "a move of this guest is under way already (process %d, a vmferry with other directories): wait for its end",
			       (int)other)
		     : 0;
}
