/* test-link.c: links, TLS handshakes and key files. Each peer is a thread of its own, as both ends block. */
#include "link.h"
#include "psk.h"
#include "util.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define DEADLINE (now_ns() + 20 * 1000000000ULL)

static const struct tls_key keys[2] = {{"host-a", {1, 2, 3}}, {"host-b", {4, 5, 6}}};

struct server {
	int fd;
	struct link link;
	int result;
	struct err err;
};

/* Waits for n bytes as the agents do, which look after other things between the pieces. */
static int take(struct link *l, void *p, size_t n, struct err *e)
{
	size_t have = 0;
	int r;

	while ((r = link_receive_more(l, p, n, &have, e)) == 0)
		if (link_wait(l, DEADLINE, e))
			return -e->code;
	return r < 0 ? r : 0;
}

static void *serve(void *arg)
{
	struct server *s = arg;
	char word[5];

	s->link = (struct link){.fd = s->fd};
	s->result = link_secure(&s->link, tls_conn_server(keys, 2), DEADLINE, &s->err);
	if (!s->result)
		s->result = take(&s->link, word, 5, &s->err);
	if (!s->result)
		s->result = link_send(&s->link, word, 5, DEADLINE, &s->err);
	return NULL;
}

/* Shakes hands with a server that knows `keys`, and has five bytes come back. */
static int meet(const struct tls_key *key, struct server *s, struct err *e)
{
	struct link link;
	pthread_t thread;
	char word[6] = "hello";
	int fd[2], r;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	*s = (struct server){.fd = fd[1]};
	assert_int_equal(pthread_create(&thread, NULL, serve, s), 0);
	link = (struct link){.fd = fd[0]};
	r = link_secure(&link, tls_conn_client(key), DEADLINE, e);
	if (!r)
		r = link_send(&link, word, 5, DEADLINE, e);
	memset(word, 0, 5);
	if (!r)
		r = take(&link, word, 5, e);
	link_close(&link);
	pthread_join(thread, NULL);
	if (!r)
		assert_string_equal(word, "hello");
	return r;
}

static void whoever_has_a_key_is_known_by_its_name(void **state)
{
	struct server s;
	struct err e;
	unsigned i;

	(void)state;
	for (i = 0; i < 2; i++) {
		assert_int_equal(meet(&keys[i], &s, &e), 0);
		assert_int_equal(s.result, 0);
		link_close(&s.link);
	}
}

static void a_wrong_key_an_unknown_name_and_another_s_key_are_refused(void **state)
{
	const struct tls_key wrong[] = {{"host-a", {1, 2, 4}}, {"host-c", {1, 2, 3}}, {"host-a", {4, 5, 6}}, {"host-", {1, 2, 3}}};
	struct server s;
	struct err e;
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(wrong); i++) {
		assert_true(meet(&wrong[i], &s, &e) < 0);
		assert_non_null(strstr(e.msg, "TLS handshake"));
		assert_int_equal(s.result, -EPERM);
		assert_non_null(strstr(s.err.msg, "the same key"));
		link_close(&s.link);
	}
}

/* Hands bytes over from one TLS end to the other, and keeps a copy. */
static size_t hand_over(struct tls *from, struct tls *to, uint8_t copy[4096])
{
	size_t n, cap;
	const uint8_t *p = tls_conn_output(from, &n);

	assert_true(n && n <= 4096);
	memcpy(copy, p, n);
	memcpy(tls_conn_input(to, &cap), p, n);
	tls_conn_input_add(to, n);
	tls_conn_output_sent(from, n);
	return n;
}

static size_t take_output(struct tls *t, uint8_t out[4096])
{
	size_t n;
	const uint8_t *p = tls_conn_output(t, &n);

	assert_true(n && n <= 4096);
	memcpy(out, p, n);
	tls_conn_output_sent(t, n);
	return n;
}

/* Two servers: neither may take the client's part of the other's conversation. */
static void a_recorded_handshake_opens_nothing(void **state)
{
	struct tls *client = tls_conn_client(&keys[0]), *server = tls_conn_server(keys, 2), *again;
	uint8_t record[2][4096] = {{0}};
	size_t n[2], cap;
	char word[8];
	struct err e;

	(void)state;
	/* client hello; server's answer; client's finished and a word */
	assert_int_equal(tls_conn_handshake(client, &e), 0);
	n[0] = hand_over(client, server, record[0]);
	assert_int_equal(tls_conn_handshake(server, &e), 0);
	hand_over(server, client, record[1]);
	assert_int_equal(tls_conn_handshake(client, &e), 1);
	assert_int_equal(tls_conn_encrypt(client, (const uint8_t *)"word", 4, &e), 0);
	n[1] = hand_over(client, server, record[1]);
	assert_int_equal(tls_conn_handshake(server, &e), 1);
	assert_int_equal(tls_conn_decrypt(server, (uint8_t *)word, 8, &e), 4);

	again = tls_conn_server(keys, 2);
	memcpy(tls_conn_input(again, &cap), record[0], n[0]);
	tls_conn_input_add(again, n[0]);
	assert_int_equal(tls_conn_handshake(again, &e), 0);
	memcpy(tls_conn_input(again, &cap), record[1], n[1]);
	tls_conn_input_add(again, n[1]);
	assert_true(tls_conn_handshake(again, &e) < 0);
	tls_conn_free(client);
	tls_conn_free(server);
	tls_conn_free(again);
}

