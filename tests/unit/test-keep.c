/* test-keep.c: QEMU's end of connections whose agent is gone, and what their keeper does with them. */
#include "keep.h"
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
#include <sys/un.h>

#include <cmocka.h>

#include "../lib/sockets.h"

#define MUCH (4 * MIB) /* more than any socket buffers */

static char dir[] = "/tmp/test-keep-XXXXXX";

static struct {
	struct sockaddr_un at;
	int listen_fd, agent, keeper; /* both ends of the agent's connection to the keeper */
} t;

static int qemu_connects(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&t.at, sizeof(t.at)), 0);
	return fd;
}

/* Accepts as the agent does, which keeps no copy of it. */
static void accept_and_tell(void)
{
	int fd = accept4(t.listen_fd, NULL, NULL, SOCK_CLOEXEC);

	assert_true(fd >= 0);
	assert_true(keep_tell(t.agent, KEEP_CONNECTION, fd));
	close(fd);
}

static void agent_dies(void)
{
	close(t.listen_fd);
	close(t.agent);
}

static bool is_open(int fd)
{
	return taken(fd, 1) == 1;
}

static void a_dead_agents_connections_are_held_then_read_then_closed(void **state)
{
	int main_fd = qemu_connects(), waiting, late;
	struct keep *k;
	size_t n;

	(void)state;
	keep_tell(t.agent, KEEP_LISTENER, t.listen_fd);
	accept_and_tell();
	waiting = qemu_connects();
	agent_dies();
	k = keep_wait(t.keeper, NULL, 0, NULL);
	assert_non_null(k);
	n = taken(main_fd, MUCH);
	assert_true(n > 0 && n < MUCH); /* the other end does not read */
	keep_drain(k);
	keep_drain(k);
	late = qemu_connects();
	assert_int_equal(taken(main_fd, MUCH), MUCH);
	assert_int_equal(taken(waiting, MUCH), MUCH);
	assert_int_equal(taken(late, MUCH), MUCH);
	keep_end(k);
	assert_false(is_open(main_fd) || is_open(waiting) || is_open(late));
	assert_int_equal(access(t.at.sun_path, F_OK), -1);
	keep_free(k);
	close(main_fd);
	close(waiting);
	close(late);
}

static void one_that_qemu_closes_does_not_disturb_the_others(void **state)
{
	int a = qemu_connects(), b = qemu_connects();
	struct keep *k;

	(void)state;
	accept_and_tell();
	accept_and_tell();
	agent_dies();
	k = keep_wait(t.keeper, NULL, 0, NULL);
	keep_drain(k);
	close(a);
	assert_int_equal(taken(b, MUCH), MUCH);
	keep_free(k);
	assert_false(is_open(b));
	close(b);
}

static void after_a_goodbye_there_is_nothing(void **state)
{
	int fd = qemu_connects();

	(void)state;
	keep_tell(t.agent, KEEP_LISTENER, t.listen_fd);
	accept_and_tell();
	assert_true(is_open(fd));
	keep_tell(t.agent, KEEP_GOODBYE, -1);
	assert_null(keep_wait(t.keeper, NULL, 0, NULL));
	assert_false(is_open(fd));
	agent_dies();
	close(fd);
}

static void what_is_to_be_let_go_of_is_let_go_of(void **state)
{
	int before = qemu_connects(), after;
	struct keep *k;

	(void)state;
	keep_tell(t.agent, KEEP_LISTENER, t.listen_fd);
	accept_and_tell();
	keep_tell(t.agent, KEEP_NOTHING, -1);
	after = qemu_connects();
	accept_and_tell();
	agent_dies();
	k = keep_wait(t.keeper, NULL, 0, NULL);
	assert_false(is_open(before));
	assert_true(is_open(after));
	close(before);
	before = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(before, (struct sockaddr *)&t.at, sizeof(t.at)), -1); /* no process listens any more */
	keep_free(k);
	close(before);
	close(after);
}

