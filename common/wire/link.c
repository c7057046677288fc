/* link.c: see link.h. */
#include "link.h"
#include "util.h"
#include "deadline.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define TLS_HANDSHAKE  0x16 /* type of the first record */
#define TLS_FIRST_TYPE 0x14 /* change_cipher_spec, alert, handshake, application_data */
#define TLS_LAST_TYPE  0x17
#define TLS_MAJOR      0x03 /* major number of the legacy version in every record */

static int wait_until(int fd, short events, uint64_t deadline_ns, struct err *e)
{
	struct pollfd p = {.fd = fd, .events = events};

	if (poll(&p, 1, ms_left(deadline_ns)) == 0)
		return err_set(e, ETIMEDOUT, "the peer did not answer in time; is a vmferry agent listening there?");
	return 0;
}

static int send_all(int fd, const uint8_t *p, size_t n, uint64_t deadline_ns, struct err *e)
{
	while (n) {
		ssize_t r;

		if (wait_until(fd, POLLOUT, deadline_ns, e))
			return -e->code;
		r = send(fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (r < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (r < 0)
			return err_sys(e, errno, "connection to the peer broke");
		p += r;
		n -= (size_t)r;
	}
	return 0;
}

static int flush(struct link *l, uint64_t deadline_ns, struct err *e)
{
	const uint8_t *p;
	size_t n;
	int r = 0;

	while (!r && (p = tls_conn_output(l->tls, &n), n)) {
		r = send_all(l->fd, p, n, deadline_ns, e);
		tls_conn_output_sent(l->tls, n);
	}
	return r;
}

/* Reads up to n bytes without waiting: how many; 0: none now; -errno. */
static ssize_t receive_now(int fd, uint8_t *p, size_t n, struct err *e)
{
	ssize_t r = recv(fd, p, n, MSG_DONTWAIT);

	if (r > 0)
		return r;
	if (r < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return r < 0 ? err_sys(e, errno, "connection to the peer broke")
		     : err_set(e, EPIPE, "the peer closed the connection during the handshake");
}

static bool is_tls(const uint8_t header[LINK_RECORD_HEADER])
{
	return header[0] >= TLS_FIRST_TYPE && header[0] <= TLS_LAST_TYPE && header[1] == TLS_MAJOR;
}

/* The rest of the record, as far as it is there: 1: it is whole. */
static int take_record(struct link *l, struct err *e)
{
	size_t cap, want;
	uint8_t *p;
	ssize_t k;

	for (;;) {
		bool begun = l->record >= sizeof(l->header);

		want = sizeof(l->header);
		if (begun)
			want += (size_t)l->header[3] << 8 | l->header[4];
		if (want > sizeof(l->header) + TLS_RECORD_MAX || (begun && !is_tls(l->header)))
			return err_set(e, EPROTO, "the other end does not speak TLS");
		if (begun && l->record == want)
			break;
		p = tls_conn_input(l->tls, &cap);
		if (want - l->record > cap)
			return err_set(e, EPROTO, "the other end does not speak TLS");
		k = receive_now(l->fd, p, want - l->record, e);
		if (k <= 0)
			return (int)k;
		if (l->record < sizeof(l->header))
			memcpy(l->header + l->record, p, (size_t)k);
		tls_conn_input_add(l->tls, (size_t)k);
		l->record += (unsigned)k;
	}
	l->record = 0;
	return 1;
}

static int read_record(struct link *l, uint64_t deadline_ns, struct err *e)
{
	int r;

	while ((r = take_record(l, e)) == 0)
		if (link_wait(l, deadline_ns, e))
			return -e->code;
	return r < 0 ? r : 0;
}

/* Makes a step of the handshake, as link_secure_more() does, but sending may wait. */
static int shake_hands(struct link *l, uint64_t deadline_ns, struct err *e)
{
	struct err broke;
	int done = tls_conn_handshake(l->tls, e);
	int r = flush(l, deadline_ns, &broke); /* an alert, if it failed */

	if (done >= 0 && r) {
		*e = broke;
		return err_prefix(e, "TLS handshake");
	}
	return done;
}

int link_secure(struct link *l, struct tls *t, uint64_t deadline_ns, struct err *e)
{
	int done;

	l->tls = t;
	while ((done = shake_hands(l, deadline_ns, e)) == 0)
		if (read_record(l, deadline_ns, e))
			return err_prefix(e, "TLS handshake");
	return done < 0 ? done : 0;
}

int link_secure_more(struct link *l, struct err *e)
{
	int r = take_record(l, e), done = 0;

	while (r > 0 && !done) {
		done = shake_hands(l, 0, e);
		if (!done)
			r = take_record(l, e);
	}
	return r < 0 ? err_prefix(e, "TLS handshake") : done;
}

int link_wait(const struct link *l, uint64_t deadline_ns, struct err *e)
{
	return wait_until(l->fd, POLLIN, deadline_ns, e);
}

int link_send(struct link *l, const void *p, size_t n, uint64_t deadline_ns, struct err *e)
{
	if (!l->tls)
		return send_all(l->fd, p, n, deadline_ns, e);
	return tls_conn_encrypt(l->tls, p, n, e) ? -e->code : flush(l, deadline_ns, e);
}

int link_receive_more(struct link *l, void *p, size_t n, size_t *have, struct err *e)
{
	ssize_t k;
	int r;

	while (*have < n) {
		uint8_t *to = (uint8_t *)p + *have;

		if (!l->tls)
			k = receive_now(l->fd, to, n - *have, e);
		else
			k = l->record ? 0 : tls_conn_decrypt(l->tls, to, n - *have, e);
		if (k < 0)
			return (int)k;
		*have += (size_t)k;
		r = k || !l->tls ? (int)k : take_record(l, e);
		if (r <= 0)
			return r;
	}
	return 1;
}

int link_peek_tls(const struct link *l, bool *yes, struct err *e)
{
	uint8_t first;

	switch (recv(l->fd, &first, 1, MSG_PEEK | MSG_DONTWAIT)) {
	case 1:
		*yes = first == TLS_HANDSHAKE;
		return 1;
	case 0:
		return err_set(e, EPIPE, "the peer closed the connection during the handshake");
	default:
		return errno == EAGAIN || errno == EINTR ? 0 : err_sys(e, errno, "connection to the peer broke");
	}
}

double link_round_trip_ms(const struct link *l)
{
	struct tcp_info info = {.tcpi_rtt = 0};
	socklen_t n = sizeof(info);

	return getsockopt(l->fd, IPPROTO_TCP, TCP_INFO, &info, &n) ? 0 : info.tcpi_rtt / 1000.0;
}

void link_close(struct link *l)
{
	struct err e;

	if (l->fd < 0)
		return;
	if (l->tls) {
		tls_conn_end(l->tls);
		flush(l, 0, &e); /* if there is room for it at once */
		tls_conn_free(l->tls);
	}
	close(l->fd);
	*l = LINK_NONE;
}

void link_forget(struct link *l)
{
	if (l->fd < 0)
		return;
	tls_conn_free(l->tls);
	close(l->fd);
	*l = LINK_NONE;
}
