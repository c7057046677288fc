/* test-qmp-libvirt.c: a struct qmp over a libvirtd that is played by a thread: the order of commands, and what is known of a QEMU that is held or ends. */
#include "qmp-carrier.h"
#include "vcpu-time.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "../lib/played-libvirtd-thread.h"

#define RUNS_NS	 3000000 /* CPU time in which a guest could do something, though little */
#define SHORT_MS 100	 /* for what must not happen, and would at once */

enum { COMMAND = PLAYED_QEMU + LV_MONITOR_COMMAND };

static struct loop *loop;
static pid_t qemu;
static struct {
	unsigned resumes, closed, answers, errors;
} heard;

static void on_event(void *ctx, const char *name, json_t *data, uint64_t at_ns)
{
	(void)ctx, (void)data, (void)at_ns;
	heard.resumes += !strcmp(name, "RESUME");
}

static void on_closed(void *ctx, const struct err *why)
{
	(void)ctx, (void)why;
	heard.closed++;
}

static const struct qmp_handlers handlers = {on_event, on_closed};

static void on_answer(void *arg, json_t *ret, const struct err *e)
{
	(void)arg, (void)ret;
	heard.answers++;
	heard.errors += e != NULL;
}

static void run_for(const unsigned *count, unsigned n, unsigned ms)
{
	uint64_t until = now_ns() + ms * 1000000ULL;

	while (*count < n && now_ns() < until)
		assert_int_equal(loop_step(loop, 10, &err), 0);
}

/* Every command has this answer of QEMU's. */
static struct plan plan_answers(void)
{
	struct plan p = plan_for(COMMAND);

	p.own_body = true;
	lv_write_string(&p.body, "{\"return\": {\"qemu\": {\"major\": 10, \"minor\": 0, \"micro\": 2}}}");
	return p;
}

static const char *vcpu = "worker"; /* name of the QEMU's only thread */

static void runs(int signal)
{
	struct timespec now, from;

	(void)signal;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
	do
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	while ((now.tv_sec - from.tv_sec) * 1000000000L + now.tv_nsec - from.tv_nsec < RUNS_NS);
}

static struct qmp *opened(void)
{
	const struct lv_domain d = {.name = xstrdup(guest.name), .id = 1};
	struct qmp *q = NULL;

	qemu = fork();
	if (!qemu) {
		prctl(PR_SET_NAME, vcpu);
		signal(SIGUSR1, runs);
		for (;;)
			pause();
	}
	memset(&heard, 0, sizeof(heard));
	plan = plan_answers();
	if (qmp_open_over(&q, loop, connected(), &d, qemu, &handlers, NULL, &err))
		fail_msg("%s", err.msg);
	return q;
}

static void closed(struct qmp *q)
{
	qmp_close(q);
	disconnect(NULL);
	kill(qemu, SIGKILL);
	waitpid(qemu, NULL, 0);
}

static void test_version_is_asked(void **state)
{
	struct qmp *q = opened();
	int major, minor, micro;

	(void)state;
	qmp_version(q, &major, &minor, &micro);
	assert_int_equal(major * 10000 + minor * 100 + micro, 100002);
	assert_int_equal(qmp_call(q, "query-status", NULL, NULL, &err), 0);
	closed(q);
}

/* The daemon keeps its reply back until it has two calls: it never does. */
static void test_command_waits_for_the_one_before(void **state)
{
	struct qmp *q = opened();

	(void)state;
	plan.held = 2;
	qmp_send(q, "one", NULL, PATIENCE_MS, on_answer, NULL);
	qmp_send(q, "two", NULL, PATIENCE_MS, on_answer, NULL);
	run_for(&heard.answers, 1, SHORT_MS);
	assert_int_equal(heard.answers, 0);
	closed(q);
	assert_int_equal(heard.answers, 2); /* each has its one answer all the same */
}

