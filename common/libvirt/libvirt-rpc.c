/* libvirt-rpc.c: see libvirt-rpc.h. Blocking calls, libvirt's errors, and the check of the listener. */
#include "log.h"
#include "lv-private.h"
#include "unix-socket.h"
#include "util.h"

#include <errno.h>
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

/* ---- libvirt's errors ---- */

/* The values of virErrorNumber (include/libvirt/virterror.h) that callers tell apart. */
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
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++)
		if (refusals[i].number == number)
			return refusals[i].code;
	return EREMOTEIO;
}

/* ---- a call ---- */

/* A caller that waits for the reply. */
struct waiter {
	struct lv_pending p;
	bool done;
	struct lv_head h;
	uint8_t *body;
};

static void wake(struct lv_pending *p, const struct lv_head *h, uint8_t *body)
{
	struct waiter *w = container_of(p, struct waiter, p);

	if (!h)
		return; /* the connection is lost, which the waiter sees by itself */
	w->h = *h;
	w->body = body;
	w->done = true;
}

/* Sends the call and waits; the reply is then in v->reply. */
static int exchange(struct lv *v, const struct lv_ask *ask, struct lv_head *h, struct err *e)
{
	uint64_t began_ns = now_ns(), until_ns = began_ns + v->deadline_ms * 1000000ULL;
	struct waiter w = {
		.p = {.program = ask->of_qemu ? LV_QEMU_PROGRAM : LV_PROGRAM, .procedure = ask->procedure, .replied = wake},
	};
	int r = lv_frames_send(v, &w.p, &ask->args, e) ?: lv_frames_until(v, &w.done, until_ns, e);

	if (r < 0) {
		lv_frames_forget(v, &w.p);
		free(w.body);
		return r;
	}
	log_debug("libvirt: procedure %d (%s): %.1f ms", (int)ask->procedure, ask->what, (double)(now_ns() - began_ns) / 1e6);
	free(v->reply);
	v->reply = w.body;
	*h = w.h;
	return 0;
}

/* The request in words, for an error, with room for usual names. */
static const char *asked(const struct lv_ask *ask, char text[300])
{
	snprintf(text, 300, ask->object ? "%s '%.200s'" : "%s", ask->what, ask->object);
	return text;
}

/* Reads a remote_error, of which only the first three members matter. */
int lv_refusal(struct lv *v, const struct lv_ask *ask, struct lv_reader r, struct err *e)
{
	int number = lv_read_i32(&r);
	AUTO_FREE char *words = NULL;
	char what[300];

	lv_read_u32(&r); /* the part of libvirt that it comes from */
	words = lv_read_optional(&r);
	if (r.bad)
		return err_set(e, EPROTO, "libvirt cannot %s, and sent a malformed error", asked(ask, what));
	v->error_code = number;
	return err_set(e, code_of(number), "libvirt cannot %s: %s (its error %d)", asked(ask, what), words ? words : "it does not say why",
		       number);
}

static int call(struct lv *v, const struct lv_ask *ask, struct lv_reader *r, struct err *e)
{
	struct lv_head h = {0};
	char what[300];

	if (v->dead)
		return err_set(e, EPIPE, "cannot %s: the connection to libvirt is lost: %s", asked(ask, what), v->why.msg);
	if (ask->args.bad || ask->args.n > LV_MESSAGE_MAX - LV_HEAD_BYTES)
		return err_set(e, E2BIG, "cannot %s: libvirt takes no text of more than %u bytes", asked(ask, what), LV_STRING_MAX);
	if (exchange(v, ask, &h, e) < 0) {
		err_prefix(e, "cannot %s", asked(ask, what));
		return lv_frames_lose(v, e);
	}
	*r = lv_reader_of(v->reply, h.length - LV_HEAD_BYTES);
	if (h.status != LV_ERROR)
		return 0;
	return lv_refusal(v, ask, *r, e) == -EPROTO ? lv_frames_lose(v, e) : -e->code;
}

int lv_reply_end(struct lv *v, const struct lv_ask *ask, const struct lv_reader *r, struct err *e)
{
	char what[300];

	if (lv_reader_done(r))
		return 0;
	err_set(e, EPROTO, "cannot %s: libvirt sent a malformed reply of procedure %d", asked(ask, what), (int)ask->procedure);
	return lv_frames_lose(v, e);
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

/* The socket's directory belongs to root or this user; still only the listener's credentials are trusted. */
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
	return err_set(e, ENOENT, "libvirt does not run here: no process listens on %s", socket);
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

char *lv_runtime_dir(void)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	if (!geteuid())
		return xstrdup(SYSTEM_DIR);
	return runtime && *runtime ? xasprintf("%s/libvirt", runtime) : xasprintf("/run/user/%u/libvirt", (unsigned)geteuid());
}

char *lv_guest_socket(const char *dir, const char *what, const char *guest)
{
	AUTO_FREE char *head = xasprintf("%s/%s.tunnelmigrate.dest.", dir, what);
	size_t taken = strlen(head), n = 0, one;

	while (guest[n] && (one = text_utf8_length(guest + n)) && taken + n + one <= UNIX_SOCKET_PATH_MAX)
		n += one;
	return xasprintf("%s%.*s", head, (int)n, guest);
}

char *lv_config_dir(void)
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

	if (!geteuid())
		return xstrdup("/etc/libvirt");
	return config && *config ? xasprintf("%s/libvirt", config) : xasprintf("%s/.config/libvirt", home ? home : "");
}

int lv_open(struct lv **out, unsigned timeout_ms, struct err *e)
{
	/* the daemon of QEMU's guests alone, where libvirt is split into one a driver */
	static const char *const names[] = {"virtqemud-sock", "libvirt-sock"};
	AUTO_FREE char *dir = lv_runtime_dir();
	bool is_root = !geteuid();
	int r = -ENOENT;

	for (size_t i = 0; r == -ENOENT && i < ARRAY_LEN(names); i++) {
		AUTO_FREE char *socket = xasprintf("%s/%s", dir, names[i]);

		r = lv_open_at(out, socket, is_root ? SYSTEM_URI : SESSION_URI, timeout_ms, e);
	}
	return r;
}

void lv_close(struct lv *v)
{
	if (!v)
		return;
	lv_frames_fini(v);
	FREE_ALL(v->socket, v->reply, v);
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

bool lv_is_lost(const struct lv *v)
{
	return v->dead;
}

int lv_error_code(const struct lv *v)
{
	return v->error_code;
}
