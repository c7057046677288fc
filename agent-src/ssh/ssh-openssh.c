/*
 * ssh-openssh.c: the same through the user's own `ssh`, and so with all of their configuration.
 *
 * One ssh logs in (asking whatever it asks, at the terminal) and stays in the background as a control master, whose socket
 * lies in a directory of ours; commands and streams go through it. Commands are an `ssh` each, whose stdin and stdout are
 * the socket that the caller has the other end of. Streams are sockets on which the master listens (-O forward -L), so no
 * byte of them passes through this process. The master ends with us (-O exit), or by itself PERSIST_S after its last user.
 */
#include "log.h"
#include "program.h"
#include "ssh-backend.h"
#include "unix-socket.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define ARGS_MAX   40
#define BATCH_MS   60000 /* time for logging in when nobody is asked, on top of connecting */
#define CONTROL_MS 10000 /* time for the master to answer */
#define TMPDIR_MAX 60	 /* chars of TMPDIR that leave room for a socket's path, 107 in all */
#define PERSIST_S  60
#define GONE_MS	   1000 /* how soon after its clients the master of a lost connection ends */

struct openssh {
	struct ssh base;
	char *dir, *control; /* ours, 0700; the master's socket in it */
	char *host;
	int master; /* pidfd; -1: none */
	unsigned streams;
};

struct args {
	const char *v[ARGS_MAX];
	size_t n;
};

static void add(struct args *a, const char *word)
{
	if (a->n + 1 < ARGS_MAX)
		a->v[a->n++] = word;
	else
		abort();
}

static void add_target(struct args *a, const struct ssh_target *t)
{
	if (t->user) {
		add(a, "-l");
		add(a, t->user);
	}
	if (t->port) {
		add(a, "-p");
		add(a, t->port);
	}
	add(a, "--");
	add(a, t->host);
}

static const char *const quiet[] = {"-T", "-x", "-a"};

/* ---- running ssh ---- */

/* Starts a program, no_terminal: away from ours. in, out and said become its first three descriptors (-1: /dev/null for in, ours for the others). */
static pid_t start(const struct args *a, int in, int out, int said, bool no_terminal)
{
	AUTO_CLOSE int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct program p = PROGRAM_NONE;

	p.file = a->v[0];
	p.argv = (char *const *)(uintptr_t)a->v;
	p.fd[0] = in < 0 ? null : in;
	p.fd[1] = out;
	p.fd[2] = said;
	p.how = PROGRAM_OUTLIVES_TERMINAL | (no_terminal ? PROGRAM_OWN_SESSION : 0); /* a Ctrl-C is for us to decide on */
	return program_start(&p);
}

/* Reads what it writes to fd until the end, for at most timeout_ms (-1: as long as it takes); what is over the maximum is
 * dropped. false: time is up. */
static bool collect(int fd, int timeout_ms, struct ssh_tail *tail)
{
	uint64_t until = now_ns() + (uint64_t)MAX(timeout_ms, 0) * 1000000;
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char text[4096];
	ssize_t r;

	for (;;) {
		uint64_t now = now_ns();
		int left = timeout_ms < 0 ? -1 : until > now ? (int)((until - now) / 1000000) + 1 : 0;
		int ready = poll(&p, 1, left);

		if (ready < 0 && errno == EINTR)
			continue;
		if (ready == 0)
			return false;
		r = read(fd, text, sizeof(text));
		if (r <= 0)
			return true;
		ssh_tail_append(tail, text, (size_t)r);
	}
}

