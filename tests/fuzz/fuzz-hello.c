/*
 * fuzz-hello.c: libFuzzer on what a source hears before it has a channel: HELLO, PROOF and ERROR of whatever answers there.
 *
 * The input is records of u8 what (low two bits: HELLO, PROOF, ERROR or another type; 0x20: wrong checksum, 0x80: bytes instead
 * of a frame), u16 length and so many bytes, heard one after another: a HELLO, then, if it is one, a PROOF. What is understood
 * may be shown, and nothing is read that is not asked for.
 */
#include "hello.h"
#include "seed.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define BYTES_MAX (HELLO_PAYLOAD_MAX + 4096)

static const uint16_t types[] = {MSG_HELLO, MSG_PROOF, MSG_ERROR, MSG_DATA};

static void expect_printable(const char *s, size_t cap)
{
	AUTO_FREE char *clean = NULL;

	require(strlen(s) < cap);
	clean = xstrdup(s);
	text_make_printable(clean, false);
	require(!strcmp(s, clean));
}

static void expect_sane(const struct hello *h)
{
	struct hello mine = {.channel = 1};
	uint8_t proof[HELLO_PROOF_BYTES];

	expect_printable(h->software, sizeof(h->software));
	expect_printable(h->way, sizeof(h->way));
	hello_prove(HELLO_DESTINATION, "00", &mine, h, proof);
	hello_prove(HELLO_SOURCE, "00", h, &mine, proof);
}

/* Writes a record as it is on the wire. */
static size_t frame(uint8_t what, struct slice s, uint8_t *out)
{
	struct frame_header h = {.type = types[what & 3], .length = (uint32_t)s.n};

	if (what & 0x80) {
		memcpy(out, s.p, s.n);
		return s.n;
	}
	memcpy(out + FRAME_HEADER_BYTES, s.p, s.n);
	frame_seal(out, &h);
	out[20] ^= what >> 5 & 1;
	return FRAME_HEADER_BYTES + s.n;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static uint8_t bytes[FRAME_HEADER_BYTES + BYTES_MAX];
	struct hello_input in = {.have = 0};
	struct reader r = reader_of(p, n);
	uint8_t proof[HELLO_PROOF_BYTES];
	struct link l = LINK_NONE;
	bool greeted = false;
	struct hello theirs;
	int fd[2], k = 0, left, then;
	struct err e;

	require(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
	l.fd = fd[0];
	while (reader_left(&r) && k >= 0) {
		uint8_t what = read_u8(&r);
		size_t want = read_u16(&r), len;
		struct slice s = read_bytes(&r, MIN(MIN(want, reader_left(&r)), BYTES_MAX));

		if (r.bad)
			break;
		len = frame(what, s, bytes);
		require(!len || send(fd[1], bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len);
		do {
			require(!ioctl(fd[0], FIONREAD, &left));
			k = greeted ? hello_receive_proof_more(&l, &in, proof, &e) : hello_receive_more(&l, &in, &theirs, &e);
			require(!ioctl(fd[0], FIONREAD, &then) && left - then <= FRAME_HEADER_BYTES + HELLO_PAYLOAD_MAX);
			require(k >= 0 || (e.code > 0 && e.msg[0]));
			if (k > 0 && !greeted)
				expect_sane(&theirs);
			greeted |= k > 0;
		} while (k > 0 && then);
	}
	close(fd[0]);
	close(fd[1]);
	return 0;
}

/* ---- seeds ---- */

static void record(struct writer *w, uint8_t what, const uint8_t *p, size_t n)
{
	write_u8(w, what);
	write_u16(w, (uint16_t)n);
	write_bytes(w, p, n);
	require(!w->bad);
}

static void write_seeds(void)
{
	static const uint8_t proof[HELLO_PROOF_BYTES] = {1};
	struct msg_hello h = {.version = PROTO_VERSION,
			      .version_min = PROTO_VERSION_MIN,
			      .channel = 1,
			      .software = slice_of("vmferry-dst 1\033["),
			      .way = slice_of("10.0.0.1:1 10.0.0.2:2"),
			      .proof = {proof, sizeof(proof)}};
	struct msg_error x = {.code = 13, .doing = slice_of("doing\n"), .text = slice_of("refused: \302\233")};
	uint8_t buf[1024], body[512];
	struct writer w = writer_of(buf, sizeof(buf)), m = writer_of(body, sizeof(body));

	msg_hello_encode(&m, &h);
	record(&w, 0, body, writer_len(&m));
	record(&w, 1, proof, sizeof(proof));
	seed_write("hello", buf, writer_len(&w));
	w = writer_of(buf, sizeof(buf));
	m = writer_of(body, sizeof(body));
	msg_error_encode(&m, &x);
	record(&w, 2, body, writer_len(&m));
	seed_write("error", buf, writer_len(&w));
	w = writer_of(buf, sizeof(buf));
	record(&w, 0x80, (const uint8_t *)"SSH-2.0-OpenSSH_9.2p1\r\n", 23);
	seed_write("bytes", buf, writer_len(&w));
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	seeds_if_asked(write_seeds);
	return 0;
}
