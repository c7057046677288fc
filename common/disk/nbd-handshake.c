/*
 * nbd-handshake.c: see nbd-handshake.h. Fixed newstyle negotiation, NBD_OPT_GO (NBD protocol, doc/proto.md).
 */
#include "nbd-handshake.h"
#include "be.h"
#include "peer-error.h"
#include "util.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#define NBD_MAGIC     0x4e42444d41474943ULL /* "NBDMAGIC" */
#define NBD_OPT_MAGIC 0x49484156454f5054ULL /* "IHAVEOPT" */
#define NBD_REP_MAGIC 0x0003e889045565a9ULL
enum { NBD_FIXED_NEWSTYLE = 1, NBD_NO_ZEROES = 2 };
enum { NBD_OPT_GO = 7, NBD_OPT_STRUCTURED_REPLY = 8, NBD_OPT_SET_META_CONTEXT = 10 };
enum { NBD_REP_ACK = 1, NBD_REP_INFO = 3, NBD_REP_META_CONTEXT = 4 };
#define NBD_REP_ERROR	     0x80000000u
#define NBD_REP_ERR_UNSUP    0x80000001u
#define NBD_REP_ERR_TLS_REQD 0x80000005u
#define NBD_REP_ERR_UNKNOWN  0x80000006u
enum { NBD_INFO_EXPORT = 0, NBD_INFO_BLOCK_SIZE = 3 };
enum {
	NBD_HAS_FLAGS = 1 << 0,
	NBD_READ_ONLY = 1 << 1,
	NBD_SEND_FLUSH = 1 << 2,
	NBD_SEND_WRITE_ZEROES = 1 << 6,
};
#define HS_MAX_REPLY   (16 * 1024) /* bytes of one option reply's payload */
#define HS_MAX_REPLIES 256	   /* replies to one option */
#define HS_MAX_BLOCK   (64 * 1024) /* largest minimum block size the protocol permits */

static unsigned char *put_string(unsigned char *p, const char *s)
{
	size_t len = strlen(s);

	p = put32(p, (uint32_t)len);
	return (unsigned char *)memcpy(p, s, len) + len;
}

struct handshake {
	int fd;
	uint64_t deadline_ns;
	struct err *e;
	uint32_t reply_len; /* length of the option reply last received */
	unsigned char reply[HS_MAX_REPLY];
};

static int hs_wait(struct handshake *h, short events)
{
	struct pollfd p = {.fd = h->fd, .events = events};
	uint64_t now = now_ns();
	int r;

	if (now >= h->deadline_ns)
		return err_set(h->e, ETIMEDOUT, "the NBD server does not answer");
	r = poll(&p, 1, (int)MIN((h->deadline_ns - now) / 1000000 + 1, (uint64_t)INT_MAX));
	return r < 0 && errno != EINTR ? err_sys(h->e, errno, "poll") : 0;
}

static int hs_recv(struct handshake *h, void *buf, size_t len)
{
	unsigned char *p = buf;

	while (len) {
		ssize_t r = recv(h->fd, p, len, MSG_DONTWAIT);

		if (r == 0)
			return err_set(h->e, ECONNRESET, "the NBD server closed the connection during the handshake");
		if (r < 0) {
			if (errno != EAGAIN && errno != EINTR)
				return err_sys(h->e, errno, "cannot read from the NBD server");
			if (hs_wait(h, POLLIN) < 0)
				return -h->e->code;
			continue;
		}
		p += r;
		len -= (size_t)r;
	}
	return 0;
}

