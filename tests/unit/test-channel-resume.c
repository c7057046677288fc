/*
 * test-channel-resume.c: a channel that outlives its connections.
 *
 * First without any socket: two channels, and between them connections in memory that the test moves byte by byte, so that each can be
 * cut at every offset. Then the same over sockets, plain and with TLS, through a cutter.
 */
#include "conn.h"
#include "conn-link.h"
#include "resume.h"
#include "util.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "../lib/sockets.h"
#include "../lib/tails.h"

#define DEADLINE_MS 120000
#define NUMBER	    7
#define PIECES	    17

static struct err err;
static uint64_t seed = 88172645463325252ULL;

static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed >> 11;
}

/* ---- two sides that talk ---- */

static struct side {
	struct channel *ch;
	uint32_t total, next, got; /* frames to be sent, sent, received */
	size_t max;		   /* bytes of the largest */
	unsigned lost, closes, writables;
	struct err why;
	uint32_t pause_at; /* pauses when it gets this one, */
	uint32_t later_at; /* puts this one off; 0: none */
	unsigned put_off;
	uint64_t received; /* bytes received, as told when the channel was detached */
} side[2];

static size_t size_of_frame(const struct side *s, uint32_t index)
{
	return 4 + index * 7919ULL % (s->max - 3);
}

static uint8_t byte_at(uint32_t index, size_t i)
{
	return (uint8_t)(i < 4 ? index >> 8 * i : index * 31 + i * 7);
}

static void fill(struct side *s)
{
	uint8_t *p;
	size_t n, i;

	while (s->next < s->total) {
		n = size_of_frame(s, s->next);
		p = channel_begin(s->ch, n);
		if (!p)
			return;
		for (i = 0; i < n; i++)
			p[i] = byte_at(s->next, i);
		s->next++;
		if (s->next % 2 && n > 200)
			channel_commit_data(s->ch, MSG_DATA, 100, 1 + s->next % 100, tail_of(p + 100, n - 100));
		else
			channel_commit(s->ch, MSG_DATA, n);
	}
}

static int on_frame(void *ctx, struct channel *c, uint16_t type, const uint8_t *p, size_t n, struct err *e)
{
	struct side *s = ctx;
	size_t i;

	(void)e;
	assert_ptr_equal(c, s->ch);
	assert_int_equal(s->closes, 0);
	assert_int_equal(type, MSG_DATA);
	if (s->later_at && s->got + 1 == s->later_at) {
		s->put_off++;
		channel_pause(c);
		return CHANNEL_LATER;
	}
	assert_int_equal(n, size_of_frame(s, s->got));
	for (i = 0; i < n; i++)
		if (p[i] != byte_at(s->got, i))
			fail_msg("frame %u is not as it was sent", s->got);
	if (++s->got == s->pause_at)
		channel_pause(c);
	return 0;
}

static void on_writable(void *ctx, struct channel *c)
{
	struct side *s = ctx;

	(void)c;
	s->writables++;
	fill(s);
}

static void on_closed(void *ctx, struct channel *c, const struct err *why)
{
	struct side *s = ctx;

	assert_false(channel_open(c));
	s->closes++;
	s->why = *why;
}

static void on_lost(void *ctx, struct channel *c, const struct err *why)
{
	struct side *s = ctx;

	assert_true(channel_open(c));
	s->lost++;
	s->why = *why;
}

static void side_new(struct side *s, uint32_t total, size_t max, size_t window)
{
	struct channel_config cfg = {.number = NUMBER, .window_bytes = window, .on = {on_frame, on_writable, on_closed, on_lost}, .ctx = s};

	*s = (struct side){.total = total, .max = max};
	s->ch = channel_new(&cfg);
	channel_outlive(s->ch, true);
}

static bool all_there(void)
{
	return side[0].got == side[1].total && side[1].got == side[0].total && channel_idle(side[0].ch) && channel_idle(side[1].ch);
}

static void resume_both(void)
{
	unsigned i;

	for (i = 0; i < 2; i++) {
		side[i].pause_at = side[i].later_at = 0;
		channel_resume(side[i].ch);
	}
}

static void sides_free(void)
{
	unsigned i;

	for (i = 0; i < 2; i++) {
		assert_int_equal(side[i].closes, 0);
		assert_int_equal(side[i].next, side[i].total);
		channel_free(side[i].ch);
		side[i].ch = NULL;
	}
}

/* ---- connections in memory ---- */

struct memory {
	struct conn conn;
	bool over;
	size_t last_words;
};

static struct memory *memory[2]; /* memory connections of each side */
static unsigned conns;		 /* connections that are not freed yet */

static struct wire {
	uint8_t bytes[4096];
	size_t n, arrived; /* under way; that arrived so far */
	/* frames that leave, read along */
	uint8_t header[FRAME_HEADER_BYTES];
	size_t have, skip;
	bool first; /* no frame with a number has left on this connection yet */
	uint64_t highest;
	size_t twice; /* bytes that left before, on this connection */
} wire[2];

static void memory_nothing(struct conn *k)
{
	(void)k;
}

static void memory_backlog(struct conn *k, struct channel_backlog *b)
{
	(void)k, (void)b;
}

