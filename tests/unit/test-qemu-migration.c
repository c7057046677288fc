/*
 * test-qemu-migration.c: the end of QEMU's own migration, against a QEMU that is played here: it keeps something of one that is over, and
 * what `migrate` does then is what QEMU 7.2 and 10.0 do.
 */
#include "qemu-migration.h"
#include "util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../lib/played-qemu.h"

#define FOR_GOOD 1000000

static struct {
	const char *status;
	unsigned lingers;    /* query-yank shows a migration for so many further questions */
	unsigned cancelling; /* query-migrate says so for so many further questions */
	unsigned cancels;
	unsigned refuses; /* number of refusals */
	bool old;	  /* has no query-yank */
	bool mute;	  /* does not answer query-migrate */
} qemu;

/* ---- QEMU's side ---- */

static bool is_under_way(void)
{
	return !strcmp(qemu.status, "setup") || !strcmp(qemu.status, "active");
}

static json_t *migrate(void)
{
	if (is_under_way())
		return error("There's a migration process in progress");
	qemu.status = "setup";
	return qemu.lingers ? error("duplicate yank instance") : done(json_object());
}

static json_t *yank_instances(void)
{
	json_t *list = json_pack("[{s:s,s:s}]", "type", "chardev", "id", "compat_monitor0");

	if (qemu.lingers || is_under_way())
		json_array_append_new(list, json_pack("{s:s}", "type", "migration"));
	if (qemu.lingers && qemu.lingers != FOR_GOOD)
		qemu.lingers--;
	return list;
}

static json_t *carry_out(const char *command, const json_t *args)
{
	(void)args;
	if (!strcmp(command, "query-yank"))
		return qemu.old ? error("The command query-yank has not been found") : done(yank_instances());
	if (!strcmp(command, "migrate"))
		return migrate();
	if (!strcmp(command, "migrate_cancel")) {
		if (qemu.cancels++ < qemu.refuses)
			return error("not now");
		if (is_under_way())
			qemu.status = "cancelled";
		return done(json_object());
	}
	if (!strcmp(command, "query-migrate") && qemu.mute)
		return error("not now");
	if (!strcmp(command, "query-migrate")) {
		if (strcmp(qemu.status, "cancelled") || !qemu.cancelling)
			return done(json_pack("{s:s}", "status", qemu.status));
		qemu.cancelling--;
		return done(json_pack("{s:s}", "status", "cancelling"));
	}
	return done(json_object());
}

static int setup(void **state)
{
	(void)state;
	memset(&qemu, 0, sizeof(qemu));
	qemu.status = "failed";
	return played_begin(carry_out);
}

static int teardown(void **state)
{
	(void)state;
	played_end();
	return 0;
}

static uint64_t in_a_second(void)
{
	return now_ns() + 1000000000ULL;
}

/* ---- the tests ---- */

static void a_failed_one_is_waited_for_until_it_is_cleaned_up(void **state)
{
	(void)state;
	qemu.lingers = 5;
	assert_true(qemu_migration_is_over(q));
	assert_int_equal(qemu_migration_settle(q, loop, &e), 0);
	assert_int_equal(qemu.lingers, 0);
	assert_int_equal(qemu_migration_begin(q, loop, "unix:x", &e), 0);
	assert_string_equal(qemu.status, "setup");
	assert_int_equal(qemu.cancels, 0);
}

static void one_that_is_never_cleaned_up_is_an_error(void **state)
{
	(void)state;
	qemu.lingers = FOR_GOOD;
	assert_int_equal(qemu_migration_settle(q, loop, &e), -EBUSY);
	assert_non_null(strstr(e.msg, "failed"));
	assert_int_equal(qemu.cancels, 0);
}

static void a_qemu_that_cannot_tell_counts_as_clean(void **state)
{
	(void)state;
	qemu.old = true;
	assert_int_equal(qemu_migration_settle(q, loop, &e), 0);
}

