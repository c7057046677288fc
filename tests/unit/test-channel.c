/*
 * test-channel.c: frames between two channels, and between a channel and a peer whose every byte the test writes.
 *
 * All runs in one loop and one thread, but for the handshake, which blocks. The hand-made peer is a plain socket. What holds
 * in clear and through TLS alike is tried both ways.
 */
#include "conn-link.h"
#include "hello.h"
#include "json-message.h"
#include "util.h"

#include <arpa/inet.h>
#include <errno.h>
#include <malloc.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "../lib/sockets.h"
#include "../lib/tails.h"

#define DEADLINE_MS 120000 /* ends a hang; a loaded machine under tsan is slow */
#define NUMBER	    7	   /* number of the channel under test */

static struct loop *loop;
static struct err err;
static bool secured;	      /* the tests at hand are through TLS */
static struct tls *ends[2];   /* TLS ends of the connection that was made last */
static struct tls *other_end; /* TLS of the other end of the connection that end_open() made last */
static uint64_t seed = 1181783497276652981ULL;

static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed >> 11;
}

#define pump_until(cond)                                                                                                                   \
	do {                                                                                                                               \
		uint64_t until_ = now_ns() + DEADLINE_MS * 1000000ULL;                                                                     \
		while (!(cond)) {                                                                                                          \
			assert_int_equal(loop_step(loop, 20, &err), 0);                                                                    \
			assert_true(now_ns() < until_);                                                                                    \
		}                                                                                                                          \
	} while (0)

/* ---- one end ---- */

struct end {
	struct channel *ch;
	unsigned frames, writables, closes;
	uint64_t bytes;
	uint16_t last_type;
	uint32_t next_index; /* index of the next numbered frame */
	struct err why;
	/* behaviour */
	unsigned pause_after; /* pauses in the handler of every n-th frame; 0: never */
	unsigned refuse_at;   /* the handler fails at this frame */
	unsigned later;	      /* this frame is put off, */
	unsigned put_off;     /* times that it was put off */
	void (*on_writable)(struct end *e);
	void *arg;
};

/* A frame with a number and as many bytes as can be told from it. */
static size_t numbered(uint8_t *p, uint32_t index, size_t len)
{
	size_t i;

	p[0] = (uint8_t)index;
	p[1] = (uint8_t)(index >> 8);
	p[2] = (uint8_t)(index >> 16);
	for (i = 3; i < len; i++)
		p[i] = (uint8_t)(index * 31 + i * 7);
	return len;
}

static bool is_numbered(const uint8_t *p, uint32_t index, size_t len)
{
	static uint8_t want[FRAME_PAYLOAD_MAX];

	numbered(want, index, len);
	return memcmp(p, want, len) == 0;
}

static int on_frame(void *ctx, struct channel *c, uint16_t type, const uint8_t *p, size_t n, struct err *e)
{
	struct end *end = ctx;

	assert_ptr_equal(c, end->ch);
	assert_int_equal(end->closes, 0);
	if (end->later && end->frames + 1 == end->later) {
		end->put_off++;
		channel_pause(c);
		return CHANNEL_LATER;
	}
	end->frames++;
	end->bytes += n;
	end->last_type = type;
	if (type == MSG_DATA) {
		assert_true(n >= 3 && is_numbered(p, end->next_index, n));
		end->next_index++;
	}
	if (end->pause_after && end->frames % end->pause_after == 0)
		channel_pause(c);
	if (end->refuse_at == end->frames)
		return err_set(e, EINVAL, "the handler refuses this");
	return 0;
}

static void on_writable(void *ctx, struct channel *c)
{
	struct end *end = ctx;

	(void)c;
	end->writables++;
	if (end->on_writable)
		end->on_writable(end);
}

static void on_closed(void *ctx, struct channel *c, const struct err *why)
{
	struct end *end = ctx;

	assert_false(channel_open(c));
	end->closes++;
	end->why = *why;
}

static void carry(struct tls *from, struct tls *to)
{
	size_t n, cap;
	const uint8_t *p = tls_conn_output(from, &n);
	uint8_t *in = tls_conn_input(to, &cap);

	assert_true(n <= cap);
	if (!n)
		return;
	memcpy(in, p, n);
	tls_conn_input_add(to, n);
	tls_conn_output_sent(from, n);
}

/* An end of a connection whose handshake is over; the other is other_end. */
static struct tls *one_end(void)
{
	static const struct tls_key key = {"someone", {1, 2, 3}};
	struct tls *a = other_end, *b;
	int done_a = 0, done_b = 0;

	if (a) { /* both ends are channels; b is the second */
		other_end = NULL;
		return a;
	}
	a = tls_conn_client(&key);
	b = tls_conn_server(&key, 1);
	tls_conn_rekey_after(a, 3 * MIB); /* many times, in a test that sends much */
	tls_conn_rekey_after(b, MIB);
	while (!done_a || !done_b) {
		done_a = tls_conn_handshake(a, &err);
		assert_true(done_a >= 0);
		carry(a, b);
		done_b = tls_conn_handshake(b, &err);
		assert_true(done_b >= 0);
		carry(b, a);
	}
	ends[0] = a;
	ends[1] = other_end = b;
	return a;
}

static void end_open(struct end *end, int fd, size_t window, struct pacer *pacer)
{
	struct channel_config cfg = {.number = NUMBER,
				     .window_bytes = window,
				     .pacer = pacer,
				     .on = {.frame = on_frame, .writable = on_writable, .closed = on_closed},
				     .ctx = end};

	end->ch = channel_over(loop, (struct link){.fd = fd, .tls = secured ? one_end() : NULL}, &cfg);
}

/* Sends one numbered frame of len bytes, each second one with most of it elsewhere; false when the window is full. */
static bool put(struct channel *c, uint32_t index, size_t len)
{
	uint8_t *p = channel_begin(c, len);

	if (!p)
		return false;
	numbered(p, index, len);
	if (index % 2 && len > 200)
		channel_commit_data(c, MSG_DATA, 100, 1 + index % 100, tail_of(p + 100, len - 100));
	else
		channel_commit(c, MSG_DATA, len);
	return true;
}

/* ---- sockets ---- */

static int setup(void **state)
{
	(void)state;
	return loop_new(&loop, 64, &err);
}

static int teardown(void **state)
{
	(void)state;
	loop_free(loop);
	return tails; /* all are given back */
}

/* ---- a peer made by hand ---- */

struct peer {
	struct end end; /* the channel under test */
	int fd;
	struct tls *tls;
};

static void peer_open(struct peer *p, size_t window)
{
	int fd[2];

	memset(p, 0, sizeof(*p));
	unix_pair(fd);
	p->fd = fd[1];
	end_open(&p->end, fd[0], window, NULL);
	p->tls = other_end;
	other_end = NULL;
}

static void peer_close(struct peer *p)
{
	channel_free(p->end.ch);
	tls_conn_free(p->tls);
	if (p->fd >= 0)
		close(p->fd);
}

static void peer_bytes(struct peer *p, const void *b, size_t n)
{
	if (p->tls) {
		assert_int_equal(tls_conn_encrypt(p->tls, b, n, &err), 0);
		b = tls_conn_output(p->tls, &n);
	}
	assert_int_equal(send(p->fd, b, n, MSG_NOSIGNAL), n);
	if (p->tls)
		tls_conn_output_sent(p->tls, n);
}