static int reap(pid_t pid)
{
	int status = 0;

	if (program_wait_end(pid, &status) < 0)
		return 255;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Runs a program to its end and returns its status; what it says (stderr, and stdout if wanted) is in tail. -ETIMEDOUT. */
static int run(const struct args *a, bool with_stdout, int timeout_ms, struct ssh_tail *tail)
{
	int fds[2], null, status;
	bool ended;
	pid_t pid;

	tail->n = 0;
	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	pid = start(a, -1, with_stdout ? fds[1] : null, with_stdout ? null : fds[1], false);
	close(fds[1]);
	close(null);
	ended = pid > 0 && collect(fds[0], timeout_ms, tail);
	close(fds[0]);
	if (pid <= 0)
		return -EAGAIN;
	if (!ended)
		kill(pid, SIGTERM);
	status = reap(pid);
	return ended ? status : -ETIMEDOUT;
}

static void text_of(const struct ssh_tail *tail, char out[SSH_STDERR_MAX + 1])
{
	char *p;

	ssh_tail_text(tail, out);
	for (p = out; *p; p++)
		if (*p == '\n')
			*p = ' ';
}

/* Words for what goes through the master. No configuration counts there: it must neither add forwardings to ours nor lead to a
 * connection of its own when there is no master any more. */
static struct args control_args(const struct openssh *o, const char *const *words)
{
	struct args a = {.n = 0};

	add(&a, "ssh");
	add(&a, "-F");
	add(&a, "/dev/null");
	add(&a, "-o");
	add(&a, "ControlMaster=no");
	add(&a, "-o");
	add(&a, "ProxyCommand=exec false");
	add(&a, "-S");
	add(&a, o->control);
	for (size_t i = 0; i < ARRAY_LEN(quiet); i++)
		add(&a, quiet[i]);
	for (; *words; words++)
		add(&a, *words);
	add(&a, "--");
	add(&a, o->host);
	return a;
}

/* ---- opening ---- */

static int log_in(struct openssh *o, const struct ssh_config *cfg, struct err *e)
{
	unsigned connect_ms = cfg->connect_ms ? cfg->connect_ms : SSH_CONNECT_MS;
	unsigned login_ms;
	AUTO_FREE char *timeout = xasprintf("ConnectTimeout=%u", (connect_ms + 999) / 1000);
	AUTO_FREE char *path = xasprintf("ControlPath=%s", o->control);
	AUTO_FREE char *persist = xasprintf("ControlPersist=%d", PERSIST_S);
	AUTO_FREE char *known = cfg->known_hosts ? xasprintf("UserKnownHostsFile=%s", cfg->known_hosts) : NULL;
	const char *options[] = {timeout,
				 path,
				 persist,
				 "ControlMaster=yes",
				 "ServerAliveInterval=5",
				 "ServerAliveCountMax=3",
				 "ClearAllForwardings=yes",
				 cfg->accept_new ? "StrictHostKeyChecking=accept-new" : NULL,
				 cfg->batch ? "BatchMode=yes" : NULL,
				 known,
				 known ? "GlobalKnownHostsFile=/dev/null" : NULL};
	struct args a = {.n = 0};
	AUTO_FREE struct ssh_tail *tail = xcalloc(1, sizeof(*tail));
	AUTO_FREE char *said = xmalloc(SSH_STDERR_MAX + 1);
	int r;

	add(&a, "ssh");
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		if (options[i]) {
			add(&a, "-o");
			add(&a, options[i]);
		}
	for (size_t i = 0; i < ARRAY_LEN(quiet); i++)
		add(&a, quiet[i]);
	if (cfg->identity) {
		add(&a, "-i");
		add(&a, cfg->identity);
	}
	add_target(&a, &cfg->target);
	add(&a, "exit 0"); /* any shell knows this */
	login_ms = cfg->connect_ms ? SSH_LOGIN_STEPS * connect_ms : BATCH_MS;
	r = run(&a, false, cfg->batch ? (int)(connect_ms + login_ms) : -1, tail);
	text_of(tail, said);
	if (r == -ETIMEDOUT)
		return err_set(e, ETIMEDOUT, "%s: ssh does not get in: %s", o->base.text, *said ? said : "no answer");
	if (r == 127 || r < 0)
		return err_set(e, ENOENT, "--ssh=openssh: %s", *said ? said : strerror(-r));
	if (r)
		return err_set(e, EACCES, "ssh to %s failed: %s", o->base.text, *said ? said : "it gives no reason");
	return 0;
}

/* The master's pid, so that we can see it go. */
static int find_master(struct openssh *o, struct err *e)
{
	static const char *const check[] = {"-O", "check", NULL};
	struct args a = control_args(o, check);
	AUTO_FREE struct ssh_tail *tail = xcalloc(1, sizeof(*tail));
	AUTO_FREE char *said = xmalloc(SSH_STDERR_MAX + 1);
	const char *at;
	int r = run(&a, false, CONTROL_MS, tail);

	text_of(tail, said);
	at = strstr(said, "(pid=");
	if (r || !at)
		return err_set(e, EPIPE, "ssh to %s does not stay in the background (ControlMaster): %s", o->base.text, said);
	o->master = pidfd_open(atoi(at + 5), 0);
	return 0;
}

/* The value of a line of `ssh -G`, malloc'ed; NULL: none, or "none". */
static char *setting(const char *text, const char *name)
{
	AUTO_FREE char *start_of = xasprintf("\n%s ", name);
	const char *at = strstr(text, start_of);
	char *value;

	if (!at)
		return NULL;
	at += strlen(start_of);
	value = xstrndup(at, strcspn(at, "\n"));
	if (!strcmp(value, "none")) {
		free(value);
		return NULL;
	}
	return value;
}

static char *resolve(const char *host)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *ai;
	char text[NI_MAXHOST], *out = NULL;

	if (getaddrinfo(host, NULL, &hints, &ai))
		return NULL;
	if (!getnameinfo(ai->ai_addr, ai->ai_addrlen, text, sizeof(text), NULL, 0, NI_NUMERICHOST))
		out = xstrdup(text);
	freeaddrinfo(ai);
	return out;
}

