/*
 * test-qmp.c: the QMP client against a scripted server in a thread of its own, and against a real
 * QEMU.
 *
 * A script is a function that plays the server on one accepted connection.
 */
#include "loop.h"
#include "process.h"
#include "qemu-launch.h"
#include "qmp.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cmocka.h>

#define GREETING                                                                                                                           \
	"{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 2, \"minor\": 0, \"major\": 10}, "                                                 \
	"\"package\": \"\"}, "                                                                                                             \
	"\"capabilities\": [\"oob\"]}}\r\n"

struct server {
	char dir[32], path[64];
	int listen_fd, fd;
	void (*script)(struct server *s);
	pthread_t thread;
	bool threaded;
	long id[8]; /* ids of the commands read, in order */
	unsigned count;
	size_t longest;
};

struct heard {
	unsigned events, closed, replies;
	char last[32];
	int code; /* code of closed, or of the last reply */
	char msg[ERR_MAX];
	uint64_t at_ns;
	long value;
	struct qmp *q;
	struct err nested;
};

static struct loop *loop;

/* The server's side */

static void say_bytes(struct server *s, const char *data, size_t len)
{
	ssize_t n;

	while (len && (n = send(s->fd, data, len, MSG_NOSIGNAL)) > 0) {
		data += n;
		len -= (size_t)n;
	}
}

static void say(struct server *s, const char *text)
{
	say_bytes(s, text, strlen(text));
}

/* Reads until the end of a command line, perhaps more than one command; false at the end of the
 * connection. */
static bool hear(struct server *s)
{
	size_t len = 0, size = 1 << 16;
	AUTO_FREE char *line = xmalloc(size);
	const char *id;
	ssize_t n;

	do {
		if (len + 1 == size)
			line = xrealloc(line, size *= 2);
		n = recv(s->fd, line + len, MIN(size - len - 1, (size_t)65536), 0);
		if (n <= 0)
			return false;
		len += (size_t)n;
	} while (line[len - 1] != '\n');
	line[len] = '\0';
	s->longest = MAX(s->longest, len);
	for (id = line; (id = strstr(id, "\"id\":")); id += 5)
		s->id[s->count++ % ARRAY_LEN(s->id)] = strtol(id + 5, NULL, 10);
	return true;
}

static void answer(struct server *s, unsigned which, const char *value)
{
	AUTO_FREE char *text = xasprintf("{\"return\": %s, \"id\": %ld}\r\n", value, s->id[which]);

	say(s, text);
}

/* Greeting and qmp_capabilities, as every script that gets that far starts. */
static void negotiate(struct server *s)
{
	say(s, GREETING);
	if (hear(s))
		answer(s, 0, "{}");
}

static void until_closed(struct server *s)
{
	char c[256];

	while (recv(s->fd, c, sizeof(c), 0) > 0)
		;
}

static void *serve(void *arg)
{
	struct server *s = arg;

	s->fd = accept(s->listen_fd, NULL, NULL);
	if (s->fd >= 0) {
		s->script(s);
		close(s->fd);
	}
	return NULL;
}

static void server_listen(struct server *s, int backlog)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	memset(s, 0, sizeof(*s));
	strcpy(s->dir, "/tmp/vmferry-qmp-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	snprintf(s->path, sizeof(s->path), "%s/qmp", s->dir);
	memcpy(sa.sun_path, s->path, strlen(s->path) + 1);
	s->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->listen_fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(s->listen_fd, backlog), 0);
}