static void what_a_refusal_leaves_in_setup_is_cancelled(void **state)
{
	(void)state;
	qemu.lingers = FOR_GOOD;
	qemu.cancelling = 3;
	assert_int_equal(qemu_migration_begin(q, loop, "unix:x", &e), -EREMOTEIO);
	assert_non_null(strstr(e.msg, "duplicate yank instance"));
	assert_string_equal(qemu.status, "cancelled");
	assert_int_equal(qemu.cancelling, 0); /* waited for */
	assert_int_equal(qemu.cancels, 1);
}

static void one_whose_end_is_refused_is_ended_again(void **state)
{
	(void)state;
	qemu.status = "active";
	qemu.refuses = 2;
	qemu.cancelling = 3;
	assert_int_equal(qemu_migration_cancel(q, loop, in_a_second(), &e), 0);
	assert_string_equal(qemu.status, "cancelled");
	assert_int_equal(qemu.cancels, 3); /* no further cancel while it ends */
}

static void somebody_elses_is_not_cancelled(void **state)
{
	static const char *const under_way[] = {"setup", "active"};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(under_way); i++) {
		qemu.status = under_way[i];
		assert_int_equal(qemu_migration_begin(q, loop, "unix:x", &e), -EREMOTEIO);
		assert_non_null(strstr(e.msg, "in progress"));
		assert_string_equal(qemu.status, under_way[i]);
	}
	assert_int_equal(qemu.cancels, 0);
}

static void one_that_is_over_is_not_cancelled(void **state)
{
	(void)state;
	assert_int_equal(qemu_migration_cancel(q, loop, in_a_second(), &e), 0);
	assert_int_equal(qemu.cancels, 0);
	qemu.status = "active";
	assert_int_equal(qemu_migration_cancel(q, loop, in_a_second(), &e), 0);
	assert_int_equal(qemu.cancels, 1);
	assert_string_equal(qemu.status, "cancelled");
}

static void one_that_does_not_end_is_an_error(void **state)
{
	(void)state;
	qemu.status = "active";
	qemu.cancelling = FOR_GOOD;
	assert_int_equal(qemu_migration_cancel(q, loop, now_ns() + 50000000ULL, &e), -ETIMEDOUT);
}

/* A migration is over only if QEMU says so. */
static void one_that_qemu_says_nothing_of_is_not_over(void **state)
{
	(void)state;
	qemu.status = "active";
	qemu.mute = true;
	assert_false(qemu_migration_is_over(q));
	assert_int_equal(qemu_migration_cancel(q, loop, now_ns() + 50000000ULL, &e), -ETIMEDOUT);
	assert_int_equal(qemu.cancels, 1);
}

/* QEMU 7.2 calls a guest that was stopped before "postmigrate" whatever became of its migration. */
static void only_a_guest_whose_migration_was_completed_is_away(void **state)
{
	(void)state;
	qemu.status = "completed";
	assert_true(qemu_migrated_away(q, "postmigrate"));
	assert_false(qemu_migrated_away(q, "paused"));
	qemu.status = "cancelled";
	assert_false(qemu_migrated_away(q, "postmigrate"));
	qemu.status = "failed";
	assert_false(qemu_migrated_away(q, "postmigrate"));
	qemu.status = "none";
	assert_true(qemu_migrated_away(q, "postmigrate"));
	qemu.status = "failed";
	qemu.mute = true;
	assert_true(qemu_migrated_away(q, "postmigrate"));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_failed_one_is_waited_for_until_it_is_cleaned_up),
		T(one_that_is_never_cleaned_up_is_an_error),
		T(a_qemu_that_cannot_tell_counts_as_clean),
		T(what_a_refusal_leaves_in_setup_is_cancelled),
		T(one_whose_end_is_refused_is_ended_again),
		T(somebody_elses_is_not_cancelled),
		T(one_that_is_over_is_not_cancelled),
		T(one_that_does_not_end_is_an_error),
		T(one_that_qemu_says_nothing_of_is_not_over),
		T(only_a_guest_whose_migration_was_completed_is_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
