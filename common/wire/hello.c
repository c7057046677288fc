/* hello.c: see hello.h. */
#include "hello.h"
#include "peer-error.h"
#include "process.h"
#include "util.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

/* ---- sending ---- */

static int send_frame(struct link *l, uint16_t type, uint8_t *buf, size_t len, unsigned timeout_ms, struct err *e)
{
	struct frame_header h = {.type = type, .length = (uint32_t)len};

	frame_seal(buf, &h);
	return link_send(l, buf, FRAME_HEADER_BYTES + len, now_ns() + timeout_ms * 1000000ULL, e);
}

/* A host is what has its own network: two namespaces of one machine are two hosts. */
static void host_id(uint8_t out[16])
{
	AUTO_FREE char *boot = boot_id();
	struct stat st = {.st_ino = 0};
	AUTO_FREE char *text = NULL;
	uint8_t digest[32] = {0};

	stat("/proc/self/ns/net", &st);
	text = xasprintf("vmferry host %s %llu %llu", boot ? boot : "", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	if (!EVP_Digest(text, strlen(text), digest, NULL, EVP_sha256(), NULL))
		abort();
	memcpy(out, digest, 16);
}

void hello_begin(struct hello *mine)
{
	if (getrandom(mine->nonce, sizeof(mine->nonce), 0) != (ssize_t)sizeof(mine->nonce))
		abort();
	host_id(mine->host);
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
			      .way = slice_of(mine->way),
			      .proof = {mine->proof, mine->proves ? HELLO_PROOF_BYTES : 0}};

	memcpy(m.session, mine->session, 16);
	memcpy(m.nonce, mine->nonce, 16);
	memcpy(m.host, mine->host, 16);
	msg_hello_encode(&w, &m);
	return send_frame(l, MSG_HELLO, buf, writer_len(&w), timeout_ms, e);
}

int hello_send_proof(struct link *l, const uint8_t proof[HELLO_PROOF_BYTES], unsigned timeout_ms, struct err *e)
{
	uint8_t buf[FRAME_HEADER_BYTES + HELLO_PROOF_BYTES];

	memcpy(buf + FRAME_HEADER_BYTES, proof, HELLO_PROOF_BYTES);
	return send_frame(l, MSG_PROOF, buf, HELLO_PROOF_BYTES, timeout_ms, e);
}

void hello_refuse(struct link *l, const char *text)
{
	uint8_t buf[FRAME_HEADER_BYTES + 2048];
	struct writer w = writer_of(buf + FRAME_HEADER_BYTES, sizeof(buf) - FRAME_HEADER_BYTES);
	struct msg_error m = {.code = EPROTO, .doing = slice_of(""), .text = slice_of(text)};
	struct err e;

	msg_error_encode(&w, &m);
	send_frame(l, MSG_ERROR, buf, writer_len(&w), 0, &e);
}

/* ---- receiving ---- */

static int hello_check(const struct msg_hello *m, struct hello *theirs, struct err *e)
{
	char software[61];

	peer_words(software, sizeof(software), m->software);
	if (m->version < PROTO_VERSION_MIN || m->version_min > PROTO_VERSION)
		return err_set(e, EPROTONOSUPPORT,
			       "the peer (%s) speaks protocol versions %u to %u, this vmferry %d to %d; use the same release on both hosts",
			       software, m->version_min, m->version, PROTO_VERSION_MIN, PROTO_VERSION);
	if (m->required & ~FEATURES_KNOWN)
		return err_set(
			e, EPROTONOSUPPORT,
			"the peer (%s) requires features (%#llx) that this vmferry does not have; use the same release on both hosts",
			software, (unsigned long long)(m->required & ~FEATURES_KNOWN));
	if ((m->proof.n && m->proof.n != HELLO_PROOF_BYTES) || m->way.n >= HELLO_WAY_MAX)
		return err_set(e, EPROTO, "the peer's HELLO is malformed");
	*theirs = (struct hello){.channel = m->channel, .generation = m->generation, .proves = m->proof.n != 0};
	memcpy(theirs->session, m->session, 16);
	memcpy(theirs->nonce, m->nonce, 16);
	memcpy(theirs->host, m->host, 16);
	if (theirs->proves)
		memcpy(theirs->proof, m->proof.p, HELLO_PROOF_BYTES);
	peer_words(theirs->way, sizeof(theirs->way), m->way);
	snprintf(theirs->software, sizeof(theirs->software), "%s", software);
	return 1;
}

/* A whole frame of this type: 1, *payload is in `in`. An ERROR is one of ours. */
static int receive_frame(struct link *l, struct hello_input *in, uint16_t type, struct slice *payload, struct err *e)
{
	struct frame_header h;
	int r = 1;

	if (in->have < FRAME_HEADER_BYTES)
		r = link_receive_more(l, in->bytes, FRAME_HEADER_BYTES, &in->have, e);
	if (r <= 0)
		return r;
	if (frame_header_decode(&h, in->bytes) || h.length > HELLO_PAYLOAD_MAX || (h.type != type && h.type != MSG_ERROR))
		return err_set(e, EPROTO, "the other end does not speak the vmferry protocol");
	r = link_receive_more(l, in->bytes, FRAME_HEADER_BYTES + h.length, &in->have, e);
	if (r <= 0)
		return r;
	if (!frame_intact(in->bytes, &h))
		return err_set(e, EBADMSG, "the peer's HELLO arrived damaged");
	*payload = (struct slice){in->bytes + FRAME_HEADER_BYTES, h.length};
	in->have = 0;
	return h.type == MSG_ERROR ? peer_error(payload->p, payload->n, e) : 1;
}