static void memory_last_words(struct conn *k, const uint8_t *p, size_t n)
{
	(void)p;
	container_of(k, struct memory, conn)->last_words += n;
}

static void memory_shut(struct conn *k)
{
	container_of(k, struct memory, conn)->over = true;
}

static void memory_free(struct conn *k)
{
	struct memory *m = container_of(k, struct memory, conn);

	conns--;
	if (memory[0] == m)
		memory[0] = NULL;
	else if (memory[1] == m)
		memory[1] = NULL;
	free(m);
}

static struct memory *memory_new(void)
{
	static const struct conn_ops ops = {memory_nothing,    memory_nothing, memory_nothing, memory_backlog,
					    memory_last_words, memory_shut,    memory_free};
	struct memory *m = xcalloc(1, sizeof(*m));

	m->conn.ops = &ops;
	conns++;
	return m;
}

static void memory_lose(unsigned i)
{
	if (!memory[i] || memory[i]->over)
		return;
	memory[i]->over = true;
	err_set(&err, EPIPE, "cut");
	channel_lost(side[i].ch, &err);
}

static void look_at_frame(struct wire *w, const struct side *to)
{
	struct frame_header h;

	assert_int_equal(frame_header_decode(&h, w->header), 0);
	w->have = 0;
	w->skip = h.length;
	if (!h.sequence) {
		assert_int_equal(h.type, MSG_ACK);
		return;
	}
	if (w->first) /* a frame that arrived is not sent again */
		assert_int_equal(h.sequence, to->received + 1);
	w->first = false;
	if (h.sequence <= w->highest)
		w->twice += FRAME_HEADER_BYTES + h.length;
	w->highest = MAX(w->highest, h.sequence);
}

static void read_along(struct wire *w, const struct side *to, uint8_t b)
{
	if (w->skip) {
		w->skip--;
		return;
	}
	w->header[w->have++] = b;
	if (w->have == FRAME_HEADER_BYTES)
		look_at_frame(w, to);
}

/* Up to n bytes leave side i. */
static size_t leave(unsigned i, size_t n)
{
	struct iovec iov[PIECES];
	struct wire *w = &wire[i];
	size_t bytes, done = 0, k;
	unsigned count, j;

	if (!memory[i] || memory[i]->over)
		return 0;
	n = MIN(n, sizeof(w->bytes) - w->n);
	count = channel_out(side[i].ch, iov, PIECES, &bytes);
	for (j = 0; j < count && done < n; j++)
		for (k = 0; k < iov[j].iov_len && done < n; k++) {
			w->bytes[w->n + done] = ((uint8_t *)iov[j].iov_base)[k];
			read_along(w, &side[!i], w->bytes[w->n + done++]);
		}
	w->n += done;
	channel_taken(side[i].ch, done);
	channel_sent(side[i].ch, done);
	return done;
}

/* Up to n bytes that side i sent arrive. */
static size_t arrive(unsigned i, size_t n)
{
	struct wire *w = &wire[i];
	struct channel *to = side[!i].ch;
	uint8_t *room;
	size_t cap;

	n = MIN(n, w->n);
	if (!n || !memory[!i] || memory[!i]->over || !channel_takes(to))
		return 0;
	room = channel_room(to, &cap);
	n = MIN(n, cap);
	memcpy(room, w->bytes, n);
	memmove(w->bytes, w->bytes + n, w->n - n);
	w->n -= n;
	w->arrived += n;
	channel_heard(to, n);
	channel_put(to, n);
	return n;
}

static void connect_in_memory(uint32_t generation)
{
	unsigned i;

	for (i = 0; i < 2 && generation; i++)
		assert_int_equal(channel_detach(side[i].ch, generation, &side[i].received, &err), 0);
	for (i = 0; i < 2; i++) {
		wire[i].n = wire[i].have = wire[i].skip = wire[i].twice = 0;
		wire[i].first = true;
		memory[i] = memory_new();
	}
	for (i = 0; i < 2; i++)
		assert_int_equal(channel_attach(side[i].ch, &memory[i]->conn, generation, side[!i].received, &err), 0);
	assert_int_equal(conns, 2);
}

/* ---- cut at every byte ---- */

#define WINDOW	  900
#define FRAMES	  7
#define STEP_GATE 3 /* one of so many places of the cut is tried in the gate (all with ALL_STEPS or LONG) */

enum { LOST_BY_BOTH, HALF_OPEN_0, HALF_OPEN_1, HOWS };
enum { TAKES, PAUSED, PUTS_OFF, PAUSED_LONG, MOODS };

/* How much is said varies, by acknowledgements that go together: nothing is left to be cut when so many in a row were not. */
#define WHOLE 5

struct cut {
	unsigned direction, how, mood;
	size_t after, chunk; /* bytes in that direction; most that move at once */
	unsigned times;
};

