/* loop-poll.c: see loop-poll.h. */
#include "loop-poll.h"
#include "cpu-stage.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

struct entry {
	struct io_uring_sqe sqe;
	struct entry *next;
	int res;
	bool tried; /* operation was tried, and has to wait */
};

struct loop_poll {
	struct entry *head, **tail;	 /* under way, in the order of submission */
	struct entry *done, **done_tail; /* done but not yet reported: a callback may step the loop itself, and wait for another one */
	struct entry *spare;
	struct pollfd *fds;
	size_t fds_cap;
};

struct loop_poll *loop_poll_new(void)
{
	struct loop_poll *p = xcalloc(1, sizeof(*p));

	p->tail = &p->head;
	p->done_tail = &p->done;
	return p;
}

static void free_entries(struct entry *x)
{
	struct entry *next;

	for (; x; x = next) {
		next = x->next;
		free(x);
	}
}

void loop_poll_free(struct loop_poll *p)
{
	if (!p)
		return;
	free_entries(p->head);
	free_entries(p->done);
	free_entries(p->spare);
	free(p->fds);
	free(p);
}

struct io_uring_sqe *loop_poll_sqe(struct loop_poll *p)
{
	struct entry *x = p->spare;

	if (x)
		p->spare = x->next;
	else
		x = xmalloc(sizeof(*x));
	*x = (struct entry){.next = NULL};
	*p->tail = x;
	p->tail = &x->next;
	return &x->sqe;
}

/* The poll events to wait for on the entry's descriptor; 0: none. */
static short events_of(const struct io_uring_sqe *s)
{
	switch (s->opcode) {
	case IORING_OP_ACCEPT:
	case IORING_OP_READ:
	case IORING_OP_RECV:
	case IORING_OP_RECVMSG:
	case IORING_OP_POLL_ADD: /* waits for POLLIN */
		return POLLIN;
	case IORING_OP_SEND:
	case IORING_OP_SENDMSG:
		return POLLOUT;
	default:
		return 0;
	}
}

/* True if the entry needs no waiting, or may succeed at once (poll() reports a unix socket writable only when it is nearly empty). A read
 * of an eventfd may block. */
static bool is_due(const struct entry *x)
{
	return !events_of(&x->sqe) || (!x->tried && x->sqe.opcode != IORING_OP_READ && x->sqe.opcode != IORING_OP_POLL_ADD);
}

static void *pointer(uint64_t value)
{
	return (void *)(uintptr_t)value;
}

static int result(ssize_t r)
{
	return r < 0 ? -errno : (int)r;
}

static int write_file(const struct io_uring_sqe *s)
{
	ssize_t r;

	do
		r = pwrite(s->fd, pointer(s->addr), s->len, (off_t)s->off);
	while (r < 0 && errno == EINTR);
	return result(r);
}

static int read_file(const struct io_uring_sqe *s)
{
	ssize_t r;

	do
		r = preadv(s->fd, pointer(s->addr), (int)s->len, (off_t)s->off);
	while (r < 0 && errno == EINTR);
	return result(r);
}

static int do_file(const struct io_uring_sqe *s)
{
	enum cpu_stage before = cpu_stage_enter(CPU_DISK);
	int r;

	if (s->opcode == IORING_OP_WRITE)
		r = write_file(s);
	else if (s->opcode == IORING_OP_READV)
		r = read_file(s);
	else
		do
			r = s->opcode != IORING_OP_FSYNC	     ? result(fallocate(s->fd, (int)s->len, (off_t)s->off, (off_t)s->addr))
			    : s->fsync_flags & IORING_FSYNC_DATASYNC ? result(fdatasync(s->fd))
								     : result(fsync(s->fd));
		while (r == -EINTR);
	cpu_stage_enter(before);
	return r;
}

static int do_accept(const struct io_uring_sqe *s)
{
	/* the connection may be gone again */
	fcntl(s->fd, F_SETFL, fcntl(s->fd, F_GETFL) | O_NONBLOCK);
	return result(accept4(s->fd, pointer(s->addr), pointer(s->addr2), (int)s->accept_flags));
}

