/*
 * qmp-libvirt.c: qmp_open_libvirt() of qmp.h: QMP of a guest of libvirt's, through libvirt.
 *
 * libvirt hands calls to several threads, so either of two commands may reach QEMU first: each is sent after the one before it was
 * answered, except questions, of which several are under way. Commands that a caller waits for go ahead of questions that nobody waits for,
 * as the guest may be paused meanwhile. libvirt's replies overtake events, so their order proves nothing: a drain after QEMU was stopped
 * asks libvirt twice about the guest, some time apart, before the last event counts as heard. One answer is enough if the kernel shows that
 * the guest's processors have not run since it was stopped; if they have, the guest counts as resumed once libvirt has had time to say so.
 * libvirt does not report the end of a QEMU to us, so we watch the process itself. It knows the guest by its UUID: once that QEMU has ended our commands
 * would go to another that somebody has started since, so none is sent any more, and no answer counts.
 */
#include "libvirt-monitor.h"
#include "qmp-carrier.h"
#include "util.h"
#include "vcpu-time.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#define DRAIN_PAUSE_MS 5
#define LAST_WORDS_MS  500 /* libvirt's events have come 400 ms late */

struct question {
	struct question *next;
	struct by_libvirt *by;
	json_int_t id;
	unsigned deadline_ms;
	enum qmp_haste haste;
	bool is_sent;
	char *text;
};

struct by_libvirt {
	struct qmp *q;
	struct loop *loop;
	struct lv *v;
	struct lv_domain domain;
	pid_t pid;
	int pidfd;
	struct vcpu_time stood;
	bool watching, resumed;
	struct op ended;
	struct timer gone;	/* runs for some time after QEMU has ended: its last events may still come */
	struct question *first; /* questions under way come before the others */
};

static bool has_ended(const struct by_libvirt *by)
{
	struct pollfd p = {.fd = by->pidfd, .events = POLLIN};

	return poll(&p, 1, 0) > 0;
}

static int refuse_ended(struct err *e)
{
	return err_set(e, EPIPE, "the guest's QEMU has ended");
}

static void question_free(struct question *question)
{
	free(question->text);
	free(question);
}

static void take_out(struct question *question)
{
	struct question **at = &question->by->first;

	while (*at != question)
		at = &(*at)->next;
	*at = question->next;
}

static void send_more(struct by_libvirt *by);

/* The callback may send further questions. */
static void answered(struct question *question, const char *reply, const struct err *e)
{
	struct by_libvirt *by = question->by;

	take_out(question);
	send_more(by);
	qmp_carried_answer(by->q, question->id, reply, e);
	question_free(question);
}

static void on_reply(void *arg, const char *reply, const struct err *e)
{
	const struct question *question = arg;
	struct err why;

	if (e || !has_ended(question->by)) {
		answered(arg, reply, e);
		return;
	}
	refuse_ended(&why);
	answered(arg, NULL, &why);
}

static int send_one(struct question *question, struct err *e)
{
	int r = has_ended(question->by)
			? refuse_ended(e)
			: lv_monitor(question->by->v, &question->by->domain, question->text, question->deadline_ms, on_reply, question, e);

	question->is_sent = !r;
	return r;
}

/* Questions do not wait for one another, as it is the same in which order they come to QEMU. */
static struct question *next_to_send(const struct by_libvirt *by)
{
	struct question *one = by->first;

	while (one && one->is_sent && one->haste == QMP_QUESTION)
		one = one->next;
	return one && !one->is_sent && (one == by->first || one->haste == QMP_QUESTION) ? one : NULL;
}

static void send_more(struct by_libvirt *by)
{
	struct question *one;
	struct err e;

	while ((one = next_to_send(by)))
		if (send_one(one, &e)) {
			answered(one, NULL, &e); /* this sends the others */
			return;
		}
}

/* The place for a new command: the end, or behind all that are under way and all that are more than questions. */
static struct question **place_of(struct by_libvirt *by, enum qmp_haste haste)
{
	struct question **at, **place = &by->first;

	for (at = &by->first; *at; at = &(*at)->next)
		if (haste != QMP_WAITED_FOR || (*at)->is_sent || (*at)->haste != QMP_QUESTION)
			place = &(*at)->next;
	return place;
}

/* Commands are sent at once if they can be; a command that libvirt refuses is reported to its own callback. */
static int send_command(void *ctx, struct qmp *q, json_int_t id, const char *text, unsigned deadline_ms, enum qmp_haste haste,
			struct err *e)
{
	struct by_libvirt *by = ctx;
	struct question *question = xcalloc(1, sizeof(*question)), **place = place_of(by, haste);
	int r;

	(void)q;
	*question =
		(struct question){.next = *place, .by = by, .id = id, .deadline_ms = deadline_ms, .haste = haste, .text = xstrdup(text)};
	*place = question;
	r = next_to_send(by) == question ? send_one(question, e) : 0;
	if (r) {
		take_out(question);
		question_free(question);
	}
	return r;
}

/* The run state as far as libvirt knows it by now. If libvirt refuses to tell while QEMU lives, the answer is neither yes nor no. */
static int look(struct by_libvirt *by, bool *resumed, struct err *e)
{
	enum lv_state state = LV_NOSTATE;
	int r = lv_state_of(by->v, &by->domain, &state, NULL, e);

	*resumed = !r && (state == LV_RUNNING || state == LV_BLOCKED);
	return r && has_ended(by) ? 0 : r;
}

