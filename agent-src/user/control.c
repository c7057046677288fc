/* control.c: see control.h. */
#include "control.h"
#include "unix-socket.h"
#include "util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#define REQUEST_MAX	4096
#define ACCEPT_LATER_MS 500
#define DYING_MS	1000
#define ANSWER_S	30 /* an agent that reaches for its destination takes half of it */

struct client {
	struct client *next;
	struct control *control;
	struct op op;
	int fd;
	bool reading, follow, dead;
	char in[REQUEST_MAX];
	size_t n;
};

struct control {
	struct loop *loop;
	struct op accept_op;
	struct timer accept_later; /* retry accept(), for lack of a free descriptor */
	bool accepting, closing;
	int fd;
	char *dir, *path;
	dev_t dev; /* device of the socket's file */
	ino_t ino;
	struct client *clients;
	json_t *(*request)(void *ctx, const char *command, const json_t *args);
	void *ctx;
};

static void accept_more(struct control *c);
static void read_more(struct client *k);

static int socket_path(const char *runtime_dir, pid_t guest, struct sockaddr_un *sa, struct err *e)
{
	sa->sun_family = AF_UNIX;
	if (snprintf(sa->sun_path, sizeof(sa->sun_path), "%s/move-%d.sock", runtime_dir, (int)guest) >= (int)sizeof(sa->sun_path))
		return err_set(e, ENAMETOOLONG, "%s is too long for a socket", runtime_dir);
	return 0;
}

/* ---- server ---- */

/* A follower that does not read loses its place, never the move its time. */
static void send_line(struct client *k, const char *line)
{
	AUTO_FREE char *text = xasprintf("%s\n", line);
	size_t n = strlen(text);

	if (!k->dead && send(k->fd, text, n, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)n) {
		k->dead = true;
		shutdown(k->fd, SHUT_RDWR);
	}
}

static void answer(struct client *k, char *line)
{
	json_auto_t *args = json_loads(line, 0, NULL), *reply = NULL;
	const char *command = json_string_value(json_object_get(args, "command"));
	AUTO_FREE char *text = NULL;

	reply = command ? k->control->request(k->control->ctx, command, args) : json_pack("{s:s}", "error", "not a request");
	text = json_dumps(reply, JSON_COMPACT);
	send_line(k, text);
	k->follow = json_is_true(json_object_get(args, "follow"));
}

static void client_free(struct client *k)
{
	struct client **p;

	for (p = &k->control->clients; *p != k; p = &(*p)->next)
		;
	*p = k->next;
	close(k->fd);
	free(k);
}

static void read_done(struct op *op, int res, uint32_t flags)
{
	struct client *k = container_of(op, struct client, op);
	char *nl;

	(void)flags;
	k->reading = false;
	if (res <= 0 || k->n + (size_t)res == sizeof(k->in)) {
		client_free(k);
		return;
	}
	k->n += (size_t)res;
	while ((nl = memchr(k->in, '\n', k->n))) {
		size_t used = (size_t)(nl + 1 - k->in);

		*nl = '\0';
		answer(k, k->in);
		memmove(k->in, nl + 1, k->n - used);
		k->n -= used;
	}
	read_more(k);
}

static void read_more(struct client *k)
{
	struct io_uring_sqe *sqe = loop_sqe(k->control->loop);

	io_uring_prep_recv(sqe, k->fd, k->in + k->n, sizeof(k->in) - k->n, 0);
	loop_bind(sqe, &k->op);
	k->reading = true;
}

static void accepted(struct op *op, int res, uint32_t flags)
{
	struct control *c = container_of(op, struct control, accept_op);
	struct client *k;

	(void)flags;
	c->accepting = false;
	if (c->closing || res == -ECANCELED) {
		if (res >= 0)
			close(res);
		return;
	}
	if (res >= 0) {
		k = xcalloc(1, sizeof(*k));
		k->control = c;
		k->fd = res;
		k->op.done = read_done;
		k->next = c->clients;
		c->clients = k;
		read_more(k);
	}
	if (res >= 0 || res == -EAGAIN || res == -EINTR || res == -ECONNABORTED)
		accept_more(c);
	else
		loop_timer_set(c->loop, &c->accept_later, ACCEPT_LATER_MS);
}

static void accept_later(struct timer *t)
{
	accept_more(container_of(t, struct control, accept_later));
}

static void accept_more(struct control *c)
{
	struct io_uring_sqe *sqe = loop_sqe(c->loop);

	io_uring_prep_accept(sqe, c->fd, NULL, NULL, SOCK_CLOEXEC);
	loop_bind(sqe, &c->accept_op);
	c->accepting = true;
}

