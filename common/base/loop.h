/*
 * loop.h: one io_uring, its operations, timers and posts from other threads. Where io_uring is forbidden the same operations
 * are carried out by loop-poll.h, and nobody but loop_has_io_uring() notices.
 *
 * Every thread of ours runs exactly one loop: the agent's main thread (QMP, timers, all state) and one per
 * data channel. An operation is a `struct op` embedded in its owner; the kernel's completion calls op->done
 * in the loop's own thread. Only loop_post() may be called from another thread.
 */
#ifndef VMFERRY_LOOP_H
#define VMFERRY_LOOP_H

#include "err.h"

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

struct loop;

struct op {
	/* res and cqe_flags as in io_uring_cqe. A multishot op is called again while IORING_CQE_F_MORE is set. */
	void (*done)(struct op *op, int res, uint32_t cqe_flags);
};

struct timer {
	void (*fire)(struct timer *t);
	uint64_t at_ns; /* CLOCK_MONOTONIC; 0: not set */
	struct timer *next;
};

struct task {
	void (*run)(struct task *t);
	struct task *next; /* the loop's until run */
	bool queued;
};

/* entries: submission queue size. 0 or -errno. */
int loop_new(struct loop **out, unsigned entries, struct err *e);
/* Frees the loop; no op may be pending. */
void loop_free(struct loop *l);

/* A submission entry whose completion calls op->done. Never NULL: a full queue is submitted first. Submitted
 * at the latest when the loop next waits. Fill it with io_uring_prep_*, which leave user_data alone only if
 * called before loop_bind(): use the macro-like order  sqe = loop_sqe(l); io_uring_prep_x(sqe,…); loop_bind(sqe, op). */
struct io_uring_sqe *loop_sqe(struct loop *l);
void loop_bind(struct io_uring_sqe *sqe, struct op *op);
/* Submits queued entries now, so that their CPU time counts for the stage (cpu-stage.h) that the thread is in. */
void loop_submit(struct loop *l);
/* Asks for op's cancellation; op->done still comes, with -ECANCELED or its result. */
void loop_cancel(struct loop *l, struct op *op);
bool loop_has_io_uring(const struct loop *l);
/*
 * Restricts every ring that the calling thread, or one that it starts, makes from now on in whatever way: such a ring carries out the
 * operations that loops use, and ends others with -EACCES. "No new privileges" must be set. 0, or -errno: the kernel cannot (before 7.0).
 */
int loop_restrict_thread(void);

void loop_timer_set(struct loop *l, struct timer *t, uint64_t after_ms);
void loop_timer_clear(struct loop *l, struct timer *t);

/* Runs t->run(t) in the loop's thread, once however often it was posted before it ran. May be called from any thread. */
void loop_post(struct loop *l, struct task *t);

/* Runs until loop_stop(). 0, or -errno if the ring itself failed. */
int loop_run(struct loop *l, struct err *e);
void loop_stop(struct loop *l);
/* Waits once, at most max_wait_ms, and dispatches (for tests and clean-up). */
int loop_step(struct loop *l, uint64_t max_wait_ms, struct err *e);

#endif