/* A pipe stands for a locked disk: one end is lent, and the other hears when nobody has that any more. */
static struct keep *lent_a_lock(int *other, bool then_runs)
{
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	*other = ends[0];
	assert_true(keep_tell(t.agent, KEEP_LOCK, ends[1]));
	close(ends[1]);
	if (then_runs)
		keep_tell(t.agent, KEEP_RUNS, -1);
	keep_tell(t.agent, KEEP_NOTHING, -1); /* the agent keeps no connections */
	agent_dies();
	return keep_wait(t.keeper, NULL, 0, NULL);
}

static bool has_other_end(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) == 0;
}

static void a_dead_agents_locks_are_held(void **state)
{
	int other;
	struct keep *k = lent_a_lock(&other, false);

	(void)state;
	keep_end(k);
	assert_true(keep_has_locks(k) && has_other_end(other));
	keep_unlock(k);
	assert_false(keep_has_locks(k) || has_other_end(other));
	keep_free(k);
	close(other);
}

static void a_guest_that_runs_again_has_its_locks_itself(void **state)
{
	int other;
	struct keep *k = lent_a_lock(&other, true);

	(void)state;
	assert_false(keep_has_locks(k) || has_other_end(other));
	keep_free(k);
	close(other);
}

static void more_than_there_can_be_are_closed(void **state)
{
	int fd[KEEP_CONNS_MAX + 2];
	struct keep *k;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(fd); i++) {
		fd[i] = qemu_connects();
		accept_and_tell();
	}
	agent_dies();
	k = keep_wait(t.keeper, NULL, 0, NULL);
	for (i = 0; i < ARRAY_LEN(fd); i++)
		assert_int_equal(is_open(fd[i]), i < KEEP_CONNS_MAX);
	keep_free(k);
	for (i = 0; i < ARRAY_LEN(fd); i++)
		close(fd[i]);
}

static void a_keeper_that_is_gone_is_no_harm(void **state)
{
	(void)state;
	close(t.keeper);
	assert_false(keep_tell(t.agent, KEEP_LISTENER, t.listen_fd));
	assert_true(keep_tell(-1, KEEP_LISTENER, t.listen_fd)); /* no keeper runs */
	agent_dies();
	t.keeper = -1;
	keep_drain(NULL);
	keep_end(NULL);
	keep_free(NULL);
}

static unsigned looks;

static void look_three_times(void *ctx, bool stands)
{
	(void)ctx;
	assert_int_equal(stands, looks == 1);
	looks++;
	if (looks < 3)
		keep_tell(t.agent, looks == 1 ? KEEP_STANDS : KEEP_RUNS, -1);
	else
		close(t.agent);
}

static void looks_know_whether_the_guest_may_stand_still(void **state)
{
	struct keep *k;

	(void)state;
	alarm(20); /* keep_wait() might wait for ever */
	k = keep_wait(t.keeper, look_three_times, 1, NULL);
	alarm(0);
	assert_int_equal(looks, 3);
	keep_free(k);
	close(t.listen_fd);
}

static int setup(void **state)
{
	int fd[2];

	(void)state;
	t.at = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(t.at.sun_path, sizeof(t.at.sun_path), "%s/migrate", dir);
	t.listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(t.listen_fd, (struct sockaddr *)&t.at, sizeof(t.at)) || listen(t.listen_fd, 32) ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd))
		return -1;
	t.agent = fd[0];
	t.keeper = fd[1];
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(t.keeper);
	unlink(t.at.sun_path);
	return 0;
}

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	return rmdir(dir);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_dead_agents_connections_are_held_then_read_then_closed),
		CASE(one_that_qemu_closes_does_not_disturb_the_others),
		CASE(after_a_goodbye_there_is_nothing),
		CASE(what_is_to_be_let_go_of_is_let_go_of),
		CASE(a_dead_agents_locks_are_held),
		CASE(a_guest_that_runs_again_has_its_locks_itself),
		CASE(more_than_there_can_be_are_closed),
		CASE(a_keeper_that_is_gone_is_no_harm),
		CASE(looks_know_whether_the_guest_may_stand_still),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
