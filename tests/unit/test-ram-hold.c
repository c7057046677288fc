/* test-ram-hold.c: which way a QEMU is kept from switching over by itself, asked of one that is played here. */
#include "ram-hold.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../lib/played-qemu.h"

/* The compatibility properties of its machine types; NULL: it does not tell them. */
static const char *machines;

static bool is_paused, is_to_hold, has_limit;

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
	is_paused = is_to_hold = has_limit = false;
	return played_begin(carry_out);
}

static int teardown(void **state)
{
	(void)state;
	played_end();
	return 0;
}

/* The capabilities that it needs, in words. */
static const char *needs(const struct ram_hold *h)
{
	static char text[64];
	const char *on[2];
	unsigned n = hold_capabilities(h, on);

	snprintf(text, sizeof(text), "%s%s%s", n ? on[0] : "", n > 1 ? " " : "", n > 1 ? on[1] : "");
	return text;
}

static struct ram_hold chosen(const char *capabilities)
{
	const struct move_options o = {.stop.hold = is_to_hold};
	struct source s = {.qmp = q, .opt = &o, .run.paused = is_paused};
	struct ram_hold h;
	json_t *settings = json_pack("{s:o,s:o}", "capabilities", json_loads(capabilities, 0, NULL), "parameters",
				     has_limit ? json_pack("{s:i}", "avail-switchover-bandwidth", 0) : json_object());

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
	assert_string_equal(needs(&h), "switchover-ack");
	/* QEMU's limit lets it look for dirty pages before any rate is known */
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
	assert_string_equal(needs(&h), "");
	assert_true(hold_limit(&h) >= 4096 * 1000);
	h.begun = true;
	assert_string_equal(needs(&h), "dirty-bitmaps");
	/* with a downtime limit of 1 ms that is less than the smallest bitmap has bits */
	assert_true(hold_limit(&h) / 1000 >= 1 && hold_limit(&h) / 1000 < 16);
	machines = "[{\"name\": \"pc\", \"compat-props\": [{\"qom-type\": \"virtio\", \"property\": \"switchover-ack-legacy\"}]}]";
	assert_int_equal(chosen(ACK_AND_BITMAPS).way, HOLD_ACKNOWLEDGEMENT);
}

static void a_paused_guest_that_is_to_be_held_has_a_bitmap_beside_the_acknowledgement(void **state)
{
	struct ram_hold h;

	(void)state;
	is_paused = is_to_hold = has_limit = true;
	h = chosen(ACK_AND_BITMAPS);
	assert_int_equal(h.way, HOLD_ACKNOWLEDGEMENT);
	assert_true(h.while_paused);
	h.begun = true;
	assert_string_equal(needs(&h), "switchover-ack dirty-bitmaps");
	assert_true(hold_limit(&h) / 1000 < 16);
	is_to_hold = false;
	assert_false(chosen(ACK_AND_BITMAPS).while_paused);
	is_to_hold = true, is_paused = false;
	assert_false(chosen(ACK_AND_BITMAPS).while_paused);
	is_paused = true, has_limit = false;
	assert_false(chosen(ACK_AND_BITMAPS).while_paused);
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
	assert_string_equal(needs(&h), "");
}

int main(void)
{
#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		test(a_qemu_that_waits_for_an_acknowledgement_is_held_by_it),
		test(a_qemu_whose_acknowledgements_are_for_devices_is_held_by_a_bitmap),
		test(a_paused_guest_that_is_to_be_held_has_a_bitmap_beside_the_acknowledgement),
		test(a_qemu_without_acknowledgements_is_held_by_a_bitmap),
		test(a_qemu_that_knows_neither_is_not_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
