/* loop.c: see loop.h. */
#include "loop.h"
#include "fault.h"
#include "loop-poll.h"
#include "util.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

struct loop {
	struct io_uring ring;
	struct loop_poll *poll; /* replacement for the ring, where that is forbidden */
	bool stop;
	struct timer *timers; /* sorted by at_ns */
	/* posts: the only part other threads touch */
	pthread_mutex_t post_lock;
	struct task *post_head, **post_tail;
	int post_fd;
	uint64_t post_count;
	struct op post_op, cancel_op;
	/* completions that had to make room before their time: loop_sqe() */
	struct completion {
		struct op *op;
		int res;
		uint32_t flags;
	} * early;
	size_t early_at, early_count, early_size;
};

bool loop_has_io_uring(const struct loop *l)
{
	return !l->poll;
}

static void cancel_done(struct op *op, int res, uint32_t flags)
{
	(void)op, (void)res, (void)flags;
}

static void run_posts(struct loop *l)
{
	struct task *t, *next;

	pthread_mutex_lock(&l->post_lock);
	t = l->post_head;
	l->post_head = NULL;
	l->post_tail = &l->post_head;
	pthread_mutex_unlock(&l->post_lock);
	for (; t; t = next) {
		next = t->next;
		/* the task may be posted again from now on */
		__atomic_store_n(&t->queued, false, __ATOMIC_RELEASE);
		t->run(t);
	}
}

static void post_arm(struct loop *l)
{
	struct io_uring_sqe *sqe = loop_sqe(l);

	io_uring_prep_read(sqe, l->post_fd, &l->post_count, sizeof(l->post_count), 0);
	loop_bind(sqe, &l->post_op);
}

static void post_done(struct op *op, int res, uint32_t flags)
{
	struct loop *l = container_of(op, struct loop, post_op);

	(void)res, (void)flags;
	run_posts(l);
	post_arm(l);
}

/* ---- the ring ---- */

/* The operations that our rings carry out, the same as loop-poll.c; liburing needs TIMEOUT to wait on kernels before 5.11. */
static const uint8_t operations[] = {
	IORING_OP_NOP,		IORING_OP_READV,     IORING_OP_FSYNC, IORING_OP_POLL_ADD, IORING_OP_SENDMSG,
	IORING_OP_RECVMSG,	IORING_OP_TIMEOUT,   IORING_OP_READ,  IORING_OP_WRITE,	  IORING_OP_ACCEPT,
	IORING_OP_ASYNC_CANCEL, IORING_OP_FALLOCATE, IORING_OP_SEND,  IORING_OP_RECV,
};

static void permit_operations(struct io_uring_restriction *r)
{
	memset(r, 0, ARRAY_LEN(operations) * sizeof(*r));
	for (size_t i = 0; i < ARRAY_LEN(operations); i++) {
		r[i].opcode = IORING_RESTRICTION_SQE_OP;
		r[i].sqe_op = operations[i];
	}
}

/* The system call is used directly, as not every version of liburing's shared library has the functions. */
static int ring_register(int ring, unsigned what, const void *p, size_t n)
{
	return syscall(SYS_io_uring_register, ring, what, p, n) < 0 ? -errno : 0;
}

int loop_restrict_thread(void)
{
	struct { /* io_uring_task_restriction of Linux 7.0 */
		uint16_t flags, count;
		uint32_t reserved[3];
		struct io_uring_restriction r[ARRAY_LEN(operations) + 2];
	} all = {.count = ARRAY_LEN(operations) + 2};
	struct io_uring_restriction *more = all.r + ARRAY_LEN(operations);

	permit_operations(all.r);
	more[0].opcode = more[1].opcode = IORING_RESTRICTION_REGISTER_OP; /* registrations that ring_new() needs */
	more[0].register_op = IORING_REGISTER_RESTRICTIONS;
	more[1].register_op = IORING_REGISTER_ENABLE_RINGS;
	return ring_register(-1, IORING_REGISTER_RESTRICTIONS, &all, 1);
}

