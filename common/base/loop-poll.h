/*
 * loop-poll.h: carries out a loop's submission entries where io_uring is forbidden (a seccomp filter, the sysctl
 * kernel.io_uring_disabled) or unknown: sockets by poll() and non-blocking calls, files by blocking ones. It is slower and otherwise
 * the same: an entry is filled by the same io_uring_prep_* and completes in the same way. For loop.c only.
 *
 * Known are the operations that vmferry uses: accept, read (of what has no position), recv, send, recvmsg, sendmsg, poll (for input),
 * cancel; of files readv, write, fsync, fallocate.
 */
#ifndef VMFERRY_LOOP_POLL_H
#define VMFERRY_LOOP_POLL_H

#include <liburing.h>
#include <stdint.h>

struct loop_poll;

struct loop_poll *loop_poll_new(void);
void loop_poll_free(struct loop_poll *p);
/* An entry to be filled; it is taken up at the next step. */
struct io_uring_sqe *loop_poll_sqe(struct loop_poll *p);
/* Waits until something is done, at most wait_ns, and calls complete for all that is. */
void loop_poll_step(struct loop_poll *p, uint64_t wait_ns, void (*complete)(uint64_t user_data, int res));

#endif
