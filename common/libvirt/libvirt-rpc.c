/* libvirt-rpc.c: see libvirt-rpc.h. The connection: frames, serials, what libvirt refuses, who may be at the other end. */
#include "be.h"
#include "lv-private.h"
#include "unix-socket.h"
#include "util.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SYSTEM_DIR	 "/run/libvirt"
#define SYSTEM_URI	 "qemu:///system"
#define SESSION_URI	 "qemu:///session"
#define RETRY_CONNECT_MS 10
#define AUTH_TYPES_MAX	 20 /* REMOTE_AUTH_TYPE_LIST_MAX */
enum { AUTH_NONE = 0, AUTH_SASL = 1, AUTH_POLKIT = 2 };

struct lv {
	int fd; /* -1: dead */
	char *socket;
	uint32_t serial; /* of the last call */
	unsigned deadline_ms;
	unsigned long version;
	bool is_user;
	int error_code;
	uint8_t *body;	/* of the message last received */
	struct err why; /* it is dead */
};

/* ---- what libvirt refuses ---- */

/* virErrorNumber (include/libvirt/virterror.h), of which callers tell these apart. */
static const struct {
	int number, code;
} refusals[] = {
	{3, ENOTSUP},	/* VIR_ERR_NO_SUPPORT */
	{5, ENOTSUP},	/* VIR_ERR_NO_CONNECT: there is no driver for this URI */
	{28, EEXIST},	/* VIR_ERR_DOM_EXIST */
	{29, EACCES},	/* VIR_ERR_OPERATION_DENIED */
	{42, ENOENT},	/* VIR_ERR_NO_DOMAIN */
	{43, ENOENT},	/* VIR_ERR_NO_NETWORK */
	{45, EACCES},	/* VIR_ERR_AUTH_FAILED */
	{49, ENOENT},	/* VIR_ERR_NO_STORAGE_POOL */
	{50, ENOENT},	/* VIR_ERR_NO_STORAGE_VOL */
	{55, EALREADY}, /* VIR_ERR_OPERATION_INVALID */
	{66, ENOENT},	/* VIR_ERR_NO_SECRET */
	{68, EBUSY},	/* VIR_ERR_OPERATION_TIMEOUT: the guest is busy */
	{72, ENOENT},	/* VIR_ERR_NO_DOMAIN_SNAPSHOT */
	{79, EACCES},	/* VIR_ERR_AUTH_CANCELLED */
	{87, EBUSY},	/* VIR_ERR_RESOURCE_BUSY */
	{88, EACCES},	/* VIR_ERR_ACCESS_DENIED */
	{94, EACCES},	/* VIR_ERR_AUTH_UNAVAILABLE */
};

static int code_of(int number)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(refusals); i++)
		if (refusals[i].number == number)
			return refusals[i].code;
	return EREMOTEIO;
}

/* ---- the connection ---- */

/* Nothing more can be said, as nobody knows where the next message begins, or what it answers. */
static int lose(struct lv *v, const struct err *e)
{
	close(v->fd);
	v->fd = -1;
	v->why = *e;
	return -e->code;
}

static int wait_for(const struct lv *v, short events, uint64_t until_ns, struct err *e)
{
	struct pollfd p = {.fd = v->fd, .events = events};
	uint64_t now = now_ns();

	if (now >= until_ns)
		return err_set(e, ETIMEDOUT, "libvirt does not answer at %s", v->socket);
	if (poll(&p, 1, (int)MIN((until_ns - now) / 1000000 + 1, (uint64_t)INT_MAX)) < 0 && errno != EINTR)
		return err_sys(e, errno, "poll");
	return 0;
}

static int send_all(const struct lv *v, const void *from, size_t n, uint64_t until_ns, struct err *e)
{
	const uint8_t *p = from;

	while (n) {
		ssize_t sent = send(v->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent < 0 && errno != EAGAIN && errno != EINTR)
			return err_sys(e, errno == EPIPE ? ECONNRESET : errno, "cannot write to libvirt at %s", v->socket);
		if (sent < 0 && wait_for(v, POLLOUT, until_ns, e) < 0)
			return -e->code;
		p += MAX(sent, 0);
		n -= (size_t)MAX(sent, 0);
	}
	return 0;
}

