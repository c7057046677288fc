/*
 * test-qemu-migration.c: the end of QEMU's own migration, against a QEMU that is played here: it keeps something of one that is over, and
 * what `migrate` does then is what QEMU 7.2 and 10.0 do.
 */
#include "qemu-migration.h"
#include "util.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#define GREETING "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 2, \"minor\": 0, \"major\": 10}, \"package\": \"\"}, \"capabilities\": []}}\r\n"
#define FOR_GOOD 1000000

static struct {
	int fd;
	pthread_t thread;
	const char *status;
	unsigned lingers;    /* query-yank shows a migration for so many further questions */
	unsigned cancelling; /* query-migrate says so for so many further questions */
	unsigned cancels;
	bool old; /* has no query-yank */
} qemu;

static struct loop *loop;
static struct qmp *q;
static struct err e;

/* ---- QEMU's side ---- */

static json_t *error(const char *desc)
{
	return json_pack("{s:{s:s,s:s}}", "error", "class", "GenericError", "desc", desc);
}

static json_t *done(json_t *value)
{
	return json_pack("{s:o}", "return", value);
}

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

static json_t *carry_out(const char *command)
{
	if (!strcmp(command, "query-yank"))
		return qemu.old ? error("The command query-yank has not been found") : done(yank_instances());
	if (!strcmp(command, "migrate"))
		return migrate();
	if (!strcmp(command, "migrate_cancel")) {
		qemu.cancels++;
		if (is_under_way())
			qemu.status = "cancelled";
		return done(json_object());
	}
	if (!strcmp(command, "query-migrate")) {
		if (strcmp(qemu.status, "cancelled") || !qemu.cancelling)
			return done(json_pack("{s:s}", "status", qemu.status));
		qemu.cancelling--;
		return done(json_pack("{s:s}", "status", "cancelling"));
	}
	return done(json_object());
}

static void *play(void *arg)
{
	FILE *f = fdopen(qemu.fd, "r+");
	char line[4096];

	(void)arg;
	setvbuf(f, NULL, _IONBF, 0);
	fputs(GREETING, f);
	while (fgets(line, sizeof(line), f)) {
		json_t *o = json_loads(line, 0, NULL);
		json_t *answer = carry_out(json_string_value(json_object_get(o, "execute")));
		AUTO_FREE char *text = NULL;

		json_object_set(answer, "id", json_object_get(o, "id"));
		text = json_dumps(answer, JSON_COMPACT);
		fprintf(f, "%s\r\n", text);
		json_decref(answer);
		json_decref(o);
	}
	fclose(f);
	return NULL;
}

static int setup(void **state)
{
	int fds[2];

	(void)state;
	memset(&qemu, 0, sizeof(qemu));
	qemu.status = "failed";
	if (loop_new(&loop, 16, &e) || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		return -1;
	qemu.fd = fds[1];
	if (pthread_create(&qemu.thread, NULL, play, NULL))
		return -1;
	return qmp_open_fd(&q, loop, fds[0], "played", 5000, NULL, NULL, &e);
}

static int teardown(void **state)
{
	(void)state;
	qmp_close(q);
	pthread_join(qemu.thread, NULL);
	loop_free(loop);
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

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_failed_one_is_waited_for_until_it_is_cleaned_up), T(one_that_is_never_cleaned_up_is_an_error),
		T(a_qemu_that_cannot_tell_counts_as_clean),	      T(what_a_refusal_leaves_in_setup_is_cancelled),
		T(somebody_elses_is_not_cancelled),		      T(one_that_is_over_is_not_cancelled),
		T(one_that_does_not_end_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
