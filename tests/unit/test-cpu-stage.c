/*
 * test-cpu-stage.c: what is charged to which stage, by threads that burn a known amount of CPU time and by others that wait.
 */
#include "cpu-stage.h"
#include "util.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define MS	1000000ULL
#define THREADS 4

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* The CPU time burnt for each stage, atomic: more than asked for if the virtual machine is paused meanwhile. */
static uint64_t burnt[CPU_STAGES];

/* Burns that much CPU time of this thread, however busy the machine is. */
static void burn(enum cpu_stage s, uint64_t ns)
{
	uint64_t from = clock_ns(CLOCK_THREAD_CPUTIME_ID), now;

	do
		now = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	while (now < from + ns);
	__atomic_fetch_add(&burnt[s], now - from, __ATOMIC_RELAXED);
}

static void idle(uint64_t ns)
{
	struct timespec ts = {.tv_nsec = (long)ns};

	nanosleep(&ts, NULL);
}

/* A little more is used than is burnt. */
static void assert_about(uint64_t ns, uint64_t expected)
{
	assert_in_range(ns, expected, expected + expected / 4 + 5 * MS);
}

static int setup(void **state)
{
	(void)state;
	memset(burnt, 0, sizeof(burnt));
	return 0;
}

static void *burn_in_one_and_sleep_in_another(void *meter)
{
	cpu_thread_begin(meter, CPU_SEND);
	idle(20 * MS);
	cpu_stage_enter(CPU_HASH);
	burn(CPU_HASH, 50 * MS);
	cpu_stage_enter(CPU_PLACE);
	idle(50 * MS);
	cpu_stage_enter(CPU_SEND);
	burn(CPU_SEND, 20 * MS);
	cpu_thread_end();
	return NULL;
}

static void in_thread(void *(*run)(void *), struct cpu_meter *m)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, run, m), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static void cpu_time_is_charged_and_time_asleep_is_not(void **state)
{
	uint64_t ns[CPU_STAGES];
	struct cpu_meter m;

	(void)state;
	cpu_meter_begin(&m);
	in_thread(burn_in_one_and_sleep_in_another, &m);
	cpu_meter_read(&m, ns);
	assert_about(ns[CPU_HASH], burnt[CPU_HASH]);
	assert_about(ns[CPU_SEND], burnt[CPU_SEND]);
	assert_about(ns[CPU_PLACE], 0);
	assert_int_equal(ns[CPU_DISK], 0);
	cpu_thread_end();
}

static void enter_and_leave(struct cpu_meter *m)
{
	enum cpu_stage outer, inner;

	cpu_thread_begin(m, CPU_SEND);
	burn(CPU_SEND, 10 * MS);
	outer = cpu_stage_enter(CPU_HASH);
	assert_int_equal(outer, CPU_SEND);
	burn(CPU_HASH, 20 * MS);
	inner = cpu_stage_enter(CPU_ENCRYPT);
	assert_int_equal(inner, CPU_HASH);
	burn(CPU_ENCRYPT, 30 * MS);
	assert_int_equal(cpu_stage_enter(CPU_ENCRYPT), CPU_ENCRYPT);
	burn(CPU_ENCRYPT, 10 * MS);
	cpu_stage_enter(inner);
	assert_int_equal(cpu_stage_now(), CPU_HASH);
	burn(CPU_HASH, 20 * MS);
	assert_int_equal(cpu_stage_enter(outer), CPU_HASH);
	burn(CPU_SEND, 10 * MS);
	cpu_thread_end();
}

static void leaving_a_stage_goes_on_with_the_one_before(void **state)
{
	uint64_t ns[CPU_STAGES];
	struct cpu_meter m;

	(void)state;
	cpu_meter_begin(&m);
	enter_and_leave(&m);
	cpu_meter_read(&m, ns);
	assert_about(ns[CPU_SEND], burnt[CPU_SEND]);
	assert_about(ns[CPU_HASH], burnt[CPU_HASH]);
	assert_about(ns[CPU_ENCRYPT], burnt[CPU_ENCRYPT]);
	cpu_thread_end();
}

static void a_little_work_stays_in_the_stage_at_hand(void **state)
{
	struct cpu_meter m;

	(void)state;
	cpu_meter_begin(&m);
	assert_int_equal(cpu_stage_enter_for(CPU_HASH, 4096), CPU_OTHER);
	assert_int_equal(cpu_stage_now(), CPU_OTHER);
	assert_int_equal(cpu_stage_enter_for(CPU_HASH, 64 * KIB), CPU_OTHER);
	assert_int_equal(cpu_stage_now(), CPU_HASH);
	cpu_thread_end();
}

struct place {
	struct cpu_meter *m;
	enum cpu_stage s;
};

static void *burn_in_stage_of_its_own(void *arg)
{
	struct place *a = arg;
	unsigned i;

	cpu_thread_begin(a->m, CPU_OTHER);
	for (i = 0; i < 40; i++) {
		cpu_stage_enter(a->s);
		burn(a->s, MS);
		cpu_stage_enter(CPU_DISK);
	}
	cpu_thread_end();
	return NULL;
}

