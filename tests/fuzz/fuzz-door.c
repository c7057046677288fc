/*
 * fuzz-door.c: libFuzzer on the door: whatever strangers say, side by side, from their first byte until it is known who they are.
 *
 * The input is what a few of them do: first a byte of settings, then records of u8 what (low three bits: enum deed; 0x18: who;
 * 0x20: wrong checksum), u8 length and so many bytes. Nobody comes in who has not done what lets one in: proved the token, or
 * shaken hands with the key. The door stands on a unix socket, where everybody's way is the same.
 */
#include "peer-accept.h"
#include "seed.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#define STRANGERS 4
#define MS	  100000
#define TOKEN	  "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define WAY	  "? ?"
#define WITH_KEY  1 /* settings */
#define RELAYED	  2
#define DAMAGED	  0x20

enum deed { COME, SAY, SAY_FRAME, SAY_HELLO, SAY_HELLO_BYTES, PROVE, SHAKE_HANDS, GO };

struct stranger {
	struct link link;
	bool here, shakes, secure, greeted;
	bool spoilt; /* the stranger has sent something before its HELLO */
	struct hello mine;
};

static const struct tls_key key = {"host-a", {1, 2, 3}};

static struct {
	struct access access;
	struct door *door;
	struct sockaddr_un address;
	socklen_t address_bytes;
	int listen_fd;
	struct stranger stranger[STRANGERS];
	unsigned entitled, entered;
} f;

static int wanted(void *ctx, const struct hello *theirs, struct err *e)
{
	(void)ctx;
	require(strlen(theirs->way) < HELLO_WAY_MAX && strlen(theirs->software) < sizeof(theirs->software));
	return theirs->channel > 9 ? err_set(e, EPERM, "there is no channel %u", theirs->channel) : 0;
}

static void enter(void *ctx, struct link *link, const struct hello *theirs)
{
	(void)ctx;
	require(++f.entered <= f.entitled && theirs->channel <= 9);
	link_forget(link);
}

static void open_listener(void)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	log_init("fuzz", LOG_LEVEL_ERROR, null);
	f.address = (struct sockaddr_un){.sun_family = AF_UNIX};
	f.listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	f.address_bytes = sizeof(f.address);
	require(null >= 0 && f.listen_fd >= 0 && !bind(f.listen_fd, (struct sockaddr *)&f.address, sizeof(sa_family_t)) &&
		!listen(f.listen_fd, 2 * STRANGERS) &&
		!getsockname(f.listen_fd, (struct sockaddr *)&f.address, &f.address_bytes)); /* a name without a file */
}

/* ---- deeds ---- */

static void go(struct stranger *s)
{
	if (s->here)
		link_forget(&s->link);
	*s = (struct stranger){.link = LINK_NONE};
}

static void come(struct stranger *s)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	go(s);
	require(fd >= 0 && !connect(fd, (struct sockaddr *)&f.address, f.address_bytes));
	*s = (struct stranger){.link.fd = fd, .here = true};
}