/* The daemon keeps its reply back until it has two calls. */
static void test_questions_do_not_wait_for_one_another(void **state)
{
	struct qmp *q = opened();

	(void)state;
	plan.held = 2;
	qmp_send(q, "query-one", NULL, PATIENCE_MS, on_answer, NULL);
	qmp_send(q, "query-two", NULL, PATIENCE_MS, on_answer, NULL);
	run_for(&heard.answers, 2, PATIENCE_MS);
	assert_int_equal(heard.answers, 2);
	closed(q);
}

/* The last letters of the commands that libvirt was given, in their order. */
static char order[16];

static void note_order(int32_t procedure, struct lv_writer *body, uint32_t *status)
{
	size_t n = strlen(order), at = body->n;

	(void)status;
	while (procedure == COMMAND && at && body->data[at - 1] != 't') /* {"execute":"query-a"} and what XDR fills up with */
		at--;
	if (procedure == COMMAND && n + 1 < sizeof(order))
		order[n] = (char)body->data[at];
}

/* The guest may stand still for what is waited for. A change is not overtaken. */
static void test_what_is_waited_for_overtakes_questions(void **state)
{
	struct qmp *q = opened();

	(void)state;
	memset(order, 0, sizeof(order));
	plan.answer = note_order;
	qmp_send(q, "query-t1", NULL, PATIENCE_MS, on_answer, NULL); /* the command is under way */
	qmp_send(q, "query-t2", NULL, PATIENCE_MS, on_answer, NULL);
	qmp_send(q, "change-t3", NULL, PATIENCE_MS, on_answer, NULL);
	qmp_send(q, "query-t4", NULL, PATIENCE_MS, on_answer, NULL);
	assert_int_equal(qmp_call(q, "change-t5", NULL, NULL, &err), 0);
	run_for(&heard.answers, 4, PATIENCE_MS);
	closed(q);
	assert_string_equal(order, "12354");
}

static void test_end_of_qemu_is_the_connections(void **state)
{
	struct qmp *q = opened();

	(void)state;
	kill(qemu, SIGKILL);
	run_for(&heard.closed, 1, PATIENCE_MS);
	assert_int_equal(heard.closed, 1);
	assert_false(qmp_alive(q));
	closed(q);
}

/* libvirt was ended or started again before, and says nothing more of it. */
static void test_end_of_qemu_is_told_though_libvirt_went_before(void **state)
{
	struct qmp *q = opened();

	(void)state;
	shutdown(libvirtd.fd, SHUT_RDWR);
	run_for(&heard.closed, 1, PATIENCE_MS);
	assert_int_equal(heard.closed, 1);
	assert_int_not_equal(qmp_drain(q, &err), 0);
	kill(qemu, SIGKILL);
	run_for(&heard.closed, 2, PATIENCE_MS);
	assert_int_equal(heard.closed, 2);
	closed(q);
}

/* The event may come later than libvirt's answer that it runs. */
static void test_guest_that_libvirt_says_runs_was_resumed(void **state)
{
	struct qmp *q = opened();

	(void)state;
	lv_writer_fini(&plan.body);
	plan = plan_for(LV_DOMAIN_GET_STATE);
	plan.own_body = true;
	lv_write_u32(&plan.body, LV_PAUSED);
	lv_write_u32(&plan.body, 1);
	assert_int_equal(qmp_drain(q, &err), 0);
	assert_int_equal(heard.resumes, 0);
	plan.body.n = 0;
	lv_write_u32(&plan.body, LV_RUNNING);
	lv_write_u32(&plan.body, 1);
	assert_int_equal(qmp_drain(q, &err), 0);
	assert_int_equal(heard.resumes, 1);
	closed(q);
}

static void state_is(enum lv_state now)
{
	lv_writer_fini(&plan.body);
	plan = plan_for(LV_DOMAIN_GET_STATE);
	plan.own_body = true;
	lv_write_u32(&plan.body, now);
	lv_write_u32(&plan.body, 1);
}

static struct vcpu_time time_of_qemu(void)
{
	struct vcpu_time t;