/* A recv() of plaintext. */
static ssize_t peer_recv(struct peer *p, uint8_t *b, size_t n)
{
	ssize_t r;
	size_t cap;
	uint8_t *in;

	if (!p->tls)
		return recv(p->fd, b, n, MSG_DONTWAIT);
	r = tls_conn_decrypt(p->tls, b, n, &err);
	if (r)
		return r;
	in = tls_conn_input(p->tls, &cap);
	r = recv(p->fd, in, cap, MSG_DONTWAIT);
	if (r <= 0)
		return r;
	tls_conn_input_add(p->tls, (size_t)r);
	errno = EAGAIN;
	r = tls_conn_decrypt(p->tls, b, n, &err);
	return r ? r : -1;
}

/* Header and payload with a right checksum, in a buffer of the caller's. */
static size_t seal(uint8_t *buf, uint16_t type, uint32_t channel, uint64_t sequence, const void *payload, size_t n)
{
	struct frame_header h = {.type = type, .channel = channel, .sequence = sequence, .length = (uint32_t)n};

	if (n)
		memcpy(buf + FRAME_HEADER_BYTES, payload, n);
	frame_seal(buf, &h);
	return FRAME_HEADER_BYTES + n;
}

static void peer_frame(struct peer *p, uint16_t type, uint64_t sequence, const void *payload, size_t n)
{
	uint8_t buf[FRAME_HEADER_BYTES + 8192];

	peer_bytes(p, buf, seal(buf, type, NUMBER, sequence, payload, n));
}

static void peer_data(struct peer *p, uint64_t sequence, uint32_t index)
{
	uint8_t b[64];

	peer_frame(p, MSG_DATA, sequence, b, numbered(b, index, sizeof(b)));
}

static void peer_ack(struct peer *p, uint64_t received)
{
	uint8_t b[8];
	struct writer w = writer_of(b, sizeof(b));

	write_u64(&w, received);
	peer_frame(p, MSG_ACK, 0, b, 8);
}

/* Reads exactly n bytes that the channel sent, pumping the loop meanwhile. */
static void peer_read(struct peer *p, uint8_t *b, size_t n)
{
	uint64_t until = now_ns() + DEADLINE_MS * 1000000ULL;

	while (n) {
		ssize_t r = peer_recv(p, b, n);

		assert_true(r > 0 || (r < 0 && errno == EAGAIN));
		if (r > 0) {
			b += r;
			n -= (size_t)r;
			continue;
		}
		assert_int_equal(loop_step(loop, 20, &err), 0);
		assert_true(now_ns() < until);
	}
}

static struct frame_header peer_read_frame(struct peer *p, uint8_t *buf)
{
	struct frame_header h;

	peer_read(p, buf, FRAME_HEADER_BYTES);
	assert_int_equal(frame_header_decode(&h, buf), 0);
	peer_read(p, buf + FRAME_HEADER_BYTES, h.length);
	assert_true(frame_intact(buf, &h));
	return h;
}

/* The channel ends with this code and a sentence that says so; nothing arrives after it, and it is told once. */
static void expect_closed(struct end *end, int code, const char *words)
{
	pump_until(end->closes);
	if (end->why.code != code || !strstr(end->why.msg, words))
		fail_msg("closed with %d (%s), not %d (%s)", end->why.code, end->why.msg, code, words);
	assert_false(channel_open(end->ch));
	assert_int_equal(loop_step(loop, 0, &err), 0);
	assert_int_equal(loop_step(loop, 0, &err), 0);
	assert_int_equal(end->closes, 1);
}

/* ---- frames between two channels ---- */

struct flow {
	uint32_t next, total;
	size_t max;   /* sizes are random up to this */
	size_t fixed; /* or a fixed size */
};

static void flow_on(struct end *end)
{
	struct flow *f = end->arg;

	while (f->next < f->total) {
		size_t len = f->fixed ? 0 : 3 + rnd() % (rnd() % 20 ? f->max / 16 : f->max - 2);

		if (!put(end->ch, f->next, f->fixed ? f->fixed : len))
			return;
		f->next++;
	}
}

static void exchange(void (*pair)(int fd[2]), size_t window)
{
	struct flow ab = {.total = 1200, .max = 256 * 1024}, ba = {.total = 500, .max = FRAME_PAYLOAD_MAX};
	struct end a = {.on_writable = flow_on, .arg = &ab}, b = {.on_writable = flow_on, .arg = &ba};
	int fd[2];

	pair(fd);
	end_open(&a, fd[0], window, NULL);
	end_open(&b, fd[1], window, NULL);
	flow_on(&a);
	flow_on(&b);
	pump_until(b.frames == ab.total && a.frames == ba.total);
	pump_until(channel_idle(a.ch) && channel_idle(b.ch));
	assert_int_equal(b.next_index, ab.total); /* on_frame checked each one's number and bytes */
	assert_int_equal(a.next_index, ba.total);
	assert_int_equal(a.closes + b.closes, 0);
	assert_true(a.writables > 0 && b.writables > 0);
	/* bytes that one side counts as sent the other counts as received, except for the last acknowledgements */
	assert_true(channel_bytes_sent(a.ch) >= b.bytes + ab.total * FRAME_HEADER_BYTES);
	pump_until(channel_bytes_received(b.ch) == channel_bytes_sent(a.ch) && channel_bytes_received(a.ch) == channel_bytes_sent(b.ch));
	if (secured) /* the keys have changed on the way, too */
		assert_true(tls_conn_rekeys(ends[0]) > 2 && tls_conn_rekeys(ends[1]) > 2);
	channel_free(a.ch);
	channel_free(b.ch);
}

static void frames_of_all_sizes_arrive_in_order_both_ways(void **state)
{
	(void)state;
	exchange(unix_pair, 2 * MIB);
}

static void frames_arrive_over_tcp_too(void **state)
{
	(void)state;
	exchange(tcp_pair, 4 * MIB);
}

static void a_window_smaller_than_a_frame_still_lets_one_through_at_a_time(void **state)
{
	(void)state;
	exchange(unix_pair, 1);
}

static void posted_messages_keep_their_place_among_frames(void **state)
{
	struct end a = {0}, b = {0};
	uint8_t buf[64];
	int fd[2];
	unsigned i;

	(void)state;
	unix_pair(fd);
	end_open(&a, fd[0], 32 * MIB, NULL);
	end_open(&b, fd[1], MIB, NULL);
	for (i = 0; i < 60; i += 3) {
		assert_true(put(a.ch, i, 100));
		channel_post(a.ch, MSG_DATA, buf, numbered(buf, i + 1, sizeof(buf)));
		assert_true(put(a.ch, i + 2, 20000));
		/* a frame that was begun large may be committed small */
		assert_non_null(channel_begin(a.ch, 300000));
		channel_commit(a.ch, MSG_ROUND_END, 0);
	}
	channel_send(a.ch, APPLIED, applied, .group = 3, .number = 4);
	pump_until(b.last_type == MSG_APPLIED);
	assert_int_equal(b.next_index, 60);
	assert_int_equal(b.frames, 60 + 20 + 1);
	channel_free(a.ch);
	channel_free(b.ch);
}

/* A hand-off may report many leftovers. */
static void a_hand_off_arrives_whole_however_much_it_tells(void **state)
{
	static const uint8_t attempt[16] = {1, 2, 3};
	struct end a = {0}, b = {0};
	json_t *list = json_array();
	char sentence[1001];
	int fd[2], i;

	(void)state;
	memset(sentence, 'x', 1000);
	sentence[1000] = '\0';
	for (i = 0; i < 24; i++)
		json_array_append_new(list, json_string(sentence));
	unix_pair(fd);
	end_open(&a, fd[0], MIB, NULL);
	end_open(&b, fd[1], MIB, NULL);
	assert_int_equal(handoff_message_send(a.ch, attempt, 4, json_pack("{s:o}", "leftovers", list)), 0);
	pump_until(b.last_type == MSG_HANDOFF);
	assert_true(b.bytes > 24000);
	channel_free(a.ch);
	channel_free(b.ch);
}

