/* net-connect.c: see net.h. A file of its own, as only the connecting side resolves names: a static program cannot. */
#include "net.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>

static int resolve(const char *host, const char *port, struct addrinfo **ai, struct err *e)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	int r = getaddrinfo(host, port, &hints, ai);

	return r ? err_set(e, EINVAL, "cannot resolve '%s': %s", host, gai_strerror(r)) : 0;
}

static int connect_one(const struct addrinfo *ai, unsigned timeout_ms)
{
	struct pollfd p = {.events = POLLOUT};
	int code = 0;
	socklen_t len = sizeof(code);

	p.fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (p.fd < 0)
		return -errno;
	if (connect(p.fd, ai->ai_addr, ai->ai_addrlen) && errno != EINPROGRESS)
		code = errno;
	else if (poll(&p, 1, (int)timeout_ms) == 0)
		code = ETIMEDOUT;
	else
		getsockopt(p.fd, SOL_SOCKET, SO_ERROR, &code, &len);
	if (code) {
		close(p.fd);
		return -code;
	}
	fcntl(p.fd, F_SETFL, fcntl(p.fd, F_GETFL) & ~O_NONBLOCK);
	return p.fd;
}

int net_connect(const char *host, const char *port, bool any, unsigned timeout_ms, int *out, struct err *e)
{
	struct addrinfo *list, *ai;
	int fd = -ENOENT, r = resolve(host, port, &list, e);

	if (r)
		return r;
	for (ai = list; ai && fd < 0; ai = ai->ai_next) {
		if (!any && !net_is_loopback(ai->ai_addr)) {
			freeaddrinfo(list);
			return net_refuse_clear(host, e);
		}
		fd = connect_one(ai, timeout_ms);
	}
	freeaddrinfo(list);
	if (fd < 0)
		return err_sys(e, -fd, "cannot connect to %s:%s", host, port);
	net_tune(fd);
	*out = fd;
	return 0;
}
