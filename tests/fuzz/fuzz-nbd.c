/*
 * fuzz-nbd.c: libFuzzer on the NBD client: what a server says while they shake hands, and what it answers.
 *
 * The first byte has settings. Then come records of u8 what, u8 cookie (low three bits: of which request; the others: how often its slot
 * had been used), u16 length and so many bytes: a structured chunk (SIMPLE: a simple reply), or as it stands (RAW), and that up to 128 times, a power of two. The server says all of
 * it and hangs up. Each request ends once; extents come in order and within what was asked for; a map has no gaps.
 */
#include "seed.h"

#include <fcntl.h>

#include <sys/socket.h>

/* To no path, but to the fuzzer. */
static int to_fuzzer(int fd);
#define connect(fd, address, bytes) to_fuzzer(fd)
#include "../../common/disk/nbd-handshake.c"
#undef connect

#include "cursor.h"

#define EXPORT_BYTES (3 * MIB)
#define REQUESTS     8

enum { OWN_HANDSHAKE = 1, STRUCTURED = 2, CONTEXTS = 4, MAP = 8 };		/* settings */
enum { RAW = 0x80, SIMPLE = 0x40, WRONG_LENGTH = 0x20, LAST = 0x10, KIND = 7 }; /* kinds and flags of a reply */

static const uint16_t kinds[] = {1, 2, 5, 0x8001, 0x8002, 0, 0x7777, 0x8003};

struct request {
	struct nbd_req req;
	unsigned calls;
	int res;
	uint8_t *buf;
	uint64_t upto[NBD_MAX_CONTEXTS];
};

static const char *const contexts[] = {"base:allocation", "qemu:dirty-bitmap:b", NULL};
static int client_fd;
static const struct nbd *conn;

static int to_fuzzer(int fd)
{
	return dup3(client_fd, fd, O_CLOEXEC) < 0 ? -1 : 0;
}

static void on_done(struct nbd_req *r, int res)
{
	struct request *q = container_of(r, struct request, req);

	require(!q->calls++ && res <= 0);
	q->res = res;
}

static void on_extent(void *arg, unsigned ctx, uint64_t offset, uint64_t length, uint32_t flags)
{
	struct request *q = arg;

	(void)flags;
	require(!q->calls && ctx < nbd_info(conn)->contexts && offset == q->req.offset + q->upto[ctx] && length &&
		length <= q->req.len - q->upto[ctx]);
	q->upto[ctx] += length;
}

static void ask(struct nbd *n, struct request *q, unsigned i)
{
	static const struct {
		uint32_t len;
		uint64_t offset;
	} where[REQUESTS] = {{65536, 0},       {512, 4096}, {512, 0}, {MIB, 0}, {0, 0}, {MIB, 65536}, {4096, EXPORT_BYTES - 4096},
			     {NBD_MAX_SPAN, 0}};

	*q = (struct request){.req.done = on_done, .buf = xcalloc(1, i < 7 && i != 3 ? MAX(where[i].len, 1U) : 1)};
	if (i == 2)
		nbd_write(n, &q->req, q->buf, where[i].len, where[i].offset);
	else if (i == 3)
		nbd_zero(n, &q->req, where[i].offset, where[i].len);
	else if (i == 4)
		nbd_flush(n, &q->req);
	else if (i == 5 || i == 7)
		nbd_block_status(n, &q->req, where[i].offset,
				 (uint32_t)MIN(where[i].len, nbd_info(n)->size - MIN(where[i].offset, nbd_info(n)->size)), on_extent, q);
	else
		nbd_read(n, &q->req, q->buf, where[i].len, where[i].offset);
}

static void try_requests(struct nbd *n, struct loop *loop)
{
	uint64_t until = now_ns() + 10000000000ULL;
	struct request q[REQUESTS];
	unsigned i, over = 0;
	struct err e;

	for (i = 0; i < REQUESTS; i++)
		ask(n, &q[i], i);
	while (over < REQUESTS) {
		require(!loop_step(loop, 100, &e) && now_ns() < until);
		for (over = i = 0; i < REQUESTS; i++)
			over += q[i].calls;
	}
	for (i = 0; i < REQUESTS; i++) {
		require(q[i].calls == 1 && (q[i].res || i != 5 || q[i].upto[0]));
		free(q[i].buf);
	}
}

