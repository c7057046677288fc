/* test-vcpu-time.c: whether a guest's processors have run, as the kernel counts it. */
#include "vcpu-time.h"
#include "process.h"
#include "process-status.h"
#include "util.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS 10000
#define LONG_MS	    300000 /* a short part of this is waited for a lock */
#define LOOKS	    20
#define RUNS_NS	    5000000 /* CPU time in which a guest could do much */

static pid_t pid;
static struct vcpu_time then;

static void takes(clockid_t clock)
{
	struct timespec now;

	do
		clock_gettime(clock, &now);
	while (now.tv_sec == 0 && now.tv_nsec < RUNS_NS);
}

static void runs(int signal)
{
	(void)signal;
	takes(CLOCK_PROCESS_CPUTIME_ID);
}

/* A process whose only thread has that name, and which runs when it is sent SIGUSR1. */
static void start(const char *name)
{
	int ready[2];
	char c;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_NAME, name);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGUSR1, runs);
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	close(ready[1]);
}

static void ended(void)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static char state_now(void)
{
	AUTO_FREE char *path = xasprintf("/proc/%d/stat", (int)pid);
	FILE *f = fopen(path, "re");
	char state = '?';

	if (f && fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
		state = '?';
	if (f)
		fclose(f);
	return state;
}

/* The time of a process that sleeps grows no more. */
static void settle(void)
{
	uint64_t until = now_ns() + PATIENCE_MS * 1000000ULL;

	while (state_now() != 'S' && now_ns() < until)
		sched_yield();
	assert_int_equal(state_now(), 'S');
	vcpu_time_of(pid, &then);
}

static void hold(void)
{
	struct err e;
	uint64_t born;

	assert_int_equal(process_start_time(pid, &born), 0);
	assert_int_equal(process_hold(pid, born, PATIENCE_MS, &e), 0);
}

static void what_is_stopped_in_its_sleep_has_stood(void **state)
{
	(void)state;
	start("CPU 0/KVM");
	settle();
	assert_int_equal(then.threads, 1);
	hold();
	assert_int_equal(vcpu_since(pid, &then), VCPU_STOOD);
	ended();
}

static uint64_t own_ns(void)
{
	struct vcpu_time now;

	vcpu_time_of(pid, &now);
	return now.each[0].ns;
}

static void what_ran_meanwhile_has_not(void **state)
{
	uint64_t until = now_ns() + PATIENCE_MS * 1000000ULL;

	(void)state;
	start("ALL CPUs/TCG");
	settle();
	kill(pid, SIGUSR1);
	while (own_ns() - then.each[0].ns < RUNS_NS / 2 && now_ns() < until)
		;
	hold();
	assert_int_equal(vcpu_since(pid, &then), VCPU_RAN);
	ended();
}

/* A process that has run, and is held: what then is made to say has happened since. */
static struct vcpu_thread *start_held(void)
{
	start("CPU 0/KVM");
	settle(); /* ThreadSanitizer delivers no signal to who has yet to go to sleep */
	kill(pid, SIGUSR1);
	while (own_ns() < RUNS_NS)
		;
	hold();
	vcpu_time_of(pid, &then);
	return &then.each[0];
}

/* A single processor that has run for a moment is enough; the time that several take to stop is not. */
static void each_processor_counts_for_itself(void **state)
{
	struct vcpu_thread *one = start_held();

	(void)state;
	one->sleeps -= 2;
	one->ns -= 40000;
	assert_int_equal(vcpu_since(pid, &then), VCPU_STOOD);
	one->ns -= 40000;
	assert_int_equal(vcpu_since(pid, &then), VCPU_MAY_HAVE_RUN);
	one->ns -= 1000000;
	assert_int_equal(vcpu_since(pid, &then), VCPU_RAN);
	ended();
}

static void what_slept_on_where_it_was_has_stood_however_long_stopping_took(void **state)
{
	struct vcpu_thread *one = start_held();

	(void)state;
	one->ns -= 900000;
	one->sleeps -= 1;
	assert_int_equal(vcpu_since(pid, &then), VCPU_STOOD);
	one->sleeps -= 1;
	assert_int_equal(vcpu_since(pid, &then), VCPU_MAY_HAVE_RUN);
	one->sleeps += 2;
	one->call[strlen(one->call) - 2] ^= 1;
	assert_int_equal(vcpu_since(pid, &then), VCPU_MAY_HAVE_RUN);
	one->call[0] = '\0';
	one->number = -1;
	assert_int_equal(vcpu_since(pid, &then), VCPU_MAY_HAVE_RUN);
	ended();
}

/* A processor of KVM that is resumed, and has nothing to do, sleeps in the call that runs it. */
static void what_sleeps_elsewhere_may_have_run_however_shortly(void **state)
{
	struct vcpu_thread *one = start_held();

	(void)state;
	one->call[0]++;
	one->number = SYS_ioctl;
	assert_int_equal(vcpu_since(pid, &then), VCPU_MAY_HAVE_RUN);
	one->number = -1; /* this kernel does not tell */
	assert_int_equal(vcpu_since(pid, &then), VCPU_STOOD);
	ended();
}

static void what_has_no_processors_cannot_be_told(void **state)
{
	(void)state;
	start("worker");
	vcpu_time_of(pid, &then);
	assert_int_equal(then.threads, 0);
	assert_int_equal(vcpu_since(pid, &then), VCPU_UNKNOWN);
	ended();
	then.threads = 1;
	assert_int_equal(vcpu_since(pid, &then), VCPU_UNKNOWN);
}

static void another_processor_cannot_be_compared(void **state)
{
	(void)state;
	start("CPU 0/KVM");
	settle();
	hold();
	then.each[0].tid++;
	assert_int_equal(vcpu_since(pid, &then), VCPU_UNKNOWN);
	then.each[0].tid--;
	then.each[0].ns += 1000000000;
	assert_int_equal(vcpu_since(pid, &then), VCPU_UNKNOWN);
	ended();
}

static void *is_vcpu(void *arg)
{
	const int *pipes = arg; /* pipes: the one that wakes the thread, and the one on which it reports */
	char c;

	prctl(PR_SET_NAME, "CPU 0/KVM");
	if (write(pipes[1], "", 1) != 1)
		_exit(1);
	while (read(pipes[0], &c, 1) == 1)
		takes(CLOCK_THREAD_CPUTIME_ID);
	return NULL;
}

/* A process that has something to do, and then has its processor do something. */
static void start_loading(void)
{
	int ready[2], wakes[2], of_vcpu[2];
	pthread_t vcpu;
	char c;

	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(wakes), 0);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		of_vcpu[0] = wakes[0];
		of_vcpu[1] = ready[1];
		if (pthread_create(&vcpu, NULL, is_vcpu, of_vcpu))
			_exit(1);
		takes(CLOCK_THREAD_CPUTIME_ID);
		if (write(wakes[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	close(ready[1]);
	close(wakes[0]);
	close(wakes[1]);
}

static void what_loading_leaves_to_do_is_waited_for(void **state)
{
	uint64_t until = now_ns() + PATIENCE_MS * 1000000ULL;
	enum vcpu_since since;

	(void)state;
	start_loading();
	vcpu_time_at_rest(pid, PATIENCE_MS, &then);
	while (own_ns() < RUNS_NS && now_ns() < until)
		;
	hold();
	since = vcpu_since(pid, &then); /* a busy hypervisor's time may be charged to it */
	assert_true(since == VCPU_STOOD || since == VCPU_MAY_HAVE_RUN);
	ended();
}

static void *wants_a_lock(void *arg)
{
	prctl(PR_SET_NAME, "CPU 0/KVM");
	pthread_mutex_lock(arg);
	for (;;)
		pause();
	return NULL;
}

/* A process whose processor waits for a lock, which the main thread lets go of once it reads a byte. Returns where that is written. */
static int start_locked(void)
{
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	int wakes[2];
	pthread_t vcpu;
	char c;

	assert_int_equal(pipe(wakes), 0);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pthread_mutex_lock(&lock);
		if (pthread_create(&vcpu, NULL, wants_a_lock, &lock) || read(wakes[0], &c, 1) != 1)
			_exit(1);
		pthread_mutex_unlock(&lock);
		for (;;)
			pause();
	}
	close(wakes[0]);
	return wakes[1];
}

static _Atomic pid_t watcher;
static _Atomic bool has_ended;

static void *watches(void *arg)
{
	(void)arg;
	watcher = gettid();
	vcpu_time_at_rest(pid, LONG_MS, &then);
	has_ended = true;
	return NULL;
}

static unsigned long sleeps_of(pid_t thread)
{
	char sleeps[32];

	process_status(thread, "voluntary_ctxt_switches", sleeps, sizeof(sleeps));
	return strtoul(sleeps, NULL, 10);
}

static void what_waits_for_a_lock_does_not_rest(void **state)
{
	uint64_t until = now_ns() + PATIENCE_MS * 1000000ULL;
	int wakes = start_locked();
	pthread_t thread;

	(void)state;
	do
		vcpu_time_of(pid, &then);
	while ((!then.threads || then.each[0].number != SYS_futex) && now_ns() < until);
	assert_int_equal(then.each[0].number, SYS_futex);
	assert_int_equal(pthread_create(&thread, NULL, watches, NULL), 0);
	while ((!watcher || sleeps_of(watcher) < LOOKS) && !has_ended)
		sched_yield();
	assert_int_equal(write(wakes, "", 1), 1);
	pthread_join(thread, NULL);
	assert_int_equal(then.threads, 1);
	assert_int_not_equal(then.each[0].number, SYS_futex);
	hold();
	assert_int_equal(vcpu_since(pid, &then), VCPU_STOOD);
	close(wakes);
	ended();
}

static void what_does_not_rest_is_not_waited_for_any_longer(void **state)
{
	(void)state;
	start("CPU 0/KVM");
	kill(pid, SIGSTOP);
	vcpu_time_at_rest(pid, 1, &then);
	assert_int_equal(then.threads, 1);
	ended();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_stopped_in_its_sleep_has_stood),
		cmocka_unit_test(what_ran_meanwhile_has_not),
		cmocka_unit_test(each_processor_counts_for_itself),
		cmocka_unit_test(what_slept_on_where_it_was_has_stood_however_long_stopping_took),
		cmocka_unit_test(what_sleeps_elsewhere_may_have_run_however_shortly),
		cmocka_unit_test(what_has_no_processors_cannot_be_told),
		cmocka_unit_test(another_processor_cannot_be_compared),
		cmocka_unit_test(what_loading_leaves_to_do_is_waited_for),
		cmocka_unit_test(what_waits_for_a_lock_does_not_rest),
		cmocka_unit_test(what_does_not_rest_is_not_waited_for_any_longer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
