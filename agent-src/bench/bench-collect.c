/* bench-collect.c: see bench-collect.h. */
#include "bench-collect.h"

#include "hex.h"
#include "util.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>

#define SAID_BYTES	32 /* size of the witness's numbers: four little-endian ones, and the token behind them */
#define BEAT_BYTES	(SAID_BYTES + TOKEN_BYTES)
#define RECORD_BYTES	(SAID_BYTES + TOKEN_BYTES)
#define BATCH		64
#define CONNECTIONS	8	  /* the guest has one; those that it has given up may still be open here */
#define RECEIVE_BYTES	(8 * MIB) /* bytes of datagrams that may wait for the thread: some seconds, however busy the machine is */
#define ECHO_BYTES	4096
#define BEATS_AT_FIRST	4096
#define SAME_PORT_TRIES 16
#define BACKLOG		4

/* A connection of the probe. What has arrived is echoed before more is read. */
struct connection {
	int fd; /* -1: free */
	uint8_t echo[ECHO_BYTES];
	size_t echo_begin, echo_end;
	uint8_t record[RECORD_BYTES];
	size_t record_bytes;
	bool is_guest; /* the guest has shown the token */
};

struct collector {
	pthread_t thread;
	bool started;
	int stop, udp, tcp;
	unsigned port;
	uint8_t token[TOKEN_BYTES];
	char token_hex[2 * TOKEN_BYTES + 1];
	struct connection connections[CONNECTIONS]; /* the thread's */
	unsigned next;				    /* index of the connection that is closed when one more comes */

	pthread_mutex_t lock; /* lock of the members below: what was heard */
	struct beat *beats;
	size_t count, size;
	uint64_t heard;
	unsigned connected;
	struct probe probe;
	uint64_t record_at_ns; /* time of the last record, or of the beginning */
};

uint64_t realtime_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

static uint64_t number_at(const uint8_t *data, unsigned index)
{
	uint64_t v;

	memcpy(&v, data + index * sizeof(v), sizeof(v));
	return le64toh(v);
}

/* Anybody can send here; the guest alone has been told the token. */
static bool is_from_guest(const struct collector *c, const uint8_t *data)
{
	return !CRYPTO_memcmp(data + SAID_BYTES, c->token, TOKEN_BYTES);
}

/* ---- heartbeat ---- */

/* Under the lock. */
static void keep_beat(struct collector *c, const uint8_t *data, uint64_t at_ns)
{
	c->heard++;
	if (c->count == COLLECTOR_BEATS_MAX)
		return;
	if (c->count == c->size) {
		c->size = MIN(MAX(2 * c->size, BEATS_AT_FIRST), COLLECTOR_BEATS_MAX);
		c->beats = xrealloc(c->beats, c->size * sizeof(*c->beats));
	}
	c->beats[c->count++] = (struct beat){at_ns, number_at(data, 0), number_at(data, 1), number_at(data, 2), number_at(data, 3)};
}

/* The time when the kernel received the packet; 0: it does not say. */
static uint64_t kernel_time(struct msghdr *m)
{
	struct cmsghdr *part;
	struct timespec ts;

	for (part = CMSG_FIRSTHDR(m); part; part = CMSG_NXTHDR(m, part))
		if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_TIMESTAMPNS && part->cmsg_len >= CMSG_LEN(sizeof(ts))) {
			memcpy(&ts, CMSG_DATA(part), sizeof(ts));
			return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
		}
	return 0;
}

static void receive_beats(struct collector *c)
{
	static const size_t room = BEAT_BYTES + 1; /* room for one byte more, which shows that a datagram is longer */
	uint8_t data[BATCH][BEAT_BYTES + 1];
	_Alignas(struct cmsghdr) char control[BATCH][CMSG_SPACE(sizeof(struct timespec))];
	struct mmsghdr messages[BATCH];
	struct iovec iov[BATCH];
	int n, i;

	memset(messages, 0, sizeof(messages));
	for (i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){data[i], room};
		messages[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i],
						      .msg_iovlen = 1,
						      .msg_control = control[i],
						      .msg_controllen = sizeof(control[i])};
	}
	n = recvmmsg(c->udp, messages, BATCH, MSG_DONTWAIT, NULL);
	pthread_mutex_lock(&c->lock);
	for (i = 0; i < n; i++) {
		uint64_t at_ns = kernel_time(&messages[i].msg_hdr);

		if (messages[i].msg_len == BEAT_BYTES && is_from_guest(c, data[i]))
			keep_beat(c, data[i], at_ns ? at_ns : realtime_ns());
	}
	pthread_mutex_unlock(&c->lock);
}

/* ---- probe ---- */

/* Under the lock. Time has passed without a record. */
static void note_gap(const struct collector *c, struct probe *p, uint64_t now)
{
	uint64_t gap = now > c->record_at_ns ? now - c->record_at_ns : 0;

	if (gap <= p->longest_gap_ns)
		return;
	p->longest_gap_ns = gap;
	p->gap_at_ns = c->record_at_ns;
}

