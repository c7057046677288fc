/* conn-link.c: see conn-link.h. */
#include "conn-link.h"
#include "conn.h"
#include "cpu-stage.h"
#include "log.h"
#include "net.h"
#include "util.h"

#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define SEND_PIECES 33 /* an acknowledgement and frames, some in several */
/* The longest pause of the pacer, so that a lifted limit is soon noticed. */
#define PACE_MS_MAX 100
/* Bytes encrypted ahead of sending; with the frame that exceeds it less than PACER_BATCH_MAX. */
#define CIPHER_AHEAD (512 * 1024)
/* Bytes given to the kernel at once, not counting the rest of a frame; until the call ends they do not count as waiting. */
#define CALL_BYTES (512 * 1024)
#define LOOK_NS	   10000000 /* interval at which we ask the kernel about the peer's window */
#define LISTEN_MS  250	    /* interval at which we check whether the peer answers */

struct conn_link {
	struct conn conn;
	struct loop *loop;
	struct link link;
	bool over; /* lost, or shut: no operation begins any more */
	struct op send_op, recv_op;
	bool sending, receiving;
	int send_error; /* sending failed; the peer's earlier bytes are still to be read */
	struct iovec iov[SEND_PIECES];
	struct msghdr msg;
	struct timer pace, listen;
	uint64_t answered_ns; /* the last time that we saw no byte waiting for TCP's acknowledgement */
	size_t calling;	      /* bytes of the call that is under way */
	uint64_t looked_ns, peer_full_us, way_full_us;
	bool peer_is_slow, way_is_full;
};

static struct conn_link *of(struct conn *conn)
{
	return container_of(conn, struct conn_link, conn);
}

static void shut(struct conn *conn)
{
	struct conn_link *k = of(conn);

	k->over = true;
	shutdown(k->link.fd, SHUT_RDWR);
	loop_timer_clear(k->loop, &k->pace);
	loop_timer_clear(k->loop, &k->listen);
}

static void lost(struct conn_link *k, const struct err *why)
{
	if (k->over)
		return;
	shut(&k->conn);
	channel_lost(k->conn.ch, why);
}

/* ---- sending ---- */

/* Encrypts whole frames, one after the other, as soon as the earlier output has left. */
static int encrypt_more(struct conn_link *k, struct err *e)
{
	struct tls *t = k->link.tls;
	enum cpu_stage before = cpu_stage_now();
	unsigned n = 1, i;
	size_t bytes;
	int r = 0;

	while (!r && n && tls_conn_output_bytes(t) < CIPHER_AHEAD) {
		n = channel_out(k->conn.ch, k->iov, SEND_PIECES, &bytes);
		cpu_stage_enter_for(CPU_ENCRYPT, bytes);
		for (i = 0, bytes = 0; !r && i < n && tls_conn_output_bytes(t) < CIPHER_AHEAD; i++) {
			r = tls_conn_encrypt(t, k->iov[i].iov_base, k->iov[i].iov_len, e);
			bytes += k->iov[i].iov_len;
		}
		channel_taken(k->conn.ch, bytes);
	}
	cpu_stage_enter(before);
	return r;
}

/* Gathers the frames for one call into k->iov; returns the number of pieces. */
static unsigned frames_of_a_call(struct conn_link *k, size_t *bytes)
{
	unsigned n = channel_out(k->conn.ch, k->iov, SEND_PIECES, bytes), kept = 0;
	size_t sum = 0;

	while (kept < n && sum < CALL_BYTES)
		sum += k->iov[kept++].iov_len;
	*bytes = sum;
	return kept;
}

/* Gathers the next bytes to send into k->iov. */
static int gather(struct conn_link *k, unsigned *n, size_t *bytes, struct err *e)
{
	struct tls *t = k->link.tls;
	int r = 0;

	if (!t) {
		*n = frames_of_a_call(k, bytes);
		return 0;
	}
	if (!tls_conn_output_bytes(t))
		r = encrypt_more(k, e);
	k->iov[0].iov_base = (void *)tls_conn_output(t, bytes);
	k->iov[0].iov_len = *bytes;
	*n = *bytes > 0;
	return r;
}

