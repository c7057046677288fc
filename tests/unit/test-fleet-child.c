/* test-fleet-child.c: commands of a fleet's: what they say, with which code they end, and who may live on with what they had open. */
#include "exit-code.h"
#include "fleet-child.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>

#include <cmocka.h>

static pid_t another;

static void take(void *ctx, json_t *event)
{
	unsigned *events = ctx;

	another = (pid_t)json_integer_value(json_object_get(event, "pid"));
	++*events;
}

/* Runs the script to its end and returns its exit code; all events have arrived then. */
static int run(struct fleet_child *c, const char *script, unsigned *events)
{
	char *argv[] = {(char *)"/bin/sh", (char *)"-c", (char *)(uintptr_t)script, NULL};
	siginfo_t info;
	struct err e;
	int code = -1;

	*events = 0;
	assert_int_equal(child_begin(c, argv, &e), 0);
	assert_int_equal(waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOWAIT), 0);
	assert_true(child_attend(c, take, events, &code));
	return code;
}

static void its_guard_may_outlive_it(void **state)
{
	struct fleet_child c;
	unsigned events;
	int code;

	(void)state;
	code = run(&c, "sleep 1000 & echo '{\"pid\": '$!'}'; echo 'vmferry: the guest waits' >&2; exit 5", &events);
	assert_int_equal(kill(another, SIGKILL), 0);
	assert_int_equal(code, 5);
	assert_int_equal(events, 1);
	assert_string_equal(child_last_words(&c), "the guest waits");
	child_fini(&c);
}

static void what_was_killed_after_an_event_is_undecided(void **state)
{
	struct fleet_child c;
	unsigned events;

	(void)state;
	assert_int_equal(run(&c, "echo '{}'; kill -TERM $$", &events), EXIT_UNDECIDED);
	assert_int_equal(events, 1);
	child_fini(&c);
	assert_int_equal(run(&c, "kill -TERM $$", &events), EXIT_REFUSED);
	child_fini(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(its_guard_may_outlive_it),
		cmocka_unit_test(what_was_killed_after_an_event_is_undecided),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
