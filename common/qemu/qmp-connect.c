/* qmp-connect.c: see qmp-connect.h. */
#include "qmp-connect.h"
#include "pty-master.h"
#include "qmp.h"
#include "tcp-listener.h"
#include "unix-socket.h"
#include "util.h"
#include "deadline.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RETRY_CONNECT_MS 20

int qmp_is_busy(const char *path, struct err *e)
{
	return err_set(e, EBUSY,
		       "another client occupies the QMP monitor %s; start the guest with a second "
		       "-qmp for vmferry, "
		       "or close that client",
		       path);
}

/* The listener is checked before we send anything, as a path is only a name. pid 0: any process of ours. */
static int check_listener(struct qmp_connection *c, pid_t pid, struct err *e)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return err_sys(e, errno, "cannot tell who listens on %s", c->path);
	if (peer.uid != geteuid())
		return err_set(e, EPERM, "the QMP monitor %s is served by another user (uid %u)", c->path, (unsigned)peer.uid);
	if (pid && peer.pid && peer.pid != pid)
		return err_set(e, ESRCH, "%s is served by process %d, not by the guest (pid %d)", c->path, (int)peer.pid, (int)pid);
	c->peer_pid = peer.pid;
	return 0;
}

/* Connects to a TCP port; its socket must belong to the guest's QEMU both before and after we connect. */
static int connect_port(struct qmp_connection *c, pid_t pid, struct err *e)
{
	unsigned port = (unsigned)strtoul(c->path + strlen(QMP_TCP_PREFIX), NULL, 10);
	const struct timeval patience = {.tv_sec = 1}, none = {.tv_sec = 0};
	struct sockaddr_storage at;
	unsigned long before = pid ? tcp_listener_of(pid, port, &at) : 0;

	if (!before)
		return err_set(e, ENOENT, "no QMP monitor of process %d listens on TCP port %u (of this network namespace)", (int)pid,
			       port);
	c->fd = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* a monitor that one client occupies and others wait for accepts no further connection */
	if (c->fd < 0 || setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) ||
	    connect(c->fd, (struct sockaddr *)&at, tcp_address_bytes(&at)))
		return errno == EINPROGRESS ? qmp_is_busy(c->path, e) : err_sys(e, errno, "cannot connect to the QMP monitor %s", c->path);
	setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof(none));
	if (tcp_listener_of(pid, port, &at) != before)
		return err_set(e, ESRCH, "%s is not served by the guest (pid %d) any more", c->path, (int)pid);
	c->peer_pid = pid;
	return 0;
}

/* Opens a pseudo-terminal; its master side must belong to the guest's QEMU both before and after. QEMU checks once a second whether it is
 * open. */
static int connect_terminal(struct qmp_connection *c, pid_t pid, struct err *e)
{
	const char *path = c->path + strlen(QMP_PTY_PREFIX);
	int fd = pty_is_of(pid, path) ? pty_open(path) : -ENOENT;

	if (fd == -ENOENT)
		return err_set(e, ENOENT, "%s is no pseudo-terminal of process %d", path, (int)pid);
	if (fd < 0)
		return err_sys(e, -fd, "cannot open the QMP monitor %s", path);
	c->fd = fd;
	c->is_terminal = true;
	c->peer_pid = pid;
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK) < 0) /* io_uring must wait for data */
		return err_sys(e, errno, "fcntl on %s", path);
	return pty_is_of(pid, path) ? 0 : err_set(e, ESRCH, "%s is not served by the guest (pid %d) any more", path, (int)pid);
}

/* A unix connect never waits when non-blocking: EAGAIN means that the listener's queue is full. */
static int connect_monitor(struct qmp_connection *c, pid_t pid, uint64_t until_ns, struct err *e)
{
	int fd, r;

	while ((fd = unix_connect(c->path, SOCK_NONBLOCK)) < 0) {
		if (fd == -ENAMETOOLONG)
			return err_set(e, ENAMETOOLONG, "the QMP socket path %s is longer than the %d bytes that a unix socket allows",
				       c->path, UNIX_SOCKET_PATH_MAX);
		if (fd != -EAGAIN && fd != -EINTR)
			return err_sys(e, -fd, "cannot connect to the QMP monitor %s", c->path);
		if (!ms_left(until_ns))
			return qmp_is_busy(c->path, e);
		r = loop_step(c->loop, RETRY_CONNECT_MS, e);
		if (r < 0)
			return r;
	}
	c->fd = fd;
	/* io_uring must wait for data, not return EAGAIN */
	if (fcntl(c->fd, F_SETFL, fcntl(c->fd, F_GETFL) & ~O_NONBLOCK) < 0)
		return err_sys(e, errno, "fcntl on %s", c->path);
	return check_listener(c, pid, e);
}

int qmp_connect(struct qmp_connection *c, pid_t pid, uint64_t until_ns, struct err *e)
{
	c->fd = -1;
	return text_starts_with(c->path, QMP_TCP_PREFIX)   ? connect_port(c, pid, e)
	       : text_starts_with(c->path, QMP_PTY_PREFIX) ? connect_terminal(c, pid, e)
							   : connect_monitor(c, pid, until_ns, e);
}
