/* test-qemu-blocked.c: what a QEMU, played here, says that it cannot migrate. */
#include "qemu-blocked.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../lib/played-qemu.h"

static json_t *carry_out(const char *command, const json_t *args)
{
	(void)args;
	return strcmp(command, "query-migrate")
		       ? done(json_object())
		       : done(json_pack("{s:[s,s,i]}", "blocked-reasons", "non-migratable device: 0000:00:01.0/nvme",
					"State blocked by non-migratable CPU device (invtsc flag)", 7));
}

static int setup(void **state)
{
	(void)state;
	return played_begin(carry_out);
}

static int teardown(void **state)
{
	(void)state;
	played_end();
	return 0;
}

static void assert_is(const json_t *sentences, size_t i, const char *text)
{
	assert_string_equal(json_string_value(json_array_get(sentences, i)), text);
}

#define NVME "QEMU 10.0.2 cannot migrate this guest: non-migratable device: 0000:00:01.0/nvme"

static void each_reason_is_a_sentence_and_what_waits_for_a_guest_has_those_of_devices(void **state)
{
	json_t *info, *all, *devices;

	(void)state;
	assert_int_equal(qmp_call(q, "query-migrate", NULL, &info, &e), 0);
	all = qemu_blocked(q, info);
	assert_int_equal(json_array_size(all), 2);
	assert_is(all, 0, NVME);
	assert_is(all, 1, "QEMU 10.0.2 cannot migrate this guest: State blocked by non-migratable CPU device (invtsc flag)");
	devices = qemu_blocked_devices(q, info);
	assert_int_equal(json_array_size(devices), 1);
	assert_is(devices, 0, NVME);
	json_decref(devices);
	json_decref(all);
	json_decref(info);
}

static void a_qemu_that_says_nothing_migrates_all(void **state)
{
	json_t *info = json_object(), *all = qemu_blocked(q, info);

	(void)state;
	assert_int_equal(json_array_size(all), 0);
	json_decref(all);
	json_decref(info);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_reason_is_a_sentence_and_what_waits_for_a_guest_has_those_of_devices, setup, teardown),
		cmocka_unit_test_setup_teardown(a_qemu_that_says_nothing_migrates_all, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
