/*
 * test-data-send.c: what a sender puts on the wire for what producers give it, byte for byte: batches, extents, codecs, sums.
 *
 * Beside the sender stands a model, as plain as can be, which is told the same. So that batches do not depend on how fast the
 * sender's thread is, a first batch fills its window before anything else is put, and is acknowledged when all of it has been.
 */
#include "data-send.h"
#include "unit-set.h"
#include "util.h"
#include "xxh.h"

#include <errno.h>
#include <semaphore.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define CHANNEL	    1
#define WINDOW	    4096
#define BLOCKS	    2
#define BLOCK_PAGES 2048
#define BATCH_MOST  512 /* parts */
#define AREA	    (8 * MIB)
#define DISK	    1U
#define RAM	    OBJECT_RAM_BASE
#define STREAM	    OBJECT_STREAM_BASE
#define FRAMES_MAX  512

enum look { TEXT, NOISE, ZEROS, RAMP, MIXED, LOOKS };

struct frame {
	uint16_t type;
	size_t n;
	uint8_t *p;
};

static struct {
	struct send_shared shared;
	struct sender *s;
	int fd;
	struct page_table table[BLOCKS];
	uint64_t sequence;
	sem_t lost, given_back;
	unsigned lost_times; /* atomic */
	struct shared_buf *put_last, *watched;
	bool watched_is_back; /* atomic */
	int held;	      /* references to area that are not given back; atomic, the test's own included */
} w;

static struct {
	enum codec_mode mode;
	struct codec *codec;
	struct frame frame[FRAMES_MAX];
	unsigned frames;
	/* the batch at hand */
	uint32_t object;
	enum send_kind kind;
	struct send_part part[BATCH_MOST];
	unsigned parts;
	size_t bytes;
	/* sums */
	struct hash128 page[BLOCKS][BLOCK_PAGES]; /* digest of each page as carried last */
	bool in_round[BLOCKS][BLOCK_PAGES];
	uint64_t units[BLOCKS], disk_units, disk_round_units, same, pages, zeros;
	struct hash128 disk;
	uint8_t stream[AREA];
	size_t stream_bytes;
} m;

static uint8_t area[AREA];
static uint64_t seed = 88172645463325252ULL;

static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed >> 11;
}

static void paint(uint8_t *at, size_t n, enum look look)
{
	size_t i;

	for (i = 0; i < n; i++)
		at[i] = look == TEXT	? (uint8_t) "the quick brown fox "[i % 20]
			: look == NOISE ? (uint8_t)rnd()
			: look == ZEROS ? 0
			: look == RAMP	? (uint8_t)(i >> 6)
					: (uint8_t)(i % 64 < 60 ? rnd() : 7); /* about as compressible as what just does not pay */
}

/* ---- the model ---- */

static void expect(uint16_t type, const struct writer *v)
{
	struct frame *f = &m.frame[m.frames++];

	assert_true(m.frames <= FRAMES_MAX && !v->bad);
	*f = (struct frame){type, writer_len(v), xmalloc(writer_len(v) + 1)};
	memcpy(f->p, v->start, writer_len(v));
}

/* Compresses a body of these contents, as the sender does. */
static enum data_codec squeeze(const uint8_t *raw, size_t n, uint8_t *out, size_t *len)
{
	enum data_codec want = m.mode == CODEC_MODE_LZ4 ? CODEC_LZ4 : CODEC_ZSTD;

	*len = m.mode == CODEC_MODE_NONE || n < 512 ? 0 : codec_compress(m.codec, want, raw, n, out, n);
	if (*len)
		return want;
	memcpy(out, raw, n);
	*len = n;
	return CODEC_RAW;
}