static int hs_send(struct handshake *h, const void *buf, size_t len)
{
	const unsigned char *p = buf;

	while (len) {
		ssize_t r = send(h->fd, p, len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (r < 0) {
			if (errno != EAGAIN && errno != EINTR)
				return err_sys(h->e, errno, "cannot write to the NBD server");
			if (hs_wait(h, POLLOUT) < 0)
				return -h->e->code;
			continue;
		}
		p += r;
		len -= (size_t)r;
	}
	return 0;
}

static int hs_option(struct handshake *h, uint32_t option, const void *data, size_t len)
{
	unsigned char head[16];

	put32(put32(put64(head, NBD_OPT_MAGIC), option), (uint32_t)len);
	if (hs_send(h, head, sizeof(head)) < 0)
		return -h->e->code;
	return hs_send(h, data, len);
}

/* Receives one reply to `option` into h->reply; its type goes to *type. */
static int hs_reply(struct handshake *h, uint32_t option, uint32_t *type)
{
	unsigned char head[20];

	if (hs_recv(h, head, sizeof(head)) < 0)
		return -h->e->code;
	if (be64(head) != NBD_REP_MAGIC || be32(head + 8) != option)
		return err_set(h->e, EPROTO, "the NBD server sent a malformed reply to option %u", option);
	h->reply_len = be32(head + 16);
	if (h->reply_len > HS_MAX_REPLY)
		return err_set(h->e, EPROTO, "the NBD server's reply to option %u has %u bytes", option, h->reply_len);
	if (hs_recv(h, h->reply, h->reply_len) < 0)
		return -h->e->code;
	*type = be32(head + 12);
	return 0;
}

/* Turns an error reply into an error: what we asked for, and the server's own words. */
static int hs_refused(struct handshake *h, uint32_t type, const char *what)
{
	char text[200];

	peer_words(text, sizeof(text), (struct slice){h->reply, h->reply_len});
	if (type == NBD_REP_ERR_UNKNOWN)
		return err_set(h->e, ENOENT, "%s: the NBD server does not have it (%s)", what, text);
	if (type == NBD_REP_ERR_UNSUP)
		return err_set(h->e, ENOTSUP, "%s: the NBD server cannot do that (%s)", what, text);
	if (type == NBD_REP_ERR_TLS_REQD)
		return err_set(h->e, EACCES, "%s: the NBD server wants TLS (%s)", what, text);
	return err_set(h->e, type & NBD_REP_ERROR ? EACCES : EPROTO, "%s: the NBD server refused with reply %#x (%s)", what, type, text);
}

static int hs_greeting(struct handshake *h)
{
	unsigned char head[18], flags[4];

	if (hs_recv(h, head, sizeof(head)) < 0)
		return -h->e->code;
	if (be64(head) != NBD_MAGIC || be64(head + 8) != NBD_OPT_MAGIC)
		return err_set(h->e, EPROTO, "this is not a newstyle NBD server");
	if (!(be16(head + 16) & NBD_FIXED_NEWSTYLE))
		return err_set(h->e, ENOTSUP, "the NBD server does not speak fixed newstyle");
	put32(flags, be16(head + 16) & (NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES));
	return hs_send(h, flags, sizeof(flags));
}

static int hs_structured(struct handshake *h, bool *structured)
{
	uint32_t type;

	if (hs_option(h, NBD_OPT_STRUCTURED_REPLY, NULL, 0) < 0 || hs_reply(h, NBD_OPT_STRUCTURED_REPLY, &type) < 0)
		return -h->e->code;
	if (type != NBD_REP_ACK && !(type & NBD_REP_ERROR))
		return hs_refused(h, type, "structured replies");
	*structured = type == NBD_REP_ACK;
	return 0;
}

/* Takes a META_CONTEXT reply: the context that it answers for is added to *found, its id goes to id[]. */
static int hs_context(struct handshake *h, const char *const *contexts, unsigned count, uint32_t *found, uint32_t *id)
{
	char text[100];
	unsigned i, k;

	if (h->reply_len < 4)
		return err_set(h->e, EPROTO, "the NBD server sent a short meta context");
	for (i = 0; i < count; i++)
		if (strlen(contexts[i]) == h->reply_len - 4 && !memcmp(contexts[i], h->reply + 4, h->reply_len - 4))
			break;
	peer_words(text, sizeof(text), (struct slice){h->reply + 4, h->reply_len - 4});
	if (i == count || (*found & 1u << i))
		return err_set(h->e, EPROTO, "the NBD server sent meta context '%s', not asked for or twice", text);
	id[i] = be32(h->reply);
	for (k = 0; k < count; k++)
		if (k != i && (*found & 1u << k) && id[k] == id[i])
			return err_set(h->e, EPROTO, "the NBD server gave one id to two meta contexts");
	*found |= 1u << i;
	return 0;
}

static int hs_contexts(struct handshake *h, const char *export_name, const char *const *contexts, unsigned count, uint32_t *id)
{
	size_t size = 8 + strlen(export_name);
	AUTO_FREE unsigned char *buf = NULL;
	uint32_t type, found = 0;
	unsigned char *p;

	for (unsigned i = 0; i < count; i++)
		size += 4 + strlen(contexts[i]);
	buf = xmalloc(size);
	p = put32(put_string(buf, export_name), count);
	for (unsigned i = 0; i < count; i++)
		p = put_string(p, contexts[i]);
	if (hs_option(h, NBD_OPT_SET_META_CONTEXT, buf, size) < 0)
		return -h->e->code;
	for (unsigned i = 0; i < HS_MAX_REPLIES; i++) {
		if (hs_reply(h, NBD_OPT_SET_META_CONTEXT, &type) < 0)
			return -h->e->code;
		if (type == NBD_REP_ACK)
			break;
		if (type != NBD_REP_META_CONTEXT)
			return hs_refused(h, type, "meta contexts");
		if (hs_context(h, contexts, count, &found, id) < 0)
			return -h->e->code;
	}
	for (unsigned i = 0; i < count; i++)
		if (!(found & 1u << i))
			return err_set(h->e, ENOENT, "the NBD server has no '%s' for this export", contexts[i]);
	return 0;
}

static int hs_info(struct handshake *h, struct nbd_info *info, bool *have_export)
{
	const unsigned char *p = h->reply;
	unsigned flags;

	if (h->reply_len < 2)
		return err_set(h->e, EPROTO, "the NBD server sent a short information reply");
	if (be16(p) == NBD_INFO_EXPORT) {
		if (h->reply_len != 12)
			return err_set(h->e, EPROTO, "the NBD server's export information has %u bytes", h->reply_len);
		info->size = be64(p + 2);
		if (info->size > INT64_MAX)
			return err_set(h->e, EPROTO, "the NBD server says the export has %llu bytes", (unsigned long long)info->size);
		flags = be16(p + 10);
		if (!(flags & NBD_HAS_FLAGS))
			flags = 0;
		info->read_only = flags & NBD_READ_ONLY;
		info->can_flush = flags & NBD_SEND_FLUSH;
		info->can_zero = flags & NBD_SEND_WRITE_ZEROES;
		*have_export = true;
	} else if (be16(p) == NBD_INFO_BLOCK_SIZE) {
		uint32_t min = h->reply_len == 14 ? be32(p + 2) : 0, pref = min ? be32(p + 6) : 0;
		uint32_t max = min ? be32(p + 10) : 0;

		if (!min || min > HS_MAX_BLOCK || (min & (min - 1)) || pref < min || (pref & (pref - 1)) || max < min)
			return err_set(h->e, EPROTO, "the NBD server's block sizes %u, %u, %u make no sense", min, pref, max);
		info->min_block = min;
		info->max_block = MIN(max, NBD_MAX_REQUEST);
	}
	return 0;
}

static int hs_go(struct handshake *h, const char *export_name, struct nbd_info *info)
{
	size_t size = 4 + strlen(export_name) + 4;
	AUTO_FREE unsigned char *buf = xmalloc(size);
	bool have_export = false;
	char what[300];
	uint32_t type;

	put16(put16(put_string(buf, export_name), 1), NBD_INFO_BLOCK_SIZE);
	if (hs_option(h, NBD_OPT_GO, buf, size) < 0)
		return -h->e->code;
	for (unsigned i = 0; i < HS_MAX_REPLIES; i++) {
		if (hs_reply(h, NBD_OPT_GO, &type) < 0)
			return -h->e->code;
		if (type == NBD_REP_ACK)
			return have_export ? 0 : err_set(h->e, EPROTO, "the NBD server did not say the export's size");
		if (type != NBD_REP_INFO) {
			snprintf(what, sizeof(what), "export '%.200s'", export_name);
			return hs_refused(h, type, what);
		}
		if (hs_info(h, info, &have_export) < 0)
			return -h->e->code;
	}
	return err_set(h->e, EPROTO, "the NBD server does not stop describing the export");
}

static int connect_unix(const char *path, unsigned timeout_ms, struct err *e)
{
	struct timeval tv = {timeout_ms / 1000, (suseconds_t)(timeout_ms % 1000) * 1000}, none = {0, 0};
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd, r;

	if (strlen(path) >= sizeof(sa.sun_path))
		return err_set(e, ENAMETOOLONG, "NBD socket '%s': the path has more than %zu bytes", path, sizeof(sa.sun_path) - 1);
	strcpy(sa.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(e, errno, "socket");
	/* the send timeout also bounds a connect() to a full backlog */
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		r = err_sys(e, errno == EAGAIN ? ETIMEDOUT : errno, "cannot connect to NBD socket '%s'", path);
		close(fd);
		return r;
	}
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof(none));
	return fd;
}