static void say(struct stranger *s, const uint8_t *p, size_t n)
{
	struct err e;

	if (s->secure)
		link_send(&s->link, p, n, 0, &e);
	else if (n)
		send(s->link.fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void say_frame(struct stranger *s, uint16_t type, const uint8_t *p, size_t n, bool damaged)
{
	struct frame_header h = {.type = type, .length = (uint32_t)n};
	uint8_t buf[FRAME_HEADER_BYTES + 512];

	require(n <= 512);
	if (n)
		memcpy(buf + FRAME_HEADER_BYTES, p, n);
	frame_seal(buf, &h);
	buf[20] ^= damaged;
	say(s, buf, FRAME_HEADER_BYTES + n);
}

/* Says HELLO as a source does, with the session and the channel from p. */
static void say_hello(struct stranger *s, const uint8_t *p, size_t n, bool damaged)
{
	uint8_t buf[512];
	struct writer w = writer_of(buf, sizeof(buf));
	struct msg_hello m = {.version = PROTO_VERSION,
			      .version_min = PROTO_VERSION_MIN,
			      .channel = n ? p[0] : 1,
			      .software = slice_of("vmferry"),
			      .way = slice_of(s->secure ? "" : WAY)};

	memcpy(m.session, p, MIN(n, sizeof(m.session)));
	s->mine = (struct hello){.channel = m.channel};
	memcpy(s->mine.session, m.session, 16);
	snprintf(s->mine.way, sizeof(s->mine.way), WAY);
	msg_hello_encode(&w, &m);
	say_frame(s, MSG_HELLO, buf, writer_len(&w), damaged);
	/* with the key nothing more is asked for */
	f.entitled += s->secure && !damaged;
	s->greeted = true;
}

/* With what the door has said. */
static void prove(struct stranger *s, bool damaged)
{
	uint8_t proof[HELLO_PROOF_BYTES] = {0};
	struct hello_input in = {.have = 0};
	struct hello theirs;
	struct err e;

	if (s->greeted && !s->shakes && hello_receive_more(&s->link, &in, &theirs, &e) > 0) {
		bool is_for_us = theirs.proves && hello_proof_is(theirs.proof, HELLO_DESTINATION, TOKEN, &s->mine, &theirs);

		require(is_for_us || s->spoilt);
		hello_prove(HELLO_SOURCE, TOKEN, &s->mine, &theirs, proof);
		f.entitled += is_for_us && !damaged;
	}
	say_frame(s, MSG_PROOF, proof, sizeof(proof), damaged);
}

static void shake_hands(struct stranger *s)
{
	struct err e;
	int r;

	if (s->secure)
		return;
	if (!s->shakes) { /* the first word is the source's; it is in vain to wait for an answer */
		s->shakes = true;
		link_secure(&s->link, tls_conn_client(&key), 0, &e);
		return;
	}
	r = link_secure_more(&s->link, &e);
	s->secure = r > 0;
	if (r < 0)
		go(s);
}

static void act(uint8_t what, const uint8_t *p, size_t n)
{
	struct stranger *s = &f.stranger[what >> 3 & 3];
	bool damaged = what & DAMAGED;
	enum deed deed = what & 7;

	if (deed == COME)
		come(s);
	if (!s->here)
		return;
	s->spoilt |= deed == SAY || deed == SAY_FRAME || deed == SAY_HELLO_BYTES || deed == PROVE || (deed == SAY_HELLO && s->greeted);
	switch (deed) {
	case COME:
		break;
	case SAY:
		say(s, p, n);
		break;
	case SAY_FRAME:
		if (n >= 2)
			say_frame(s, (uint16_t)(p[0] << 8 | p[1]), p + 2, n - 2, damaged);
		break;
	case SAY_HELLO:
		say_hello(s, p, n, damaged);
		break;
	case SAY_HELLO_BYTES: /* a HELLO of p's bytes, which may be as valid as say_hello()'s for a peer that has the key */
		f.entitled += s->secure;
		say_frame(s, MSG_HELLO, p, n, damaged);
		break;
	case PROVE:
		prove(s, damaged);
		break;
	case SHAKE_HANDS:
		shake_hands(s);
		break;
	case GO:
		go(s);
		break;
	}
}

/* ---- seeds ---- */

static void record(struct writer *w, uint8_t what, const void *p, size_t n)
{
	write_u8(w, what);
	write_u8(w, (uint8_t)n);
	write_bytes(w, p, n);
	require(!w->bad && n < 256);
}

static void write_seeds(void)
{
	uint8_t buf[1024], hello[255];
	struct writer w, m;
	struct msg_hello h = {.version = PROTO_VERSION, .version_min = PROTO_VERSION_MIN, .software = slice_of("x"), .way = slice_of(WAY)};
	struct msg_error x = {.code = 5, .doing = slice_of("doing"), .text = slice_of("text")};

	w = writer_of(buf, sizeof(buf)); /* two at once, one of them proves it */
	write_u8(&w, 0);
	record(&w, COME, "", 0);
	record(&w, COME | 8, "", 0);
	record(&w, SAY_HELLO, "\1", 1);
	record(&w, SAY | 8, "GET / HTTP/1.0\r\n\r\n", 18);
	record(&w, PROVE, "", 0);
	record(&w, GO | 8, "", 0);
	seed_write("token", buf, writer_len(&w));

	w = writer_of(buf, sizeof(buf));
	write_u8(&w, WITH_KEY);
	record(&w, COME, "", 0);
	record(&w, SHAKE_HANDS, "", 0);
	record(&w, SHAKE_HANDS, "", 0);
	record(&w, SHAKE_HANDS, "", 0);
	record(&w, SAY_HELLO, "\1", 1);
	seed_write("key", buf, writer_len(&w));

	w = writer_of(buf, sizeof(buf)); /* a HELLO in two pieces, and one that is all bytes */
	m = writer_of(hello, sizeof(hello));
	msg_hello_encode(&m, &h);
	write_u8(&w, RELAYED);
	record(&w, COME | 16, "", 0);
	record(&w, SAY_HELLO_BYTES | 16, hello, writer_len(&m));
	record(&w, COME, "", 0);
	record(&w, SAY, "\1\200\0\0", 4);
	record(&w, SAY, "\0", 1);
	m = writer_of(hello, sizeof(hello));
	write_u8(&m, MSG_ERROR >> 8);
	write_u8(&m, MSG_ERROR & 0xff);
	msg_error_encode(&m, &x);
	record(&w, COME, "", 0);
	record(&w, SAY_FRAME, hello, writer_len(&m));
	seed_write("pieces", buf, writer_len(&w));

	w = writer_of(buf, sizeof(buf)); /* clear where TLS is spoken, and a record that never ends */
	write_u8(&w, WITH_KEY);
	record(&w, COME, "", 0);
	record(&w, SAY_HELLO, "\1", 1);
	record(&w, COME, "", 0);
	record(&w, SAY, "\26\3\1\100\0\1\0\0\0\3\3", 11);
	seed_write("records", buf, writer_len(&w));
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	seeds_if_asked(write_seeds);
	open_listener();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct door_config dc = {.access = &f.access, .timeout_ms = MS, .level = LOG_LEVEL_ERROR, .wanted = wanted, .enter = enter};
	struct reader r = reader_of(p, n);
	uint8_t settings = read_u8(&r);
	struct err e;
	unsigned i;

	f.access = (struct access){.keys = &key,
				   .key_count = settings & WITH_KEY,
				   .relayed = settings & RELAYED,
				   .token = settings & WITH_KEY ? "" : TOKEN};
	f.entitled = f.entered = 0;
	require(!door_new(&f.door, f.listen_fd, &dc, &e));
	while (reader_left(&r)) {
		uint8_t what = read_u8(&r);
		size_t want = read_u8(&r);
		struct slice s = read_bytes(&r, MIN(want, reader_left(&r)));

		if (r.bad)
			break;
		act(what, s.p, s.n);
		door_step(f.door);
		door_step(f.door); /* the second step hears a peer that the first step accepted */
	}
	for (i = 0; i < STRANGERS; i++)
		go(&f.stranger[i]);
	door_free(f.door);
	return 0;
}