static void a_peer_in_clear_and_a_peer_that_is_silent_are_told_apart(void **state)
{
	struct link link;
	struct err e;
	bool tls;
	int fd[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	assert_int_equal(write(fd[0], "SSH-2.0-OpenSSH_9.2 and more\r\n", 30), 30);
	link = (struct link){.fd = fd[1]};
	assert_int_equal(link_peek_tls(&link, &tls, &e), 1);
	assert_false(tls);
	assert_int_equal(link_secure(&link, tls_conn_server(keys, 2), DEADLINE, &e), -EPROTO);
	assert_non_null(strstr(e.msg, "does not speak TLS"));
	link_close(&link);
	close(fd[0]);

	/* nor is what would be a record without content, were it one: the header of an ERROR */
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	assert_int_equal(write(fd[0], "\x04\x80\0\0\0\0\0\0", 8), 8);
	link = (struct link){.fd = fd[1]};
	assert_int_equal(link_secure(&link, tls_conn_server(keys, 2), DEADLINE, &e), -EPROTO);
	assert_non_null(strstr(e.msg, "does not speak TLS"));
	link_close(&link);
	close(fd[0]);

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	link = (struct link){.fd = fd[1]};
	assert_int_equal(link_peek_tls(&link, &tls, &e), 0);
	assert_int_equal(link_secure(&link, tls_conn_client(&keys[0]), now_ns() + 30000000, &e), -ETIMEDOUT);
	assert_int_equal(link_peek_tls(&(struct link){.fd = fd[0]}, &tls, &e), 1);
	assert_true(tls);
	link_close(&link);
	/* gone in the middle of the handshake */
	link = (struct link){.fd = fd[0]};
	assert_int_equal(link_secure(&link, tls_conn_server(keys, 2), DEADLINE, &e), -EPIPE);
	link_close(&link);
}

/* A peer's bytes arrive in pieces of any size, and the accepting side must not wait, as it serves others, too. */
static void a_handshake_in_single_bytes_waits_for_nobody(void **state)
{
	struct tls *client = tls_conn_client(&keys[1]);
	uint8_t record[4096], word[4] = {0};
	struct link link;
	struct err e;
	size_t n, i, have = 0;
	int fd[2], r = 0;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	link = (struct link){.fd = fd[1], .tls = tls_conn_server(keys, 2)};
	assert_int_equal(link_secure_more(&link, &e), 0);
	assert_int_equal(tls_conn_handshake(client, &e), 0);
	n = take_output(client, record);
	for (i = 0; i < n && !r; i++) {
		assert_int_equal(write(fd[0], record + i, 1), 1);
		r = link_secure_more(&link, &e);
	}
	assert_int_equal(r, 0); /* the client has to answer first */
	assert_int_equal(i, n);
	n = (size_t)recv(fd[0], record, sizeof(record), MSG_DONTWAIT);
	assert_true(n < sizeof(record));
	memcpy(tls_conn_input(client, &i), record, n);
	tls_conn_input_add(client, n);
	assert_int_equal(tls_conn_handshake(client, &e), 1);
	assert_int_equal(tls_conn_encrypt(client, (const uint8_t *)"word", 4, &e), 0);
	n = take_output(client, record);
	for (i = 0; i < n && !r; i++) {
		assert_int_equal(write(fd[0], record + i, 1), 1);
		r = link_secure_more(&link, &e);
	}
	assert_int_equal(r, 1);
	for (r = 0; i < n; i++) {
		assert_int_equal(r, 0);
		assert_int_equal(write(fd[0], record + i, 1), 1);
		r = link_receive_more(&link, word, 4, &have, &e);
	}
	assert_int_equal(r, 1);
	assert_memory_equal(word, "word", 4);
	tls_conn_free(client);
	close(fd[0]);
	link_forget(&link);
}

/* ---- key files ---- */

#define HEX "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"

static int from_file(const char *text, mode_t mode, struct tls_key **out, size_t *n, struct err *e)
{
	char path[] = "/tmp/vmferry-psk-XXXXXX";
	int fd = mkstemp(path), r;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	fchmod(fd, mode);
	close(fd);
	r = psk_read(path, out, n, e);
	unlink(path);
	return r;
}

static void keys_are_read_from_a_file(void **state)
{
	struct tls_key *k, one;
	char text[PSK_TEXT_MAX];
	struct err e;
	size_t n;

	(void)state;
	assert_int_equal(from_file("# who may come\n\nhost-a:" HEX "\r\nb:" HEX, 0600, &k, &n, &e), 0);
	assert_int_equal(n, 2);
	assert_string_equal(k[0].name, "host-a");
	assert_int_equal(k[0].secret[31], 0xff);
	assert_int_equal(k[1].secret[1], 0x11);
	psk_print(&k[1], text);
	assert_int_equal(psk_parse(text, &one, &e), 0);
	assert_memory_equal(&one.secret, &k[1].secret, sizeof(one.secret));
	free(k);
	psk_new("x", &one);
	psk_print(&one, text);
	assert_int_equal(strlen(text), 2 + 2 * TLS_SECRET_BYTES);
}

/* A key that was taken back by a '#' before it. */
static void a_comment_is_one_however_long_it_is(void **state)
{
	AUTO_FREE char *text = xasprintf("#%*s:" HEX "\na:" HEX "\n", 254, "b");
	struct tls_key *k;
	struct err e;
	size_t n;

	(void)state;
	assert_int_equal(from_file(text, 0600, &k, &n, &e), 0);
	assert_int_equal(n, 1);
	assert_string_equal(k[0].name, "a");
	free(k);
	text[0] = 'c';
	assert_int_equal(from_file(text, 0600, &k, &n, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "line 1: it is too long"));
}

static void a_key_file_that_is_wrong_says_where(void **state)
{
	static const struct {
		const char *text, *says;
	} t[] = {
		{"", "there is no key in"},
		{"# nothing\n", "there is no key in"},
		{"host-a:" HEX "\nhost-b:12\n", "line 2: the key of host-b does not have 64"},
		{":" HEX "\n", "line 1: it does not begin with NAME:"},
		{HEX "\n", "does not begin with NAME:"},
		{"a:" HEX "0\n", "does not have 64"},
		{"a:zz" HEX "\n", "does not have 64"},
		{"a: 112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFFa\n", "not all hex"},
		{"0123456789012345678901234567890123456789012345678901234567890123456789:" HEX "\n", "1 to 64"},
	};
	struct tls_key *k;
	struct err e;
	size_t n, i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(t); i++) {
		assert_true(from_file(t[i].text, 0600, &k, &n, &e) < 0);
		if (!strstr(e.msg, t[i].says))
			fail_msg("%s", e.msg);
	}
	assert_int_equal(from_file("a:" HEX "\n", 0640, &k, &n, &e), -EPERM);
	assert_non_null(strstr(e.msg, "chmod 600"));
	assert_int_equal(psk_read("/nonexistent/psk", &k, &n, &e), -ENOENT);
	if (geteuid() == 0) { /* only root can give a file away */
		char path[] = "/tmp/vmferry-psk-XXXXXX";
		int fd = mkstemp(path);

		assert_int_equal(write(fd, "a:" HEX "\n", 3 + 64), 3 + 64);
		assert_int_equal(fchown(fd, 65534, 65534), 0);
		close(fd);
		assert_int_equal(psk_read(path, &k, &n, &e), -EPERM);
		assert_non_null(strstr(e.msg, "belongs to user 65534"));
		unlink(path);
	}
}