/* Asks ssh for its view of the target: USER@HOST:PORT for messages, and the address unless there is a proxy. */
static void look_up(struct openssh *o, const struct ssh_config *cfg)
{
	struct args a = {.n = 0};
	AUTO_FREE struct ssh_tail *tail = xcalloc(1, sizeof(*tail));
	char *host, *port, *user, *jump, *command;
	AUTO_FREE char *text = NULL;

	add(&a, "sh"); /* the whole output is longer than we keep */
	add(&a, "-c");
	add(&a, "ssh -G \"$@\" | grep -E '^(hostname|port|user|proxyjump|proxycommand) '");
	add(&a, "sh");
	add_target(&a, &cfg->target);
	run(&a, true, CONTROL_MS, tail);
	text = xasprintf("\n%.*s", (int)tail->n, tail->text);
	host = setting(text, "hostname");
	port = setting(text, "port");
	user = setting(text, "user");
	jump = setting(text, "proxyjump");
	command = setting(text, "proxycommand");
	o->base.text = xasprintf("%s@%s:%s", user ? user : "?", host ? host : cfg->target.host, port ? port : "22");
	if (host && !jump && !command)
		o->base.address = resolve(host);
	FREE_ALL(host, port, user, jump, command);
}

/* ---- commands ---- */

struct child {
	pid_t pid;
	int said, report, master;
	struct ssh_tail tail;
};

/* A thread of its own for each: keeps the last of what it says, and its status. */
static void *watch(void *arg)
{
	AUTO_FREE struct child *c = arg;
	AUTO_FREE struct ssh_report *r = xcalloc(1, sizeof(*r));
	struct pollfd master = {.fd = c->master, .events = POLLIN};

	collect(c->said, -1, &c->tail);
	r->status = reap(c->pid);
	ssh_tail_text(&c->tail, r->said);
	/* 255 is the command's own, or says that the connection is gone: then the master is, too */
	if (r->status == 255 && poll(&master, 1, GONE_MS) == 1) {
		r->code = EPIPE;
		snprintf(r->message, sizeof(r->message), "the SSH connection ended before the command did");
	}
	ssh_report_send(c->report, r);
	close(c->said);
	close(c->report);
	if (c->master >= 0)
		close(c->master);
	return NULL;
}

static int watch_in_thread(struct child *c, struct err *e)
{
	pthread_attr_t attr;
	sigset_t all, before;
	pthread_t thread;
	int r;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	r = pthread_create(&thread, &attr, watch, c);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return r ? err_sys(e, r, "pthread_create") : 0;
}

