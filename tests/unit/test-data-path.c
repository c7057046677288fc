/*
 * test-data-path.c: the source's senders against the destination's receivers, in one process.
 * takes: 30
 *
 * Disks are raw files in a directory of our own. RAM is a region of a forked child, which a monitor of our own (one
 * thread that speaks as much QMP as is asked) tells the address of. Between the two ends may stand a man in the middle
 * who changes frames and seals them again; or there is no sender at all, and the test writes each frame by hand.
 */
#include "../lib/nbd-wire.h"
#include "../lib/power-failure.h"

#include "data-receive.h"
#include "data-send.h"
#include "log.h"
#include "qmp.h"
#include "ram-feed.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

#define DEADLINE_MS 120000
#define DISKS	    2
#define ROUNDS	    5
#define CHANNELS    4
#define DISK_BYTES  (9 * MIB + 5 * 512) /* five places, the last one short and odd */
#define SECTOR	    512U

static uint64_t seed = 3202034522624059733ULL;

static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed >> 11;
}

/* ---- a man in the middle, one per channel ---- */

struct middle {
	int near, far; /* towards the sender, towards the receiver */
	pthread_t thread;
	/* Changes a frame's payload; says whether it did (once is enough: not called again). */
	bool (*tamper)(uint16_t type, uint8_t *payload, size_t n);
	bool done;
	unsigned done_at; /* number of matching frames before the first fault */
};

/* ---- connections that break ---- */

/* Each channel's after so many bytes, again and again; another takes its place. */
struct breaks {
	struct queue cut; /* struct cut: what senders tell */
	int wire[CHANNELS];
	uint64_t at[CHANNELS], every;
	unsigned made, backs; /* backs: atomic */
};

/* ---- the whole path ---- */

struct path {
	unsigned channels;
	struct send_shared out;
	struct receive_shared in;
	struct sender *s[CHANNELS];
	struct receiver *r[CHANNELS];
	struct middle middle[CHANNELS];
	bool (*tamper)(uint16_t type, uint8_t *payload, size_t n);
	struct loop *loop;
	struct queue events;
	char file[DISKS + 1][64];
	uint8_t *model[DISKS + 1]; /* contents that each disk must hold */
	/* heard */
	unsigned applied[DISKS + 1][ROUNDS + 1], durable[DISKS + 1][ROUNDS + 1];
	unsigned applied_at_end; /* rounds 0 of disk 1, when each channel was complete */
	unsigned complete, lost, streams_open, stream_ends;
	struct err why;
	uint8_t *stream;
	size_t stream_bytes, marked_at;
	uint64_t mark;
	int source_lost;       /* atomic */
	struct breaks *breaks; /* NULL: connections hold */
	int buffers;	       /* atomic: shared buffers not yet released */
	int hand;	       /* the socket of a test that plays the sender */
	unsigned hand_channel;
	uint64_t sequence;
};

static struct path p;
static char dir[] = "/tmp/test-data-path-XXXXXX";
static struct err err;

static void on_event(struct receive_event *ev)
{
	switch (ev->kind) {
	case RECEIVE_APPLIED:
		assert_true(ev->group <= DISKS && ev->number <= ROUNDS);
		p.applied[ev->group][ev->number]++;
		return;
	case RECEIVE_DURABLE:
		assert_true(ev->group <= DISKS && ev->number <= ROUNDS);
		p.durable[ev->group][ev->number]++;
		assert_true(p.applied[ev->group][ev->number] >= p.durable[ev->group][ev->number]);
		return;
	case RECEIVE_COMPLETE:
		p.applied_at_end += p.applied[1][0];
		p.complete++;
		return;
	case RECEIVE_STREAM:
		p.stream = xrealloc(p.stream, p.stream_bytes + ev->n);
		memcpy(p.stream + p.stream_bytes, ev->data, ev->n);
		p.stream_bytes += ev->n;
		return;
	case RECEIVE_STREAM_MARK:
		p.mark = ev->offset;
		p.marked_at = p.stream_bytes;
		return;
	case RECEIVE_STREAM_OPEN:
		p.streams_open++;
		return;
	case RECEIVE_STREAM_END:
		p.stream_ends++;
		return;
	case RECEIVE_BITMAP:
	case RECEIVE_DELTA:
		return;
	case RECEIVE_CUT:
	case RECEIVE_BACK:
	case RECEIVE_RETURN_PATH:
	case RECEIVE_HAVE:
		return;
	case RECEIVE_LOST:
		if (!p.lost++)
			p.why = ev->err;
		return;
	}
}

static void on_events(struct queue *q)
{
	struct qnode *n;

	while ((n = queue_take(q))) {
		struct receive_event *ev = container_of(n, struct receive_event, node);

		on_event(ev);
		free(ev);
	}
}

static void source_lost(void *ctx, unsigned channel, const struct err *why)
{
	struct path *path = ctx;

	(void)channel, (void)why;
	__atomic_fetch_add(&path->source_lost, 1, __ATOMIC_RELAXED);
}

struct cut {
	struct qnode node;
	unsigned channel;
	uint32_t generation;
	uint64_t received;
};

static void source_cut(void *ctx, unsigned channel, uint32_t generation, uint64_t received, const struct err *why)
{
	struct path *path = ctx;
	struct cut *c = xcalloc(1, sizeof(*c));

	(void)why;
	*c = (struct cut){.channel = channel, .generation = generation, .received = received};
	queue_put(&path->breaks->cut, &c->node);
}

static void source_back(void *ctx, unsigned channel)
{
	struct path *path = ctx;

	(void)channel;
	__atomic_fetch_add(&path->breaks->backs, 1, __ATOMIC_RELAXED);
}

/* Reconnects as the two agents do, but without proofs of their identity. */
static void connect_again(const struct cut *c)
{
	struct hello theirs = {.channel = c->channel, .generation = c->generation, .received = c->received}, answer = theirs;
	unsigned i = c->channel - 1;
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	close(p.breaks->wire[i]);
	p.breaks->wire[i] = fcntl(fd[0], F_DUPFD_CLOEXEC, 3);
	receiver_resume(p.r[i], (struct link){.fd = fd[1]}, &theirs);
	assert_int_equal(hello_receive_resume(&(struct link){.fd = fd[0]}, &answer, DEADLINE_MS, &err), 0);
	sender_resume(p.s[i], (struct link){.fd = fd[0]}, c->generation, answer.received);
	p.breaks->made++;
}

static void on_cut(struct queue *q)
{
	struct qnode *n;

	while ((n = queue_take(q))) {
		connect_again(container_of(n, struct cut, node));
		free(container_of(n, struct cut, node));
	}
}

static void break_some(void)
{
	unsigned i;

	for (i = 0; i < p.channels && p.breaks; i++) {
		if (sender_wire_bytes(p.s[i]) < p.breaks->at[i])
			continue;
		p.breaks->at[i] = sender_wire_bytes(p.s[i]) + p.breaks->every / 2 + rnd() % p.breaks->every;
		shutdown(p.breaks->wire[i], SHUT_RDWR);
	}
}

#define wait_until(cond)                                                                                                                   \
	do {                                                                                                                               \
		uint64_t until_ = now_ns() + DEADLINE_MS * 1000000ULL;                                                                     \
		while (!(cond)) {                                                                                                          \
			assert_int_equal(loop_step(p.loop, p.breaks ? 1 : 100, &err), 0);                                                  \
			break_some();                                                                                                      \
			assert_true(now_ns() < until_);                                                                                    \
		}                                                                                                                          \
	} while (0)

/* While all goes well: a lost channel is told with its reason. */
#define wait_for(cond)                                                                                                                     \
	do {                                                                                                                               \
		wait_until((cond) || p.lost);                                                                                              \
		if (p.lost)                                                                                                                \
			fail_msg("lost: %s", p.why.msg);                                                                                   \
	} while (0)

static bool read_all(int fd, uint8_t *b, size_t n)
{
	return !n || recv(fd, b, n, MSG_WAITALL) == (ssize_t)n;
}

/* A thread that has a ring may be interrupted for a completion, and then even a blocking send is short. */
static bool write_all(int fd, const uint8_t *b, size_t n)
{
	while (n) {
		ssize_t k = send(fd, b, n, MSG_NOSIGNAL);

		if (k < 0 && errno != EINTR)
			return false;
		b += MAX(k, 0);
		n -= (size_t)MAX(k, 0);
	}
	return true;
}

static bool pass_frame(struct middle *m, uint8_t *buf)
{
	struct frame_header h;

	if (!read_all(m->near, buf, FRAME_HEADER_BYTES) || frame_header_decode(&h, buf) ||
	    !read_all(m->near, buf + FRAME_HEADER_BYTES, h.length))
		return false;
	if (!m->done && m->tamper(h.type, buf + FRAME_HEADER_BYTES, h.length)) {
		__atomic_store_n(&m->done, true, __ATOMIC_RELEASE);
		frame_seal(buf, &h);
	}
	return write_all(m->far, buf, FRAME_HEADER_BYTES + h.length);
}

static void *stand_in_the_middle(void *arg)
{
	struct middle *m = arg;
	uint8_t *buf = xmalloc(FRAME_HEADER_BYTES + FRAME_PAYLOAD_MAX), back[4096];
	struct pollfd fds[2] = {{.fd = m->near, .events = POLLIN}, {.fd = m->far, .events = POLLIN}};
	bool go = true;

	while (go && poll(fds, 2, -1) > 0) {
		if (fds[0].revents)
			go = pass_frame(m, buf);
		if (go && fds[1].revents) {
			ssize_t n = recv(m->far, back, sizeof(back), 0);

			go = n > 0 && write_all(m->near, back, (size_t)n);
		}
	}
	close(m->near);
	close(m->far);
	free(buf);
	return NULL;
}

static void pair(int fd[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
}

static void make_disk(unsigned disk)
{
	int fd;

	snprintf(p.file[disk], sizeof(p.file[disk]), "%s/disk%u", dir, disk);
	fd = open(p.file[disk], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)DISK_BYTES), 0);
	close(fd);
	p.model[disk] = xcalloc(1, DISK_BYTES);
	p.in.disk[disk] = (struct disk_target){.bytes = DISK_BYTES, .at = {.path = p.file[disk], .writable = true}, .name = "vda"};
}

/* The receiving half, and what both share. */
static void path_init(unsigned channels, unsigned disks)
{
	unsigned i;

	memset(&p, 0, sizeof(p));
	p.channels = channels;
	assert_int_equal(loop_new(&p.loop, 64, &err), 0);
	queue_init(&p.events, p.loop, on_events);
	for (i = 0; i < DIGEST_SECRET_BYTES; i++)
		p.out.key.secret[i] = p.in.key.secret[i] = (uint8_t)rnd();
	p.in.channels = p.out.channels = channels;
	p.in.events = &p.events;
	p.out.window_bytes = MIB;
	p.out.lost = source_lost;
	p.out.ctx = &p;
	send_shared_init(&p.out);
	p.hand = -1;
	for (i = 1; i <= disks; i++)
		make_disk(i);
}

static void path_connect(void)
{
	unsigned i;

	for (i = 0; i < p.channels; i++) {
		int fd[2], fd2[2];

		pair(fd);
		if (p.tamper) {
			pair(fd2);
			p.middle[i] = (struct middle){.near = fd[1], .far = fd2[0], .tamper = p.tamper};
			assert_int_equal(pthread_create(&p.middle[i].thread, NULL, stand_in_the_middle, &p.middle[i]), 0);
			fd[1] = fd2[1];
		}
		assert_int_equal(receiver_start(&p.r[i], (struct link){.fd = fd[1]}, i + 1, &p.in, &err), 0);
		if (p.breaks)
			p.breaks->wire[i] = fcntl(fd[0], F_DUPFD_CLOEXEC, 3);
		assert_int_equal(sender_start(&p.s[i], (struct link){.fd = fd[0]}, i + 1, &p.out, &err), 0);
		sender_outlive(p.s[i], p.breaks);
	}
}

/* After path_init(). */
static void path_breaks(struct breaks *b, uint64_t every)
{
	unsigned i;

	*b = (struct breaks){.every = every};
	for (i = 0; i < CHANNELS; i++)
		b->at[i] = rnd() % every;
	queue_init(&b->cut, p.loop, on_cut);
	p.breaks = b;
	p.in.resumes = true;
	p.out.cut = source_cut;
	p.out.back = source_back;
}

static void breaks_end(struct breaks *b)
{
	unsigned i;

	for (i = 0; i < p.channels; i++)
		close(b->wire[i]);
	p.breaks = NULL;
}

static void path_open(unsigned channels, unsigned disks, enum codec_mode codec)
{
	path_init(channels, disks);
	p.out.codec = codec;
	path_connect();
}

static void path_close(void)
{
	unsigned i;

	for (i = 0; i < p.channels; i++)
		sender_stop(p.s[i]);
	if (p.hand >= 0)
		close(p.hand);
	for (i = 0; i < p.channels; i++) {
		receiver_stop(p.r[i]);
		if (p.tamper)
			pthread_join(p.middle[i].thread, NULL);
	}
	on_events(&p.events);
	assert_int_equal(__atomic_load_n(&p.buffers, __ATOMIC_ACQUIRE), 0); /* every buffer went back to its pool */
	queue_fini(&p.events);
	loop_free(p.loop);
	for (i = 1; i <= DISKS; i++)
		free(p.model[i]);
	free(p.stream);
}

