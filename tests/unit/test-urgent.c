/* test-urgent.c: real-time priority for as long as a guest stands still (urgent.h). A user who may not have it sees nothing change. */
#include "urgent.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static sem_t up, over;
static pid_t other; /* a thread that waits */

static void *wait_for_end(void *arg)
{
	(void)arg;
	other = gettid();
	sem_post(&up);
	sem_wait(&over);
	return NULL;
}

static int policy(pid_t thread)
{
	return sched_getscheduler(thread) & ~SCHED_RESET_ON_FORK;
}

static int while_urgent(void)
{
	return urgent_is_allowed() ? SCHED_RR : SCHED_OTHER;
}

static int childs_policy(void)
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(policy(0));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

static void all_threads_have_it_until_the_end(void **state)
{
	(void)state;
	urgent_begin();
	assert_int_equal(policy(0), while_urgent());
	assert_int_equal(policy(other), while_urgent());
	urgent_begin();
	urgent_end();
	assert_int_equal(policy(0), SCHED_OTHER);
	assert_int_equal(policy(other), SCHED_OTHER);
	urgent_end();
	assert_int_equal(policy(0), SCHED_OTHER);
}

static void a_program_that_is_started_meanwhile_does_not(void **state)
{
	(void)state;
	urgent_begin();
	assert_int_equal(childs_policy(), SCHED_OTHER);
	urgent_end();
}

static void a_thread_of_another_policy_keeps_it(void **state)
{
	const struct sched_param none = {.sched_priority = 0};

	(void)state;
	assert_int_equal(sched_setscheduler(other, SCHED_BATCH, &none), 0);
	urgent_begin();
	assert_int_equal(policy(other), SCHED_BATCH);
	urgent_end();
	assert_int_equal(policy(other), SCHED_BATCH);
	assert_int_equal(sched_setscheduler(other, SCHED_OTHER, &none), 0);
}

/* First of all, so that no limit of an earlier one is still to come. */
static void it_ends_by_itself(void **state)
{
	(void)state;
	urgent_begin();
	assert_int_equal(policy(other), while_urgent());
	while (policy(other) != SCHED_OTHER)
		usleep(1000);
	assert_int_equal(policy(0), SCHED_OTHER);
	urgent_begin(); /* once is enough */
	assert_int_equal(policy(0), SCHED_OTHER);
	urgent_end();
}

/* ThreadSanitizer's: the process below starts a thread, after a fork of one that has threads. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "die_after_fork=0";
}

/* A process with the right by RLIMIT_RTPRIO: without CAP_SYS_NICE, SCHED_RESET_ON_FORK cannot be taken off again. */
static void who_lacks_the_right_gives_it_back_all_the_same(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (!pid) {
		urgent_begin();
		if (geteuid() == 0 && setresuid(65534, 65534, 65534))
			_exit(1);
		urgent_end();
		_exit(policy(0) == SCHED_OTHER ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void trying_leaves_all_as_it_was(void **state)
{
	(void)state;
	urgent_is_allowed();
	assert_int_equal(policy(0), SCHED_OTHER);
	assert_int_equal(policy(other), SCHED_OTHER);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {cmocka_unit_test(it_ends_by_itself),
						  cmocka_unit_test(all_threads_have_it_until_the_end),
						  cmocka_unit_test(a_program_that_is_started_meanwhile_does_not),
						  cmocka_unit_test(a_thread_of_another_policy_keeps_it),
						  cmocka_unit_test(who_lacks_the_right_gives_it_back_all_the_same),
						  cmocka_unit_test(trying_leaves_all_as_it_was)};
	pthread_t thread;
	int failed;

	alarm(60); /* the deadline of every wait here */
	sem_init(&up, 0, 0);
	sem_init(&over, 0, 0);
	if (pthread_create(&thread, NULL, wait_for_end, NULL))
		return 1;
	sem_wait(&up);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	sem_post(&over);
	pthread_join(thread, NULL);
	return failed;
}
