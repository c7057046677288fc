/* TCP probe: one connection that lives as long as it can. Each 10 ms it carries a record {number of
 * the connection, sequence number, guest's monotonic ns, sequence number of the last record that
 * came back}, all little-endian 64 bit, and the token (witness-net.c); the peer sends everything back.
 * The number counts connections from 1: it says whether the connection is still the same one. */
#include "witness.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PERIOD_NS = 10000000, CONNECT_MS = 1000 };

struct record {
	uint64_t connection, sequence, monotonic_ns, echoed, token[TOKEN_WORDS];
};

/* Half-sent and half-received records are kept here until the rest goes or comes. */
static struct {
	struct sockaddr_in target;
	int fd;
	struct record next, back;
	size_t unsent, received; /* bytes of these two */
	uint64_t echoed;
} probe;

static bool connects(int fd)
{
	struct pollfd wait = {.fd = fd, .events = POLLOUT};
	int error = 0;
	socklen_t length = sizeof error;

	if (connect(fd, (struct sockaddr *)&probe.target, sizeof probe.target) == 0)
		return true;
	return errno == EINPROGRESS && poll(&wait, 1, CONNECT_MS) == 1 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 &&
	       error == 0;
}

static void probe_connect(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;

	if (fd < 0)
		give_up("socket: %s", strerror(errno));
	if (!connects(fd)) {
		close(fd);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	probe.fd = fd;
	probe.unsent = probe.received = probe.echoed = 0;
	probe.next = (struct record){.connection = probe.next.connection + 1};
}

/* Whether the connection is still there after a send or receive that returned this. */
static bool still_open(ssize_t result)
{
	return result > 0 || (result < 0 && (errno == EAGAIN || errno == EINTR));
}

static bool probe_receive(void)
{
	for (;;) {
		ssize_t got = recv(probe.fd, (char *)&probe.back + probe.received, sizeof probe.back - probe.received, 0);

		if (got <= 0)
			return still_open(got);
		probe.received += (size_t)got;
		if (probe.received < sizeof probe.back)
			continue;
		probe.received = 0;
		probe.echoed = probe.back.sequence;
	}
}

/* A record that does not fit into the socket's buffer is finished before the next is begun. */
static bool probe_send(void)
{
	ssize_t put;

	if (probe.unsent == 0) {
		probe.next.sequence++;
		probe.next.monotonic_ns = monotonic_ns();
		probe.next.echoed = probe.echoed;
		for (unsigned i = 0; i < TOKEN_WORDS; i++)
			probe.next.token[i] = net_token[i];
		probe.unsent = sizeof probe.next;
	}
	put = send(probe.fd, (char *)&probe.next + sizeof probe.next - probe.unsent, probe.unsent, MSG_NOSIGNAL);
	if (put > 0)
		probe.unsent -= (size_t)put;
	return still_open(put);
}

static void *probe_run(void *unused)
{
	struct sched_param priority = {.sched_priority = 10};
	uint64_t next_ns = monotonic_ns();

	pthread_setschedparam(pthread_self(), SCHED_FIFO, &priority);
	for (;;) {
		uint64_t now;

		if (probe.fd < 0)
			probe_connect();
		if (probe.fd >= 0 && !(probe_receive() && probe_send())) {
			close(probe.fd);
			probe.fd = -1;
		}
		now = monotonic_ns();
		next_ns += PERIOD_NS;
		if (next_ns < now)
			next_ns = now + PERIOD_NS;
		sleep_until_ns(next_ns);
	}
	return unused;
}

void probe_start(const struct options *options)
{
	if (!options->tcp[0])
		return;
	probe.target = net_target("tcp", options->tcp);
	probe.fd = -1;
	start_thread(probe_run, NULL);
}