static void lose_in_memory(const struct cut *cut)
{
	unsigned i;

	if (cut->how != HALF_OPEN_1)
		memory_lose(0);
	if (cut->how != HALF_OPEN_0)
		memory_lose(1);
	if (cut->how != LOST_BY_BOTH) /* bytes under way still arrive at the side that does not know of the cut */
		while (arrive(cut->how == HALF_OPEN_0 ? 0 : 1, 5))
			;
	for (i = 0; i < 2; i++)
		fill(&side[i]); /* more frames, as far as there is room */
}

/* Bytes that a side says at least: its frames, and one acknowledgement. */
static size_t said(unsigned i)
{
	size_t bytes = FRAME_HEADER_BYTES + 8;
	uint32_t index;

	for (index = 0; index < side[i].total; index++)
		bytes += FRAME_HEADER_BYTES + size_of_frame(&side[i], index);
	return bytes;
}

/* How often it was cut. */
static unsigned talk(const struct cut *cut)
{
	unsigned i, cuts = 0, idle = 0;
	size_t n, moved, left = cut->after;

	memset(wire, 0, sizeof(wire));
	for (i = 0; i < 2; i++)
		side_new(&side[i], FRAMES + 3 * i, 90, WINDOW);
	side[1].pause_at = cut->mood == PAUSED || cut->mood == PAUSED_LONG ? 5 : 0;
	side[1].later_at = cut->mood == PUTS_OFF ? 6 : 0;
	connect_in_memory(0);
	for (i = 0; i < 2; i++)
		fill(&side[i]);
	while (!all_there()) {
		moved = 0;
		for (i = 0; i < 2; i++) {
			moved += leave(i, 1 + rnd() % cut->chunk);
			n = 1 + rnd() % cut->chunk;
			if (i == cut->direction && cuts < cut->times)
				n = MIN(n, left);
			n = arrive(i, n);
			moved += n;
			left -= i == cut->direction && cuts < cut->times ? n : 0;
		}
		for (i = 0; i < 2; i++)
			assert_true(wire[i].twice <= WINDOW);
		if (!left && cuts < cut->times) {
			lose_in_memory(cut);
			if (cut->mood != PAUSED_LONG)
				resume_both();
			connect_in_memory(++cuts);
			left = cut->after;
			moved = 1;
		}
		idle = moved ? 0 : idle + 1;
		if (idle == 2)
			resume_both();
		assert_true(idle < 4);
	}
	for (i = 0; i < 2; i++) {
		assert_int_equal(side[i].closes, 0);
		assert_int_equal(channel_bytes_unacked(side[i].ch), 0);
	}
	sides_free();
	assert_int_equal(conns, 0);
	return cuts;
}

static void a_connection_cut_anywhere_loses_no_frame_and_repeats_none(void **state)
{
	struct cut cut = {.chunk = 60, .times = 1};
	unsigned whole, step = getenv("ALL_STEPS") || getenv("LONG") ? 1 : STEP_GATE;

	(void)state;
	for (cut.how = 0; cut.how < HOWS; cut.how++)
		for (cut.mood = 0; cut.mood < MOODS; cut.mood++)
			for (cut.direction = 0; cut.direction < 2; cut.direction++) {
				whole = 0;
				for (cut.after = 0; whole < WHOLE; cut.after += step)
					whole = talk(&cut) ? 0 : whole + 1;
				assert_true(cut.after > said(cut.direction));
			}
}

static void a_connection_cut_again_and_again_loses_no_frame_either(void **state)
{
	struct cut cut;
	unsigned i, cuts = 0;

	(void)state;
	for (i = 0; i < 800; i++) {
		cut = (struct cut){.direction = rnd() % 2,
				   .how = rnd() % HOWS,
				   .mood = rnd() % MOODS,
				   .after = rnd() % 300,
				   .chunk = 1 + rnd() % 500,
				   .times = 1 + rnd() % 40};
		cuts += talk(&cut);
	}
	assert_true(cuts > 1600);
}

/* ---- one side by itself, and a peer by hand ---- */

static struct memory *alone(size_t window)
{
	memset(wire, 0, sizeof(wire));
	side_new(&side[0], 100, 50, window);
	memory[0] = memory_new();
	assert_int_equal(channel_attach(side[0].ch, &memory[0]->conn, 0, 0, &err), 0);
	return memory[0];
}

static struct memory *again(uint32_t generation, uint64_t peer_received)
{
	assert_int_equal(channel_detach(side[0].ch, generation, &side[0].received, &err), 0);
	memory[0] = memory_new();
	assert_int_equal(channel_attach(side[0].ch, &memory[0]->conn, generation, peer_received, &err), 0);
	return memory[0];
}

static void alone_end(void)
{
	channel_free(side[0].ch);
	assert_int_equal(conns, 0);
}

static void give(const void *p, size_t n)
{
	size_t cap;
	uint8_t *room = channel_room(side[0].ch, &cap);

	assert_true(n <= cap);
	memcpy(room, p, n);
	channel_put(side[0].ch, n);
}

static size_t frame(uint8_t *buf, uint16_t type, uint64_t sequence, const void *payload, size_t n)
{
	struct frame_header h = {.type = type, .channel = NUMBER, .sequence = sequence, .length = (uint32_t)n};

	if (n)
		memcpy(buf + FRAME_HEADER_BYTES, payload, n);
	frame_seal(buf, &h);
	return FRAME_HEADER_BYTES + n;
}

