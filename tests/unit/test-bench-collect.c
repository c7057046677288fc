/* test-bench-collect.c: the collector hears datagrams and a probe's connection, and nothing that is neither. */
#include "bench-collect.h"
#include "hex.h"
#include "util.h"

#include <arpa/inet.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <cmocka.h>

#define DEADLINE_MS 10000

#define BEAT_BYTES 48u
#define TOKEN_WORD 4 /* index of the first word of a token, in a beat and in a record */

static uint64_t token[2]; /* token of the last collector */

static struct collector *new_collector(void)
{
	struct collector *c;
	struct err e;

	assert_int_equal(collector_new(&c, "127.0.0.1", 0, &e), 0);
	assert_int_equal(strlen(collector_token(c)), 2 * sizeof(token));
	assert_true(hex_parse(collector_token(c), token, sizeof(token)));
	return c;
}

static int connect_to(const struct collector *c, int type)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				 .sin_port = htons((uint16_t)collector_port(c))};
	int fd = socket(AF_INET, type, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static void wait_heard(struct collector *c, uint64_t beats)
{
	uint64_t until = now_ns() + DEADLINE_MS * 1000000ULL;

	while (collector_heard(c) < beats && now_ns() < until)
		poll(NULL, 0, 1);
	assert_int_equal(collector_heard(c), beats);
}

static struct probe wait_probe(struct collector *c, uint64_t records, bool connected)
{
	uint64_t until = now_ns() + DEADLINE_MS * 1000000ULL;
	struct probe p;

	do
		collector_probe(c, &p);
	while ((p.records < records || p.connected != connected) && now_ns() < until && !poll(NULL, 0, 1));
	assert_int_equal(p.records, records);
	assert_true(p.connected == connected);
	return p;
}

static void send_beat(int fd, uint64_t sequence, size_t bytes)
{
	uint64_t data[10] = {htole64(sequence), htole64(1), htole64(2), htole64(3), token[0], token[1]};

	assert_int_equal(send(fd, data, bytes, 0), bytes);
}

static void send_record(int fd, uint64_t connection, uint64_t sequence, uint64_t echoed)
{
	uint64_t data[6] = {htole64(connection), htole64(sequence), htole64(1), htole64(echoed), token[0], token[1]}, back[6];

	assert_int_equal(send(fd, data, sizeof(data), MSG_NOSIGNAL), sizeof(data));
	assert_int_equal(recv(fd, back, sizeof(back), MSG_WAITALL), sizeof(back));
	assert_memory_equal(data, back, sizeof(back));
}

static void beats_are_kept_as_they_came_with_the_time(void **state)
{
	struct collector *c = new_collector();
	AUTO_CLOSE int fd = connect_to(c, SOCK_DGRAM);
	AUTO_FREE struct beat *beats = NULL;
	uint64_t now = (uint64_t)time(NULL) * 1000000000ULL;
	unsigned i;

	(void)state;
	for (i = 0; i < 5000; i++) {
		send_beat(fd, i ^ 1, BEAT_BYTES);
		if (i % 100 == 99)
			wait_heard(c, i + 1);
	}
	assert_int_equal(collector_beats(c, &beats), 5000);
	for (i = 0; i < 5000; i++) {
		assert_int_equal(beats[i].sequence, i ^ 1);
		assert_true(!i || beats[i].at_ns >= beats[i - 1].at_ns);
	}
	assert_true(beats[0].at_ns > now - 60000000000ULL && beats[0].at_ns < now + 60000000000ULL);
	assert_int_equal(beats[0].guest_ns, 1);
	assert_int_equal(beats[0].ram_ops, 2);
	assert_int_equal(beats[0].disk_ops, 3);
	collector_free(c);
}

static void datagrams_of_another_length_are_no_beats(void **state)
{
	struct collector *c = new_collector();
	AUTO_CLOSE int fd = connect_to(c, SOCK_DGRAM);
	AUTO_FREE struct beat *beats = NULL;

	(void)state;
	send_beat(fd, 1, 0);
	send_beat(fd, 2, 32);
	send_beat(fd, 3, 47);
	send_beat(fd, 4, 49);
	send_beat(fd, 5, 80);
	send_beat(fd, 6, BEAT_BYTES);
	wait_heard(c, 1);
	assert_int_equal(collector_beats(c, &beats), 1);
	assert_int_equal(beats[0].sequence, 6);
	collector_free(c);
}

static void after_clear_nothing_was_heard(void **state)
{
	struct collector *c = new_collector();
	AUTO_CLOSE int fd = connect_to(c, SOCK_DGRAM);
	struct beat *beats;

	(void)state;
	send_beat(fd, 1, BEAT_BYTES);
	wait_heard(c, 1);
	collector_clear(c);
	assert_int_equal(collector_heard(c), 0);
	assert_int_equal(collector_beats(c, &beats), 0);
	free(beats);
	send_beat(fd, 2, BEAT_BYTES);
	wait_heard(c, 1);
	assert_int_equal(collector_beats(c, &beats), 1);
	assert_int_equal(beats[0].sequence, 2);
	free(beats);
	collector_free(c);
}

static void records_are_echoed_and_counted(void **state)
{
	struct collector *c = new_collector();
	AUTO_CLOSE int fd = connect_to(c, SOCK_STREAM);
	struct probe p;

	(void)state;
	send_record(fd, 1, 1, 0);
	send_record(fd, 1, 2, 1);
	p = wait_probe(c, 2, true);
	assert_int_equal(p.connection_first, 1);
	assert_int_equal(p.connection_last, 1);
	assert_int_equal(p.unechoed, 1);
	collector_free(c);
}

static void record_may_come_in_pieces(void **state)
{
	struct collector *c = new_collector();
	AUTO_CLOSE int fd = connect_to(c, SOCK_STREAM);
	uint64_t data[6] = {htole64(1), htole64(77), htole64(1), htole64(70), token[0], token[1]};
	char back[sizeof(data)];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(data); i += 4) {
		assert_int_equal(send(fd, (char *)data + i, 4, 0), 4);
		assert_int_equal(recv(fd, back + i, 4, MSG_WAITALL), 4);
	}
	assert_memory_equal(back, data, sizeof(back));
	assert_int_equal(wait_probe(c, 1, true).unechoed, 7);
	collector_free(c);
}