/* ---- what is on the wire ---- */

static void sequence_numbers_count_from_one_and_acks_have_none(void **state)
{
	uint8_t buf[FRAME_HEADER_BYTES + FRAME_PAYLOAD_MAX];
	struct frame_header h;
	struct msg_ack ack;
	struct peer p;
	unsigned i;

	(void)state;
	peer_open(&p, MIB);
	for (i = 0; i < 5; i++)
		assert_true(put(p.end.ch, i, 10 + i));
	for (i = 0; i < 5; i++) {
		h = peer_read_frame(&p, buf);
		assert_int_equal(h.type, MSG_DATA);
		assert_int_equal(h.channel, NUMBER);
		assert_int_equal(h.sequence, i + 1);
		assert_int_equal(h.length, 10 + i);
	}
	for (i = 0; i < 3; i++)
		peer_data(&p, i + 1, i);
	do {
		h = peer_read_frame(&p, buf);
		assert_int_equal(h.type, MSG_ACK);
		assert_int_equal(h.sequence, 0);
		assert_int_equal(msg_ack_decode(&ack, buf + FRAME_HEADER_BYTES, h.length), 0);
	} while (ack.received < 3);
	assert_int_equal(ack.received, 3);
	peer_close(&p);
}

/* ---- the window ---- */

static void a_full_window_gives_nothing_until_acks_make_room(void **state)
{
	struct peer p;
	unsigned sent = 0;

	(void)state;
	peer_open(&p, 64 * 1024); /* less than the socket takes */
	while (put(p.end.ch, sent, 8192))
		sent++;
	assert_true(sent >= 6 && sent <= 8);
	assert_false(put(p.end.ch, sent, 8192));
	/* all leaves the machine, and yet there is no room: it is not acknowledged */
	pump_until(channel_bytes_sent(p.end.ch) >= sent * (8192ULL + FRAME_HEADER_BYTES));
	assert_int_equal(p.end.writables, 0);
	assert_false(put(p.end.ch, sent, 8192));
	assert_false(channel_idle(p.end.ch));
	peer_ack(&p, 1);
	pump_until(p.end.writables == 1);
	assert_true(put(p.end.ch, sent, 8192));
	assert_false(put(p.end.ch, sent + 1, 8192));
	peer_ack(&p, sent); /* all but the last */
	pump_until(p.end.writables == 2);
	assert_false(channel_idle(p.end.ch));
	peer_ack(&p, sent + 1);
	pump_until(channel_idle(p.end.ch));
	assert_int_equal(p.end.writables, 2); /* no writer waited */
	assert_int_equal(p.end.closes, 0);
	peer_close(&p);
}

static void a_posted_message_needs_no_room_in_the_window(void **state)
{
	struct peer p;
	uint64_t before;
	unsigned sent = 0;

	(void)state;
	peer_open(&p, 64 * 1024);
	while (put(p.end.ch, sent, 8192))
		sent++;
	pump_until(channel_bytes_sent(p.end.ch) >= sent * (8192ULL + FRAME_HEADER_BYTES));
	before = channel_bytes_sent(p.end.ch);
	channel_send(p.end.ch, APPLIED, applied, .group = 1);
	pump_until(channel_bytes_sent(p.end.ch) >= before + FRAME_HEADER_BYTES + 8);
	assert_int_equal(p.end.writables, 0);
	peer_close(&p);
}

size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t allocated(void)
{
	struct mallinfo2 m;

	if (__sanitizer_get_current_allocated_bytes)
		return __sanitizer_get_current_allocated_bytes();
	m = mallinfo2();
	return m.uordblks + m.hblkhd;
}

static void memory_held_for_frames_is_bounded_by_the_window_whatever_their_size(void **state)
{
	static const size_t sizes[] = {3, 64, 1000, 17 * 1024, 256 * 1024, FRAME_PAYLOAD_MAX};
	const size_t window = 4 * MIB;
	size_t i, before, held;

	(void)state;
	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		struct peer p;
		unsigned n = 0;

		peer_open(&p, window);
		before = allocated();
		while (put(p.end.ch, n, sizes[i]))
			n++;
		held = allocated() - before;
		/* plus the ciphertext that is made ahead: at most a frame more than CIPHER_AHEAD */
		if (held > window + window / 4 + (secured ? 2 * MIB : 0))
			fail_msg("%u frames of %zu bytes hold %zu", n, sizes[i], held);
		peer_close(&p);
	}
}

static void memory_is_given_back_or_used_again_when_frames_are_acknowledged(void **state)
{
	struct flow f = {.total = 4000, .max = 256 * 1024};
	struct end a = {.on_writable = flow_on, .arg = &f}, b = {0};
	size_t before;
	int fd[2];

	(void)state;
	before = allocated();
	unix_pair(fd);
	end_open(&a, fd[0], 2 * MIB, NULL);
	end_open(&b, fd[1], MIB, NULL);
	flow_on(&a);
	while (b.frames < f.total) {
		assert_int_equal(loop_step(loop, 1000, &err), 0);
		/* two receive buffers, the window, and the free buffers kept from it */
		assert_true(allocated() - before < 2 * 2 * (FRAME_PAYLOAD_MAX + 64) + 2 * 2 * MIB + MIB);
	}
	channel_free(a.ch);
	channel_free(b.ch);
}

/* ---- peers that break the rules ---- */

static void a_damaged_byte_anywhere_ends_the_channel_before_the_frame_is_used(void **state)
{
	uint8_t good[FRAME_HEADER_BYTES + 64], body[64];
	size_t at, n;

	(void)state;
	n = seal(good, MSG_DATA, NUMBER, 1, body, numbered(body, 0, sizeof(body)));
	for (at = 0; at < n; at++) {
		struct peer p;

		peer_open(&p, MIB);
		good[at] ^= 1 << at % 8;
		peer_bytes(&p, good, n);
		good[at] ^= 1 << at % 8;
		shutdown(p.fd, SHUT_WR); /* a length that grew would wait for more */
		pump_until(p.end.closes);
		assert_int_equal(p.end.frames, 0);
		assert_int_equal(p.end.closes, 1);
		if (at < 16 || at >= 20) {
			assert_int_equal(p.end.why.code, EBADMSG);
			assert_non_null(strstr(p.end.why.msg, "damaged"));
			assert_non_null(strstr(p.end.why.msg, "channel 7"));
		}
		peer_close(&p);
	}
}

static void a_frame_longer_than_allowed_is_refused_from_its_header_alone(void **state)
{
	static const uint32_t lengths[] = {FRAME_PAYLOAD_MAX + 1, 0x7fffffff, 0xffffffff};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(lengths); i++) {
		uint8_t b[FRAME_HEADER_BYTES] = {0};
		struct writer w = writer_of(b, sizeof(b));
		struct peer p;

		peer_open(&p, MIB);
		write_u64(&w, MSG_DATA);
		write_u64(&w, 1);
		write_u32(&w, lengths[i]);
		peer_bytes(&p, b, sizeof(b));
		expect_closed(&p.end, EPROTO, "more than the largest allowed");
		peer_close(&p);
	}
}

static void garbage_is_not_taken_for_a_peer(void **state)
{
	static const char http[] = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\n\r\n";
	struct peer p;

	(void)state;
	peer_open(&p, MIB);
	peer_bytes(&p, http, sizeof(http) - 1);
	expect_closed(&p.end, EPROTO, "not a vmferry peer");
	peer_close(&p);
}