static void send_more(struct conn *conn)
{
	struct conn_link *k = of(conn);
	struct pacer *pacer = channel_pacer(conn->ch);
	struct io_uring_sqe *sqe;
	struct err e;
	size_t bytes;
	uint64_t wait;
	unsigned n;

	if (k->sending || k->over || k->send_error || k->pace.at_ns)
		return;
	if (gather(k, &n, &bytes, &e)) {
		lost(k, &e);
		return;
	}
	if (!n)
		return;
	if (pacer && (wait = pacer_reserve(pacer, bytes, now_ns()))) {
		loop_timer_set(k->loop, &k->pace, MIN(wait, PACE_MS_MAX));
		return;
	}
	k->msg = (struct msghdr){.msg_iov = k->iov, .msg_iovlen = n};
	sqe = loop_sqe(k->loop);
	io_uring_prep_sendmsg(sqe, k->link.fd, &k->msg, MSG_NOSIGNAL | MSG_WAITALL);
	loop_bind(sqe, &k->send_op);
	k->sending = true;
	k->calling = bytes;
}

static void pace_fire(struct timer *t)
{
	send_more(&container_of(t, struct conn_link, pace)->conn);
}

/* Notes that sending failed. The connection ends when receiving ends, as the peer's last message (an ERROR) may still be in the socket. */
static void send_failed(struct conn_link *k, int code)
{
	struct err e;

	if (k->over)
		return;
	k->send_error = code;
	shutdown(k->link.fd, SHUT_RDWR);
	if (k->receiving || channel_delivering(k->conn.ch))
		return;
	err_sys(&e, code, "connection to the peer broke while sending");
	lost(k, &e);
}

static void send_done(struct op *op, int res, uint32_t flags)
{
	struct conn_link *k = container_of(op, struct conn_link, send_op);
	size_t n;

	(void)flags;
	k->sending = false;
	if (res == -EINTR || res == -EAGAIN)
		res = 0;
	if (res < 0) {
		send_failed(k, -res);
		return;
	}
	n = (size_t)res;
	if (k->link.tls)
		tls_conn_output_sent(k->link.tls, n);
	else
		channel_taken(k->conn.ch, n);
	channel_sent(k->conn.ch, n);
	send_more(&k->conn);
}

/* Notes whether, for half of the time since the last look, the peer's window was full, or the send buffer. */
static void look_at_peer(struct conn_link *k, uint64_t ns)
{
	struct tcp_info info = {0};
	socklen_t n = sizeof(info);

	if (getsockopt(k->link.fd, IPPROTO_TCP, TCP_INFO, &info, &n) || n < offsetof(struct tcp_info, tcpi_sndbuf_limited) + 8)
		return;
	k->peer_is_slow = (info.tcpi_rwnd_limited - k->peer_full_us) * 2000 > ns - k->looked_ns;
	k->way_is_full = (info.tcpi_sndbuf_limited - k->way_full_us) * 2000 > ns - k->looked_ns;
	k->peer_full_us = info.tcpi_rwnd_limited;
	k->way_full_us = info.tcpi_sndbuf_limited;
	k->looked_ns = ns;
}

static void backlog(struct conn *conn, struct channel_backlog *b)
{
	struct conn_link *k = of(conn);
	uint64_t ns = now_ns();
	int unsent = 0;

	if (ns - k->looked_ns >= LOOK_NS)
		look_at_peer(k, ns);
	if (ioctl(k->link.fd, SIOCOUTQNSD, &unsent) && ioctl(k->link.fd, SIOCOUTQ, &unsent)) /* unix(7) sockets only have the second */
		unsent = 0;
	b->bytes += k->link.tls ? tls_conn_output_bytes(k->link.tls) : 0;
	b->bytes -= k->sending ? MIN(k->calling, b->bytes) : 0;
	b->bytes += (uint64_t)unsent;
	b->peer_is_slow = k->peer_is_slow;
	b->network_is_idle = !unsent && !k->way_is_full && !k->pace.at_ns;
}

static void listen_fire(struct timer *t)
{
	struct conn_link *k = container_of(t, struct conn_link, listen);
	unsigned limit_ms = __atomic_load_n(channel_silence_ms(k->conn.ch), __ATOMIC_RELAXED);
	struct err e;

	loop_timer_set(k->loop, t, LISTEN_MS);
	if (!net_is_silent(k->link.fd, limit_ms, &k->answered_ns))
		return;
	err_set(&e, ETIMEDOUT, "nothing was heard from the peer for more than %.1f s", limit_ms / 1000.0);
	lost(k, &e);
}