static void try_map(struct nbd *n, struct loop *loop)
{
	uint64_t from = MIN(nbd_info(n)->size, 4096), end = nbd_info(n)->size, at = from;
	struct nbd_extent *x = NULL;
	size_t count = 0, i;
	struct err e;
	int r = nbd_map(n, loop, 0, from, end, &x, &count, &e);

	require(!r || (e.code == -r && e.msg[0]));
	for (i = 0; !r && i < count; i++) {
		require(x[i].offset == at && x[i].length && (!i || x[i].flags != x[i - 1].flags));
		at += x[i].length;
	}
	require(r || at == end);
	free(r ? NULL : x);
}

/* ---- what the server says ---- */

static void put_bytes(struct writer *w, const void *p, size_t n)
{
	write_bytes(w, p, n);
}

static void put_reply(struct writer *w, uint32_t option, uint32_t type, const void *p, size_t n)
{
	unsigned char head[20];

	put32(put32(put32(put64(head, NBD_REP_MAGIC), option), type), (uint32_t)n);
	put_bytes(w, head, sizeof(head));
	put_bytes(w, p, n);
}

static void put_handshake(struct writer *w, uint8_t settings)
{
	unsigned char head[18], b[64];
	unsigned i;

	put16(put64(put64(head, NBD_MAGIC), NBD_OPT_MAGIC), NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES);
	put_bytes(w, head, sizeof(head));
	put_reply(w, NBD_OPT_STRUCTURED_REPLY, settings & STRUCTURED ? NBD_REP_ACK : NBD_REP_ERR_UNSUP, NULL, 0);
	for (i = 0; settings & CONTEXTS && contexts[i]; i++) {
		memcpy(put32(b, i + 5), contexts[i], strlen(contexts[i]));
		put_reply(w, NBD_OPT_SET_META_CONTEXT, NBD_REP_META_CONTEXT, b, 4 + strlen(contexts[i]));
	}
	if (settings & CONTEXTS)
		put_reply(w, NBD_OPT_SET_META_CONTEXT, NBD_REP_ACK, NULL, 0);
	put16(put64(put16(b, NBD_INFO_EXPORT), EXPORT_BYTES), NBD_HAS_FLAGS | NBD_SEND_FLUSH | NBD_SEND_WRITE_ZEROES);
	put_reply(w, NBD_OPT_GO, NBD_REP_INFO, b, 12);
	put32(put32(put32(put16(b, NBD_INFO_BLOCK_SIZE), 1), 4096), 32 * MIB);
	put_reply(w, NBD_OPT_GO, NBD_REP_INFO, b, 14);
	put_reply(w, NBD_OPT_GO, NBD_REP_ACK, NULL, 0);
}

static void put_record(struct writer *w, uint8_t what, uint8_t cookie, struct slice s)
{
	uint64_t whose = (uint64_t)(1 + (cookie >> 3)) << 32 | (cookie & 7);
	unsigned char head[20];
	unsigned i, times;

	if (!(what & RAW)) {
		if (what & SIMPLE) {
			put64(put32(put32(head, 0x67446698), what & KIND), whose);
			put_bytes(w, head, 16);
		} else {
			put16(put16(put32(head, 0x668e33ef), !!(what & LAST)), kinds[what & KIND]);
			put32(put64(head + 8, whose), (uint32_t)s.n + !!(what & WRONG_LENGTH));
			put_bytes(w, head, 20);
		}
	}
	times = what & RAW ? 1U << (what & KIND) : 1;
	for (i = 0; i < times && !w->bad; i++)
		put_bytes(w, s.p, s.n);
}