static void server_start(struct server *s, void (*script)(struct server *))
{
	server_listen(s, 4);
	s->script = script;
	s->threaded = true;
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void server_stop(struct server *s)
{
	if (s->threaded) {
		shutdown(s->listen_fd, SHUT_RDWR);
		pthread_join(s->thread, NULL);
	}
	close(s->listen_fd);
	unlink(s->path);
	rmdir(s->dir);
}

/* The client's side */

static void on_event(void *ctx, const char *name, json_t *data, uint64_t at_ns)
{
	struct heard *h = ctx;

	(void)data;
	h->events++;
	h->at_ns = at_ns;
	snprintf(h->last, sizeof(h->last), "%s", name);
}

static void on_closed(void *ctx, const struct err *why)
{
	struct heard *h = ctx;

	h->closed++;
	h->code = why->code;
	memcpy(h->msg, why->msg, sizeof(h->msg));
}

static const struct qmp_handlers handlers = {.event = on_event, .closed = on_closed};

static void on_reply(void *arg, json_t *ret, const struct err *e)
{
	struct heard *h = arg;

	h->replies++;
	h->code = e ? e->code : 0;
	h->value = (long)json_integer_value(ret);
}

static struct qmp *must_open(struct server *s, struct heard *h)
{
	struct qmp *q = NULL;
	struct err e = {.code = 0};

	memset(h, 0, sizeof(*h));
	if (qmp_open(&q, loop, s->path, 5000, &handlers, h, &e) < 0)
		fail_msg("%s", e.msg);
	h->q = q;
	return q;
}

static void pump_until(const unsigned *counter, unsigned value)
{
	uint64_t until = now_ns() + 5000000000ULL;
	struct err e;

	while (*counter < value && now_ns() < until)
		assert_int_equal(loop_step(loop, 100, &e), 0);
	assert_int_equal(*counter, value);
}

static int setup(void **state)
{
	struct err e;

	(void)state;
	return loop_new(&loop, 64, &e);
}

static int teardown(void **state)
{
	(void)state;
	loop_free(loop);
	return 0;
}

/* Opening */

static void plain_script(struct server *s)
{
	negotiate(s);
	until_closed(s);
}

static void open_negotiates_and_knows_version_and_peer(void **state)
{
	int major, minor, micro;
	struct server s;
	struct heard h;
	struct qmp *q;

	(void)state;
	server_start(&s, plain_script);
	q = must_open(&s, &h);
	qmp_version(q, &major, &minor, &micro);
	assert_int_equal(major, 10);
	assert_int_equal(minor, 0);
	assert_int_equal(micro, 2);
	assert_int_equal(qmp_peer_pid(q), getpid());
	assert_true(qmp_alive(q));
	qmp_close(q);
	assert_int_equal(h.closed, 0);
	server_stop(&s);
}

static void expect_open_fails_within(int timeout_ms, const char *path, int code, const char *text)
{
	struct heard h = {.events = 0};
	struct err e = {.code = 0};
	struct qmp *q = NULL;

	assert_int_equal(qmp_open(&q, loop, path, timeout_ms, &handlers, &h, &e), -code);
	assert_null(q);
	if (!strstr(e.msg, text))
		fail_msg("\"%s\" is not in: %s", text, e.msg);
	assert_int_equal(h.closed, 0);
}

/* Opens a connection that must fail so. The peer may answer late on a busy machine. */
static void expect_open_fails(const char *path, int code, const char *text)
{
	expect_open_fails_within(10000, path, code, text);
}

static void silent_script(struct server *s)
{
	until_closed(s);
}

static void silent_monitor_is_reported_as_occupied(void **state)
{
	struct server s;

	(void)state;
	server_start(&s, silent_script);
	expect_open_fails_within(200, s.path, EBUSY, "another client occupies the QMP monitor");
	server_stop(&s);
	server_listen(&s, 4); /* the socket listens, but nobody accepts */
	expect_open_fails_within(200, s.path, EBUSY, "another client occupies the QMP monitor");
	server_stop(&s);
}

static void full_queue_of_clients_is_reported_as_occupied(void **state)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct server s;
	int fd[8];
	size_t i;

	(void)state;
	server_listen(&s, 0);
	memcpy(sa.sun_path, s.path, strlen(s.path) + 1);
	for (i = 0; i < ARRAY_LEN(fd); i++) {
		fd[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		connect(fd[i], (struct sockaddr *)&sa, sizeof(sa));
	}
	expect_open_fails_within(200, s.path, EBUSY, "another client occupies the QMP monitor");
	for (i = 0; i < ARRAY_LEN(fd); i++)
		close(fd[i]);
	server_stop(&s);
}

static void missing_or_dead_monitor_is_named(void **state)
{
	char longer[200];
	struct server s;

	(void)state;
	expect_open_fails("/tmp/vmferry-no-such.qmp", ENOENT, "/tmp/vmferry-no-such.qmp");
	server_listen(&s, 1);
	close(s.listen_fd);
	expect_open_fails(s.path, ECONNREFUSED, s.path);
	server_stop(&s);
	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	expect_open_fails(longer, ENAMETOOLONG, "107 bytes");
}

static void http_script(struct server *s)
{
	say(s, "HTTP/1.1 400 Bad Request\r\n\r\n");
	until_closed(s);
}

static void other_json_script(struct server *s)
{
	say(s, "{\"hello\": 1}\n");
	until_closed(s);
}

static void leaving_script(struct server *s)
{
	say(s, "{\"QMP\": {\"vers");
}

static void leaving_later_script(struct server *s)
{
	say(s, GREETING);
	hear(s);
}

static void eager_script(struct server *s)
{
	say(s, "{\"timestamp\": {\"seconds\": 1, \"microseconds\": 2}, \"event\": \"RESUME\"}\r\n");
	negotiate(s);
	until_closed(s);
}

static void an_event_before_the_greeting_is_no_harm(void **state)
{
	struct server s;
	struct qmp *q;
	struct err e;

	(void)state;
	server_start(&s, eager_script);
	assert_int_equal(qmp_open(&q, loop, s.path, 5000, NULL, NULL, &e), 0);
	qmp_close(q);
	server_stop(&s);
}

static void another_s_connection_will_do(void **state)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	struct server s;
	struct qmp *q;
	struct err e;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), other = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	(void)state;
	server_start(&s, eager_script);
	strcpy(to.sun_path, s.path);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	assert_int_equal(qmp_open_fd(&q, loop, fd, "far away", 5000, NULL, NULL, &e), 0);
	assert_int_equal(qmp_peer_pid(q), 0);
	qmp_close(q);
	server_stop(&s);
	/* the connection is closed after an error, too */
	shutdown(other, SHUT_RDWR);
	assert_int_equal(qmp_open_fd(&q, loop, other, "far away", 5000, NULL, NULL, &e), -EPIPE);
	assert_non_null(strstr(e.msg, "far away"));
	assert_int_equal(fcntl(other, F_GETFD), -1);
}