/* ---- producing, as disk-read does ---- */

struct buffer {
	struct shared_buf b;
	uint8_t data[];
};

static void buffer_release(struct shared_buf *b)
{
	struct buffer *buf = container_of(b, struct buffer, b);

	__atomic_fetch_sub(&p.buffers, 1, __ATOMIC_RELEASE);
	free(buf);
}

static struct buffer *buffer_new(size_t n)
{
	struct buffer *b = xmalloc(sizeof(*b) + n);

	b->b = (struct shared_buf){.refs = 1, .release = buffer_release};
	__atomic_fetch_add(&p.buffers, 1, __ATOMIC_RELAXED);
	return b;
}

static void broadcast(uint16_t type, const struct writer *w)
{
	unsigned i;

	for (i = 0; i < p.channels; i++)
		sender_put(p.s[i], send_mark_new(type, w->start, writer_len(w)));
}

#define send_to_all(NAME, name, ...)                                                                                                       \
	do {                                                                                                                               \
		uint8_t buf_[1024];                                                                                                        \
		struct writer w_ = writer_of(buf_, sizeof(buf_));                                                                          \
		struct msg_##name m_ = {__VA_ARGS__};                                                                                      \
		msg_##name##_encode(&w_, &m_);                                                                                             \
		broadcast(MSG_##NAME, &w_);                                                                                                \
	} while (0)

static void mark_all(int mark, uint32_t object, uint32_t number)
{
	unsigned i;

	for (i = 0; i < p.channels; i++) {
		struct send_item *it = send_mark_new(0, NULL, 0);

		it->mark = mark;
		it->object = object;
		it->number = number;
		sender_put(p.s[i], it);
	}
}

struct piece {
	uint64_t offset;
	uint32_t bytes;
	enum send_kind kind;
};

static void fill_piece(uint8_t *at, uint32_t n)
{
	unsigned how = (unsigned)(rnd() % 4);
	uint32_t i;

	for (i = 0; i < n; i++) /* text, noise, zeros that come as data, a ramp */
		at[i] = how == 0 ? (uint8_t) "the quick brown fox "[i % 20] : how == 1 ? (uint8_t)rnd() : how == 2 ? 0 : (uint8_t)(i >> 6);
}

/* Extents in ascending order, each on one place, with content at most what one DATA takes. */
static size_t random_pieces(struct piece *out, size_t max, bool everything)
{
	uint64_t at = 0;
	size_t n = 0;

	while (at < DISK_BYTES && n < max) {
		uint64_t left = DISK_BYTES - at, place = (1ULL << PLACE_SHIFT) - (at & ((1ULL << PLACE_SHIFT) - 1));
		uint64_t bytes = (1 + rnd() % (rnd() % 4 ? 16 : 512)) * SECTOR;
		enum send_kind kind = rnd() % 5 ? SEND_DATA : rnd() % 2 ? SEND_ZERO : SEND_HOLE;

		if (kind != SEND_DATA && rnd() % 40 == 0)
			bytes = 1ULL << PLACE_SHIFT;
		bytes = MIN(MIN(bytes, left), place);
		if (everything || rnd() % 2)
			out[n++] = (struct piece){at, (uint32_t)bytes, kind};
		at += bytes;
	}
	return n;
}

static void send_deltas(unsigned disk, uint32_t number, const struct piece *x, size_t n)
{
	unsigned ch;
	size_t i;

	for (ch = 0; ch < p.channels; ch++) {
		uint8_t runs[600], msg[700];
		struct writer w = writer_of(runs, sizeof(runs)), m;
		uint64_t at = 0;

		for (i = 0; i <= n; i++) {
			bool mine = i < n && place_channel(disk, x[i].offset, p.channels) == ch;

			if (mine && runs_put(&w, &at, x[i].offset / SECTOR, x[i].bytes / SECTOR))
				continue;
			if (i < n && !mine)
				continue;
			struct msg_delta d = {disk, number, i == n, {runs, writer_len(&w)}};

			m = writer_of(msg, sizeof(msg));
			msg_delta_encode(&m, &d);
			sender_put(p.s[ch], send_mark_new(MSG_DELTA, msg, writer_len(&m)));
			w = writer_of(runs, sizeof(runs));
			at = 0;
			if (i < n)
				i--; /* this one again, in the next */
		}
	}
}

/* Sends an item per run of pieces of the same kind on the same channel, of up to five parts. */
static void send_pieces(unsigned disk, uint32_t number, const struct piece *x, size_t n)
{
	struct buffer *buf = buffer_new(DISK_BYTES);
	size_t i, k;

	for (i = 0; i < n; i += k) {
		unsigned ch = place_channel(disk, x[i].offset, p.channels);
		struct send_item *it = send_item_new(x[i].kind, disk, 5);

		it->number = number;
		for (k = 0; k < 5 && i + k < n && x[i + k].kind == x[i].kind && place_channel(disk, x[i + k].offset, p.channels) == ch;
		     k++) {
			const struct piece *y = &x[i + k];
			uint8_t *at = buf->data + y->offset;

			if (y->kind == SEND_DATA)
				fill_piece(at, y->bytes);
			else
				memset(at, 0, y->bytes);
			memcpy(p.model[disk] + y->offset, at, y->bytes);
			it->u.part[it->n++] = (struct send_part){y->offset, y->kind == SEND_DATA ? at : NULL, y->bytes};
		}
		if (x[i].kind == SEND_DATA) {
			it->buf = &buf->b;
			shared_buf_ref(&buf->b);
		}
		sender_put(p.s[ch], it);
	}
	shared_buf_unref(&buf->b);
}

static void send_round(unsigned disk, uint32_t number)
{
	static struct piece x[30000];
	size_t n = random_pieces(x, ARRAY_LEN(x), number == 0);

	if (!number)
		send_to_all(OBJECT, object, .id = disk, .kind = OBJECT_DISK, .unit_shift = DISK_SHIFT, .size = DISK_BYTES,
			    .name = slice_of("drive0"));
	send_to_all(ROUND_BEGIN, round_begin, .group = disk, .number = number);
	send_deltas(disk, number, x, n);
	send_pieces(disk, number, x, n);
	mark_all(MARK_DISK_ROUND_END, disk, number);
}

static void check_disk(unsigned disk)
{
	uint8_t *got = xmalloc(DISK_BYTES + 1);
	int fd = open(p.file[disk], O_RDONLY | O_CLOEXEC);
	size_t i;

	assert_int_equal(pread(fd, got, DISK_BYTES + 1, 0), DISK_BYTES); /* the file did not grow */
	for (i = 0; i < DISK_BYTES; i++)
		if (got[i] != p.model[disk][i])
			fail_msg("disk %u differs at byte %zu: %#x, not %#x", disk, i, got[i], p.model[disk][i]);
	close(fd);
	free(got);
}

static void end_everything(unsigned disks)
{
	unsigned d;

	for (d = 1; d <= disks; d++)
		mark_all(MARK_END, d, 0);
	mark_all(MARK_END, GROUP_RAM, 0);
}

/* ---- disks ---- */

static void move_disks(unsigned channels, unsigned disks, unsigned rounds, enum codec_mode codec)
{
	struct send_stats sent = {0};
	struct receive_stats got = {0};
	unsigned d, i;
	uint32_t n;

	path_open(channels, disks, codec);
	for (n = 0; n < rounds; n++) {
		for (d = 1; d <= disks; d++)
			send_round(d, n); /* two disks' rounds go on at the same time */
		for (d = 1; d <= disks; d++)
			wait_for(p.durable[d][n] == channels);
	}
	assert_int_equal(p.complete, 0);
	end_everything(disks);
	wait_for(p.complete == channels);
	for (d = 1; d <= disks; d++) {
		for (n = 0; n < rounds; n++)
			assert_int_equal(p.applied[d][n], channels);
		check_disk(d);
	}
	for (i = 0; i < channels; i++) {
		sender_stats(p.s[i], &sent);
		receiver_stats(p.r[i], &got);
	}
	assert_true(sent.raw_bytes > 0 && got.disk_bytes >= sent.raw_bytes);
	if (codec == CODEC_MODE_NONE)
		assert_true(sent.disk_wire > sent.raw_bytes);
	else if (codec != CODEC_MODE_AUTO)
		assert_true(sent.disk_wire < sent.raw_bytes * 3 / 4);
	assert_int_equal(p.source_lost, 0);
	path_close();
}

static void a_disk_arrives_bit_for_bit_over_one_channel(void **state)
{
	(void)state;
	move_disks(1, 1, ROUNDS, CODEC_MODE_NONE);
}

static void rounds_that_overwrite_the_same_extents_leave_the_last_content(void **state)
{
	(void)state;
	move_disks(2, 1, ROUNDS, CODEC_MODE_LZ4);
}

static void two_disks_share_three_channels(void **state)
{
	(void)state;
	move_disks(3, 2, 3, CODEC_MODE_ZSTD);
}

static void two_disks_share_four_channels_with_the_codec_chosen_as_it_goes(void **state)
{
	(void)state;
	move_disks(4, 2, 3, CODEC_MODE_AUTO);
}

static void every_codec_works_on_every_number_of_channels(void **state)
{
	static const enum codec_mode codecs[] = {CODEC_MODE_AUTO, CODEC_MODE_NONE, CODEC_MODE_LZ4, CODEC_MODE_ZSTD};
	unsigned channels, i;

	(void)state;
	for (channels = 1; channels <= CHANNELS; channels++)
		for (i = 0; i < ARRAY_LEN(codecs); i++)
			move_disks(channels, 1, 2, codecs[i]);
}

/* Several rounds of two disks, each connection broken every 100 KB or so: nothing is lost, doubled or late. */
static void connections_that_break_again_and_again_change_nothing(void **state)
{
	struct breaks b;
	unsigned d;
	uint32_t n;

	(void)state;
	path_init(3, 2);
	p.out.codec = CODEC_MODE_LZ4;
	path_breaks(&b, 100000);
	path_connect();
	for (n = 0; n < ROUNDS; n++) {
		for (d = 1; d <= 2; d++)
			send_round(d, n);
		for (d = 1; d <= 2; d++)
			wait_for(p.durable[d][n] == 3);
	}
	end_everything(2);
	wait_for(p.complete == 3 && __atomic_load_n(&b.backs, __ATOMIC_RELAXED) == b.made);
	for (d = 1; d <= 2; d++)
		check_disk(d);
	assert_true(b.made >= 10);
	assert_int_equal(p.source_lost, 0);
	path_close(); /* path_close() checks the breaks that the threads left */
	breaks_end(&b);
	queue_fini(&b.cut);
}

static void a_slow_link_is_waited_for_and_compressed_for(void **state)
{
	struct send_stats sent = {0};

	(void)state;
	path_init(1, 1);
	p.out.codec = CODEC_MODE_AUTO;
	p.out.pacer.bytes_per_s = 6 * MIB;
	path_connect();
	for (uint32_t n = 0; n < 2; n++) {
		send_round(1, n);
		wait_for(p.durable[1][n] == 1);
	}
	end_everything(1);
	wait_for(p.complete == 1);
	check_disk(1);
	sender_stats(p.s[0], &sent);
	assert_true(sent.waited_ns > 0);
	assert_true(sent.disk_wire < sent.raw_bytes);
	path_close();
}

/* A disk whose holes were data before: they are holes in the file again. */
static void what_became_a_hole_takes_no_room_any_more(void **state)
{
	struct piece all[5];
	struct stat st;
	uint64_t before;
	unsigned i;

	(void)state;
	path_open(2, 1, CODEC_MODE_NONE);
	send_round(1, 0);
	wait_for(p.durable[1][0] == 2);
	assert_int_equal(stat(p.file[1], &st), 0);
	before = (uint64_t)st.st_blocks * 512;
	for (i = 0; i < 5; i++)
		all[i] = (struct piece){(uint64_t)i << PLACE_SHIFT,
					(uint32_t)MIN(1ULL << PLACE_SHIFT, DISK_BYTES - ((uint64_t)i << PLACE_SHIFT)),
					i % 2 ? SEND_ZERO : SEND_HOLE};
	send_to_all(ROUND_BEGIN, round_begin, .group = 1, .number = 1);
	send_deltas(1, 1, all, 5);
	send_pieces(1, 1, all, 5);
	mark_all(MARK_DISK_ROUND_END, 1, 1);
	wait_for(p.durable[1][1] == 2);
	check_disk(1);
	assert_int_equal(stat(p.file[1], &st), 0);
	assert_true(before > MIB && (uint64_t)st.st_blocks * 512 < 64 * KIB);
	end_everything(1);
	wait_for(p.complete == 2);
	path_close();
}

/* ---- streams ---- */

static uint8_t *send_stream(uint32_t object, size_t total)
{
	unsigned ch = (object - OBJECT_STREAM_BASE) % p.channels;
	struct buffer *buf = buffer_new(total);
	uint8_t *copy = xmalloc(total);
	size_t at, k;

	for (at = 0; at < total; at += k) {
		struct send_item *it = send_item_new(SEND_DATA, object, 3);

		for (it->n = 0, k = 0; it->n < 3 && at + k < total; it->n++) {
			size_t len = 1 + rnd() % (rnd() % 3 ? 100 : DATA_RAW_MAX);

			len = MIN(len, total - at - k);
			fill_piece(buf->data + at + k, (uint32_t)len);
			it->u.part[it->n] = (struct send_part){0, buf->data + at + k, (uint32_t)len};
			k += len;
		}
		it->buf = &buf->b;
		shared_buf_ref(&buf->b);
		sender_put(p.s[ch], it);
	}
	memcpy(copy, buf->data, total);
	shared_buf_unref(&buf->b);
	return copy;
}

static void stream_object(uint32_t object)
{
	uint8_t b[128];
	struct writer w = writer_of(b, sizeof(b));
	struct msg_object m = {.id = object, .kind = OBJECT_STREAM, .unit_shift = STREAM_SHIFT, .name = slice_of("main")};

	msg_object_encode(&w, &m);
	sender_put(p.s[(object - OBJECT_STREAM_BASE) % p.channels], send_mark_new(MSG_OBJECT, b, writer_len(&w)));
}

static void stream_end(uint32_t object)
{
	struct send_item *it = send_mark_new(0, NULL, 0);

	it->mark = MARK_END;
	it->object = object;
	sender_put(p.s[(object - OBJECT_STREAM_BASE) % p.channels], it);
}

static void move_stream(unsigned channels, enum codec_mode codec)
{
	uint8_t b[64], *first, *second;
	struct writer w = writer_of(b, sizeof(b));
	struct msg_stream_mark m = {OBJECT_STREAM_BASE, 777777};

	path_open(channels, 0, codec);
	stream_object(OBJECT_STREAM_BASE);
	first = send_stream(OBJECT_STREAM_BASE, 777777);
	msg_stream_mark_encode(&w, &m);
	sender_put(p.s[0], send_mark_new(MSG_STREAM_MARK, b, writer_len(&w)));
	second = send_stream(OBJECT_STREAM_BASE, 123457);
	stream_end(OBJECT_STREAM_BASE);
	end_everything(0);
	wait_for(p.stream_ends == 1 && p.complete == channels);
	assert_int_equal(p.streams_open, 1);
	assert_int_equal(p.stream_bytes, 777777 + 123457);
	assert_memory_equal(p.stream, first, 777777);
	assert_memory_equal(p.stream + 777777, second, 123457);
	assert_int_equal(p.mark, 777777);
	assert_int_equal(p.marked_at, 777777); /* the mark keeps its place among the bytes */
	path_close();
	free(first);
	free(second);
}

static void a_stream_arrives_byte_for_byte_with_its_marks(void **state)
{
	(void)state;
	move_stream(1, CODEC_MODE_NONE);
	move_stream(2, CODEC_MODE_LZ4);
	move_stream(4, CODEC_MODE_ZSTD);
}

/* A stand-in for QEMU: accepts one connection after the other and keeps all bytes of each. */
struct incoming {
	char path[80];
	int listen_fd;
	unsigned expected;
	uint8_t *bytes[CHANNELS];
	size_t n[CHANNELS];
	pthread_t thread;
};

static void *accept_all(void *arg)
{
	struct incoming *q = arg;
	struct pollfd fds[CHANNELS];
	unsigned i, open = 0;

	for (i = 0; i < q->expected; i++, open++) {
		fds[i] = (struct pollfd){.fd = accept(q->listen_fd, NULL, NULL), .events = POLLIN};
		assert_true(fds[i].fd >= 0);
	}
	while (open && poll(fds, q->expected, DEADLINE_MS) > 0)
		for (i = 0; i < q->expected; i++) {
			ssize_t n;

			if (!fds[i].revents)
				continue;
			q->bytes[i] = xrealloc(q->bytes[i], q->n[i] + 65536);
			n = recv(fds[i].fd, q->bytes[i] + q->n[i], 65536, 0);
			if (n > 0) {
				q->n[i] += (size_t)n;
				continue;
			}
			close(fds[i].fd);
			fds[i].fd = -1;
			open--;
		}
	return NULL;
}

static void opaque_streams_reach_qemu_and_the_main_one_connects_first(void **state)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct incoming q = {.expected = CHANNELS};
	uint8_t *sent[CHANNELS];
	unsigned i, k, found;

	(void)state;
	snprintf(q.path, sizeof(q.path), "%s/incoming", dir);
	memcpy(sa.sun_path, q.path, strlen(q.path) + 1);
	q.listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(q.listen_fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(q.listen_fd, CHANNELS), 0);
	assert_int_equal(pthread_create(&q.thread, NULL, accept_all, &q), 0);
	path_init(CHANNELS, 0);
	p.in.incoming = q.path;
	path_connect();
	for (i = CHANNELS; i--;) { /* the main stream's bytes come last, and are connected first all the same */
		stream_object(OBJECT_STREAM_BASE + i);
		sent[i] = send_stream(OBJECT_STREAM_BASE + i, 300000 + i);
		stream_end(OBJECT_STREAM_BASE + i);
	}
	wait_for(p.stream_ends == CHANNELS);
	path_close();
	pthread_join(q.thread, NULL);
	assert_int_equal(q.n[0], 300000);
	assert_memory_equal(q.bytes[0], sent[0], q.n[0]);
	for (i = 1; i < CHANNELS; i++) { /* the others in any order */
		for (k = 1, found = 0; k < CHANNELS; k++)
			found += q.n[k] == 300000 + i && !memcmp(q.bytes[k], sent[i], q.n[k]);
		assert_int_equal(found, 1);
	}
	for (i = 0; i < CHANNELS; i++) {
		free(q.bytes[i]);
		free(sent[i]);
	}
	close(q.listen_fd);
	unlink(q.path);
}

