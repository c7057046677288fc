/* hello.c: see hello.h. */
#include "hello.h"
#include "messages.h"
#include "peer-error.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void hello_frame(struct link *l, uint16_t type, uint8_t *buf, size_t len, unsigned timeout_ms, struct err *e)
{
	struct frame_header h = {.type = type, .length = (uint32_t)len};

	frame_seal(buf, &h);
	link_send(l, buf, FRAME_HEADER_BYTES + len, now_ns() + timeout_ms * 1000000ULL, e);
}

int hello_send(struct link *l, const struct hello *mine, unsigned timeout_ms, struct err *e)
{
	uint8_t buf[FRAME_HEADER_BYTES + 1024];
	struct writer w = writer_of(buf + FRAME_HEADER_BYTES, sizeof(buf) - FRAME_HEADER_BYTES);
	struct msg_hello m = {.version = PROTO_VERSION,
			      .version_min = PROTO_VERSION_MIN,
			      .channel = mine->channel,
			      .generation = mine->generation,
			      .software = slice_of(mine->software),
			      .token = slice_of(mine->token)};

	memcpy(m.session, mine->session, 16);
	msg_hello_encode(&w, &m);
	e->code = 0;
	hello_frame(l, MSG_HELLO, buf, writer_len(&w), timeout_ms, e);
	return -e->code;
}

void hello_refuse(struct link *l, const char *text)
{
	uint8_t buf[FRAME_HEADER_BYTES + 2048];
	struct writer w = writer_of(buf + FRAME_HEADER_BYTES, sizeof(buf) - FRAME_HEADER_BYTES);
	struct msg_error m = {.code = EPROTO, .doing = slice_of(""), .text = slice_of(text)};
	struct err e;

	msg_error_encode(&w, &m);
	hello_frame(l, MSG_ERROR, buf, writer_len(&w), 1000, &e);
}

static int hello_check(const struct msg_hello *m, struct hello *theirs, struct err *e)
{
	char software[61];

	peer_words(software, sizeof(software), m->software);
	if (m->version < PROTO_VERSION_MIN || m->version_min > PROTO_VERSION)
		return err_set(e, EPROTONOSUPPORT,
			       "the peer (%s) speaks protocol versions %u to %u, this vmferry %d to %d; use the same release on both hosts",
			       software, m->version_min, m->version, PROTO_VERSION_MIN, PROTO_VERSION);
	if (m->required & ~FEATURES_KNOWN)
		return err_set(e, EPROTONOSUPPORT,
			       "the peer (%s) requires features (%#llx) that this vmferry does not have; use the same release on both hosts",
			       software, (unsigned long long)(m->required & ~FEATURES_KNOWN));
	memcpy(theirs->session, m->session, 16);
	theirs->channel = m->channel;
	theirs->generation = m->generation;
	snprintf(theirs->token, sizeof(theirs->token), "%.*s", (int)MIN(m->token.n, 64),
		 (const char *)m->token.p);
	snprintf(theirs->software, sizeof(theirs->software), "%s", software);
	return 0;
}

int hello_receive(struct link *l, struct hello *theirs, unsigned timeout_ms, struct err *e)
{
	uint8_t buf[FRAME_HEADER_BYTES + 16384];
	uint64_t deadline = now_ns() + timeout_ms * 1000000ULL;
	struct frame_header h;
	struct msg_hello m;
	int r;

	r = link_receive(l, buf, FRAME_HEADER_BYTES, deadline, e);
	if (r)
		return r;
	if (frame_header_decode(&h, buf) || h.length > sizeof(buf) - FRAME_HEADER_BYTES ||
	    (h.type != MSG_HELLO && h.type != MSG_ERROR))
		return err_set(e, EPROTO, "what is at the other end does not speak the vmferry protocol");
	r = link_receive(l, buf + FRAME_HEADER_BYTES, h.length, deadline, e);
	if (r)
		return r;
	if (!frame_intact(buf, &h))
		return err_set(e, EBADMSG, "the peer's HELLO arrived damaged");
	if (h.type == MSG_ERROR)
		return peer_error(buf + FRAME_HEADER_BYTES, h.length, e);
	if (msg_hello_decode(&m, buf + FRAME_HEADER_BYTES, h.length))
		return err_set(e, EPROTO, "the peer's HELLO is malformed");
	return hello_check(&m, theirs, e);
}
