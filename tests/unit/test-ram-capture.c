/*
 * test-ram-capture.c: QEMU's channels, played by this test, and what leaves on a data channel, in which order. That order is all
 * that keeps two versions of a page apart: their digests do not see it.
 */
#include "keep.h"
#include "messages.h"
#include "log.h"
#include "ram-capture.h"
#include "util.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <cmocka.h>

#include "../lib/sockets.h"

#include "qemu-multifd.h"

#define DEADLINE_MS 60000
#define MULTIFD	    2
#define RAM_PAGES   16

/* ---- bytes ---- */

struct buf {
	size_t n;
	uint8_t p[64 * KIB];
};

static void put(struct buf *b, const void *p, size_t n)
{
	assert_true(b->n + n <= sizeof(b->p));
	memcpy(b->p + b->n, p, n);
	b->n += n;
}

static void put_be(struct buf *b, uint64_t v, int bytes)
{
	for (int i = bytes - 1; i >= 0; i--) {
		uint8_t c = (uint8_t)(v >> (8 * i));

		put(b, &c, 1);
	}
}

static void put_name(struct buf *b, const char *name)
{
	put_be(b, strlen(name), 1);
	put(b, name, strlen(name));
}

static void put_fill(struct buf *b, uint8_t c, size_t n)
{
	while (n--)
		put(b, &c, 1);
}

/* ---- the whole of it ---- */

static struct {
	struct send_shared shared;
	struct sender *sender;
	struct capture *capture;
	int out;	       /* socket to which the capture sends */
	int qemu[1 + MULTIFD]; /* QEMU's ends: main, multifd 1, 2 */
	int keeper[2];	       /* the capture's end, and that of a keeper which stands still */
	char path[64];
	unsigned blocks, ram_done, failed; /* atomic */
	struct err why;
	char log[512]; /* "a b z:3 |": contents of pages in the order that they leave, zero pages by number, ends of rounds */
} t;

static char dir[] = "/tmp/test-ram-capture-XXXXXX";
static struct err err;

static void on_capture(void *ctx, enum capture_event ev, const struct err *e)
{
	(void)ctx;
	if (ev == CAPTURE_FAILED)
		t.why = *e;
	__atomic_fetch_add(ev == CAPTURE_BLOCKS ? &t.blocks : ev == CAPTURE_RAM_DONE ? &t.ram_done : &t.failed, 1, __ATOMIC_RELEASE);
}

static void on_lost(void *ctx, unsigned channel, const struct err *why)
{
	(void)ctx, (void)channel, (void)why;
}