static void feed_ignored(void *ctx)
{
	(void)ctx;
}

static void feed_said(void *ctx, const struct rp_message *m)
{
	(void)ctx, (void)m;
	fail_msg("a message that is none was told");
}

static void feed_is_closed(void *ctx, const struct err *why)
{
	assert_int_equal(why->code, EPROTO);
	++*(unsigned *)ctx;
}

/* A QEMU that answers nonsense is let go of: otherwise its migration, and the move, would wait for ever. */
static void a_qemu_that_answers_nonsense_is_let_go_of(void **state)
{
	static const struct feed_handlers on = {feed_ignored, feed_said, feed_is_closed};
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct loop *loop;
	struct feed *feed;
	unsigned closed = 0;
	int listen_fd, fd;
	struct err e;
	char byte;

	(void)state;
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/incoming", dir);
	listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listen_fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(listen_fd, 1), 0);
	assert_int_equal(loop_new(&loop, 8, &e), 0);
	assert_int_equal(feed_open(&feed, loop, sa.sun_path, &on, &closed, &e), 0);
	fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
	assert_int_equal(send(fd, "\0\1\xff\xff", 4, MSG_NOSIGNAL), 4); /* SHUT, of 65535 bytes */
	while (!closed)
		assert_int_equal(loop_step(loop, 1000, &e), 0);
	assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), 0);
	feed_close(feed);
	loop_free(loop);
	close(fd);
	close(listen_fd);
	unlink(sa.sun_path);
}

/* ---- RAM: a child's memory ---- */

#define RAM_BYTES  (6 * MIB)
#define VGA_BYTES  (1 * MIB)
#define ROM_BYTES  (128 * KIB)
#define RAM_BLOCKS 3

static const char *const block_name[RAM_BLOCKS] = {"pc.ram", "0000:00:02.0/vga.vram", "/rom@etc/acpi/tables"};
static const uint64_t block_bytes[RAM_BLOCKS] = {RAM_BYTES, VGA_BYTES, ROM_BYTES};

struct guest {
	pid_t pid;
	uint8_t *ram; /* the address in the child; our own copy of it is never touched */
	char path[80];
	int listen_fd;
	pthread_t thread;
	struct qmp *q;
	struct ram_place *place;
	uint8_t *model[RAM_BLOCKS];
	struct page_table table[RAM_BLOCKS];
	int memfd; /* memfd of shared RAM; -1: RAM is private */
};

static struct guest g;
static bool ram_is_shared, ram_is_swapped_out;

/* A page that is there is one that was swapped out, to who reads it in a pagemap. */
ssize_t pread(int fd, void *to, size_t n, off_t offset)
{
	ssize_t r = syscall(SYS_pread64, fd, to, n, offset);
	uint64_t *entry = to;
	ssize_t i;

	for (i = 0; g.place && ram_is_swapped_out && i < r / 8; i++)
		if (entry[i] >> 63)
			entry[i] = 1ULL << 62;
	return r;
}

/* A monitor that answers the commands of ram_place_open(). */
static void *monitor(void *arg)
{
	int fd = accept(g.listen_fd, NULL, NULL);
	char in[4096], out[1024];
	size_t n = 0;
	ssize_t k;

	(void)arg;
	dprintf(fd, "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 0, \"minor\": 0, \"major\": 10}, \"package\": \"\"}, "
		    "\"capabilities\": []}}\r\n");
	while ((k = recv(fd, in + n, sizeof(in) - 1 - n, 0)) > 0) {
		const char *id;

		n += (size_t)k;
		in[n] = '\0';
		if (in[n - 1] != '\n')
			continue;
		id = strstr(in, "\"id\":");
		snprintf(
			out, sizeof(out),
			"          Block Name    PSize              Offset               Used              Total                HVA  RO\\r\\n"
			"              pc.ram    4 KiB  0x0000000000000000 0x%016llx 0x%016llx 0x%016llx  rw\\r\\n"
			"%s    4 KiB  0x0000000000600000 0x%016llx 0x%016llx 0x%016llx  rw\\r\\n",
			RAM_BYTES, RAM_BYTES, (unsigned long long)(uintptr_t)g.ram, block_name[1], VGA_BYTES, VGA_BYTES,
			(unsigned long long)(uintptr_t)g.ram + RAM_BYTES);
		if (strstr(in, "info ramblock"))
			dprintf(fd, "{\"return\": \"%s\", \"id\": %ld}\r\n", out, strtol(id + 5, NULL, 10));
		else
			dprintf(fd, "{\"return\": {}, \"id\": %ld}\r\n", strtol(id + 5, NULL, 10));
		n = 0;
	}
	close(fd);
	return NULL;
}