static void give_data(uint64_t sequence)
{
	uint8_t b[100], buf[FRAME_HEADER_BYTES + sizeof(b)];
	uint32_t index = (uint32_t)sequence - 1;
	size_t n = size_of_frame(&side[0], index), i;

	for (i = 0; i < n; i++)
		b[i] = byte_at(index, i);
	give(buf, frame(buf, MSG_DATA, sequence, b, n));
}

static void give_ack(uint64_t received)
{
	uint8_t b[8], buf[FRAME_HEADER_BYTES + 8];
	struct writer w = writer_of(b, sizeof(b));

	write_u64(&w, received);
	give(buf, frame(buf, MSG_ACK, 0, b, 8));
}

/* Everything leaves. How many numbered frames did, and the first number; what the acknowledgement said. */
static unsigned take_all(uint64_t *first, uint64_t *acked)
{
	static uint8_t all[64 * KIB];
	struct iovec iov[PIECES];
	struct frame_header h;
	struct msg_ack m;
	size_t bytes, n = 0, at, i;
	unsigned count, frames = 0;

	*first = *acked = 0;
	while ((count = channel_out(side[0].ch, iov, PIECES, &bytes))) {
		assert_true(n + bytes <= sizeof(all));
		for (i = 0; i < count; i++) {
			memcpy(all + n, iov[i].iov_base, iov[i].iov_len);
			n += iov[i].iov_len;
		}
		channel_taken(side[0].ch, bytes);
		channel_sent(side[0].ch, bytes);
	}
	for (at = 0; at < n; at += FRAME_HEADER_BYTES + h.length) {
		assert_int_equal(frame_header_decode(&h, all + at), 0);
		assert_true(frame_intact(all + at, &h));
		if (h.type == MSG_ACK) {
			assert_int_equal(msg_ack_decode(&m, all + at + FRAME_HEADER_BYTES, h.length), 0);
			*acked = m.received;
			continue;
		}
		if (!frames++)
			*first = h.sequence;
		assert_int_equal(h.sequence, *first + frames - 1);
	}
	return frames;
}

static void expect_closed(int code, const char *words)
{
	assert_int_equal(side[0].closes, 1);
	if (side[0].why.code != code || !strstr(side[0].why.msg, words))
		fail_msg("closed with %d (%s), not %d (%s)", side[0].why.code, side[0].why.msg, code, words);
	assert_true(memory[0]->over);
}

static void a_window_that_is_full_while_detached_goes_on_when_the_peer_has_something(void **state)
{
	uint64_t first, acked;
	uint32_t sent;

	(void)state;
	alone(WINDOW);
	fill(&side[0]);
	sent = side[0].next;
	assert_true(sent > 3 && sent < 30);
	assert_int_equal(take_all(&first, &acked), sent);
	give_ack(1);
	assert_int_equal(side[0].writables, 1);
	assert_true(side[0].next > sent);
	sent = side[0].next;
	memory_lose(0);
	assert_int_equal(channel_detach(side[0].ch, 1, &side[0].received, &err), 0);
	assert_null(memory[0]);
	fill(&side[0]);
	channel_post(side[0].ch, MSG_APPLIED, "12345678", 8); /* these always find room */
	assert_int_equal(side[0].next, sent);
	assert_int_equal(side[0].writables, 1);
	assert_true(channel_open(side[0].ch) && !channel_idle(side[0].ch));
	memory[0] = memory_new();
	assert_int_equal(channel_attach(side[0].ch, &memory[0]->conn, 1, 3, &err), 0);
	assert_int_equal(side[0].writables, 2);
	assert_true(side[0].next > sent);
	assert_int_equal(take_all(&first, &acked), side[0].next + 1 - 3); /* plus APPLIED */
	assert_int_equal(first, 4);
	give_ack(side[0].next);
	assert_int_equal(side[0].closes, 0);
	alone_end();
}

static void a_connection_that_comes_too_late_takes_nothing_away(void **state)
{
	uint64_t first, acked, received;

	(void)state;
	alone(WINDOW);
	give_data(1);
	again(3, 0);
	give_data(2);
	assert_int_equal(channel_generation(side[0].ch), 3);
	for (received = 0; received <= 3; received++) {
		assert_int_equal(channel_detach(side[0].ch, (uint32_t)received, &first, &err), -ESTALE);
		assert_non_null(memory[0]);
	}
	/* the channel has a connection already, and does not wait for another, older or newer */
	assert_int_equal(channel_attach(side[0].ch, &memory_new()->conn, 3, 0, &err), -ESTALE);
	assert_int_equal(conns, 1);
	give_data(3);
	assert_int_equal(channel_detach(side[0].ch, 5, &received, &err), 0);
	assert_int_equal(received, 3);
	assert_int_equal(channel_attach(side[0].ch, &memory_new()->conn, 4, 0, &err), -ESTALE);
	assert_int_equal(channel_attach(side[0].ch, &memory_new()->conn, 6, 0, &err), -ESTALE);
	assert_int_equal(conns, 0);
	memory[0] = memory_new();
	assert_int_equal(channel_attach(side[0].ch, &memory[0]->conn, 5, 0, &err), 0);
	give_data(4);
	assert_int_equal(side[0].got, 4);
	take_all(&first, &acked);
	assert_int_equal(acked, 4);
	assert_int_equal(side[0].closes, 0);
	alone_end();
}