static void keep_record(struct collector *c, const uint8_t *data, uint64_t now)
{
	uint64_t connection = number_at(data, 0), sequence = number_at(data, 1), echoed = number_at(data, 3);
	struct probe *p = &c->probe;

	pthread_mutex_lock(&c->lock);
	note_gap(c, p, now);
	c->record_at_ns = now;
	if (!p->connection_first)
		p->connection_first = connection;
	p->connection_last = connection;
	p->unechoed = sequence > echoed ? sequence - echoed : 0;
	p->records++;
	p->record_ns = now;
	pthread_mutex_unlock(&c->lock);
}

static void count_connected(struct collector *c, unsigned more)
{
	pthread_mutex_lock(&c->lock);
	c->connected += more;
	pthread_mutex_unlock(&c->lock);
}

static void connection_close(struct collector *c, struct connection *k)
{
	if (k->fd < 0)
		return;
	close(k->fd);
	k->fd = -1;
	if (k->is_guest)
		count_connected(c, -1u);
}

static bool is_wait(ssize_t result)
{
	return result < 0 && (errno == EAGAIN || errno == EINTR);
}

/* Returns false when the connection is lost. */
static bool echo(struct connection *k)
{
	while (k->echo_begin < k->echo_end) {
		ssize_t n = send(k->fd, k->echo + k->echo_begin, k->echo_end - k->echo_begin, MSG_NOSIGNAL);

		if (n <= 0)
			return is_wait(n);
		k->echo_begin += (size_t)n;
	}
	return true;
}

static void take_records(struct collector *c, struct connection *k, uint64_t now)
{
	for (size_t i = 0; i < k->echo_end; i++) {
		k->record[k->record_bytes++] = k->echo[i];
		if (k->record_bytes < RECORD_BYTES)
			continue;
		k->record_bytes = 0;
		if (!is_from_guest(c, k->record))
			continue;
		if (!k->is_guest)
			count_connected(c, 1);
		k->is_guest = true;
		keep_record(c, k->record, now);
	}
}

static bool connection_read(struct collector *c, struct connection *k)
{
	ssize_t n = recv(k->fd, k->echo, sizeof(k->echo), 0);

	if (n <= 0)
		return is_wait(n);
	k->echo_begin = 0;
	k->echo_end = (size_t)n;
	take_records(c, k, realtime_ns());
	return echo(k);
}

static void connection_serve(struct collector *c, struct connection *k)
{
	if (!(k->echo_begin < k->echo_end ? echo(k) : connection_read(c, k)))
		connection_close(c, k);
}

/* A place for a new connection: a free one, or that of a connection which is given up; strangers are given up first. */
static struct connection *connection_place(struct collector *c)
{
	struct connection *k, *stranger = NULL, *next = &c->connections[c->next++ % CONNECTIONS];

	for (k = c->connections; k < c->connections + CONNECTIONS; k++) {
		if (k->fd < 0)
			return k;
		if (!k->is_guest && (!stranger || next == k))
			stranger = k;
	}
	k = stranger ? stranger : next;
	connection_close(c, k);
	return k;
}

static void connection_accept(struct collector *c)
{
	struct connection *k;
	int fd = accept4(c->tcp, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), one = 1;

	if (fd < 0)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	k = connection_place(c);
	memset(k, 0, sizeof(*k));
	k->fd = fd;
}

/* ---- the thread ---- */

/* The kernel does not say when what TCP carried has come: the thread has to be there, however busy the machine is. It may go
 * before others as root; else it has to wait its turn. */
static void go_first(void)
{
	struct sched_param first = {.sched_priority = 1};

	pthread_setschedparam(pthread_self(), SCHED_FIFO, &first);
}

static void *run(void *arg)
{
	struct collector *c = arg;
	struct pollfd p[3 + CONNECTIONS] = {{c->stop, POLLIN, 0}, {c->udp, POLLIN, 0}, {c->tcp, POLLIN, 0}};

	go_first();
	for (;;) {
		for (unsigned i = 0; i < CONNECTIONS; i++) {
			const struct connection *k = &c->connections[i];

			p[3 + i] = (struct pollfd){k->fd, k->echo_begin < k->echo_end ? POLLOUT : POLLIN, 0};
		}
		if (poll(p, ARRAY_LEN(p), -1) < 0)
			continue;
		if (p[0].revents)
			return NULL;
		if (p[1].revents)
			receive_beats(c);
		for (unsigned i = 0; i < CONNECTIONS; i++)
			if (p[3 + i].revents)
				connection_serve(c, &c->connections[i]);
		if (p[2].revents)
			connection_accept(c);
	}
}

/* ---- beginning and end ---- */