static void bad_greetings_are_told_apart(void **state)
{
	static const struct {
		void (*script)(struct server *);
		int code;
		const char *text;
	} cases[] = {
		{http_script, EPROTO, "not QMP"},
		{other_json_script, EPROTO, "not a QMP greeting"},
		{leaving_script, EPIPE, "QEMU closed it"},
		{leaving_later_script, EPIPE, "QEMU closed it"},
	};
	struct server s;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		server_start(&s, cases[i].script);
		expect_open_fails(s.path, cases[i].code, cases[i].text);
		server_stop(&s);
	}
}

/* Replies and events */

static void dripping_script(struct server *s)
{
	AUTO_FREE char *text = NULL;
	const char *p;

	negotiate(s);
	hear(s);
	text = xasprintf("{\n    \"return\": {\n        \"a\": \"}{\\\"]\",\n        \"n\": [1, "
			 "{\"x\": 7}]\n    },\n"
			 "    \"id\": %ld\n}\n",
			 s->id[1]);
	for (p = text; *p; p++)
		say_bytes(s, p, 1);
	until_closed(s);
}

static void reply_in_single_bytes_and_over_many_lines_is_one_reply(void **state)
{
	struct err e = {.code = 0};
	struct server s;
	struct heard h;
	struct qmp *q;
	json_t *ret;

	(void)state;
	server_start(&s, dripping_script);
	q = must_open(&s, &h);
	assert_int_equal(qmp_call(q, "query-x", NULL, &ret, &e), 0);
	assert_string_equal(json_string_value(json_object_get(ret, "a")), "}{\"]");
	assert_int_equal(json_array_size(json_object_get(ret, "n")), 2);
	json_decref(ret);
	qmp_close(q);
	server_stop(&s);
}