static void a_frame_out_of_sequence_is_refused(void **state)
{
	static const uint64_t wrong[] = {0, 1, 3, UINT64_MAX};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(wrong); i++) {
		struct peer p;

		peer_open(&p, MIB);
		peer_data(&p, 1, 0);
		peer_data(&p, wrong[i], 1);
		expect_closed(&p.end, EPROTO, "where 2 was due");
		assert_int_equal(p.end.frames, 1);
		peer_close(&p);
	}
}

static void a_frame_of_another_channel_is_refused(void **state)
{
	uint8_t buf[FRAME_HEADER_BYTES + 8] = {0};
	struct peer p;

	(void)state;
	peer_open(&p, MIB);
	peer_bytes(&p, buf, seal(buf, MSG_ACK, NUMBER + 1, 0, "\0\0\0\0\0\0\0", 8));
	expect_closed(&p.end, EPROTO, "a frame for channel 8 arrived on channel 7");
	peer_close(&p);
}

static void an_ack_of_what_was_never_sent_is_refused(void **state)
{
	struct peer p;

	(void)state;
	peer_open(&p, MIB);
	peer_ack(&p, 1);
	expect_closed(&p.end, EPROTO, "acknowledged what was never sent");
	peer_close(&p);

	peer_open(&p, MIB);
	assert_true(put(p.end.ch, 0, 10));
	assert_true(put(p.end.ch, 1, 10));
	pump_until(channel_bytes_sent(p.end.ch) >= 2 * (FRAME_HEADER_BYTES + 10));
	peer_ack(&p, 2);
	pump_until(channel_idle(p.end.ch));
	peer_ack(&p, 3);
	expect_closed(&p.end, EPROTO, "acknowledged what was never sent");
	peer_close(&p);
}

static void an_ack_that_goes_back_or_is_malformed_is_refused(void **state)
{
	struct peer p;

	(void)state;
	peer_open(&p, MIB);
	assert_true(put(p.end.ch, 0, 10));
	assert_true(put(p.end.ch, 1, 10));
	pump_until(channel_bytes_sent(p.end.ch) >= 2 * (FRAME_HEADER_BYTES + 10));
	peer_ack(&p, 2);
	peer_ack(&p, 2); /* the same again is harmless */
	pump_until(channel_idle(p.end.ch));
	assert_int_equal(p.end.closes, 0);
	peer_ack(&p, 1);
	expect_closed(&p.end, EPROTO, "acknowledged");
	peer_close(&p);

	peer_open(&p, MIB);
	peer_frame(&p, MSG_ACK, 0, "short", 5);
	expect_closed(&p.end, EPROTO, "acknowledged");
	peer_close(&p);
}

static void an_ack_before_the_frame_has_left_frees_nothing_in_use(void **state)
{
	uint8_t sink[65536];
	struct peer p;
	unsigned sent = 0;

	(void)state;
	peer_open(&p, 8 * MIB);
	while (put(p.end.ch, sent, 200000)) /* far more than the socket takes: the last ones wait */
		sent++;
	assert_int_equal(loop_step(loop, 0, &err), 0);
	peer_ack(&p, sent);
	pump_until((({
			    while (recv(p.fd, sink, sizeof(sink), MSG_DONTWAIT) > 0)
				    ;
		    }),
		    p.end.closes || channel_idle(p.end.ch)));
	peer_close(&p); /* refused or let pass; asan is the judge */
}

static void an_unknown_message_is_skipped_unless_it_is_critical(void **state)
{
	struct peer p;

	(void)state;
	peer_open(&p, MIB);
	peer_data(&p, 1, 0);
	peer_frame(&p, 0x0777, 2, "something of a later version", 28);
	peer_data(&p, 3, 1); /* the frame counts in the sequence */
	pump_until(p.end.frames == 2);
	assert_int_equal(p.end.closes, 0);
	peer_frame(&p, 0x8777, 4, "without which nothing makes sense", 33);
	expect_closed(&p.end, EPROTO, "0x8777");
	assert_int_equal(p.end.frames, 2);
	peer_close(&p);
}

static void the_peers_own_words_arrive_as_the_reason(void **state)
{
	uint8_t b[256];
	struct writer w = writer_of(b, sizeof(b));
	struct msg_error m = {.code = ENOSPC, .doing = slice_of("writing vda"), .text = slice_of("the disk is full")};
	struct peer p;

	(void)state;
	msg_error_encode(&w, &m);
	peer_open(&p, MIB);
	peer_data(&p, 1, 0);
	peer_frame(&p, MSG_ERROR, 0, b, writer_len(&w));
	expect_closed(&p.end, ENOSPC, "writing vda: the disk is full");
	assert_int_equal(p.end.frames, 1);
	peer_close(&p);

	/* without a code or with a senseless one it is an error all the same */
	m = (struct msg_error){.code = 0xffffffff, .doing = slice_of(""), .text = slice_of("no")};
	w = writer_of(b, sizeof(b));
	msg_error_encode(&w, &m);
	peer_open(&p, MIB);
	peer_frame(&p, MSG_ERROR, 0, b, writer_len(&w));
	expect_closed(&p.end, EREMOTEIO, "no");
	peer_close(&p);

	/* nor does one without words leave the user without any */
	m = (struct msg_error){.code = EIO, .doing = slice_of(""), .text = slice_of("")};
	w = writer_of(b, sizeof(b));
	msg_error_encode(&w, &m);
	peer_open(&p, MIB);
	peer_frame(&p, MSG_ERROR, 0, b, writer_len(&w));
	expect_closed(&p.end, EIO, "the peer gave up without saying why");
	peer_close(&p);

	/* control characters of the peer's text do not reach the user's terminal */
	m = (struct msg_error){.code = EIO, .doing = {(const uint8_t *)"\0\0", 2}, .text = slice_of("\033[2Jgone\n")};
	w = writer_of(b, sizeof(b));
	msg_error_encode(&w, &m);
	peer_open(&p, MIB);
	peer_frame(&p, MSG_ERROR, 0, b, writer_len(&w));
	expect_closed(&p.end, EIO, "??: ?[2Jgone?");
	peer_close(&p);

	peer_open(&p, MIB);
	peer_frame(&p, MSG_ERROR, 0, b, 3);
	expect_closed(&p.end, EPROTO, "cannot be read");
	peer_close(&p);
}

static void the_peer_going_away_is_told_once(void **state)
{
	uint8_t half[FRAME_HEADER_BYTES + 64] = {0}, body[64];
	struct peer p;

	(void)state;
	peer_open(&p, MIB);
	peer_data(&p, 1, 0);
	close(p.fd);
	p.fd = -1;
	expect_closed(&p.end, EPIPE, secured ? "was cut" : "closed the connection");
	assert_int_equal(p.end.frames, 1); /* frames before it count */
	peer_close(&p);

	if (secured) { /* the proper order */
		peer_open(&p, MIB);
		tls_conn_end(p.tls);
		peer_bytes(&p, "", 0);
		expect_closed(&p.end, EPIPE, "closed the connection");
		peer_close(&p);
	}

	/* in the middle of a frame */
	peer_open(&p, MIB);
	seal(half, MSG_DATA, NUMBER, 1, body, numbered(body, 0, sizeof(body)));
	peer_bytes(&p, half, 50);
	shutdown(p.fd, SHUT_WR);
	expect_closed(&p.end, EPIPE, secured ? "was cut" : "closed the connection");
	assert_int_equal(p.end.frames, 0);
	peer_close(&p);
}