static int open_udp(struct collector *c, struct sockaddr_in *at, struct err *e)
{
	int bytes = RECEIVE_BYTES, one = 1;
	socklen_t length = sizeof(*at);

	c->udp = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->udp < 0)
		return err_sys(e, errno, "UDP socket");
	if (setsockopt(c->udp, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes))) /* only root may do that */
		setsockopt(c->udp, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	if (setsockopt(c->udp, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one)))
		return err_sys(e, errno, "times of datagrams");
	if (bind(c->udp, (struct sockaddr *)at, sizeof(*at)) || getsockname(c->udp, (struct sockaddr *)at, &length))
		return err_sys(e, errno, "UDP port %u", ntohs(at->sin_port));
	return 0;
}

static int open_tcp(struct collector *c, const struct sockaddr_in *at, struct err *e)
{
	int one = 1;

	c->tcp = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->tcp < 0)
		return err_sys(e, errno, "TCP socket");
	setsockopt(c->tcp, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(c->tcp, (const struct sockaddr *)at, sizeof(*at)) || listen(c->tcp, BACKLOG))
		return err_sys(e, errno, "TCP port %u", ntohs(at->sin_port));
	return 0;
}

static void close_socket(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* The port that the kernel chose for one may be in use with the other. */
static int open_same_port(struct collector *c, const struct sockaddr_in *wanted, struct err *e)
{
	unsigned tries = wanted->sin_port ? 1 : SAME_PORT_TRIES;
	struct sockaddr_in at;

	do {
		at = *wanted;
		close_socket(&c->udp);
		close_socket(&c->tcp);
		if (!open_udp(c, &at, e) && !open_tcp(c, &at, e)) {
			c->port = ntohs(at.sin_port);
			return 0;
		}
	} while (--tries && e->code == EADDRINUSE);
	return err_prefix(e, "listening to the guest");
}

static int start(struct collector *c, const char *address, unsigned port, struct err *e)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY), .sin_port = htons((uint16_t)port)};
	int r;

	if (port > UINT16_MAX || (address && inet_pton(AF_INET, address, &at.sin_addr) != 1))
		return err_set(e, EINVAL, "%s:%u is no IPv4 address with a port", address ? address : "*", port);
	if (getrandom(c->token, sizeof(c->token), 0) != sizeof(c->token))
		return err_sys(e, errno, "random numbers");
	hex_format(c->token, sizeof(c->token), c->token_hex);
	c->stop = eventfd(0, EFD_CLOEXEC);
	if (c->stop < 0)
		return err_sys(e, errno, "eventfd");
	if (open_same_port(c, &at, e))
		return -e->code;
	r = pthread_create(&c->thread, NULL, run, c);
	if (r)
		return err_sys(e, r, "thread");
	c->started = true;
	return 0;
}

int collector_new(struct collector **out, const char *address, unsigned port, struct err *e)
{
	struct collector *c = xcalloc(1, sizeof(*c));

	c->stop = c->udp = c->tcp = -1;
	for (unsigned i = 0; i < CONNECTIONS; i++)
		c->connections[i].fd = -1;
	pthread_mutex_init(&c->lock, NULL);
	c->record_at_ns = realtime_ns();
	if (start(c, address, port, e)) {
		collector_free(c);
		return -e->code;
	}
	*out = c;
	return 0;
}

void collector_free(struct collector *c)
{
	if (!c)
		return;
	if (c->started) {
		eventfd_write(c->stop, 1);
		pthread_join(c->thread, NULL);
	}
	for (unsigned i = 0; i < CONNECTIONS; i++)
		close_socket(&c->connections[i].fd);
	close_socket(&c->stop);
	close_socket(&c->udp);
	close_socket(&c->tcp);
	pthread_mutex_destroy(&c->lock);
	free(c->beats);
	free(c);
}

/* ---- what was heard ---- */

unsigned collector_port(const struct collector *c)
{
	return c->port;
}

const char *collector_token(const struct collector *c)
{
	return c->token_hex;
}

void collector_clear(struct collector *c)
{
	pthread_mutex_lock(&c->lock);
	c->count = 0;
	c->heard = 0;
	c->probe = (struct probe){.connection_first = c->connected ? c->probe.connection_last : 0,
				  .connection_last = c->connected ? c->probe.connection_last : 0};
	c->record_at_ns = realtime_ns();
	pthread_mutex_unlock(&c->lock);
}

uint64_t collector_heard(struct collector *c)
{
	uint64_t n;

	pthread_mutex_lock(&c->lock);
	n = c->heard;
	pthread_mutex_unlock(&c->lock);
	return n;
}

size_t collector_beats(struct collector *c, struct beat **out)
{
	size_t n;

	pthread_mutex_lock(&c->lock);
	n = c->count;
	*out = xmalloc(n * sizeof(**out));
	if (n)
		memcpy(*out, c->beats, n * sizeof(**out));
	pthread_mutex_unlock(&c->lock);
	return n;
}

void collector_probe(struct collector *c, struct probe *out)
{
	pthread_mutex_lock(&c->lock);
	*out = c->probe;
	out->connected = c->connected > 0;
	note_gap(c, out, realtime_ns());
	pthread_mutex_unlock(&c->lock);
}