/* Carries out an entry; its result, or -EAGAIN. */
static int perform(const struct io_uring_sqe *s)
{
	int flags = (int)((s->msg_flags & ~(unsigned)MSG_WAITALL) | MSG_DONTWAIT);

	switch (s->opcode) {
	case IORING_OP_NOP:
		return 0;
	case IORING_OP_POLL_ADD:
		return POLLIN;
	case IORING_OP_ACCEPT:
		return do_accept(s);
	case IORING_OP_READ:
		return result(read(s->fd, pointer(s->addr), s->len));
	case IORING_OP_RECV:
		return result(recv(s->fd, pointer(s->addr), s->len, flags));
	case IORING_OP_RECVMSG:
		return result(recvmsg(s->fd, pointer(s->addr), flags));
	case IORING_OP_SEND:
		return result(send(s->fd, pointer(s->addr), s->len, flags));
	case IORING_OP_SENDMSG:
		return result(sendmsg(s->fd, pointer(s->addr), flags));
	case IORING_OP_READV:
	case IORING_OP_WRITE:
	case IORING_OP_FSYNC:
	case IORING_OP_FALLOCATE:
		return do_file(s);
	default:
		return -EACCES; /* the error that a restricted ring gives, too */
	}
}

/* An entry that waits ends with -ECANCELED: it is performed no more. */
static int cancel(struct loop_poll *p, const struct io_uring_sqe *s)
{
	struct entry *x;

	for (x = p->head; x; x = x->next)
		if (x->sqe.user_data == s->addr && x->sqe.opcode != IORING_OP_ASYNC_CANCEL && x->res == -EAGAIN) {
			x->res = -ECANCELED;
			return 0;
		}
	return -ENOENT;
}

/* Fills fds with the entries that wait. True if some need not wait. */
static bool gather(struct loop_poll *p, nfds_t *n)
{
	struct entry *x;
	bool at_once = false;

	*n = 0;
	for (x = p->head; x; x = x->next) {
		x->res = -EAGAIN;
		if (is_due(x)) {
			at_once = true;
			continue;
		}
		if (*n == p->fds_cap) {
			p->fds_cap = MAX(16, 2 * p->fds_cap);
			p->fds = xrealloc(p->fds, p->fds_cap * sizeof(*p->fds));
		}
		p->fds[(*n)++] = (struct pollfd){.fd = x->sqe.fd, .events = events_of(&x->sqe)};
	}
	return at_once;
}

static void perform_ready(struct loop_poll *p)
{
	struct entry *x;
	nfds_t i = 0;

	for (x = p->head; x; x = x->next) {
		bool ready = is_due(x) || p->fds[i++].revents;

		x->tried = true;
		if (x->res != -EAGAIN || !ready) /* cancelled, or still waiting */
			continue;
		x->res = x->sqe.opcode == IORING_OP_ASYNC_CANCEL ? cancel(p, &x->sqe) : perform(&x->sqe);
	}
}

/* Takes what is done out of the list. */
static void take_done(struct loop_poll *p)
{
	struct entry **at = &p->head, *x;

	while ((x = *at)) {
		if (x->res == -EAGAIN) {
			at = &x->next;
			continue;
		}
		*at = x->next;
		x->next = NULL;
		*p->done_tail = x;
		p->done_tail = &x->next;
	}
	p->tail = at;
}

static void tell_done(struct loop_poll *p, void (*complete)(uint64_t user_data, int res))
{
	struct entry *x;

	while ((x = p->done)) {
		uint64_t user_data = x->sqe.user_data;
		int res = x->res;

		p->done = x->next;
		if (!p->done)
			p->done_tail = &p->done;
		x->next = p->spare;
		p->spare = x;
		complete(user_data, res);
	}
}

void loop_poll_step(struct loop_poll *p, uint64_t wait_ns, void (*complete)(uint64_t user_data, int res))
{
	nfds_t n;
	int ms;

	if (p->done) {
		tell_done(p, complete);
		return;
	}
	ms = gather(p, &n) ? 0 : (int)MIN((wait_ns + 999999) / 1000000, INT_MAX);
	if (poll(p->fds, n, ms) < 0) /* EINTR: the next step sees what there is */
		for (nfds_t i = 0; i < n; i++)
			p->fds[i].revents = 0;
	perform_ready(p);
	take_done(p);
	tell_done(p, complete);
}
