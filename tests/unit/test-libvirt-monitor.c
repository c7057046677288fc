/*
 * test-libvirt-monitor.c: QMP through libvirt, on a loop, and the steps of a migration, against a libvirtd that is played by a thread. Real
 * ones carry a guest in e2e/libvirt.
 */
#include "libvirt-monitor.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "../lib/played-libvirtd-thread.h"

enum { COMMAND = PLAYED_QEMU + LV_MONITOR_COMMAND, REGISTER = PLAYED_QEMU + LV_MONITOR_EVENT_REGISTER };

static struct loop *loop;

/* The handlers' records. */
static struct {
	unsigned events, closed;
	char name[64], data[64];
	uint64_t at_ns;
	struct err why;
	struct lv *asks; /* each event is followed by a call on this one */
	int asked;
} heard;

static void on_event(void *ctx, const char *name, const char *data, uint64_t realtime_ns)
{
	assert_ptr_equal(ctx, &heard);
	heard.events++;
	snprintf(heard.name, sizeof(heard.name), "%s", name);
	snprintf(heard.data, sizeof(heard.data), "%s", data ? data : "-");
	heard.at_ns = realtime_ns;
	if (heard.asks)
		heard.asked = call_lookup(heard.asks, &guest, &err);
}

static void on_closed(void *ctx, const struct err *why)
{
	assert_ptr_equal(ctx, &heard);
	heard.closed++;
	heard.why = *why;
}

static const struct lv_handlers handlers = {on_event, on_closed};

struct answer {
	unsigned calls;
	int code;
	char text[ERR_MAX];
	struct lv *asks;
	int asked;
};

static void on_answer(void *arg, const char *reply, const struct err *e)
{
	struct answer *a = arg;

	assert_true(!reply == !!e);
	a->calls++;
	a->code = e ? e->code : 0;
	snprintf(a->text, sizeof(a->text), "%s", e ? e->msg : reply);
	if (a->asks)
		a->asked = call_lookup(a->asks, &guest, &err);
}