static void events_script(struct server *s)
{
	size_t i, n = 0, size = 1 << 20;
	AUTO_FREE char *text = xmalloc(size);

	negotiate(s);
	for (i = 0; i < 5000; i++)
		n += (size_t)snprintf(text + n, size - n, "{\"event\": \"E%zu\", \"timestamp\": {\"seconds\": 1}}\r\n", i);
	say_bytes(s, text, n);
	until_closed(s);
}

static void many_events_in_one_write_all_arrive_in_order(void **state)
{
	uint64_t before = now_ns();
	struct server s;
	struct heard h;
	struct qmp *q;

	(void)state;
	server_start(&s, events_script);
	q = must_open(&s, &h);
	pump_until(&h.events, 5000);
	assert_string_equal(h.last, "E4999");
	assert_true(h.at_ns > before && h.at_ns <= now_ns());
	qmp_close(q);
	server_stop(&s);
}

static void crossed_script(struct server *s)
{
	negotiate(s);
	while (s->count < 3 && hear(s))
		;
	answer(s, 2, "22");
	answer(s, 1, "11");
	until_closed(s);
}

static void replies_are_matched_by_id(void **state)
{
	struct heard h, a = {.replies = 0}, b = {.replies = 0};
	struct server s;
	struct qmp *q;

	(void)state;
	server_start(&s, crossed_script);
	q = must_open(&s, &h);
	qmp_send(q, "one", NULL, 5000, on_reply, &a);
	qmp_send(q, "two", NULL, 5000, on_reply, &b);
	assert_int_equal(a.replies + b.replies, 0);
	pump_until(&a.replies, 1);
	pump_until(&b.replies, 1);
	assert_int_equal(a.value, 11);
	assert_int_equal(b.value, 22);
	qmp_close(q);
	server_stop(&s);
}

static void refusing_script(struct server *s)
{
	AUTO_FREE char *text = NULL;

	negotiate(s);
	hear(s);
	text = xasprintf("{\"id\": %ld, \"error\": {\"class\": \"GenericError\", \"desc\": \"no way\"}}\r\n", s->id[1]);
	say(s, text);
	until_closed(s);
}

static void refusal_carries_command_and_reason(void **state)
{
	struct err e = {.code = 0};
	struct server s;
	struct heard h;
	struct qmp *q;

	(void)state;
	server_start(&s, refusing_script);
	q = must_open(&s, &h);
	assert_int_equal(qmp_call(q, "migrate", NULL, NULL, &e), -EREMOTEIO);
	assert_string_equal(e.msg, "QEMU refused migrate: no way");
	assert_true(qmp_alive(q));
	qmp_close(q);
	server_stop(&s);
}

static void late_script(struct server *s)
{
	negotiate(s);
	while (s->count < 3 && hear(s))
		;
	answer(s, 1, "1");
	answer(s, 2, "2");
	until_closed(s);
}

static void late_reply_is_dropped_and_the_next_one_counts(void **state)
{
	struct err e = {.code = 0};
	struct server s;
	struct heard h;
	struct qmp *q;
	json_t *ret;

	(void)state;
	server_start(&s, late_script);
	q = must_open(&s, &h);
	assert_int_equal(qmp_call_ms(q, 30, "slow", NULL, NULL, &e), -ETIMEDOUT);
	assert_string_equal(e.msg, "QEMU did not answer slow within 30 ms");
	assert_int_equal(qmp_call(q, "quick", NULL, &ret, &e), 0);
	assert_int_equal(json_integer_value(ret), 2);
	json_decref(ret);
	qmp_close(q);
	server_stop(&s);
}