static int receive_all(const struct lv *v, void *to, size_t n, uint64_t until_ns, struct err *e)
{
	uint8_t *p = to;

	while (n) {
		ssize_t got = recv(v->fd, p, n, MSG_DONTWAIT);

		if (!got)
			return err_set(e, ECONNRESET, "libvirt closed the connection at %s", v->socket);
		if (got < 0 && errno != EAGAIN && errno != EINTR)
			return err_sys(e, errno, "cannot read from libvirt at %s", v->socket);
		if (got < 0 && wait_for(v, POLLIN, until_ns, e) < 0)
			return -e->code;
		p += MAX(got, 0);
		n -= (size_t)MAX(got, 0);
	}
	return 0;
}

static void put_head(uint8_t at[LV_HEAD_BYTES], const struct lv_head *h)
{
	put32(put32(put32(at, h->length), h->program), h->version);
	put32(put32(put32(put32(at + 12, (uint32_t)h->procedure), h->type), h->serial), h->status);
}

static int send_message(const struct lv *v, const struct lv_head *h, const struct lv_writer *body, uint64_t until_ns, struct err *e)
{
	uint8_t head[LV_HEAD_BYTES];

	put_head(head, h);
	if (send_all(v, head, sizeof(head), until_ns, e) < 0)
		return -e->code;
	return body ? send_all(v, body->data, body->n, until_ns, e) : 0;
}

/* The next message: its body is v->body. */
static int receive_message(struct lv *v, struct lv_head *h, uint64_t until_ns, struct err *e)
{
	uint8_t head[LV_HEAD_BYTES];

	if (receive_all(v, head, sizeof(head), until_ns, e) < 0)
		return -e->code;
	*h = (struct lv_head){be32(head),      be32(head + 4),	be32(head + 8), (int32_t)be32(head + 12),
			      be32(head + 16), be32(head + 20), be32(head + 24)};
	if (h->length < LV_HEAD_BYTES || h->length > LV_MESSAGE_MAX)
		return err_set(e, EPROTO, "libvirt sent a message of %u bytes, which is not between %u and %u", h->length, LV_HEAD_BYTES,
			       LV_MESSAGE_MAX);
	if (h->version != LV_VERSION_ONE || h->type < LV_REPLY || h->type > LV_MESSAGE)
		return err_set(e, EPROTO, "libvirt sent a message of type %u, version %u, which nobody asked for", h->type, h->version);
	free(v->body);
	v->body = xmalloc(MAX(h->length - LV_HEAD_BYTES, 1U));
	return receive_all(v, v->body, h->length - LV_HEAD_BYTES, until_ns, e);
}

/* A message that answers no call: libvirt ends connections that do not answer its pings; all else is an event that nobody waits for. */
static int take_message(const struct lv *v, const struct lv_head *h, uint64_t until_ns, struct err *e)
{
	struct lv_head pong = {LV_HEAD_BYTES, LV_KEEPALIVE, LV_VERSION_ONE, LV_PONG, LV_MESSAGE, 0, LV_OK};

	if (h->program != LV_KEEPALIVE || h->procedure != LV_PING)
		return 0;
	return send_message(v, &pong, NULL, until_ns, e);
}

/* Receives until the reply to the last call is there. */
static int await_reply(struct lv *v, const struct lv_ask *ask, struct lv_head *h, uint64_t until_ns, struct err *e)
{
	do {
		if (receive_message(v, h, until_ns, e) < 0)
			return -e->code;
		if (h->type == LV_MESSAGE && take_message(v, h, until_ns, e) < 0)
			return -e->code;
	} while (h->type == LV_MESSAGE);
	if (h->program != LV_PROGRAM || h->procedure != (int32_t)ask->procedure || h->serial != v->serial || h->status > LV_ERROR)
		return err_set(e, EPROTO,
			       "libvirt replied to call %u (procedure %d, program %#x, status %u), not to call %u (procedure %d)",
			       h->serial, h->procedure, h->program, h->status, v->serial, (int)ask->procedure);
	return 0;
}

static int exchange(struct lv *v, const struct lv_ask *ask, struct lv_head *h, struct err *e)
{
	uint64_t until_ns = now_ns() + v->deadline_ms * 1000000ULL;
	struct lv_head call =
		{(uint32_t)(LV_HEAD_BYTES + ask->args.n), LV_PROGRAM, LV_VERSION_ONE, (int32_t)ask->procedure, LV_CALL, ++v->serial, LV_OK};

	if (send_message(v, &call, &ask->args, until_ns, e) < 0)
		return -e->code;
	return await_reply(v, ask, h, until_ns, e);
}

/* What is being asked, for an error: room for a name as people give them. */
static const char *asked(const struct lv_ask *ask, char text[300])
{
	snprintf(text, 300, ask->object ? "%s '%.200s'" : "%s", ask->what, ask->object);
	return text;
}

