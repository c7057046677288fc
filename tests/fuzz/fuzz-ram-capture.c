/*
 * fuzz-ram-capture.c: libFuzzer on what a source QEMU sends when it migrates, on all its channels together (agent-src/carry). The capture has
 * no thread here, and the senders are in this file.
 *
 * The input is records of u8 what (low two bits: which channel; enum words in the others), u16 length and so many bytes: as they stand, with
 * fe fd B for a page of bytes B, or with what a channel begins with before them (BEGIN), or (PACKET) a packet of multifd: u8 pages, u8 zero pages,
 * u8 flags, u8 content, then the offset of each in pages. What leaves lies in the blocks that were announced before.
 */
#include <pthread.h>

static int no_thread(void);
#define pthread_create(thread, attributes, run, arg) (*(thread) = pthread_self(), (void)(run), no_thread())
#include "../../agent-src/carry/ram-capture.c"
#undef pthread_create
static void *small_calloc(size_t n, size_t size);
#define calloc small_calloc
#include "../../agent-src/carry/ram-route.c"
#undef calloc

#include "be.h"
#include "seed.h"

#define MULTIFD	    2
#define SENDERS	    3
#define CHANNEL_MAX MIB /* bytes of one */
#define RAM_PAGES   64

enum { PACKET = 0x80, BEGIN = 0x40 }; /* kinds of an operation */

static struct {
	struct send_shared shared;
	struct capture *c;
	int qemu[1 + MULTIFD];
	uint64_t pages[4096]; /* pages of each object that was announced */
	unsigned objects, failures;
	size_t said[1 + MULTIFD];
} s;

static struct sender *senders[SENDERS] = {(void *)1, (void *)2, (void *)3};

static int no_thread(void)
{
	return 0;
}

/* Fails for large sizes, as where memory is short. */
static void *small_calloc(size_t n, size_t size)
{
	return n > 16 * MIB / size ? NULL : calloc(n, size);
}

/* ---- in place of data-send.c ---- */

void shared_buf_ref(struct shared_buf *b)
{
	b->refs++;
}

void shared_buf_unref(struct shared_buf *b)
{
	require(b->refs > 0);
	if (!--b->refs)
		b->release(b);
}

struct send_item *send_item_new(enum send_kind kind, uint32_t object, unsigned parts)
{
	struct send_item *it = xcalloc(1, sizeof(*it) + parts * sizeof(struct send_part));

	it->kind = kind;
	it->object = object;
	return it;
}

struct send_item *send_mark_new(uint16_t message, const void *payload, size_t n)
{
	struct send_item *it = xcalloc(1, sizeof(*it) + n);

	it->kind = SEND_MARK;
	it->message = message;
	it->n = (unsigned)n;
	if (n)
		memcpy(it->u.bytes, payload, n);
	return it;
}

static void expect_object(const struct send_item *it, bool first)
{
	struct msg_object m;

	require(!msg_object_decode(&m, it->u.bytes, it->n));
	if (m.kind != OBJECT_RAM || !first)
		return;
	require(m.id == OBJECT_RAM_BASE + s.objects && s.objects < ARRAY_LEN(s.pages) && m.size % PAGE_BYTES == 0);
	s.pages[s.objects++] = m.size / PAGE_BYTES;
}

static void expect_parts(const struct send_item *it, unsigned sender)
{
	static const uint8_t *volatile sink;
	unsigned i, object = it->object - OBJECT_RAM_BASE;

	require(it->n && it->n <= MULTIFD_PAGES_MAX && object < s.objects);
	for (i = 0; i < it->n; i++) {
		const struct send_part *part = &it->u.part[i];

		require(part->bytes == PAGE_BYTES && part->offset % PAGE_BYTES == 0 && part->offset / PAGE_BYTES < s.pages[object]);
		require(place_channel(it->object, part->offset, SENDERS) == sender && !part->data == (it->kind == SEND_ZERO));
		if (part->data) {
			sink = part->data;
			require(sink[0] == sink[PAGE_BYTES - 1] || sink[0] != sink[PAGE_BYTES - 1]);
		}
	}
}

void sender_put(struct sender *to, struct send_item *it)
{
	unsigned sender = (unsigned)((uintptr_t)to - 1);

	if (it->kind == SEND_MARK && it->message == MSG_OBJECT)
		expect_object(it, !sender);
	else if (it->kind != SEND_MARK && object_is_ram(it->object))
		expect_parts(it, sender);
	if (it->buf)
		shared_buf_unref(it->buf);
	free(it);
}

/* ---- QEMU ---- */