int hello_receive_more(struct link *l, struct hello_input *in, struct hello *theirs, struct err *e)
{
	struct slice payload;
	struct msg_hello m;
	int r = receive_frame(l, in, MSG_HELLO, &payload, e);

	if (r <= 0)
		return r;
	if (msg_hello_decode(&m, payload.p, payload.n))
		return err_set(e, EPROTO, "the peer's HELLO is malformed");
	return hello_check(&m, theirs, e);
}

typedef int receive_more(struct link *l, struct hello_input *in, struct hello *theirs, struct err *e);

static int wait_for(receive_more *more, struct link *l, struct hello *theirs, unsigned timeout_ms, struct err *e)
{
	uint64_t deadline = now_ns() + timeout_ms * 1000000ULL;
	struct hello_input in = {.have = 0};
	int r;

	while ((r = more(l, &in, theirs, e)) == 0)
		if (link_wait(l, deadline, e))
			return -e->code;
	return r < 0 ? r : 0;
}

int hello_receive(struct link *l, struct hello *theirs, unsigned timeout_ms, struct err *e)
{
	return wait_for(hello_receive_more, l, theirs, timeout_ms, e);
}

int hello_receive_proof_more(struct link *l, struct hello_input *in, uint8_t proof[HELLO_PROOF_BYTES], struct err *e)
{
	struct slice payload;
	int r = receive_frame(l, in, MSG_PROOF, &payload, e);

	if (r <= 0)
		return r;
	if (payload.n != HELLO_PROOF_BYTES)
		return err_set(e, EPROTO, "the peer's PROOF is malformed");
	memcpy(proof, payload.p, HELLO_PROOF_BYTES);
	return 1;
}

/* ---- RESUME ---- */

int hello_send_resume(struct link *l, const struct hello *mine, unsigned timeout_ms, struct err *e)
{
	uint8_t buf[FRAME_HEADER_BYTES + 64];
	struct writer w = writer_of(buf + FRAME_HEADER_BYTES, sizeof(buf) - FRAME_HEADER_BYTES);
	struct msg_resume m = {.channel = mine->channel, .generation = mine->generation, .last_received = mine->received};

	memcpy(m.session, mine->session, 16);
	msg_resume_encode(&w, &m);
	return send_frame(l, MSG_RESUME, buf, writer_len(&w), timeout_ms, e);
}

int hello_receive_resume_more(struct link *l, struct hello_input *in, struct hello *theirs, struct err *e)
{
	struct slice payload;
	struct msg_resume m;
	int r = receive_frame(l, in, MSG_RESUME, &payload, e);

	if (r <= 0)
		return r;
	if (msg_resume_decode(&m, payload.p, payload.n) || memcmp(m.session, theirs->session, 16) || m.channel != theirs->channel ||
	    m.generation != theirs->generation)
		return err_set(e, EPROTO, "the peer's RESUME is malformed, or about another connection than its HELLO");
	theirs->received = m.last_received;
	return 1;
}

int hello_receive_resume(struct link *l, struct hello *theirs, unsigned timeout_ms, struct err *e)
{
	return wait_for(hello_receive_resume_more, l, theirs, timeout_ms, e);
}

/* ---- proof ---- */

static void write_text(struct writer *w, const char *s)
{
	write_u16(w, (uint16_t)strlen(s));
	write_bytes(w, s, strlen(s));
}

void hello_prove(enum hello_side by, const char *token, const struct hello *source, const struct hello *destination,
		 uint8_t out[HELLO_PROOF_BYTES])
{
	static const char *const words[] = {"vmferry 1 source", "vmferry 1 destination"};
	uint8_t text[256];
	struct writer w = writer_of(text, sizeof(text));
	unsigned n = 0;

	write_text(&w, words[by]);
	write_bytes(&w, source->session, 16);
	write_bytes(&w, source->nonce, 16);
	write_bytes(&w, destination->nonce, 16);
	write_u32(&w, source->channel);
	write_u32(&w, source->generation);
	write_text(&w, source->way);
	if (w.bad || !HMAC(EVP_sha256(), token, (int)strlen(token), text, writer_len(&w), out, &n) || n != HELLO_PROOF_BYTES)
		abort();
}

bool hello_proof_is(const uint8_t proof[HELLO_PROOF_BYTES], enum hello_side by, const char *token, const struct hello *source,
		    const struct hello *destination)
{
	uint8_t right[HELLO_PROOF_BYTES];

	hello_prove(by, token, source, destination, right);
	return *token && !CRYPTO_memcmp(proof, right, HELLO_PROOF_BYTES);
}
