/*
 * fuzz-tls.c: libFuzzer on both ends of a TLS connection, from memory to memory, with somebody between them who passes on, drops, changes
 * and adds what he likes. If he only passes on, both hear all.
 *
 * The input is records of u8 what (low three bits: enum deed; FROM_SERVER), u8 length (255: all there is; of ADD: more than there is room
 * for) and, for CHANGE and ADD, so many bytes. Whatever he does: what one end hears is what the other has said, from the beginning.
 */
#include "cursor.h"
#include "seed.h"
#include "tls.h"

#include <errno.h>

#define FROM_SERVER 8
#define SAID_MAX    4096

enum deed { PASS, DROP, CHANGE, ADD, SAY, END };

struct end {
	struct tls *tls;
	bool secure, over, ended;
	size_t said_bytes, heard_bytes;
	uint8_t said[SAID_MAX];
};

static const uint8_t flood[64 * 1024] = {0x16, 3, 3, 0x3f, 0xff};
static const struct tls_key keys[] = {{"host-b", {9}}, {"host-a", {1, 2, 3}}};

static void give(struct end *to, const uint8_t *p, size_t n)
{
	uint8_t *room;
	size_t cap, len;

	for (; n && !to->over; p += len, n -= len) {
		room = tls_conn_input(to->tls, &cap);
		len = MIN(n, cap);
		if (!len)
			return;
		memcpy(room, p, len);
		tls_conn_input_add(to->tls, len);
	}
}

static void shake_hands(struct end *x)
{
	struct err e;
	int r;

	if (x->over || x->secure)
		return;
	r = tls_conn_handshake(x->tls, &e);
	require(r >= 0 || (r == -e.code && e.msg[0]));
	x->over = r < 0;
	x->secure = r > 0;
}

static void hear(struct end *x, const struct end *from)
{
	uint8_t buf[512];
	struct err e;
	ssize_t r = 1;

	while (x->secure && !x->over && r) {
		r = tls_conn_decrypt(x->tls, buf, sizeof(buf), &e);
		x->over = r < 0;
		if (r > 0) {
			require((size_t)r <= from->said_bytes - x->heard_bytes && !memcmp(buf, from->said + x->heard_bytes, (size_t)r));
			x->heard_bytes += (size_t)r;
		}
	}
}

static void say(struct end *x, size_t n)
{
	struct err e;
	size_t i;

	n = MIN(n, SAID_MAX - x->said_bytes);
	if (!x->secure || x->over || x->ended || !n)
		return;
	for (i = 0; i < n; i++)
		x->said[x->said_bytes + i] = (uint8_t)(x->said_bytes + i);
	require(!tls_conn_encrypt(x->tls, x->said + x->said_bytes, n, &e));
	x->said_bytes += n;
}

static void end(struct end *x)
{
	if (x->secure && !x->over)
		tls_conn_end(x->tls);
	x->ended = true;
}

/* Up to most bytes of what it has to send are gone. */
static void carry(struct end *from, struct end *to, size_t most, enum deed deed, struct slice change)
{
	uint8_t buf[1024];
	const uint8_t *p;
	size_t n, i;

	while (most && (p = tls_conn_output(from->tls, &n), n)) {
		n = MIN(MIN(n, most), sizeof(buf));
		memcpy(buf, p, n);
		for (i = 0; deed == CHANGE && i < MIN(n, change.n); i++)
			buf[i] ^= change.p[i];
		if (deed != DROP)
			give(to, buf, n);
		tls_conn_output_sent(from->tls, n);
		most -= most == SIZE_MAX ? 0 : n;
		deed = deed == CHANGE ? PASS : deed;
	}
}

static void expect_all_heard(struct end *a, struct end *b)
{
	unsigned i;

	for (i = 0; i < 4; i++) {
		carry(a, b, SIZE_MAX, PASS, (struct slice){NULL, 0});
		shake_hands(b);
		hear(b, a);
		carry(b, a, SIZE_MAX, PASS, (struct slice){NULL, 0});
		shake_hands(a);
		hear(a, b);
	}
	require(a->secure && b->secure && !a->over && !b->over);
	require(a->heard_bytes == b->said_bytes && b->heard_bytes == a->said_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct end client = {.tls = tls_conn_client(&keys[1])}, server = {.tls = tls_conn_server(keys, ARRAY_LEN(keys))};
	struct reader r = reader_of(p, n);

	bool meddled = false;

	shake_hands(&client);
	while (reader_left(&r) >= 2) {
		uint8_t what = read_u8(&r), count = read_u8(&r);
		struct end *from = what & FROM_SERVER ? &server : &client, *to = what & FROM_SERVER ? &client : &server;
		enum deed deed = (what & 7) % (END + 1);
		struct slice s = {p, 0};

		if (deed == CHANGE || (deed == ADD && count != 255))
			s = read_bytes(&r, MIN(count, reader_left(&r)));
		meddled |= deed == DROP || deed == CHANGE || deed == ADD;
		if (deed == ADD && count == 255)
			give(to, flood, sizeof(flood));
		else if (deed == ADD)
			give(to, s.p, s.n);
		else if (deed == SAY)
			say(from, count);
		else if (deed == END)
			end(from);
		else
			carry(from, to, count == 255 ? SIZE_MAX : count, deed, s);
		shake_hands(to);
		hear(to, from);
	}
	if (!meddled && !client.ended && !server.ended)
		expect_all_heard(&client, &server);
	tls_conn_free(client.tls);
	tls_conn_free(server.tls);
	return 0;
}

/* ---- seeds ---- */

#define HANDS "\0\xff\x8\xff\0\xff"

static void write_seeds(void)
{
	static const char all[] = HANDS "\4\x20\0\xff\xc\x30\x8\xff\4\xf0\0\x10\0\xff\5\0\0\xff\xd\0\x8\xff";
	static const char changed[] = HANDS "\4\x20\2\2\0\1\0\xff";
	static const char added[] = "\0\xff\x8\xff\3\5\x14\3\3\0\0\0\xff";
	static const char flooded[] = "\3\xff\xb\xff";
	static const char in_pieces[] = "\0\x20\0\x20\0\xff\x8\x30\x8\xff\0\xff\4\x30\0\7\0\x20\0\xff";
	static const char dropped[] = HANDS "\4\x20\1\xff\4\x20\0\xff";

	seed_write("all", all, sizeof(all) - 1);
	seed_write("changed", changed, sizeof(changed) - 1);
	seed_write("added", added, sizeof(added) - 1);
	seed_write("flood", flooded, sizeof(flooded) - 1);
	seed_write("in-pieces", in_pieces, sizeof(in_pieces) - 1);
	seed_write("dropped", dropped, sizeof(dropped) - 1);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	seeds_if_asked(write_seeds);
	return 0;
}