static void the_peer_going_away_while_much_is_being_sent_is_told_once(void **state)
{
	struct peer p;
	unsigned sent = 0;

	(void)state;
	peer_open(&p, 4 * MIB);
	while (put(p.end.ch, sent, 100000))
		sent++;
	assert_int_equal(loop_step(loop, 20, &err), 0);
	close(p.fd);
	p.fd = -1;
	pump_until(p.end.closes);
	assert_true(p.end.why.code == EPIPE || p.end.why.code == ECONNRESET);
	assert_int_equal(loop_step(loop, 20, &err), 0);
	assert_int_equal(p.end.closes, 1);
	/* a closed channel takes and forgets */
	channel_post(p.end.ch, MSG_DATA, "abc", 3);
	if (channel_begin(p.end.ch, 10))
		channel_commit(p.end.ch, MSG_DATA, 10);
	peer_close(&p);
}

static void the_peers_last_words_are_heard_though_sending_fails_first(void **state)
{
	uint8_t b[256];
	struct writer w = writer_of(b, sizeof(b));
	struct msg_error m = {.code = ENOSPC, .doing = slice_of("writing vda"), .text = slice_of("the disk is full")};
	unsigned tcp;

	(void)state;
	msg_error_encode(&w, &m);
	for (tcp = 0; tcp < 2; tcp++) {
		struct peer p = {0};
		unsigned sent = 0;
		int fd[2];

		(tcp ? tcp_pair : unix_pair)(fd);
		p.fd = fd[1];
		end_open(&p.end, fd[0], 32 * MIB, NULL);
		while (put(p.end.ch, sent, 250000)) /* more than the sockets take */
			sent++;
		assert_int_equal(loop_step(loop, 0, &err), 0);
		peer_frame(&p, MSG_ERROR, 0, b, writer_len(&w));
		close(p.fd); /* with much unread: a reset */
		p.fd = -1;
		expect_closed(&p.end, ENOSPC, "writing vda: the disk is full");
		peer_close(&p);
	}
}

static void a_handler_that_refuses_ends_the_channel_with_its_reason(void **state)
{
	struct peer p;

	(void)state;
	peer_open(&p, MIB);
	p.end.refuse_at = 2;
	peer_data(&p, 1, 0);
	peer_data(&p, 2, 1);
	peer_data(&p, 3, 2);
	expect_closed(&p.end, EINVAL, "the handler refuses this");
	assert_int_equal(p.end.frames, 2);
	peer_close(&p);
}

static void a_frame_in_single_bytes_is_one_frame(void **state)
{
	uint8_t buf[FRAME_HEADER_BYTES + 64], body[64];
	struct peer p;
	size_t i, n;

	(void)state;
	peer_open(&p, MIB);
	n = seal(buf, MSG_DATA, NUMBER, 1, body, numbered(body, 0, sizeof(body)));
	for (i = 0; i < n; i++) {
		assert_int_equal(p.end.frames, 0);
		peer_bytes(&p, buf + i, 1);
		pump_until(channel_bytes_received(p.end.ch) == i + 1);
	}
	assert_int_equal(p.end.frames, 1);
	peer_close(&p);
}

static void freeing_a_busy_channel_reports_nothing_and_leaves_nothing(void **state)
{
	struct peer p;
	unsigned sent = 0;

	(void)state;
	peer_open(&p, 4 * MIB);
	while (put(p.end.ch, sent, 100000))
		sent++;
	assert_int_equal(loop_step(loop, 0, &err), 0);
	channel_free(p.end.ch);
	p.end.ch = NULL;
	assert_int_equal(p.end.closes, 0);
	peer_close(&p);
}

/* ---- back-pressure ---- */

static void a_paused_channel_delivers_nothing_and_loses_nothing(void **state)
{
	struct flow f = {.total = 2000, .max = 64 * 1024};
	struct end a = {.on_writable = flow_on, .arg = &f}, b = {.pause_after = 3};
	unsigned at, pauses = 0;
	int fd[2], i;

	(void)state;
	unix_pair(fd);
	end_open(&a, fd[0], MIB, NULL);
	end_open(&b, fd[1], MIB, NULL);
	flow_on(&a);
	while (b.frames < f.total) {
		pump_until((b.frames % 3 == 0 && b.frames) || b.frames == f.total);
		at = b.frames;
		for (i = 0; i < 3; i++)
			assert_int_equal(loop_step(loop, 0, &err), 0);
		assert_int_equal(b.frames, at);
		pauses++;
		channel_resume(b.ch);
		pump_until(b.frames > at || b.frames == f.total);
		if (f.total - b.frames < 3)
			b.pause_after = 0;
	}
	assert_true(pauses > f.total / 3 - 2);
	assert_int_equal(b.next_index, f.total);
	pump_until(channel_idle(a.ch));
	assert_int_equal(a.closes + b.closes, 0);
	channel_free(a.ch);
	channel_free(b.ch);
}

static void a_pause_from_outside_stops_what_arrives_later(void **state)
{
	struct peer p;
	unsigned i;

	(void)state;
	peer_open(&p, MIB);
	peer_data(&p, 1, 0);
	pump_until(p.end.frames == 1);
	channel_pause(p.end.ch); /* while a receive is under way */
	peer_data(&p, 2, 1);
	peer_data(&p, 3, 2);
	pump_until(channel_bytes_received(p.end.ch) > FRAME_HEADER_BYTES + 64);
	for (i = 0; i < 3; i++)
		assert_int_equal(loop_step(loop, 0, &err), 0);
	assert_int_equal(p.end.frames, 1);
	channel_resume(p.end.ch);
	pump_until(p.end.frames == 3);
	/* pause and resume with nothing between them change nothing */
	channel_pause(p.end.ch);
	channel_resume(p.end.ch);
	channel_resume(p.end.ch);
	peer_data(&p, 4, 3);
	pump_until(p.end.frames == 4);
	assert_int_equal(p.end.closes, 0);
	peer_close(&p);
}

static void a_frame_that_is_put_off_comes_again_and_is_not_acknowledged(void **state)
{
	uint8_t buf[256];
	struct peer p;
	unsigned i;

	(void)state;
	peer_open(&p, MIB);
	p.end.later = 2;
	peer_data(&p, 1, 0);
	peer_data(&p, 2, 1);
	peer_data(&p, 3, 2);
	pump_until(p.end.put_off == 1);
	for (i = 0; i < 3; i++)
		assert_int_equal(loop_step(loop, 0, &err), 0);
	assert_int_equal(p.end.frames, 1);
	peer_read_frame(&p, buf);
	assert_int_equal(buf[FRAME_HEADER_BYTES], 1); /* the acknowledgement has the number of frames received */
	channel_resume(p.end.ch);		      /* still not */
	assert_int_equal(p.end.put_off, 2);
	assert_int_equal(p.end.frames, 1);
	p.end.later = 0;
	channel_resume(p.end.ch);
	pump_until(p.end.frames == 3);
	peer_data(&p, 4, 3);
	pump_until(p.end.frames == 4);
	assert_int_equal(p.end.closes, 0);
	peer_close(&p);
}

static void a_paused_receiver_stops_the_sender(void **state)
{
	struct flow f = {.total = 4000, .max = 64 * 1024};
	struct end a = {.on_writable = flow_on, .arg = &f}, b = {.pause_after = 1};
	uint64_t last = 0;
	int fd[2], same = 0;

	(void)state;
	unix_pair(fd);
	end_open(&a, fd[0], 4 * MIB, NULL);
	end_open(&b, fd[1], MIB, NULL);
	assert_true(channel_backlog(a.ch).network_is_idle);
	flow_on(&a);
	pump_until(b.frames == 1);
	for (same = 0; same < 5;) { /* until nothing moves any more */
		assert_int_equal(loop_step(loop, 20, &err), 0);
		same = channel_bytes_sent(a.ch) == last ? same + 1 : 0;
		last = channel_bytes_sent(a.ch);
	}
	assert_true(f.next < f.total / 2);
	assert_int_equal(b.frames, 1);
	assert_false(channel_backlog(a.ch).network_is_idle);
	b.pause_after = 0;
	channel_resume(b.ch);
	pump_until(b.frames == f.total);
	assert_true(channel_backlog(a.ch).network_is_idle);
	channel_free(a.ch);
	channel_free(b.ch);
}