static void guest_start(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	unsigned i;

	memset(&g, 0, sizeof(g));
	g.memfd = ram_is_shared ? memfd_create("ram", 0) : -1;
	assert_int_equal(ram_is_shared ? ftruncate(g.memfd, RAM_BYTES + VGA_BYTES) : 0, 0);
	g.ram = mmap(NULL, RAM_BYTES + VGA_BYTES, PROT_READ | PROT_WRITE, ram_is_shared ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS, g.memfd,
		     0);
	assert_true(g.ram != MAP_FAILED);
	if (ram_is_swapped_out) /* pages with contents, such as the firmware's */
		memset(g.ram, 0x77, RAM_BYTES);
	g.pid = fork();
	assert_true(g.pid >= 0);
	if (!g.pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	snprintf(g.path, sizeof(g.path), "%s/qmp", dir);
	memcpy(sa.sun_path, g.path, strlen(g.path) + 1);
	g.listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(g.listen_fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(g.listen_fd, 1), 0);
	assert_int_equal(pthread_create(&g.thread, NULL, monitor, NULL), 0);
	for (i = 0; i < RAM_BLOCKS; i++) {
		g.model[i] = xcalloc(1, block_bytes[i]);
		g.table[i] =
			(struct page_table){block_bytes[i] >> PAGE_SHIFT, xcalloc(block_bytes[i] >> PAGE_SHIFT, sizeof(struct hash128))};
	}
}

/* Needs the path's loop. False when this machine does not let us write into a child. */
static bool guest_place(void)
{
	static const struct qmp_handlers none;

	assert_int_equal(qmp_open(&g.q, p.loop, g.path, DEADLINE_MS, &none, NULL, &err), 0);
	if (ram_place_open(&g.place, g.q, g.pid, &err)) {
		assert_int_equal(err.code, EACCES);
		return false;
	}
	p.in.ram = g.place;
	p.out.ram = g.table;
	p.out.ram_blocks = RAM_BLOCKS;
	return true;
}

static void guest_end(void)
{
	unsigned i;

	ram_place_free(g.place);
	kill(g.pid, SIGKILL);
	waitpid(g.pid, NULL, 0);
	pthread_join(g.thread, NULL);
	close(g.listen_fd);
	unlink(g.path);
	munmap(g.ram, RAM_BYTES + VGA_BYTES);
	if (g.memfd >= 0)
		close(g.memfd);
	for (i = 0; i < RAM_BLOCKS; i++) {
		free(g.model[i]);
		free(g.table[i].hash);
	}
}

static void announce_ram(void)
{
	unsigned i;

	for (i = 0; i < RAM_BLOCKS; i++)
		send_to_all(OBJECT, object, .id = OBJECT_RAM_BASE + i, .kind = OBJECT_RAM, .unit_shift = PAGE_SHIFT, .size = block_bytes[i],
			    .name = slice_of(block_name[i]));
}

/* Some pages of each block, in bursts of neighbours, some of them as they were. */
static void send_ram_round(uint32_t number, unsigned one_in)
{
	unsigned b;

	send_to_all(ROUND_BEGIN, round_begin, .group = GROUP_RAM, .number = number);
	for (b = 0; b < RAM_BLOCKS; b++) {
		uint64_t at, pages = block_bytes[b] >> PAGE_SHIFT, k;

		for (at = 0; at < pages; at += k) {
			struct send_item *it;
			struct buffer *buf;
			uint64_t i, offset = at << PAGE_SHIFT, place = 1ULL << (PLACE_SHIFT - PAGE_SHIFT);
			bool zero = rnd() % 4 == 0;

			k = 1 + rnd() % 20;
			k = MIN(MIN(k, pages - at), place - at % place);
			if (rnd() % one_in)
				continue;
			it = send_item_new(zero ? SEND_ZERO : SEND_DATA, OBJECT_RAM_BASE + b, (unsigned)k);
			buf = zero ? NULL : buffer_new(k << PAGE_SHIFT);
			for (i = 0; i < k; i++) {
				uint8_t *model = g.model[b] + offset + (i << PAGE_SHIFT);
				uint8_t *data = zero ? NULL : buf->data + (i << PAGE_SHIFT);

				if (zero)
					memset(model, 0, PAGE_BYTES);
				else if (rnd() % 5)
					fill_piece(model, PAGE_BYTES);
				if (data)
					memcpy(data, model, PAGE_BYTES);
				it->u.part[it->n++] = (struct send_part){offset + (i << PAGE_SHIFT), data, PAGE_BYTES};
			}
			it->buf = buf ? &buf->b : NULL;
			sender_put(p.s[place_channel(OBJECT_RAM_BASE + b, offset, p.channels)], it);
		}
	}
	mark_all(MARK_RAM_ROUND_END, 0, number);
}

static void check_held(void *arg, const char *block, uint64_t offset, const uint8_t *data)
{
	assert_string_equal(block, block_name[2]);
	assert_memory_equal(data, g.model[2] + offset, PAGE_BYTES);
	++*(unsigned *)arg;
}

static void check_ram(void)
{
	uint8_t *got = xmalloc(RAM_BYTES + VGA_BYTES);
	struct iovec local = {got, RAM_BYTES + VGA_BYTES}, remote = {g.ram, RAM_BYTES + VGA_BYTES};
	size_t i;

	assert_int_equal(process_vm_readv(g.pid, &local, 1, &remote, 1, 0), RAM_BYTES + VGA_BYTES);
	for (i = 0; i < RAM_BYTES + VGA_BYTES; i++) {
		uint8_t want = i < RAM_BYTES ? g.model[0][i] : g.model[1][i - RAM_BYTES];

		if (got[i] != want)
			fail_msg("RAM differs at byte %zu: %#x, not %#x", i, got[i], want);
	}
	free(got);
}

static void ram_close(void)
{
	qmp_close(g.q);
	path_close();
	guest_end();
}

static void ram_open(unsigned channels, enum codec_mode codec)
{
	guest_start();
	path_init(channels, 0);
	p.out.codec = codec;
	if (guest_place())
		return;
	p.channels = 0;
	ram_close();
	print_message("skipped: nobody may write into the memory of a child here\n");
	skip();
}

static void move_ram(unsigned channels, enum codec_mode codec)
{
	struct send_stats sent = {0};
	struct receive_stats got = {0};
	unsigned i, held = 0;
	uint32_t n;

	ram_open(channels, codec);
	path_connect();
	announce_ram();
	for (n = 1; n <= ROUNDS; n++) {
		send_ram_round(n, n > 1 ? 3 : 1);
		wait_for(p.applied[GROUP_RAM][n] == channels);
		check_ram();
	}
	end_everything(0);
	wait_for(p.complete == channels);
	for (i = 0; i < channels; i++) {
		sender_stats(p.s[i], &sent);
		receiver_stats(p.r[i], &got);
	}
	/* the block that QEMU does not place is here, all of it */
	ram_place_held(g.place, check_held, &held);
	assert_int_equal(held, ROM_BYTES / PAGE_BYTES);
	assert_true(sent.same_pages > 0 && sent.zero_pages > 0); /* unchanged pages were not sent */
	assert_int_equal(sent.pages, got.pages);
	assert_int_equal(sent.zero_pages, got.zero_pages);
	ram_close();
}

static void ram_arrives_page_for_page_round_for_round(void **state)
{
	(void)state;
	move_ram(1, CODEC_MODE_NONE);
	move_ram(2, CODEC_MODE_LZ4);
	move_ram(CHANNELS, CODEC_MODE_ZSTD);
}

/* RAM arrives as well where it is mapped, which is done where ptrace rules forbid to write to QEMU. */
static void ram_that_is_mapped_arrives_as_well(void **state)
{
	(void)state;
	ram_is_shared = true;
	setenv("VMFERRY_FAULT", "dst-no-process-vm:fail", 1);
	move_ram(2, CODEC_MODE_NONE);
	unsetenv("VMFERRY_FAULT");
	ram_is_shared = false;
}

/* A page that is zero is not written where nothing ever was; but what was swapped out is something. */
static void a_page_that_was_swapped_out_is_made_zero(void **state)
{
	(void)state;
	ram_is_swapped_out = true;
	move_ram(1, CODEC_MODE_NONE);
	ram_is_swapped_out = false;
}

/* The digests that come right behind a round are taken when it is written, and not before. */
static void an_end_waits_for_the_round_before_it_to_be_written(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; i < 5; i++) {
		path_open(1, 1, CODEC_MODE_NONE);
		send_round(1, 0);
		end_everything(1);
		wait_for(p.complete == 1);
		assert_int_equal(p.applied_at_end, 1);
		check_disk(1);
		path_close();
	}
}

/* ---- a man in the middle ---- */

/* Changes one byte of content, the frame's last, if it came raw. */
static bool flip_content(uint16_t type, uint8_t *payload, size_t n)
{
	struct msg_data m;

	if (type != MSG_DATA || msg_data_decode(&m, payload, n) || m.codec != CODEC_RAW)
		return false;
	payload[n - 1] ^= 1;
	return true;
}

/* Swaps the places of two neighbouring extents of a frame that are of one size but not of one content. */
static bool swap_extents(uint16_t type, uint8_t *payload, size_t n)
{
	struct msg_data m;
	const uint8_t *content;
	unsigned i;

	if (type != MSG_DATA || msg_data_decode(&m, payload, n) || m.codec != CODEC_RAW)
		return false;
	content = m.body.p + 12 * m.extents;
	for (i = 0; i + 1 < m.extents; i++) {
		uint8_t *x = payload + 12 + 12 * i, first[12];
		size_t bytes = (size_t)(x[8] | x[9] << 8) * SECTOR;

		if (!memcmp(x + 8, x + 20, 4) && memcmp(content, content + bytes, bytes)) {
			memcpy(first, x, 12);
			memcpy(x, x + 12, 12);
			memcpy(x + 12, first, 12);
			return true;
		}
		content += bytes;
	}
	return false;
}

static bool zero_instead_of_data(uint16_t type, uint8_t *payload, size_t n)
{
	struct msg_data m;

	if (type != MSG_DATA || msg_data_decode(&m, payload, n) || m.codec != CODEC_RAW)
		return false;
	if (m.body.p[m.body.n - 1] == 0)
		return false;
	memset(payload + n - 100, 0, 100);
	return true;
}

static unsigned flipped_byte; /* index of a flipped byte of the digest */

static bool flip_end(uint16_t type, uint8_t *payload, size_t n)
{
	if (type != MSG_END)
		return false;
	assert_int_equal(n, 4 + 8 + 16 + 1);
	payload[12 + flipped_byte] ^= 0x80;
	return true;
}

static bool count_less_in_end(uint16_t type, uint8_t *payload, size_t n)
{
	(void)n;
	if (type != MSG_END)
		return false;
	payload[4]--;
	return true;
}

/* Makes a run longer by `by` (1 or -1); those behind it stay where they are. */
static bool change_delta(uint16_t type, uint8_t *payload, size_t n, int by)
{
	uint8_t *length = NULL; /* length of the run before, if it can be changed */
	struct msg_delta m;
	struct reader r;

	if (type != MSG_DELTA || msg_delta_decode(&m, payload, n))
		return false;
	for (r = reader_of(m.runs.p, m.runs.n); reader_left(&r);) {
		uint8_t *gap = payload + (r.p - payload), *at;
		uint64_t gap_before = read_varint(&r);

		at = payload + (r.p - payload);
		if (length && (by < 0 || gap_before > 1) && gap_before < 0x7f && gap == length + 1) {
			*length = (uint8_t)(*length + by);
			*gap = (uint8_t)(*gap - by);
			return true;
		}
		length = read_varint(&r) >= 2 && *at < 0x7f ? at : NULL;
	}
	if (length)
		*length = (uint8_t)(*length + by);
	return length;
}

static bool shorten_delta(uint16_t type, uint8_t *payload, size_t n)
{
	return change_delta(type, payload, n, -1);
}

static bool lengthen_delta(uint16_t type, uint8_t *payload, size_t n)
{
	return change_delta(type, payload, n, 1);
}

static bool move_data(uint16_t type, uint8_t *payload, size_t n)
{
	struct msg_data m;

	if (type != MSG_DATA || msg_data_decode(&m, payload, n) || m.codec != CODEC_RAW)
		return false;
	payload[12 + 2] ^= 1; /* bit 16 of the offset: 64 KiB away */
	return true;
}

static void expect_lost(int code, const char *words)
{
	wait_until(p.lost || p.complete == p.channels);
	assert_true(p.lost);
	if (p.why.code != code || !strstr(p.why.msg, words))
		fail_msg("lost with %d (%s), not %d (%s)", p.why.code, p.why.msg, code, words);
}

static void disk_through_the_middle(bool (*tamper)(uint16_t, uint8_t *, size_t), const char *words)
{
	bool changed = false;

	while (!changed) { /* a random frame may have no place for the change */
		path_init(1, 1);
		p.out.codec = CODEC_MODE_NONE;
		p.tamper = tamper;
		path_connect();
		send_round(1, 0);
		end_everything(1);
		wait_until(p.lost || p.complete == p.channels);
		changed = p.lost || __atomic_load_n(&p.middle[0].done, __ATOMIC_ACQUIRE);
		if (!changed)
			path_close();
	}
	expect_lost(EBADMSG, words);
	assert_int_equal(p.complete, 0);
	/* the source hears that the channel is gone */
	wait_until(__atomic_load_n(&p.source_lost, __ATOMIC_RELAXED));
	path_close();
}

static void disk_content_changed_on_the_way_under_a_right_checksum_is_found_at_the_end(void **state)
{
	(void)state;
	disk_through_the_middle(flip_content, "the digest of vda does not match");
	disk_through_the_middle(zero_instead_of_data, "the digest of vda does not match");
	disk_through_the_middle(swap_extents, "the digest of vda does not match");
}

static void a_digest_changed_on_the_way_is_not_believed(void **state)
{
	(void)state;
	for (flipped_byte = 0; flipped_byte < 16; flipped_byte += 5)
		disk_through_the_middle(flip_end, "the digest of vda does not match");
	disk_through_the_middle(count_less_in_end, "the digest of vda does not match");
}

static void a_disk_delta_that_names_other_sectors_than_arrive_is_found_in_its_round(void **state)
{
	(void)state;
	disk_through_the_middle(shorten_delta, "disk vda, round 0: the dirty delta names");
	assert_int_equal(p.durable[1][0], 0);
}

static void a_stream_changed_on_the_way_is_not_called_whole(void **state)
{
	uint8_t *sent;

	(void)state;
	path_init(1, 0);
	p.out.codec = CODEC_MODE_NONE;
	p.tamper = flip_content;
	path_connect();
	stream_object(OBJECT_STREAM_BASE);
	sent = send_stream(OBJECT_STREAM_BASE, 500000);
	stream_end(OBJECT_STREAM_BASE);
	expect_lost(EBADMSG, "migration stream does not match");
	assert_int_equal(p.stream_ends, 0);
	path_close();
	free(sent);
}

static void ram_through_the_middle(bool (*tamper)(uint16_t, uint8_t *, size_t), const char *words)
{
	ram_open(1, CODEC_MODE_NONE);
	p.tamper = tamper;
	path_connect();
	announce_ram();
	send_ram_round(1, 10);
	end_everything(0);
	expect_lost(EBADMSG, words);
	assert_int_equal(p.complete, 0);
	ram_close();
}

static void ram_content_changed_on_the_way_is_found_at_the_end(void **state)
{
	(void)state;
	ram_through_the_middle(flip_content, "the digest of pc.ram does not match");
}

static void ram_placed_elsewhere_than_the_delta_says_is_found_in_its_round(void **state)
{
	(void)state;
	ram_through_the_middle(move_data, "RAM round 1:");
	ram_through_the_middle(shorten_delta, "RAM round 1: the source's dirty delta names");
	ram_through_the_middle(lengthen_delta, "RAM round 1: 1 pages of the source's dirty delta did not arrive in block pc.ram");
}

/* ---- seeds ---- */

/* Half of what is on the disk is in memory as well, here and there, twice, in runs; the other pages are not on disk. */
static struct seeds *plant(uint8_t *ram)
{
	struct seed_block block = {.bytes = RAM_BYTES, .host = (uint64_t)(uintptr_t)ram};
	uint64_t pages = RAM_BYTES / PAGE_BYTES, i, from;
	struct seeds *s;

