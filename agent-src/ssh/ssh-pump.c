/*
 * ssh-pump.c: the thread that carries bytes between one libssh2 session and the sockets of its commands and streams.
 *
 * It owns the session and everything in here. Others send it requests over a socket (pump_exec …) and hear of the outcome
 * by reports (ssh-backend.h); nothing is shared. See ssh-session.h for how libssh2 is kept from half-sent packets.
 *
 *             OPENING ─── opened ───► RUNNING ─── both ends done, or the connection lost ───► CLOSING ──► freed
 *
 * A stream has one buffer for each direction and reads no further while that is full: what is behind it waits in the other
 * host (SSH's window, 2 MiB) or in the socket. A stream that nobody reads holds up no other.
 */
#include "log.h"
#include "net.h"
#include "ssh-session.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define BUFFER_BYTES (128 * KIB)
#define OUT_MAX	     (512 * KIB) /* unsent bytes above which nothing new is encrypted */
#define FAREWELL_MS  1000
#define ALIVE_S	     15	 /* the server is asked to say something; TCP's own limits do the rest */
#define LISTEN_MS    250 /* interval of checks for a silent TCP connection */

enum kind { ASK_EXEC, ASK_FORWARD, ASK_END };

struct request {
	enum kind kind;
	int fd, report;
	char *text; /* command or host; whoever holds the request frees it */
	unsigned port;
};

enum state { OPENING, STARTING, RUNNING, CLOSING };

struct buffer {
	size_t at, n;
	uint8_t data[BUFFER_BYTES];
};

struct stream {
	struct stream *next;
	enum state state;
	struct request req;
	LIBSSH2_CHANNEL *channel;
	struct buffer up, down; /* bytes to the other host, and from it */
	bool no_more_up;	/* the caller's end of stdin, or of everything */
	bool up_ended, down_ended;
	bool gone;    /* the caller has closed its socket */
	short events; /* result of poll() */
	struct ssh_tail said;
};

struct pump {
	struct ssh_session *s;
	int requests;
	struct stream *streams;
	size_t count;
	bool ending, broken;
	uint64_t answered_ns; /* net_is_silent */
	char why[256];
	char scratch[BUFFER_BYTES];
};

/* ---- reports ---- */

static void report(const struct stream *st, int code, int status, const char *message)
{
	AUTO_FREE struct ssh_report *r = xcalloc(1, sizeof(*r));

	r->code = code;
	r->status = status;
	snprintf(r->message, sizeof(r->message), "%s", message);
	text_make_utf8(r->message);
	ssh_tail_text(&st->said, r->said);
	ssh_report_send(st->req.report, r);
}

static void report_end(const struct pump *p, const struct stream *st)
{
	char *signal_name = NULL;
	size_t n;
	int status, number;

	status = libssh2_channel_get_exit_status(st->channel);
	libssh2_channel_get_exit_signal(st->channel, &signal_name, &n, NULL, NULL, NULL, NULL);
	for (number = 1; signal_name && number < 32; number++)
		if (sigabbrev_np(number) && !strcmp(sigabbrev_np(number), signal_name))
			status = 128 + number;
	if (signal_name && status < 128)
		status = 255;
	if (signal_name)
		libssh2_free(p->s->lib, signal_name);
	report(st, 0, status, "");
}

/* ---- streams ---- */

/* A socket that is closed with bytes in it that nobody has read gives its other end an error in place of the end. */
static void close_politely(int fd, char *scratch, size_t n)
{
	shutdown(fd, SHUT_RDWR);
	while (recv(fd, scratch, n, MSG_DONTWAIT) > 0)
		;
	close(fd);
}

static void stream_free(struct pump *p, struct stream *st)
{
	struct stream **at;

	for (at = &p->streams; *at != st; at = &(*at)->next)
		;
	*at = st->next;
	p->count--;
	close_politely(st->req.fd, p->scratch, sizeof(p->scratch));
	close(st->req.report);
	free(st->req.text);
	free(st);
}

static void broken_by(struct pump *p, const char *why)
{
	if (p->broken)
		return;
	p->broken = true;
	snprintf(p->why, sizeof(p->why), "the SSH connection is lost: %s", why);
	log_info("ssh: %s", p->why);
}