/* ---- the bandwidth limit ---- */

static void the_pacer_holds_all_channels_together_to_its_rate(void **state)
{
	/* 2.5 MiB at 4 MiB/s: 0.63 seconds, less what may go ahead; so slow that a busy machine makes no difference */
	struct pacer pacer = {.bytes_per_s = 4 * MIB};
	struct flow f[2] = {{.total = 20, .fixed = 65536}, {.total = 20, .fixed = 65536}};
	struct end a[2] = {{.on_writable = flow_on, .arg = &f[0]}, {.on_writable = flow_on, .arg = &f[1]}}, b[2] = {{0}, {0}};
	uint64_t start, ns, bytes = 0;
	unsigned i;
	int fd[2];

	(void)state;
	start = now_ns();
	for (i = 0; i < 2; i++) {
		unix_pair(fd);
		end_open(&a[i], fd[0], 16 * MIB, &pacer);
		end_open(&b[i], fd[1], MIB, NULL);
		flow_on(&a[i]);
	}
	pump_until(b[0].frames == f[0].total && b[1].frames == f[1].total);
	ns = now_ns() - start;
	for (i = 0; i < 2; i++)
		bytes += channel_bytes_sent(a[i].ch);
	assert_true(bytes >= 5 * MIB / 2);
	/* never faster than the rate, but for the batch that each may have in hand at the end */
	assert_true((double)ns / 1e9 > 0.625 * 0.75);
	for (i = 0; i < 2; i++) {
		channel_free(a[i].ch);
		channel_free(b[i].ch);
	}
}

/* By a clock of its own, which no busy machine stops. */
static void the_pacer_gives_all_of_its_rate(void **state)
{
	struct pacer pacer = {.bytes_per_s = 4 * MIB};
	uint64_t now = 1000000000, until = now + 10000000000, wait_ms, bytes = 0;

	(void)state;
	while (now < until) {
		wait_ms = pacer_reserve(&pacer, 65536, now);
		bytes += wait_ms ? 0 : 65536;
		now += wait_ms * 1000000;
	}
	assert_in_range(bytes, 39 * MIB, 41 * MIB);
}

static void change_limit(uint64_t to)
{
	struct pacer pacer = {.bytes_per_s = 256};
	struct flow f = {.total = 400, .fixed = 65536};
	struct end a = {.on_writable = flow_on, .arg = &f}, b = {0};
	int fd[2];

	unix_pair(fd);
	end_open(&a, fd[0], 4 * MIB, &pacer);
	end_open(&b, fd[1], MIB, NULL);
	flow_on(&a);
	pump_until(b.frames >= 1);
	assert_true(b.frames < 400);			    /* 25 MiB would take a day, the next frame minutes */
	pump_until(!channel_backlog(a.ch).network_is_idle); /* all that left has arrived: what waits does so for the limit alone */
	__atomic_store_n(&pacer.bytes_per_s, to, __ATOMIC_RELAXED);
	pump_until(b.frames == 400);
	assert_true(channel_backlog(a.ch).network_is_idle);
	channel_free(a.ch);
	channel_free(b.ch);
}

static void a_limit_that_is_lifted_or_raised_counts_at_once(void **state)
{
	(void)state;
	change_limit(0);
	change_limit(100 * MIB);
}

/* ---- HELLO ---- */

static size_t hello_bytes(uint8_t *buf, uint16_t version, uint16_t version_min, uint64_t required, const char *software)
{
	uint8_t body[512];
	struct writer w = writer_of(body, sizeof(body));
	struct msg_hello m = {.version = version,
			      .version_min = version_min,
			      .required = required,
			      .optional = ~0ULL,
			      .software = slice_of(software)};

	msg_hello_encode(&w, &m);
	return seal(buf, MSG_HELLO, 0, 0, body, writer_len(&w));
}

static void a_hello_arrives_as_it_was_sent(void **state)
{
	struct hello mine = {.session = "0123456789abcde", .channel = 3, .generation = 9}, theirs;
	int fd[2];

	(void)state;
	unix_pair(fd);
	hello_begin(&mine);
	strcpy(mine.way, "127.0.0.1:1 127.0.0.1:2");
	mine.proves = true;
	memset(mine.proof, 0x5a, sizeof(mine.proof));
	strcpy(mine.software, "vmferry 1.2.3");
	memset(&theirs, 0xa5, sizeof(theirs));
	assert_int_equal(hello_send(&(struct link){.fd = fd[0]}, &mine, 1000, &err), 0);
	assert_int_equal(hello_receive(&(struct link){.fd = fd[1]}, &theirs, 1000, &err), 0);
	assert_memory_equal(&mine.session, &theirs.session, 16);
	assert_int_equal(theirs.channel, 3);
	assert_int_equal(theirs.generation, 9);
	assert_memory_equal(theirs.nonce, mine.nonce, 16);
	assert_memory_equal(theirs.host, mine.host, 16);
	assert_string_equal(theirs.way, mine.way);
	assert_true(theirs.proves);
	assert_memory_equal(theirs.proof, mine.proof, sizeof(mine.proof));
	assert_string_equal(theirs.software, "vmferry 1.2.3");
	close(fd[0]);
	close(fd[1]);
}

