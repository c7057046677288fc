/*
 * fuzz-channel-frames.c: libFuzzer on a channel's receiving half, over a socket pair and the real loop.
 *
 * The handler pauses, answers and refuses as the payloads say, and half of the inputs are cut somewhere, and go on over another
 * connection. However it goes: no frame is delivered after something wrong, and the channel is closed exactly once, or its
 * last connection lost.
 */
#include "conn-link.h"
#include "script.h"
#include "seed.h"

#include <stdio.h>
#include <sys/socket.h>

struct state {
	unsigned frames, closes, lost, good;
};

static int on_frame(void *ctx, struct channel *c, uint16_t type, const uint8_t *p, size_t n, struct err *e)
{
	struct state *s = ctx;
	size_t i;

	(void)type;
	require(!s->closes && !s->lost);
	require(++s->frames <= s->good);
	for (i = 0; i < n; i++)
		(void)*(const volatile uint8_t *)&p[i];
	switch (n ? p[0] % 8 : 7) {
	case 0:
		channel_pause(c);
		break;
	case 1:
		channel_post(c, MSG_APPLIED, p, MIN(n, 64));
		break;
	case 2:
		channel_pause(c);
		channel_resume(c);
		break;
	case 3:
		return n > 20 ? err_set(e, 1, "refused") : 0;
	}
	return 0;
}

static void on_closed(void *ctx, struct channel *c, const struct err *why)
{
	struct state *s = ctx;

	require(!channel_open(c) && why->code > 0 && why->msg[0]);
	s->closes++;
}

static void on_lost(void *ctx, struct channel *c, const struct err *why)
{
	struct state *s = ctx;

	require(channel_open(c) && !s->closes && why->code > 0 && why->msg[0]);
	s->lost++;
}

static void feed(struct loop *loop, int fd, struct channel *c, const struct state *s, const uint8_t *b, size_t n)
{
	uint64_t until = now_ns() + 10000000000ULL;
	uint8_t sink[65536];
	bool shut = false;
	struct err e;

	while (!s->closes && !s->lost) {
		ssize_t k = n ? send(fd, b, n, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;

		if (k > 0) {
			b += k;
			n -= (size_t)k;
		}
		if (!n && !shut) {
			shutdown(fd, SHUT_WR);
			shut = true;
		}
		while (recv(fd, sink, sizeof(sink), MSG_DONTWAIT) > 0)
			;
		require(!loop_step(loop, 1, &e));
		channel_resume(c);
		require(now_ns() < until);
	}
}

/* Whether it goes on. */
static bool reconnect(struct loop *loop, struct channel *c, struct state *s, int fd[2], uint64_t peer_received)
{
	uint64_t received;
	struct err e;

	close(fd[1]);
	require(!channel_detach(c, 1, &received, &e) && received >= s->frames);
	require(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
	if (channel_attach(c, conn_link_new(loop, (struct link){.fd = fd[0]}), 1, peer_received, &e))
		return false;
	s->lost = 0;
	return true;
}

/* Frames that are paused at, answered and refused, and one that is unknown. */
static const char seed[] = "\1\0\10\0abcdefg\2\0\4\1abc\3\0\1\2\4\0\2\3a\36\0\2ab\5\0\25\3bcdefghijklmnopqrstu";

ONE_SEED(seed)

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static uint8_t bytes[SCRIPT_BYTES_MAX];
	static struct loop *loop;
	struct state s = {0};
	struct channel_config cfg = {.number = 3, .window_bytes = 65536, .on = {.frame = on_frame, .closed = on_closed}, .ctx = &s};
	struct channel *c;
	struct err e;
	size_t len, cut;
	bool twice = n && p[n - 1] & 1;
	int fd[2];
	unsigned i;

	if (!loop)
		require(!loop_new(&loop, 64, &e));
	len = cut = script_play(p, n, cfg.number, bytes, &s.good);
	if (twice) {
		cfg.on.lost = on_lost;
		cut = len * p[n - 1] / 255;
	}
	require(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
	c = channel_over(loop, (struct link){.fd = fd[0]}, &cfg);
	for (i = 0; i < 3; i++) /* something to acknowledge */
		channel_post(c, MSG_APPLIED, "12345678", 8);
	feed(loop, fd[1], c, &s, bytes, cut);
	if (s.lost && reconnect(loop, c, &s, fd, p[0] % 6)) /* more than it sent, sometimes */
		feed(loop, fd[1], c, &s, bytes + cut, len - cut);
	channel_free(c);
	require(s.closes + s.lost == 1 && (twice || s.closes));
	close(fd[1]);
	return 0;
}