static void a_peer_that_claims_what_was_never_sent_is_refused(void **state)
{
	uint64_t first, acked;
	unsigned sent;

	(void)state;
	alone(64 * KIB);
	side[0].total = 10;
	fill(&side[0]);
	sent = take_all(&first, &acked);
	assert_int_equal(sent, 10);
	give_ack(4);
	memory_lose(0);
	assert_int_equal(channel_detach(side[0].ch, 1, &side[0].received, &err), 0);
	side[0].total = 20; /* these are queued, and were never sent */
	fill(&side[0]);
	assert_int_equal(channel_attach(side[0].ch, &memory_new()->conn, 1, 11, &err), -EPROTO);
	assert_int_equal(channel_attach(side[0].ch, &memory_new()->conn, 1, UINT64_MAX, &err), -EPROTO);
	assert_non_null(strstr(err.msg, "never sent"));
	assert_int_equal(channel_attach(side[0].ch, &memory_new()->conn, 1, 3, &err), -EPROTO);
	assert_non_null(strstr(err.msg, "no longer has"));
	assert_int_equal(conns, 0);
	/* the right one is still welcome */
	memory[0] = memory_new();
	assert_int_equal(channel_attach(side[0].ch, &memory[0]->conn, 1, 10, &err), 0);
	assert_int_equal(take_all(&first, &acked), 10);
	assert_int_equal(first, 11);
	give_ack(9); /* goes back */
	expect_closed(EPROTO, "acknowledged");
	assert_true(memory[0]->last_words > 0);
	assert_int_equal(channel_detach(side[0].ch, 2, &first, &err), -EPROTO);
	assert_int_equal(channel_attach(side[0].ch, &memory_new()->conn, 2, 9, &err), -EPROTO);
	assert_non_null(strstr(err.msg, "acknowledged"));
	alone_end();
}

static void frames_that_arrive_twice_are_dropped_and_acknowledged(void **state)
{
	uint64_t first, acked, i;

	(void)state;
	alone(WINDOW);
	for (i = 1; i <= 5; i++)
		give_data(i);
	take_all(&first, &acked);
	assert_int_equal(acked, 5);
	again(1, 0);
	take_all(&first, &acked); /* before anything has come */
	assert_int_equal(acked, 5);
	for (i = 3; i <= 7; i++)
		give_data(i);
	assert_int_equal(side[0].got, 7);
	take_all(&first, &acked);
	assert_int_equal(acked, 7);
	again(2, 0);
	assert_int_equal(side[0].received, 7);
	give_data(8);
	assert_int_equal(side[0].closes, 0);
	give_data(8); /* twice on one connection */
	expect_closed(EPROTO, "where 9 was due");
	assert_int_equal(side[0].got, 8);
	alone_end();
}

static void a_gap_is_refused_on_each_connection(void **state)
{
	static const struct {
		uint64_t first, second;
		const char *words;
	} wrong[] = {{4, 0, "frame 4 arrived on channel 7 where 3 was due"},
		     {0, 0, "frame 0 arrived on channel 7 where 3 was due"},
		     {UINT64_MAX, 0, "where 3 was due"},
		     {1, 3, "frame 3 arrived on channel 7 where 2 was due"},
		     {1, 1, "frame 1 arrived on channel 7 where 2 was due"},
		     {2, 1, "frame 1 arrived on channel 7 where 3 was due"}};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(wrong); i++) {
		alone(WINDOW);
		give_data(1);
		give_data(2);
		again(1, 0);
		give_data(wrong[i].first);
		if (wrong[i].second)
			give_data(wrong[i].second);
		expect_closed(EPROTO, wrong[i].words);
		assert_int_equal(side[0].got, 2);
		alone_end();
	}
}

static void what_a_peer_does_wrong_closes_a_channel_that_would_wait_for_another_connection(void **state)
{
	uint8_t b[64] = {0}, buf[FRAME_HEADER_BYTES + sizeof(b)];
	struct writer w = writer_of(b, sizeof(b));
	struct msg_error m = {.code = ENOSPC, .doing = slice_of("writing vda"), .text = slice_of("the disk is full")};
	size_t n = frame(buf, MSG_DATA, 1, b, 8);

	(void)state;
	alone(WINDOW);
	buf[n - 1] ^= 1;
	give(buf, n);
	expect_closed(EBADMSG, "damaged");
	alone_end();

	msg_error_encode(&w, &m);
	alone(WINDOW);
	again(1, 0);
	give(buf, frame(buf, MSG_ERROR, 0, b, writer_len(&w)));
	expect_closed(ENOSPC, "the disk is full");
	assert_int_equal(side[0].lost, 0);
	alone_end();
}