	strcpy(block.name, block_name[0]);
	for (i = 0; i < pages; i++) {
		from = rnd() % (DISK_BYTES / PAGE_BYTES);
		if (i % 7 == 0)
			fill_piece(ram + i * PAGE_BYTES, PAGE_BYTES);
		else if (i % 7 < 4 && i % 7 > 1 && (from + 1) * PAGE_BYTES < DISK_BYTES)
			memcpy(ram + i * PAGE_BYTES, p.model[1] + ((i + 3) % (DISK_BYTES / PAGE_BYTES)) * PAGE_BYTES, PAGE_BYTES);
		else
			memcpy(ram + i * PAGE_BYTES, p.model[1] + from * PAGE_BYTES, PAGE_BYTES);
	}
	s = seeds_new(getpid(), &p.out.key, &block, 1);
	assert_int_equal(seeds_scan(s, &err), 0);
	return s;
}

/* The bulk round, as disk-read sends it with an index: returns how many pages went with it. */
static unsigned send_disk_with_seeds(struct seeds *seeds)
{
	static struct seed found[SEEDS_PER_PART_MAX];
	static struct piece x[DISK_BYTES / DATA_RAW_MAX + 1];
	uint64_t at, bytes;
	unsigned sum = 0, n = 0;

	for (at = 0; at < DISK_BYTES; at += DATA_RAW_MAX)
		x[n++] = (struct piece){at, (uint32_t)MIN(DATA_RAW_MAX, DISK_BYTES - at), SEND_DATA};
	send_deltas(1, 0, x, n);
	for (at = 0; at < DISK_BYTES; at += bytes) {
		struct send_item *it = send_item_new(SEND_DATA, 1, 1);
		struct buffer *buf;

		bytes = MIN(DATA_RAW_MAX, DISK_BYTES - at);
		buf = buffer_new(bytes);
		memcpy(buf->data, p.model[1] + at, bytes);
		it->n = 1;
		it->buf = &buf->b;
		it->u.part[0] = (struct send_part){at, buf->data, (uint32_t)bytes};
		n = seeds_find(seeds, at, buf->data, (uint32_t)bytes, found);
		if (n) {
			it->seeds = xmalloc(n * sizeof(*found));
			memcpy(it->seeds, found, n * sizeof(*found));
			it->seed_count = n;
		}
		sum += n;
		sender_put(p.s[place_channel(1, at, p.channels)], it);
	}
	return sum;
}

/* All pages of pc.ram, as QEMU's first pass sends them. */
static void send_all_pages(const uint8_t *ram)
{
	uint64_t at;

	for (at = 0; at < RAM_BYTES; at += PAGE_BYTES) {
		struct send_item *it = send_item_new(SEND_DATA, OBJECT_RAM_BASE, 1);
		struct buffer *buf = buffer_new(PAGE_BYTES);

		memcpy(buf->data, ram + at, PAGE_BYTES);
		it->n = 1;
		it->buf = &buf->b;
		it->u.part[0] = (struct send_part){at, buf->data, PAGE_BYTES};
		sender_put(p.s[place_channel(OBJECT_RAM_BASE, at, p.channels)], it);
	}
}

struct planted {
	uint8_t *ram; /* the source's */
	struct seeds *seeds;
	struct page_table tables[RAM_BLOCKS];
	unsigned given;
};

static struct planted planted;

/* A path over which the disk's bulk round goes, with what of it is in memory. */
static void open_with_seeds(unsigned channels, enum codec_mode codec, bool (*tamper)(uint16_t, uint8_t *, size_t))
{
	struct planted *k = &planted;
	size_t i;

	ram_open(channels, codec);
	p.tamper = tamper;
	make_disk(1);
	for (i = 0; i < DISK_BYTES; i++)
		p.model[1][i] = (uint8_t)rnd();
	k->ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(k->ram != MAP_FAILED);
	k->seeds = plant(k->ram);
	k->tables[0] = seeds_tables(k->seeds)[0], k->tables[1] = g.table[1], k->tables[2] = g.table[2];
	p.out.ram = k->tables;
	p.out.ram_blocks = 1;
	path_connect();
	send_to_all(OBJECT, object, .id = OBJECT_RAM_BASE, .kind = OBJECT_RAM, .unit_shift = PAGE_SHIFT, .size = RAM_BYTES,
		    .name = slice_of(block_name[0]));
	send_to_all(OBJECT, object, .id = 1, .kind = OBJECT_DISK, .unit_shift = DISK_SHIFT, .size = DISK_BYTES, .name = slice_of("drive0"));
	send_to_all(ROUND_BEGIN, round_begin, .group = 1, .number = 0);
	k->given = send_disk_with_seeds(k->seeds);
	assert_true(k->given > RAM_BYTES / PAGE_BYTES / 2);
	mark_all(MARK_DISK_ROUND_END, 1, 0);
}

static void close_with_seeds(void)
{
	ram_close();
	seeds_free(planted.seeds);
	munmap(planted.ram, RAM_BYTES);
}

/* Sends all of memory, as QEMU's first pass does. */
static void send_memory(void)
{
	unsigned i;

	seeds_end(planted.seeds);
	__atomic_store_n(&p.out.ram_blocks, RAM_BLOCKS, __ATOMIC_RELEASE);
	for (i = 1; i < RAM_BLOCKS; i++)
		send_to_all(OBJECT, object, .id = OBJECT_RAM_BASE + i, .kind = OBJECT_RAM, .unit_shift = PAGE_SHIFT, .size = block_bytes[i],
			    .name = slice_of(block_name[i]));
	send_to_all(ROUND_BEGIN, round_begin, .group = GROUP_RAM, .number = 1);
	send_all_pages(planted.ram);
	mark_all(MARK_RAM_ROUND_END, 0, 1);
	end_everything(1);
}

static void move_with_seeds(unsigned channels, enum codec_mode codec)
{
	struct send_stats sent = {0};
	struct receive_stats got = {0};
	unsigned i;

	open_with_seeds(channels, codec, NULL);
	wait_for(p.applied[1][0] == channels);
	for (i = 0; i < RAM_BYTES / PAGE_BYTES; i += 11) /* some have changed meanwhile: what was placed there is no longer right */
		fill_piece(planted.ram + (size_t)i * PAGE_BYTES, PAGE_BYTES);
	send_memory();
	wait_for(p.complete == channels);
	assert_int_equal(p.applied[GROUP_RAM][1], channels);
	memcpy(g.model[0], planted.ram, RAM_BYTES);
	check_ram();
	check_disk(1);
	for (i = 0; i < channels; i++) {
		sender_stats(p.s[i], &sent);
		receiver_stats(p.r[i], &got);
	}
	assert_int_equal(sent.seed_pages, planted.given);
	assert_true(sent.same_pages > planted.given * 8 / 10); /* seeded pages did not travel again */
	assert_int_equal(sent.pages + planted.given, got.pages);
	close_with_seeds();
}

/* To another page, which then holds what nobody sends again. */
static bool move_seed(uint16_t type, uint8_t *payload, size_t n)
{
	(void)n;
	if (type != MSG_DATA_ALSO)
		return false;
	payload[2 + 8] ^= 1;
	return true;
}

/* Other content, which is no longer what the source counts for disk and page. */
static bool flip_seed(uint16_t type, uint8_t *payload, size_t n)
{
	if (type != MSG_DATA_ALSO)
		return false;
	payload[n - 1] ^= 1;
	return true;
}

static bool drop_the_seeds(uint16_t type, uint8_t *payload, size_t n)
{
	(void)n;
	if (type != MSG_DATA_ALSO)
		return false;
	payload[2 + 2] = payload[2 + 3] = 0;
	return true;
}

static void seeds_that_lie_are_found(void **state)
{
	(void)state;
	open_with_seeds(1, CODEC_MODE_NONE, move_seed); /* a free page is found, or none */
	wait_until(p.lost || p.applied[1][0]);
	if (!p.lost)
		send_memory();
	wait_until(p.lost);
	assert_true(strstr(p.why.msg, "the digest of pc.ram does not match") || strstr(p.why.msg, "was placed before"));
	close_with_seeds();

	open_with_seeds(1, CODEC_MODE_NONE, flip_seed);
	wait_for(p.applied[1][0] == 1);
	send_memory();
	expect_lost(EBADMSG, "the digest of");
	close_with_seeds();

	open_with_seeds(1, CODEC_MODE_NONE, drop_the_seeds);
	expect_lost(EPROTO, "outside of one or the other");
	close_with_seeds();
}

static void content_that_is_in_memory_and_on_disk_travels_once(void **state)
{
	(void)state;
	move_with_seeds(1, CODEC_MODE_NONE);
	move_with_seeds(3, CODEC_MODE_LZ4);
	move_with_seeds(2, CODEC_MODE_ZSTD);
}

/* ---- frames made by hand ---- */

static void hand_connect(void)
{
	int fd[2];

	pair(fd);
	p.hand = fd[0];
	p.hand_channel = 1;
	assert_int_equal(receiver_start(&p.r[0], (struct link){.fd = fd[1]}, 1, &p.in, &err), 0);
}

static void hand_open(unsigned disks)
{
	path_init(1, disks);
	hand_connect();
}

static void hand_frame(uint16_t type, const struct writer *w)
{
	size_t n = writer_len(w);
	uint8_t *buf = xmalloc(FRAME_HEADER_BYTES + n);
	struct frame_header h = {.type = type, .channel = p.hand_channel, .sequence = ++p.sequence, .length = (uint32_t)n};

	assert_false(w->bad);
	memcpy(buf + FRAME_HEADER_BYTES, w->start, n);
	frame_seal(buf, &h);
	assert_true(write_all(p.hand, buf, FRAME_HEADER_BYTES + n) || errno == EPIPE);
	free(buf);
}