/* EAGAIN: somebody listens and has no time for more. */
static bool answers(const struct sockaddr_un *sa)
{
	int fd = unix_connect(sa->sun_path, SOCK_NONBLOCK);

	if (fd >= 0)
		close(fd);
	return fd >= 0 || fd == -EAGAIN;
}

/* Locks the directory while a socket is made or removed. 1: another agent holds the lock. */
static int dir_lock(const char *runtime_dir, int *fd, struct err *e)
{
	*fd = open(runtime_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*fd < 0)
		return err_sys(e, errno, "cannot open %s", runtime_dir);
	if (!flock(*fd, LOCK_EX | LOCK_NB))
		return 0;
	if (errno == EWOULDBLOCK) {
		close(*fd);
		*fd = -1;
		return 1;
	}
	err_sys(e, errno, "cannot lock %s", runtime_dir);
	close(*fd);
	*fd = -1;
	return -e->code;
}

static int dir_lock_patiently(const char *runtime_dir, int *fd, uint64_t until_ns, struct err *e)
{
	int r;

	while ((r = dir_lock(runtime_dir, fd, e)) == 1) {
		if (now_ns() > until_ns)
			return err_set(e, EBUSY, "%s is locked by another vmferry", runtime_dir);
		poll(NULL, 0, 5);
	}
	return r;
}

/* Binds the socket while the directory is locked. Nobody answers there, so a socket that exists is of an agent that died. */
static int listen_there(const struct sockaddr_un *sa, struct stat *st, struct err *e)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return err_sys(e, errno, "socket");
	unlink(sa->sun_path);
	if (!bind(fd, (const struct sockaddr *)sa, sizeof(*sa)) && !listen(fd, 8) && !lstat(sa->sun_path, st))
		return fd;
	err_sys(e, errno, "cannot listen on %s", sa->sun_path);
	close(fd);
	return -e->code;
}

/* An agent that has just died keeps its socket until the kernel has wound up its ring. */
static int take_place(const char *runtime_dir, const struct sockaddr_un *sa, struct stat *st, struct err *e)
{
	uint64_t until = now_ns() + DYING_MS * 1000000ULL;
	int r;

	for (;;) {
		AUTO_CLOSE int lock = -1;

		r = dir_lock_patiently(runtime_dir, &lock, until + DYING_MS * 1000000ULL, e);
		if (r)
			return r;
		if (!answers(sa))
			return listen_there(sa, st, e);
		if (now_ns() > until)
			return err_set(e, EBUSY, "a move of this guest is under way already (vmferry status shows it)");
		close(lock);
		lock = -1;
		poll(NULL, 0, 10);
	}
}

int control_open(struct control **out, struct loop *l, const char *runtime_dir, pid_t guest,
		 json_t *(*request)(void *ctx, const char *command, const json_t *args), void *ctx, struct err *e)
{
	struct sockaddr_un sa;
	struct control *c;
	struct stat st;
	int fd, r = socket_path(runtime_dir, guest, &sa, e);

	if (r)
		return r;
	fd = take_place(runtime_dir, &sa, &st, e);
	if (fd < 0)
		return fd;
	c = xcalloc(1, sizeof(*c));
	c->loop = l;
	c->fd = fd;
	c->dir = xstrdup(runtime_dir);
	c->path = xstrdup(sa.sun_path);
	c->dev = st.st_dev;
	c->ino = st.st_ino;
	c->request = request;
	c->ctx = ctx;
	c->accept_op.done = accepted;
	c->accept_later.fire = accept_later;
	accept_more(c);
	*out = c;
	return 0;
}

/* Ours, unless somebody removed it and another agent is there now. */
static void remove_socket(const struct control *c)
{
	AUTO_CLOSE int lock = -1;
	struct stat st;
	struct err e;

	if (dir_lock_patiently(c->dir, &lock, now_ns() + DYING_MS * 1000000ULL, &e))
		return; /* a socket without a listener is removed by the next command */
	if (!lstat(c->path, &st) && st.st_dev == c->dev && st.st_ino == c->ino)
		unlink(c->path);
}

void control_publish(struct control *c, const char *line)
{
	struct client *k;

	for (k = c->clients; k; k = k->next)
		if (k->follow)
			send_line(k, line);
}

void control_close(struct control *c)
{
	struct client *k;
	struct err e;

	if (!c)
		return;
	c->closing = true;
	remove_socket(c);
	loop_timer_clear(c->loop, &c->accept_later);
	loop_cancel(c->loop, &c->accept_op);
	for (k = c->clients; k; k = k->next)
		shutdown(k->fd, SHUT_RDWR);
	while (c->accepting || c->clients)
		if (loop_step(c->loop, 1000, &e))
			break;
	close(c->fd);
	FREE_ALL(c->path, c->dir, c);
}