static void say(unsigned channel, const void *p, size_t n)
{
	unsigned tries = 0;
	struct err e;
	ssize_t k;

	if (n > CHANNEL_MAX - s.said[channel])
		return;
	s.said[channel] += n;
	while (n && tries < 16) { /* the frame may wait for another channel */
		k = send(s.qemu[channel], p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (k > 0) {
			p = (const uint8_t *)p + k;
			n -= (size_t)k;
			tries = 0;
		} else {
			tries++;
			require(!loop_step(s.c->loop, 1, &e));
		}
	}
	if (n)
		s.said[channel] = CHANNEL_MAX;
}

static void say_begin(unsigned channel)
{
	static const char main_begin[] = "QEVM\0\0\0\3\7\0\0\0\2pc\1\0\0\0\2\3ram\0\0\0\0\0\0\0\4"
					 "\0\0\0\0\0\5\0\4\6pc.ram\0\0\0\0\0\4\0\0\4bios\0\0\0\0\0\1\0\0"
					 "\0\0\0\0\0\0\2\0\0\0\0\0\0\0\0\20\x7e\0\0\0\2";
	uint8_t init[MULTIFD_INIT_BYTES] = {0};

	put32(put32(init, MULTIFD_MAGIC), 1);
	init[24] = (uint8_t)channel;
	if (channel)
		say(channel, init, sizeof(init));
	else
		say(channel, main_begin, sizeof(main_begin) - 1);
}

static void say_packet(unsigned channel, struct slice x)
{
	uint8_t p[MULTIFD_PACKET_BYTES] = {0}, page[PAGE_BYTES];
	struct reader r = reader_of(x.p, x.n);
	unsigned pages = read_u8(&r), zero = read_u8(&r), flags = read_u8(&r), content = read_u8(&r), i;

	put32(put32(put32(put32(put32(p, MULTIFD_MAGIC), 1), flags), MULTIFD_PAGES_MAX), pages);
	put32(p + 32, zero);
	memcpy(p + 64, flags & 2 ? "bios" : "pc.ram", flags & 2 ? 4 : 6);
	p[11] &= 1;
	for (i = 0; i < MULTIFD_PAGES_MAX; i++)
		put64(p + 320 + 8 * (size_t)i, reader_left(&r) ? (uint64_t)read_u8(&r) * PAGE_BYTES : 0);
	say(channel, p, sizeof(p));
	memset(page, (int)content, sizeof(page));
	for (i = 0; i < MIN(pages, 32U); i++)
		say(channel, page, sizeof(page));
}

static void say_bytes(unsigned channel, struct slice x)
{
	uint8_t page[PAGE_BYTES];
	size_t i, from = 0;

	for (i = 0; i + 2 < x.n; i++) {
		if (x.p[i] != 0xfe || x.p[i + 1] != 0xfd)
			continue;
		say(channel, x.p + from, i - from);
		memset(page, x.p[i + 2], sizeof(page));
		say(channel, page, sizeof(page));
		from = i += 2;
		from++;
	}
	say(channel, x.p + from, x.n - from);
}

static void say_all(const uint8_t *p, size_t n)
{
	struct reader r = reader_of(p, n);
	unsigned i;

	while (reader_left(&r) >= 3) {
		uint8_t what = read_u8(&r);
		size_t len = read_u16(&r);
		struct slice x = read_bytes(&r, MIN(len, reader_left(&r)));
		unsigned channel = (what & 3) % (1 + MULTIFD);

		if (what & BEGIN)
			say_begin(channel);
		if (what & PACKET)
			say_packet(channel, x);
		else
			say_bytes(channel, x);
	}
	for (i = 0; i <= MULTIFD; i++)
		shutdown(s.qemu[i], SHUT_WR);
}

static int dial(const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(sa.sun_path, path);
	require(fd >= 0 && !connect(fd, (struct sockaddr *)&sa, sizeof(sa)));
	return fd;
}

/* ---- the capture ---- */

static void told(void *ctx, enum capture_event ev, const struct err *e)
{
	(void)ctx;
	if (ev != CAPTURE_FAILED)
		return;
	require(!s.failures++ && e->code > 0 && e->msg[0]);
	require(s.objects || !strstr(e->msg, "did not list")); /* pages that come before the list wait for it */
}

/* Whether it will do nothing more. */
static bool is_idle(void)
{
	unsigned i;

	if (s.c->failed)
		return true;
	for (i = 0; i < s.c->qemu.count; i++)
		if (s.c->qemu.conn[i].reading)
			return false;
	return s.c->qemu.count == 1 + MULTIFD && s.c->pool.free_count + (s.c->stage.packet != NULL) + (s.c->qemu.conn[1].packet != NULL) +
								 (s.c->qemu.conn[2].packet != NULL) ==
							 PACKETS;
}

static void end(void)
{
	unsigned i;

	s.c->stopping = true;
	stop_reading(s.c);
	for (i = 0; i < s.c->qemu.count; i++) {
		close(s.c->qemu.conn[i].fd);
		free(s.c->qemu.conn[i].in);
	}
	for (i = 0; i < SENDERS; i++)
		if (s.c->open[i] && s.c->open[i]->buf)
			shared_buf_unref(s.c->open[i]->buf);
	stop_listening(s.c);
	capture_free(s.c);
	for (i = 0; i <= MULTIFD; i++)
		close(s.qemu[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static char path[64];
	struct capture_config cfg = {.socket_path = path,
				     .multifd = MULTIFD,
				     .senders = senders,
				     .sender_count = SENDERS,
				     .shared = &s.shared,
				     .keeper = -1,
				     .event = told};
	uint64_t until = now_ns() + 10000000000ULL;
	struct err e;
	unsigned i;

	memset(&s, 0, sizeof(s));
	snprintf(path, sizeof(path), "/dev/shm/vmferry-fuzz-%d", (int)getpid());
	require(!capture_start(&s.c, &cfg, &e));
	for (i = 0; i <= MULTIFD; i++)
		s.qemu[i] = dial(path);
	say_all(p, n);
	while (!is_idle())
		require(!loop_step(s.c->loop, 100, &e) && now_ns() < until);
	end();
	return 0;
}

/* ---- seeds ---- */

static void record(struct writer *w, uint8_t what, const void *p, size_t n)
{
	write_u8(w, what);
	write_u16(w, (uint16_t)n);
	write_bytes(w, p, n);
	require(!w->bad);
}

static void begin_all(struct writer *w)
{
	static const uint8_t sync[] = {0, 0, 1, 0};
	unsigned i;

	record(w, BEGIN, "", 0);
	for (i = 1; i <= MULTIFD; i++)
		record(w, (uint8_t)(BEGIN | PACKET | i), sync, sizeof(sync));
}

static void write_seeds(void)
{
	static const char part[] = "\2\0\0\0\2\0\0\0\0\0\0\x30\10\6pc.ram\xfe\xfd\xa1\0\0\0\0\0\0\xf0\x22\0\0\0\0\0\0\0\2\0"
				   "\0\0\0\0\0\0\0\20\x7e\0\0\0\2";
	static const char last[] = "\3\0\0\0\2\0\0\0\0\0\0\2\0\0\0\0\0\0\0\0\20\x7e\0\0\0\2\4state";
	/* a RAM block of 2^60 bytes */
	static const char huge[] = "QEVM\0\0\0\3\1\0\0\0\2\3ram\0\0\0\0\0\0\0\4\x10\0\0\0\0\0\0\4\6pc.ram\x10\0\0\0\0\0\0\0";
	static const uint8_t pages[] = {2, 3, 0, 0x77, 1, 5, 9, 10, 63}, zero[] = {0, 2, 3, 0, 0, 15}, sync[] = {0, 0, 1, 0};
	uint8_t buf[4096];
	struct writer w = writer_of(buf, sizeof(buf));
	unsigned i;

	begin_all(&w);
	record(&w, PACKET | 1, pages, sizeof(pages));
	record(&w, 0, part, sizeof(part) - 1);
	record(&w, PACKET | 2, zero, sizeof(zero));
	record(&w, PACKET | 1, sync, sizeof(sync));
	record(&w, 0, last, sizeof(last) - 1);
	record(&w, PACKET | 1, sync, sizeof(sync));
	record(&w, PACKET | 2, sync, sizeof(sync));
	seed_write("whole", buf, writer_len(&w));
	w = writer_of(buf, sizeof(buf));
	record(&w, BEGIN | PACKET | 1, pages, sizeof(pages));
	begin_all(&w);
	seed_write("packets-first", buf, writer_len(&w));
	w = writer_of(buf, sizeof(buf));
	begin_all(&w);
	record(&w, 0, part, 20 + 3); /* section, and a page */
	for (i = 0; i < 5 * 32; i++)
		record(&w, 0, "\0\0\0\0\0\0\x40\x28\xfe\xfd\xa2", 11);
	seed_write("many", buf, writer_len(&w));
	w = writer_of(buf, sizeof(buf));
	record(&w, 0, huge, sizeof(huge) - 1);
	seed_write("huge", buf, writer_len(&w));
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	seeds_if_asked(write_seeds);
	return 0;
}