static void broken(struct pump *p)
{
	broken_by(p, session_why(p->s));
}

/* The network may say nothing while it carries nothing. */
static void listen_to(struct pump *p)
{
	unsigned limit_ms = p->s->silence_ms ? __atomic_load_n(p->s->silence_ms, __ATOMIC_RELAXED) : 0;

	if (net_is_silent(p->s->fd, limit_ms, &p->answered_ns))
		broken_by(p, "nothing was heard from the other host for too long");
}

/* True if the session still stands after this result of libssh2. EAGAIN, or an error of one channel, does not end it. */
static bool stands(struct pump *p, ssize_t rc)
{
	switch (rc) {
	case LIBSSH2_ERROR_SOCKET_SEND:
	case LIBSSH2_ERROR_SOCKET_RECV:
	case LIBSSH2_ERROR_SOCKET_DISCONNECT:
	case LIBSSH2_ERROR_BAD_SOCKET:
	case LIBSSH2_ERROR_DECRYPT:
	case LIBSSH2_ERROR_ENCRYPT:
	case LIBSSH2_ERROR_INVALID_MAC:
	case LIBSSH2_ERROR_PROTO:
	case LIBSSH2_ERROR_KEX_FAILURE:
	case LIBSSH2_ERROR_KEY_EXCHANGE_FAILURE:
	case LIBSSH2_ERROR_HOSTKEY_SIGN:
	case LIBSSH2_ERROR_OUT_OF_BOUNDARY:
		broken(p);
		return false;
	default:
		return true;
	}
}

/* Returns false while it is not open yet. */
static bool stream_opened(struct pump *p, struct stream *st)
{
	const struct request *q = &st->req;

	if (st->state == OPENING) {
		st->channel = q->kind == ASK_EXEC ? libssh2_channel_open_session(p->s->lib)
						  : libssh2_channel_direct_tcpip_ex(p->s->lib, q->text, (int)q->port, "127.0.0.1", 0);
		if (!st->channel)
			return false;
		st->state = STARTING;
	}
	if (q->kind == ASK_EXEC) {
		int rc = libssh2_channel_process_startup(st->channel, "exec", 4, q->text, (unsigned)strlen(q->text));

		if (rc)
			return false;
	}
	st->state = RUNNING;
	report(st, 0, 0, "");
	return true;
}

static void stream_open(struct pump *p, struct stream *st)
{
	AUTO_FREE char *message = NULL;
	int rc;

	if (stream_opened(p, st))
		return;
	rc = libssh2_session_last_errno(p->s->lib);
	if (rc == LIBSSH2_ERROR_EAGAIN || !stands(p, rc))
		return;
	message =
		st->req.kind == ASK_EXEC && rc == LIBSSH2_ERROR_TIMEOUT
			? xasprintf(
				  "the server has begun no session for a minute: what it does at a login takes that long, or hangs (ssh there, too?)")
		: st->req.kind == ASK_EXEC
			? xasprintf("the server does not run commands: %s", session_why(p->s))
			: xasprintf("no connection from there to %s port %u: %s", st->req.text, st->req.port, session_why(p->s));
	report(st, ECONNREFUSED, 0, message);
	st->req.kind = ASK_FORWARD; /* has reported its end */
	st->state = CLOSING;
}

/* ---- one direction at a time; true: something has moved ---- */

static bool fill_up(struct stream *st)
{
	ssize_t r;

	if (st->up.n || st->no_more_up || !(st->events & (POLLIN | POLLHUP | POLLERR)))
		return false;
	r = recv(st->req.fd, st->up.data, sizeof(st->up.data), MSG_DONTWAIT);
	if (r < 0 && errno == EAGAIN)
		return false;
	if (r <= 0)
		st->no_more_up = true;
	st->up.at = 0;
	st->up.n = r > 0 ? (size_t)r : 0;
	return true;
}