/* A remote_error follows; its first three members are what matters. */
static int take_refusal(struct lv *v, const struct lv_ask *ask, struct lv_reader r, struct err *e)
{
	int number = lv_read_i32(&r);
	AUTO_FREE char *words = NULL;
	char what[300];

	lv_read_u32(&r); /* the part of libvirt that it comes from */
	words = lv_read_optional(&r);
	if (r.bad) {
		err_set(e, EPROTO, "libvirt cannot %s, and its error is not one", asked(ask, what));
		return lose(v, e);
	}
	v->error_code = number;
	return err_set(e, code_of(number), "libvirt cannot %s: %s (its error %d)", asked(ask, what), words ? words : "it does not say why",
		       number);
}

static int call(struct lv *v, const struct lv_ask *ask, struct lv_reader *r, struct err *e)
{
	struct lv_head h = {0};
	char what[300];

	if (v->fd < 0)
		return err_set(e, EPIPE, "cannot %s: the connection to libvirt is lost: %s", asked(ask, what), v->why.msg);
	if (ask->args.bad || ask->args.n > LV_MESSAGE_MAX - LV_HEAD_BYTES)
		return err_set(e, E2BIG, "cannot %s: libvirt takes no text of more than %u bytes", asked(ask, what), LV_STRING_MAX);
	if (exchange(v, ask, &h, e) < 0) {
		err_prefix(e, "cannot %s", asked(ask, what));
		return lose(v, e);
	}
	*r = lv_reader_of(v->body, h.length - LV_HEAD_BYTES);
	return h.status == LV_ERROR ? take_refusal(v, ask, *r, e) : 0;
}

int lv_reply_end(struct lv *v, const struct lv_ask *ask, const struct lv_reader *r, struct err *e)
{
	char what[300];

	if (lv_reader_done(r))
		return 0;
	err_set(e, EPROTO, "cannot %s: libvirt's reply of procedure %d is not one", asked(ask, what), (int)ask->procedure);
	return lose(v, e);
}

int lv_call(struct lv *v, struct lv_ask *ask, struct lv_reader *r, struct err *e)
{
	struct lv_reader nothing;
	int ret = call(v, ask, r ? r : &nothing, e);

	lv_writer_fini(&ask->args);
	return ret < 0 || r ? ret : lv_reply_end(v, ask, &nothing, e);
}

/* ---- its beginning ---- */

static int show_to_polkit(struct lv *v, struct err *e)
{
	struct lv_ask ask = {LV_AUTH_POLKIT, .what = "let this user in by polkit"};
	struct lv_reader r;
	int32_t complete;

	if (lv_call(v, &ask, &r, e) < 0)
		return -e->code;
	complete = lv_read_i32(&r);
	if (lv_reply_end(v, &ask, &r, e) < 0)
		return -e->code;
	return complete ? 0 : err_set(e, EACCES, "polkit does not let this user use libvirt at %s", v->socket);
}

static int authenticate(struct lv *v, struct err *e)
{
	struct lv_ask ask = {LV_AUTH_LIST, .what = "tell who may connect"};
	uint64_t offered = 0;
	struct lv_reader r;
	size_t i, count;

	if (lv_call(v, &ask, &r, e) < 0)
		return -e->code;
	count = lv_read_count(&r, AUTH_TYPES_MAX, 4);
	for (i = 0; i < count; i++) {
		uint32_t type = lv_read_u32(&r);

		offered |= 1ULL << MIN(type, 63U);
	}
	if (lv_reply_end(v, &ask, &r, e) < 0)
		return -e->code;
	if (!count || offered & 1 << AUTH_NONE)
		return 0;
	if (offered & 1 << AUTH_POLKIT)
		return show_to_polkit(v, e);
	return err_set(
		e, ENOTSUP,
		"libvirt at %s asks for a user and a password%s, which vmferry has not: set auth_unix_rw = \"none\" (or \"polkit\") in "
		"its configuration",
		v->socket, offered & 1 << AUTH_SASL ? " (SASL)" : "");
}

static int open_uri(struct lv *v, const char *uri, struct err *e)
{
	struct lv_ask ask = {LV_CONNECT_OPEN, .what = "open", .object = uri};

	lv_write_optional(&ask.args, uri);
	lv_write_u32(&ask.args, 0); /* flags */
	return lv_call(v, &ask, NULL, e);
}