static void slow_reader_script(struct server *s)
{
	negotiate(s);
	hear(s);
	answer(s, 1, "{}");
	until_closed(s);
}

static void command_larger_than_the_socket_buffer_is_sent_whole(void **state)
{
	size_t size = 6 << 20;
	AUTO_FREE char *big = xmalloc(size + 1);
	struct err e = {.code = 0};
	struct server s;
	struct heard h;
	struct qmp *q;

	(void)state;
	memset(big, 'x', size);
	big[size] = '\0';
	server_start(&s, slow_reader_script);
	q = must_open(&s, &h);
	assert_int_equal(qmp_call(q, "big", json_pack("{s:s}", "a", big), NULL, &e), 0);
	qmp_close(q);
	server_stop(&s);
	assert_true(s.longest > size);
}

/* Losing it */

static void dying_script(struct server *s)
{
	negotiate(s);
	while (s->count < 3 && hear(s))
		;
	say(s, "{\"event\": \"SHUTDOWN\"}\r\n{\"return\": {\"a");
}

static void death_in_mid_reply_answers_all_and_is_told_once(void **state)
{
	struct heard h, a = {.replies = 0}, b = {.replies = 0}, c = {.replies = 0};
	struct err e = {.code = 0};
	struct server s;
	struct qmp *q;

	(void)state;
	server_start(&s, dying_script);
	q = must_open(&s, &h);
	qmp_send(q, "one", NULL, 5000, on_reply, &a);
	qmp_send(q, "two", NULL, 5000, on_reply, &b);
	pump_until(&h.closed, 1);
	assert_int_equal(h.events, 1);
	assert_string_equal(h.last, "SHUTDOWN");
	assert_int_equal(a.code, EPIPE);
	assert_int_equal(b.code, EPIPE);
	assert_int_equal(a.replies + b.replies, 2);
	assert_false(qmp_alive(q));
	/* from now on every command fails, but never inside qmp_send */
	qmp_send(q, "three", NULL, 5000, on_reply, &c);
	assert_int_equal(c.replies, 0);
	pump_until(&c.replies, 1);
	assert_int_equal(c.code, EPIPE);
	assert_int_equal(qmp_call(q, "four", NULL, NULL, &e), -EPIPE);
	assert_int_equal(h.closed, 1);
	qmp_close(q);
	server_stop(&s);
}

static void garbage_script(struct server *s)
{
	negotiate(s);
	hear(s);
	say(s, "{\"event\": \"A\"}\r\n{\"return\": nonsense}\r\n{\"event\": \"B\"}\r\n");
	until_closed(s);
}

static void raw_garbage_script(struct server *s)
{
	negotiate(s);
	hear(s);
	say_bytes(s, "\0\377xx", 4);
	until_closed(s);
}

static void endless_script(struct server *s)
{
	char chunk[65536];
	size_t sent;

	negotiate(s);
	hear(s);
	memset(chunk, 'a', sizeof(chunk));
	say(s, "{\"return\": \"");
	for (sent = 0; sent < QMP_MESSAGE_MAX + (1 << 20); sent += sizeof(chunk))
		say_bytes(s, chunk, sizeof(chunk));
	until_closed(s);
}

static void neither_script(struct server *s)
{
	negotiate(s);
	hear(s);
	say(s, "{\"a\": 1}");
	until_closed(s);
}

static void nonsense_ends_the_connection_with_the_reason(void **state)
{
	static const struct {
		void (*script)(struct server *);
		int code;
		const char *text;
		unsigned events;
	} cases[] = {
		{garbage_script, EPROTO, "not JSON", 1},
		{raw_garbage_script, EPROTO, "not QMP", 0},
		{endless_script, EMSGSIZE, "16 MiB", 0},
		{neither_script, EPROTO, "neither event nor reply", 0},
	};
	struct server s;
	struct heard h;
	struct qmp *q;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		server_start(&s, cases[i].script);
		q = must_open(&s, &h);
		qmp_send(q, "go", NULL, 5000, NULL, NULL);
		pump_until(&h.closed, 1);
		assert_int_equal(h.code, cases[i].code);
		assert_non_null(strstr(h.msg, cases[i].text));
		assert_int_equal(h.events, cases[i].events);
		qmp_close(q);
		server_stop(&s);
	}
}

