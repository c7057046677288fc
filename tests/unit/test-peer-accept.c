/* test-peer-accept.c: the door: who is let in, who is told why not, and who has to go when too many come. */
#include "log.h"
#include "net.h"
#include "peer-accept.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#define TOKEN "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define MANY  300
#define MS    10000

static const struct tls_key key = {"host-a", {1, 2, 3}};

struct fixture {
	struct access access;
	struct door *door;
	int listen_fd, log_fd;
	char port[8];
	struct link in; /* link of the last peer that was let in */
	struct hello hello;
	unsigned entered;
};

static int wanted(void *ctx, const struct hello *theirs, struct err *e)
{
	(void)ctx;
	return theirs->channel > 9 ? err_set(e, EPERM, "there is no channel %u", theirs->channel) : 0;
}

static void enter(void *ctx, struct link *link, const struct hello *theirs)
{
	struct fixture *f = ctx;

	link_forget(&f->in);
	f->in = *link;
	f->hello = *theirs;
	f->entered++;
}

static void open_door(struct fixture *f, const struct tls_key *keys, unsigned timeout_ms)
{
	struct door_config dc = {.access = &f->access, .timeout_ms = timeout_ms, .wanted = wanted, .enter = enter, .ctx = f};
	char name[] = "/tmp/vmferry-door-XXXXXX";
	struct err e;

	*f = (struct fixture){.access = {.keys = keys, .key_count = keys != NULL, .token = keys ? "" : TOKEN}, .in = LINK_NONE};
	f->log_fd = mkstemp(name);
	unlink(name);
	log_init("test", LOG_LEVEL_ERROR, f->log_fd);
	assert_int_equal(net_listen("127.0.0.1", (struct net_ports){0, 0}, false, &f->listen_fd, NULL, &e), 0);
	snprintf(f->port, sizeof(f->port), "%d", net_local_port(f->listen_fd));
	assert_int_equal(door_new(&f->door, f->listen_fd, &dc, &e), 0);
}

static void close_door(struct fixture *f)
{
	door_free(f->door);
	link_forget(&f->in);
	close(f->listen_fd);
	log_init("test", LOG_LEVEL_ERROR, 2);
	close(f->log_fd);
}

/* Until nothing more is to be done, or for so long. */
static void attend(struct fixture *f, int ms)
{
	struct pollfd p = {.fd = door_fd(f->door), .events = POLLIN};

	while (poll(&p, 1, ms) == 1)
		door_step(f->door);
}

static struct link come(struct fixture *f)
{
	struct link l = LINK_NONE;
	struct err e;

	assert_int_equal(net_connect("127.0.0.1", f->port, false, MS, &l.fd, &e), 0);
	return l;
}

static struct hello say_hello(struct link *l, unsigned channel)
{
	struct hello mine = {.session = "0123456789abcde", .channel = channel};
	AUTO_FREE char *way = net_way(l->fd, false);
	struct err e;

	hello_begin(&mine);
	if (!l->tls)
		snprintf(mine.way, sizeof(mine.way), "%s", way);
	assert_int_equal(hello_send(l, &mine, MS, &e), 0);
	return mine;
}

static void expect_refusal(struct link *l, const char *words)
{
	struct hello theirs;
	struct err e;

	assert_true(hello_receive(l, &theirs, MS, &e) < 0);
	if (!strstr(e.msg, words))
		fail_msg("it says: %s", e.msg);
	assert_null(strstr(e.msg, TOKEN)); /* a refused peer is never told where things lie here */
	assert_null(strchr(e.msg, '/'));
	link_close(l);
}