/* ---- client ---- */

/* Sets how long we wait for the process at the other end; 0: for ever. */
static void set_patience(int fd, int seconds)
{
	struct timeval limit = {.tv_sec = seconds};

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
}

static FILE *ask(const char *runtime_dir, pid_t guest, const json_t *request, int seconds, struct err *e)
{
	AUTO_FREE char *text = json_dumps(request, JSON_COMPACT);
	struct sockaddr_un sa;
	FILE *f;
	int fd;

	if (socket_path(runtime_dir, guest, &sa, e))
		return NULL;
	fd = unix_connect(sa.sun_path, 0);
	if (fd < 0) {
		err_set(e, ENOENT,
			"no move of this guest (pid %d) is under way here; vmferry status lists those that are, and history how others ended",
			(int)guest);
		return NULL;
	}
	set_patience(fd, seconds);
	f = fdopen(fd, "r+");
	fprintf(f, "%s\n", text);
	fflush(f);
	errno = 0;
	return f;
}

/* A new reference; NULL, and why. */
static json_t *read_answer(FILE *f, struct err *e)
{
	AUTO_FREE char *line = NULL;
	size_t cap = 0;
	json_t *answer = NULL;

	if (getline(&line, &cap, f) > 0 && !(answer = json_loads(line, 0, NULL)))
		err_set(e, EPROTO, "cannot read the answer of this move's agent");
	else if (!answer && errno == EAGAIN)
		err_set(e, ETIMEDOUT, "the agent of this move has not answered for %d s; is it stopped (SIGSTOP)?", ANSWER_S);
	else if (!answer)
		err_set(e, EPIPE, "the agent of this move ended without an answer");
	return answer;
}

static int ask_within(const char *runtime_dir, pid_t guest, const json_t *request, int seconds, json_t **answer, struct err *e)
{
	FILE *f = ask(runtime_dir, guest, request, seconds, e);

	*answer = f ? read_answer(f, e) : NULL;
	if (f)
		fclose(f);
	return *answer ? 0 : -e->code;
}

int control_ask(const char *runtime_dir, pid_t guest, const json_t *request, json_t **answer, struct err *e)
{
	return ask_within(runtime_dir, guest, request, ANSWER_S, answer, e);
}

json_t *control_status_within(const char *runtime_dir, pid_t guest, int seconds)
{
	json_t *request = json_pack("{s:s}", "command", "status"), *status = NULL;
	struct err e;

	if (!runtime_dir || guest <= 0 || ask_within(runtime_dir, guest, request, seconds, &status, &e))
		status = NULL;
	json_decref(request);
	return status;
}

int control_follow(const char *runtime_dir, pid_t guest, const json_t *request, bool (*each)(void *ctx, const json_t *line), void *ctx,
		   struct err *e)
{
	FILE *f = ask(runtime_dir, guest, request, ANSWER_S, e);
	json_t *line = f ? read_answer(f, e) : NULL;
	bool answered = line, more = answered;
	AUTO_FREE char *text = NULL;
	size_t cap = 0;

	if (f)
		set_patience(fileno(f), 0);
	while (more) {
		more = line && each(ctx, line);
		json_decref(line);
		line = more && getline(&text, &cap, f) > 0 ? json_loads(text, 0, NULL) : NULL;
		more = line;
	}
	if (f)
		fclose(f);
	return answered ? 0 : -e->code;
}

size_t control_list(const char *runtime_dir, pid_t **pids)
{
	DIR *d = opendir(runtime_dir);
	struct dirent *x;
	size_t n = 0;
	int pid;

	*pids = NULL;
	while (d && (x = readdir(d))) {
		if (sscanf(x->d_name, "move-%d.sock", &pid) != 1)
			continue;
		*pids = xrealloc(*pids, (n + 1) * sizeof(**pids));
		(*pids)[n++] = pid;
	}
	if (d)
		closedir(d);
	return n;
}

bool control_is_served(const char *runtime_dir, pid_t guest)
{
	struct sockaddr_un sa;
	struct err e;

	return !socket_path(runtime_dir, guest, &sa, &e) && answers(&sa);
}

void control_sweep(const char *runtime_dir)
{
	AUTO_CLOSE int lock = -1;
	struct sockaddr_un sa;
	AUTO_FREE pid_t *pids = NULL;
	struct err e;
	size_t n, i;

	if (dir_lock_patiently(runtime_dir, &lock, now_ns() + DYING_MS * 1000000ULL, &e))
		return;
	n = control_list(runtime_dir, &pids);
	for (i = 0; i < n; i++)
		if (!socket_path(runtime_dir, pids[i], &sa, &e) && !answers(&sa))
			unlink(sa.sun_path);
}