static int openssh_exec(struct ssh *ssh, const char *command, int fd, int report, struct err *e)
{
	struct openssh *o = container_of(ssh, struct openssh, base);
	struct args a = control_args(o, (const char *const[]){NULL});
	AUTO_FREE struct ssh_report *opened = xcalloc(1, sizeof(*opened));
	struct child *c;
	int said[2], r = 0;

	add(&a, command);
	if (pipe2(said, O_CLOEXEC)) {
		r = err_sys(e, errno, "pipe");
		close(fd);
		close(report);
		return r;
	}
	c = xcalloc(1, sizeof(*c));
	c->said = said[0];
	c->master = fcntl(o->master, F_DUPFD_CLOEXEC, 0);
	c->report = report;
	c->pid = start(&a, fd, fd, said[1], true);
	close(said[1]);
	close(fd);
	r = c->pid < 0 ? err_sys(e, -c->pid, "cannot start ssh") : 0;
	if (!r) {
		ssh_report_send(report, opened); /* before the thread can report the end */
		r = watch_in_thread(c, e);
	}
	if (r) {
		close(said[0]);
		close(report);
		if (c->master >= 0)
			close(c->master);
		free(c);
	}
	return r;
}

/* ---- streams ---- */

static int connect_to(const char *path, int *fd, struct err *e)
{
	*fd = unix_connect(path, 0);
	return *fd < 0 ? err_sys(e, -*fd, "%s", path) : 0;
}

static int openssh_forward(struct ssh *ssh, const char *host, unsigned port, int *out, struct err *e)
{
	struct openssh *o = container_of(ssh, struct openssh, base);
	AUTO_FREE char *path = xasprintf("%s/f%u", o->dir, ++o->streams);
	AUTO_FREE char *rule = xasprintf(strchr(host, ':') ? "%s:[%s]:%u" : "%s:%s:%u", path, host, port);
	AUTO_FREE struct ssh_tail *tail = xcalloc(1, sizeof(*tail));
	AUTO_FREE char *said = xmalloc(SSH_STDERR_MAX + 1);
	const char *const words[] = {"-O", "forward", "-L", rule, NULL};
	const char *const undo[] = {"-O", "cancel", "-L", rule, NULL};
	struct args a = control_args(o, words);
	int fd, r = run(&a, false, CONTROL_MS, tail);

	text_of(tail, said);
	if (r)
		return err_set(e, r < 0 ? -r : EPIPE, "%s: no stream to %s port %u: %s", ssh->text, host, port,
			       *said ? said : "the ssh in the background does not answer");
	r = connect_to(path, &fd, e);
	a = control_args(o, undo);
	run(&a, false, CONTROL_MS, tail);
	unlink(path);
	if (!r)
		*out = fd;
	return r;
}

/* ---- the end ---- */

static void end_master(struct openssh *o)
{
	static const char *const words[] = {"-O", "exit", NULL};
	struct args a = control_args(o, words);
	AUTO_FREE struct ssh_tail *tail = xcalloc(1, sizeof(*tail));
	struct pollfd p = {.fd = o->master, .events = POLLIN};

	run(&a, false, CONTROL_MS, tail);
	if (o->master < 0)
		return;
	if (poll(&p, 1, CONTROL_MS) == 0 && !pidfd_send_signal(o->master, SIGTERM, NULL, 0))
		poll(&p, 1, CONTROL_MS);
	close(o->master);
}

static void openssh_close(struct ssh *ssh)
{
	struct openssh *o = container_of(ssh, struct openssh, base);

	if (o->dir) {
		end_master(o);
		unlink(o->control);
		rmdir(o->dir);
	}
	FREE_ALL(o->dir, o->control, o->host, o);
}

static const struct ssh_ops openssh_ops = {openssh_close, openssh_exec, openssh_forward};

int ssh_openssh_open(struct ssh **out, const struct ssh_config *cfg, struct err *e)
{
	struct openssh *o = xcalloc(1, sizeof(*o));
	const char *tmp = getenv("TMPDIR");
	AUTO_FREE char *dir = NULL;
	int r = 0;

	if (!tmp || *tmp != '/' || strlen(tmp) > TMPDIR_MAX)
		tmp = "/tmp";
	dir = xasprintf("%s/vmferry-ssh.XXXXXX", tmp);

	o->base.ops = &openssh_ops;
	o->master = -1;
	o->host = xstrdup(cfg->target.host);
	if (!mkdtemp(dir))
		r = err_sys(e, errno, "%s", tmp);
	else
		o->dir = xstrdup(dir);
	o->control = xasprintf("%s/c", dir);
	if (!r) {
		look_up(o, cfg);
		r = log_in(o, cfg, e);
	}
	r = r ?: find_master(o, e);
	if (r)
		ssh_close(&o->base);
	else
		*out = &o->base;
	return r;
}
