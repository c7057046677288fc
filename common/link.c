/* link.c: see link.h. */
#include "link.h"
#include "util.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define RECORD_HEADER  5    /* RFC 8446, 5.1: type, version, length */
#define TLS_HANDSHAKE  0x16 /* type of the first record */

static int wait_until(int fd, short events, uint64_t deadline_ns, struct err *e)
{
	struct pollfd p = {.fd = fd, .events = events};
	uint64_t now = now_ns();
	int ms = now < deadline_ns ? (int)((deadline_ns - now) / 1000000) + 1 : 0;

	if (poll(&p, 1, ms) == 0)
		return err_set(e, ETIMEDOUT, "the peer did not answer in time; is a vmferry agent listening there?");
	return 0;
}

static int io_all(int fd, uint8_t *p, size_t n, bool out, uint64_t deadline_ns, struct err *e)
{
	while (n) {
		ssize_t r;

		if (wait_until(fd, out ? POLLOUT : POLLIN, deadline_ns, e))
			return -e->code;
		r = out ? send(fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT) : recv(fd, p, n, MSG_DONTWAIT);
		if (r < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (r < 0)
			return err_sys(e, errno, "connection to the peer broke");
		if (r == 0)
			return err_set(e, EPIPE, "the peer closed the connection during the handshake");
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

	while (!r && (p = tls_output(l->tls, &n), n)) {
		r = io_all(l->fd, (uint8_t *)p, n, true, deadline_ns, e);
		tls_output_sent(l->tls, n);
	}
	return r;
}

static int read_record(struct link *l, uint64_t deadline_ns, struct err *e)
{
	size_t cap, n;
	uint8_t *p = tls_input(l->tls, &cap);
	int r = io_all(l->fd, p, RECORD_HEADER, false, deadline_ns, e);

	if (r)
		return r;
	n = (size_t)p[3] << 8 | p[4];
	if (n > TLS_RECORD_MAX || n + RECORD_HEADER > cap)
		return err_set(e, EPROTO, "what is at the other end does not speak TLS");
	r = io_all(l->fd, p + RECORD_HEADER, n, false, deadline_ns, e);
	if (!r)
		tls_input_add(l->tls, RECORD_HEADER + n);
	return r;
}

int link_secure(struct link *l, struct tls *t, uint64_t deadline_ns, struct err *e)
{
	struct err broke;
	int done, r;

	l->tls = t;
	for (;;) {
		done = tls_handshake(t, e);
		r = flush(l, deadline_ns, &broke); /* an alert, if it failed */
		if (done < 0)
			return done;
		if (!r && done)
			return 0;
		if (!r)
			r = read_record(l, deadline_ns, &broke);
		if (r) {
			*e = broke;
			return err_prefix(e, "TLS handshake");
		}
	}
}

int link_send(struct link *l, const void *p, size_t n, uint64_t deadline_ns, struct err *e)
{
	if (!l->tls)
		return io_all(l->fd, (uint8_t *)p, n, true, deadline_ns, e);
	return tls_encrypt(l->tls, p, n, e) ? -e->code : flush(l, deadline_ns, e);
}

int link_receive(struct link *l, void *p, size_t n, uint64_t deadline_ns, struct err *e)
{
	uint8_t *to = p;
	ssize_t k;

	if (!l->tls)
		return io_all(l->fd, p, n, false, deadline_ns, e);
	while (n) {
		k = tls_decrypt(l->tls, to, n, e);
		if (k < 0)
			return (int)k;
		if (k == 0 && read_record(l, deadline_ns, e))
			return -e->code;
		to += k;
		n -= (size_t)k;
	}
	return 0;
}

int link_peek_tls(const struct link *l, uint64_t deadline_ns, struct err *e)
{
	uint8_t first;

	if (wait_until(l->fd, POLLIN, deadline_ns, e))
		return -e->code;
	switch (recv(l->fd, &first, 1, MSG_PEEK | MSG_DONTWAIT)) {
	case 1:
		return first == TLS_HANDSHAKE;
	case 0:
		return err_set(e, EPIPE, "the peer closed the connection during the handshake");
	default:
		return err_sys(e, errno, "connection to the peer broke");
	}
}

void link_close(struct link *l)
{
	struct err e;

	if (l->fd < 0)
		return;
	if (l->tls) {
		tls_end(l->tls);
		flush(l, 0, &e); /* if there is room for it at once */
		tls_free(l->tls);
	}
	close(l->fd);
	*l = LINK_NONE;
}