static void connection_that_breaks_is_seen_and_the_next_one_has_another_number(void **state)
{
	struct collector *c = new_collector();
	int fd = connect_to(c, SOCK_STREAM);
	struct probe p;

	(void)state;
	send_record(fd, 4, 1, 0);
	collector_clear(c);
	close(fd);
	wait_probe(c, 0, false);
	fd = connect_to(c, SOCK_STREAM);
	send_record(fd, 5, 1, 0);
	p = wait_probe(c, 1, true);
	assert_int_equal(p.connection_first, 4); /* the one that was there when it was cleared */
	assert_int_equal(p.connection_last, 5);
	close(fd);
	collector_free(c);
}

static void silence_of_the_probe_is_measured_also_while_it_lasts(void **state)
{
	struct collector *c = new_collector();
	AUTO_CLOSE int fd = connect_to(c, SOCK_STREAM);
	uint64_t begin;
	struct probe p;

	(void)state;
	send_record(fd, 1, 1, 0);
	collector_clear(c);
	send_record(fd, 1, 2, 1);
	begin = now_ns();
	poll(NULL, 0, 60);
	collector_probe(c, &p);
	assert_true(p.longest_gap_ns >= 60000000 && p.longest_gap_ns <= now_ns() - begin + 60000000);
	send_record(fd, 1, 3, 2);
	p = wait_probe(c, 2, true);
	assert_true(p.longest_gap_ns >= 60000000);
	collector_free(c);
}

/* A peer that does not read its echo loses only its own, and others are served. */
static void peer_that_does_not_read_holds_up_nobody(void **state)
{
	struct collector *c = new_collector();
	AUTO_CLOSE int stuck = connect_to(c, SOCK_STREAM);
	AUTO_CLOSE int fd = connect_to(c, SOCK_STREAM);
	char zeros[4096] = {0};
	size_t sent = 0, got = 0;
	ssize_t n;

	(void)state;
	while ((n = send(stuck, zeros, sizeof(zeros), MSG_DONTWAIT)) > 0 || !poll(NULL, 0, 50)) {
		if (n < 0 && send(stuck, zeros, 1, MSG_DONTWAIT) < 0)
			break;
		sent += n > 0 ? (size_t)n : 1;
	}
	send_record(fd, 1, 1, 0);
	while (got < sent && (n = recv(stuck, zeros, sizeof(zeros), 0)) > 0)
		got += (size_t)n;
	assert_int_equal(got, sent);
	collector_free(c);
}