/* Two threads a stage; the totals grow while they are read. */
static void threads_add_up_and_can_be_read_while_they_run(void **state)
{
	struct place arg[THREADS];
	uint64_t ns[CPU_STAGES], before = 0;
	pthread_t thread[THREADS];
	struct cpu_meter m;
	unsigned i;

	(void)state;
	cpu_meter_begin(&m);
	for (i = 0; i < THREADS; i++) {
		arg[i].m = &m;
		arg[i].s = i % 2 ? CPU_HASH : CPU_PLACE;
		assert_int_equal(pthread_create(&thread[i], NULL, burn_in_stage_of_its_own, &arg[i]), 0);
	}
	do {
		idle(2 * MS);
		cpu_meter_read(&m, ns);
		assert_true(ns[CPU_HASH] >= before);
		before = ns[CPU_HASH];
	} while (before < 40 * MS); /* half of it */
	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	cpu_meter_read(&m, ns);
	assert_about(ns[CPU_HASH], burnt[CPU_HASH]);
	assert_about(ns[CPU_PLACE], burnt[CPU_PLACE]);
	cpu_thread_end();
}

static void *burn_unmeasured(void *meter)
{
	(void)meter;
	cpu_stage_enter(CPU_HASH);
	burn(CPU_COMPRESS, 30 * MS); /* a known time, which differs from the one measured */
	cpu_stage_enter(CPU_SEND);
	cpu_thread_end();
	return NULL;
}

static void all_of_the_process_is_accounted_for(void **state)
{
	uint64_t ns[CPU_STAGES], from, used, sum = 0, rest;
	struct cpu_meter m;
	unsigned i;

	(void)state;
	burn(CPU_PARSE, 50 * MS); /* before it began */
	from = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	cpu_meter_begin(&m);
	in_thread(burn_unmeasured, &m);
	in_thread(burn_in_one_and_sleep_in_another, &m);
	burn(CPU_OTHER, 10 * MS);
	rest = cpu_meter_read(&m, ns);
	used = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - from;
	for (i = 0; i < CPU_STAGES; i++)
		sum += ns[i];
	assert_about(rest, burnt[CPU_COMPRESS]);
	assert_about(ns[CPU_HASH], burnt[CPU_HASH]);
	assert_int_equal(ns[CPU_PARSE] + ns[CPU_COMPRESS], 0);
	assert_about(ns[CPU_OTHER], burnt[CPU_OTHER]);
	assert_in_range(sum + rest, used - used / 50 - 5 * MS, used);
	cpu_thread_end();
}

static double member(const json_t *o, const char *name)
{
	assert_true(json_is_real(json_object_get(o, name)));
	return json_real_value(json_object_get(o, name));
}

/* Stages that are not this agent's count as "other"; the rest counts for the given stage. */
static void it_is_told_in_seconds_by_name(void **state)
{
	struct cpu_meter m;
	json_t *there;

	(void)state;
	cpu_meter_begin(&m);
	m.ns[CPU_HASH] = 1500 * MS;
	m.ns[CPU_PLACE] = 250 * MS;
	m.ns[CPU_ENCRYPT] = 500 * MS; /* time for acknowledgements */
	m.process_ns -= 3250 * MS;
	there = cpu_meter_json(&m, cpu_stages_destination, CPU_DISK);
	assert_int_equal(json_object_size(there), 7);
	assert_float_equal(member(there, "hash"), 1.5, 1e-9);
	assert_float_equal(member(there, "place"), 0.25, 1e-9);
	assert_float_equal(member(there, "other"), 0.5, 0.1);
	assert_float_equal(member(there, "disk"), 1.0, 0.1);
	assert_float_equal(member(there, "receive"), 0, 0);
	assert_float_equal(member(there, "decrypt"), 0, 0);
	assert_float_equal(member(there, "decompress"), 0, 0);
	json_decref(there);
	cpu_thread_end();
}

static void of_what_a_peer_says_only_what_makes_sense_is_taken(void **state)
{
	json_t *said = json_pack("{s:f,s:i,s:s,s:f,s:f,s:f}", "hash", 1.5, "place", 2, "disk", "much", "other", -1.0, "receive", 0.0,
				 "teleport", 3.0);
	json_t *none = json_string("none"), *taken = cpu_json_take(said, cpu_stages_destination);

	(void)state;
	assert_int_equal(json_object_size(taken), 3);
	assert_float_equal(json_number_value(json_object_get(taken, "hash")), 1.5, 0);
	assert_float_equal(json_number_value(json_object_get(taken, "place")), 2, 0);
	assert_non_null(json_object_get(taken, "receive"));
	assert_null(cpu_json_take(NULL, cpu_stages_destination));
	assert_null(cpu_json_take(none, cpu_stages_destination));
	json_decref(taken);
	json_decref(none);
	json_decref(said);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(cpu_time_is_charged_and_time_asleep_is_not, setup),
		cmocka_unit_test_setup(leaving_a_stage_goes_on_with_the_one_before, setup),
		cmocka_unit_test_setup(a_little_work_stays_in_the_stage_at_hand, setup),
		cmocka_unit_test_setup(threads_add_up_and_can_be_read_while_they_run, setup),
		cmocka_unit_test_setup(all_of_the_process_is_accounted_for, setup),
		cmocka_unit_test_setup(it_is_told_in_seconds_by_name, setup),
		cmocka_unit_test_setup(of_what_a_peer_says_only_what_makes_sense_is_taken, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
