/* test-order-wait.c: `vmferry cancel` and its like wait for what comes of the order: an agent played here says it, or is gone. */
#include "exit-code.h"
#include "order-wait.h"
#include "control.h"
#include "util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define GUEST 4242

static char dir[] = "/tmp/vmferry-order-XXXXXX";

/* The script of an agent that is asked: its answer, then events, or "-" where its socket goes and another agent's comes. */
static const char *const *script;
static const char *answered;

static json_t *answer(void *ctx, const char *command, const json_t *args)
{
	(void)command, (void)args;
	*(bool *)ctx = true;
	return json_loads(answered ?: "{\"stage\":\"copy\"}", 0, NULL);
}

#define NEXT_AGENT_MS 300 /* delay of the next agent, so that a single look does not find it */

/* An agent serves one who asks, says all up to the next "-", and ends. Returns where in the script it has come to. */
static size_t serve(struct loop *l, size_t at, int ready)
{
	struct control *c;
	bool asked = false;
	struct err e;

	answered = !at ? script[at] : NULL;
	if (at)
		poll(NULL, 0, NEXT_AGENT_MS);
	if (control_open(&c, l, dir, GUEST, answer, &asked, &e) || write(ready, "y", 1) != 1)
		_exit(1);
	while (!asked)
		loop_step(l, 50, &e);
	for (at++; script[at] && strcmp(script[at], "-"); at++)
		control_publish(c, script[at]);
	control_close(c);
	return at;
}

static pid_t agent(void)
{
	int ready[2];
	struct loop *l;
	struct err e;
	size_t at;
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (loop_new(&l, 64, &e))
			_exit(2);
		for (at = serve(l, 0, ready[1]); script[at]; at = serve(l, at, ready[1]))
			;
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static const char *ordered = "cancel";

static int gives(const char *const *says, bool waits)
{
	json_t *request = json_pack("{s:s}", "command", ordered);
	pid_t pid;
	int code;

	script = says;
	pid = agent();
	alarm(30);
	code = order_give(dir, GUEST, request, waits);
	alarm(0);
	json_decref(request);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return code;
}

#define OK	 "{\"ok\":\"rolling back\"}"
#define PROGRESS "{\"event\":\"progress\",\"stage\":\"copy\",\"left\":1,\"rate_bps\":1.0}"
#define PASS	 "{\"event\":\"progress\",\"how\":\"head-start\",\"stage\":\"copy\",\"left\":1,\"rate_bps\":1.0}"
#define BACK                                                                                                                               \
	"{\"event\":\"result\",\"outcome\":\"rolled-back\",\"reason\":\"cancelled by the user\",\"guest_text\":\"running on the source\"," \
	"\"exit_code\":1,\"how\":\"live\"}"
#define UNDECIDED "{\"event\":\"result\",\"outcome\":\"undecided\",\"exit_code\":6,\"how\":\"live\"}"
#define MOVED	  "{\"event\":\"result\",\"outcome\":\"migrated\",\"exit_code\":0,\"how\":\"live\"}"

static void code_is_that_of_the_move_that_was_waited_for(void **state)
{
	static const char *const back[] = {OK, PROGRESS, BACK, NULL}, *const moved[] = {OK, PROGRESS, MOVED, NULL};

	(void)state;
	assert_int_equal(gives(back, true), 0); /* a cancel is to take the guest back */
	assert_int_equal(gives(moved, true), EXIT_SOURCE);
	ordered = "switch";
	assert_int_equal(gives(back, true), EXIT_SOURCE);
	assert_int_equal(gives(moved, true), EXIT_DESTINATION);
	ordered = "cancel";
}

static void nobody_waits_who_does_not_want_to(void **state)
{
	static const char *const back[] = {OK, BACK, NULL};

	(void)state;
	assert_int_equal(gives(back, false), 0);
}

static void refusal_ends_it_unless_the_move_was_faster(void **state)
{
	static const char *const refused[] = {"{\"error\":\"not possible\"}", MOVED, NULL},
				 *const late[] = {"{\"error\":\"too late\",\"late\":true}", UNDECIDED, NULL};

	(void)state;
	assert_int_equal(gives(refused, true), EXIT_SOURCE);
	assert_int_equal(gives(late, true), EXIT_UNDECIDED); /* only the end of the move tells */
}

static void event_may_end_the_wait_though_the_move_goes_on(void **state)
{
	static const char *const says[] = {OK, "{\"event\":\"notice\",\"text\":\"it is not had back\",\"wait_ends\":3}", BACK, NULL};

	(void)state;
	assert_int_equal(gives(says, true), EXIT_REFUSED);
}

static void next_attempt_of_the_same_command_is_followed(void **state)
{
	static const char *const says[] = {OK, PASS, "-", PROGRESS, MOVED, NULL};

	(void)state;
	assert_int_equal(gives(says, true), EXIT_SOURCE); /* the move was faster */
}

static void agent_that_is_gone_leaves_it_open(void **state)
{
	static const char *const says[] = {OK, PROGRESS, NULL};

	(void)state;
	assert_int_equal(gives(says, true), EXIT_UNDECIDED);
}

static int setup(void **state)
{
	(void)state;
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
		cmocka_unit_test(code_is_that_of_the_move_that_was_waited_for),
		cmocka_unit_test(nobody_waits_who_does_not_want_to),
		cmocka_unit_test(refusal_ends_it_unless_the_move_was_faster),
		cmocka_unit_test(event_may_end_the_wait_though_the_move_goes_on),
		cmocka_unit_test(next_attempt_of_the_same_command_is_followed),
		cmocka_unit_test(agent_that_is_gone_leaves_it_open),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