#define hand_send(NAME, name, ...)                                                                                                         \
	do {                                                                                                                               \
		static uint8_t buf_[FRAME_PAYLOAD_MAX];                                                                                    \
		struct writer w_ = writer_of(buf_, sizeof(buf_));                                                                          \
		struct msg_##name m_ = {__VA_ARGS__};                                                                                      \
		msg_##name##_encode(&w_, &m_);                                                                                             \
		hand_frame(MSG_##NAME, &w_);                                                                                               \
	} while (0)

static void hand_disk(void)
{
	hand_send(OBJECT, object, .id = 1, .kind = OBJECT_DISK, .unit_shift = DISK_SHIFT, .size = DISK_BYTES, .name = slice_of("drive0"));
	hand_send(ROUND_BEGIN, round_begin, .group = 1, .number = 0);
}

static void hand_stream(void)
{
	hand_send(OBJECT, object, .id = OBJECT_STREAM_BASE, .kind = OBJECT_STREAM);
}

/* Ends a stream that had no bytes. */
static void hand_stream_end(void)
{
	struct msg_end m = {.object = OBJECT_STREAM_BASE};
	uint8_t buf[64];
	struct writer w = writer_of(buf, sizeof(buf));

	hash_bytes(hash_content(&p.in.key, buf, 0), m.digest);
	msg_end_encode(&w, &m);
	hand_frame(MSG_END, &w);
}

/* A DATA with these extents and this many bytes of body after them. */
struct data_case {
	const char *what;
	uint32_t object;
	uint8_t codec, base;
	uint16_t extents; /* number of extents announced */
	uint32_t raw_bytes;
	unsigned n; /* number of extents written */
	struct data_extent x[3];
	uint32_t body;
	const char *words;
};

static void hand_data(const struct data_case *d)
{
	static uint8_t body[FRAME_PAYLOAD_MAX];
	struct writer w = writer_of(body, sizeof(body));
	unsigned i;

	for (i = 0; i < d->n; i++) {
		write_u64(&w, d->x[i].offset);
		write_u32(&w, d->x[i].units);
	}
	memset(w.p, 0x11, d->body);
	hand_send(DATA, data, .object = d->object, .codec = d->codec, .base = d->base, .extents = d->extents, .raw_bytes = d->raw_bytes,
		  .body = {body, writer_len(&w) + d->body});
}

static void malformed_data_is_refused_and_writes_nothing(void **state)
{
	const uint64_t end = DISK_BYTES;
	const uint32_t stream = OBJECT_STREAM_BASE;
	/* clang-format off */
	const struct data_case cases[] = {
		{"beyond the end", 1, 0, 0, 1, 512, 1, {{end, 1}}, 512,
		 "DATA of disk vda: extent 0 (from byte 9439744, 1 units of 512 bytes) is empty, not aligned, or outside its object (9439744 bytes)"},
		{"across the end", 1, 0, 0, 1, 1024, 1, {{end - 512, 2}}, 1024, "outside its object"},
		{"far beyond the end", 1, 0, 0, 1, 512, 1, {{UINT64_MAX - 511, 1}}, 512, "outside its object"},
		{"a sum that wraps", 1, 0, 0, 1, 512, 1, {{UINT64_MAX - 1023, 4}}, 512, "outside its object"},
		{"unaligned", 1, 0, 0, 1, 512, 1, {{1, 1}}, 512, "outside its object"},
		{"unaligned by half", 1, 0, 0, 1, 512, 1, {{256, 1}}, 512, "outside its object"},
		{"empty extent", 1, 0, 0, 1, 0, 1, {{0, 0}}, 0, "outside its object"},
		{"second extent bad", 1, 0, 0, 2, 1024, 2, {{0, 1}, {end, 1}}, 1024, "DATA of disk vda: extent 1 (from byte 9439744"},
		{"no extents", 1, 0, 0, 0, 0, 0, {{0, 0}}, 0, "DATA of disk vda: impossible"},
		{"more extents than allowed", 1, 3, 0, DATA_EXTENTS_MAX + 1, 0, 1, {{0, 1}}, 0, "DATA of disk vda: impossible"},
		{"more extents than there are", 1, 3, 0, 3, 0, 2, {{0, 1}, {512, 1}}, 0, "DATA of disk vda: 24 bytes for 3 extents"},
		{"fewer extents than there are", 1, 3, 0, 1, 0, 2, {{0, 1}, {512, 1}}, 0, "extents (512 bytes) and contents (0, codec 3, packed into 12) do not agree"},
		{"too many raw bytes", 1, 0, 0, 1, DATA_RAW_MAX + 512, 1, {{0, DATA_RAW_MAX / 512 + 1}}, 512, "DATA of disk vda: impossible"},
		{"huge raw bytes", 1, 1, 0, 1, 0xffffffff, 1, {{0, 1}}, 512, "DATA of disk vda: impossible"},
		{"raw bytes less than extents", 1, 0, 0, 1, 512, 1, {{0, 2}}, 512, "do not agree"},
		{"raw bytes more than extents", 1, 0, 0, 1, 1024, 1, {{0, 1}}, 1024, "do not agree"},
		{"body shorter", 1, 0, 0, 1, 512, 1, {{0, 1}}, 511, "DATA of disk vda: raw contents of the wrong length: 511 bytes, announced were 512"},
		{"body longer", 1, 0, 0, 1, 512, 1, {{0, 1}}, 513, "wrong length"},
		{"no body", 1, 0, 0, 1, 512, 1, {{0, 1}}, 0, "wrong length"},
		{"zeros with a body", 1, CODEC_ZERO, 0, 1, 0, 1, {{0, 1}}, 1, "do not agree"},
		{"zeros with raw bytes", 1, CODEC_ZERO, 0, 1, 512, 1, {{0, 1}}, 0, "do not agree"},
		{"holes with raw bytes", 1, CODEC_HOLE, 0, 1, 512, 1, {{0, 1}}, 0, "do not agree"},
		{"zeros over two places", 1, CODEC_ZERO, 0, 1, 0, 1, {{0, 4097}}, 0, "DATA of disk vda: a hole of 4097 sectors, larger than a place (4096)"},
		{"not lz4", 1, CODEC_LZ4, 0, 1, 4096, 1, {{0, 8}}, 100, "DATA of disk vda, 100 bytes of codec 1: compressed data from the peer does not unpack"},
		{"not zstd", 1, CODEC_ZSTD, 0, 1, 4096, 1, {{0, 8}}, 100, "does not unpack"},
		{"unknown codec", 1, CODEC_COUNT, 0, 1, 0, 1, {{0, 1}}, 0, "DATA of disk vda: impossible"},
		{"what no old copy has", 1, CODEC_KEPT, 0, 1, 512, 1, {{0, 1}}, 16, "and there is no old copy"},
		{"what an old copy has, of a stream", stream, CODEC_KEPT, 0, 1, 1, 1, {{0, 1}}, 16, "DATA of stream 0: a hole in a stream, or an old copy"},
		{"unknown base", 1, 0, 1, 1, 512, 1, {{0, 1}}, 512, "DATA of disk vda: impossible"},
		{"a disk not announced", 2, 0, 0, 1, 512, 1, {{0, 1}}, 512, "not announced"},
		{"RAM not announced", OBJECT_RAM_BASE, 0, 0, 1, 4096, 1, {{0, 1}}, 4096, "DATA of object 256: a RAM block that was not announced (0 were)"},
		{"a stream not announced", stream + 1, 0, 0, 1, 1, 1, {{0, 1}}, 1, "DATA of stream 1: it was not announced"},
		{"no such object", 0, 0, 0, 1, 512, 1, {{0, 1}}, 512, "unknown object"},
		{"no such object at all", 0xffffffff, 0, 0, 1, 512, 1, {{0, 1}}, 512, "unknown object"},
		{"a stream with a gap", stream, 0, 0, 1, 1, 1, {{1, 1}}, 1, "DATA of stream 0: out of order: extent 0 begins at byte 1, byte 0 is next"},
		{"a hole in a stream", stream, CODEC_ZERO, 0, 1, 0, 1, {{0, 1}}, 0, "DATA of stream 0: a hole in a stream"},
	};
	/* clang-format on */
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		hand_open(1);
		hand_disk();
		hand_stream();
		hand_data(&cases[i]);
		wait_until(p.lost);
		if (p.why.code != EPROTO || !strstr(p.why.msg, cases[i].words))
			fail_msg("%s: lost with %d (%s)", cases[i].what, p.why.code, p.why.msg);
		check_disk(1); /* all zeros */
		assert_int_equal(p.stream_bytes, 0);
		path_close();
	}
}

/* A place that is another channel's, as a whole or where an extent ends: its order is that channel's. */
static void data_for_another_channel_s_place_is_refused(void **state)
{
	uint64_t mine = 0, other = 0;
	unsigned i;

	(void)state;
	while (place_channel(1, mine, 2) != 0)
		mine += 1ULL << PLACE_SHIFT;
	while (place_channel(1, other, 2) == 0)
		other += 1ULL << PLACE_SHIFT;
	assert_true(mine < DISK_BYTES - 512 && other < DISK_BYTES - 512);
	for (i = 0; i < 2; i++) {
		/* the second one begins in a place of this channel's and ends in one of the other's */
		uint64_t at = other;
		struct data_case d = {"", 1, 0, 0, 1, 512, 1, {{0, 1}}, 512, ""};

		if (i) {
			for (at = 0; place_channel(1, at, 2) != 0 || place_channel(1, at + (1ULL << PLACE_SHIFT), 2) != 1;)
				at += 1ULL << PLACE_SHIFT;
			at += (1ULL << PLACE_SHIFT) - 512;
			d.raw_bytes = d.body = 1024;
			d.x[0].units = 2;
		}
		d.x[0].offset = at;
		path_init(2, 1);
		hand_connect();
		hand_disk();
		hand_data(&d);
		expect_lost(EPROTO, "belongs to another channel");
		check_disk(1);
		path_close();
	}
}

static const struct {
	const char *what, *words;
	int code;
} wrong_orders[] = {
	{"the same disk twice", "OBJECT of disk vda: it was announced before", EPROTO},
	{"a disk of another size", "OBJECT of disk vdb: it has 1024 bytes, in units of 2^9, and in this move 512, of 2^9", EPROTO},
	{"a disk that is no part", "OBJECT of object 3: no such disk is part of this move", EPROTO},
	{"a stream twice", "not understood", EPROTO},
	{"a disk as RAM", "not understood", EPROTO},
	{"RAM in an opaque move", "OBJECT of RAM block pc.ram: the source announced RAM pages in an opaque move", EPROTO},
	{"a name with a NUL", "OBJECT of stream 1: its name is of 3 bytes, or has a NUL in it", EPROTO},
	{"a round of a disk that is not there", "ROUND_BEGIN of object 2: it is neither RAM nor a disk that was announced", EPROTO},
	{"a round of no group", "ROUND_BEGIN of object 4711: it is neither RAM nor a disk", EPROTO},
	{"the end of another round", "ROUND_END of disk vda: round 1 ends, and 0 is the last that began", EPROTO},
	{"an end without its content", "the dirty delta names", EBADMSG},
	{"delta beyond the disk", "DELTA of disk vda: malformed runs (6 bytes), or not of its 18437 sectors", EPROTO},
	{"delta of nothing", "DELTA for an unknown object (2)", EPROTO},
	{"the end of nothing", "END for an unknown object", EPROTO},
	{"complete without the disk", "no digest came for disk vda", EBADMSG},
	{"a hand-off on a data channel", "unexpected HANDOFF", EPROTO},
	{"a mark of no stream", "STREAM_MARK of stream 1", EPROTO},
	{"content after the digest", "DATA of disk vda: it was not announced, or no round of it has begun", EPROTO},
	{"a round after the digest", "ROUND_BEGIN of disk vda: round 1 begins before round 0 has ended, or after END", EPROTO},
	{"a round left out", "ROUND_BEGIN of disk vda: round 2 begins, where round 1 is next", EPROTO},
	{"a round in a round", "ROUND_BEGIN of disk vda: round 1 begins before round 0 has ended", EPROTO},
	{"content between rounds", "DATA of disk vda: it was not announced, or no round of it has begun", EPROTO},
	{"delta of another round", "DELTA of disk vda: it is of round 1, and 0 is the last that began", EPROTO},
	{"the digest in a round", "END of disk vda: it has ended before, or a round of it has not", EPROTO},
	{"the digest twice", "END of disk vda: it has ended before, or a round of it has not", EPROTO},
	{"a round of RAM in an opaque move", "ROUND_BEGIN of RAM: round 1 begins where no pages are to come", EPROTO},
	{"the end of a round of RAM that did not begin", "ROUND_END of RAM: round 1 ends, and 0 is the last that began", EPROTO},
	{"a second mark", "STREAM_MARK of stream 0: at byte 2: there is one", EPROTO},
	{"a stream that ends twice", "END of stream 0: it has ended before, or a round of it has not", EPROTO},
	{"content after a stream's end", "DATA of stream 0: it was not announced, or has ended", EPROTO},
	{"a mark that is too far", "STREAM_MARK of stream 0: at byte 1152921504606846976: there is one, and within 32 MiB", EPROTO},
};

/* Sends a message that is wrong right after the beginning of a move. */
static void go_wrong_at_once(unsigned i)
{
	static const uint8_t beyond[] = {0x80, 0x80, 0x80, 0x80, 1, 1};

	switch (i) {
	case 0:
		hand_disk();
		break;
	case 1:
		hand_send(OBJECT, object, .id = 2, .kind = OBJECT_DISK, .unit_shift = DISK_SHIFT, .size = 1024);
		break;
	case 2:
		hand_send(OBJECT, object, .id = 3, .kind = OBJECT_DISK, .unit_shift = DISK_SHIFT, .size = 1024);
		break;
	case 3:
		hand_stream();
		break;
	case 4:
		hand_send(OBJECT, object, .id = 2, .kind = OBJECT_RAM, .unit_shift = PAGE_SHIFT, .size = 4096);
		break;
	case 5:
		hand_send(OBJECT, object, .id = OBJECT_RAM_BASE, .kind = OBJECT_RAM, .unit_shift = PAGE_SHIFT, .size = 4096,
			  .name = slice_of("pc.ram"));
		break;
	case 6:
		hand_send(OBJECT, object, .id = OBJECT_STREAM_BASE + 1, .kind = OBJECT_STREAM, .name = {(const uint8_t *)"a\0b", 3});
		break;
	case 7:
		hand_send(ROUND_BEGIN, round_begin, .group = 2);
		break;
	case 8:
		hand_send(ROUND_BEGIN, round_begin, .group = 4711);
		break;
	case 9:
		hand_send(ROUND_END, round_end, .group = 1, .number = 1);
		break;
	case 10:
		hand_send(ROUND_END, round_end, .group = 1, .units = 5);
		break;
	case 11:
		hand_send(DELTA, delta, .object = 1, .runs = {beyond, sizeof(beyond)});
		break;
	case 12:
		hand_send(DELTA, delta, .object = 2);
		break;
	case 13:
		hand_send(END, end, .object = 9);
		break;
	case 14:
		hand_send(END, end, .object = GROUP_RAM, .last = 1);
		break;
	case 15:
		hand_send(HANDOFF, handoff, .state = 1);
		break;
	case 16:
		hand_send(STREAM_MARK, stream_mark, .object = OBJECT_STREAM_BASE + 1);
		break;
	}
}

/* Makes a fault after something that was right. */
static void go_wrong_later(unsigned i)
{
	const struct data_case one_sector = {"", 1, 0, 0, 1, 512, 1, {{4096, 1}}, 512, ""};

	switch (i) {
	case 17:
		hand_send(ROUND_END, round_end, .group = 1);
		hand_send(END, end, .object = 1); /* digest of an empty object: all zero */
		hand_data(&one_sector);
		break;
	case 18:
		hand_send(ROUND_END, round_end, .group = 1);
		hand_send(END, end, .object = 1);
		hand_send(ROUND_BEGIN, round_begin, .group = 1, .number = 1);
		break;
	case 19:
		hand_send(ROUND_END, round_end, .group = 1);
		wait_until(p.durable[1][0]);
		hand_send(ROUND_BEGIN, round_begin, .group = 1, .number = 2);
		break;
	case 20:
		hand_send(ROUND_BEGIN, round_begin, .group = 1, .number = 1);
		break;
	case 21:
		hand_send(ROUND_END, round_end, .group = 1);
		wait_until(p.durable[1][0]);
		hand_data(&one_sector);
		break;
	case 22:
		hand_send(DELTA, delta, .object = 1, .number = 1);
		break;
	case 23:
		hand_send(END, end, .object = 1);
		break;
	case 24:
		hand_send(ROUND_END, round_end, .group = 1);
		hand_send(END, end, .object = 1);
		hand_send(END, end, .object = 1);
		break;
	case 25:
		hand_send(ROUND_BEGIN, round_begin, .group = GROUP_RAM, .number = 1);
		break;
	case 26:
		hand_send(ROUND_END, round_end, .group = GROUP_RAM, .number = 1);
		break;
	case 27:
		hand_send(STREAM_MARK, stream_mark, .object = OBJECT_STREAM_BASE, .offset = 1);
		hand_send(STREAM_MARK, stream_mark, .object = OBJECT_STREAM_BASE, .offset = 2);
		break;
	case 28:
		hand_stream_end();
		hand_stream_end();
		break;
	case 29:
		hand_stream_end();
		hand_data(&(struct data_case){"", OBJECT_STREAM_BASE, 0, 0, 1, 1, 1, {{0, 1}}, 1, ""});
		break;
	case 30:
		hand_send(STREAM_MARK, stream_mark, .object = OBJECT_STREAM_BASE, .offset = 1ULL << 60);
		break;
	}
}

