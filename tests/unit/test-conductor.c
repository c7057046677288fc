/*
 * test-conductor.c: the queue between a control channel and the stages that deal with its frames.
 */
#include "conductor.h"
#include "conn-link.h"
#include "log.h"
#include "util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#define FRAMES	    160
#define FRAME_BYTES (256 * KIB)
#define QUIET_MS    500
#define QUEUE_MOST  (6 * MIB)

static struct loop *loop;
static struct conductor con;
static struct err err;
static uint32_t heard;
static size_t queued_most;
static struct channel *peer;

static size_t queued(void)
{
	const struct event *ev;
	size_t n = 0;

	for (ev = con.head; ev; ev = ev->next)
		n += ev->n;
	return n;
}

/* Waits as a stage that waits for its QEMU does, until nothing more arrives. */
static void wait_in_place(void)
{
	uint64_t quiet_since = now_ns();
	size_t n = queued();

	while (now_ns() - quiet_since < QUIET_MS * 1000000ULL) {
		assert_int_equal(loop_step(loop, 50, &err), 0);
		if (queued() != n) {
			n = queued();
			quiet_since = now_ns();
		}
		queued_most = MAX(queued_most, n);
	}
}

static int on_event(void *ctx, const struct event *ev, struct err *e)
{
	uint32_t number;

	(void)ctx, (void)e;
	if (ev->kind == EVENT_CONTROL_LOST)
		conductor_finish(&con);
	if (ev->kind != EVENT_FRAME)
		return 0;
	memcpy(&number, ev->bytes, sizeof(number));
	assert_int_equal(number, heard);
	heard++;
	if (heard % 50 == 1)
		wait_in_place();
	if (heard == FRAMES) {
		channel_free(peer);
		peer = NULL;
	}
	return 0;
}

static void on_fail(void *ctx, const struct err *why)
{
	(void)ctx;
	fail_msg("%s", why->msg);
}

static int ignore_frame(void *ctx, struct channel *c, uint16_t type, const uint8_t *p, size_t n, struct err *e)
{
	(void)ctx, (void)c, (void)type, (void)p, (void)n, (void)e;
	return 0;
}

static void ignore_end(void *ctx, struct channel *c, const struct err *why)
{
	(void)ctx, (void)c, (void)why;
}

static void frames_wait_on_the_wire_while_a_stage_waits_and_none_is_lost(void **state)
{
	static const struct stage stages[] = {{"only", NULL, on_event}};
	struct channel_config mine = {.window_bytes = MIB, .on = conductor_channel, .ctx = &con};
	struct channel_config theirs = {.window_bytes = 64 * MIB, .on = {.frame = ignore_frame, .closed = ignore_end}};
	struct channel *us;
	uint8_t *payload = xcalloc(1, FRAME_BYTES);
	uint32_t i;
	int fd[2];

	(void)state;
	assert_int_equal(loop_new(&loop, 64, &err), 0);
	conductor_init(&con, loop, stages, NULL, on_fail);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	us = channel_over(loop, (struct link){.fd = fd[0]}, &mine);
	peer = channel_over(loop, (struct link){.fd = fd[1]}, &theirs);
	for (i = 0; i < FRAMES; i++) {
		memcpy(payload, &i, sizeof(i));
		channel_post(peer, MSG_FILE_DATA, payload, FRAME_BYTES);
	}
	assert_int_equal(conductor_run(&con, &err), 0); /* until the peer has gone */
	assert_int_equal(heard, FRAMES);
	assert_true(queued_most > MIB && queued_most < QUEUE_MOST);
	channel_free(us);
	conductor_fini(&con);
	loop_free(loop);
	free(payload);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_wait_on_the_wire_while_a_stage_waits_and_none_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