static int check_names(const char *export_name, const char *const *contexts, unsigned *count, struct err *e)
{
	*count = 0;
	if (strlen(export_name) > NBD_MAX_NAME)
		return err_set(e, ENAMETOOLONG, "the NBD export's name is too long");
	for (; contexts && contexts[*count]; ++*count)
		if (*count == NBD_MAX_CONTEXTS || strlen(contexts[*count]) > NBD_MAX_NAME)
			return err_set(e, EINVAL, "too many or too long meta contexts");
	return 0;
}

static int negotiate(struct nbd_session *s, const char *export_name, const char *const *contexts, uint64_t deadline_ns, struct err *e)
{
	AUTO_FREE struct handshake *h = xmalloc(sizeof(*h));

	h->fd = s->fd;
	h->deadline_ns = deadline_ns;
	h->e = e;
	s->info.min_block = 1;
	s->info.max_block = NBD_MAX_REQUEST;
	if (hs_greeting(h) < 0 || hs_structured(h, &s->structured) < 0)
		return -e->code;
	if (s->info.contexts && !s->structured)
		return err_set(e, ENOTSUP, "the NBD server has no structured replies, so no block status");
	if (s->info.contexts && hs_contexts(h, export_name, contexts, s->info.contexts, s->context_id) < 0)
		return -e->code;
	return hs_go(h, export_name, &s->info);
}

int nbd_handshake(struct nbd_session *s, const char *socket_path, const char *export_name, const char *const *contexts, unsigned timeout_ms,
		  struct err *e)
{
	uint64_t deadline_ns = now_ns() + timeout_ms * 1000000ULL;
	int r;

	*s = (struct nbd_session){.fd = -1};
	r = check_names(export_name, contexts, &s->info.contexts, e);
	if (r < 0)
		return r;
	s->fd = connect_unix(socket_path, timeout_ms, e);
	if (s->fd < 0)
		return s->fd;
	r = negotiate(s, export_name, contexts, deadline_ns, e);
	if (r < 0) {
		close(s->fd);
		return err_prefix(e, "NBD socket '%s'", socket_path);
	}
	return 0;
}