static int drain(void *ctx, struct err *e)
{
	struct by_libvirt *by = ctx;
	enum vcpu_since since = vcpu_since(by->pid, &by->stood);
	uint64_t until = now_ns() + VCPU_HEAR_MS * 1000000ULL;
	int r = 0, tries, looks = since == VCPU_STOOD ? 1 : 2;
	bool resumed = false;
	struct err ignored;

	by->resumed = false;
	for (tries = 0; !r && !resumed && !by->resumed && (tries < looks || (since >= VCPU_MAY_HAVE_RUN && now_ns() < until)); tries++) {
		if (tries)
			poll(NULL, 0, DRAIN_PAUSE_MS);
		r = look(by, &resumed, e);
		loop_step(by->loop, 0, &ignored);
	}
	if ((resumed || since == VCPU_RAN) && !by->resumed)
		qmp_carried_event(by->q, "RESUME", NULL, 0);
	return r;
}

static void stands(void *ctx)
{
	struct by_libvirt *by = ctx;

	vcpu_time_of(by->pid, &by->stood);
}

static void close_all(void *ctx)
{
	struct by_libvirt *by = ctx;
	struct question **at;
	struct err e;

	loop_timer_clear(by->loop, &by->gone);
	if (by->watching)
		loop_cancel(by->loop, &by->ended);
	while (by->watching)
		if (loop_step(by->loop, 1000, &e) < 0)
			return;	      /* the kernel may still write to it */
	for (at = &by->first; *at;) { /* libvirt still answers those under way */
		struct question *one = *at;

		if (one->is_sent) {
			at = &one->next;
			continue;
		}
		*at = one->next;
		question_free(one);
	}
	lv_close(by->v);
	lv_domain_fini(&by->domain);
	if (by->pidfd >= 0)
		close(by->pidfd);
	free(by);
}

static const struct qmp_carrier carrier = {send_command, drain, stands, close_all};

static void on_event(void *ctx, const char *name, const char *data, uint64_t realtime_ns)
{
	struct by_libvirt *by = ctx;

	by->resumed |= !strcmp(name, "RESUME");
	qmp_carried_event(by->q, name, data, realtime_ns);
}

static void on_closed(void *ctx, const struct err *why)
{
	qmp_carried_lost(((struct by_libvirt *)ctx)->q, why->msg);
}

static const struct lv_handlers handlers = {on_event, on_closed};

static void on_ended(struct op *op, int res, uint32_t flags)
{
	struct by_libvirt *by = container_of(op, struct by_libvirt, ended);

	(void)flags;
	by->watching = false;
	if (res >= 0)
		loop_timer_set(by->loop, &by->gone, LAST_WORDS_MS);
}

static void on_gone(struct timer *t)
{
	qmp_carried_ended(container_of(t, struct by_libvirt, gone)->q);
}

static void watch_process(struct by_libvirt *by)
{
	struct io_uring_sqe *sqe = loop_sqe(by->loop);

	by->ended.done = on_ended;
	by->gone.fire = on_gone;
	io_uring_prep_poll_add(sqe, by->pidfd, POLLIN);
	loop_bind(sqe, &by->ended);
	by->watching = true;
}

int qmp_open_over(struct qmp **out, struct loop *l, struct lv *v, const struct lv_domain *d, pid_t pid, const struct qmp_handlers *h,
		  void *ctx, struct err *e)
{
	struct by_libvirt *by = xcalloc(1, sizeof(*by));
	AUTO_FREE char *name = xasprintf("of libvirt's guest %s", d->name);
	int r = 0;

	*by = (struct by_libvirt){.loop = l, .v = v, .domain = *d, .pid = pid, .pidfd = pidfd_open(pid, 0)};
	by->q = qmp_new_carried(l, name, pid, &carrier, by, h, ctx);
	lv_attach(v, l, &handlers, by);
	if (by->pidfd < 0)
		r = err_set(e, ESRCH, "the QEMU of guest %s (process %d) has ended", d->name, (int)pid);
	r = r ?: lv_watch(v, &by->domain, e);
	if (!r) {
		watch_process(by);
		r = qmp_meet_carried(by->q, e);
	}
	if (r)
		qmp_close(by->q);
	else
		*out = by->q;
	return r;
}

static int find(struct lv *v, const char *uuid, struct lv_domain *d, struct err *e)
{
	int r = lv_lookup_text(v, uuid, d, e);

	if (r || d->id >= 0)
		return r;
	err_set(e, ESRCH, "guest %s of libvirt does not run", d->name);
	lv_domain_fini(d);
	return -e->code;
}

int qmp_open_libvirt(struct qmp **out, struct loop *l, const char *uuid, pid_t pid, unsigned timeout_ms, const struct qmp_handlers *h,
		     void *ctx, struct err *e)
{
	struct lv_domain d;
	struct lv *v;
	int r = lv_open(&v, timeout_ms, e);

	if (r)
		return r;
	r = find(v, uuid, &d, e);
	if (!r)
		return qmp_open_over(out, l, v, &d, pid, h, ctx, e);
	lv_close(v);
	return r;
}