static size_t play(const uint8_t *p, size_t n, uint8_t *out, size_t room)
{
	struct writer w = writer_of(out, room);
	struct reader r = reader_of(p, n);
	uint8_t settings = read_u8(&r);

	if (settings & OWN_HANDSHAKE)
		put_handshake(&w, settings);
	while (reader_left(&r) >= 4 && !w.bad) {
		uint8_t what = read_u8(&r), cookie = read_u8(&r);
		size_t len = read_u16(&r);

		put_record(&w, what, cookie, read_bytes(&r, MIN(len, reader_left(&r))));
	}
	return writer_len(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static uint8_t said[96 * 1024];
	static struct loop *loop;
	struct nbd *nbd;
	struct err e;
	int fd[2], r;
	size_t len;

	if (!n)
		return 0;
	if (!loop)
		require(!loop_new(&loop, 64, &e));
	len = play(p, n, said, sizeof(said));
	require(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
	require(!len || send(fd[1], said, len, MSG_DONTWAIT) == (ssize_t)len);
	shutdown(fd[1], SHUT_WR);
	client_fd = fd[0];
	r = nbd_open(&nbd, loop, "/fuzz", "vda", p[0] & CONTEXTS ? contexts : NULL, 1000, &e);
	close(fd[0]);
	require(!r || (e.code == -r && e.msg[0] && r != -ETIMEDOUT));
	if (!r) {
		conn = nbd;
		require(nbd_info(nbd)->size <= INT64_MAX && nbd_info(nbd)->max_block <= NBD_MAX_REQUEST && nbd_info(nbd)->min_block);
		if (p[0] & MAP && p[0] & CONTEXTS)
			try_map(nbd, loop);
		else
			try_requests(nbd, loop);
		nbd_close(nbd);
	}
	close(fd[1]);
	return 0;
}

/* ---- seeds ---- */

static void record(struct writer *w, uint8_t what, uint8_t cookie, const void *p, size_t n)
{
	write_u8(w, what);
	write_u8(w, cookie);
	write_u16(w, (uint16_t)n);
	write_bytes(w, p, n);
	require(!w->bad);
}

static void seed(const char *name, const struct writer *w)
{
	seed_write(name, w->start, writer_len(w));
}

static void write_seeds(void)
{
	static uint8_t buf[8192], handshake[1024], data[8 + 4096];
	struct writer w = writer_of(buf, sizeof(buf)), h = writer_of(handshake, sizeof(handshake));
	unsigned char b[64];

	put_handshake(&h, STRUCTURED | CONTEXTS);
	write_u8(&w, CONTEXTS);
	record(&w, RAW, 0, handshake, writer_len(&h));
	seed("handshake", &w);

	w = writer_of(buf, sizeof(buf));
	write_u8(&w, 0);
	put16(put64(put64(b, NBD_MAGIC), NBD_OPT_MAGIC), NBD_FIXED_NEWSTYLE);
	record(&w, RAW, 0, b, 18);
	put32(put32(put32(put64(b, NBD_REP_MAGIC), NBD_OPT_STRUCTURED_REPLY), NBD_REP_ERR_UNSUP), HS_MAX_REPLY);
	record(&w, RAW, 0, b, 20);
	record(&w, RAW | 7, 0, data, 256);
	seed("long-reply", &w);

	w = writer_of(buf, sizeof(buf));
	write_u8(&w, OWN_HANDSHAKE | STRUCTURED | CONTEXTS);
	put64(data, 4096);
	record(&w, 0 | LAST, 1, data, 8 + 512);
	put32(put64(b, 0), 65536);
	record(&w, 1 | LAST, 0, b, 12);
	record(&w, SIMPLE, 2, NULL, 0);
	record(&w, SIMPLE | 5, 3, NULL, 0);
	record(&w, 5 | LAST, 4, NULL, 0);
	put32(put32(put32(put32(put32(b, 5), 65536), 3), MIB), 0);
	record(&w, 2, 5, b, 20);
	put32(b, 6);
	record(&w, 2 | LAST, 5, b, 20);
	put16(put32(b, 5), 2);
	memcpy(b + 6, "no", 2);
	record(&w, 3 | LAST, 6, b, 8);
	seed("replies", &w);

	w = writer_of(buf, sizeof(buf));
	write_u8(&w, OWN_HANDSHAKE);
	record(&w, SIMPLE, 1, data, 512);
	record(&w, SIMPLE, 6, data, 4096);
	seed("simple", &w);

	w = writer_of(buf, sizeof(buf));
	write_u8(&w, OWN_HANDSHAKE | STRUCTURED | CONTEXTS | MAP);
	put32(put32(put32(b, 5), 65536), 3);
	record(&w, 2, 0, b, 12);
	put32(b, 6);
	record(&w, 2 | LAST, 0, b, 12);
	put32(put32(put32(b, 5), 8 * MIB), 0);
	record(&w, 2, 8, b, 12);
	put32(b, 6);
	record(&w, 2 | LAST, 8, b, 12);
	seed("map", &w);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	seeds_if_asked(write_seeds);
	return 0;
}
