/* net.c: see net.h. */
#include "net.h"
#include "util.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>

#define SILENCE_MS 15000
#define PROBES_MIN 2 /* unanswered keep-alive probes at least: a single one may be on its way */

int net_parse(const char *text, char **host, char **port, struct err *e)
{
	const char *colon = strrchr(text, ':'), *h = text;
	size_t n;

	if (!colon || !text_is_digits(colon + 1) || atol(colon + 1) > 65535)
		return err_set(e, EINVAL, "'%s' is not ADDRESS:PORT", text);
	n = (size_t)(colon - text);
	if (n > 1 && text[0] == '[' && text[n - 1] == ']') {
		h++;
		n -= 2;
	} else if (memchr(text, ':', n))
		return err_set(e, EINVAL, "'%s' is not ADDRESS:PORT (an IPv6 address needs brackets)", text);
	if (!n)
		return err_set(e, EINVAL, "'%s' is not ADDRESS:PORT", text);
	*host = xstrndup(h, n);
	*port = xstrdup(colon + 1);
	return 0;
}

int net_parse_ports(const char *text, struct net_ports *out, struct err *e)
{
	char *end;
	unsigned long first = strtoul(text, &end, 10), last = first;

	if (end != text && *end == '-')
		last = strtoul(end + 1, &end, 10);
	if (end == text || *end || last < first || last > 65535 || (!first && last))
		return err_set(e, EINVAL, "'%s' is not a range of ports, such as 50000-50100", text);
	*out = (struct net_ports){(unsigned)first, (unsigned)last};
	return 0;
}

bool net_is_loopback(const struct sockaddr *sa)
{
	if (sa->sa_family == AF_INET)
		return (ntohl(((const struct sockaddr_in *)(const void *)sa)->sin_addr.s_addr) >> 24) == 127;
	return sa->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr);
}

bool net_peer_is_loopback(int fd)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);

	return !getpeername(fd, (struct sockaddr *)&peer, &len) && net_is_loopback((struct sockaddr *)&peer);
}

int net_refuse_clear(const char *host, struct err *e)
{
	return err_set(e, EPERM,
		       "%s is not a loopback address, and the connection is not encrypted: guest memory and disks would "
		       "cross the network in clear, and anyone could start programs there. Use SSH (vmferry migrate VM "
		       "USER@HOST) or keys (--psk-file on both sides); in a test network namespace of your own, --plaintext",
		       host);
}

/* The numeric address that host is; "*" is every address. */
static int address(const char *host, unsigned port, struct sockaddr_storage *ss, socklen_t *len, struct err *e)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ss;

	memset(ss, 0, sizeof(*ss));
	if (!strcmp(host, "localhost"))
		host = "127.0.0.1";
	if (!strcmp(host, "*") || inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)port);
		*len = sizeof(*v6);
		return 0;
	}
	v4->sin_family = AF_INET;
	v4->sin_port = htons((uint16_t)port);
	*len = sizeof(*v4);
	return inet_pton(AF_INET, host, &v4->sin_addr) == 1 ? 0 : err_set(e, EINVAL, "'%s' is not a numeric address", host);
}

static char *name_of(const struct sockaddr_storage *ss)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)ss;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)ss;
	char h[INET6_ADDRSTRLEN];

	if (ss->ss_family == AF_INET && inet_ntop(AF_INET, &v4->sin_addr, h, sizeof(h)))
		return xasprintf("%s:%u", h, ntohs(v4->sin_port));
	if (ss->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr) &&
	    inet_ntop(AF_INET, v6->sin6_addr.s6_addr + 12, h, sizeof(h)))
		return xasprintf("%s:%u", h, ntohs(v6->sin6_port));
	if (ss->ss_family == AF_INET6 && inet_ntop(AF_INET6, &v6->sin6_addr, h, sizeof(h)))
		return xasprintf("[%s]:%u", h, ntohs(v6->sin6_port));
	return xstrdup("?");
}

static char *net_local(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	if (getsockname(fd, (struct sockaddr *)&ss, &len))
		return xstrdup("?");
	return name_of(&ss);
}

char *net_peer(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	if (getpeername(fd, (struct sockaddr *)&ss, &len))
		return xstrdup("?");
	return name_of(&ss);
}

char *net_peer_address(int fd)
{
	struct sockaddr_storage ss;
	socklen_t n = sizeof(ss);
	char host[NI_MAXHOST];

	return getpeername(fd, (struct sockaddr *)&ss, &n) ||
			       getnameinfo((struct sockaddr *)&ss, n, host, sizeof(host), NULL, 0, NI_NUMERICHOST)
		       ? NULL
		       : xstrdup(host);
}

char *net_way(int fd, bool accepted)
{
	AUTO_FREE char *here = net_local(fd), *there = net_peer(fd);

	return xasprintf("%s %s", accepted ? there : here, accepted ? here : there);
}

int net_local_port(int fd)
{
	AUTO_FREE char *name = net_local(fd);
	char *colon = strrchr(name, ':');

	return colon ? atoi(colon + 1) : 0;
}

/* A socket that listens, or -errno. */
static int listen_on(const struct sockaddr_storage *ss, socklen_t len)
{
	int fd = socket(ss->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1, zero = 0, code;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (ss->ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
	if (!bind(fd, (const struct sockaddr *)ss, len) && !listen(fd, SOMAXCONN))
		return fd;
	code = errno;
	close(fd);
	return -code;
}

int net_listen(const char *host, struct net_ports ports, bool any, int *out, char **actual, struct err *e)
{
	struct sockaddr_storage ss;
	unsigned port = ports.first;
	socklen_t len;
	int fd;

	do {
		if (address(host, port, &ss, &len, e))
			return -e->code;
		if (!any && !net_is_loopback((struct sockaddr *)&ss))
			return net_refuse_clear(host, e);
		fd = listen_on(&ss, len);
		if (fd == -EAFNOSUPPORT && !strcmp(host, "*")) /* no IPv6 here */
			host = "0.0.0.0";
		else
			port++;
	} while ((fd == -EADDRINUSE || fd == -EAFNOSUPPORT) && port <= ports.last);
	if (fd < 0 && ports.last > ports.first)
		return err_sys(e, -fd, "cannot listen on %s, ports %u to %u", host, ports.first, ports.last);
	if (fd < 0)
		return err_sys(e, -fd, "cannot listen on %s, port %u", host, ports.first);
	*out = fd;
	if (actual)
		*actual = net_local(fd);
	return 0;
}

void net_tune(int fd)
{
	int one = 1, idle = 5, every = 2, count = 4;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof(every));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
	/* Loopback needs no congestion control: BBR, where it is the default, would pace us by timers (half the speed on a busy host). */
	if (net_peer_is_loopback(fd))
		setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", strlen("reno"));
}

void net_limit_silence(int fd)
{
	unsigned silence = SILENCE_MS;

	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &silence, sizeof(silence));
}

bool net_is_silent(int fd, unsigned limit_ms, uint64_t *answered_ns)
{
	struct tcp_info info = {0};
	socklen_t n = sizeof(info);
	uint64_t now = now_ns();

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n))
		return false;
	if ((!info.tcpi_unacked && !info.tcpi_probes) || !*answered_ns)
		*answered_ns = now;
	return limit_ms && (info.tcpi_retransmits || info.tcpi_probes >= PROBES_MIN) && info.tcpi_last_ack_recv > limit_ms &&
	       now - *answered_ns > limit_ms * 1000000ULL;
}