static void last_words(struct conn *conn, const uint8_t *p, size_t n)
{
	struct conn_link *k = of(conn);
	struct err e;

	if (k->over || k->sending)
		return;
	if (k->link.tls) {
		if (tls_conn_output_bytes(k->link.tls) || tls_conn_encrypt(k->link.tls, p, n, &e))
			return;
		p = tls_conn_output(k->link.tls, &n);
	}
	if (send(k->link.fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_info("could not tell the peer why: %s", strerror(errno));
}

/* ---- receiving ---- */

/* Receives straight into the channel's buffer, or ciphertext into that of TLS. */
static void receive_more(struct conn_link *k)
{
	struct io_uring_sqe *sqe;
	uint8_t *to;
	size_t cap;

	if (k->receiving || k->over || !channel_takes(k->conn.ch))
		return;
	to = k->link.tls ? tls_conn_input(k->link.tls, &cap) : channel_room(k->conn.ch, &cap);
	sqe = loop_sqe(k->loop);
	io_uring_prep_recv(sqe, k->link.fd, to, cap, 0);
	loop_bind(sqe, &k->recv_op);
	k->receiving = true;
}

/* Decrypts as much as has arrived. */
static void decrypt_more(struct conn_link *k)
{
	enum cpu_stage before;
	struct err e;
	uint8_t *to;
	size_t cap;
	ssize_t n;

	while (k->link.tls && !k->over && channel_takes(k->conn.ch)) {
		to = channel_room(k->conn.ch, &cap);
		before = cpu_stage_enter_for(CPU_DECRYPT, tls_conn_input_bytes(k->link.tls));
		n = tls_conn_decrypt(k->link.tls, to, cap, &e);
		cpu_stage_enter(before);
		if (n < 0)
			lost(k, &e);
		if (n <= 0)
			return;
		channel_put(k->conn.ch, (size_t)n);
	}
}

static void receive(struct conn *conn)
{
	decrypt_more(of(conn));
	receive_more(of(conn));
}

static void receive_ended(struct conn_link *k, int code)
{
	struct err e;

	if (k->send_error && k->send_error != EPIPE)
		err_sys(&e, k->send_error, "connection to the peer broke while sending");
	else if (code)
		err_sys(&e, code, "connection to the peer broke");
	else
		err_set(&e, EPIPE, k->link.tls ? "the connection to the peer was cut" : "the peer closed the connection");
	lost(k, &e);
}

static void recv_done(struct op *op, int res, uint32_t flags)
{
	struct conn_link *k = container_of(op, struct conn_link, recv_op);

	(void)flags;
	k->receiving = false;
	if (k->over)
		return;
	if (res == -EINTR || res == -EAGAIN) {
		receive_more(k);
		return;
	}
	if (res <= 0) {
		receive_ended(k, -res);
		return;
	}
	channel_heard(k->conn.ch, (size_t)res);
	if (k->link.tls)
		tls_conn_input_add(k->link.tls, (size_t)res);
	else
		channel_put(k->conn.ch, (size_t)res);
	receive(&k->conn);
}

/* ---- life ---- */

static void start(struct conn *conn)
{
	of(conn)->answered_ns = now_ns();
	if (channel_silence_ms(conn->ch))
		loop_timer_set(of(conn)->loop, &of(conn)->listen, LISTEN_MS);
	receive_more(of(conn));
	send_more(conn);
}

static void say_goodbye(struct conn_link *k)
{
	const uint8_t *p;
	size_t n;

	tls_conn_end(k->link.tls);
	p = tls_conn_output(k->link.tls, &n);
	if (send(k->link.fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_info("could not end the connection in order: %s", strerror(errno));
}

static void free_conn(struct conn *conn)
{
	AUTO_FREE struct conn_link *k = of(conn);
	struct err e;

	if (k->link.tls && !k->over && !k->sending)
		say_goodbye(k);
	shut(conn);
	if (k->sending)
		loop_cancel(k->loop, &k->send_op);
	if (k->receiving)
		loop_cancel(k->loop, &k->recv_op);
	while (k->sending || k->receiving)
		if (loop_step(k->loop, 1000, &e))
			break;
	link_close(&k->link);
}

struct conn *conn_link_new(struct loop *l, struct link link)
{
	static const struct conn_ops ops = {start, send_more, receive, backlog, last_words, shut, free_conn};
	struct conn_link *k = xcalloc(1, sizeof(*k));

	k->conn.ops = &ops;
	k->loop = l;
	k->link = link;
	k->send_op.done = send_done;
	k->recv_op.done = recv_done;
	k->pace.fire = pace_fire;
	k->listen.fire = listen_fire;
	return &k->conn;
}

struct channel *channel_over(struct loop *l, struct link link, const struct channel_config *cfg)
{
	struct channel *c = channel_new(cfg);
	struct err e;

	if (channel_attach(c, conn_link_new(l, link), 0, 0, &e))
		abort(); /* a new channel waits for generation 0 */
	return c;
}