static void what_was_delivered_neither_before_nor_after_a_pause_comes_again(void **state)
{
	uint64_t first, acked;

	(void)state;
	alone(WINDOW);
	side[0].later_at = 3;
	give_data(1);
	give_data(2);
	give_data(3);
	assert_int_equal(side[0].put_off, 1);
	memory_lose(0);
	channel_resume(side[0].ch); /* still not; it may be tried though the connection is lost */
	assert_int_equal(side[0].put_off, 2);
	assert_int_equal(channel_detach(side[0].ch, 1, &side[0].received, &err), 0);
	assert_int_equal(side[0].received, 2);
	side[0].later_at = 0;
	channel_resume(side[0].ch);
	assert_int_equal(side[0].got, 2);
	memory[0] = memory_new();
	assert_int_equal(channel_attach(side[0].ch, &memory[0]->conn, 1, 0, &err), 0);
	give_data(3);
	assert_int_equal(side[0].got, 3);
	take_all(&first, &acked);
	assert_int_equal(acked, 3);
	assert_int_equal(side[0].lost, 1);
	alone_end();
}

static void a_channel_may_be_freed_however_it_waits(void **state)
{
	uint64_t received;

	(void)state;
	side_new(&side[0], 10, 50, WINDOW); /* never attached */
	fill(&side[0]);
	channel_free(side[0].ch);
	alone(WINDOW);
	fill(&side[0]);
	memory_lose(0);
	alone_end();
	alone(WINDOW);
	leave(0, 40);
	assert_int_equal(channel_detach(side[0].ch, 1, &received, &err), 0);
	fill(&side[0]);
	assert_int_equal(side[0].closes, 0);
	alone_end();
}

/* ---- over sockets ---- */

static struct loop *loop;
static bool secured;

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

static int with_tls(void **state)
{
	(void)state;
	secured = true;
	return 0;
}

#define pump_until(cond)                                                                                                                   \
	do {                                                                                                                               \
		uint64_t until_ = now_ns() + DEADLINE_MS * 1000000ULL;                                                                     \
		while (!(cond)) {                                                                                                          \
			assert_int_equal(loop_step(loop, 20, &err), 0);                                                                    \
			assert_true(now_ns() < until_);                                                                                    \
		}                                                                                                                          \
	} while (0)

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

static void shake_hands(struct tls *t[2])
{
	static const struct tls_key key = {"someone", {1, 2, 3}};
	int done[2] = {0, 0};
	unsigned i;

	t[0] = tls_conn_client(&key);
	t[1] = tls_conn_server(&key, 1);
	while (!done[0] || !done[1])
		for (i = 0; i < 2; i++) {
			done[i] = tls_conn_handshake(t[i], &err);
			assert_true(done[i] >= 0);
			carry(t[i], t[!i]);
		}
}

/* Each side goes on over its own of these sockets. */
static void connect_sockets(uint32_t generation, const int fd[2])
{
	struct tls *t[2] = {NULL, NULL};
	unsigned i;

	if (secured)
		shake_hands(t);
	for (i = 0; i < 2 && generation; i++)
		assert_int_equal(channel_detach(side[i].ch, generation, &side[i].received, &err), 0);
	for (i = 0; i < 2; i++)
		assert_int_equal(channel_attach(side[i].ch, conn_link_new(loop, (struct link){.fd = fd[i], .tls = t[i]}), generation,
						side[!i].received, &err),
				 0);
}

/* Between two connected pairs: moves bytes, and cuts. */
static struct cutter {
	int fd[2];
	uint8_t held[2][4096];
	size_t n[2];
	size_t passed[2];
} cutter;

static void cutter_connect(uint32_t generation)
{
	int fd[2], near[2], far[2];

	unix_pair(near);
	unix_pair(far);
	fd[0] = near[0];
	fd[1] = far[0];
	cutter = (struct cutter){.fd = {near[1], far[1]}};
	connect_sockets(generation, fd);
}

static void cutter_close(unsigned i)
{
	if (cutter.fd[i] >= 0)
		close(cutter.fd[i]);
	cutter.fd[i] = -1;
}

/* From side i to the other, at most so many bytes. */
static void cutter_pass(unsigned i, size_t most)
{
	ssize_t k = recv(cutter.fd[i], cutter.held[i] + cutter.n[i], sizeof(cutter.held[i]) - cutter.n[i], MSG_DONTWAIT);

	if (k > 0)
		cutter.n[i] += (size_t)k;
	k = send(cutter.fd[!i], cutter.held[i], MIN(cutter.n[i], most), MSG_DONTWAIT | MSG_NOSIGNAL);
	if (k <= 0)
		return;
	memmove(cutter.held[i], cutter.held[i] + k, cutter.n[i] - (size_t)k);
	cutter.n[i] -= (size_t)k;
	cutter.passed[i] += (size_t)k;
}

#define IDLE_STEPS 20