static void ask(struct lv *v, const char *qmp, struct answer *a)
{
	unsigned before = a->calls;

	if (lv_monitor(v, &guest, qmp, PATIENCE_MS, on_answer, a, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(a->calls, before); /* never from inside */
}

static void run_until(const unsigned *count, unsigned n)
{
	uint64_t until = now_ns() + PATIENCE_MS * 1000000ULL;

	while (*count < n) {
		assert_int_equal(loop_step(loop, 100, &err), 0);
		assert_true(now_ns() < until);
	}
}

static struct lv *attached(void)
{
	struct lv *v = connected();

	memset(&heard, 0, sizeof(heard));
	lv_attach(v, loop, &handlers, &heard);
	return v;
}

static void plan_event(const char *name, const char *data, uint64_t seconds, uint32_t us)
{
	lv_write_u32(&plan.event, 7);
	played_domain(&plan.event);
	lv_write_string(&plan.event, name);
	lv_write_u64(&plan.event, seconds);
	lv_write_u32(&plan.event, us);
	lv_write_optional(&plan.event, data);
	plan.events = 1;
}

/* ---- commands ---- */

static void test_commands_are_answered_on_the_loop(void **state)
{
	struct answer a = {0};
	struct lv *v;

	(void)state;
	plan = no_plan();
	v = attached();
	ask(v, "{\"execute\": \"query-status\"}", &a);
	run_until(&a.calls, 1);
	assert_int_equal(a.code, 0);
	assert_string_equal(a.text, "{\"execute\": \"query-status\"}");
	assert_int_equal(call_lookup(v, &guest, &err), 0); /* calls with an answer go on */
	disconnect(v);
	assert_int_equal(heard.closed, 0);
}

static void test_replies_come_in_any_order(void **state)
{
	static const char *const texts[] = {"one", "two", "three", "four"};
	struct answer a[4] = {{0}};
	struct lv *v;
	size_t i;

	(void)state;
	plan = plan_for(COMMAND);
	plan.held = 4;
	v = attached();
	for (i = 0; i < 4; i++)
		ask(v, texts[i], &a[i]);
	for (i = 0; i < 4; i++)
		run_until(&a[i].calls, 1);
	for (i = 0; i < 4; i++)
		assert_string_equal(a[i].text, texts[i]);
	disconnect(v);
}

static void test_reply_that_is_late_is_dropped(void **state)
{
	struct answer late = {0}, next = {0};
	struct lv *v;

	(void)state;
	plan = plan_for(COMMAND);
	plan.held = 2;
	v = attached();
	assert_int_equal(lv_monitor(v, &guest, "late", 20, on_answer, &late, &err), 0);
	run_until(&late.calls, 1);
	assert_int_equal(late.code, ETIMEDOUT);
	ask(v, "next", &next);
	run_until(&next.calls, 1);
	assert_string_equal(next.text, "next");
	assert_int_equal(call_lookup(v, &guest, &err), 0); /* behind both replies */
	assert_int_equal(late.calls, 1);
	disconnect(v);
}

static void test_refusal_is_the_command_s_alone(void **state)
{
	struct answer a = {0};
	struct lv *v;

	(void)state;
	plan = plan_for(COMMAND);
	plan.own_body = true;
	plan.status = LV_ERROR;
	lv_write_u32(&plan.body, 55);
	lv_write_u32(&plan.body, 10);
	lv_write_optional(&plan.body, "domain is not running");
	v = attached();
	ask(v, "{}", &a);
	run_until(&a.calls, 1);
	assert_int_equal(a.code, EALREADY);
	assert_non_null(strstr(a.text, "QEMU of guest 'web'"));
	assert_int_equal(call_lookup(v, &guest, &err), 0);
	disconnect(v);
}

static void test_too_long_a_command_is_not_sent(void **state)
{
	char *qmp = xcalloc(1, LV_STRING_MAX + 2);
	struct answer a = {0};
	struct lv *v;

	(void)state;
	memset(qmp, ' ', LV_STRING_MAX + 1);
	plan = no_plan();
	v = attached();
	assert_int_equal(lv_monitor(v, &guest, qmp, PATIENCE_MS, on_answer, &a, &err), -E2BIG);
	assert_int_equal(call_lookup(v, &guest, &err), 0);
	assert_int_equal(a.calls, 0);
	disconnect(v);
	free(qmp);
}

/* More than the socket holds, to a libvirtd that does not read: it is kept, and sent when that reads again. */
static void test_what_the_socket_does_not_take_is_sent_later(void **state)
{
	enum { COMMANDS = 4 };
	char *qmp = xcalloc(1, MIB + 1);
	struct answer a[COMMANDS] = {{0}};
	struct lv *v;
	size_t i;

	(void)state;
	memset(qmp, 'x', MIB);
	plan = plan_for(LV_DOMAIN_LOOKUP_NAME);
	v = attached();
	for (i = 0; i < COMMANDS; i++)
		ask(v, qmp, &a[i]);
	assert_int_equal(call_lookup(v, &guest, &err), 0); /* behind them */
	for (i = 0; i < COMMANDS; i++)
		run_until(&a[i].calls, 1);
	disconnect(v);
	free(qmp);
	lv_writer_fini(&libvirtd.args);
}

static void test_reply_functions_may_call(void **state)
{
	struct answer a = {0};
	struct lv *v;

	(void)state;
	plan = no_plan();
	v = attached();
	a.asks = v;
	a.asked = 1;
	ask(v, "{}", &a);
	assert_int_equal(lv_resume(v, &guest, &err), 0); /* within which the reply comes */
	run_until(&a.calls, 1);
	assert_int_equal(a.asked, 0);
	disconnect(v);
}

/* ---- events ---- */

static void test_events_are_heard(void **state)
{
	struct lv *v;

	(void)state;
	plan = plan_for(REGISTER);
	plan_event("STOP", NULL, 1700000000, 123456); /* before the reply */
	v = attached();
	assert_int_equal(lv_watch(v, &guest, &err), 0);
	assert_non_null(memmem(libvirtd.args.data, libvirtd.args.n, "^(?!MIGRATION_PASS$)", strlen("^(?!MIGRATION_PASS$)")));
	assert_int_equal(heard.events, 1);
	assert_string_equal(heard.name, "STOP");
	assert_string_equal(heard.data, "-");
	assert_true(heard.at_ns == 1700000000123456000ULL);
	plan.procedure = LV_DOMAIN_RESUME;
	lv_writer_fini(&plan.event);
	plan_event("RESUME", "{\"a\": 1}", UINT64_MAX, 0);
	assert_int_equal(lv_resume(v, &guest, &err), 0);
	assert_int_equal(heard.events, 2);
	assert_string_equal(heard.data, "{\"a\": 1}");
	assert_true(heard.at_ns == 0); /* QEMU's clock, as nonsense */
	disconnect(v);
}

static void test_event_handlers_may_call(void **state)
{
	struct lv *v;

	(void)state;
	plan = plan_for(LV_DOMAIN_RESUME);
	v = attached();
	assert_int_equal(lv_watch(v, &guest, &err), 0);
	plan_event("STOP", NULL, 1, 0);
	heard.asks = v;
	heard.asked = 1;
	assert_int_equal(lv_resume(v, &guest, &err), 0);
	assert_true(heard.events == 1 && heard.asked == 0);
	disconnect(v);
}

static void test_events_that_nobody_asked_for_are_passed_over(void **state)
{
	struct lv *v;

	(void)state;
	plan = plan_for(LV_DOMAIN_RESUME);
	plan_event("STOP", NULL, 1, 0);
	v = attached();
	assert_int_equal(lv_resume(v, &guest, &err), 0);
	assert_int_equal(heard.events, 0);
	disconnect(v);
}

static void test_events_of_every_other_length_end_the_connection(void **state)
{
	struct lv *v;
	size_t n, all;

	(void)state;
	plan = no_plan();
	plan_event("STOP", "{}", 1, 0);
	all = plan.event.n;
	lv_writer_fini(&plan.event);
	for (n = 4; n <= all + 4; n += 4) {
		if (n == all)
			continue;
		plan = plan_for(LV_DOMAIN_RESUME);
		v = attached();
		assert_int_equal(lv_watch(v, &guest, &err), 0);
		plan_event("STOP", "{}", 1, 0);
		lv_write_u32(&plan.event, 0);
		plan.event.n = n;
		assert_int_equal(lv_resume(v, &guest, &err), -EPROTO);
		run_until(&heard.closed, 1);
		assert_int_equal(heard.events, 0);
		disconnect(v);
	}
}

/* ---- its end ---- */

static void test_end_is_told_once_and_to_all(void **state)
{
	struct answer a[2] = {{0}};
	struct lv *v;

	(void)state;
	plan = plan_for(LV_DOMAIN_RESUME);
	plan.sent_bytes = 3;
	v = attached();
	plan.procedure = COMMAND;
	ask(v, "one", &a[0]);
	ask(v, "two", &a[1]);
	run_until(&heard.closed, 1);
	assert_true(a[0].calls == 1 && a[1].calls == 1); /* before */
	assert_true(a[0].code == EPIPE && a[1].code == EPIPE && heard.why.code == ECONNRESET);
	assert_int_equal(lv_monitor(v, &guest, "three", PATIENCE_MS, on_answer, &a[0], &err), -EPIPE);
	assert_int_equal(call_lookup(v, &guest, &err), -EPIPE);
	loop_step(loop, 0, &err);
	assert_int_equal(heard.closed, 1);
	disconnect(v);
	assert_true(heard.closed == 1 && a[0].calls == 1);
}

static void test_end_in_a_call_that_is_waited_for(void **state)
{
	struct answer a = {0};
	struct lv *v;

	(void)state;
	plan = plan_for(LV_DOMAIN_RESUME);
	plan.xor_serial = 1000;
	plan.also_silent = COMMAND;
	v = attached();
	ask(v, "one", &a);
	assert_int_equal(lv_resume(v, &guest, &err), -EPROTO);
	run_until(&heard.closed, 1);
	assert_true(a.calls == 1 && a.code == EPIPE);
	disconnect(v);
}

static void test_close_answers_what_is_under_way(void **state)
{
	struct answer a = {0}, expired = {0};
	struct lv *v;

	(void)state;
	plan = plan_for(COMMAND);
	plan.silent = true;
	v = attached();
	assert_int_equal(lv_monitor(v, &guest, "{}", 10, on_answer, &expired, &err), 0);
	run_until(&expired.calls, 1);
	ask(v, "{}", &a);
	disconnect(v);
	assert_true(a.calls == 1 && a.code == ECANCELED && expired.calls == 1 && !heard.closed);
}

static void test_timeout_of_a_call_ends_the_connection(void **state)
{
	struct lv *v;

	(void)state;
	plan = plan_for(LV_DOMAIN_RESUME);
	plan.silent = true;
	v = attached();
	lv_set_deadline(v, 30);
	assert_int_equal(lv_resume(v, &guest, &err), -ETIMEDOUT);
	run_until(&heard.closed, 1);
	assert_int_equal(call_lookup(v, &guest, &err), -EPIPE);
	disconnect(v);
}

/* ---- the steps of a migration ---- */

static void assert_args(const struct lv_writer *w)
{
	assert_int_equal(libvirtd.args.n, w->n);
	assert_memory_equal(libvirtd.args.data, w->data, w->n);
}

static void text_param(struct lv_writer *w, const char *name, const char *text)
{
	lv_write_string(w, name);
	lv_write_u32(w, 7);
	lv_write_string(w, text);
}

static void test_begin_has_its_parameters(void **state)
{
	static const char *const disks[] = {"vda", "vdc", NULL};
	const struct lv_params p = {.migrate_uri = "unix:///ram",
				    .disks_uri = "unix:///nbd",
				    .destination_name = "web2",
				    .destination_xml = "<d/>",
				    .persistent_xml = "<p/>",
				    .migrate_disks = disks,
				    .parallel_connections = 3};
	struct lv_cookie cookie = {0};
	struct lv_writer w = {0};
	struct lv *v;
	char *xml;

	(void)state;
	plan = plan_for(LV_DOMAIN_BEGIN3);
	v = connected();
	assert_int_equal(lv_begin(v, &guest, &p, LV_MIGRATE_LIVE | LV_MIGRATE_PAUSED, &cookie, &xml, &err), 0);
	assert_true(cookie.n == 10 && !memcmp(cookie.data, "<cookie/>", 10));
	assert_string_equal(xml, "<domain/>");
	lv_write_domain(&w, &guest);
	lv_write_u32(&w, 8);
	text_param(&w, "migrate_uri", "unix:///ram");
	text_param(&w, "disks_uri", "unix:///nbd");
	text_param(&w, "destination_name", "web2");
	text_param(&w, "destination_xml", "<d/>");
	text_param(&w, "persistent_xml", "<p/>");
	text_param(&w, "migrate_disks", "vda");
	text_param(&w, "migrate_disks", "vdc");
	lv_write_string(&w, "parallel.connections");
	lv_write_u32(&w, 1);
	lv_write_u32(&w, 3);
	lv_write_u32(&w, 1 | 32);
	assert_args(&w);
	lv_writer_fini(&w);
	lv_cookie_fini(&cookie);
	free(xml);
	disconnect(v);
}

static void test_finish_and_confirm_say_how_it_ends(void **state)
{
	struct lv_writer w = {0};
	struct lv_domain out;
	struct lv *v;

	(void)state;
	plan = plan_for(LV_DOMAIN_FINISH3);
	v = connected();
	assert_int_equal(lv_finish(v, &(struct lv_params){0}, "<c/>", LV_MIGRATE_PAUSED, false, &out, &err), 0);
	assert_string_equal(out.name, "web");
	lv_domain_fini(&out);
	lv_write_u32(&w, 0);
	lv_write_opaque(&w, "<c/>", 5);
	lv_write_u32(&w, 32);
	lv_write_u32(&w, 0);
	assert_args(&w);
	lv_writer_fini(&w);
	plan.procedure = LV_DOMAIN_CONFIRM3;
	assert_int_equal(lv_confirm(v, &guest, LV_MIGRATE_LIVE, true, &err), 0);
	lv_write_domain(&w, &guest);
	lv_write_u32(&w, 0);
	lv_write_u32(&w, 0);
	lv_write_u32(&w, 1);
	lv_write_u32(&w, 1);
	assert_args(&w);
	lv_writer_fini(&w);
	disconnect(v);
	lv_writer_fini(&libvirtd.args);
}

/* libvirt has no guest to reply with, so it replies with an error of this number. */
static void test_finish_that_cancels_ends_well(void **state)
{
	struct lv_domain out;
	struct lv *v;

	(void)state;
	plan = plan_for(LV_DOMAIN_FINISH3);
	plan.own_body = true;
	plan.status = LV_ERROR;
	lv_write_u32(&plan.body, 93);
	lv_write_u32(&plan.body, 10);
	lv_write_optional(&plan.body, "migration successfully aborted");
	v = connected();
	assert_int_equal(call_finish_cancelled(v, &guest, &err), 0);
	assert_int_equal(lv_finish(v, &played_params, NULL, 0, false, &out, &err), -EREMOTEIO);
	disconnect(v);
}

static int start(void **state)
{
	(void)state;
	plan = no_plan();
	return loop_new(&loop, 64, &err);
}

static int end(void **state)
{
	(void)state;
	loop_free(loop);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands_are_answered_on_the_loop),
		cmocka_unit_test(test_replies_come_in_any_order),
		cmocka_unit_test(test_reply_that_is_late_is_dropped),
		cmocka_unit_test(test_refusal_is_the_command_s_alone),
		cmocka_unit_test(test_too_long_a_command_is_not_sent),
		cmocka_unit_test(test_what_the_socket_does_not_take_is_sent_later),
		cmocka_unit_test(test_reply_functions_may_call),
		cmocka_unit_test(test_events_are_heard),
		cmocka_unit_test(test_event_handlers_may_call),
		cmocka_unit_test(test_events_that_nobody_asked_for_are_passed_over),
		cmocka_unit_test(test_events_of_every_other_length_end_the_connection),
		cmocka_unit_test(test_end_is_told_once_and_to_all),
		cmocka_unit_test(test_end_in_a_call_that_is_waited_for),
		cmocka_unit_test(test_close_answers_what_is_under_way),
		cmocka_unit_test(test_timeout_of_a_call_ends_the_connection),
		cmocka_unit_test(test_begin_has_its_parameters),
		cmocka_unit_test(test_finish_and_confirm_say_how_it_ends),
		cmocka_unit_test(test_finish_that_cancels_ends_well),
	};

	return cmocka_run_group_tests(tests, start, end);
}
