/*
 * test-loop.c: operations, timers, and posts from other threads; and the queue built on them.
 */
#include "loop.h"
#include "queue.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define DEADLINE_MS 120000
#define THREADS	    4

static struct loop *loop;
static struct err err;

static uint64_t deadline(void)
{
	return now_ns() + DEADLINE_MS * 1000000ULL;
}

/* Steps the loop until cond holds. */
#define pump_until(cond)                                                                                                                   \
	do {                                                                                                                               \
		uint64_t until_ = deadline();                                                                                              \
		while (!(cond)) {                                                                                                          \
			assert_int_equal(loop_step(loop, 100, &err), 0);                                                                   \
			assert_true(now_ns() < until_);                                                                                    \
		}                                                                                                                          \
	} while (0)

static int setup(void **state)
{
	(void)state;
	return loop_new(&loop, 8, &err);
}

static int teardown(void **state)
{
	(void)state;
	loop_free(loop);
	return 0;
}

/* ---- operations ---- */

struct counted_op {
	struct op op;
	unsigned calls;
	int res;
};

static bool full_queue; /* a full queue as of kernels before 5.19: nothing is taken while completions wait */
static unsigned refused;

/* In place of liburing's. */
int io_uring_submit(struct io_uring *ring)
{
	if (full_queue && io_uring_cq_ready(ring)) {
		if (++refused > 1000)
			fail_msg("the completions are not taken");
		return -EBUSY;
	}
	return io_uring_submit_and_wait(ring, 0);
}

static void op_done(struct op *op, int res, uint32_t flags)
{
	struct counted_op *c = container_of(op, struct counted_op, op);

	(void)flags;
	c->calls++;
	c->res = res;
}

static struct counted_op *waited_for;

/* Steps the loop for another one. */
static void op_done_and_wait(struct op *op, int res, uint32_t flags)
{
	op_done(op, res, flags);
	pump_until(waited_for->calls);
}

static void completions_that_fill_their_queue_are_taken_and_told_once(void **state)
{
	struct counted_op c[100] = {{.calls = 0}};
	unsigned i;

	(void)state;
	if (!loop_has_io_uring(loop)) {
		print_message("skipped: there is no io_uring here\n");
		skip();
	}
	full_queue = true;
	refused = 0;
	waited_for = &c[40];
	for (i = 0; i < ARRAY_LEN(c); i++) {
		struct io_uring_sqe *sqe = loop_sqe(loop);

		io_uring_prep_nop(sqe);
		c[i].op.done = i == 3 ? op_done_and_wait : op_done;
		loop_bind(sqe, &c[i].op);
	}
	assert_true(refused);
	assert_int_equal(c[0].calls, 0); /* the callback never runs within loop_sqe() */
	pump_until(c[ARRAY_LEN(c) - 1].calls);
	full_queue = false;
	for (i = 0; i < ARRAY_LEN(c); i++)
		assert_int_equal(c[i].calls, 1);
}

static void go_on_without_ring(void)
{
	bool without = getenv("VMFERRY_FAULT");

	loop_free(loop);
	setenv("VMFERRY_FAULT", "no-io-uring:fail", 1);
	assert_int_equal(loop_new(&loop, 8, &err), 0);
	if (!without)
		unsetenv("VMFERRY_FAULT");
}

/* With and without io_uring, whatever there is. */
static void a_callback_may_wait_for_what_ended_at_the_same_time(void **state)
{
	struct counted_op c[3];
	unsigned i, pass;

	(void)state;
	for (pass = 0; pass < 2; pass++) {
		for (i = 0; i < 3; i++) {
			struct io_uring_sqe *sqe = loop_sqe(loop);

			io_uring_prep_nop(sqe);
			c[i] = (struct counted_op){.op.done = i ? op_done : op_done_and_wait};
			loop_bind(sqe, &c[i].op);
		}
		waited_for = &c[2];
		pump_until(c[2].calls);
		for (i = 0; i < 3; i++)
			assert_int_equal(c[i].calls, 1);
		if (!pass)
			go_on_without_ring();
	}
}