/* The other way is free. Was it cut? */
static bool talk_over_sockets(const struct cut *cut)
{
	uint64_t until = now_ns() + DEADLINE_MS * 1000000ULL;
	bool was_cut = false;
	size_t passed = 0;
	unsigned i, idle = 0;

	for (i = 0; i < 2; i++)
		side_new(&side[i], 4 + i, 40, 300);
	side[1].pause_at = cut->mood == PAUSED ? 2 : 0;
	side[1].later_at = cut->mood == PUTS_OFF ? 2 : 0;
	cutter_connect(0);
	for (i = 0; i < 2; i++)
		fill(&side[i]);
	while (!all_there()) {
		assert_true(now_ns() < until);
		assert_int_equal(loop_step(loop, 0, &err), 0);
		for (i = 0; i < 2; i++)
			cutter_pass(i, i == cut->direction && !was_cut ? cut->after - cutter.passed[i] : SIZE_MAX);
		if (!was_cut && cutter.passed[cut->direction] == cut->after) {
			cutter_close(0);
			pump_until(side[0].lost);
			if (cut->how == LOST_BY_BOTH)
				cutter_close(1);
			i = (unsigned)cutter.fd[1];
			was_cut = true;
			cutter_connect(1);
			if (cut->how != LOST_BY_BOTH) { /* the old one comes back, and nobody is there */
				assert_true(send((int)i, "nobody hears this", 17, MSG_NOSIGNAL) < 0);
				close((int)i);
			}
			resume_both();
		} else if (cutter.passed[0] + cutter.passed[1] == passed && ++idle == IDLE_STEPS) { /* for the pause */
			resume_both();
		}
		idle = cutter.passed[0] + cutter.passed[1] == passed ? idle : 0;
		passed = cutter.passed[0] + cutter.passed[1];
	}
	sides_free();
	cutter_close(0);
	cutter_close(1);
	return was_cut;
}

static void cut_sockets(unsigned mood, unsigned how)
{
	struct cut cut = {.mood = mood, .how = how};
	unsigned whole;

	for (cut.direction = 0; cut.direction < 2; cut.direction++) {
		whole = 0;
		for (cut.after = 0; whole < WHOLE; cut.after++)
			whole = talk_over_sockets(&cut) ? 0 : whole + 1;
		assert_true(cut.after > said(cut.direction));
	}
}

static void a_socket_cut_anywhere_loses_no_frame_and_repeats_none(void **state)
{
	(void)state;
	cut_sockets(TAKES, LOST_BY_BOTH);
}

static void a_socket_cut_while_the_other_end_is_paused_or_knows_nothing_loses_none_either(void **state)
{
	(void)state;
	cut_sockets(PAUSED, HALF_OPEN_0);
	cut_sockets(PUTS_OFF, LOST_BY_BOTH);
}

/* With much under way, to and fro, in the kernel and in TLS. */
static void much_arrives_over_many_connections(void **state)
{
	uint32_t generation = 0, total = 500;
	size_t window = 512 * KIB;
	uint64_t at;
	unsigned i;
	int fd[2];

	(void)state;
	for (i = 0; i < 2; i++)
		side_new(&side[i], total, 60000, window);
	unix_pair(fd);
	connect_sockets(0, fd);
	for (i = 0; i < 2; i++)
		fill(&side[i]);
	while (side[0].got < total || side[1].got < total) {
		i = rnd() % 2;
		at = channel_bytes_received(side[i].ch) + 100000 + rnd() % 1000000;
		pump_until(channel_bytes_received(side[i].ch) >= at || (side[0].got == total && side[1].got == total));
		if (rnd() % 2) { /* noticed by both, or by nobody before the next one is there */
			shutdown(fd[i], SHUT_RDWR);
			pump_until(side[0].lost > generation || side[1].lost > generation);
		}
		side[0].lost = side[1].lost = ++generation;
		(generation % 2 ? tcp_pair : unix_pair)(fd);
		connect_sockets(generation, fd);
	}
	pump_until(all_there());
	assert_true(generation > 8);
	sides_free();
}

/* ---- what both ends say before ---- */

#define WORD_MS 5000

/* A connected pair as a link each; the far one says HELLO's part of this generation, with what it has received. */
static struct hello far_end(uint32_t generation, uint64_t received, struct link far, struct link near)
{
	struct hello theirs = {.session = "of this", .channel = NUMBER, .generation = generation, .received = received}, heard = theirs;

	assert_int_equal(hello_send_resume(&far, &theirs, WORD_MS, &err), 0);
	heard.received = 0;
	assert_int_equal(hello_receive_resume(&near, &heard, WORD_MS, &err), 0);
	assert_int_equal(heard.received, received);
	return heard;
}

static struct link plain(int fd)
{
	return (struct link){.fd = fd};
}

