/* test-ram-hold.c: which way a QEMU is kept from switching over by itself, asked of one that is played here. */
#include "ram-hold.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../lib/played-qemu.h"

/* The compatibility properties of its machine types; NULL: it does not tell them. */
static const char *machines;

static json_t *carry_out(const char *command, const json_t *args)
{
	if (strcmp(command, "query-machines"))
		return done(json_object());
	if (!json_is_true(json_object_get(args, "compat-props")))
		return error("not played");
	return machines ? done(json_loads(machines, 0, NULL)) : error("Parameter 'compat-props' is unexpected");
}

static int setup(void **state)
{
	(void)state;
	machines = NULL;
	return played_begin(carry_out);
}

static int teardown(void **state)
{
	(void)state;
	played_end();
	return 0;
}

static struct ram_hold chosen(const char *capabilities)
{
	struct source s = {.qmp = q};
	struct ram_hold h;
	json_t *settings = json_pack("{s:o,s:{}}", "capabilities", json_loads(capabilities, 0, NULL), "parameters");

	assert_int_equal(hold_choose(&h, &s, settings, &e), 0);
	json_decref(settings);
	return h;
}

#define ACK_AND_BITMAPS "{\"switchover-ack\": false, \"dirty-bitmaps\": false}"

static void a_qemu_that_waits_for_an_acknowledgement_is_held_by_it(void **state)
{
	struct ram_hold h;

	(void)state;
	h = chosen(ACK_AND_BITMAPS); /* 8.1 to 9.0 */
	assert_int_equal(h.way, HOLD_ACKNOWLEDGEMENT);
	machines =
		"[{\"name\": \"pc-q35-9.2\", \"compat-props\": [{\"qom-type\": \"migration\", \"property\": \"send-switchover-start\"}]},"
		" {\"name\": \"none\"}]";
	h = chosen(ACK_AND_BITMAPS); /* 10.0 */
	assert_int_equal(h.way, HOLD_ACKNOWLEDGEMENT);
	assert_string_equal(hold_capability(&h), "switchover-ack");
	/* its limit lets it look for what the guest has written, before any rate is known */
	assert_true(hold_limit(&h) >= 4096 * 1000);
}

static void a_qemu_whose_acknowledgements_are_for_devices_is_held_by_a_bitmap(void **state)
{
	struct ram_hold h;

	(void)state;
	machines = "[{\"name\": \"pc-q35-11.1\", \"compat-props\": []}, {\"name\": \"pc-q35-11.0\", \"compat-props\":"
		   " [{\"qom-type\": \"migration\", \"property\": \"switchover-ack-legacy\", \"value\": \"on\"}]}]";
	h = chosen(ACK_AND_BITMAPS);
	assert_int_equal(h.way, HOLD_BITMAP);
	/* until memory is copied somebody else's migration is in nobody's way */
	assert_null(hold_capability(&h));
	assert_true(hold_limit(&h) >= 4096 * 1000);
	h.begun = true;
	assert_string_equal(hold_capability(&h), "dirty-bitmaps");
	/* with a downtime limit of 1 ms that is less than the smallest bitmap has bits */
	assert_true(hold_limit(&h) / 1000 >= 1 && hold_limit(&h) / 1000 < 16);
	machines = "[{\"name\": \"pc\", \"compat-props\": [{\"qom-type\": \"virtio\", \"property\": \"switchover-ack-legacy\"}]}]";
	assert_int_equal(chosen(ACK_AND_BITMAPS).way, HOLD_ACKNOWLEDGEMENT);
}

static void a_qemu_without_acknowledgements_is_held_by_a_bitmap(void **state)
{
	(void)state;
	assert_int_equal(chosen("{\"dirty-bitmaps\": true, \"events\": false}").way, HOLD_BITMAP); /* 7.2 */
}

static void a_qemu_that_knows_neither_is_not_held(void **state)
{
	struct ram_hold h;

	(void)state;
	h = chosen("{\"events\": false}");
	assert_int_equal(h.way, HOLD_NONE);
	assert_null(hold_capability(&h));
}

int main(void)
{
#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		test(a_qemu_that_waits_for_an_acknowledgement_is_held_by_it),
		test(a_qemu_whose_acknowledgements_are_for_devices_is_held_by_a_bitmap),
		test(a_qemu_without_acknowledgements_is_held_by_a_bitmap),
		test(a_qemu_that_knows_neither_is_not_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
