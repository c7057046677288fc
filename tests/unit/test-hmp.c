/* test-hmp.c: what a human monitor says is read soundly, however it comes (hmp.h, hmp-text.h), and where it is (qemu-args-hmp.h). */
#include "hmp.h"
#include "qemu-args-hmp.h"
#include "util.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static const char greeting[] = "QEMU 11.1.3 monitor - type 'help' for more information\r\n(qemu) ";
/* The line editor's echo of "ab", an answer, and the prompt. */
static const char answered[] = "a\033[K\033[Dab\033[K\r\nmonitor-qmp options:\r\n  chardev=<string>\r\n(qemu) ";
#define ANSWER "monitor-qmp options:\n  chardev=<string>"

/* ---- text ---- */

static void feed_cut_at(struct hmp_text *t, const char *bytes, size_t n, size_t cut)
{
	hmp_text_feed(t, bytes, cut);
	hmp_text_feed(t, bytes + cut, n - cut);
}

static void an_answer_is_read_wherever_it_is_cut(void **state)
{
	size_t n = strlen(answered), cut;

	(void)state;
	for (cut = 0; cut <= n; cut++) {
		struct hmp_text t = {.telnet = false};
		char *answer;

		feed_cut_at(&t, answered, n, cut);
		answer = hmp_text_answer(&t);
		assert_non_null(answer);
		assert_string_equal(answer, ANSWER);
		free(answer);
		hmp_text_fini(&t);
	}
}

static void an_answer_ends_with_its_prompt_and_not_before(void **state)
{
	size_t n = strlen(answered), i;

	(void)state;
	for (i = 0; i < n; i++) {
		struct hmp_text t = {.telnet = false};

		hmp_text_feed(&t, answered, i);
		assert_null(hmp_text_answer(&t));
		hmp_text_fini(&t);
	}
}

static void a_prompt_within_a_line_is_none(void **state)
{
	static const char said[] = "echo\r\nsay (qemu) here\r\n";
	struct hmp_text t = {.telnet = false};

	(void)state;
	hmp_text_feed(&t, said, strlen(said));
	assert_null(hmp_text_answer(&t));
	assert_false(hmp_text_prompted(&t));
	hmp_text_fini(&t);
}

static void telnet_says_its_own_between_the_bytes(void **state)
{
	static const char said[] = "\xff\xfb\x01\xff\xfb\x03\xff\xfd\x00" /* WILL ECHO, WILL SGA, DO BINARY */
				   "QEMU 11\r\n\xff\xfa\x18\x01 (qemu) \xff\xf0(qe\xff\xf1mu) ";
	size_t n = sizeof(said) - 1, cut;

	(void)state;
	for (cut = 0; cut <= n; cut++) {
		struct hmp_text t = {.telnet = true};

		feed_cut_at(&t, said, n, cut);
		assert_true(hmp_text_greeted(&t));
		hmp_text_fini(&t);
	}
}

static void a_greeting_is_a_line_before_its_prompt(void **state)
{
	struct hmp_text t = {.telnet = false};

	(void)state;
	hmp_text_feed(&t, "\n(qemu) ", 8); /* the prompt as a console within the guest might show it */
	assert_false(hmp_text_greeted(&t));
	hmp_text_feed(&t, greeting, strlen(greeting));
	assert_false(hmp_text_greeted(&t));
	hmp_text_forget(&t);
	hmp_text_feed(&t, greeting, strlen(greeting));
	assert_true(hmp_text_greeted(&t));
	hmp_text_fini(&t);
}

static void an_endless_answer_is_not_kept(void **state)
{
	struct hmp_text t = {.telnet = false};
	char chunk[65536];
	size_t i;

	(void)state;
	memset(chunk, 'x', sizeof(chunk));
	for (i = 0; i < 2 * HMP_TEXT_MAX / sizeof(chunk); i++)
		hmp_text_feed(&t, chunk, sizeof(chunk));
	assert_true(t.too_long);
	assert_true(t.n <= HMP_TEXT_MAX && t.room <= 2 * HMP_TEXT_MAX);
	hmp_text_fini(&t);
}

static void an_error_is_a_line_of_its_own(void **state)
{
	char *error = hmp_text_error("note\nError: Chardev 'x' is busy\nmore");

	(void)state;
	assert_string_equal(error, "Error: Chardev 'x' is busy");
	free(error);
	assert_null(hmp_text_error("no Error: here"));
	assert_null(hmp_text_error(""));
}

/* ---- a conversation ---- */

#define HELP "\n\rC-a h    print this help\n\rC-a x    exit emulator\n\r"

/* Answers each line with the next of its texts; nothing for NULL. */
struct played {
	int fd;
	const char *first; /* first line that QEMU prints by itself */
	const char *texts[8];
	char heard[256];
	size_t n, lines;
};