/* The round trip is the network's alone: the peer has neither accepted the connection nor answered, so a busy peer does not count. */
static void the_round_trip_is_the_network_s_and_not_the_peer_s(void **state)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int listener = socket(AF_INET, SOCK_STREAM, 0), fd[2];
	struct link link = {.fd = socket(AF_INET, SOCK_STREAM, 0)};
	socklen_t n = sizeof(at);

	(void)state;
	assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof(at)) || listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &n), 0);
	assert_int_equal(connect(link.fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_true(link_round_trip_ms(&link) > 0);
	link_close(&link);
	close(listener);

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	assert_float_equal(link_round_trip_ms(&(struct link){.fd = fd[0]}), 0, 0);
	close(fd[0]);
	close(fd[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whoever_has_a_key_is_known_by_its_name),
		cmocka_unit_test(a_wrong_key_an_unknown_name_and_another_s_key_are_refused),
		cmocka_unit_test(a_recorded_handshake_opens_nothing),
		cmocka_unit_test(a_peer_in_clear_and_a_peer_that_is_silent_are_told_apart),
		cmocka_unit_test(a_handshake_in_single_bytes_waits_for_nobody),
		cmocka_unit_test(keys_are_read_from_a_file),
		cmocka_unit_test(a_comment_is_one_however_long_it_is),
		cmocka_unit_test(a_key_file_that_is_wrong_says_where),
		cmocka_unit_test(the_round_trip_is_the_network_s_and_not_the_peer_s),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