/* A ring that carries out only these operations, even for an intruder: no entry flags, no registered files or buffers. */
static int ring_restricted(struct io_uring *ring, unsigned entries, struct io_uring_params p)
{
	struct io_uring_restriction r[ARRAY_LEN(operations)];
	int x;

	p.flags |= IORING_SETUP_R_DISABLED;
	x = io_uring_queue_init_params(entries, ring, &p);
	if (x)
		return x;
	permit_operations(r);
	/* the kernel refuses this if all rings of this thread are restricted already */
	ring_register(ring->ring_fd, IORING_REGISTER_RESTRICTIONS, r, ARRAY_LEN(r));
	x = ring_register(ring->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
	if (x)
		io_uring_queue_exit(ring);
	return x;
}

static int ring_new(struct io_uring *ring, unsigned entries)
{
	struct io_uring_params p = {.flags = IORING_SETUP_COOP_TASKRUN | IORING_SETUP_CQSIZE, .cq_entries = entries * 4};
	int r;

	if (fault_point("no-io-uring"))
		return -EPERM;
	r = ring_restricted(ring, entries, p);
	if (r == -EINVAL) { /* a kernel before 5.19 */
		memset(&p, 0, sizeof(p));
		r = ring_restricted(ring, entries, p);
	}
	if (r == -EINVAL) /* kernels before 5.10 */
		r = io_uring_queue_init_params(entries, ring, &p);
	return r;
}

static void ring_free(struct loop *l)
{
	if (l->poll)
		loop_poll_free(l->poll);
	else
		io_uring_queue_exit(&l->ring);
}

int loop_new(struct loop **out, unsigned entries, struct err *e)
{
	struct loop *l = xcalloc(1, sizeof(*l));
	int r = ring_new(&l->ring, entries);

	if (r == -EPERM || r == -EACCES || r == -ENOSYS) {
		l->poll = loop_poll_new();
		r = 0;
	}
	if (r < 0) {
		free(l);
		return err_sys(e, -r, "cannot set up io_uring");
	}
	l->post_fd = eventfd(0, EFD_CLOEXEC);
	if (l->post_fd < 0) {
		r = -errno;
		ring_free(l);
		free(l);
		return err_sys(e, -r, "eventfd");
	}
	pthread_mutex_init(&l->post_lock, NULL);
	l->post_tail = &l->post_head;
	l->post_op.done = post_done;
	l->cancel_op.done = cancel_done;
	post_arm(l);
	*out = l;
	return 0;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	ring_free(l);
	free(l->early);
	close(l->post_fd);
	pthread_mutex_destroy(&l->post_lock);
	free(l);
}

/* Kernels before 5.19 take no more entries (EBUSY) while completions overflow their queue. We report these completions in the next step
 * only, as their owner may be the caller. */
static void take_early(struct loop *l)
{
	struct io_uring_cqe *cqe;

	while (io_uring_peek_cqe(&l->ring, &cqe) == 0) {
		if (l->early_count == l->early_size) {
			l->early_size = MAX(64U, 2 * l->early_size);
			l->early = xrealloc(l->early, l->early_size * sizeof(*l->early));
		}
		l->early[l->early_count++] = (struct completion){io_uring_cqe_get_data(cqe), cqe->res, cqe->flags};
		io_uring_cqe_seen(&l->ring, cqe);
	}
}

struct io_uring_sqe *loop_sqe(struct loop *l)
{
	struct io_uring_sqe *sqe;

	if (l->poll)
		return loop_poll_sqe(l->poll);
	while (!(sqe = io_uring_get_sqe(&l->ring)))
		if (io_uring_submit(&l->ring) < 0)
			take_early(l);
	return sqe;
}

void loop_bind(struct io_uring_sqe *sqe, struct op *op)
{
	io_uring_sqe_set_data(sqe, op);
}

void loop_submit(struct loop *l)
{
	if (!l->poll)
		io_uring_submit(&l->ring); /* an error is not lost: the loop tries again when it waits */
}

void loop_cancel(struct loop *l, struct op *op)
{
	struct io_uring_sqe *sqe = loop_sqe(l);

	io_uring_prep_cancel(sqe, op, 0);
	loop_bind(sqe, &l->cancel_op);
}

void loop_timer_set(struct loop *l, struct timer *t, uint64_t after_ms)
{
	struct timer **p;

	loop_timer_clear(l, t);
	t->at_ns = now_ns() + after_ms * 1000000;
	for (p = &l->timers; *p && (*p)->at_ns <= t->at_ns; p = &(*p)->next)
		;
	t->next = *p;
	*p = t;
}

void loop_timer_clear(struct loop *l, struct timer *t)
{
	struct timer **p;

	if (!t->at_ns)
		return;
	t->at_ns = 0;
	for (p = &l->timers; *p; p = &(*p)->next) {
		if (*p == t) {
			*p = t->next;
			return;
		}
	}
}

void loop_post(struct loop *l, struct task *t)
{
	uint64_t one = 1;

	if (__atomic_exchange_n(&t->queued, true, __ATOMIC_ACQ_REL))
		return;
	pthread_mutex_lock(&l->post_lock);
	t->next = NULL;
	*l->post_tail = t;
	l->post_tail = &t->next;
	pthread_mutex_unlock(&l->post_lock);
	while (write(l->post_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static void run_timers(struct loop *l)
{
	uint64_t now = now_ns(); /* a timer that sets itself to now waits for the next step */

	while (l->timers && l->timers->at_ns <= now) {
		struct timer *t = l->timers;

		l->timers = t->next;
		t->at_ns = 0;
		t->fire(t);
	}
}

static void complete(uint64_t user_data, int res)
{
	struct op *op = (struct op *)(uintptr_t)user_data;

	if (op)
		op->done(op, res, 0);
}

/* Reports them in their order. A callback may add to them, or step the loop itself and wait for another one. */
static void tell_early(struct loop *l)
{
	while (l->early_count) {
		struct completion c = l->early[l->early_at++];

		if (l->early_at == l->early_count)
			l->early_at = l->early_count = 0;
		if (c.op)
			c.op->done(c.op, c.res, c.flags);
	}
}

static int ring_step(struct loop *l, uint64_t wait_ns, struct err *e)
{
	struct __kernel_timespec ts = {.tv_sec = (int64_t)(wait_ns / 1000000000), .tv_nsec = (int64_t)(wait_ns % 1000000000)};
	struct io_uring_cqe *cqe;
	int r;

	if (l->early_count) {
		tell_early(l);
		return 0;
	}
	r = io_uring_submit_and_wait_timeout(&l->ring, &cqe, 1, &ts, NULL);
	if (r < 0 && r != -ETIME && r != -EINTR && r != -EAGAIN && r != -EBUSY)
		return err_sys(e, -r, "io_uring failed");
	while (io_uring_peek_cqe(&l->ring, &cqe) == 0) {
		struct op *op = io_uring_cqe_get_data(cqe);
		int res = cqe->res;
		uint32_t flags = cqe->flags;

		io_uring_cqe_seen(&l->ring, cqe);
		if (op)
			op->done(op, res, flags);
	}
	return 0;
}

int loop_step(struct loop *l, uint64_t max_wait_ms, struct err *e)
{
	uint64_t wait_ns = max_wait_ms * 1000000, now;

	if (l->timers) {
		now = now_ns();
		wait_ns = MIN(wait_ns, l->timers->at_ns > now ? l->timers->at_ns - now : 0);
	}
	if (l->poll)
		loop_poll_step(l->poll, wait_ns, complete);
	else if (ring_step(l, wait_ns, e))
		return -e->code;
	run_timers(l);
	return 0;
}

int loop_run(struct loop *l, struct err *e)
{
	int r = 0;

	l->stop = false;
	while (!l->stop && !r)
		r = loop_step(l, 3600 * 1000, e);
	return r;
}

void loop_stop(struct loop *l)
{
	l->stop = true;
}
