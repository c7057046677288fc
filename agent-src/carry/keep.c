/* keep.c: see keep.h. */
#include "keep.h"
#include "util.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define DRAIN_MS    5
#define DRAIN_BYTES (512 * KIB)

struct keep {
	struct drain what;
	pthread_t thread;
	int draining; /* *go_on at present; 0: not yet */
	int *locks;
	size_t lock_count;
};

/* ---- reading away ---- */

static void drain_accept(struct drain *d)
{
	int fd = accept4(d->listen_fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			d->deaf = true; /* the listener has ended, or there is no room for connections */
		return;
	}
	keep_tell(d->keeper, KEEP_CONNECTION, fd);
	d->ended[d->n] = false;
	d->fd[d->n++] = fd;
}

void drain_run(struct drain *d, const int *go_on)
{
	AUTO_FREE uint8_t *away = xmalloc(DRAIN_BYTES);
	struct pollfd p[1 + KEEP_CONNS_MAX];
	unsigned i, n;
	ssize_t got;

	while (__atomic_load_n(go_on, __ATOMIC_ACQUIRE) == 1) {
		for (i = 0; i < d->n; i++)
			p[i] = (struct pollfd){.fd = d->ended[i] ? -1 : d->fd[i], .events = POLLIN};
		n = d->n;
		p[n] = (struct pollfd){.fd = n < KEEP_CONNS_MAX && !d->deaf ? d->listen_fd : -1, .events = POLLIN};
		if (poll(p, n + 1, DRAIN_MS) <= 0)
			continue;
		for (i = 0; i < n; i++) {
			got = p[i].revents ? recv(d->fd[i], away, DRAIN_BYTES, MSG_DONTWAIT) : 1;
			d->ended[i] |= !got || (got < 0 && errno != EAGAIN && errno != EINTR);
		}
		if (p[n].revents)
			drain_accept(d);
	}
}

/* ---- the agent's side ---- */

bool keep_tell(int sock, enum keep_word word, int fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} room = {.bytes = {0}};
	char byte = (char)word;
	struct iovec iov = {.iov_base = &byte, .iov_len = 1};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *c;

	if (sock < 0)
		return true;
	if (fd >= 0) {
		msg.msg_control = room.bytes;
		msg.msg_controllen = sizeof(room.bytes);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	return sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) == 1;
}

/* ---- the keeper's side ---- */

/* The next word; 0: there is none any more. *fd: what came with it, or -1. */
static int hear(int sock, int *fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} room;
	char byte;
	struct iovec iov = {.iov_base = &byte, .iov_len = 1};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = room.bytes, .msg_controllen = sizeof(room.bytes)};
	struct cmsghdr *c;
	ssize_t n;

	*fd = -1;
	while ((n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR)
		;
	if (n <= 0)
		return 0;
	c = CMSG_FIRSTHDR(&msg);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		/* the control data has room for two descriptors, of which one is sent */
		for (size_t at = CMSG_LEN(0); at + sizeof(*fd) <= c->cmsg_len; at += sizeof(*fd)) {
			if (*fd >= 0)
				close(*fd);
			memcpy(fd, (uint8_t *)c + at, sizeof(*fd));
		}
	return byte;
}

static void let_go(struct drain *d)
{
	while (d->n)
		close(d->fd[--d->n]);
	if (d->listen_fd >= 0)
		close(d->listen_fd);
	d->listen_fd = -1;
}

/* Removes the socket, as the agent would have. */
static void remove_socket(int listen_fd)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	socklen_t n = sizeof(sa) - 1;

	if (listen_fd >= 0 && !getsockname(listen_fd, (struct sockaddr *)&sa, &n) && sa.sun_path[0])
		unlink(sa.sun_path);
}

static void add_lock(struct keep *k, int fd)
{
	k->locks = xrealloc(k->locks, (k->lock_count + 1) * sizeof(*k->locks));
	k->locks[k->lock_count++] = fd;
}

static bool says_nothing(int sock, unsigned timeout_ms)
{
	struct pollfd p = {.fd = sock, .events = POLLIN};

	return poll(&p, 1, (int)timeout_ms) == 0;
}

struct keep *keep_wait(int sock, void (*look)(void *ctx, bool stands), unsigned look_ms, void *ctx)
{
	struct keep *k = xcalloc(1, sizeof(*k));
	struct drain *d = &k->what;
	bool stands = false;
	int word, fd;

	d->listen_fd = d->keeper = -1;
	for (;;) {
		while (look && says_nothing(sock, look_ms))
			look(ctx, stands);
		word = hear(sock, &fd);
		if (!word || word == KEEP_GOODBYE)
			break;
		if (word == KEEP_NOTHING) {
			let_go(d);
		} else if (word == KEEP_STANDS || word == KEEP_RUNS) {
			stands = word == KEEP_STANDS;
			if (!stands)
				keep_unlock(k);
		} else if (word == KEEP_LOCK && fd >= 0) {
			add_lock(k, fd);
		} else if (word == KEEP_LISTENER && d->listen_fd < 0) {
			d->listen_fd = fd;
		} else if (word == KEEP_CONNECTION && fd >= 0 && d->n < KEEP_CONNS_MAX) {
			d->ended[d->n] = false;
			d->fd[d->n++] = fd;
		} else if (fd >= 0) {
			close(fd);
		}
	}
	if (!word)
		return k;
	keep_free(k);
	return NULL;
}

static void *drain_thread(void *arg)
{
	struct keep *k = arg;

	drain_run(&k->what, &k->draining);
	return NULL;
}

void keep_drain(struct keep *k)
{
	if (!k || k->draining)
		return;
	k->draining = 1;
	if (!pthread_create(&k->thread, NULL, drain_thread, k))
		return;
	k->draining = 0;
	keep_end(k);
}

int keep_return_path(struct keep *k, const void *p, size_t n)
{
	return k->draining < 2 && k->what.n && send(k->what.fd[0], p, n, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)n ? 0 : -EPIPE;
}

void keep_end(struct keep *k)
{
	if (!k)
		return;
	if (k->draining == 1) {
		__atomic_store_n(&k->draining, 2, __ATOMIC_RELEASE);
		pthread_join(k->thread, NULL);
	}
	k->draining = 2;
	remove_socket(k->what.listen_fd);
	let_go(&k->what);
}

void keep_unlock(struct keep *k)
{
	while (k && k->lock_count)
		close(k->locks[--k->lock_count]);
}

bool keep_has_locks(const struct keep *k)
{
	return k && k->lock_count;
}

void keep_free(struct keep *k)
{
	keep_end(k);
	keep_unlock(k);
	if (k)
		free(k->locks);
	free(k);
}
