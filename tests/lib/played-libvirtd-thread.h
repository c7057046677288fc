/*
 * played-libvirtd-thread.h: a libvirtd that a thread plays, for unit tests: it answers well but for what the plan says.
 */
#ifndef VMFERRY_PLAYED_LIBVIRTD_THREAD_H
#define VMFERRY_PLAYED_LIBVIRTD_THREAD_H

#include "played-libvirtd.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>

#define PATIENCE_MS 10000
#define WHOLE	    SIZE_MAX
enum { NO_CUT = -1 };

/* How the played one errs, in its reply to one procedure. */
static struct plan {
	int32_t procedure; /* 0: nowhere */
	/* body sent instead of the good reply, if there is any; the head has its length, unless it is said otherwise */
	struct lv_writer body;
	bool own_body;
	uint32_t status, length;
	uint32_t xor_serial, xor_program, xor_procedure, xor_type, xor_version;
	size_t body_bytes;   /* the body has so many bytes, as the head says: a reply that is too short, or too long */
	long sent_bytes;     /* bytes of head and body that are sent before it hangs up; NO_CUT: all */
	bool silent;	     /* libvirtd takes the call, and does not reply */
	int32_t also_silent; /* nor to this one; 0: none */
	unsigned pings, events;
	struct lv_writer event; /* contents of an event; empty: 100000 zeroes */
	unsigned held;		/* number of replies that are kept back, and then sent with the last one first */
	uint32_t auth;		/* kind of authentication; 0: none */
	/* answers every call: the good reply, which may be changed, or with *status LV_ERROR an error */
	void (*answer)(int32_t procedure, struct lv_writer *body, uint32_t *status);
} plan;

static struct {
	int fd;
	pthread_t thread;
	struct lv_writer args; /* arguments of the last call of that procedure */
	unsigned pongs;
	bool strange; /* something came that is not a call */
	struct {
		uint8_t *all;
		size_t n;
	} held[8];
	unsigned held_count;
} libvirtd;

static struct err err;
static struct lv_domain guest = {.name = (char *)"web", .id = -1};

/* ---- libvirtd ---- */

static bool take_bytes(void *to, size_t n)
{
	return !n || recv(libvirtd.fd, to, n, MSG_WAITALL) == (ssize_t)n;
}

static void say(const void *p, size_t n)
{
	const uint8_t *from = p;
	ssize_t r;

	while (n && (r = send(libvirtd.fd, from, n, MSG_NOSIGNAL)) > 0) {
		from += r;
		n -= (size_t)r;
	}
}

static void say_event(void)
{
	static const uint8_t zeroes[100000];
	const uint8_t *body = plan.event.n ? plan.event.data : zeroes;
	size_t n = plan.event.n ? plan.event.n : sizeof(zeroes);
	uint8_t head[LV_HEAD_BYTES];

	played_head(head, (uint32_t)(LV_HEAD_BYTES + n), LV_QEMU_PROGRAM, LV_MONITOR_EVENT, LV_MESSAGE, 0, LV_OK);
	say(head, sizeof(head));
	say(body, n);
}

/* Sends a ping, and takes nothing but its pong. */
static void ping(void)
{
	uint8_t head[LV_HEAD_BYTES], pong[LV_HEAD_BYTES];

	played_head(head, LV_HEAD_BYTES, LV_KEEPALIVE, LV_PING, LV_MESSAGE, 0, LV_OK);
	say(head, sizeof(head));
	played_head(pong, LV_HEAD_BYTES, LV_KEEPALIVE, LV_PONG, LV_MESSAGE, 0, LV_OK);
	if (take_bytes(head, sizeof(head)) && !memcmp(head, pong, sizeof(pong)))
		libvirtd.pongs++;
}

static void set_words(struct lv_writer *w, const uint8_t *p, size_t n)
{
	size_t i;

	w->n = 0;
	for (i = 0; i + 4 <= n; i += 4)
		lv_write_u32(w, be32(p + i));
}

static void err_as_planned(struct lv_writer *body, uint8_t *head, uint32_t serial)
{
	unsigned i;

	for (i = 0; i < plan.pings; i++)
		ping();
	for (i = 0; i < plan.events; i++)
		say_event();
	if (plan.own_body)
		set_words(body, plan.body.data, plan.body.n);
	if (plan.body_bytes != WHOLE) {
		while (body->n < plan.body_bytes)
			lv_write_u32(body, 0);
		body->n = plan.body_bytes;
	}
	played_head(head, plan.length ? plan.length : (uint32_t)(LV_HEAD_BYTES + body->n),
		    played_program(plan.procedure) ^ plan.xor_program, played_number(plan.procedure) ^ (int32_t)plan.xor_procedure,
		    LV_REPLY ^ plan.xor_type, serial ^ plan.xor_serial, plan.status);
	put32(head + 8, LV_VERSION_ONE ^ plan.xor_version);
}

