/* output.c: see output.h. A lane is what is behind a descriptor; standard output and standard error share one if they are the same. */
#include "output.h"
#include "util.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEP_MS 5

struct chunk {
	struct chunk *next;
	int fd;
	size_t n;
	char text[];
};

struct lane {
	bool begun, direct, dead; /* direct: a file, which is written at once; dead: nobody has the other end */
	struct chunk *head, **tail;
	size_t waiting, written; /* bytes; waiting: with those that are being written */
	struct stat st;
	pthread_cond_t more;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct lane lanes[2];
static bool hooked;

/* True if all was written, or nobody will ever read it. */
static bool write_all(int fd, const char *text, size_t n, size_t *written)
{
	while (n) {
		ssize_t r = write(fd, text, n);

		if (r < 0 && errno == EAGAIN) {
			struct pollfd p = {.fd = fd, .events = POLLOUT};

			poll(&p, 1, -1);
			continue;
		}
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return false;
		if (written)
			__atomic_add_fetch(written, (size_t)r, __ATOMIC_RELAXED);
		text += r;
		n -= (size_t)r;
	}
	return true;
}

static void *lane_thread(void *arg)
{
	struct lane *l = arg;
	struct chunk *c;
	bool good;

	pthread_mutex_lock(&lock);
	for (;;) {
		while (!l->head)
			pthread_cond_wait(&l->more, &lock);
		c = l->head;
		l->head = c->next;
		if (!l->head)
			l->tail = &l->head;
		good = !l->dead;
		pthread_mutex_unlock(&lock);
		good = good && write_all(c->fd, c->text, c->n, &l->written);
		pthread_mutex_lock(&lock);
		l->dead |= !good;
		l->waiting -= c->n;
		free(c);
	}
	return NULL;
}

static void before_fork(void)
{
	pthread_mutex_lock(&lock);
}

static void after_fork(void)
{
	pthread_mutex_unlock(&lock);
}

/* The threads and what waits are the parent's. */
static void in_child(void)
{
	memset(lanes, 0, sizeof(lanes));
	pthread_mutex_unlock(&lock); /* before_fork() has locked it, in the one thread that there is */
}

static void at_exit(void)
{
	output_flush(OUTPUT_EXIT_MS);
}

static void lane_begin(struct lane *l, int fd)
{
	sigset_t all, before;
	pthread_t thread;

	l->begun = true;
	l->tail = &l->head;
	if (!hooked) {
		hooked = true;
		pthread_atfork(before_fork, after_fork, in_child);
		atexit(at_exit);
	}
	l->direct = fstat(fd, &l->st) || S_ISREG(l->st.st_mode);
	if (l->direct)
		return;
	pthread_cond_init(&l->more, NULL);
	sigfillset(&all); /* SIGPIPE, too: then it is an error like others */
	pthread_sigmask(SIG_BLOCK, &all, &before);
	l->direct = pthread_create(&thread, NULL, lane_thread, l);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!l->direct)
		pthread_detach(thread);
}

static struct lane *lane_of(int fd)
{
	struct lane *l = &lanes[fd == 1 ? 0 : 1], *other = &lanes[fd == 1 ? 1 : 0];
	struct stat st;

	if (l->begun)
		return l;
	if (other->begun && !other->direct && !fstat(fd, &st) && st.st_dev == other->st.st_dev && st.st_ino == other->st.st_ino)
		return other;
	lane_begin(l, fd);
	return l;
}

static bool has_room(const struct lane *l, enum output_kind kind, size_t n)
{
	switch (kind) {
	case OUTPUT_PASSING:
		return !l->waiting;
	case OUTPUT_LOG:
		return l->waiting + n <= OUTPUT_LOG_BYTES;
	case OUTPUT_TEXT:
		return l->waiting + n <= OUTPUT_TEXT_BYTES;
	case OUTPUT_LAST:
		return true;
	}
	return false;
}

bool output_put(int fd, enum output_kind kind, const char *text, size_t n)
{
	struct lane *l;
	struct chunk *c;
	bool taken;

	pthread_mutex_lock(&lock);
	l = lane_of(fd);
	taken = l->dead || l->direct || has_room(l, kind, n);
	if (taken && !l->dead && !l->direct) {
		c = xmalloc(sizeof(*c) + n);
		*c = (struct chunk){.fd = fd, .n = n};
		memcpy(c->text, text, n);
		*l->tail = c;
		l->tail = &c->next;
		l->waiting += n;
		pthread_cond_signal(&l->more);
	}
	pthread_mutex_unlock(&lock);
	if (l->direct)
		write_all(fd, text, n, NULL); /* each line is one write, so that another thread's does not tear it */
	return taken;
}

static size_t all_waiting(size_t *written)
{
	size_t n;

	pthread_mutex_lock(&lock);
	n = lanes[0].waiting + lanes[1].waiting;
	*written = __atomic_load_n(&lanes[0].written, __ATOMIC_RELAXED) + __atomic_load_n(&lanes[1].written, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&lock);
	return n;
}

void output_flush(unsigned patience_ms)
{
	uint64_t until = now_ns() + patience_ms * 1000000ULL;
	size_t written, before = 0;

	while (all_waiting(&written) && now_ns() < until) {
		if (written != before)
			until = now_ns() + patience_ms * 1000000ULL;
		before = written;
		poll(NULL, 0, STEP_MS);
	}
}