static void *play(void *arg)
{
	struct played *p = arg;
	char c;

	if (p->first && write(p->fd, p->first, strlen(p->first)) < 0)
		return NULL;
	while (read(p->fd, &c, 1) == 1) {
		p->heard[p->n++] = c;
		if (c != '\n' && (p->n < 2 || p->heard[p->n - 2] != 1))
			continue;
		if (p->texts[p->lines] && write(p->fd, p->texts[p->lines], strlen(p->texts[p->lines])) < 0)
			return NULL;
		p->lines++;
	}
	return NULL;
}

static pthread_t begin(struct played *p, struct hmp *h)
{
	pthread_t thread;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	p->fd = fds[1];
	*h = (struct hmp){.fd = fds[0], .name = "played", .greeting_ms = 200, .escape = h->escape};
	assert_int_equal(pthread_create(&thread, NULL, play, p), 0);
	return thread;
}

static void end(struct played *p, struct hmp *h, pthread_t thread)
{
	hmp_end(h);
	pthread_join(thread, NULL);
	close(p->fd);
}

static void a_line_is_asked_and_answered(void **state)
{
	struct played p = {.first = greeting, .texts = {answered, "x\r\nError: no\r\n(qemu) "}};
	struct hmp h = {.escape = 0};
	pthread_t thread = begin(&p, &h);
	char *answer = NULL;
	struct err e;

	(void)state;
	assert_int_equal(hmp_begin(&h, h.fd, &e), 0);
	assert_int_equal(hmp_ask(&h, "object_add monitor-qmp,help", &answer, &e), 0);
	assert_string_equal(answer, ANSWER);
	free(answer);
	assert_int_equal(hmp_order(&h, "x", &e), -EREMOTEIO);
	assert_non_null(strstr(e.msg, "Error: no"));
	end(&p, &h, thread);
	assert_string_equal(p.heard, "object_add monitor-qmp,help\nx\n");
}

static void nothing_is_typed_where_nobody_greets(void **state)
{
	struct played p = {.first = "(qemu) login: "};
	struct hmp h = {.escape = 0};
	pthread_t thread = begin(&p, &h);
	struct err e;

	(void)state;
	assert_int_equal(hmp_begin(&h, h.fd, &e), -EBUSY);
	end(&p, &h, thread);
	assert_int_equal(p.n, 0);
}

static void a_mux_gives_the_keyboard_and_has_it_back(void **state)
{
	struct played p = {.first = "console of the guest\r\n", .texts = {HELP, greeting, answered}};
	struct hmp h = {.escape = 1};
	pthread_t thread = begin(&p, &h);
	char *answer = NULL;
	struct err e;

	(void)state;
	assert_int_equal(hmp_begin(&h, h.fd, &e), 0);
	assert_int_equal(hmp_ask(&h, "ab", &answer, &e), 0);
	free(answer);
	end(&p, &h, thread);
	assert_string_equal(p.heard, "\001h\001cab\n\001c");
}

/* A monitor that greets late has the keyboard: to switch then would give it to the guest's console. */
static void a_mux_that_is_slow_keeps_the_keyboard(void **state)
{
	AUTO_FREE char *late = xasprintf("%s%s", greeting, HELP);
	struct played p = {.first = NULL, .texts = {late, answered}};
	struct hmp h = {.escape = 1};
	pthread_t thread = begin(&p, &h);
	char *answer = NULL;
	struct err e;

	(void)state;
	assert_int_equal(hmp_begin(&h, h.fd, &e), 0);
	assert_int_equal(hmp_ask(&h, "ab", &answer, &e), 0);
	free(answer);
	end(&p, &h, thread);
	assert_string_equal(p.heard, "\001hab\n");
}

static void a_mux_that_has_the_keyboard_keeps_it(void **state)
{
	struct played p = {.first = greeting, .texts = {answered}};
	struct hmp h = {.escape = 1};
	pthread_t thread = begin(&p, &h);
	char *answer = NULL;
	struct err e;

	(void)state;
	assert_int_equal(hmp_begin(&h, h.fd, &e), 0);
	assert_int_equal(hmp_ask(&h, "ab", &answer, &e), 0);
	free(answer);
	end(&p, &h, thread);
	assert_string_equal(p.heard, "ab\n");
}

static void a_mux_that_gives_no_keyboard_is_refused(void **state)
{
	struct played p = {.texts = {HELP, "console of the guest\r\n"}};
	struct hmp h = {.escape = 1};
	pthread_t thread = begin(&p, &h);
	struct err e;

	(void)state;
	assert_int_equal(hmp_begin(&h, h.fd, &e), -ENOTSUP);
	end(&p, &h, thread);
	assert_string_equal(p.heard, "\001h\001c\001c");
}

/* ---- where it is ---- */

#define LINE(...) (char *[]){"qemu-system-x86_64", __VA_ARGS__}, sizeof((char *[]){"", __VA_ARGS__}) / sizeof(char *)

