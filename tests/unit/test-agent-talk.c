/* test-agent-talk.c: a guest's agent, which may say whatever it likes, is heard soundly and within the time (agent-talk.h). */
#include "agent-talk.h"
#include "json-text.h"
#include "util.h"

#include <errno.h>
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

static struct agent a;
static int there; /* the agent's end */

static int connect_both(void **state)
{
	int ends[2];

	(void)state;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return -1;
	a.n = 0;
	a.fd = ends[0];
	there = ends[1];
	return 0;
}

static int close_both(void **state)
{
	(void)state;
	close(a.fd);
	close(there);
	return 0;
}

static void say(const char *text)
{
	assert_int_equal(write(there, text, strlen(text)), strlen(text));
}

/* Says the number that the agent has to repeat. */
static void say_number(void)
{
	AUTO_FREE char *text = xasprintf("\xff{\"return\": %d}\n", (int)getpid());

	say(text);
}

static void what_nobody_has_read_is_behind_the_delimiter(void **state)
{
	json_t *answer = NULL;
	struct err e;

	(void)state;
	say("urn\": \"frozen\"}\n\xff{\"return\": 1}\n{\"ret\xff{\"re\n");
	say_number();
	say("{\"return\": \"thawed\"}\n");
	assert_int_equal(agent_synchronize(&a, &e), 0);
	assert_int_equal(agent_call(&a, "guest-fsfreeze-status", AGENT_SYNC_MS, &answer, &e), 0);
	assert_string_equal(json_string_value(answer), "thawed");
	json_decref(answer);
}

static void a_refusal_says_why(void **state)
{
	json_t *answer = NULL;
	struct err e;

	(void)state;
	say("{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"it is disabled\"}}\n");
	assert_int_equal(agent_call(&a, "guest-fsfreeze-freeze", AGENT_SYNC_MS, &answer, &e), -EREMOTEIO);
	assert_non_null(strstr(e.msg, "it is disabled"));
	assert_null(answer);
}

static void what_is_no_answer_is_none(void **state)
{
	json_t *answer = NULL;
	struct err e;

	(void)state;
	say("{\"return\": \n");
	assert_int_equal(agent_call(&a, "guest-fsfreeze-status", AGENT_SYNC_MS, &answer, &e), -EPROTO);
	say("{\"return\": 1"); /* and nothing more */
	assert_int_equal(agent_call(&a, "guest-fsfreeze-status", 1, &answer, &e), -ETIMEDOUT);
	shutdown(there, SHUT_WR);
	assert_int_equal(agent_call(&a, "guest-fsfreeze-status", AGENT_SYNC_MS, &answer, &e), -EPIPE);
	assert_int_equal(agent_synchronize(&a, &e), -EPIPE);
	assert_null(answer);
}

/* Says the text again and again until nobody listens. */
static void *say_for_ever(void *text)
{
	size_t n = strlen(text);

	while (send(there, text, n, MSG_NOSIGNAL) == (ssize_t)n)
		;
	return NULL;
}

static void an_endless_answer_is_not_kept(void **state)
{
	json_t *answer = NULL;
	pthread_t talker;
	struct err e;

	(void)state;
	assert_int_equal(pthread_create(&talker, NULL, say_for_ever, (void *)"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"), 0);
	assert_int_equal(agent_call(&a, "guest-ping", AGENT_SYNC_MS, &answer, &e), -EMSGSIZE);
	shutdown(a.fd, SHUT_RDWR);
	pthread_join(talker, NULL);
}

/* Otherwise an agent that always has something to say would never be left. */
static void what_is_said_after_the_time_is_not_heard(void **state)
{
	json_t *answer = NULL;
	struct err e;

	(void)state;
	say("{\"return\": 1}\n");
	assert_int_equal(agent_call(&a, "guest-ping", 0, &answer, &e), -ETIMEDOUT);
	assert_null(answer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_nobody_has_read_is_behind_the_delimiter, connect_both, close_both),
		cmocka_unit_test_setup_teardown(a_refusal_says_why, connect_both, close_both),
		cmocka_unit_test_setup_teardown(what_is_no_answer_is_none, connect_both, close_both),
		cmocka_unit_test_setup_teardown(an_endless_answer_is_not_kept, connect_both, close_both),
		cmocka_unit_test_setup_teardown(what_is_said_after_the_time_is_not_heard, connect_both, close_both),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