static void model_flush(void)
{
	static uint8_t raw[DATA_RAW_MAX], body[DATA_RAW_MAX], buf[FRAME_PAYLOAD_MAX];
	unsigned shift = object_is_ram(m.object) ? 12 : object_is_disk(m.object) ? 9 : 0, i, n = 0;
	struct {
		uint64_t offset, bytes;
	} x[BATCH_MOST];
	enum data_codec codec = m.kind == SEND_ZERO ? CODEC_ZERO : CODEC_HOLE;
	struct writer v = writer_of(buf, sizeof(buf));
	size_t at = 0, len = 0;

	if (!m.parts)
		return;
	for (i = 0; i < m.parts; i++) {
		const struct send_part *p = &m.part[i];

		if (m.kind == SEND_DATA)
			memcpy(raw + at, p->data, p->bytes);
		at += m.kind == SEND_DATA ? p->bytes : 0;
		if (n && object_is_ram(m.object) && x[n - 1].offset + x[n - 1].bytes == p->offset) {
			x[n - 1].bytes += p->bytes;
		} else {
			x[n].offset = p->offset;
			x[n++].bytes = p->bytes;
		}
	}
	if (m.kind == SEND_DATA)
		codec = squeeze(raw, at, body, &len);
	write_u32(&v, m.object);
	write_u8(&v, codec);
	write_u8(&v, 0);
	write_u16(&v, (uint16_t)n);
	write_u32(&v, (uint32_t)at);
	for (i = 0; i < n; i++) {
		write_u64(&v, x[i].offset);
		write_u32(&v, (uint32_t)(x[i].bytes >> shift));
	}
	write_bytes(&v, body, len);
	expect(MSG_DATA, &v);
	m.parts = 0;
	m.bytes = 0;
}

static bool model_page(uint32_t object, const struct send_part *p)
{
	static const uint8_t zeros[PAGE_BYTES];
	unsigned b = object - RAM;
	uint64_t page = p->offset / PAGE_BYTES;
	struct hash128 h = hash_content(&w.shared.key, p->data ? p->data : zeros, PAGE_BYTES);

	h = hash_place(&w.shared.key, h, object, 0, p->offset, PAGE_BYTES);
	if (hash_equal(m.page[b][page], h)) {
		m.same++;
		return false;
	}
	m.page[b][page] = h;
	m.in_round[b][page] = true;
	m.units[b]++;
	*(p->data ? &m.pages : &m.zeros) += 1;
	return true;
}

static bool model_part(uint32_t object, uint32_t number, struct send_part *p)
{
	if (object_is_ram(object))
		return model_page(object, p);
	if (object_is_disk(object)) {
		struct hash128 h = p->data ? hash_content(&w.shared.key, p->data, p->bytes) : (struct hash128){0, 0};

		hash_add(&m.disk, hash_place(&w.shared.key, h, object, number, p->offset, p->bytes));
		m.disk_units += p->bytes / 512;
		m.disk_round_units += p->bytes / 512;
		return true;
	}
	p->offset = m.stream_bytes;
	memcpy(m.stream + m.stream_bytes, p->data, p->bytes);
	m.stream_bytes += p->bytes;
	return true;
}

static void model_item(enum send_kind kind, uint32_t object, uint32_t number, const struct send_part *part, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		struct send_part p = part[i];

		/* a page that comes after a full batch makes the sender send that batch, even if the page is unchanged */
		if (m.parts && (m.object != object || m.kind != kind || m.parts == BATCH_MOST ||
				(kind == SEND_DATA && m.bytes + p.bytes > DATA_RAW_MAX)))
			model_flush();
		if (!model_part(object, number, &p))
			continue;
		m.object = object;
		m.kind = kind;
		m.part[m.parts++] = p;
		m.bytes += p.bytes;
	}
}