/* Sends what wrong_orders[i] says, behind the beginning of a move. */
static void go_wrong(unsigned i)
{
	go_wrong_at_once(i);
	go_wrong_later(i);
}

static void what_breaks_the_order_of_a_move_is_refused(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(wrong_orders); i++) {
		path_init(1, 1);
		if (i == 1)
			p.in.disk[2] = (struct disk_target){.bytes = 512, .at = {.path = p.file[1], .writable = true}, .name = "vdb"};
		hand_connect();
		hand_disk();
		hand_stream();
		go_wrong(i);
		wait_until(p.lost);
		if (p.why.code != wrong_orders[i].code || !strstr(p.why.msg, wrong_orders[i].words))
			fail_msg("%s: lost with %d (%s)", wrong_orders[i].what, p.why.code, p.why.msg);
		assert_int_equal(p.complete, 0);
		path_close();
	}
}

static void every_message_cut_short_is_refused(void **state)
{
	static const uint16_t types[] = {MSG_OBJECT, MSG_DATA, MSG_ROUND_BEGIN, MSG_DELTA, MSG_ROUND_END, MSG_END, MSG_STREAM_MARK};
	uint8_t three[3] = {0};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(types); i++) {
		struct writer w = writer_of(three, 3);

		write_bytes(&w, "\1\0\0", 3);
		hand_open(1);
		hand_disk();
		hand_frame(types[i], &w);
		wait_until(p.lost);
		assert_int_equal(p.why.code, EPROTO);
		assert_non_null(strstr(p.why.msg, "malformed"));
		path_close();
	}
}

static void two_rounds_that_end_together_are_each_made_durable(void **state)
{
	static const uint8_t runs[] = {8, 1};
	uint32_t disk;
	unsigned i;

	(void)state;
	for (i = 0; i < 20; i++) {
		hand_open(2);
		for (disk = 1; disk <= 2; disk++) {
			const struct data_case one_sector = {"", disk, 0, 0, 1, 512, 1, {{4096, 1}}, 512, ""};

			hand_send(OBJECT, object, .id = disk, .kind = OBJECT_DISK, .unit_shift = DISK_SHIFT, .size = DISK_BYTES);
			hand_send(ROUND_BEGIN, round_begin, .group = disk);
			hand_send(DELTA, delta, .object = disk, .final = 1, .runs = {runs, sizeof(runs)});
			hand_data(&one_sector);
		}
		for (disk = 1; disk <= 2; disk++)
			hand_send(ROUND_END, round_end, .group = disk, .units = 1);
		wait_for(p.durable[1][0] + p.durable[2][0] == 2);
		assert_int_equal(p.durable[1][0], 1);
		assert_int_equal(p.applied[1][0], 1);
		assert_int_equal(p.applied[2][0], 1);
		path_close();
	}
}

/* ---- trouble at the destination ---- */

static void a_disk_that_cannot_be_opened_or_is_full_is_named(void **state)
{
	const struct data_case one_sector = {"", 1, 0, 0, 1, 512, 1, {{4096, 1}}, 512, ""};

	(void)state;
	path_init(1, 1);
	p.in.disk[1].at.path = "/nonexistent/disk";
	hand_connect();
	hand_disk();
	expect_lost(ENOENT, "opening the destination disk vda: cannot open /nonexistent/disk");
	path_close();

	setenv("VMFERRY_FAULT", "no-io-uring:fail", 1); /* power-failure.h sees the calls instead of io_uring */
	power_write_error = ENOSPC;
	path_init(1, 1);
	hand_connect();
	hand_disk();
	hand_data(&one_sector);
	expect_lost(ENOSPC, "cannot write the destination disk vda at byte 4096");
	path_close();
	power_write_error = 0;
	unsetenv("VMFERRY_FAULT");
}

static void a_disk_that_cannot_be_synced_is_not_called_durable(void **state)
{
	(void)state;
	setenv("VMFERRY_FAULT", "no-io-uring:fail", 1); /* power-failure.h sees the calls instead of io_uring */
	power_sync_error = EIO;
	path_open(1, 1, CODEC_MODE_NONE);
	send_round(1, 0);
	wait_until(p.lost || p.durable[1][0]);
	assert_int_equal(p.durable[1][0], 0);
	assert_int_equal(p.why.code, EIO);
	assert_non_null(strstr(p.why.msg, "vda to stable storage"));
	path_close();
	power_sync_error = 0;
	unsetenv("VMFERRY_FAULT");
}

static void a_receiver_stopped_in_the_middle_of_its_writes_ends_cleanly(void **state)
{
	unsigned i, k;

	(void)state;
	for (i = 0; i < 30; i++) {
		hand_open(1);
		hand_disk();
		for (k = 0; k < i; k++) {
			struct data_case d = {"",	    1, 0, 0, 2, DATA_RAW_MAX, 2, {{k * 300 * KIB, 1}, {k * 300 * KIB + 512, 511}},
					      DATA_RAW_MAX, ""};

			hand_data(&d);
		}
		path_close();
	}
}

static void a_round_cut_off_by_the_source_is_lost_and_nothing_hangs(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; i < 10; i++) {
		path_open(2, 1, CODEC_MODE_LZ4);
		send_round(1, 0);
		if (i % 2)
			wait_for(p.applied[1][0]);
		sender_stop(p.s[0]);
		p.s[0] = NULL;
		wait_until(p.lost);
		assert_true(p.why.code == EPIPE || p.why.code == ECONNRESET);
		path_close();
	}
}

static void a_receiver_gone_is_told_to_the_source_and_its_buffers_come_back(void **state)
{
	(void)state;
	path_open(2, 1, CODEC_MODE_NONE);
	send_round(1, 0);
	receiver_stop(p.r[1]);
	p.r[1] = NULL;
	wait_until(__atomic_load_n(&p.source_lost, __ATOMIC_RELAXED));
	path_close(); /* path_close() counts them */
}

/* ---- back-pressure ---- */

/* A disk's NBD server that answers nothing before it is told to, and then everything. */
struct slow_disk {
	char path[80];
	int listen_fd, go[2];
	pthread_t thread;
};

static bool send_words(int fd, struct wire *w)
{
	bool sent = write_all(fd, w->b, w->n);

	w->n = 0;
	return sent;
}

static void *slow_disk_main(void *arg)
{
	struct slow_disk *s = arg;
	struct wire *w = xcalloc(1, sizeof(*w));
	int fd = accept(s->listen_fd, NULL, NULL);
	uint32_t option = 0;
	struct asked a;
	uint8_t b[4096];

	w_bytes(w, NBD_GREETING, 18);
	assert_true(send_words(fd, w) && read_all(fd, b, 4));
	while (option != NBD_OPT_GO) {
		assert_true(read_all(fd, b, NBD_OPTION_HEAD));
		option = nbd_u32(b + 8);
		assert_true(read_all(fd, b + NBD_OPTION_HEAD, nbd_u32(b + 12)));
		if (option == NBD_OPT_GO)
			w_export(w, DISK_BYTES, 1 | 4 | 64 | 256); /* can flush, write zeroes; many connections */
		w_option(w, option, option == NBD_OPT_GO ? NBD_REP_ACK : NBD_REP_UNSUPPORTED, 0);
		assert_true(send_words(fd, w));
	}
	assert_true(read(s->go[0], b, 1) == 1);
	while (read_all(fd, b, NBD_REQUEST_BYTES)) {
		asked_decode(&a, b);
		if (a.type == NBD_CMD_DISC)
			break;
		w_simple(w, a.cookie, 0);
		if (!send_words(fd, w))
			break;
	}
	close(fd);
	free(w);
	return NULL;
}

static void slow_disk_start(struct slow_disk *s)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	snprintf(s->path, sizeof(s->path), "%s/nbd", dir);
	memcpy(sa.sun_path, s->path, strlen(s->path) + 1);
	s->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->listen_fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(s->listen_fd, 1), 0);
	assert_int_equal(pipe2(s->go, O_CLOEXEC), 0);
	assert_int_equal(pthread_create(&s->thread, NULL, slow_disk_main, s), 0);
}

static void slow_disk_end(struct slow_disk *s)
{
	pthread_join(s->thread, NULL);
	close(s->listen_fd);
	close(s->go[0]);
	close(s->go[1]);
	unlink(s->path);
}

/* DATA of as many zero extents as fit, sealed, malloc'ed; *n is its length. */
static uint8_t *frame_of_zeros(size_t *n)
{
	uint8_t *buf = xmalloc(FRAME_PAYLOAD_MAX), *body = xmalloc(12 * DATA_EXTENTS_MAX);
	struct frame_header h = {.type = MSG_DATA, .channel = 1, .sequence = ++p.sequence};
	struct writer w = writer_of(body, 12 * DATA_EXTENTS_MAX);
	struct msg_data m = {.object = 1, .codec = CODEC_ZERO, .extents = DATA_EXTENTS_MAX};
	unsigned i;

	for (i = 0; i < DATA_EXTENTS_MAX; i++) {
		write_u64(&w, (uint64_t)i * SECTOR);
		write_u32(&w, 1);
	}
	m.body = (struct slice){body, writer_len(&w)};
	w = writer_of(buf + FRAME_HEADER_BYTES, FRAME_PAYLOAD_MAX - FRAME_HEADER_BYTES);
	msg_data_encode(&w, &m);
	h.length = (uint32_t)writer_len(&w);
	frame_seal(buf, &h);
	*n = FRAME_HEADER_BYTES + h.length;
	free(body);
	return buf;
}

#define ZERO_FRAMES 100 /* 5 MiB, whose requests would be many more */

static void zeros_that_are_not_written_yet_hold_the_source_back(void **state)
{
	struct timeval patience = {.tv_sec = 3};
	struct receive_stats got = {0};
	struct slow_disk disk;
	bool held = false;
	unsigned i;

	(void)state;
	slow_disk_start(&disk);
	path_init(1, 1);
	p.in.disk[1].at = (struct disk_at){.path = disk.path, .export_name = "d", .writable = true};
	hand_connect();
	hand_disk();
	assert_int_equal(setsockopt(p.hand, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)), 0);
	for (i = 0; i < ZERO_FRAMES; i++) {
		size_t n, at = 0;
		uint8_t *frame = frame_of_zeros(&n);

		while (at < n) {
			ssize_t k = send(p.hand, frame + at, n - at, MSG_NOSIGNAL);

			if (k < 0 && errno == EINTR)
				continue;
			if (k < 0 && !held) { /* until the disk answers */
				assert_int_equal(errno, EAGAIN);
				assert_true(i < 40);
				held = true;
				assert_int_equal(write(disk.go[1], "", 1), 1);
				patience.tv_sec = DEADLINE_MS / 1000;
				assert_int_equal(setsockopt(p.hand, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)), 0);
				continue;
			}
			assert_true(k > 0);
			at += (size_t)k;
		}
		free(frame);
	}
	if (!held)
		assert_int_equal(write(disk.go[1], "", 1), 1);
	wait_until((memset(&got, 0, sizeof(got)), receiver_stats(p.r[0], &got), got.disk_bytes) ==
		   (uint64_t)ZERO_FRAMES * DATA_EXTENTS_MAX * SECTOR);
	assert_true(held);
	path_close();
	slow_disk_end(&disk);
}

/* A thin stream is held in memory until QEMU takes it, which may be long after. */
static void a_thin_stream_that_is_too_long_is_refused_as_it_comes(void **state)
{
	struct data_case d = {"", OBJECT_STREAM_BASE, 0, 0, 1, DATA_RAW_MAX, 1, {{0, DATA_RAW_MAX}}, DATA_RAW_MAX, ""};
	unsigned i;

	(void)state;
	hand_open(0);
	hand_stream();
	for (i = 0; i <= THIN_MAX / DATA_RAW_MAX; i++) {
		d.x[0].offset = (uint64_t)i * DATA_RAW_MAX;
		hand_data(&d);
	}
	wait_until(p.lost);
	assert_non_null(strstr(p.why.msg, "device state is larger than"));
	assert_int_equal(p.stream_bytes, THIN_MAX);
	path_close();
}