static void an_operation_completes_once_with_its_result(void **state)
{
	struct counted_op c = {.op.done = op_done};
	struct io_uring_sqe *sqe = loop_sqe(loop);
	char b[8] = "";
	int fd[2];

	(void)state;
	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	io_uring_prep_read(sqe, fd[0], b, sizeof(b), 0);
	loop_bind(sqe, &c.op);
	assert_int_equal(loop_step(loop, 0, &err), 0);
	assert_int_equal(c.calls, 0);
	assert_int_equal(write(fd[1], "five", 5), 5);
	pump_until(c.calls);
	assert_int_equal(c.res, 5);
	assert_string_equal(b, "five");
	assert_int_equal(loop_step(loop, 0, &err), 0);
	assert_int_equal(c.calls, 1);
	close(fd[0]);
	close(fd[1]);
}

static int result_of(struct counted_op *c)
{
	*c = (struct counted_op){.op.done = op_done};
	pump_until(c->calls);
	return c->res;
}

/* Operations that a filter of calls would refuse: a file with a setuid bit, a program's socket. With and without io_uring, as before. */
static void what_no_loop_asks_for_is_not_carried_out(void **state)
{
	AUTO_FREE char *path = xasprintf("/tmp/test-loop-%d", (int)getpid());
	struct io_uring_sqe *sqe;
	struct counted_op c;
	unsigned pass;

	(void)state;
	for (pass = 0; pass < 2; pass++) {
		sqe = loop_sqe(loop);
		io_uring_prep_openat(sqe, AT_FDCWD, path, O_WRONLY | O_CREAT, 04755);
		loop_bind(sqe, &c.op);
		assert_int_equal(result_of(&c), -EACCES);
		assert_int_equal(access(path, F_OK), -1);
		sqe = loop_sqe(loop);
		io_uring_prep_close(sqe, 1000);
		loop_bind(sqe, &c.op);
		assert_int_equal(result_of(&c), -EACCES);
		sqe = loop_sqe(loop);
		io_uring_prep_nop(sqe);
		loop_bind(sqe, &c.op);
		assert_int_equal(result_of(&c), 0);
		if (!pass)
			go_on_without_ring();
	}
}

static void far_more_operations_than_the_queue_has_entries_all_complete(void **state)
{
	static struct counted_op c[1000];
	unsigned i, done = 0;

	(void)state;
	memset(c, 0, sizeof(c));
	for (i = 0; i < ARRAY_LEN(c); i++) {
		struct io_uring_sqe *sqe = loop_sqe(loop);

		c[i].op.done = op_done;
		io_uring_prep_nop(sqe);
		loop_bind(sqe, &c[i].op);
	}
	pump_until((done = 0, ({
			    for (i = 0; i < ARRAY_LEN(c); i++)
				    done += c[i].calls;
			    done == ARRAY_LEN(c);
		    })));
	for (i = 0; i < ARRAY_LEN(c); i++)
		assert_int_equal(c[i].calls, 1);
}

static void a_cancelled_operation_is_still_answered_once(void **state)
{
	struct counted_op c = {.op.done = op_done};
	struct io_uring_sqe *sqe = loop_sqe(loop);
	char b[8];
	int fd[2];

	(void)state;
	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	io_uring_prep_read(sqe, fd[0], b, sizeof(b), 0);
	loop_bind(sqe, &c.op);
	assert_int_equal(loop_step(loop, 0, &err), 0);
	loop_cancel(loop, &c.op);
	pump_until(c.calls);
	assert_int_equal(c.res, -ECANCELED);
	/* cancelling what is over already does nothing */
	loop_cancel(loop, &c.op);
	assert_int_equal(loop_step(loop, 0, &err), 0);
	assert_int_equal(loop_step(loop, 0, &err), 0);
	assert_int_equal(c.calls, 1);
	close(fd[0]);
	close(fd[1]);
}

/* ---- timers ---- */

#define TIMERS 8

static struct timer timers[TIMERS];
static uint64_t due[TIMERS], last_due;
static unsigned fired[64], fired_count;

static void record(struct timer *t)
{
	unsigned i = (unsigned)(t - timers);

	assert_true(t->at_ns == 0); /* the timer may be set again from here on */
	assert_true(due[i] >= last_due);
	assert_true(now_ns() >= due[i]);
	last_due = due[i];
	fired[fired_count++ % ARRAY_LEN(fired)] = i;
}