static void an_answer_tells_what_was_received_and_the_channel_goes_on(void **state)
{
	struct hello heard, answer;
	int fd[2], first[2];

	(void)state;
	side_new(&side[0], 5, 40, 4096);
	side_new(&side[1], 3, 40, 4096);
	unix_pair(first);
	connect_sockets(0, first);
	fill(&side[1]);
	pump_until(side[0].got == 3);
	shutdown(first[0], SHUT_RDWR);
	pump_until(side[0].lost && side[1].lost);

	unix_pair(fd);
	heard = answer = far_end(2, 0, plain(fd[1]), plain(fd[0]));
	assert_int_equal(resume_answer(loop, side[0].ch, plain(fd[0]), &heard, &err), 0);
	assert_int_equal(hello_receive_resume(&(struct link){.fd = fd[1]}, &answer, WORD_MS, &err), 0);
	assert_int_equal(answer.received, 3);
	fill(&side[0]);
	assert_int_equal(resume_attach(loop, side[1].ch, plain(fd[1]), 2, answer.received, &err), 0);
	pump_until(all_there());

	unix_pair(fd); /* a connection of a dead channel */
	heard = answer = far_end(1, 0, plain(fd[1]), plain(fd[0]));
	assert_int_equal(resume_answer(loop, side[0].ch, plain(fd[0]), &heard, &err), -ESTALE);
	assert_true(hello_receive_resume(&(struct link){.fd = fd[1]}, &answer, WORD_MS, &err) < 0);
	assert_non_null(strstr(err.msg, "older than connection 2"));
	close(fd[1]);
	assert_int_equal(side[0].lost, 1);

	unix_pair(fd); /* a peer that claims too much takes the connection's place, and is lost like any other */
	heard = far_end(3, 1000, plain(fd[1]), plain(fd[0]));
	assert_int_equal(resume_answer(loop, side[0].ch, plain(fd[0]), &heard, &err), -EPROTO);
	assert_int_equal(side[0].lost, 2);
	close(fd[1]);
	sides_free();
}

static void one_that_waits_is_closed_when_it_no_longer_outlives_its_connections(void **state)
{
	int fd[2];

	(void)state;
	side_new(&side[0], 0, 40, 4096);
	side_new(&side[1], 0, 40, 4096);
	unix_pair(fd);
	connect_sockets(0, fd);
	channel_outlive(side[1].ch, false);
	assert_int_equal(side[1].closes, 0);
	shutdown(fd[0], SHUT_RDWR);
	pump_until(side[0].lost && side[1].closes);
	assert_int_equal(side[0].closes + side[1].lost, 0);
	channel_outlive(side[0].ch, false);
	assert_int_equal(side[0].closes, 1);
	assert_string_equal(side[0].why.msg, side[1].why.msg);
	side[0].closes = side[1].closes = 0;
	sides_free();
}

/* Bytes that the kernel took are sent again if the other end never read them. */
static void what_was_given_to_a_lost_connection_is_counted_when_it_is_given_again(void **state)
{
	uint64_t given;
	int fd[2];

	(void)state;
	side_new(&side[0], 20, 40000, MIB);
	side_new(&side[1], 0, 40000, MIB);
	channel_pause(side[1].ch);
	unix_pair(fd);
	connect_sockets(0, fd);
	fill(&side[0]);
	pump_until(channel_bytes_sent(side[0].ch) > 60000);
	given = channel_bytes_sent(side[0].ch);
	shutdown(fd[1], SHUT_RDWR);
	pump_until(side[0].lost);
	assert_int_equal(channel_bytes_again(side[0].ch), 0);
	unix_pair(fd);
	connect_sockets(1, fd);
	assert_true(channel_bytes_again(side[0].ch) >= given / 2 && channel_bytes_again(side[0].ch) <= MIB + 40000);
	channel_resume(side[1].ch);
	pump_until(all_there());
	sides_free();
}

#define over_socket(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest in_memory[] = {
		cmocka_unit_test(a_connection_cut_anywhere_loses_no_frame_and_repeats_none),
		cmocka_unit_test(a_connection_cut_again_and_again_loses_no_frame_either),
		cmocka_unit_test(a_window_that_is_full_while_detached_goes_on_when_the_peer_has_something),
		cmocka_unit_test(a_connection_that_comes_too_late_takes_nothing_away),
		cmocka_unit_test(a_peer_that_claims_what_was_never_sent_is_refused),
		cmocka_unit_test(frames_that_arrive_twice_are_dropped_and_acknowledged),
		cmocka_unit_test(a_gap_is_refused_on_each_connection),
		cmocka_unit_test(what_a_peer_does_wrong_closes_a_channel_that_would_wait_for_another_connection),
		cmocka_unit_test(what_was_delivered_neither_before_nor_after_a_pause_comes_again),
		cmocka_unit_test(a_channel_may_be_freed_however_it_waits),
	};
	const struct CMUnitTest sockets[] = {
		over_socket(a_socket_cut_anywhere_loses_no_frame_and_repeats_none),
		over_socket(a_socket_cut_while_the_other_end_is_paused_or_knows_nothing_loses_none_either),
		over_socket(much_arrives_over_many_connections),
	};
	const struct CMUnitTest words[] = {
		over_socket(an_answer_tells_what_was_received_and_the_channel_goes_on),
		over_socket(one_that_waits_is_closed_when_it_no_longer_outlives_its_connections),
		over_socket(what_was_given_to_a_lost_connection_is_counted_when_it_is_given_again),
	};
	int failed = cmocka_run_group_tests_name("in memory", in_memory, NULL, NULL);

	failed += cmocka_run_group_tests_name("over sockets", sockets, NULL, NULL);
	failed += cmocka_run_group_tests_name("another connection", words, NULL, NULL);
	return failed + cmocka_run_group_tests_name("through TLS", sockets, with_tls, NULL);
}
