/* test-error-stop.c: which events and run states say that an error has stopped the guest, and which that it waits for cont. */
#include "error-stop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char *announced(const char *event, const char *action)
{
	json_t *data = action ? json_pack("{s:s}", "action", action) : json_object();
	const char *state = error_stop_announced(event, data);

	json_decref(data);
	return state;
}

static void an_event_announces_the_run_state_of_its_stop(void **state)
{
	(void)state;
	assert_string_equal(announced("BLOCK_IO_ERROR", "stop"), "io-error");
	assert_string_equal(announced("GUEST_PANICKED", "pause"), "guest-panicked");
	assert_string_equal(announced("WATCHDOG", "pause"), "watchdog");
}

static void an_error_that_stops_nothing_announces_nothing(void **state)
{
	(void)state;
	assert_null(announced("BLOCK_IO_ERROR", "report"));
	assert_null(announced("GUEST_PANICKED", "run"));
	assert_null(announced("WATCHDOG", "reset"));
	assert_null(announced("STOP", NULL));
	assert_null(error_stop_announced("STOP", NULL));
}

static void run_states_of_errors_are_told_from_others(void **state)
{
	static const char *const errors[] = {"io-error", "guest-panicked", "watchdog", "internal-error", "shutdown"};
	static const char *const others[] = {"running", "paused", "suspended", "finish-migrate", "postmigrate", ""};

	(void)state;
	for (size_t i = 0; i < 5; i++)
		assert_string_equal(error_stop_state(errors[i]), errors[i]);
	for (size_t i = 0; i < 6; i++)
		assert_null(error_stop_state(others[i]));
}

static void guests_that_wait_for_cont_move(void **state)
{
	static const char *const stand[] = {"paused", "prelaunch", "io-error", "watchdog"};
	static const char *const others[] = {"guest-panicked", "internal-error", "shutdown", "suspended", "inmigrate", "postmigrate", ""};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		assert_true(run_state_stands(stand[i]) && run_state_moves(stand[i]));
		assert_int_equal(!run_state_notice(stand[i]), i == 0);
	}
	for (size_t i = 0; i < 7; i++)
		assert_false(run_state_stands(others[i]) || run_state_moves(others[i]) || run_state_notice(others[i]));
	assert_true(run_state_moves("running") && !run_state_stands("running"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_event_announces_the_run_state_of_its_stop),
		cmocka_unit_test(an_error_that_stops_nothing_announces_nothing),
		cmocka_unit_test(run_states_of_errors_are_told_from_others),
		cmocka_unit_test(guests_that_wait_for_cont_move),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