/* A source's whole part, with the door attended to after each word. */
static void enter_with(struct fixture *f, const char *token, enum hello_side side, bool welcome)
{
	struct link l = come(f);
	struct hello mine = say_hello(&l, 3), theirs;
	uint8_t proof[HELLO_PROOF_BYTES];
	unsigned before = f->entered;
	struct err e;

	attend(f, 20);
	assert_int_equal(hello_receive(&l, &theirs, MS, &e), 0);
	assert_true(theirs.proves && hello_proof_is(theirs.proof, HELLO_DESTINATION, TOKEN, &mine, &theirs));
	assert_int_equal(f->entered, before);
	hello_prove(side, token, &mine, &theirs, proof);
	assert_int_equal(hello_send_proof(&l, proof, MS, &e), 0);
	attend(f, 20);
	assert_int_equal(f->entered, before + welcome);
	if (!welcome)
		expect_refusal(&l, "does not know this agent's token");
	else
		assert_int_equal(f->hello.channel, 3);
	link_close(&l);
}

static void who_knows_the_token_enters_and_nobody_else(void **state)
{
	struct fixture f;
	struct link l;

	(void)state;
	open_door(&f, NULL, MS);
	enter_with(&f, TOKEN, HELLO_SOURCE, true);
	enter_with(&f, "00", HELLO_SOURCE, false);
	enter_with(&f, "", HELLO_SOURCE, false);
	enter_with(&f, TOKEN, HELLO_DESTINATION, false); /* the peer's own proof, sent back */
	l = come(&f);
	say_hello(&l, 10);
	attend(&f, 20);
	expect_refusal(&l, "there is no channel 10");
	close_door(&f);
}

static struct hello say_hello_again(struct link *l, unsigned channel, uint32_t generation)
{
	struct hello mine = {.session = "0123456789abcde", .channel = channel, .generation = generation, .received = 41};
	AUTO_FREE char *way = net_way(l->fd, false);
	struct err e;

	hello_begin(&mine);
	snprintf(mine.way, sizeof(mine.way), "%s", way);
	assert_int_equal(hello_send(l, &mine, MS, &e), 0);
	return mine;
}

/* In clear RESUME comes behind the proof, and is about what HELLO was about. */
static void who_comes_again_says_where_the_channel_stands_and_that_it_may(void **state)
{
	struct hello mine, theirs, wrong;
	uint8_t proof[HELLO_PROOF_BYTES];
	struct fixture f;
	struct link l;
	struct err e;
	unsigned i;

	(void)state;
	open_door(&f, NULL, MS);
	for (i = 0; i < 4; i++) {
		l = come(&f);
		mine = say_hello_again(&l, 3, 7);
		attend(&f, 20);
		assert_int_equal(hello_receive(&l, &theirs, MS, &e), 0);
		assert_int_equal(theirs.generation, 7);
		wrong = mine;
		if (i == 1)
			wrong.channel = 4;
		else if (i == 2)
			wrong.generation = 8;
		else if (i == 3)
			wrong.session[0]++;
		hello_prove(HELLO_SOURCE, TOKEN, &mine, &theirs, proof);
		assert_int_equal(hello_send_proof(&l, proof, MS, &e), 0);
		attend(&f, 20);
		assert_int_equal(f.entered, i ? 1 : 0);
		assert_int_equal(hello_send_resume(&l, &wrong, MS, &e), 0);
		attend(&f, 20);
		assert_int_equal(f.entered, 1);
		if (i)
			expect_refusal(&l, "about another connection than its HELLO");
		else
			assert_true(f.hello.generation == 7 && f.hello.received == 41);
		link_close(&l);
	}
	l = come(&f); /* without a proof nothing is resumed */
	mine = say_hello_again(&l, 3, 7);
	attend(&f, 20);
	assert_int_equal(hello_receive(&l, &theirs, MS, &e), 0);
	assert_int_equal(hello_send_resume(&l, &mine, MS, &e), 0);
	attend(&f, 20);
	expect_refusal(&l, "does not speak the vmferry protocol");
	assert_int_equal(f.entered, 1);
	close_door(&f);
}