static void close_answers_what_is_pending(void **state)
{
	struct heard h, a = {.replies = 0};
	struct server s;
	struct qmp *q;

	(void)state;
	server_start(&s, plain_script);
	q = must_open(&s, &h);
	qmp_send(q, "one", NULL, 5000, on_reply, &a);
	qmp_close(q);
	assert_int_equal(a.replies, 1);
	assert_int_equal(a.code, ECANCELED);
	assert_int_equal(h.closed, 0);
	qmp_close(NULL);
	server_stop(&s);
}

/* Reentrancy */

static void echo_script(struct server *s)
{
	negotiate(s);
	while (hear(s)) {
		AUTO_FREE char *value = xasprintf("%u", s->count);

		answer(s, (s->count - 1) % ARRAY_LEN(s->id), value);
	}
}

static void send_again(void *arg, json_t *ret, const struct err *e)
{
	struct heard *h = arg;

	assert_null(e);
	h->value = (long)json_integer_value(ret);
	if (++h->replies < 3)
		qmp_send(h->q, "next", NULL, 5000, send_again, h);
}

static void call_inside(void *arg, json_t *ret, const struct err *e)
{
	struct heard *h = arg;
	json_t *inner;

	assert_null(e);
	assert_int_equal(json_integer_value(ret), 2);
	assert_int_equal(qmp_call(h->q, "inner", NULL, &inner, &h->nested), 0);
	h->value = (long)json_integer_value(inner);
	json_decref(inner);
	h->replies++;
}

static void send_on_error(void *arg, json_t *ret, const struct err *e)
{
	struct heard *h = arg;

	assert_null(ret);
	h->code = e->code;
	h->replies++;
	if (h->replies == 1)
		qmp_send(h->q, "again", NULL, 5000, send_on_error, h);
}

static void callbacks_may_send_and_even_wait(void **state)
{
	struct server s;
	struct heard h;
	struct qmp *q;

	(void)state;
	server_start(&s, echo_script);
	q = must_open(&s, &h);
	qmp_send(q, "first", NULL, 5000, send_again, &h);
	pump_until(&h.replies, 3);
	assert_int_equal(h.value, 4);
	qmp_close(q);
	server_stop(&s);

	server_start(&s, echo_script);
	q = must_open(&s, &h);
	qmp_send(q, "outer", NULL, 5000, call_inside, &h);
	pump_until(&h.replies, 1);
	assert_int_equal(h.value, 3);
	qmp_send(q, "pending", NULL, 5000, NULL, NULL);
	qmp_close(q);
	server_stop(&s);
}

static void callbacks_may_send_while_all_fails(void **state)
{
	struct server s;
	struct heard h;
	struct qmp *q;

	(void)state;
	server_start(&s, plain_script);
	q = must_open(&s, &h);
	qmp_send(q, "one", NULL, 5000, send_on_error, &h);
	qmp_close(q);
	assert_int_equal(h.replies, 2);
	assert_int_equal(h.code, ECANCELED);
	server_stop(&s);
}

/* A real QEMU */

static const char *find_qemu(void)
{
	static const char *const places[] = {"build/qemu/bin/qemu-system-x86_64", "/usr/bin/qemu-system-x86_64"};
	const char *given = getenv("VMFERRY_QEMU");
	size_t i;

	if (given)
		return given;
	for (i = 0; i < ARRAY_LEN(places); i++)
		if (access(places[i], X_OK) == 0)
			return places[i];
	return NULL;
}