/* However long this thread was kept from running in between, order is by what each was told. */
static void set(unsigned i, uint64_t after_ms)
{
	uint64_t before = now_ns();

	loop_timer_set(loop, &timers[i], after_ms);
	due[i] = timers[i].at_ns;
	assert_true(due[i] >= before + after_ms * 1000000 && due[i] <= now_ns() + after_ms * 1000000);
}

static int timer_setup(void **state)
{
	unsigned i;

	memset(timers, 0, sizeof(timers));
	for (i = 0; i < TIMERS; i++)
		timers[i].fire = record;
	fired_count = 0;
	last_due = 0;
	return setup(state);
}

static void timers_fire_in_the_order_of_their_times_and_never_early(void **state)
{
	static const unsigned after[] = {40, 5, 30, 5, 0, 20, 10, 5};
	unsigned i, seen = 0;

	(void)state;
	for (i = 0; i < TIMERS; i++)
		set(i, after[i]);
	pump_until(fired_count == TIMERS);
	for (i = 0; i < TIMERS; i++)
		seen |= 1U << fired[i];
	assert_int_equal(seen, (1U << TIMERS) - 1);
}

static void a_timer_set_again_fires_once_at_its_new_time(void **state)
{
	(void)state;
	set(0, 3600 * 1000);
	set(1, 5);
	set(0, 1);
	pump_until(fired_count == 2); /* sooner; record() checks the order */
	set(2, 1);
	set(2, 5);
	set(3, 10);
	pump_until(fired_count == 4); /* later */
	assert_int_equal(fired[2], 2);
	assert_int_equal(fired[3], 3);
}

static void clear_others(struct timer *t)
{
	record(t);
	loop_timer_clear(loop, &timers[1]); /* due at the same moment */
	loop_timer_clear(loop, &timers[2]);
	loop_timer_clear(loop, t); /* a timer that is not set: no effect */
}

static void a_timer_cleared_in_a_callback_does_not_fire(void **state)
{
	(void)state;
	timers[0].fire = clear_others;
	set(0, 1);
	set(1, 1);
	set(2, 2);
	set(3, 5);
	loop_timer_clear(loop, &timers[4]); /* never set */
	pump_until(fired_count == 2);
	assert_int_equal(fired[0], 0);
	assert_int_equal(fired[1], 3);
}

static void again_at_once(struct timer *t)
{
	record(t);
	if (fired_count < 1000000)
		set(0, 0);
}

static void a_timer_that_sets_itself_to_now_starves_nobody(void **state)
{
	struct counted_op c = {.op.done = op_done};
	struct io_uring_sqe *sqe = loop_sqe(loop);

	(void)state;
	io_uring_prep_nop(sqe);
	loop_bind(sqe, &c.op);
	timers[0].fire = again_at_once;
	set(0, 0);
	pump_until(c.calls && fired_count >= 3);
	assert_true(fired_count < 1000000);
	loop_timer_clear(loop, &timers[0]);
}

static void a_step_waits_for_the_next_timer_and_not_longer(void **state)
{
	uint64_t start = now_ns();

	(void)state;
	set(0, 20);
	while (!fired_count)
		assert_int_equal(loop_step(loop, 3600 * 1000, &err), 0);
	assert_true(now_ns() - start < DEADLINE_MS * 1000000ULL);
}

static void stop_now(struct timer *t)
{
	record(t);
	loop_stop(loop);
}

static void run_goes_on_until_stop(void **state)
{
	(void)state;
	timers[1].fire = stop_now;
	set(0, 1);
	set(1, 5);
	set(2, 3600 * 1000);
	assert_int_equal(loop_run(loop, &err), 0);
	assert_int_equal(fired_count, 2);
	/* the loop can run again */
	set(1, 1);
	assert_int_equal(loop_run(loop, &err), 0);
	assert_int_equal(fired_count, 3);
	loop_timer_clear(loop, &timers[2]);
}

/* ---- posts ---- */

struct counted_task {
	struct task task;
	uint64_t wanted; /* atomic: written before each post */
	uint64_t seen;
	unsigned runs;
	pthread_t thread;
};

#define TASKS 50
#define POSTS 2000

static struct counted_task tasks[THREADS][TASKS], shared_task;
static unsigned runs_in_all;