static bool send_up(struct pump *p, struct stream *st)
{
	ssize_t r;

	if (st->up_ended || p->s->out_n > OUT_MAX)
		return false;
	if (!st->up.n) {
		if (!st->no_more_up)
			return false;
		st->up_ended = libssh2_channel_send_eof(st->channel) != LIBSSH2_ERROR_EAGAIN;
		return st->up_ended;
	}
	r = libssh2_channel_write(st->channel, (const char *)st->up.data + st->up.at, st->up.n);
	if (r == LIBSSH2_ERROR_EAGAIN || !stands(p, r))
		return false;
	if (r < 0) { /* the other end accepts nothing any more */
		st->up.n = 0;
		st->no_more_up = st->up_ended = true;
		return true;
	}
	st->up.at += (size_t)r;
	st->up.n -= (size_t)r;
	return r > 0;
}

/* Keeps stderr for messages; reading it also makes libssh2 take in what has arrived on any channel. The buffer size must be that of
 * receive_down(): libssh2 1.10 takes it for the size of a window adjustment that waits for a key exchange to end, whichever of the two
 * asked for it. */
static bool read_said(struct pump *p, struct stream *st)
{
	ssize_t r = libssh2_channel_read_stderr(st->channel, p->scratch, sizeof(p->scratch));

	if (r > 0)
		ssh_tail_append(&st->said, p->scratch, (size_t)r);
	return r > 0 || (stands(p, r) && false);
}

static bool receive_down(struct pump *p, struct stream *st)
{
	ssize_t r;

	if (st->down.n || st->down_ended)
		return false;
	r = libssh2_channel_read(st->channel, (char *)st->down.data, sizeof(st->down.data));
	if (r == LIBSSH2_ERROR_EAGAIN || !stands(p, r))
		return false;
	if (r <= 0 && (r < 0 || libssh2_channel_eof(st->channel))) {
		st->down_ended = true;
		shutdown(st->req.fd, SHUT_WR);
		return true;
	}
	st->down.at = 0;
	st->down.n = (size_t)r;
	return r > 0;
}