static void more_connections_than_it_keeps_do_not_keep_the_guest_out(void **state)
{
	struct collector *c = new_collector();
	int fds[20];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(fds); i++) {
		fds[i] = connect_to(c, SOCK_STREAM);
		send_record(fds[i], i + 1, 1, 0);
	}
	assert_int_equal(wait_probe(c, ARRAY_LEN(fds), true).connection_last, ARRAY_LEN(fds));
	for (i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
	wait_probe(c, ARRAY_LEN(fds), false);
	collector_free(c);
}

/* Beats that a stranger sends by UDP for a guest that beats no more are ignored. */
static void beats_of_a_stranger_are_not_heard(void **state)
{
	struct collector *c = new_collector();
	AUTO_CLOSE int guest = connect_to(c, SOCK_DGRAM), stranger = connect_to(c, SOCK_DGRAM);
	uint64_t forged[6] = {htole64(2), htole64(2), htole64(3), htole64(4)};
	struct beat *beats;
	size_t i;

	(void)state;
	send_beat(guest, 1, BEAT_BYTES);
	wait_heard(c, 1);
	/* a beat without a token, as a guest sends it that was told none */
	assert_int_equal(send(stranger, forged, sizeof(forged), 0), sizeof(forged));
	assert_int_equal(send(stranger, forged, 32, 0), 32);
	for (i = 0; i < sizeof(token); i++) {
		memcpy(forged + TOKEN_WORD, token, sizeof(token));
		((uint8_t *)(forged + TOKEN_WORD))[i] ^= 1;
		assert_int_equal(send(stranger, forged, sizeof(forged), 0), sizeof(forged));
	}
	send_beat(guest, 3, BEAT_BYTES); /* earlier beats were read when this one arrives */
	wait_heard(c, 2);
	assert_int_equal(collector_beats(c, &beats), 2);
	assert_int_equal(beats[1].sequence, 3);
	free(beats);
	collector_free(c);
}

/* Each collector has a token of its own. */
static void records_of_a_stranger_are_not_kept(void **state)
{
	struct collector *other = new_collector(), *c;
	uint64_t theirs[2] = {token[0], token[1]}, ours[2];
	int fds[20];
	size_t i;

	(void)state;
	c = new_collector();
	memcpy(ours, token, sizeof(ours));
	assert_true(memcmp(ours, theirs, sizeof(ours)) != 0);
	AUTO_CLOSE int guest = connect_to(c, SOCK_STREAM);

	send_record(guest, 7, 1, 0);
	wait_probe(c, 1, true);
	for (i = 0; i < ARRAY_LEN(fds); i++) { /* more than it keeps, and of them none is the guest */
		fds[i] = connect_to(c, SOCK_STREAM);
		memcpy(token, theirs, sizeof(token));
		send_record(fds[i], 99, 1000, 1);
	}
	memcpy(token, ours, sizeof(token));
	assert_int_equal(wait_probe(c, 1, true).connection_last, 7);
	send_record(guest, 7, 2, 1);
	assert_int_equal(wait_probe(c, 2, true).connection_last, 7);
	assert_int_equal(wait_probe(c, 2, true).unechoed, 1);
	shutdown(guest, SHUT_RDWR);
	wait_probe(c, 2, false); /* though strangers are connected */
	for (i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
	collector_free(c);
	collector_free(other);
}

static void address_that_is_none_and_port_in_use_are_refused(void **state)
{
	struct collector *c = new_collector(), *other = NULL;
	struct err e;

	(void)state;
	assert_true(collector_new(&other, "host-b", 0, &e) < 0);
	assert_true(collector_new(&other, NULL, 70000, &e) < 0);
	assert_true(collector_new(&other, "127.0.0.1", collector_port(c), &e) < 0);
	assert_null(other);
	collector_free(c);
	collector_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(beats_are_kept_as_they_came_with_the_time),
		cmocka_unit_test(datagrams_of_another_length_are_no_beats),
		cmocka_unit_test(after_clear_nothing_was_heard),
		cmocka_unit_test(records_are_echoed_and_counted),
		cmocka_unit_test(record_may_come_in_pieces),
		cmocka_unit_test(connection_that_breaks_is_seen_and_the_next_one_has_another_number),
		cmocka_unit_test(silence_of_the_probe_is_measured_also_while_it_lasts),
		cmocka_unit_test(peer_that_does_not_read_holds_up_nobody),
		cmocka_unit_test(more_connections_than_it_keeps_do_not_keep_the_guest_out),
		cmocka_unit_test(beats_of_a_stranger_are_not_heard),
		cmocka_unit_test(records_of_a_stranger_are_not_kept),
		cmocka_unit_test(address_that_is_none_and_port_in_use_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
