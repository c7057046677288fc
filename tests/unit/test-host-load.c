/* test-host-load.c: who else wants the processors of this host. */
#include "host-load.h"
#include "process.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* A kernel that says what it is told to. */
static void say(struct host_load *h, unsigned runnable)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "0.20 0.18 0.12 %u/80 11206\n", runnable);

	assert_int_equal(ftruncate(h->fd, 0), 0);
	assert_int_equal(pwrite(h->fd, text, (size_t)n, 0), n);
}

static void kernel(struct host_load *h)
{
	FILE *f = tmpfile();

	*h = (struct host_load){.fd = dup(fileno(f))};
	fclose(f);
}

static void what_is_ours_is_taken_off(void **state)
{
	struct host_load h;

	(void)state;
	kernel(&h);
	assert_float_equal(host_load_others(&h), 0, 0.001);
	say(&h, 7);
	host_load_glance(&h, 3);
	assert_float_equal(host_load_others(&h), 4, 0.001);
	host_load_glance(&h, 5); /* threads are counted one after the other, and new ones come */
	assert_float_equal(host_load_others(&h), 3, 0.001);
	host_load_glance(&h, 9); /* threads end meanwhile */
	assert_float_equal(host_load_others(&h), 2, 0.001);
	host_load_close(&h);
	host_load_glance(&h, 1); /* unknown: the estimate does not change */
	assert_float_equal(host_load_others(&h), 2, 0.001);
}

static void a_moment_that_was_different_does_not_count_and_what_was_long_ago_neither(void **state)
{
	struct host_load h;
	unsigned i;

	(void)state;
	kernel(&h);
	for (i = 0; i < HOST_LOAD_GLANCES; i++) {
		say(&h, i % 4 ? 1 : 200);
		host_load_glance(&h, 1);
	}
	assert_float_equal(host_load_others(&h), 0, 0.001);
	for (say(&h, 6), i = 0; i < HOST_LOAD_GLANCES; i++)
		host_load_glance(&h, 1);
	assert_float_equal(host_load_others(&h), 5, 0.001);
	host_load_close(&h);
}

static void more_of_ours_than_of_all_are_none_of_others(void **state)
{
	struct host_load h;

	(void)state;
	kernel(&h);
	say(&h, 2);
	host_load_glance(&h, 5);
	assert_float_equal(host_load_others(&h), 0, 0.001);
	host_load_close(&h);
}

static void *compute(void *stop)
{
	while (!__atomic_load_n((bool *)stop, __ATOMIC_RELAXED))
		;
	return NULL;
}

static void runnable_threads_are_counted(void **state)
{
	bool stop = false;
	pthread_t thread;

	(void)state;
	assert_int_equal(process_runnable_threads(getpid()), 1);
	assert_int_equal(pthread_create(&thread, NULL, compute, &stop), 0);
	assert_int_equal(process_runnable_threads(getpid()), 2);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	assert_int_equal(process_runnable_threads(0x7fffffff), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_ours_is_taken_off),
		cmocka_unit_test(a_moment_that_was_different_does_not_count_and_what_was_long_ago_neither),
		cmocka_unit_test(more_of_ours_than_of_all_are_none_of_others),
		cmocka_unit_test(runnable_threads_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