/* The first and the last place of it belong to this channel, the one between them does not. */
static void an_extent_of_ram_over_another_channels_place_is_refused(void **state)
{
	const uint64_t place = 1ULL << PLACE_SHIFT;
	const struct data_case three = {"", OBJECT_RAM_BASE, CODEC_ZERO, 0, 1, 0, 1, {{0, RAM_BYTES >> PAGE_SHIFT}}, 0, ""};
	unsigned n, ch;
	int fd[2];

	(void)state;
	for (n = 2; n <= CHANNELS_MAX; n++) {
		ch = place_channel(OBJECT_RAM_BASE, 0, n);
		if (place_channel(OBJECT_RAM_BASE, 2 * place, n) == ch && place_channel(OBJECT_RAM_BASE, place, n) != ch)
			break;
	}
	assert_true(n <= CHANNELS_MAX);
	ram_open(1, CODEC_MODE_NONE);
	p.in.channels = n;
	pair(fd);
	p.hand = fd[0];
	assert_int_equal(receiver_start(&p.r[0], (struct link){.fd = fd[1]}, ch + 1, &p.in, &err), 0);
	p.hand_channel = ch + 1;
	hand_send(OBJECT, object, .id = OBJECT_RAM_BASE, .kind = OBJECT_RAM, .unit_shift = PAGE_SHIFT, .size = RAM_BYTES,
		  .name = slice_of(block_name[0]));
	hand_send(ROUND_BEGIN, round_begin, .group = GROUP_RAM, .number = 1);
	hand_data(&three);
	wait_until(p.lost);
	assert_non_null(strstr(p.why.msg, "belongs to another channel"));
	ram_close();
}

static const char *const ram_out_of_order[] = {
	"DATA of RAM block pc.ram: it belongs to no round",
	"ROUND_BEGIN of RAM: round 2 begins, and the last was 0, which has ended",
	"ROUND_BEGIN of RAM: round 2 begins, and the last was 1, which has not ended",
	"DELTA of RAM block pc.ram: it is of round 2, and 1 is the last that began",
	"ROUND_END of RAM: round 2 ends, and 1 is the last that began",
	"ROUND_END of RAM: round 1 ends, and 1 is the last that began",
	"END of RAM block pc.ram: it has ended before, or a round of it has not",
	"END of RAM block pc.ram: it has ended before, or a round of it has not",
	"OBJECT of object 257: channel 1 was said to be complete",
	"ROUND_BEGIN of RAM: round 2 begins where no pages are to come",
};

#define ram_round(NAME, name, n) hand_send(NAME, name, .group = GROUP_RAM, .number = n)

/* Behind OBJECT of the first block. */
static void ram_goes_wrong(unsigned i)
{
	const struct data_case page = {"", OBJECT_RAM_BASE, CODEC_ZERO, 0, 1, 0, 1, {{0, 1}}, 0, ""};

	if (i > 1)
		ram_round(ROUND_BEGIN, round_begin, 1);
	if (i > 4 && i != 6)
		ram_round(ROUND_END, round_end, 1);
	if (i > 5)
		hand_send(END, end, .object = OBJECT_RAM_BASE);
	if (i > 7)
		hand_send(END, end, .object = GROUP_RAM, .last = 1);
	if (i == 0)
		hand_data(&page);
	else if (i == 1 || i == 2 || i == 9)
		ram_round(ROUND_BEGIN, round_begin, 2);
	else if (i == 3)
		hand_send(DELTA, delta, .object = OBJECT_RAM_BASE, .number = 2);
	else if (i == 4 || i == 5)
		ram_round(ROUND_END, round_end, i == 4 ? 2 : 1);
	else if (i == 7)
		hand_send(END, end, .object = OBJECT_RAM_BASE);
	else if (i == 8)
		hand_send(OBJECT, object, .id = OBJECT_RAM_BASE + 1, .kind = OBJECT_RAM, .unit_shift = PAGE_SHIFT, .size = VGA_BYTES,
			  .name = slice_of(block_name[1]));
}

static void ram_out_of_its_rounds_is_refused(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(ram_out_of_order); i++) {
		ram_open(1, CODEC_MODE_NONE);
		hand_connect();
		hand_send(OBJECT, object, .id = OBJECT_RAM_BASE, .kind = OBJECT_RAM, .unit_shift = PAGE_SHIFT, .size = RAM_BYTES,
			  .name = slice_of(block_name[0]));
		ram_goes_wrong(i);
		wait_until(p.lost);
		if (!strstr(p.why.msg, ram_out_of_order[i]))
			fail_msg("%u: lost with %d (%s), not %s", i, p.why.code, p.why.msg, ram_out_of_order[i]);
		ram_close();
	}
}

static int setup(void **state)
{
	(void)state;
	log_init("test", LOG_LEVEL_ERROR, 2);
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	char path[80];
	unsigned i;

	(void)state;
	for (i = 1; i <= DISKS; i++) {
		snprintf(path, sizeof(path), "%s/disk%u", dir, i);
		unlink(path);
	}
	return rmdir(dir);
}

/* DATA_ALSO with one place, and n bytes of it, of two pages' contents. */
static void hand_also(uint16_t seeds, struct seed_extent x, const struct data_case *d, size_t n)
{
	uint8_t all[3 * PAGE_BYTES];
	struct writer w = writer_of(all, sizeof(all));
	struct msg_data m = {.object = d->object, .codec = d->codec, .extents = 1, .raw_bytes = d->raw_bytes};
	uint8_t body[12 + 2 * PAGE_BYTES] = {0};
	struct writer b = writer_of(body, sizeof(body));

	write_u64(&b, d->x[0].offset);
	write_u32(&b, d->x[0].units);
	m.body = (struct slice){body, 12 + d->body};
	write_u16(&w, x.unit);
	write_u16(&w, x.run);
	write_u32(&w, x.object);
	write_u32(&w, x.page);
	msg_data_encode(&w, &m);
	hand_send(DATA_ALSO, data_also, .seeds = seeds, .rest = {all, MIN(n, writer_len(&w))});
}

static void malformed_places_are_refused(void **state)
{
	const struct data_case two = {"", 1, CODEC_RAW, 0, 1, 8192, 1, {{0, 16}}, 8192, ""};
	const struct data_case zeros = {"", 1, CODEC_ZERO, 0, 1, 0, 1, {{0, 16}}, 0, ""};
	const struct data_case of_ram = {"", OBJECT_RAM_BASE, CODEC_RAW, 0, 1, 8192, 1, {{0, 2}}, 8192, ""};
	const uint32_t pages = RAM_BYTES / PAGE_BYTES;
	const struct {
		uint16_t seeds;
		struct seed_extent x;
		const struct data_case *d;
		size_t n;
		const char *words;
	} cases[] = {
		{0, {0, 1, OBJECT_RAM_BASE, 0}, &two, SIZE_MAX, "malformed DATA_ALSO"},
		{SEEDS_MAX + 1, {0, 1, OBJECT_RAM_BASE, 0}, &two, SIZE_MAX, "malformed DATA_ALSO"},
		{2, {0, 1, OBJECT_RAM_BASE, 0}, &two, 23, "malformed DATA_ALSO"},
		{1, {0, 1, OBJECT_RAM_BASE, 0}, &two, 11, "malformed DATA_ALSO"},
		{1, {0, 1, OBJECT_RAM_BASE, 0}, &two, 12, "malformed DATA"},
		{1, {0, 0, OBJECT_RAM_BASE, 0}, &two, SIZE_MAX, "outside of one or the other"},
		{1, {0, 3, OBJECT_RAM_BASE, 0}, &two, SIZE_MAX, "outside of one or the other"},
		{1, {2, 1, OBJECT_RAM_BASE, 0}, &two, SIZE_MAX, "outside of one or the other"},
		{1, {65535, 65535, OBJECT_RAM_BASE, 0}, &two, SIZE_MAX, "outside of one or the other"},
		{1, {0, 1, OBJECT_RAM_BASE, pages}, &two, SIZE_MAX, "outside of one or the other"},
		{1, {0, 2, OBJECT_RAM_BASE, pages - 1}, &two, SIZE_MAX, "outside of one or the other"},
		{1, {0, 1, OBJECT_RAM_BASE, UINT32_MAX}, &two, SIZE_MAX, "outside of one or the other"},
		{1, {0, 1, OBJECT_RAM_BASE + 1, 0}, &two, SIZE_MAX, "no RAM block that was announced"},
		{1, {0, 1, 1, 0}, &two, SIZE_MAX, "no RAM block that was announced"},
		{1, {0, 1, UINT32_MAX, 0}, &two, SIZE_MAX, "no RAM block that was announced"},
		{1, {0, 1, OBJECT_RAM_BASE, 0}, &zeros, SIZE_MAX, "places are for contents of disks"},
		{1, {0, 1, OBJECT_RAM_BASE, 0}, &of_ram, SIZE_MAX, "places are for contents of disks"},
	};
	size_t i;

	(void)state;
	for (i = 0; i <= ARRAY_LEN(cases) + 1; i++) {
		ram_open(1, CODEC_MODE_NONE);
		make_disk(1);
		hand_connect();
		hand_disk();
		hand_send(OBJECT, object, .id = OBJECT_RAM_BASE, .kind = OBJECT_RAM, .unit_shift = PAGE_SHIFT, .size = RAM_BYTES,
			  .name = slice_of(block_name[0]));
		hand_send(ROUND_BEGIN, round_begin, .group = GROUP_RAM, .number = 1);
		if (i < ARRAY_LEN(cases)) {
			hand_also(cases[i].seeds, cases[i].x, cases[i].d, cases[i].n);
		} else if (i == ARRAY_LEN(cases)) { /* twice */
			hand_also(1, (struct seed_extent){0, 2, OBJECT_RAM_BASE, 5}, &two, SIZE_MAX);
			hand_also(1, (struct seed_extent){0, 1, OBJECT_RAM_BASE, 6}, &two, SIZE_MAX);
		} else { /* beside QEMU's pages */
			hand_data(&(struct data_case){"", OBJECT_RAM_BASE, CODEC_ZERO, 0, 1, 0, 1, {{0, 1}}, 0, ""});
			hand_also(1, (struct seed_extent){0, 2, OBJECT_RAM_BASE, 5}, &two, SIZE_MAX);
		}
		wait_until(p.lost);
		if (!strstr(p.why.msg, i < ARRAY_LEN(cases)    ? cases[i].words
				       : i == ARRAY_LEN(cases) ? "page 6 was placed before"
							       : "beside QEMU's own pages"))
			fail_msg("case %zu: %s", i, p.why.msg);
		ram_close();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_disk_arrives_bit_for_bit_over_one_channel),
		cmocka_unit_test(rounds_that_overwrite_the_same_extents_leave_the_last_content),
		cmocka_unit_test(two_disks_share_three_channels),
		cmocka_unit_test(two_disks_share_four_channels_with_the_codec_chosen_as_it_goes),
		cmocka_unit_test(every_codec_works_on_every_number_of_channels),
		cmocka_unit_test(connections_that_break_again_and_again_change_nothing),
		cmocka_unit_test(a_slow_link_is_waited_for_and_compressed_for),
		cmocka_unit_test(what_became_a_hole_takes_no_room_any_more),
		cmocka_unit_test(a_stream_arrives_byte_for_byte_with_its_marks),
		cmocka_unit_test(a_qemu_that_answers_nonsense_is_let_go_of),
		cmocka_unit_test(opaque_streams_reach_qemu_and_the_main_one_connects_first),
		cmocka_unit_test(ram_arrives_page_for_page_round_for_round),
		cmocka_unit_test(an_end_waits_for_the_round_before_it_to_be_written),
		cmocka_unit_test(ram_that_is_mapped_arrives_as_well),
		cmocka_unit_test(a_page_that_was_swapped_out_is_made_zero),
		cmocka_unit_test(disk_content_changed_on_the_way_under_a_right_checksum_is_found_at_the_end),
		cmocka_unit_test(a_digest_changed_on_the_way_is_not_believed),
		cmocka_unit_test(a_disk_delta_that_names_other_sectors_than_arrive_is_found_in_its_round),
		cmocka_unit_test(a_stream_changed_on_the_way_is_not_called_whole),
		cmocka_unit_test(ram_content_changed_on_the_way_is_found_at_the_end),
		cmocka_unit_test(ram_placed_elsewhere_than_the_delta_says_is_found_in_its_round),
		cmocka_unit_test(content_that_is_in_memory_and_on_disk_travels_once),
		cmocka_unit_test(seeds_that_lie_are_found),
		cmocka_unit_test(malformed_places_are_refused),
		cmocka_unit_test(malformed_data_is_refused_and_writes_nothing),
		cmocka_unit_test(data_for_another_channel_s_place_is_refused),
		cmocka_unit_test(what_breaks_the_order_of_a_move_is_refused),
		cmocka_unit_test(every_message_cut_short_is_refused),
		cmocka_unit_test(two_rounds_that_end_together_are_each_made_durable),
		cmocka_unit_test(a_disk_that_cannot_be_opened_or_is_full_is_named),
		cmocka_unit_test(a_disk_that_cannot_be_synced_is_not_called_durable),
		cmocka_unit_test(a_receiver_stopped_in_the_middle_of_its_writes_ends_cleanly),
		cmocka_unit_test(a_round_cut_off_by_the_source_is_lost_and_nothing_hangs),
		cmocka_unit_test(a_receiver_gone_is_told_to_the_source_and_its_buffers_come_back),
		cmocka_unit_test(zeros_that_are_not_written_yet_hold_the_source_back),
		cmocka_unit_test(a_thin_stream_that_is_too_long_is_refused_as_it_comes),
		cmocka_unit_test(an_extent_of_ram_over_another_channels_place_is_refused),
		cmocka_unit_test(ram_out_of_its_rounds_is_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