static void one_that_has_come_another_way_than_it_says_is_refused_unless_that_is_no_matter(void **state)
{
	struct hello mine = {.channel = 1};
	struct fixture f;
	struct link l;
	struct err e;

	(void)state;
	open_door(&f, NULL, MS);
	hello_begin(&mine);
	l = come(&f);
	assert_int_equal(hello_send(&l, &mine, MS, &e), 0);
	attend(&f, 20);
	expect_refusal(&l, "--plaintext");
	f.access.relayed = true;
	l = come(&f);
	assert_int_equal(hello_send(&l, &mine, MS, &e), 0);
	attend(&f, 20);
	assert_int_equal(hello_receive(&l, &mine, MS, &e), 0);
	link_close(&l);
	/* a source that checks the host is heard */
	strcpy(mine.way, "127.0.0.1:1 127.0.0.1:2");
	l = come(&f);
	assert_int_equal(hello_send(&l, &mine, MS, &e), 0);
	attend(&f, 20);
	expect_refusal(&l, "something stands between");
	close_door(&f);
}

static unsigned still_open(const struct link *l, unsigned n)
{
	unsigned open = 0, i;
	char c;

	for (i = 0; i < n; i++)
		open += recv(l[i].fd, &c, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
	return open;
}

static unsigned lines_of(int fd)
{
	static char text[1 << 20];
	ssize_t n = pread(fd, text, sizeof(text), 0);
	unsigned lines = 0;

	while (n-- > 0)
		lines += text[n] == '\n';
	return lines;
}

/* begun: what each of the others says; nothing more. */
static void many_do_not_keep_one_out(const char *begun, size_t n)
{
	static struct link silent[MANY];
	struct hello mine, theirs;
	uint8_t proof[HELLO_PROOF_BYTES];
	struct fixture f;
	struct link l = LINK_NONE;
	struct err e;
	unsigned i;

	open_door(&f, NULL, MS);
	for (i = 0; i < MANY; i++) {
		silent[i] = come(&f);
		assert_int_equal(send(silent[i].fd, begun, n, MSG_NOSIGNAL), n);
		if (i == 100) {
			l = come(&f);
			mine = say_hello(&l, 1);
		}
		attend(&f, 0);
	}
	assert_int_equal(hello_receive(&l, &theirs, MS, &e), 0);
	hello_prove(HELLO_SOURCE, TOKEN, &mine, &theirs, proof);
	assert_int_equal(hello_send_proof(&l, proof, MS, &e), 0);
	attend(&f, 20);
	assert_int_equal(f.entered, 1);
	assert_true(still_open(silent, MANY) <= DOOR_SAME_MAX);
	assert_true(still_open(silent, MANY) >= DOOR_SAME_MAX - 1);
	assert_int_equal(still_open(silent, 1), 0); /* the oldest went first */
	assert_true(lines_of(f.log_fd) > 0 && lines_of(f.log_fd) < 30);
	for (i = 0; i < MANY; i++)
		link_close(&silent[i]);
	link_close(&l);
	close_door(&f);
}

static void many_that_say_nothing_do_not_keep_one_out_that_speaks(void **state)
{
	(void)state;
	many_do_not_keep_one_out("", 0);
}

static void many_that_begin_a_hello_do_not_keep_one_out_that_has_said_its_own(void **state)
{
	(void)state;
	many_do_not_keep_one_out("\x01\x80\0\0", 4);
}

static void all_that_are_silent_are_given_up_at_the_same_time(void **state)
{
	struct link silent[10];
	struct fixture f;
	uint64_t start = now_ns();
	unsigned i;

	(void)state;
	open_door(&f, NULL, 200);
	for (i = 0; i < ARRAY_LEN(silent); i++)
		silent[i] = come(&f);
	assert_int_equal(send(silent[3].fd, "\x01\x80", 2, 0), 2); /* the beginning of a HELLO */
	attend(&f, 20);
	assert_int_equal(still_open(silent, 10), 10);
	attend(&f, 1000); /* by its own timer */
	for (i = 0; i < ARRAY_LEN(silent); i++)
		expect_refusal(&silent[i], "no HELLO came in time");
	assert_true(now_ns() - start >= 200 * 1000000ULL);
	close_door(&f);
}

static void *shake_hands(void *arg)
{
	struct link *l = arg;
	struct hello theirs;
	struct err e;

	if (link_secure(l, tls_conn_client(&key), now_ns() + MS * 1000000ULL, &e))
		return "no handshake";
	say_hello(l, 1);
	return hello_receive(l, &theirs, MS, &e) ? "no HELLO" : NULL;
}

static void a_key_opens_while_others_stop_in_the_middle_of_a_handshake(void **state)
{
	struct link stuck[8], clear, l;
	struct fixture f;
	uint64_t until = now_ns() + MS * 1000000ULL;
	pthread_t thread;
	void *wrong;
	unsigned i;

	(void)state;
	open_door(&f, &key, MS);
	for (i = 0; i < ARRAY_LEN(stuck); i++) {
		stuck[i] = come(&f);
		assert_int_equal(send(stuck[i].fd, "\x16\x03\x01\x01\x00\x01\x00", i + 1 < 7 ? i + 1 : 7, 0), i + 1 < 7 ? i + 1 : 7);
	}
	clear = come(&f);
	say_hello(&clear, 1);
	attend(&f, 20);
	expect_refusal(&clear, "speaks TLS only");
	l = come(&f);
	assert_int_equal(pthread_create(&thread, NULL, shake_hands, &l), 0);
	while (!f.entered && now_ns() < until)
		attend(&f, 5);
	pthread_join(thread, &wrong);
	if (wrong)
		fail_msg("%s", (char *)wrong);
	assert_int_equal(f.entered, 1);
	assert_int_equal(still_open(stuck, 8), 8);
	for (i = 0; i < ARRAY_LEN(stuck); i++)
		link_close(&stuck[i]);
	link_close(&l);
	close_door(&f);
}

static bool shaken;

static void *only_shake_hands(void *arg)
{
	struct err e;
	int r = link_secure(arg, tls_conn_client(&key), now_ns() + MS * 1000000ULL, &e);

	__atomic_store_n(&shaken, true, __ATOMIC_RELEASE);
	return r ? "no handshake" : NULL;
}

/* The peer with a key has been there longer than any of the others. */
static void many_that_begin_a_handshake_do_not_keep_one_out_that_has_a_key(void **state)
{
	static struct link begun[MANY];
	struct fixture f;
	struct link l;
	pthread_t thread;
	void *wrong;
	unsigned i;

	(void)state;
	open_door(&f, &key, MS);
	l = come(&f);
	assert_int_equal(pthread_create(&thread, NULL, only_shake_hands, &l), 0);
	while (!__atomic_load_n(&shaken, __ATOMIC_ACQUIRE))
		attend(&f, 5);
	pthread_join(thread, &wrong);
	assert_null(wrong);
	attend(&f, 20);
	for (i = 0; i < MANY; i++) {
		begun[i] = come(&f);
		assert_int_equal(send(begun[i].fd, "\x16\x03\x01", 3, MSG_NOSIGNAL), 3);
		attend(&f, 0);
	}
	assert_true(still_open(begun, MANY) <= DOOR_SAME_MAX);
	say_hello(&l, 1);
	attend(&f, 20);
	assert_int_equal(f.entered, 1);
	for (i = 0; i < MANY; i++)
		link_close(&begun[i]);
	link_close(&l);
	close_door(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_knows_the_token_enters_and_nobody_else),
		cmocka_unit_test(who_comes_again_says_where_the_channel_stands_and_that_it_may),
		cmocka_unit_test(one_that_has_come_another_way_than_it_says_is_refused_unless_that_is_no_matter),
		cmocka_unit_test(many_that_say_nothing_do_not_keep_one_out_that_speaks),
		cmocka_unit_test(many_that_begin_a_hello_do_not_keep_one_out_that_has_said_its_own),
		cmocka_unit_test(all_that_are_silent_are_given_up_at_the_same_time),
		cmocka_unit_test(a_key_opens_while_others_stop_in_the_middle_of_a_handshake),
		cmocka_unit_test(many_that_begin_a_handshake_do_not_keep_one_out_that_has_a_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