static int qemu_connect(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(sa.sun_path, t.path);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static void say(unsigned channel, const struct buf *b)
{
	assert_int_equal(send(t.qemu[channel], b->p, b->n, MSG_NOSIGNAL), b->n);
}

static void put_multifd_start(struct buf *b)
{
	put_be(b, 0x11223344, 4);
	put_be(b, 1, 4);
}

/* A packet of multifd, with a page of this content or with a zero page (content 0) if count is 1; a sync point if asked. */
static void packet(unsigned channel, unsigned count, uint64_t page, uint8_t content, bool sync)
{
	struct buf b = {.n = 0};
	bool zero = count && !content;

	put_multifd_start(&b);
	put_be(&b, sync, 4);
	put_be(&b, MULTIFD_PAGES_MAX, 4);
	put_be(&b, zero ? 0 : count, 4);
	put_fill(&b, 0, 4 + 8);
	put_be(&b, zero ? count : 0, 4);
	put_fill(&b, 0, 4 + 3 * 8);
	put(&b, "pc.ram", 6);
	put_fill(&b, 0, 250);
	put_be(&b, page * PAGE_BYTES, 8);
	put_fill(&b, 0, 8 * (MULTIFD_PAGES_MAX - 1));
	assert_int_equal(b.n, MULTIFD_PACKET_BYTES);
	if (count && !zero)
		put_fill(&b, content, PAGE_BYTES);
	say(channel, &b);
}

static void page(unsigned channel, uint64_t at, uint8_t content)
{
	packet(channel, 1, at, content, false);
}

static void sync_point(unsigned channel)
{
	packet(channel, 0, 0, 0, true);
}

static void put_section(struct buf *b, unsigned type)
{
	put_be(b, type, 1);
	put_be(b, 2, 4);
}

static void put_page(struct buf *b, uint64_t at, uint8_t content)
{
	put_be(b, at * PAGE_BYTES | 0x08, 8);
	put_name(b, "pc.ram");
	put_fill(b, content, PAGE_BYTES);
}

static void put_flush(struct buf *b)
{
	put_be(b, 0x200, 8);
}

static void put_eos(struct buf *b)
{
	put_be(b, 0x10, 8);
	put_be(b, 0x7e, 1);
	put_be(b, 2, 4);
}

static uint64_t ram_bytes = RAM_PAGES * PAGE_BYTES; /* size as QEMU lists it */

/* Header and list of blocks, which end with the first sync point of all. */
static void qemu_begin(void)
{
	struct buf b = {.n = 0};
	unsigned i;

	put(&b, "QEVM\0\0\0\3", 8);
	put_be(&b, 0x07, 1);
	put_be(&b, 11, 4);
	put(&b, "pc-q35-10.0", 11);
	put_be(&b, 0x01, 1);
	put_be(&b, 2, 4);
	put_name(&b, "ram");
	put_be(&b, 0, 4);
	put_be(&b, 4, 4);
	put_be(&b, ram_bytes | 0x04, 8);
	put_name(&b, "pc.ram");
	put_be(&b, ram_bytes, 8);
	put_flush(&b);
	put_eos(&b);
	say(0, &b);
	for (i = 1; i <= MULTIFD; i++) {
		b.n = 0;
		put_multifd_start(&b);
		put_fill(&b, 7, 16);
		put_be(&b, i, 1);
		put_fill(&b, 0, MULTIFD_INIT_BYTES - b.n);
		say(i, &b);
		sync_point(i);
	}
}

static void begin(void)
{
	struct capture_config cfg = {.socket_path = t.path,
				     .mode = RAM_MODE_PAGES,
				     .multifd = MULTIFD,
				     .senders = &t.sender,
				     .sender_count = 1,
				     .shared = &t.shared,
				     .event = on_capture};
	struct timeval patience = {.tv_sec = 10};
	int fd[2];
	unsigned i;

	memset(&t, 0, sizeof(t));
	t.shared = (struct send_shared){.codec = CODEC_MODE_NONE, .channels = 1, .window_bytes = 8 * MIB, .lost = on_lost};
	snprintf(t.path, sizeof(t.path), "%s/migrate", dir);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	t.out = fd[1];
	assert_int_equal(sender_start(&t.sender, (struct link){.fd = fd[0]}, 1, &t.shared, &err), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, t.keeper), 0);
	setsockopt(t.keeper[1], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	cfg.keeper = t.keeper[0];
	assert_int_equal(capture_start(&t.capture, &cfg, &err), 0);
	for (i = 0; i <= MULTIFD; i++)
		t.qemu[i] = qemu_connect();
	qemu_begin();
}

static void end(void)
{
	unsigned i;

	capture_stop(t.capture);
	sender_stop(t.sender);
	capture_free(t.capture);
	for (i = 0; i <= MULTIFD; i++)
		close(t.qemu[i]);
	close(t.keeper[0]);
	close(t.keeper[1]);
	close(t.out);
}

/* ---- what leaves ---- */

static bool receive(void *p, size_t n)
{
	return recv(t.out, p, n, MSG_WAITALL) == (ssize_t)n;
}

static void note(const char *fmt, unsigned v)
{
	size_t n = strlen(t.log);

	snprintf(t.log + n, sizeof(t.log) - n, fmt, v);
}

static void note_data(const uint8_t *p, size_t n)
{
	struct msg_data m;
	struct reader r;
	unsigned i, u;

	assert_int_equal(msg_data_decode(&m, p, n), 0);
	if (!object_is_ram(m.object))
		return;
	r = reader_of(m.body.p, m.body.n);
	for (i = 0, p = m.body.p + 12 * m.extents; i < m.extents; i++) {
		uint64_t at = read_u64(&r) / PAGE_BYTES;
		uint32_t units = read_u32(&r);

		for (u = 0; u < units; u++) {
			if (m.codec == CODEC_ZERO) {
				note(" z:%u", (unsigned)at + u);
				continue;
			}
			note(" %c", *p);
			p += PAGE_BYTES;
		}
	}
}

/* Reads frames until the log is as wanted; fails as soon as it cannot become that any more. */
static void expect(const char *wanted)
{
	static uint8_t buf[FRAME_HEADER_BYTES + FRAME_PAYLOAD_MAX];
	struct pollfd fd = {.fd = t.out, .events = POLLIN};
	struct frame_header h;

	while (strcmp(t.log, wanted)) {
		if (strncmp(t.log, wanted, strlen(t.log)))
			fail_msg("what left is '%s', not '%s'", t.log, wanted);
		if (poll(&fd, 1, DEADLINE_MS) != 1)
			fail_msg("what left is '%s' and no more, not '%s'", t.log, wanted);
		assert_true(receive(buf, FRAME_HEADER_BYTES) && !frame_header_decode(&h, buf) &&
			    receive(buf + FRAME_HEADER_BYTES, h.length));
		if (h.type == MSG_DATA)
			note_data(buf + FRAME_HEADER_BYTES, h.length);
		else if (h.type == MSG_ROUND_END)
			strcat(t.log, " |");
	}
}

static void await(unsigned *counter)
{
	uint64_t until = now_ns() + DEADLINE_MS * 1000000ULL;

	while (!__atomic_load_n(counter, __ATOMIC_ACQUIRE)) {
		assert_true(now_ns() < until);
		poll(NULL, 0, 1);
	}
}

static void a_channel_waits_at_a_sync_point_until_all_have_come(void **state)
{
	struct buf b = {.n = 0};

	(void)state;
	begin();
	page(1, 0, 'a');
	sync_point(1);
	page(1, 0, 'c'); /* the same page's next version */
	expect(" a");
	page(2, 1, 'b');
	expect(" a b");
	sync_point(2);
	put_section(&b, 0x02);
	put_page(&b, 2, 'm');
	say(0, &b);
	expect(" a b m");
	b.n = 0;
	put_flush(&b);
	say(0, &b);
	expect(" a b m c");
	end();
}

static void the_main_channel_waits_at_a_sync_point(void **state)
{
	struct buf b = {.n = 0};

	(void)state;
	begin();
	put_section(&b, 0x02);
	put_page(&b, 0, 'm');
	put_flush(&b);
	put_page(&b, 1, 'n');
	put_eos(&b);
	say(0, &b);
	expect(" m");
	page(1, 1, 'a');
	sync_point(1);
	expect(" m a");
	page(2, 2, 'b');
	sync_point(2);
	expect(" m a b n");
	end();
}

static void zero_pages_of_multifd_leave_as_such(void **state)
{
	(void)state;
	begin();
	page(1, 3, 'a');
	page(1, 3, 0);
	page(1, 5, 0);
	expect(" a z:3 z:5");
	end();
}

static void a_round_ends_at_a_sync_point_between_the_pages_around_it(void **state)
{
	struct buf b = {.n = 0};

	(void)state;
	begin();
	page(1, 0, 'a');
	expect(" a");
	capture_cut_round(t.capture);
	page(2, 1, 'b');
	expect(" a b");
	sync_point(1);
	sync_point(2);
	put_section(&b, 0x02);
	put_page(&b, 2, 'm');
	put_flush(&b);
	put_page(&b, 3, 'n');
	put_eos(&b);
	say(0, &b);
	expect(" a b m | n");
	assert_int_equal(capture_rounds(t.capture), 2);
	end();
}

static void a_page_outside_its_block_ends_it(void **state)
{
	(void)state;
	begin();
	page(1, RAM_PAGES, 'a');
	await(&t.failed);
	assert_non_null(strstr(t.why.msg, "outside RAM block pc.ram"));
	end();
}

static void more_memory_than_can_be_ends_it(void **state)
{
	(void)state;
	ram_bytes = 1ULL << 60;
	begin();
	await(&t.failed);
	assert_non_null(strstr(t.why.msg, "0x1000000000000000 bytes of RAM blocks"));
	end();
	ram_bytes = RAM_PAGES * PAGE_BYTES;
}

/* The packet's head is read, or it is not, as that may have been waited for already. */
static void what_a_stall_leaves_in_qemu_s_sockets_is_known(void **state)
{
	uint64_t until = now_ns() + DEADLINE_MS * 1000000ULL, left;

	(void)state;
	begin();
	page(1, 0, 'a');
	expect(" a");
	assert_int_equal(capture_unread(t.capture), 0);
	capture_stall(t.capture, true);
	page(1, 1, 'b');
	do {
		assert_true(now_ns() < until);
		capture_stall(t.capture, true);
		poll(NULL, 0, 1);
		left = capture_unread(t.capture);
	} while (left != PAGE_BYTES && left != MULTIFD_PACKET_BYTES + PAGE_BYTES);
	capture_stall(t.capture, false);
	expect(" a b");
	assert_int_equal(capture_unread(t.capture), 0);
	end();
}

static void whatever_still_comes_is_read_until_the_connections_are_closed(void **state)
{
	unsigned i;
	int late;

	(void)state;
	begin();
	sync_point(1); /* the packet at which the capture would wait for the other channels */
	capture_stall(t.capture, true);
	assert_true(taken(t.qemu[1], 8 * MIB) < 8 * MIB);
	capture_drain(t.capture);
	for (i = 0; i <= MULTIFD; i++)
		assert_int_equal(taken(t.qemu[i], 8 * MIB), 8 * MIB);
	late = qemu_connect();
	assert_int_equal(taken(late, 8 * MIB), 8 * MIB);
	capture_stop(t.capture);
	for (i = 0; i <= MULTIFD; i++)
		assert_int_equal(taken(t.qemu[i], 1), 0);
	close(late);
	end();
}

/* The next word of the capture's to its keeper, and with it a copy or -1. */
static int next_word(int *fd)
{
	char byte, room[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
	struct iovec iov = {.iov_base = &byte, .iov_len = 1};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room)};
	ssize_t n;

	*fd = -1;
	do /* a ring of an earlier test that is still going away interrupts it */
		n = recvmsg(t.keeper[1], &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n != 1)
		return 0;
	if (CMSG_FIRSTHDR(&msg))
		memcpy(fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(*fd));
	return byte;
}