static void task_run(struct task *t)
{
	struct counted_task *c = container_of(t, struct counted_task, task);

	c->seen = __atomic_load_n(&c->wanted, __ATOMIC_ACQUIRE);
	c->thread = pthread_self();
	c->runs++;
	runs_in_all++;
}

static void *post_each_once(void *arg)
{
	struct counted_task *t = arg;
	unsigned i;

	for (i = 0; i < TASKS; i++)
		loop_post(loop, &t[i].task);
	return NULL;
}

static void tasks_posted_from_several_threads_all_run_in_the_loops_thread(void **state)
{
	pthread_t th[THREADS];
	unsigned i, k;

	(void)state;
	memset(tasks, 0, sizeof(tasks));
	runs_in_all = 0;
	for (i = 0; i < THREADS; i++) {
		for (k = 0; k < TASKS; k++)
			tasks[i][k].task.run = task_run;
		assert_int_equal(pthread_create(&th[i], NULL, post_each_once, tasks[i]), 0);
	}
	pump_until(runs_in_all == THREADS * TASKS);
	for (i = 0; i < THREADS; i++)
		pthread_join(th[i], NULL);
	assert_int_equal(loop_step(loop, 0, &err), 0);
	for (i = 0; i < THREADS; i++)
		for (k = 0; k < TASKS; k++) {
			assert_int_equal(tasks[i][k].runs, 1);
			assert_true(pthread_equal(tasks[i][k].thread, pthread_self()));
		}
}

/* Many threads post the same task again and again: the loop must have seen the last of what was to be seen. */
static void *post_the_same_often(void *arg)
{
	unsigned i;

	(void)arg;
	for (i = 0; i < POSTS; i++) {
		__atomic_fetch_add(&shared_task.wanted, 1, __ATOMIC_RELEASE);
		loop_post(loop, &shared_task.task);
	}
	return NULL;
}

static void what_was_done_before_a_post_is_seen_by_the_task(void **state)
{
	pthread_t th[THREADS];
	unsigned i;

	(void)state;
	memset(&shared_task, 0, sizeof(shared_task));
	shared_task.task.run = task_run;
	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&th[i], NULL, post_the_same_often, NULL), 0);
	pump_until(shared_task.seen == THREADS * POSTS);
	for (i = 0; i < THREADS; i++)
		pthread_join(th[i], NULL);
	assert_true(shared_task.runs >= 1 && shared_task.runs <= THREADS * POSTS);
}

static void a_task_posted_twice_before_it_ran_runs_once(void **state)
{
	(void)state;
	memset(tasks, 0, sizeof(tasks));
	tasks[0][0].task.run = tasks[0][1].task.run = task_run;
	loop_post(loop, &tasks[0][0].task);
	loop_post(loop, &tasks[0][0].task);
	loop_post(loop, &tasks[0][1].task);
	pump_until(tasks[0][1].runs);
	assert_int_equal(loop_step(loop, 0, &err), 0);
	assert_int_equal(tasks[0][0].runs, 1);
	assert_int_equal(tasks[0][1].runs, 1);
}

static void post_again(struct task *t)
{
	struct counted_task *c = container_of(t, struct counted_task, task);

	if (++c->runs < 100)
		loop_post(loop, t);
	if (c->runs == 50)
		loop_post(loop, &tasks[0][1].task); /* another task */
}

static void a_task_may_post_itself_and_others_while_it_runs(void **state)
{
	(void)state;
	memset(tasks, 0, sizeof(tasks));
	tasks[0][0].task.run = post_again;
	tasks[0][1].task.run = task_run;
	loop_post(loop, &tasks[0][0].task);
	pump_until(tasks[0][0].runs == 100 && tasks[0][1].runs == 1);
}

static void *post_late(void *arg)
{
	loop_post(loop, arg);
	return NULL;
}

static void stop_task(struct task *t)
{
	(void)t;
	loop_stop(loop);
}

static void a_post_wakes_a_loop_that_waits_with_nothing_else_to_do(void **state)
{
	struct task t = {.run = stop_task};
	pthread_t th;

	(void)state;
	assert_int_equal(pthread_create(&th, NULL, post_late, &t), 0);
	assert_int_equal(loop_run(loop, &err), 0); /* hangs for an hour if not */
	pthread_join(th, NULL);
}