static void a_proof_holds_for_one_side_one_connection_and_one_token(void **state)
{
	static const char token[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
	struct hello source = {.session = "0123456789abcde", .channel = 1, .way = "a b"}, destination = {.channel = 1}, other;
	uint8_t proof[HELLO_PROOF_BYTES];

	(void)state;
	hello_begin(&source);
	hello_begin(&destination);
	hello_prove(HELLO_SOURCE, token, &source, &destination, proof);
	assert_true(hello_proof_is(proof, HELLO_SOURCE, token, &source, &destination));
	assert_false(hello_proof_is(proof, HELLO_DESTINATION, token, &source, &destination));
	assert_false(hello_proof_is(proof, HELLO_SOURCE, "00", &source, &destination));
	other = source;
	hello_begin(&other); /* the same session, another connection */
	assert_false(hello_proof_is(proof, HELLO_SOURCE, token, &other, &destination));
	other = source;
	other.channel = 2;
	assert_false(hello_proof_is(proof, HELLO_SOURCE, token, &other, &destination));
	other = source;
	strcpy(other.way, "a c");
	assert_false(hello_proof_is(proof, HELLO_SOURCE, token, &other, &destination));
	other = destination;
	hello_begin(&other);
	assert_false(hello_proof_is(proof, HELLO_SOURCE, token, &source, &other));
	hello_prove(HELLO_SOURCE, "", &source, &destination, proof); /* a proof without a token, which anybody can make */
	assert_false(hello_proof_is(proof, HELLO_SOURCE, "", &source, &destination));
}

/* PROTOCOL.md, "Test vectors". */
static void a_proof_is_what_the_protocol_says(void **state)
{
	static const uint8_t want[2][HELLO_PROOF_BYTES] =
		{[HELLO_SOURCE] = {0x17, 0x0c, 0x41, 0x8d, 0x7b, 0xf0, 0x08, 0x84, 0xd2, 0xef, 0x7d, 0x3a, 0x1f, 0x11, 0x77, 0x81,
				   0xc9, 0x97, 0x4d, 0x46, 0x19, 0x07, 0xa1, 0xa6, 0xeb, 0x5c, 0xe9, 0xfe, 0x15, 0xc3, 0xff, 0x75},
		 [HELLO_DESTINATION] = {0x0d, 0x31, 0xe2, 0x9e, 0x63, 0xb8, 0x9b, 0xa4, 0x0b, 0xe5, 0x8b, 0xe5, 0x5f, 0x3e, 0x29, 0x39,
					0xe6, 0x08, 0x0a, 0xf5, 0x49, 0xf9, 0xe7, 0x76, 0x75, 0xa6, 0x54, 0x60, 0xd1, 0xaf, 0x25, 0xfb}};
	static const char token[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
	struct hello source = {.way = "127.0.0.1:40000 127.0.0.1:7788"}, destination = {.channel = 0};
	uint8_t i;

	(void)state;
	for (i = 0; i < 16; i++) {
		source.session[i] = i;
		source.nonce[i] = (uint8_t)(0x10 + i);
		destination.nonce[i] = (uint8_t)(0x20 + i);
	}
	assert_true(hello_proof_is(want[HELLO_SOURCE], HELLO_SOURCE, token, &source, &destination));
	assert_true(hello_proof_is(want[HELLO_DESTINATION], HELLO_DESTINATION, token, &source, &destination));
}

/* Checks that a peer with these properties is refused, with the same sentence at both ends. */
static void refused(uint16_t version, uint16_t version_min, uint64_t required, const char *words)
{
	uint8_t buf[FRAME_HEADER_BYTES + 512];
	struct hello theirs;
	struct err far;
	int fd[2];
	size_t n;

	unix_pair(fd);
	n = hello_bytes(buf, version, version_min, required, "vmferry 9.9");
	assert_int_equal(send(fd[0], buf, n, 0), n);
	assert_int_equal(hello_receive(&(struct link){.fd = fd[1]}, &theirs, 1000, &err), -EPROTONOSUPPORT);
	assert_non_null(strstr(err.msg, words));
	assert_non_null(strstr(err.msg, "vmferry 9.9"));
	assert_non_null(strstr(err.msg, "use the same release on both hosts"));
	assert_null(strchr(err.msg, '\n'));
	hello_refuse(&(struct link){.fd = fd[1]}, err.msg);
	close(fd[1]);
	assert_true(hello_receive(&(struct link){.fd = fd[0]}, &theirs, 1000, &far) < 0);
	assert_string_equal(far.msg, err.msg);
	close(fd[0]);
}

static void another_version_is_refused_with_one_sentence_on_both_sides(void **state)
{
	char both[64];

	(void)state;
	snprintf(both, sizeof(both), "versions %u to %u", PROTO_VERSION + 1, PROTO_VERSION + 2);
	refused(PROTO_VERSION + 2, PROTO_VERSION + 1, 0, both); /* too new */
	snprintf(both, sizeof(both), "versions 0 to %u", PROTO_VERSION_MIN - 1);
	refused(PROTO_VERSION_MIN - 1, 0, 0, both); /* too old */
}

static void a_newer_peer_that_still_speaks_our_version_is_welcome(void **state)
{
	uint8_t buf[FRAME_HEADER_BYTES + 512];
	struct hello theirs;
	int fd[2];
	size_t n;

	(void)state;
	unix_pair(fd);
	n = hello_bytes(buf, PROTO_VERSION + 5, PROTO_VERSION, 0, "vmferry 9.9");
	assert_int_equal(send(fd[0], buf, n, 0), n);
	assert_int_equal(hello_receive(&(struct link){.fd = fd[1]}, &theirs, 1000, &err), 0);
	close(fd[0]);
	close(fd[1]);
}

static void an_unknown_required_feature_is_refused_and_an_optional_one_is_not(void **state)
{
	(void)state;
	refused(PROTO_VERSION, PROTO_VERSION_MIN, 1ULL << 63, "0x8000000000000000");
	a_newer_peer_that_still_speaks_our_version_is_welcome(state); /* the newer peer has every optional bit set */
}

static void hello_from(const void *bytes, size_t n, int code, const char *words)
{
	struct hello theirs;
	uint64_t start = now_ns();
	int fd[2];

	unix_pair(fd);
	assert_int_equal(send(fd[0], bytes, n, 0), n);
	shutdown(fd[0], SHUT_WR);
	err.code = 0;
	if (hello_receive(&(struct link){.fd = fd[1]}, &theirs, DEADLINE_MS, &err) != -code || !strstr(err.msg, words))
		fail_msg("%d (%s), not %d (%s)", err.code, err.msg, code, words);
	assert_true(now_ns() - start < DEADLINE_MS * 1000000ULL);
	close(fd[0]);
	close(fd[1]);
}

static void a_peer_that_speaks_something_else_is_told_apart(void **state)
{
	static const char ssh[] = "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n";
	uint8_t junk[4096], buf[FRAME_HEADER_BYTES + 512];
	size_t i, n;

	(void)state;
	hello_from(ssh, sizeof(ssh) - 1, EPROTO, "does not speak the vmferry protocol");
	for (i = 0; i < sizeof(junk); i++)
		junk[i] = (uint8_t)rnd();
	hello_from(junk, sizeof(junk), EPROTO, "does not speak the vmferry protocol");
	/* a frame, but not one to begin with */
	n = seal(buf, MSG_DATA, 0, 0, "abc", 3);
	hello_from(buf, n, EPROTO, "does not speak the vmferry protocol");
	n = seal(buf, MSG_HELLO, 0, 0, "abc", 3);
	hello_from(buf, n, EPROTO, "HELLO is malformed");
	n = hello_bytes(buf, 1, 1, 0, "x");
	buf[n - 1] ^= 1;
	hello_from(buf, n, EBADMSG, "damaged");
}

static void a_hello_cut_short_anywhere_is_an_error_at_once(void **state)
{
	uint8_t buf[FRAME_HEADER_BYTES + 512];
	size_t n = hello_bytes(buf, PROTO_VERSION, PROTO_VERSION_MIN, 0, "vmferry"), cut;

	(void)state;
	for (cut = 0; cut < n; cut++)
		hello_from(buf, cut, EPIPE, "closed the connection during the handshake");
}

static void a_silent_peer_is_given_up_in_time(void **state)
{
	struct hello theirs;
	uint64_t start;
	int fd[2], part;

	(void)state;
	for (part = 0; part <= 40; part += 20) { /* from the start, in the header, in the body */
		uint8_t buf[FRAME_HEADER_BYTES + 512];

		hello_bytes(buf, PROTO_VERSION, PROTO_VERSION_MIN, 0, "vmferry");
		unix_pair(fd);
		assert_int_equal(send(fd[0], buf, (size_t)part, 0), part);
		start = now_ns();
		assert_int_equal(hello_receive(&(struct link){.fd = fd[1]}, &theirs, 60, &err), -ETIMEDOUT);
		assert_true(now_ns() - start >= 60 * 1000000ULL);
		assert_true(now_ns() - start < DEADLINE_MS * 1000000ULL);
		assert_non_null(strstr(err.msg, "did not answer in time"));
		close(fd[0]);
		close(fd[1]);
	}
}

static void *trickle(void *arg)
{
	int fd = *(int *)arg;
	struct pollfd p = {.fd = fd, .events = POLLHUP};

	/* the first byte of a frame's type, again and again: never a whole header within the time */
	while (send(fd, "\x01", 1, MSG_NOSIGNAL) == 1 && poll(&p, 1, 5) == 0)
		;
	return NULL;
}

static void a_peer_that_sends_a_byte_now_and_then_is_given_up_too(void **state)
{
	struct hello theirs;
	pthread_t th;
	int fd[2];

	(void)state;
	unix_pair(fd);
	assert_int_equal(pthread_create(&th, NULL, trickle, &fd[0]), 0);
	assert_int_equal(hello_receive(&(struct link){.fd = fd[1]}, &theirs, 60, &err), -ETIMEDOUT);
	close(fd[1]);
	pthread_join(th, NULL);
	close(fd[0]);
}

static void a_hello_to_a_peer_that_is_gone_is_an_error(void **state)
{
	struct hello mine = {.channel = 1};
	int fd[2];

	(void)state;
	unix_pair(fd);
	close(fd[1]);
	assert_true(hello_send(&(struct link){.fd = fd[0]}, &mine, 1000, &err) < 0);
	assert_non_null(strstr(err.msg, "broke"));
	hello_refuse(&(struct link){.fd = fd[0]}, "nobody hears this"); /* writing raises no SIGPIPE */
	close(fd[0]);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static int with_tls(void **state)
{
	(void)state;
	secured = true;
	return 0;
}

static void a_byte_changed_on_the_way_ends_a_tls_connection(void **state)
{
	uint8_t b[64], wire[512];
	struct peer p;
	const uint8_t *out;
	size_t n, at;

	(void)state;
	for (at = 5; at < 64 + FRAME_HEADER_BYTES + 5; at += 7) {
		uint8_t frame[FRAME_HEADER_BYTES + 64];

		peer_open(&p, MIB);
		n = seal(frame, MSG_DATA, NUMBER, 1, b, numbered(b, 0, sizeof(b)));
		assert_int_equal(tls_conn_encrypt(p.tls, frame, n, &err), 0);
		out = tls_conn_output(p.tls, &n);
		memcpy(wire, out, n);
		wire[at] ^= 1;
		assert_int_equal(send(p.fd, wire, n, 0), n);
		expect_closed(&p.end, EPROTO, "not a TLS record");
		assert_int_equal(p.end.frames, 0);
		peer_close(&p);
	}
}

static void a_record_sent_twice_ends_a_tls_connection(void **state)
{
	struct peer p;
	const uint8_t *out;
	uint8_t b[64], frame[FRAME_HEADER_BYTES + 64];
	size_t n;

	(void)state;
	peer_open(&p, MIB);
	n = seal(frame, MSG_DATA, NUMBER, 1, b, numbered(b, 0, sizeof(b)));
	assert_int_equal(tls_conn_encrypt(p.tls, frame, n, &err), 0);
	out = tls_conn_output(p.tls, &n);
	assert_int_equal(send(p.fd, out, n, 0), n);
	assert_int_equal(send(p.fd, out, n, 0), n);
	expect_closed(&p.end, EPROTO, "not a TLS record");
	assert_int_equal(p.end.frames, 1);
	peer_close(&p);
}

static const struct CMUnitTest in_clear[] = {
	test(frames_of_all_sizes_arrive_in_order_both_ways),
	test(frames_arrive_over_tcp_too),
	test(a_window_smaller_than_a_frame_still_lets_one_through_at_a_time),
	test(posted_messages_keep_their_place_among_frames),
	test(a_hand_off_arrives_whole_however_much_it_tells),
	test(sequence_numbers_count_from_one_and_acks_have_none),
	test(a_full_window_gives_nothing_until_acks_make_room),
	test(a_posted_message_needs_no_room_in_the_window),
	test(memory_held_for_frames_is_bounded_by_the_window_whatever_their_size),
	test(memory_is_given_back_or_used_again_when_frames_are_acknowledged),
	test(a_damaged_byte_anywhere_ends_the_channel_before_the_frame_is_used),
	test(a_frame_longer_than_allowed_is_refused_from_its_header_alone),
	test(garbage_is_not_taken_for_a_peer),
	test(a_frame_out_of_sequence_is_refused),
	test(a_frame_of_another_channel_is_refused),
	test(an_ack_of_what_was_never_sent_is_refused),
	test(an_ack_that_goes_back_or_is_malformed_is_refused),
	test(an_ack_before_the_frame_has_left_frees_nothing_in_use),
	test(an_unknown_message_is_skipped_unless_it_is_critical),
	test(the_peers_own_words_arrive_as_the_reason),
	test(the_peer_going_away_is_told_once),
	test(the_peer_going_away_while_much_is_being_sent_is_told_once),
	test(the_peers_last_words_are_heard_though_sending_fails_first),
	test(a_handler_that_refuses_ends_the_channel_with_its_reason),
	test(a_frame_in_single_bytes_is_one_frame),
	test(freeing_a_busy_channel_reports_nothing_and_leaves_nothing),
	test(a_paused_channel_delivers_nothing_and_loses_nothing),
	test(a_pause_from_outside_stops_what_arrives_later),
	test(a_frame_that_is_put_off_comes_again_and_is_not_acknowledged),
	test(a_paused_receiver_stops_the_sender),
	test(the_pacer_holds_all_channels_together_to_its_rate),
	test(the_pacer_gives_all_of_its_rate),
	test(a_limit_that_is_lifted_or_raised_counts_at_once),
	test(a_hello_arrives_as_it_was_sent),
	test(a_proof_holds_for_one_side_one_connection_and_one_token),
	test(a_proof_is_what_the_protocol_says),
	test(another_version_is_refused_with_one_sentence_on_both_sides),
	test(a_newer_peer_that_still_speaks_our_version_is_welcome),
	test(an_unknown_required_feature_is_refused_and_an_optional_one_is_not),
	test(a_peer_that_speaks_something_else_is_told_apart),
	test(a_hello_cut_short_anywhere_is_an_error_at_once),
	test(a_silent_peer_is_given_up_in_time),
	test(a_peer_that_sends_a_byte_now_and_then_is_given_up_too),
	test(a_hello_to_a_peer_that_is_gone_is_an_error),
};

static const struct CMUnitTest through_tls[] = {
	test(frames_of_all_sizes_arrive_in_order_both_ways),
	test(frames_arrive_over_tcp_too),
	test(a_window_smaller_than_a_frame_still_lets_one_through_at_a_time),
	test(posted_messages_keep_their_place_among_frames),
	test(a_hand_off_arrives_whole_however_much_it_tells),
	test(sequence_numbers_count_from_one_and_acks_have_none),
	test(a_full_window_gives_nothing_until_acks_make_room),
	test(a_posted_message_needs_no_room_in_the_window),
	test(memory_held_for_frames_is_bounded_by_the_window_whatever_their_size),
	test(a_damaged_byte_anywhere_ends_the_channel_before_the_frame_is_used),
	test(a_frame_longer_than_allowed_is_refused_from_its_header_alone),
	test(a_frame_out_of_sequence_is_refused),
	test(an_ack_of_what_was_never_sent_is_refused),
	test(an_unknown_message_is_skipped_unless_it_is_critical),
	test(the_peers_own_words_arrive_as_the_reason),
	test(the_peer_going_away_is_told_once),
	test(the_peer_going_away_while_much_is_being_sent_is_told_once),
	test(a_handler_that_refuses_ends_the_channel_with_its_reason),
	test(freeing_a_busy_channel_reports_nothing_and_leaves_nothing),
	test(a_paused_channel_delivers_nothing_and_loses_nothing),
	test(a_pause_from_outside_stops_what_arrives_later),
	test(a_frame_that_is_put_off_comes_again_and_is_not_acknowledged),
	test(a_paused_receiver_stops_the_sender),
	test(the_pacer_holds_all_channels_together_to_its_rate),
	test(a_limit_that_is_lifted_or_raised_counts_at_once),
	test(a_byte_changed_on_the_way_ends_a_tls_connection),
	test(a_record_sent_twice_ends_a_tls_connection),
};

int main(void)
{
	int failed = cmocka_run_group_tests_name("in clear", in_clear, NULL, NULL);

	return failed + cmocka_run_group_tests_name("through TLS", through_tls, with_tls, NULL);
}
