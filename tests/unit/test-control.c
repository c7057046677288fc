/* test-control.c: of agents that begin with the same guest at once exactly one goes on, and its socket stays. */
#include "control.h"
#include "util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define AGENTS 12
#define ROUNDS 4
#define GUEST  4242

static char dir[] = "/tmp/vmferry-control-XXXXXX", socket_file[64];

static json_t *say_pid(void *ctx, const char *command, const json_t *args)
{
	(void)ctx, (void)command, (void)args;
	return json_pack("{s:i}", "pid", (int)getpid());
}

static int setup(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(socket_file, sizeof(socket_file), "%s/move-%d.sock", dir, GUEST);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return rmdir(dir); /* the folder was left empty */
}

/* Leaves a socket as a killed agent does. */
static void leave_stale_socket(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(sa.sun_path, socket_file);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 8), 0);
	close(fd);
}

/* Waits until `go` is closed, opens, says 'y' or 'n', and serves until it is terminated. */
static pid_t agent(const int go[2], int said)
{
	struct control *c;
	struct loop *l;
	struct err e;
	pid_t pid = fork();
	char byte;

	assert_true(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(go[1]);
	if (loop_new(&l, 64, &e) || read(go[0], &byte, 1) != 0)
		_exit(2);
	byte = control_open(&c, l, dir, GUEST, say_pid, NULL, &e) ? e.code == EBUSY ? 'n' : 'e' : 'y';
	if (write(said, &byte, 1) != 1 || byte != 'y')
		_exit(1);
	loop_run(l, &e);
	_exit(0);
}

static int pid_that_answers(void)
{
	json_t *request = json_pack("{s:s}", "command", "status"), *answer = NULL;
	struct err e;
	int pid = 0;

	if (!control_ask(dir, GUEST, request, &answer, &e))
		pid = (int)json_integer_value(json_object_get(answer, "pid"));
	json_decref(answer);
	json_decref(request);
	return pid;
}

static void of_many_that_begin_at_once_one_goes_on(void **state)
{
	pid_t pids[AGENTS];
	int go[2], said[2], round, i, yes, one;
	char byte;

	(void)state;
	for (round = 0; round < ROUNDS; round++) {
		leave_stale_socket();
		assert_int_equal(pipe(said), 0);
		assert_int_equal(pipe(go), 0);
		for (i = 0; i < AGENTS; i++)
			pids[i] = agent(go, said[1]);
		close(go[0]);
		close(go[1]);
		for (yes = i = 0; i < AGENTS; i++) {
			assert_int_equal(read(said[0], &byte, 1), 1);
			assert_int_not_equal(byte, 'e');
			yes += byte == 'y';
		}
		assert_int_equal(yes, 1);
		for (one = i = 0; i < AGENTS; i++)
			one += pid_that_answers() == pids[i];
		assert_int_equal(one, 1);
		for (i = 0; i < AGENTS; i++)
			kill(pids[i], SIGKILL);
		for (i = 0; i < AGENTS; i++)
			waitpid(pids[i], NULL, 0);
		unlink(socket_file);
		close(said[0]);
		close(said[1]);
	}
}

static void socket_of_another_is_not_removed_at_the_end(void **state)
{
	struct control *c;
	struct loop *l;
	struct stat st;
	struct err e;

	(void)state;
	assert_int_equal(loop_new(&l, 64, &e), 0);
	assert_int_equal(control_open(&c, l, dir, GUEST, say_pid, NULL, &e), 0);
	assert_int_equal(unlink(socket_file), 0);
	leave_stale_socket();
	control_close(c);
	assert_int_equal(lstat(socket_file, &st), 0);
	assert_int_equal(control_open(&c, l, dir, GUEST, say_pid, NULL, &e), 0); /* no process answers there */
	control_close(c);
	assert_int_not_equal(lstat(socket_file, &st), 0);
	loop_free(l);
}

/* An agent that is stopped has no room for further clients: that is no reason to wait for it for ever, nor to take it for dead. */
static void agent_that_stands_still_has_its_place(void **state)
{
	int asks[64], i;
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct control *c, *other;
	struct loop *l;
	struct err e;

	(void)state;
	assert_int_equal(loop_new(&l, 64, &e), 0);
	assert_int_equal(control_open(&c, l, dir, GUEST, say_pid, NULL, &e), 0);
	strcpy(sa.sun_path, socket_file);
	for (i = 0; i < 64; i++) {
		asks[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (connect(asks[i], (struct sockaddr *)&sa, sizeof(sa)))
			break;
	}
	assert_true(i < 64);
	assert_int_equal(errno, EAGAIN);
	alarm(10);
	assert_int_equal(control_open(&other, l, dir, GUEST, say_pid, NULL, &e), -EBUSY);
	alarm(0);
	for (; i >= 0; i--)
		close(asks[i]);
	control_close(c);
	loop_free(l);
}

static void what_died_is_swept_away_and_what_lives_stays(void **state)
{
	struct control *c;
	struct loop *l;
	struct err e;

	(void)state;
	leave_stale_socket();
	control_sweep(dir);
	assert_int_equal(access(socket_file, F_OK), -1);
	assert_int_equal(loop_new(&l, 64, &e), 0);
	assert_int_equal(control_open(&c, l, dir, GUEST, say_pid, NULL, &e), 0);
	control_sweep(dir);
	assert_int_equal(access(socket_file, F_OK), 0);
	control_close(c);
	loop_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_many_that_begin_at_once_one_goes_on),
		cmocka_unit_test(socket_of_another_is_not_removed_at_the_end),
		cmocka_unit_test(agent_that_stands_still_has_its_place),
		cmocka_unit_test(what_died_is_swept_away_and_what_lives_stays),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
