/* serve.c: see serve.h. */
#include "serve.h"
#include "fault.h"
#include "log.h"
#include "arriving-move.h"
#include "output.h"
#include "program.h"
#include "net.h"
#include "util.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define HELLO_MS  10000
#define NS	  1000000000ULL /* nanoseconds in a second */
#define LOOK_S	  3600
#define AGAIN_S	  5 /* interval of so many looks after the start, while agents live that were there before: they may be about to end */
#define AGAIN	  12
#define BUSY	  1	/* exit code of who settles: there are such */
#define UNUSED_MS 60000 /* --once: nobody came */

struct server {
	const struct serve_config *cfg;
	int listen_fd;
	struct door *door;
	/* the child that settles what sessions left, or 0; unsettled: another was killed since it began */
	pid_t settling;
	bool unsettled;
	unsigned again; /* looks that are left while agents live that were there before */
	/* --once: who came */
	struct link link;
	struct hello hello;
};

/* A connection that is the control channel of a source. */
static int wanted(void *ctx, const struct hello *theirs, struct err *e)
{
	(void)ctx;
	if (theirs->generation)
		return err_set(e, EPROTO, "unknown session: it cannot be resumed");
	return theirs->channel ? err_set(e, EPROTO, "no session here has a data channel %u", theirs->channel) : 0;
}

/* listen_fd: where data is to come in, too; -1: on a port of its own. */
static int session(const struct serve_config *cfg, int listen_fd, struct link link, const struct hello *hello, struct err *e)
{
	struct move_config mc = {.state_dir = cfg->state_dir,
				 .runtime_dir = cfg->runtime_dir,
				 .plaintext = cfg->plaintext,
				 .access = &cfg->access,
				 .listen_host = cfg->host,
				 .listen_fd = listen_fd,
				 .data_ports = cfg->data_ports};

	memcpy(mc.session, hello->session, sizeof(mc.session));
	net_limit_silence(link.fd);
	return move_run(&mc, link, e);
}

static void heard_of_a_child(int signo)
{
	(void)signo; /* ends ppoll */
}

/* The listener hears of its children while it waits, and at no other moment. */
static void wait_for_children(bool yes)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	signal(SIGCHLD, yes ? heard_of_a_child : SIG_DFL);
	sigprocmask(yes ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
}

/* Closes, in a child, what belongs to the listener. */
static void leave_door(struct server *s)
{
	door_free(s->door);
	close(s->listen_fd);
	wait_for_children(false);
}

static _Noreturn void session_process(struct server *s, struct link link, const struct hello *hello)
{
	struct err e;
	int r;

	leave_door(s);
	r = launcher_begin_another(&e) ?: session(s->cfg, -1, link, hello, &e);
	if (r < 0)
		log_error("session: %s", e.msg);
	output_flush(OUTPUT_EXIT_MS);
	_exit(r < 0 ? 1 : r);
}

static void enter_one_of_many(void *ctx, struct link *link, const struct hello *theirs)
{
	struct server *s = ctx;
	pid_t pid = fork();

	if (pid == 0)
		session_process(s, *link, theirs);
	if (pid < 0) {
		log_error("cannot start a session: %s", strerror(errno));
		link_close(link);
	}
	link_forget(link);
}

static void enter_the_one(void *ctx, struct link *link, const struct hello *theirs)
{
	struct server *s = ctx;

	if (s->link.fd >= 0) {
		link_close(link);
		return;
	}
	s->link = *link;
	s->hello = *theirs;
}

/* Settles the leftovers of killed sessions now, instead of at the next start. */
static void settle(struct server *s)
{
	struct move_config mc = {.state_dir = s->cfg->state_dir, .runtime_dir = s->cfg->runtime_dir};
	struct err e;
	pid_t pid;

	s->unsettled = s->settling;
	if (s->settling)
		return;
	pid = fork();
	if (pid) {
		s->settling = MAX(pid, 0);
		return;
	}
	leave_door(s);
	if (launcher_begin_another(&e)) {
		log_error("%s", e.msg);
		_exit(0);
	}
	_exit(move_recover_all(&mc) ? BUSY : 0);
}