	vcpu_time_of(qemu, &t);
	return t;
}

/* Lets the guest's processors run for a moment. */
static void run_qemu(void)
{
	uint64_t before = time_of_qemu().each[0].ns, until = now_ns() + PATIENCE_MS * 1000000ULL;

	kill(qemu, SIGUSR1);
	kill(qemu, SIGCONT);
	while (time_of_qemu().each[0].ns - before < RUNS_NS && now_ns() < until)
		;
}

/* libvirt may hear of it later than it is asked. */
static void test_guest_whose_processors_ran_was_resumed(void **state)
{
	siginfo_t stopped;
	struct qmp *q;

	(void)state;
	vcpu = "CPU 0/KVM";
	q = opened();
	while (!time_of_qemu().threads)
		poll(NULL, 0, 1);
	kill(qemu, SIGSTOP);
	waitid(P_PID, (id_t)qemu, &stopped, WSTOPPED);
	state_is(LV_PAUSED);
	qmp_stands(q);
	assert_int_equal(qmp_drain(q, &err), 0);
	assert_int_equal(heard.resumes, 0);
	run_qemu();
	assert_int_equal(qmp_drain(q, &err), 0);
	assert_int_equal(heard.resumes, 1);
	closed(q);
	vcpu = "worker";
}

/* libvirt goes by the guest's UUID, and another QEMU may have that by then. */
static void test_nothing_is_said_to_who_comes_after_qemu(void **state)
{
	struct qmp *q = opened();
	siginfo_t ended;

	(void)state;
	assert_int_equal(qmp_call(q, "query-status", NULL, NULL, &err), 0);
	qmp_send(q, "one", NULL, PATIENCE_MS, on_answer, NULL);
	kill(qemu, SIGKILL);
	waitid(P_PID, (id_t)qemu, &ended, WEXITED | WNOWAIT);
	run_for(&heard.answers, 1, PATIENCE_MS);
	assert_int_equal(heard.errors, 1); /* the error of either answer */
	assert_int_equal(qmp_call(q, "query-status", NULL, NULL, &err), -EPIPE);
	closed(q);
}

static void test_guest_whose_state_is_not_told_is_neither(void **state)
{
	struct qmp *q = opened();
	siginfo_t ended;

	(void)state;
	state_is(LV_PAUSED);
	plan.body.n = 0;
	lv_write_u32(&plan.body, 1); /* virErrorNumber, and who says so */
	lv_write_u32(&plan.body, 10);
	lv_write_optional(&plan.body, "no");
	plan.status = LV_ERROR;
	assert_int_equal(qmp_drain(q, &err), -EREMOTEIO); /* the error says neither that the guest was resumed nor that it was not */
	assert_int_equal(heard.resumes, 0);
	kill(qemu, SIGKILL);
	waitid(P_PID, (id_t)qemu, &ended, WEXITED | WNOWAIT);
	assert_int_equal(qmp_drain(q, &err), 0); /* the guest no longer runs */
	assert_int_equal(heard.resumes, 0);
	closed(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_version_is_asked),
		cmocka_unit_test(test_command_waits_for_the_one_before),
		cmocka_unit_test(test_questions_do_not_wait_for_one_another),
		cmocka_unit_test(test_what_is_waited_for_overtakes_questions),
		cmocka_unit_test(test_end_of_qemu_is_the_connections),
		cmocka_unit_test(test_end_of_qemu_is_told_though_libvirt_went_before),
		cmocka_unit_test(test_guest_that_libvirt_says_runs_was_resumed),
		cmocka_unit_test(test_guest_whose_processors_ran_was_resumed),
		cmocka_unit_test(test_guest_whose_state_is_not_told_is_neither),
		cmocka_unit_test(test_nothing_is_said_to_who_comes_after_qemu),
	};
	int r;

	if (loop_new(&loop, 64, &err))
		return 1;
	r = cmocka_run_group_tests(tests, NULL, NULL);
	loop_free(loop);
	return r;
}
