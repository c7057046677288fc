/*
 * fuzz-qmp.c: libFuzzer on a QMP connection: the bytes of whatever is at the other end, from the greeting on.
 *
 * A byte 0xff in the input is none of them: what is behind it comes when what was before has been taken. However it goes, each request is
 * answered once, and the connection is lost at most once. How the bytes are cut does not matter to what the framer finds.
 */
#include "qmp.h"
#include "qmp-framer.h"
#include "seed.h"

#include <ctype.h>
#include <errno.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define QUESTIONS 3

struct feeder {
	struct timer timer;
	struct loop *loop;
	int to, at_client;
	const uint8_t *p;
	size_t n;
};

static struct {
	struct qmp *q;
	unsigned answers, closes;
} s;

/* ---- messages ---- */

/* True if the buffer may be the beginning of an incomplete message. */
static bool begins_like_one(const struct buffer *in)
{
	size_t i;

	for (i = 0; i < in->len && (isspace((unsigned char)in->data[i]) || !in->data[i]); i++)
		;
	return i == in->len || in->data[i] == '{';
}

/* Offsets of their ends, most bytes at a time; how many of them. */
static size_t ends_of(const uint8_t *p, size_t n, size_t most, size_t *ends, size_t room)
{
	struct framer f = {.at = 0};
	size_t count = 0, passed = 0, len;
	json_error_t why;
	ssize_t r = 0;

	for (; n && r >= 0; p += len, n -= len) {
		len = MIN(n, most);
		buffer_append(&f.in, p, len);
		while ((r = framer_scan(&f)) > 0) {
			require((size_t)r <= f.in.len && f.in.data[r - 1] != ' ');
			passed += (size_t)r;
			json_decref(framer_take(&f, (size_t)r, &why));
			if (count < room)
				ends[count++] = passed;
		}
		require(r < 0 || begins_like_one(&f.in));
	}
	free(f.in.data);
	return count;
}

static void try_framer(const uint8_t *p, size_t n)
{
	size_t whole[64], cut[64], k = ends_of(p, n, SIZE_MAX, whole, 64);

	require(ends_of(p, n, 1 + n % 7, cut, 64) == k && !memcmp(whole, cut, k * sizeof(*whole)));
}

/* ---- the connection ---- */

static void feed(struct timer *t)
{
	struct feeder *f = container_of(t, struct feeder, timer);
	uint8_t sink[4096];
	const uint8_t *end;
	int left;
	size_t n;

	while (recv(f->to, sink, sizeof(sink), MSG_DONTWAIT) > 0)
		;
	require(!ioctl(f->at_client, FIONREAD, &left));
	if (!left && !f->n) {
		shutdown(f->to, SHUT_WR);
		return;
	}
	if (!left) {
		end = memchr(f->p, 0xff, f->n);
		n = end ? (size_t)(end - f->p) : f->n;
		send(f->to, f->p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		f->p += n + (end != NULL);
		f->n -= n + (end != NULL);
	}
	loop_timer_set(f->loop, t, 0);
}

static void on_event(void *ctx, const char *name, json_t *data, uint64_t at_ns)
{
	(void)ctx, (void)data;
	require(name && !s.closes && at_ns && at_ns <= now_ns());
	if (s.q)
		qmp_event_realtime_ns(s.q);
}

static void on_closed(void *ctx, const struct err *why)
{
	(void)ctx;
	require(!s.closes++ && why->code > 0 && why->msg[0]);
}

static void on_answer(void *arg, json_t *ret, const struct err *e)
{
	unsigned *calls = arg;

	require(!*calls && !ret == !!e && (!e || (e->code > 0 && e->msg[0])));
	++*calls;
	s.answers++;
}

static const struct qmp_handlers handlers = {on_event, on_closed};

static void talk(struct qmp *q)
{
	unsigned calls[QUESTIONS] = {0};
	int major, minor, micro;
	char *text = NULL;
	json_t *ret;
	struct err e;
	size_t i;

	s.q = q;
	s.answers = 0;
	qmp_version(q, &major, &minor, &micro);
	for (i = 0; i < QUESTIONS; i++)
		qmp_send(q, "query-status", json_pack("{s:i}", "n", (int)i), 5000, on_answer, &calls[i]);
	if (!qmp_call_ms(q, 5000, "query-block", NULL, &ret, &e))
		json_decref(ret);
	if (!qmp_hmp(q, "info ramblock", &text, &e))
		require(text);
	free(text);
	qmp_drain(q, &(struct err){.code = 0});
	qmp_close(q);
	require(s.answers == QUESTIONS);
	s.q = NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct loop *loop;
	struct feeder f = {.timer.fire = feed, .p = p, .n = n};
	struct qmp *q;
	struct err e;
	int fd[2];

	if (!loop)
		require(!loop_new(&loop, 64, &e));
	try_framer(p, n);
	require(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
	f.loop = loop;
	f.to = fd[1];
	f.at_client = fd[0];
	s.closes = 0;
	loop_timer_set(loop, &f.timer, 0);
	if (!qmp_open_fd(&q, loop, fd[0], "fuzz", 5000, &handlers, NULL, &e))
		talk(q);
	else
		require(e.code > 0 && e.code != EBUSY && e.msg[0] && !s.closes);
	loop_timer_clear(loop, &f.timer);
	close(fd[1]);
	return 0;
}

/* ---- seeds ---- */

static const char talks[] =
	"{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 2, \"minor\": 0, \"major\": 10}, \"package\": \"\"}, \"capabilities\": [\"oob\"]}}\r\n\xff"
	"{\"return\": {}, \"id\": 1}\r\n\xff"
	"{\"timestamp\": {\"seconds\": 1700000000, \"microseconds\": 5}, \"event\": \"STOP\"}\n{\"return\": {\n  \"status\": \"}\\\"\"}, \"id\": 2}"
	"{\"id\": 3, \"error\": {\"class\": \"GenericError\", \"desc\": \"no\"}}\xff{\"event\": \"X\", \"data\": [1]} {\"return\": [], \"id\": 5}"
	"{\"return\": 1, \"id\": 4}\xff{\"return\": \"a b\", \"id\": 6}";

ONE_SEED(talks)