static void real_qemu_answers_and_its_death_is_noticed(void **state)
{
	char dir[] = "/tmp/vmferry-qmp-XXXXXX";
	struct qemu_proc p = QEMU_PROC_NONE;
	struct heard h = {.events = 0};
	struct err e = {.code = 0};
	struct qmp *q, *second = NULL;
	char *text;

	(void)state;
	if (!find_qemu()) {
		print_message("skipped: no qemu-system-x86_64 (scripts/install-deps)\n");
		skip();
	}
	assert_non_null(mkdtemp(dir));
	{
		AUTO_FREE char *exe = realpath(find_qemu(), NULL);
		AUTO_FREE char *path = xasprintf("%s/qmp", dir);
		AUTO_FREE char *monitor = xasprintf("unix:%s,server=on,wait=off", path);
		char *argv[] = {"qemu-system-x86_64", "-M",   "q35",	     "-accel", "tcg",	"-m", "32",
				"-display",	      "none", "-nodefaults", "-qmp",   monitor, NULL};

		if (qemu_launch(&p, exe, argv, NULL, NULL, NULL, NULL, &e) < 0)
			fail_msg("%s", e.msg);
		if (qemu_launch_wait_qmp(&p, loop, path, 20000, &handlers, &h, &q, &e) < 0)
			fail_msg("%s", e.msg);
		assert_int_equal(qmp_peer_pid(q), p.pid);
		assert_int_equal(qmp_open(&second, loop, path, 300, NULL, NULL, &e), -EBUSY);
		assert_int_equal(qmp_hmp(q, "info version", &text, &e), 0);
		assert_true(strlen(text) > 3);
		free(text);
		assert_int_equal(qmp_call(q, "no-such-command", NULL, NULL, &e), -EREMOTEIO);
		assert_non_null(strstr(e.msg, "QEMU refused no-such-command: "));
		assert_int_equal(qmp_call(q, "stop", NULL, NULL, &e), 0);
		pump_until(&h.events, 1);
		assert_string_equal(h.last, "STOP");
		/* the second client is served as soon as the first is gone */
		qmp_close(q);
		if (qmp_open(&q, loop, path, 5000, &handlers, &h, &e) < 0)
			fail_msg("%s", e.msg);
		kill(p.pid, SIGKILL);
		pump_until(&h.closed, 1);
		assert_int_equal(h.code, EPIPE);
		qmp_close(q);
		qemu_end(&p);
		unlink(path);
		rmdir(dir);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(open_negotiates_and_knows_version_and_peer),
		cmocka_unit_test(silent_monitor_is_reported_as_occupied),
		cmocka_unit_test(full_queue_of_clients_is_reported_as_occupied),
		cmocka_unit_test(missing_or_dead_monitor_is_named),
		cmocka_unit_test(an_event_before_the_greeting_is_no_harm),
		cmocka_unit_test(another_s_connection_will_do),
		cmocka_unit_test(bad_greetings_are_told_apart),
		cmocka_unit_test(reply_in_single_bytes_and_over_many_lines_is_one_reply),
		cmocka_unit_test(many_events_in_one_write_all_arrive_in_order),
		cmocka_unit_test(replies_are_matched_by_id),
		cmocka_unit_test(refusal_carries_command_and_reason),
		cmocka_unit_test(late_reply_is_dropped_and_the_next_one_counts),
		cmocka_unit_test(command_larger_than_the_socket_buffer_is_sent_whole),
		cmocka_unit_test(death_in_mid_reply_answers_all_and_is_told_once),
		cmocka_unit_test(nonsense_ends_the_connection_with_the_reason),
		cmocka_unit_test(close_answers_what_is_pending),
		cmocka_unit_test(callbacks_may_send_and_even_wait),
		cmocka_unit_test(callbacks_may_send_while_all_fails),
		cmocka_unit_test(real_qemu_answers_and_its_death_is_noticed),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("qmp", tests, setup, teardown);
}