/* ---- queue ---- */

struct thing {
	struct qnode node;
	unsigned producer, number;
};

#define THINGS 20000

static struct queue queue;
static unsigned next_of[THREADS], taken, readies;

static void on_ready(struct queue *q)
{
	struct qnode *n;

	readies++;
	while ((n = queue_take(q))) {
		struct thing *t = container_of(n, struct thing, node);

		assert_int_equal(t->number, next_of[t->producer]);
		next_of[t->producer]++;
		taken++;
		free(t);
	}
}

static void *produce(void *arg)
{
	unsigned i;

	for (i = 0; i < THINGS; i++) {
		struct thing *t = xmalloc(sizeof(*t));

		t->producer = (unsigned)(uintptr_t)arg;
		t->number = i;
		queue_put(&queue, &t->node);
	}
	return NULL;
}

static void things_from_many_threads_arrive_once_and_in_order_per_thread(void **state)
{
	pthread_t th[THREADS];
	unsigned i;

	(void)state;
	memset(next_of, 0, sizeof(next_of));
	taken = readies = 0;
	queue_init(&queue, loop, on_ready);
	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&th[i], NULL, produce, (void *)(uintptr_t)i), 0);
	pump_until(taken == THREADS * THINGS);
	for (i = 0; i < THREADS; i++)
		pthread_join(th[i], NULL);
	assert_null(queue_take(&queue));
	assert_true(readies >= 1 && readies <= THREADS * THINGS);
	assert_int_equal(loop_step(loop, 0, &err), 0); /* a wake-up that came late finds nothing */
	assert_int_equal(taken, THREADS * THINGS);
	queue_fini(&queue);
}

static void take_one(struct queue *q)
{
	(void)q;
	readies++;
}

static void what_ready_leaves_stays_in_the_queue(void **state)
{
	struct thing t[3];
	unsigned i;

	(void)state;
	readies = 0;
	queue_init(&queue, loop, take_one);
	assert_null(queue_take(&queue));
	for (i = 0; i < ARRAY_LEN(t); i++)
		queue_put(&queue, &t[i].node);
	pump_until(readies);
	assert_ptr_equal(queue_take(&queue), &t[0].node);
	assert_ptr_equal(queue_take(&queue), &t[1].node);
	queue_put(&queue, &t[0].node);
	assert_ptr_equal(queue_take(&queue), &t[2].node);
	assert_ptr_equal(queue_take(&queue), &t[0].node);
	assert_null(queue_take(&queue));
	queue_put(&queue, &t[1].node); /* into an emptied queue */
	assert_ptr_equal(queue_take(&queue), &t[1].node);
	assert_int_equal(loop_step(loop, 0, &err), 0);
	queue_fini(&queue);
}

#define test(name)	 cmocka_unit_test_setup_teardown(name, setup, teardown)
#define timer_test(name) cmocka_unit_test_setup_teardown(name, timer_setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(an_operation_completes_once_with_its_result),
		test(completions_that_fill_their_queue_are_taken_and_told_once),
		test(a_callback_may_wait_for_what_ended_at_the_same_time),
		test(far_more_operations_than_the_queue_has_entries_all_complete),
		test(what_no_loop_asks_for_is_not_carried_out),
		test(a_cancelled_operation_is_still_answered_once),
		timer_test(timers_fire_in_the_order_of_their_times_and_never_early),
		timer_test(a_timer_set_again_fires_once_at_its_new_time),
		timer_test(a_timer_cleared_in_a_callback_does_not_fire),
		timer_test(a_timer_that_sets_itself_to_now_starves_nobody),
		timer_test(a_step_waits_for_the_next_timer_and_not_longer),
		timer_test(run_goes_on_until_stop),
		test(tasks_posted_from_several_threads_all_run_in_the_loops_thread),
		test(what_was_done_before_a_post_is_seen_by_the_task),
		test(a_task_posted_twice_before_it_ran_runs_once),
		test(a_task_may_post_itself_and_others_while_it_runs),
		test(a_post_wakes_a_loop_that_waits_with_nothing_else_to_do),
		test(things_from_many_threads_arrive_once_and_in_order_per_thread),
		test(what_ready_leaves_stays_in_the_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