static void say_or_hold(bool hold, uint8_t *all, size_t n)
{
	if (!hold) {
		say(all, n);
		free(all);
		return;
	}
	libvirtd.held[libvirtd.held_count].all = all;
	libvirtd.held[libvirtd.held_count++].n = n;
	while (libvirtd.held_count >= plan.held && plan.held) {
		unsigned last = --libvirtd.held_count;

		say_or_hold(false, libvirtd.held[last].all, libvirtd.held[last].n);
		plan.held = last; /* until all have gone */
	}
}

/* QEMU's answer is what it was asked. */
static void echo(struct lv_writer *body, const uint8_t *args, size_t n)
{
	struct lv_reader r = lv_reader_of(args, n);
	AUTO_FREE char *text = NULL;
	struct lv_domain d;

	lv_read_domain(&r, &d);
	lv_domain_fini(&d);
	text = lv_read_string(&r);
	libvirtd.strange |= lv_read_u32(&r) != 0 || !lv_reader_done(&r);
	lv_write_string(body, text ? text : "");
}

/* Whether it goes on. */
static inline bool reply(int32_t procedure, uint32_t serial, const uint8_t *args, size_t args_n)
{
	bool planned = procedure == plan.procedure;
	struct lv_writer body = {0};
	uint32_t status = LV_OK;
	uint8_t *all;
	size_t n;

	played_reply(&body, procedure);
	if (procedure == PLAYED_QEMU + LV_MONITOR_COMMAND)
		echo(&body, args, args_n);
	if (procedure == LV_AUTH_LIST)
		put32(body.data + 4, plan.auth);
	if (plan.answer)
		plan.answer(procedure, &body, &status);
	all = xmalloc(LV_HEAD_BYTES + body.n + 1024 + plan.body.n);
	played_head(all, (uint32_t)(LV_HEAD_BYTES + body.n), played_program(procedure), played_number(procedure), LV_REPLY, serial, status);
	if (planned)
		err_as_planned(&body, all, serial);
	n = LV_HEAD_BYTES + body.n;
	if (body.n)
		memcpy(all + LV_HEAD_BYTES, body.data, body.n);
	lv_writer_fini(&body);
	if (planned && plan.sent_bytes != NO_CUT)
		n = (size_t)plan.sent_bytes;
	if ((planned && plan.silent) || procedure == plan.also_silent)
		free(all);
	else
		say_or_hold(planned && plan.held, all, n);
	return !planned || plan.sent_bytes == NO_CUT;
}

/* Answers one message; returns whether it goes on. */
static bool take_call(void)
{
	uint8_t head[LV_HEAD_BYTES];
	uint32_t n, program;
	int32_t procedure;
	uint8_t *args;
	bool is_there;

	if (!take_bytes(head, sizeof(head)))
		return false;
	n = be32(head) - LV_HEAD_BYTES;
	program = be32(head + 4);
	procedure = (int32_t)be32(head + 12) + (program == LV_QEMU_PROGRAM ? PLAYED_QEMU : 0);
	args = xmalloc(n + 1);
	is_there = take_bytes(args, n);
	if (!is_there || (program != LV_PROGRAM && program != LV_QEMU_PROGRAM) || be32(head + 8) != 1 || be32(head + 16) != LV_CALL ||
	    be32(head + 24))
		libvirtd.strange = true;
	if (procedure == plan.procedure)
		set_words(&libvirtd.args, args, is_there ? n : 0);
	is_there = !libvirtd.strange && reply(procedure, be32(head + 20), args, n);
	free(args);
	return is_there;
}

static void *libvirtd_main(void *arg)
{
	while (take_call())
		;
	shutdown(libvirtd.fd, SHUT_RDWR);
	return arg;
}

static struct plan no_plan(void)
{
	return (struct plan){.body_bytes = WHOLE, .sent_bytes = NO_CUT};
}

static inline struct plan plan_for(int32_t procedure)
{
	struct plan p = no_plan();

	p.procedure = procedure;
	return p;
}

static inline int connect_to_played(struct lv **v)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	libvirtd.fd = pair[1];
	libvirtd.pongs = 0;
	libvirtd.strange = false;
	assert_int_equal(pthread_create(&libvirtd.thread, NULL, libvirtd_main, NULL), 0);
	return lv_open_fd(v, pair[0], "/run/played", "qemu:///system", PATIENCE_MS, &err);
}

static inline void disconnect(struct lv *v)
{
	lv_close(v);
	shutdown(libvirtd.fd, SHUT_RDWR);
	pthread_join(libvirtd.thread, NULL);
	close(libvirtd.fd);
	assert_false(libvirtd.strange);
	while (libvirtd.held_count)
		free(libvirtd.held[--libvirtd.held_count].all);
	lv_writer_fini(&plan.body);
	lv_writer_fini(&plan.event);
	plan = no_plan();
}

static inline struct lv *connected(void)
{
	struct lv *v = NULL;

	if (connect_to_played(&v) < 0)
		fail_msg("%s", err.msg);
	return v;
}

#endif
