/*
 * test-export-memory.c: how a guest's memory is copied for an export, against a QEMU that is played here: one under KVM, which writes more
 * than can be copied beside it, and one that somebody else has stopped.
 */
#include "export-memory.h"
#include "process.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../lib/played-qemu.h"

static struct {
	bool told_to_end; /* by a downtime limit that is long */
	bool has_been_silent;
	unsigned lags; /* times that it still says "finish-migrate" once its migration is completed */
	const char *migration, *status;
	const char *other; /* run state to which somebody else's migration brings it next, as ours is refused; NULL: there is none */
	bool shuts_down;   /* while its memory is copied; QEMU stays */
	unsigned conts;
} qemu;

static struct guest guest;
static unsigned moments;

/* ---- QEMU's side ---- */

/* QEMU does not answer until the client asks once more. */
static void be_silent(void)
{
	struct pollfd p = {.fd = played.fd, .events = POLLIN};

	poll(&p, 1, 60000);
	qemu.has_been_silent = true;
	qemu.migration = "completed";
	qemu.status = "postmigrate";
}

static json_t *query_migrate(void)
{
	const char *was = qemu.migration;

	if (qemu.told_to_end && !qemu.has_been_silent && !qemu.shuts_down)
		be_silent();
	return done(json_pack("{s:s,s:{s:i,s:i,s:i}}", "status", was, "ram", "total", 100, "remaining", 50, "dirty-sync-count", 5));
}

static json_t *query_status(void)
{
	const char *was = qemu.status;

	if (!strcmp(qemu.migration, "completed") && qemu.lags && qemu.lags--)
		return done(json_pack("{s:s}", "status", "finish-migrate"));
	if (qemu.other && !strcmp(was, "finish-migrate"))
		qemu.status = qemu.other;
	return done(json_pack("{s:s}", "status", was));
}

static json_t *answer(const char *command, const json_t *args)
{
	if (!strcmp(command, "query-migrate-capabilities"))
		return done(json_array());
	if (!strcmp(command, "query-migrate-parameters"))
		return done(json_pack("{s:i,s:i}", "max-bandwidth", 1, "downtime-limit", 300));
	if (!strcmp(command, "migrate-set-parameters"))
		qemu.told_to_end |= json_integer_value(json_object_get(args, "downtime-limit")) > 300;
	if (!strcmp(command, "migrate") && qemu.other) {
		qemu.status = "finish-migrate";
		return error("There's a migration process in progress");
	}
	if (!strcmp(command, "migrate"))
		qemu.migration = "active";
	if (!strcmp(command, "migrate") && qemu.shuts_down)
		qemu.status = "shutdown";
	if (!strcmp(command, "query-migrate"))
		return query_migrate();
	if (!strcmp(command, "query-status"))
		return query_status();
	if (!strcmp(command, "stop")) /* no event came, as the guest was stopped before */
		qemu.status = "paused";
	if (!strcmp(command, "cont")) {
		qemu.status = "running";
		qemu.conts++;
	}
	if (!strcmp(command, "migrate_cancel") && qemu.shuts_down) {
		qemu.migration = "cancelled";
		return done(json_object());
	}
	return strcmp(command, "migrate_cancel") ? done(json_object()) : error("there is nothing to be cancelled");
}

/* ---- ---- */

static int setup(void **state)
{
	(void)state;
	memset(&qemu, 0, sizeof(qemu));
	qemu.migration = "none";
	qemu.status = "running";
	moments = 0;
	guest = (struct guest){.pid = getpid(), .cpu.accel = (char *)"kvm"};
	process_start_time(guest.pid, &guest.start_time);
	return played_begin(answer);
}

static int teardown(void **state)
{
	(void)state;
	played_end();
	return 0;
}

static int on_moment(void *ctx, struct err *err)
{
	(void)ctx;
	(void)err;
	moments++;
	return 0;
}

static int copy(void)
{
	struct live x = {.q = q, .l = loop, .g = &guest};

	return memory_copy(&x, "/memory", 0, on_moment, NULL, &e);
}

/* QEMU's main loop does not run while it writes the rest. */
static void a_qemu_that_writes_the_rest_is_waited_for(void **state)
{
	(void)state;
	if (copy())
		fail_msg("%s", e.msg);
	assert_true(qemu.has_been_silent);
	assert_int_equal(moments, 1);
	assert_string_equal(qemu.status, "running");
}

/* QEMU calls its migration completed before it leaves the state of the migration's end. */
static void a_qemu_that_is_about_to_be_done_is_waited_for(void **state)
{
	(void)state;
	qemu.lags = 3;
	if (copy())
		fail_msg("%s", e.msg);
	assert_int_equal(moments, 1);
	assert_string_equal(qemu.status, "running");
}

static void who_is_stopped_by_somebody_else_stays_so(void **state)
{
	(void)state;
	guest.cpu.accel = (char *)"tcg";
	assert_int_equal(copy(), -EBUSY);
	assert_int_equal(moments, 0);
	assert_int_equal(qemu.conts, 0);
	assert_string_equal(qemu.status, "paused");
}

static void who_shuts_itself_down_meanwhile_stays_so(void **state)
{
	(void)state;
	qemu.shuts_down = true;
	assert_int_equal(copy(), -EBUSY);
	assert_non_null(strstr(e.msg, "its own shutdown"));
	assert_int_equal(moments, 0);
	assert_int_equal(qemu.conts, 0);
	assert_string_equal(qemu.status, "shutdown");
}

/* The guest may run elsewhere by then. */
static void whom_somebody_migrates_away_meanwhile_is_not_woken(void **state)
{
	(void)state;
	qemu.other = "postmigrate";
	assert_int_equal(copy(), -EREMOTEIO);
	assert_int_equal(qemu.conts, 0);
	assert_string_equal(qemu.status, "postmigrate");
}

static void whose_migration_by_somebody_comes_to_nothing_goes_on(void **state)
{
	(void)state;
	qemu.other = "running";
	assert_int_equal(copy(), -EREMOTEIO);
	assert_int_equal(qemu.conts, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_qemu_that_writes_the_rest_is_waited_for),	       T(a_qemu_that_is_about_to_be_done_is_waited_for),
		T(who_is_stopped_by_somebody_else_stays_so),	       T(who_shuts_itself_down_meanwhile_stays_so),
		T(whom_somebody_migrates_away_meanwhile_is_not_woken), T(whose_migration_by_somebody_comes_to_nothing_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
