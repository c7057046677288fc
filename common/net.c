/* net.c: see net.h. */
#include "net.h"
#include "util.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define SILENCE_MS 15000

int net_parse(const char *text, char **host, char **port, struct err *e)
{
	const char *colon = strrchr(text, ':'), *h = text;
	size_t n;

	if (!colon || !colon[1] || strspn(colon + 1, "0123456789") != strlen(colon + 1) || atol(colon + 1) > 65535)
		return err_set(e, EINVAL, "'%s' is not ADDRESS:PORT", text);
	n = (size_t)(colon - text);
	if (n > 1 && text[0] == '[' && text[n - 1] == ']') {
		h++;
		n -= 2;
	}
	if (!n)
		return err_set(e, EINVAL, "'%s' is not ADDRESS:PORT", text);
	*host = strndup(h, n);
	*port = xstrdup(colon + 1);
	return 0;
}

static bool is_loopback(const struct sockaddr *sa)
{
	if (sa->sa_family == AF_INET)
		return (ntohl(((const struct sockaddr_in *)(const void *)sa)->sin_addr.s_addr) >> 24) == 127;
	return sa->sa_family == AF_INET6 &&
	       IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr);
}

static int refuse_clear(const char *host, struct err *e)
{
	return err_set(e, EPERM,
		       "%s is not a loopback address, and the connection is not encrypted: guest memory and disks would "
		       "cross the network in clear, and anyone could start programs here. In a test network namespace of "
		       "your own, say --plaintext",
		       host);
}

static int resolve(const char *host, const char *port, int flags, struct addrinfo **ai, struct err *e)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags};
	int r = getaddrinfo(host, port, &hints, ai);

	return r ? err_set(e, EINVAL, "cannot resolve '%s': %s", host, gai_strerror(r)) : 0;
}

static char *name_of(const struct sockaddr *sa, socklen_t len)
{
	char h[64], p[16];

	if (getnameinfo(sa, len, h, sizeof(h), p, sizeof(p), NI_NUMERICHOST | NI_NUMERICSERV))
		return xstrdup("?");
	return strchr(h, ':') ? xasprintf("[%s]:%s", h, p) : xasprintf("%s:%s", h, p);
}

char *net_local(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	if (getsockname(fd, (struct sockaddr *)&ss, &len))
		return xstrdup("?");
	return name_of((struct sockaddr *)&ss, len);
}

int net_local_port(int fd)
{
	AUTO_FREE char *name = net_local(fd);
	char *colon = strrchr(name, ':');

	return colon ? atoi(colon + 1) : 0;
}

int net_listen(const char *text, bool any, int *out, char **actual, struct err *e)
{
	AUTO_FREE char *host = NULL;
	AUTO_FREE char *port = NULL;
	struct addrinfo *ai;
	int fd, one = 1, r;

	r = net_parse(text, &host, &port, e);
	if (!r)
		r = resolve(host, port, AI_PASSIVE, &ai, e);
	if (r)
		return r;
	if (!any && !is_loopback(ai->ai_addr)) {
		freeaddrinfo(ai);
		return refuse_clear(host, e);
	}
	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, ai->ai_addr, ai->ai_addrlen) || listen(fd, 64)) {
		r = err_sys(e, errno, "cannot listen on %s", text);
		if (fd >= 0)
			close(fd);
		freeaddrinfo(ai);
		return r;
	}
	freeaddrinfo(ai);
	*out = fd;
	*actual = net_local(fd);
	return 0;
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
	int fd = -ENOENT, r = resolve(host, port, 0, &list, e);

	if (r)
		return r;
	for (ai = list; ai && fd < 0; ai = ai->ai_next) {
		if (!any && !is_loopback(ai->ai_addr)) {
			freeaddrinfo(list);
			return refuse_clear(host, e);
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

void net_tune(int fd)
{
	int one = 1, idle = 5, every = 2, count = 4;
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof(every));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
	/* Nothing to congest: BBR, where it is the default, would pace us by timers (half the speed on a busy host). */
	if (!getpeername(fd, (struct sockaddr *)&peer, &len) && is_loopback((struct sockaddr *)&peer))
		setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", strlen("reno"));
}

void net_limit_silence(int fd)
{
	unsigned silence = SILENCE_MS;

	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &silence, sizeof(silence));
}