#define model_expect(NAME, name, ...)                                                                                                      \
	do {                                                                                                                               \
		uint8_t buf_[4096];                                                                                                        \
		struct writer w_ = writer_of(buf_, sizeof(buf_));                                                                          \
		struct msg_##name m_ = {__VA_ARGS__};                                                                                      \
		msg_##name##_encode(&w_, &m_);                                                                                             \
		expect(MSG_##NAME, &w_);                                                                                                   \
	} while (0)

static void model_end(uint32_t object, uint64_t units, struct hash128 h, bool last)
{
	uint8_t buf[64];
	struct writer v = writer_of(buf, sizeof(buf));
	struct msg_end end = {.object = object, .units = units, .last = last};

	hash_bytes(h, end.digest);
	msg_end_encode(&v, &end);
	expect(MSG_END, &v);
}

static void model_ends(void)
{
	XXH128_hash_t x = XXH3_128bits_withSecret(m.stream, m.stream_bytes, w.shared.key.secret, DIGEST_SECRET_BYTES);
	unsigned b, i;

	model_end(DISK, m.disk_units, m.disk, false);
	model_end(STREAM, m.stream_bytes, (struct hash128){x.low64, x.high64}, false);
	model_end(STREAM + 1, 0, hash_content(&w.shared.key, "", 0), false); /* a stream without contents */
	for (b = 0; b < BLOCKS; b++) {
		struct hash128 sum = {0, 0};

		for (i = 0; i < BLOCK_PAGES; i++)
			hash_add(&sum, m.page[b][i]);
		model_end(RAM + b, m.units[b], sum, false);
	}
	model_end(GROUP_RAM, 0, (struct hash128){0, 0}, true);
}

static void model_ram_round_end(uint32_t number)
{
	uint64_t units = 0;
	unsigned b, i;

	for (b = 0; b < BLOCKS; b++) {
		uint8_t runs[4000];
		struct writer v = writer_of(runs, sizeof(runs));
		uint64_t from = 0;
		struct unit_set s;

		unit_set_init(&s, BLOCK_PAGES);
		for (i = 0; i < BLOCK_PAGES; i++)
			if (m.in_round[b][i])
				unit_set_add(&s, i, 1);
		units += s.count;
		assert_true(unit_set_encode(&s, &v, &from));
		if (writer_len(&v))
			model_expect(DELTA, delta, .object = RAM + b, .number = number, .final = 1, .runs = {runs, writer_len(&v)});
		unit_set_fini(&s);
	}
	memset(m.in_round, 0, sizeof(m.in_round));
	model_expect(ROUND_END, round_end, .group = GROUP_RAM, .number = number, .units = units);
}

/* ---- both ---- */

static void give_back(struct shared_buf *b)
{
	if (b == w.watched)
		__atomic_store_n(&w.watched_is_back, true, __ATOMIC_RELEASE);
	__atomic_fetch_sub(&w.held, 1, __ATOMIC_RELEASE);
	free(b);
	sem_post(&w.given_back);
}

static void put(enum send_kind kind, uint32_t object, uint32_t number, const struct send_part *part, unsigned n)
{
	struct send_item *it = send_item_new(kind, object, n);

	it->number = number;
	it->n = n;
	memcpy(it->u.part, part, n * sizeof(*part));
	if (kind == SEND_DATA) {
		it->buf = xmalloc(sizeof(*it->buf));
		*it->buf = (struct shared_buf){.refs = 1, .release = give_back};
		w.put_last = it->buf;
		__atomic_fetch_add(&w.held, 1, __ATOMIC_RELAXED);
	}
	sender_put(w.s, it);
	model_item(kind, object, number, part, n);
}

static void put_mark(int mark, uint32_t object, uint32_t number)
{
	struct send_item *it = send_mark_new(0, NULL, 0);

	it->mark = mark;
	it->object = object;
	it->number = number;
	sender_put(w.s, it);
	model_flush();
}

/* A thread that has made a ring may be interrupted for its completions. */
static void take(uint8_t *to, size_t n)
{
	while (n) {
		ssize_t k = recv(w.fd, to, n, 0);

		assert_true(k > 0 || (k < 0 && errno == EINTR));
		to += MAX(k, 0);
		n -= (size_t)MAX(k, 0);
	}
}

static struct frame next_frame(void)
{
	uint8_t head[FRAME_HEADER_BYTES], *whole;
	struct frame_header h;
	struct frame f;

	take(head, sizeof(head));
	assert_int_equal(frame_header_decode(&h, head), 0);
	f = (struct frame){h.type, h.length, NULL};
	whole = xmalloc(sizeof(head) + h.length);
	memcpy(whole, head, sizeof(head));
	take(whole + sizeof(head), h.length);
	assert_true(frame_intact(whole, &h));
	assert_int_equal(h.sequence, ++w.sequence);
	f.p = xmalloc(h.length + 1);
	memcpy(f.p, whole + sizeof(head), h.length);
	free(whole);
	return f;
}

static void acknowledge(void)
{
	uint8_t buf[FRAME_HEADER_BYTES + 8];
	struct writer v = writer_of(buf + FRAME_HEADER_BYTES, 8);
	struct frame_header h = {.type = MSG_ACK, .channel = CHANNEL, .length = 8};

	write_u64(&v, w.sequence);
	frame_seal(buf, &h);
	assert_int_equal(send(w.fd, buf, sizeof(buf), MSG_NOSIGNAL | MSG_DONTWAIT), sizeof(buf)); /* the socket has room */
}

static void compare(unsigned i, const struct frame *got)
{
	const struct frame *want = &m.frame[i];

	if (got->type != want->type || got->n != want->n || memcmp(got->p, want->p, want->n))
		fail_msg("frame %u of %u: %s of %zu bytes (codec %u), and not %s of %zu bytes (codec %u)", i, m.frames, msg_name(got->type),
			 got->n, got->n > 4 ? got->p[4] : 0, msg_name(want->type), want->n, want->n > 4 ? want->p[4] : 0);
}

static void take_all(unsigned from)
{
	unsigned i;

	for (i = from; i < m.frames; i++) {
		struct frame f = next_frame();

		compare(i, &f);
		acknowledge();
		free(f.p);
	}
}

static void lost(void *ctx, unsigned channel, const struct err *why)
{
	(void)ctx, (void)channel, (void)why;
	__atomic_fetch_add(&w.lost_times, 1, __ATOMIC_RELEASE);
	sem_post(&w.lost);
}

static void wait_for(sem_t *sem)
{
	struct timespec until;
	int r;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 60;
	while ((r = sem_timedwait(sem, &until)) && errno == EINTR)
		;
	assert_int_equal(r, 0);
}

static size_t window = WINDOW;

static void begin(enum codec_mode mode, bool sums_heads)
{
	struct timeval patience = {.tv_sec = 60};
	struct err e;
	unsigned i;
	int fd[2];

	memset(&w, 0, sizeof(w));
	memset(&m, 0, sizeof(m));
	for (i = 0; i < LOOKS; i++)
		paint(area + i * MIB, MIB, i);
	for (i = 0; i < DIGEST_SECRET_BYTES; i++)
		w.shared.key.secret[i] = (uint8_t)rnd();
	for (i = 0; i < BLOCKS; i++)
		w.table[i] = (struct page_table){BLOCK_PAGES, xcalloc(BLOCK_PAGES, sizeof(struct hash128))};
	sem_init(&w.lost, 0, 0);
	sem_init(&w.given_back, 0, 0);
	w.shared.codec = m.mode = mode;
	m.codec = codec_new();
	w.shared.channels = 1;
	w.shared.window_bytes = window;
	w.shared.sums_heads = sums_heads;
	w.shared.lost = lost;
	w.shared.ram = w.table;
	w.shared.ram_blocks = BLOCKS;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	w.fd = fd[1];
	setsockopt(w.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	assert_int_equal(sender_start(&w.s, (struct link){.fd = fd[0]}, CHANNEL, &w.shared, &e), 0);
}

/* The first batch: what is put from here on waits until all of it has been. */
static void plug(void)
{
	struct frame f;

	put(SEND_DATA, STREAM, 0, &(struct send_part){.data = area + NOISE * MIB, .bytes = 2 * WINDOW}, 1);
	model_flush();
	f = next_frame();
	compare(0, &f);
	free(f.p);
}

static void end(void)
{
	struct send_stats st = {0};
	unsigned i;

	sender_stats(w.s, &st);
	sender_stop(w.s);
	assert_int_equal(st.pages, m.pages);
	assert_int_equal(st.zero_pages, m.zeros);
	assert_int_equal(st.same_pages, m.same);
	assert_int_equal(__atomic_load_n(&w.held, __ATOMIC_ACQUIRE), 0);
	close(w.fd);
	for (i = 0; i < m.frames; i++)
		free(m.frame[i].p);
	for (i = 0; i < BLOCKS; i++)
		free(w.table[i].hash);
	codec_free(m.codec);
}

/* ---- what is put ---- */

/* n pages from `page` on, every step-th, in one item; what they hold begins at `from`. */
static void pages(uint32_t object, uint64_t page, unsigned step, unsigned n, size_t from)
{
	struct send_part part[BATCH_MOST];
	unsigned i;

	for (i = 0; i < n; i++)
		part[i] = (struct send_part){(page + (uint64_t)i * step) * PAGE_BYTES, area + from + (size_t)i * PAGE_BYTES, PAGE_BYTES};
	put(SEND_DATA, object, 0, part, n);
}

static void no_pages(uint32_t object, uint64_t page, unsigned step, unsigned n)
{
	struct send_part part[BLOCK_PAGES];
	unsigned i;

	for (i = 0; i < n; i++)
		part[i] = (struct send_part){(page + (uint64_t)i * step) * PAGE_BYTES, NULL, PAGE_BYTES};
	put(SEND_ZERO, object, 0, part, n);
}

static void ram_round(void)
{
	unsigned i;

	for (i = 0; i < LOOKS; i++)
		pages(RAM, i * 200, 1, 150, i * MIB); /* more than one DATA takes, neighbours */
	pages(RAM, 1100, 2, 100, NOISE * MIB);	      /* no two are neighbours */
	pages(RAM + 1, 7, 1, 1, 0);
	no_pages(RAM, 1400, 1, 300);	       /* a single extent */
	no_pages(RAM + 1, 100, 2, 700);	       /* more parts than a batch has */
	pages(RAM, 0, 1, 150, 0);	       /* the same contents as before */
	pages(RAM, 100, 1, 20, MIXED * MIB);   /* changed */
	no_pages(RAM, 1400, 1, 300);	       /* the same contents as before */
	no_pages(RAM, 0, 1, 10);	       /* zero now */
	pages(RAM, 0, 1, 10, 0);	       /* the earlier contents again */
	pages(RAM, 10, 1, 2, 10 * PAGE_BYTES); /* in the midst of a batch, as they were */
	pages(RAM, 2000, 1, 3, ZEROS * MIB);   /* zeros that nobody has looked at */
}

static void disk_round(uint32_t number)
{
	struct send_part part[600];
	uint64_t at = 0;
	unsigned i, n;

	for (i = 0; i < 40; i++) {
		uint32_t bytes = (uint32_t)(1 + rnd() % (i % 4 ? 16 : DATA_RAW_MAX / 512)) * 512;
		struct send_part one = {at, area + (i % LOOKS) * MIB, bytes};

		put(SEND_DATA, DISK, number, &one, 1); /* neighbours, and yet an extent each */
		at += bytes;
	}
	for (n = 0; n < ARRAY_LEN(part); n++, at += 1024)
		part[n] = (struct send_part){at, area + TEXT * MIB + n * 512, 512};
	put(SEND_DATA, DISK, number, part, n);
	for (i = 0; i < n; i++)
		part[i].data = NULL;
	put(SEND_HOLE, DISK, number, part, n);
	put(SEND_ZERO, DISK, number, part, 3);
	put(SEND_HOLE, DISK, number, part + 3, 3);
}

static void streams(void)
{
	static const uint32_t sizes[] = {1, 511, 512, 513, 100000, 3, DATA_RAW_MAX, 4096, 200000, 200000};
	unsigned i;

	for (i = 0; i < ARRAY_LEN(sizes); i++)
		put(SEND_DATA, STREAM, 0, &(struct send_part){.data = area + (i % LOOKS) * MIB, .bytes = sizes[i]}, 1);
}

static void tiny_streams(void)
{
	static const uint32_t sizes[] = {511, 512, 1}; /* on either side of what is worth a try */
	unsigned i;

	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		put(SEND_DATA, STREAM, 0, &(struct send_part){.data = area, .bytes = sizes[i]}, 1);
		put_mark(MARK_DISK_ROUND_END, DISK, 9);
		model_expect(ROUND_END, round_end, .group = DISK, .number = 9, .units = m.disk_round_units);
		m.disk_round_units = 0;
	}
}

static void everything(enum codec_mode mode, bool sums_heads)
{
	uint32_t i;

	begin(mode, sums_heads);
	plug();
	streams();
	tiny_streams();
	for (i = 0; i < 2; i++) {
		disk_round(i);
		put_mark(MARK_DISK_ROUND_END, DISK, i);
		model_expect(ROUND_END, round_end, .group = DISK, .number = i, .units = m.disk_round_units);
		m.disk_round_units = 0;
		ram_round();
		put_mark(MARK_RAM_ROUND_END, GROUP_RAM, i);
		model_ram_round_end(i);
	}
	put_mark(MARK_END, DISK, 0);
	put_mark(MARK_END, STREAM, 0);
	put_mark(MARK_END, STREAM + 1, 0);
	put_mark(MARK_END, GROUP_RAM, 0);
	model_ends();
	acknowledge();
	take_all(1);
	end();
}

static void what_is_sent_uncompressed_is_as_it_always_was(void **state)
{
	(void)state;
	everything(CODEC_MODE_NONE, false);
	everything(CODEC_MODE_NONE, true);
}

static void what_is_sent_with_lz4_is_as_it_always_was(void **state)
{
	(void)state;
	everything(CODEC_MODE_LZ4, false);
	everything(CODEC_MODE_LZ4, true);
}

static void what_is_sent_with_zstd_is_as_it_always_was(void **state)
{
	(void)state;
	everything(CODEC_MODE_ZSTD, false);
	everything(CODEC_MODE_ZSTD, true);
}

/* ---- contents that stay where they are ---- */

/* How much of the next frame, which is DATA of so many bytes, its checksum covers. */
static size_t summed_of_next(size_t bytes)
{
	uint8_t head[FRAME_HEADER_BYTES];
	struct frame_header h;
	uint8_t *payload;

	take(head, sizeof(head));
	assert_int_equal(frame_header_decode(&h, head), 0);
	assert_int_equal(h.type, MSG_DATA);
	assert_true(h.length > bytes && h.length < bytes + 4096);
	payload = xmalloc(h.length);
	take(payload, h.length);
	free(payload);
	w.sequence++;
	return h.summed;
}

static void what_goes_as_it_is_is_held_until_it_is_acknowledged(void **state)
{
	struct send_part one = {0, area + NOISE * MIB, DATA_RAW_MAX};

	(void)state;
	begin(CODEC_MODE_NONE, true);
	put(SEND_DATA, DISK, 0, &one, 1);
	assert_int_equal(summed_of_next(DATA_RAW_MAX), 12 + 12); /* the head and one extent */
	assert_int_equal(__atomic_load_n(&w.held, __ATOMIC_ACQUIRE), 1);
	acknowledge();
	wait_for(&w.given_back);
	assert_int_equal(__atomic_load_n(&w.held, __ATOMIC_ACQUIRE), 0);
	end();
}

static void await_queued(uint64_t bytes)
{
	uint64_t until = now_ns() + 60000000000ULL;

	while (sender_queued_bytes(w.s) != bytes) {
		assert_true(now_ns() < until);
		sched_yield();
	}
}

/* Three bodies, each as large as a frame may be: the first is on its way, the second is packed next, the third waits. */
static void what_waits_to_be_packed_is_known(void **state)
{
	unsigned i;

	(void)state;
	begin(CODEC_MODE_NONE, true);
	for (i = 0; i < 3; i++)
		put(SEND_DATA, DISK, 0, &(struct send_part){(uint64_t)i * DATA_RAW_MAX, area + NOISE * MIB, DATA_RAW_MAX}, 1);
	summed_of_next(DATA_RAW_MAX);
	await_queued(DATA_RAW_MAX);
	acknowledge();
	summed_of_next(DATA_RAW_MAX);
	await_queued(0);
	acknowledge();
	summed_of_next(DATA_RAW_MAX);
	end();
}

/* Producers have buffers for what is to come, however long an acknowledgement takes. */
static void only_so_many_buffers_are_held_and_none_for_little(void **state)
{
	uint64_t at = 0;
	unsigned i;

	(void)state;
	window = 16 * MIB;
	begin(CODEC_MODE_NONE, true);
	window = WINDOW;
	for (i = 0; i < 12; i++, at += DATA_RAW_MAX) {
		put(SEND_DATA, DISK, 0, &(struct send_part){at, area + NOISE * MIB, DATA_RAW_MAX}, 1);
		summed_of_next(DATA_RAW_MAX);
	}
	for (i = 0; i < 4; i++)
		wait_for(&w.given_back);
	assert_int_equal(__atomic_load_n(&w.held, __ATOMIC_ACQUIRE), 8);
	acknowledge();
	for (i = 0; i < 8; i++)
		wait_for(&w.given_back);
	for (i = 0; i < 9; i++, at += DATA_RAW_MAX) { /* the window has room again, which these do not take */
		put(SEND_DATA, DISK, 0, &(struct send_part){at, area + NOISE * MIB, 16384}, 1);
		summed_of_next(16384);
		wait_for(&w.given_back);
	}
	put(SEND_DATA, DISK, 0, &(struct send_part){at, area + NOISE * MIB, DATA_RAW_MAX}, 1);
	summed_of_next(DATA_RAW_MAX);
	assert_int_equal(__atomic_load_n(&w.held, __ATOMIC_ACQUIRE), 1);
	end();
}

/* More out of the watched buffer, which the test knows to be held. */
static void put_of_the_same(uint64_t at)
{
	struct send_item *it = send_item_new(SEND_DATA, DISK, 1);

	it->buf = w.watched;
	shared_buf_ref(it->buf);
	it->n = 1;
	it->u.part[0] = (struct send_part){at, area + NOISE * MIB, DATA_RAW_MAX};
	sender_put(w.s, it);
	summed_of_next(DATA_RAW_MAX);
}

static void a_buffer_that_is_held_may_be_so_for_another_frame(void **state)
{
	uint64_t at = 0;
	unsigned i;

	(void)state;
	window = 16 * MIB;
	begin(CODEC_MODE_NONE, true);
	window = WINDOW;
	for (i = 0; i < 8; i++, at += DATA_RAW_MAX) {
		put(SEND_DATA, DISK, 0, &(struct send_part){at, area + NOISE * MIB, DATA_RAW_MAX}, 1);
		summed_of_next(DATA_RAW_MAX);
		if (!i)
			w.watched = w.put_last;
	}
	put_of_the_same(at);
	w.sequence--; /* all but that one: the first of them would come back first */
	acknowledge();
	for (i = 0; i < 7; i++)
		wait_for(&w.given_back);
	assert_false(__atomic_load_n(&w.watched_is_back, __ATOMIC_ACQUIRE));
	w.sequence++;
	acknowledge();
	wait_for(&w.given_back);
	assert_true(__atomic_load_n(&w.watched_is_back, __ATOMIC_ACQUIRE));
	end();
}

/* A damaged QEMU stream is noticed only by its checksum before it is read. */
static void a_stream_is_covered_by_checksums_whole_and_not_held(void **state)
{
	(void)state;
	begin(CODEC_MODE_NONE, true);
	put(SEND_DATA, STREAM, 0, &(struct send_part){.data = area + NOISE * MIB, .bytes = 100000}, 1);
	assert_int_equal(summed_of_next(100000), 0);
	wait_for(&w.given_back);
	end();
}

static void what_is_held_is_given_back_when_the_channel_ends(void **state)
{
	struct send_part one = {0, area + NOISE * MIB, DATA_RAW_MAX};

	(void)state;
	begin(CODEC_MODE_NONE, true);
	put(SEND_DATA, DISK, 0, &one, 1);
	summed_of_next(DATA_RAW_MAX);
	end(); /* end() counts the buffers */
}

/* ---- what QEMU left out ---- */

/* Memory of this process in place of QEMU's; no page of it is present yet. */
static uint8_t *guest_memory(bool guess)
{
	struct ram_block_place told[BLOCKS] = {{.name = "one", .used_bytes = BLOCK_PAGES * PAGE_BYTES, .is_found = guess},
					       {.name = "two", .used_bytes = BLOCK_PAGES * PAGE_BYTES}};
	uint8_t *at = mmap(NULL, BLOCKS * BLOCK_PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct err e;

	assert_true(at != MAP_FAILED);
	madvise(at, BLOCKS * BLOCK_PAGES * PAGE_BYTES, MADV_NOHUGEPAGE);
	told[0].host = (uint64_t)(uintptr_t)at;
	told[1].host = told[0].host + BLOCK_PAGES * PAGE_BYTES;
	assert_int_equal(recheck_new(&w.shared.recheck, getpid(), told, BLOCKS, &e), 0);
	recheck_object(w.shared.recheck, RAM, "one", BLOCK_PAGES * PAGE_BYTES);
	recheck_object(w.shared.recheck, RAM + 1, "two", BLOCK_PAGES * PAGE_BYTES);
	return at;
}

static void model_missed(uint32_t object, uint64_t page, unsigned n, const uint8_t *data)
{
	struct send_part part[MEMORY_PIECE_PAGES];
	unsigned i;

	for (i = 0; i < n; i++)
		part[i] = (struct send_part){(page + i) * PAGE_BYTES, data + (size_t)i * PAGE_BYTES, PAGE_BYTES};
	model_item(SEND_DATA, object, 0, part, n);
	model_flush();
}

static void end_of_round(void)
{
	put_mark(MARK_RAM_ROUND_END, GROUP_RAM, 1);
	model_ram_round_end(1);
	acknowledge();
	take_all(1);
}

static void what_qemu_left_out_is_found_and_sent(void **state)
{
	static uint8_t zeros[PAGE_BYTES];
	struct send_stats st = {0};
	uint8_t *memory;

	(void)state;
	begin(CODEC_MODE_NONE, true);
	memory = guest_memory(false);
	plug();
	pages(RAM, 0, 1, 150, TEXT * MIB);
	no_pages(RAM, 150, 1, BLOCK_PAGES - 150);
	no_pages(RAM + 1, 0, 1, BLOCK_PAGES - 1); /* the last one QEMU does not name: it is not plugged in */
	pages(RAM + 1, 5, 1, 1, TEXT * MIB);
	memcpy(memory, area + TEXT * MIB, 150 * PAGE_BYTES);
	memset(memory + 3 * PAGE_BYTES, 1, PAGE_BYTES);
	memset(memory + 149 * PAGE_BYTES, 2, PAGE_BYTES);
	memset(memory + 150 * PAGE_BYTES, 3, PAGE_BYTES);
	munmap(memory + 10 * PAGE_BYTES, PAGE_BYTES); /* pages behind the hole are read all the same */
	memset(memory + 700 * PAGE_BYTES, 4, PAGE_BYTES);
	memset(memory + (BLOCK_PAGES + 1500) * PAGE_BYTES, 0, PAGE_BYTES); /* there, and as it was carried */
	put_mark(MARK_RECHECK, 0, 0);
	model_missed(RAM, 3, 1, memory + 3 * PAGE_BYTES);
	model_missed(RAM, 149, 2, memory + 149 * PAGE_BYTES);
	model_missed(RAM, 700, 1, memory + 700 * PAGE_BYTES);
	model_missed(RAM + 1, 5, 1, zeros); /* the page is missing */
	end_of_round();
	sender_stats(w.s, &st);
	assert_int_equal(st.missed_pages, 4); /* missing pages count: nobody has written them */
	assert_int_equal(st.rechecked_pages, 149 + 2 + 2);
	assert_int_equal(__atomic_load_n(&w.lost_times, __ATOMIC_ACQUIRE), 0);
	end();
	recheck_free(w.shared.recheck);
	munmap(memory, BLOCKS * BLOCK_PAGES * PAGE_BYTES);
}

static void memory_that_is_quite_another_is_not_the_guest_s(void **state)
{
	unsigned i, b;
	uint8_t *memory;

	(void)state;
	begin(CODEC_MODE_NONE, true);
	memory = guest_memory(true);
	plug();
	for (b = 0; b < BLOCKS; b++) {
		no_pages(RAM + b, 0, 1, BLOCK_PAGES);
		paint(memory + (size_t)b * BLOCK_PAGES * PAGE_BYTES, BLOCK_PAGES * PAGE_BYTES, RAMP);
	}
	put_mark(MARK_RECHECK, 0, 0);
	for (b = 0; b < BLOCKS; b++)
		for (i = 0; i < BLOCK_PAGES; i += MEMORY_PIECE_PAGES)
			model_missed(RAM + b, i, MEMORY_PIECE_PAGES, memory + ((size_t)b * BLOCK_PAGES + i) * PAGE_BYTES);
	acknowledge();
	take_all(1);
	wait_for(&w.lost);
	sender_stop(w.s);
	close(w.fd);
	recheck_free(w.shared.recheck);
	munmap(memory, BLOCKS * BLOCK_PAGES * PAGE_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_sent_uncompressed_is_as_it_always_was),
		cmocka_unit_test(what_is_sent_with_lz4_is_as_it_always_was),
		cmocka_unit_test(what_is_sent_with_zstd_is_as_it_always_was),
		cmocka_unit_test(what_goes_as_it_is_is_held_until_it_is_acknowledged),
		cmocka_unit_test(what_waits_to_be_packed_is_known),
		cmocka_unit_test(only_so_many_buffers_are_held_and_none_for_little),
		cmocka_unit_test(a_buffer_that_is_held_may_be_so_for_another_frame),
		cmocka_unit_test(a_stream_is_covered_by_checksums_whole_and_not_held),
		cmocka_unit_test(what_is_held_is_given_back_when_the_channel_ends),
		cmocka_unit_test(what_qemu_left_out_is_found_and_sent),
		cmocka_unit_test(memory_that_is_quite_another_is_not_the_guest_s),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