static void assert_one(char *const *argv, size_t argc, enum args_hmp_kind kind, const char *at, bool telnet, bool mux, char escape)
{
	struct args_hmp *list;
	size_t n = qemu_args_hmp(argv, argc, &list);

	assert_int_equal(n, 1);
	assert_int_equal(list[0].kind, kind);
	assert_int_equal(at != NULL, list[0].at != NULL);
	if (at)
		assert_string_equal(list[0].at, at);
	assert_int_equal(list[0].telnet, telnet);
	assert_int_equal(list[0].mux, mux);
	assert_int_equal(list[0].escape, escape);
	assert_int_equal(list[0].why != NULL, kind == HMP_NOWHERE);
	args_hmp_free(list, n);
}

static void monitors_are_found_on_the_line(void **state)
{
	(void)state;
	assert_one(LINE("-monitor", "unix:/a,,b,server=on,wait=off"), HMP_UNIX, "/a,b", false, false, 0);
	assert_one(LINE("-monitor", "tcp:127.0.0.1:44,server,nowait"), HMP_TCP, "44", false, false, 0);
	assert_one(LINE("-monitor", "telnet::44,server,nowait"), HMP_TCP, "44", true, false, 0);
	assert_one(LINE("-monitor", "pty"), HMP_PTY, NULL, false, false, 0);
	assert_one(LINE("-chardev", "socket,id=m,port=44,server=on,telnet=on", "-mon", "chardev=m"), HMP_TCP, "44", true, false, 0);
	assert_one(LINE("-chardev", "pty,id=m,path=/l", "-object", "monitor-hmp,id=o,chardev=m"), HMP_PTY, "/l", false, false, 0);
}

static void monitors_out_of_reach_say_why(void **state)
{
	(void)state;
	assert_one(LINE("-monitor", "stdio"), HMP_NOWHERE, NULL, false, false, 0);
	assert_one(LINE("-monitor", "unix:/a"), HMP_NOWHERE, NULL, false, false, 0);
	assert_one(LINE("-monitor", "tcp:h:ssh,server=on"), HMP_NOWHERE, NULL, false, false, 0);
	assert_one(LINE("-chardev", "socket,id=m,port=44,server=on,tls-creds=t", "-mon", "m"), HMP_NOWHERE, NULL, false, false, 0);
	assert_one(LINE("-mon", "chardev=gone"), HMP_NOWHERE, NULL, false, false, 0);
	assert_int_equal(qemu_args_hmp(LINE("-monitor", "none", "-qmp", "unix:/a,server"), &(struct args_hmp *){NULL}), 0);
	assert_int_equal(qemu_args_hmp(LINE("-mon", "chardev=m,mode=control"), &(struct args_hmp *){NULL}), 0);
}

static void of_a_mux_the_escape_is_known_where_two_share_it(void **state)
{
	static char mux[] = "socket,id=c,path=/c,server=on,mux=on";

	(void)state;
	assert_one(LINE("-serial", "mon:unix:/c,server=on"), HMP_UNIX, "/c", false, true, 1);
	assert_one(LINE("-serial", "mon:unix:/c,server=on", "-echr", "0x14"), HMP_UNIX, "/c", false, true, 0x14);
	assert_one(LINE("-chardev", mux, "-serial", "chardev:c", "-mon", "chardev=c"), HMP_UNIX, "/c", false, true, 1);
	assert_one(LINE("-chardev", mux, "-serial", "chardev:c", "-device", "virtconsole,chardev=c", "-mon", "c"), HMP_UNIX, "/c", false,
		   true, 0);
}

static void terminals_of_the_line_are_counted(void **state)
{
	(void)state;
	assert_int_equal(qemu_args_ptys(LINE("-serial", "pty", "-monitor", "pty", "-chardev", "pty,id=x", "-qmp", "unix:/p,server")), 3);
	assert_int_equal(qemu_args_ptys(LINE("-serial", "mon:pty", "-name", "pty")), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_is_read_wherever_it_is_cut),
		cmocka_unit_test(an_answer_ends_with_its_prompt_and_not_before),
		cmocka_unit_test(a_prompt_within_a_line_is_none),
		cmocka_unit_test(telnet_says_its_own_between_the_bytes),
		cmocka_unit_test(a_greeting_is_a_line_before_its_prompt),
		cmocka_unit_test(an_endless_answer_is_not_kept),
		cmocka_unit_test(an_error_is_a_line_of_its_own),
		cmocka_unit_test(a_line_is_asked_and_answered),
		cmocka_unit_test(nothing_is_typed_where_nobody_greets),
		cmocka_unit_test(a_mux_gives_the_keyboard_and_has_it_back),
		cmocka_unit_test(a_mux_that_has_the_keyboard_keeps_it),
		cmocka_unit_test(a_mux_that_is_slow_keeps_the_keyboard),
		cmocka_unit_test(a_mux_that_gives_no_keyboard_is_refused),
		cmocka_unit_test(monitors_are_found_on_the_line),
		cmocka_unit_test(monitors_out_of_reach_say_why),
		cmocka_unit_test(of_a_mux_the_escape_is_known_where_two_share_it),
		cmocka_unit_test(terminals_of_the_line_are_counted),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