/* Starts a child that settles only after a session has died: a child that dies while it settles would do so again. */
static void reap(struct server *s)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		bool was_session = pid != s->settling;

		if (launcher_is(pid)) { /* sessions have theirs, and go on; who starts us again starts one */
			log_error("the launcher, a process of ours that starts programs, has died: no guest could be started any more");
			exit(1);
		}
		if (!was_session) {
			s->settling = 0;
			s->again = WIFEXITED(status) && WEXITSTATUS(status) == BUSY ? s->again : 0;
		}
		if (WIFSIGNALED(status))
			log_error("process %d, which %s, has died: %s", (int)pid, was_session ? "served a move" : "settled what was left",
				  strsignal(WTERMSIG(status)));
		if (was_session ? WIFSIGNALED(status) : s->unsettled)
			settle(s);
	}
}

static _Noreturn void serve_many(struct server *s)
{
	struct pollfd p = {.fd = door_fd(s->door), .events = POLLIN};
	const bool looks_often = fault_point("dst-looks-often");
	uint64_t looked_ns = now_ns();
	sigset_t none;

	sigemptyset(&none);
	wait_for_children(true);
	for (;;) {
		uint64_t due_ns = looked_ns + (looks_often ? NS / 10 : (s->again ? AGAIN_S : LOOK_S) * NS), now = now_ns();
		uint64_t left_ns = due_ns > now ? due_ns - now : 0;

		ppoll(&p, 1, &(struct timespec){(time_t)(left_ns / NS), (long)(left_ns % NS)}, &none);
		if (now_ns() >= due_ns) { /* however many come meanwhile: the time of what is kept here may be over */
			looked_ns = now_ns();
			s->again -= s->again > 0;
			settle(s);
		}
		reap(s);
		door_step(s->door);
	}
}

/* Waits until a peer has entered, or the time is over: -ETIMEDOUT. */
static int wait_for_one(struct server *s, uint64_t until_ns)
{
	struct pollfd p = {.fd = door_fd(s->door), .events = POLLIN};
	uint64_t now;

	while (s->link.fd < 0) {
		now = now_ns();
		if (now >= until_ns)
			return -ETIMEDOUT;
		poll(&p, 1, (int)((until_ns - now) / 1000000) + 1);
		door_step(s->door);
	}
	return 0;
}

/* Serves one source. Other clients that find the port do not keep that source from connecting. */
static int serve_one(struct server *s, const char *address, struct err *e)
{
	int r = wait_for_one(s, now_ns() + UNUSED_MS * 1000000ULL);

	door_free(s->door);
	if (!r)
		return session(s->cfg, s->listen_fd, s->link, &s->hello, e);
	close(s->listen_fd);
	return err_set(e, ETIMEDOUT, "no source connected to %s in time", address);
}

int serve(const struct serve_config *cfg, struct err *e)
{
	struct move_config mc = {.state_dir = cfg->state_dir, .runtime_dir = cfg->runtime_dir};
	struct server s = {.cfg = cfg, .link = LINK_NONE};
	struct door_config dc = {.access = &cfg->access,
				 .timeout_ms = HELLO_MS,
				 .level = LOG_LEVEL_ERROR,
				 .wanted = wanted,
				 .enter = cfg->once ? enter_the_one : enter_one_of_many,
				 .ctx = &s};
	AUTO_FREE char *address = NULL;
	int r = net_listen(cfg->host, cfg->ports, cfg->plaintext || cfg->access.key_count, &s.listen_fd, &address, e);

	r = r ?: door_new(&s.door, s.listen_fd, &dc, e);
	if (r)
		return r;
	s.again = move_recover_all(&mc) ? AGAIN : 0;
	printf("listening on %s\n", address);
	fflush(stdout);
	if (!cfg->once)
		serve_many(&s);
	return serve_one(&s, address, e);
}