static bool deliver_down(struct stream *st)
{
	ssize_t r;

	if (!st->down.n)
		return false;
	r = st->gone ? (ssize_t)st->down.n : send(st->req.fd, st->down.data + st->down.at, st->down.n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (r < 0 && errno == EAGAIN)
		return false;
	if (r < 0) {
		st->gone = true;
		r = (ssize_t)st->down.n;
	}
	st->down.at += (size_t)r;
	st->down.n -= (size_t)r;
	return true;
}

/* A command is done when its channel is closed there, as it may read on after the end of its output; a stream also when
 * nobody here holds it any more. */
static bool is_done(const struct stream *st)
{
	if (st->req.kind == ASK_EXEC)
		return st->down_ended && !st->down.n && libssh2_channel_wait_closed(st->channel) != LIBSSH2_ERROR_EAGAIN;
	return (st->down_ended && !st->down.n && st->up_ended) || (st->gone && st->no_more_up && !st->up.n);
}

static bool stream_carry(struct pump *p, struct stream *st)
{
	bool moved = read_said(p, st);

	if (st->events & POLLHUP)
		st->gone = true;
	moved |= fill_up(st);
	moved |= send_up(p, st);
	moved |= deliver_down(st);
	moved |= receive_down(p, st);
	moved |= deliver_down(st);
	if (is_done(st)) {
		st->state = CLOSING;
		moved = true;
	}
	return moved;
}

/* The exit status comes before the other host's CLOSE. */
static bool stream_close(struct pump *p, struct stream *st)
{
	int rc = 0;

	if (st->channel) {
		if (st->req.kind == ASK_EXEC) {
			read_said(p, st);
			rc = libssh2_channel_wait_closed(st->channel);
			if (rc == LIBSSH2_ERROR_EAGAIN || !stands(p, rc))
				return false;
		}
		if (st->req.kind == ASK_EXEC) {
			report_end(p, st);
			st->req.kind = ASK_FORWARD;
		}
		rc = libssh2_channel_free(st->channel);
		if (rc == LIBSSH2_ERROR_EAGAIN || !stands(p, rc))
			return false;
	}
	stream_free(p, st);
	return true;
}

static bool stream_step(struct pump *p, struct stream *st)
{
	switch (st->state) {
	case OPENING:
	case STARTING:
		stream_open(p, st);
		return st->state == RUNNING;
	case RUNNING:
		return stream_carry(p, st);
	case CLOSING:
		return stream_close(p, st);
	}
	return false;
}

/* libssh2 opens one channel at a time: the oldest that waits. */
static bool may_step(const struct stream *st)
{
	const struct stream *other;

	if (st->state != OPENING && st->state != STARTING)
		return true;
	for (other = st->next; other; other = other->next)
		if (other->state == OPENING || other->state == STARTING)
			return false;
	return true;
}

/* ---- the socket and the requests ---- */

static void flush_out(struct pump *p)
{
	struct ssh_session *s = p->s;

	while (s->out_n && !p->broken) {
		ssize_t r = send(s->fd, s->out + s->out_at, s->out_n, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (r < 0 && errno == EAGAIN)
			return;
		if (r < 0) {
			p->broken = true;
			snprintf(p->why, sizeof(p->why), "the SSH connection is lost: %s", strerror(errno));
			return;
		}
		s->out_at += (size_t)r;
		s->out_n -= (size_t)r;
	}
	s->out_at = 0;
}

static void take_request(struct pump *p)
{
	struct request q;
	struct stream *st;

	if (recv(p->requests, &q, sizeof(q), MSG_DONTWAIT) != (ssize_t)sizeof(q))
		return;
	if (q.kind == ASK_END) {
		p->ending = true;
		return;
	}
	st = xcalloc(1, sizeof(*st));
	st->req = q;
	st->next = p->streams;
	p->streams = st;
	p->count++;
	if (p->count > SSH_STREAMS_MAX) {
		report(st, EMFILE, 0, "too many streams over one SSH connection");
		stream_free(p, st);
	}
}

static short wanted(const struct stream *st)
{
	short events = 0;

	if (st->state != RUNNING)
		return 0;
	if (!st->up.n && !st->no_more_up)
		events |= POLLIN;
	if (st->down.n && !st->gone)
		events |= POLLOUT;
	return events;
}

/* Waits until something can be done, and leaves in each stream what poll said of it. */
static void wait_for_work(struct pump *p, int timeout_ms)
{
	struct pollfd fds[SSH_STREAMS_MAX + 2] = {{.fd = p->broken ? -1 : p->s->fd}, {.fd = p->requests, .events = POLLIN}};
	struct stream *st;
	nfds_t n = 2;

	/* Without a channel nothing needs to be read; POLLHUP comes all the same. */
	fds[0].events = (short)((p->streams ? POLLIN : 0) | (p->s->out_n ? POLLOUT : 0));
	for (st = p->streams; st; st = st->next) {
		bool dead = st->gone && !wanted(st);

		fds[n++] = (struct pollfd){.fd = dead || st->state != RUNNING ? -1 : st->req.fd, .events = wanted(st)};
	}
	if (poll(fds, n, timeout_ms) < 0)
		return;
	n = 2;
	for (st = p->streams; st; st = st->next)
		st->events = fds[n++].revents;
	if (fds[1].revents)
		take_request(p);
	if (!p->streams && (fds[0].revents & (POLLHUP | POLLERR)))
		broken(p);
}

static void end_streams(struct pump *p)
{
	while (p->streams) {
		struct stream *st = p->streams;

		if (st->state == OPENING || st->state == STARTING)
			report(st, EPIPE, 0, p->broken ? p->why : "the SSH connection was closed");
		else if (st->req.kind == ASK_EXEC)
			report(st, EPIPE, 0, "the SSH connection ended before the command did");
		stream_free(p, st);
	}
}

/* Does everything that can be done without waiting. */
static void carry_all(struct pump *p)
{
	struct stream *st, *next;
	bool moved;

	do {
		moved = false;
		for (st = p->streams; st && !p->broken; st = next) {
			next = st->next;
			if (may_step(st))
				moved |= stream_step(p, st);
		}
		flush_out(p);
	} while (moved && !p->broken);
}

static void farewell(struct pump *p)
{
	struct pollfd fd = {.fd = p->s->fd, .events = POLLOUT};
	uint64_t until = now_ns() + FAREWELL_MS * 1000000ULL;

	if (!p->broken)
		libssh2_session_disconnect(p->s->lib, "done");
	flush_out(p);
	while (p->s->out_n && !p->broken && now_ns() < until) {
		poll(&fd, 1, FAREWELL_MS);
		flush_out(p);
	}
}

static void *pump_main(void *arg)
{
	struct pump *p = arg;
	int next_s = ALIVE_S;

	while (!p->ending) {
		if (p->broken)
			end_streams(p);
		wait_for_work(p, p->broken ? -1 : p->s->silence_ms ? LISTEN_MS : next_s * 1000);
		listen_to(p);
		if (p->broken)
			continue;
		carry_all(p);
		if (!libssh2_keepalive_send(p->s->lib, &next_s))
			flush_out(p);
		next_s = MAX(next_s, 1);
	}
	farewell(p);
	end_streams(p);
	close(p->requests);
	free(p);
	return NULL;
}

/* ---- for other threads ---- */

int pump_start(struct ssh_session *s, struct err *e)
{
	struct pump *p = xcalloc(1, sizeof(*p));
	sigset_t all, before;
	int fds[2], r = ssh_pair(SOCK_SEQPACKET, fds, e);

	if (r) {
		free(p);
		return r;
	}
	libssh2_session_set_blocking(s->lib, 0);
	libssh2_session_set_timeout(s->lib, 0);
	libssh2_keepalive_config(s->lib, 1, ALIVE_S);
	fcntl(s->fd, F_SETFL, fcntl(s->fd, F_GETFL) | O_NONBLOCK);
	s->out_room = OUT_MAX;
	s->out = xmalloc(s->out_room);
	s->requests = fds[0];
	p->s = s;
	p->requests = fds[1];
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	r = pthread_create(&s->pump, NULL, pump_main, p);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	s->pumping = !r;
	if (!r)
		return 0;
	close(fds[0]);
	close(fds[1]);
	free(p);
	return err_sys(e, r, "pthread_create");
}

static int ask(struct ssh_session *s, const struct request *q, struct err *e)
{
	if (send(s->requests, q, sizeof(*q), MSG_NOSIGNAL) == (ssize_t)sizeof(*q))
		return 0;
	if (q->fd >= 0) {
		close(q->fd);
		close(q->report);
	}
	free(q->text);
	return err_set(e, EPIPE, "the SSH connection has ended");
}

int pump_exec(struct ssh *ssh, const char *command, int fd, int report_fd, struct err *e)
{
	struct request q = {.kind = ASK_EXEC, .fd = fd, .report = report_fd, .text = xstrdup(command)};

	return ask(container_of(ssh, struct ssh_session, base), &q, e);
}

int pump_forward(struct ssh *ssh, const char *host, unsigned port, int *fd, struct err *e)
{
	struct request q = {.kind = ASK_FORWARD, .text = xstrdup(host), .port = port};
	struct ssh_report opened;
	int data[2], said[2], r = ssh_pair(SOCK_STREAM, data, e);

	if (!r) {
		r = ssh_pair(SOCK_SEQPACKET, said, e);
		if (r) {
			close(data[0]);
			close(data[1]);
		}
	}
	if (r) {
		free(q.text);
		return r;
	}
	q.fd = data[1];
	q.report = said[1];
	r = ask(container_of(ssh, struct ssh_session, base), &q, e);
	if (!r) {
		r = ssh_report_receive(said[0], SSH_OPEN_MS, &opened);
		if (r)
			err_set(e, -r, "%s does not open a connection to %s port %u: %s", ssh->text, host, port, strerror(-r));
		else if (opened.code)
			r = err_set(e, opened.code, "%s: %s", ssh->text, opened.message);
	}
	close(said[0]);
	if (r)
		close(data[0]);
	else
		*fd = data[0];
	return r;
}

void pump_stop(struct ssh_session *s)
{
	struct request q = {.kind = ASK_END, .fd = -1, .report = -1};
	struct err ignored;

	ask(s, &q, &ignored);
	pthread_join(s->pump, NULL);
	close(s->requests);
	s->pumping = false;
}