static bool has_ended(int fd)
{
	char byte;
	ssize_t n;

	do
		n = recv(fd, &byte, 1, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n == 0 || (n < 0 && errno == ECONNRESET);
}

static void what_ends_here_ends_for_whoever_has_copies(void **state)
{
	int copy[2 + MULTIFD], late, none;
	unsigned i;

	(void)state;
	begin();
	late = qemu_connect(); /* one connection more than it takes */
	for (i = 0; i < ARRAY_LEN(copy); i++) {
		assert_int_equal(next_word(&copy[i]), i ? KEEP_CONNECTION : KEEP_LISTENER);
		assert_true(copy[i] >= 0);
	}
	for (i = 0; i <= MULTIFD; i++)
		assert_false(has_ended(t.qemu[i]));
	capture_stop(t.capture);
	for (i = 0; i <= MULTIFD; i++)
		assert_true(has_ended(t.qemu[i]));
	assert_true(has_ended(late));
	assert_int_equal(next_word(&none), KEEP_NOTHING);
	assert_int_equal(none, -1);
	for (i = 0; i < ARRAY_LEN(copy); i++)
		close(copy[i]);
	close(late);
	end();
}

static int setup(void **state)
{
	(void)state;
	log_init("test", LOG_LEVEL_ERROR, 2);
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_channel_waits_at_a_sync_point_until_all_have_come),
		cmocka_unit_test(the_main_channel_waits_at_a_sync_point),
		cmocka_unit_test(zero_pages_of_multifd_leave_as_such),
		cmocka_unit_test(a_round_ends_at_a_sync_point_between_the_pages_around_it),
		cmocka_unit_test(a_page_outside_its_block_ends_it),
		cmocka_unit_test(more_memory_than_can_be_ends_it),
		cmocka_unit_test(what_a_stall_leaves_in_qemu_s_sockets_is_known),
		cmocka_unit_test(whatever_still_comes_is_read_until_the_connections_are_closed),
		cmocka_unit_test(what_ends_here_ends_for_whoever_has_copies),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