static int read_version(struct lv *v, struct err *e)
{
	struct lv_ask ask = {LV_GET_LIB_VERSION, .what = "tell its version"};
	struct lv_reader r;

	if (lv_call(v, &ask, &r, e) < 0)
		return -e->code;
	v->version = (unsigned long)lv_read_u64(&r);
	if (lv_reply_end(v, &ask, &r, e) < 0)
		return -e->code;
	if (v->version >= LV_OLDEST)
		return 0;
	return err_set(e, ENOTSUP, "this is libvirt %lu.%lu.%lu; vmferry works with 9.0 and later", v->version / 1000000,
		       v->version / 1000 % 1000, v->version % 1000);
}

int lv_open_fd(struct lv **out, int fd, const char *socket, const char *uri, unsigned timeout_ms, struct err *e)
{
	struct lv *v = xcalloc(1, sizeof(*v));

	v->fd = fd;
	v->socket = xstrdup(socket);
	v->deadline_ms = timeout_ms;
	v->is_user = strstr(uri, "/session");
	if (authenticate(v, e) < 0 || open_uri(v, uri, e) < 0 || read_version(v, e) < 0) {
		lv_close(v);
		return -e->code;
	}
	v->deadline_ms = LV_DEADLINE_MS;
	*out = v;
	return 0;
}

/* Its directory is root's or this user's, but a socket is believed by its listener alone. */
static int check_listener(int fd, const char *socket, struct err *e)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return err_sys(e, errno, "cannot tell who listens on %s", socket);
	if (peer.uid && peer.uid != geteuid())
		return err_set(e, EACCES, "another user (uid %u) listens on libvirt's socket %s", (unsigned)peer.uid, socket);
	return 0;
}

static int nobody_there(const char *socket, struct err *e)
{
	return err_set(e, ENOENT, "libvirt does not run here: nobody listens on %s", socket);
}

/* A unix connect does not wait when non-blocking: EAGAIN means that the listener's queue is full. */
static int connect_to(const char *socket, unsigned timeout_ms, struct err *e)
{
	uint64_t until_ns = now_ns() + timeout_ms * 1000000ULL;
	int fd;

	while ((fd = unix_connect(socket, SOCK_NONBLOCK)) == -EAGAIN || fd == -EINTR) {
		if (now_ns() >= until_ns)
			return err_set(e, ETIMEDOUT, "libvirt does not answer at %s", socket);
		poll(NULL, 0, RETRY_CONNECT_MS);
	}
	if (fd == -ENOENT || fd == -ECONNREFUSED || fd == -ENOTDIR)
		return nobody_there(socket, e);
	return fd < 0 ? err_sys(e, -fd, "cannot connect to libvirt at %s", socket) : fd;
}

int lv_open_at(struct lv **out, const char *socket, const char *uri, unsigned timeout_ms, struct err *e)
{
	int fd = connect_to(socket, timeout_ms, e);

	if (fd < 0)
		return fd;
	if (check_listener(fd, socket, e) < 0) {
		close(fd);
		return -e->code;
	}
	return lv_open_fd(out, fd, socket, uri, timeout_ms, e);
}

int lv_open(struct lv **out, unsigned timeout_ms, struct err *e)
{
	/* the daemon of QEMU's guests alone, where libvirt is split into one a driver */
	static const char *const names[] = {"virtqemud-sock", "libvirt-sock"};
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	bool is_root = !geteuid();
	AUTO_FREE char *dir = NULL;
	int r = -ENOENT;
	size_t i;

	if (is_root)
		dir = xstrdup(SYSTEM_DIR);
	else
		dir = runtime && *runtime ? xasprintf("%s/libvirt", runtime) : xasprintf("/run/user/%u/libvirt", (unsigned)geteuid());
	for (i = 0; r == -ENOENT && i < ARRAY_LEN(names); i++) {
		AUTO_FREE char *socket = xasprintf("%s/%s", dir, names[i]);

		r = lv_open_at(out, socket, is_root ? SYSTEM_URI : SESSION_URI, timeout_ms, e);
	}
	return r;
}

void lv_close(struct lv *v)
{
	if (!v)
		return;
	if (v->fd >= 0)
		close(v->fd);
	free(v->socket);
	free(v->body);
	free(v);
}

void lv_set_deadline(struct lv *v, unsigned ms)
{
	v->deadline_ms = ms;
}

unsigned long lv_version(const struct lv *v)
{
	return v->version;
}

bool lv_is_user(const struct lv *v)
{
	return v->is_user;
}

int lv_error_code(const struct lv *v)
{
	return v->error_code;
}
