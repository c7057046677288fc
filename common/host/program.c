/*
 * program.c: see program.h.
 *
 * Between fork and exec only async-signal-safe calls are made: other threads of the agent may hold locks.
 */
#include "program.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#define TITLE	 "vmferry-launch"
#define FDS_MAX	 7
#define ANSWER_S 20 /* a launcher that does not answer is stopped, or worse */
#define PAUSE_NS 2000000

/* Our launcher's socket, which is ours for good as standard error is; -1: there is none. */
static int launcher = -1;
static pid_t launcher_pid;
static bool starts_ours;	  /* programs that it starts are children of ours */
static struct rlimit users_files; /* limits with which we were started; both 0: they are our present ones */

/* ---- in the new process ---- */

static void die(const struct program *p, const char *step)
{
	struct program_failure f = {.code = errno};
	const char *const said[] = {"cannot run ", p->file, ": ", strerrordesc_np(f.code), "\n"};
	ssize_t n;

	memcpy(f.step, step, strlen(step) + 1);
	if (p->report >= 0)
		n = write(p->report, &f, sizeof(f));
	for (size_t i = 0; p->report < 0 && i < ARRAY_LEN(said); i++)
		n = write(2, said[i], strlen(said[i]));
	(void)n;
	_exit(127);
}

static void default_signals(void)
{
	struct sigaction sa = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int s = 1; s < NSIG; s++)
		sigaction(s, &sa, NULL); /* EINVAL for SIGKILL, SIGSTOP and libc's own */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void ignore_terminal(void)
{
	signal(SIGHUP, SIG_IGN);
	signal(SIGTSTP, SIG_IGN);
	signal(SIGTTOU, SIG_IGN);
	signal(SIGTTIN, SIG_IGN);
}

/* Waits until the parent lets us go on; exits if the parent is gone. */
static void wait_at(int gate)
{
	ssize_t n;
	char c;

	do
		n = read(gate, &c, 1);
	while (n < 0 && errno == EINTR);
	if (n != 1)
		_exit(127);
}

/* Gives the program its three descriptors, gate as 3 and report as 4, and closes all others that it does not inherit, so that none of ours
 * stays open. */
static void take_descriptors(struct program *p)
{
	int gate = p->gate < 0 ? -1 : fcntl(p->gate, F_DUPFD_CLOEXEC, PROGRAM_INHERITED);
	int report = p->report < 0 ? -1 : fcntl(p->report, F_DUPFD_CLOEXEC, PROGRAM_INHERITED), i;

	for (i = 0; i < 3; i++)
		if (dup2(p->fd[i], i) < 0)
			die(p, "dup2");
	close(3);
	close(4);
	p->gate = gate < 0 ? -1 : dup3(gate, 3, O_CLOEXEC);
	p->report = report < 0 ? -1 : dup3(report, 4, O_CLOEXEC);
	if (!(p->how & PROGRAM_INHERITS) && close_range(PROGRAM_INHERITED, ~0U, 0) < 0)
		die(p, "close_range");
}

/* Sets the signal at the parent's death. It comes last, as the kernel forgets it when a process becomes another user's. */
static void die_with(const struct program *p, pid_t parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		die(p, "prctl");
	if (getppid() != parent && getppid()) /* the parent died before that; 0: it lives outside of our pid namespace */
		_exit(127);
}

static void take_limit(const struct program *p)
{
	struct rlimit files = users_files;

	if (p->how & PROGRAM_MANY_FILES && !getrlimit(RLIMIT_NOFILE, &files))
		files.rlim_cur = files.rlim_max;
	if (files.rlim_max && setrlimit(RLIMIT_NOFILE, &files) < 0)
		die(p, "setrlimit");
}

static _Noreturn void become(struct program *p, pid_t parent)
{
	take_descriptors(p);
	take_limit(p);
	if (p->gate >= 0)
		wait_at(p->gate);
	default_signals();
	if (p->how & PROGRAM_OUTLIVES_TERMINAL)
		ignore_terminal();
	if ((p->how & PROGRAM_OWN_SESSION) && setsid() < 0)
		die(p, "setsid");
	if ((p->how & PROGRAM_OWN_GROUP) && setpgid(0, 0) < 0)
		die(p, "setpgid");
	if ((p->how & PROGRAM_AT_ROOT) && chdir("/") < 0)
		die(p, "chdir to /");
	if (p->before && (errno = -p->before(p->before_ctx)))
		die(p, "preparing it");
	if (p->how & PROGRAM_DIES_WITH_US)
		die_with(p, parent);
	execvpe(p->file, p->argv, p->env ?: environ);
	die(p, "exec");
	_exit(127);
}

/* ---- requests to the launcher ---- */

enum order { ORDER_START, ORDER_WAIT, ORDER_ANOTHER };

/* Descriptors come with it: where to answer, and for ORDER_START the words (file, argv, env), fd[3], and gate and report if it has them. */
struct request {
	enum order order;
	unsigned how, argc, envc;
	unsigned has_gate, has_report; /* 0 or 1 */
	pid_t pid;		       /* ORDER_WAIT */
};

struct reply {
	pid_t pid; /* pid of the process, or -errno */
	int status;
};

union room {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
};

static int tell(int sock, const struct request *q, const int *fds, size_t count)
{
	union room room = {.bytes = {0}};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)q, .iov_len = sizeof(*q)};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = room.bytes,
			     .msg_controllen = CMSG_SPACE(count * sizeof(int))};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	ssize_t n;

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(c), fds, count * sizeof(int));
	while ((n = sendmsg(sock, &msg, MSG_NOSIGNAL)) < 0 && errno == EINTR)
		;
	return n == sizeof(*q) ? 0 : -errno;
}

/* Receives a request; the number of descriptors that came with it; -1: the other end is gone. */
static int hear(int sock, struct request *q, int fds[FDS_MAX])
{
	union room room;
	struct iovec iov = {.iov_base = q, .iov_len = sizeof(*q)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = room.bytes, .msg_controllen = sizeof(room.bytes)};
	struct cmsghdr *c;
	size_t count;
	ssize_t n;

	while ((n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR)
		;
	if (n != sizeof(*q))
		return -1;
	c = CMSG_FIRSTHDR(&msg);
	if (!c || c->cmsg_type != SCM_RIGHTS)
		return 0;
	count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	memcpy(fds, CMSG_DATA(c), count * sizeof(int));
	return (int)count;
}

/* Asks the launcher. Each question brings the socket for its answer, so that no thread reads another's. */
static struct reply ask(const struct request *q, const int *more, size_t count)
{
	struct reply reply = {.pid = -EPIPE};
	int pair[2], fds[FDS_MAX], r;
	ssize_t n;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return (struct reply){.pid = -errno};
	setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){.tv_sec = ANSWER_S}, sizeof(struct timeval));
	fds[0] = pair[1];
	if (count)
		memcpy(fds + 1, more, count * sizeof(*fds));
	r = tell(launcher, q, fds, count + 1);
	close(pair[1]);
	while (!r && (n = recv(pair[0], &reply, sizeof(reply), 0)) < 0 && errno == EINTR)
		;
	close(pair[0]);
	if (r)
		reply.pid = r;
	return reply;
}

/* ---- the launcher ---- */

struct launcher {
	int sock;
	bool as_ours;
};

/* count strings, each with its NUL; NULL: there are not so many. */
static char **take_words(char **at, const char *end, unsigned count)
{
	char **words = xcalloc(count + 1, sizeof(*words));

	for (unsigned i = 0; i < count; i++) {
		size_t n = strnlen(*at, (size_t)(end - *at));

		if (n == (size_t)(end - *at)) {
			free(words);
			return NULL;
		}
		words[i] = *at;
		*at += n + 1;
	}
	return words;
}

static pid_t fork_for(const struct launcher *l)
{
	return l->as_ours ? (pid_t)syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0) : fork();
}

static pid_t start_words(const struct launcher *l, const struct request *q, char *words, size_t n, const int *fds)
{
	char *at = words, **file = take_words(&at, words + n, 1), **argv = file ? take_words(&at, words + n, q->argc) : NULL,
	     **env = argv ? take_words(&at, words + n, q->envc) : NULL;
	pid_t pid = -EBADMSG, parent;

	if (env) {
		struct program p = {.file = file[0],
				    .argv = argv,
				    .env = q->envc ? env : NULL,
				    .fd = {fds[0], fds[1], fds[2]},
				    .gate = q->has_gate ? fds[3] : -1,
				    .report = q->has_report ? fds[3 + q->has_gate] : -1,
				    .how = q->how};

		parent = l->as_ours ? getppid() : getpid();
		pid = fork_for(l);
		if (!pid)
			become(&p, parent);
		pid = pid < 0 ? -errno : pid;
	}
	FREE_ALL(file, argv, env);
	return pid;
}

/* fds: the words, and those of the program. */
static pid_t start(const struct launcher *l, const struct request *q, const int *fds, int count)
{
	AUTO_FREE char *words = NULL;
	off_t n = count ? lseek(fds[0], 0, SEEK_END) : -1;

	if (q->has_gate > 1 || q->has_report > 1 || count != (int)(4 + q->has_gate + q->has_report) || n <= 0 || n > PROGRAM_BYTES_MAX ||
	    q->argc > (unsigned)n || q->envc > (unsigned)n)
		return -EBADMSG;
	words = xmalloc((size_t)n);
	return pread(fds[0], words, (size_t)n, 0) == n ? start_words(l, q, words, (size_t)n, fds + 1) : -EIO;
}

static _Noreturn void launcher_run(struct launcher l);

/* Double fork: init reaps it. */
static pid_t another(int sock)
{
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (!pid) {
		if (!fork())
			launcher_run((struct launcher){.sock = sock});
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	return 1;
}

static void obey(const struct launcher *l, const struct request *q, const int *fds, int count)
{
	struct reply reply = {.pid = -EBADMSG};

	if (q->order == ORDER_START)
		reply.pid = start(l, q, fds + 1, count - 1);
	else if (q->order == ORDER_ANOTHER && count == 2)
		reply.pid = another(fds[1]);
	else if (q->order == ORDER_WAIT && q->pid > 0)
		reply.pid = waitpid(q->pid, &reply.status, WNOHANG);
	if (reply.pid == -1)
		reply.pid = -errno;
	send(fds[0], &reply, sizeof(reply), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static _Noreturn void launcher_run(struct launcher l)
{
	struct request q;
	int fds[FDS_MAX], count;

	l.sock = dup2(l.sock, 3);
	close_range(4, ~0U, 0);
	while ((count = hear(l.sock, &q, fds)) >= 0) {
		if (count)
			obey(&l, &q, fds, count);
		while (count > 0)
			close(fds[--count]);
	}
	_exit(0);
}

/* Sets the process's title, which `ps` shows, by overwriting argv. */
static void set_title(void)
{
	char *from = program_invocation_name;
	size_t n = environ && environ[0] > from ? (size_t)(environ[0] - from) : strlen(from) + 1;

	memset(from, 0, n);
	snprintf(from, n, "%s", TITLE);
	prctl(PR_SET_NAME, TITLE);
}

static _Noreturn void launcher_main(struct launcher l)
{
	static const int ignored[] = {SIGHUP, SIGINT, SIGTERM, SIGQUIT, SIGPIPE, SIGTSTP, SIGTTOU, SIGTTIN};
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), i;

	for (size_t k = 0; k < ARRAY_LEN(ignored); k++)
		signal(ignored[k], SIG_IGN);
	for (i = 0; i < 3; i++)
		if (null >= 0 && l.sock != i)
			dup2(null, i);
	set_title();
	launcher_run(l);
}

int launcher_begin(bool as_ours, struct err *e)
{
	int pair[2];
	pid_t pid;

	if (launcher >= 0)
		return 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return err_sys(e, errno, "cannot create a pair of sockets");
	pid = fork();
	if (pid < 0) {
		close(pair[0]);
		close(pair[1]);
		return err_sys(e, errno, "cannot start the launcher, a process of ours that starts programs");
	}
	if (!pid) {
		close(pair[0]);
		launcher_main((struct launcher){.sock = pair[1], .as_ours = as_ours});
	}
	close(pair[1]);
	launcher = pair[0];
	launcher_pid = pid;
	starts_ours = as_ours;
	return 0;
}

void program_take_files(void)
{
	struct rlimit all;

	if (users_files.rlim_max || getrlimit(RLIMIT_NOFILE, &users_files))
		return;
	all = (struct rlimit){.rlim_cur = users_files.rlim_max, .rlim_max = users_files.rlim_max};
	setrlimit(RLIMIT_NOFILE, &all);
}

bool launcher_is(pid_t pid)
{
	return pid == launcher_pid;
}

int launcher_begin_another(struct err *e)
{
	struct request q = {.order = ORDER_ANOTHER};
	struct reply reply;
	int pair[2];

	if (launcher < 0)
		return 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return err_sys(e, errno, "cannot create a pair of sockets");
	reply = ask(&q, &pair[1], 1);
	close(pair[1]);
	close(launcher);
	launcher = pair[0];
	return reply.pid < 0 ? err_sys(e, -reply.pid, "the launcher, a process of ours that starts programs, does not answer") : 0;
}

/* ---- starting programs ---- */

static bool write_words(int fd, char *const *words, unsigned *count)
{
	for (*count = 0; words && words[*count]; ++*count) {
		size_t n = strlen(words[*count]) + 1;

		if (write(fd, words[*count], n) != (ssize_t)n)
			return false;
	}
	return true;
}

/* file, argv and env, each with its NUL, in memory that nobody else has. */
static int words_of(const struct program *p, struct request *q)
{
	char *file[] = {(char *)(uintptr_t)p->file, NULL};
	int fd = memfd_create("words", MFD_CLOEXEC);
	unsigned one;

	if (fd < 0)
		return -errno;
	if (write_words(fd, file, &one) && write_words(fd, p->argv, &q->argc) && write_words(fd, p->env, &q->envc))
		return fd;
	close(fd);
	return -ENOSPC;
}

static pid_t ask_to_start(const struct program *p)
{
	struct request q = {.order = ORDER_START, .how = p->how, .has_gate = p->gate >= 0, .has_report = p->report >= 0};
	int fds[FDS_MAX] = {words_of(p, &q)}, i;
	size_t n = 1;
	pid_t pid;

	if (fds[0] < 0)
		return fds[0];
	for (i = 0; i < 3; i++)
		fds[n++] = p->fd[i] < 0 ? i : p->fd[i];
	if (q.has_gate)
		fds[n++] = p->gate;
	if (q.has_report)
		fds[n++] = p->report;
	pid = ask(&q, fds, n).pid;
	close(fds[0]);
	return pid;
}

int program_pipe(int *read_end, int *write_end, struct err *e)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC))
		return err_sys(e, errno, "cannot create a pipe");
	*read_end = fds[0];
	*write_end = fds[1];
	return 0;
}

bool program_is_runnable(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISREG(st.st_mode) && !access(path, X_OK);
}

char *program_beside(const char *name)
{
	AUTO_FREE char *path = xstrdup(getenv("PATH") ?: "/usr/local/bin:/usr/bin");
	char self[4096] = "/usr/bin/", *rest = path, *dir = self, *file;
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n > 0)
		self[n] = '\0';
	*strrchr(self, '/') = '\0';
	for (; dir; dir = strsep(&rest, ":")) {
		file = xasprintf("%s/%s", dir, name);
		if (program_is_runnable(file))
			return file;
		free(file);
	}
	return xasprintf("%s/%s", self, name);
}

pid_t program_start(const struct program *p)
{
	struct program child = *p;
	pid_t us = getpid(), pid;

	if (launcher >= 0)
		return p->before ? -ENOTSUP : ask_to_start(p);
	for (int i = 0; i < 3; i++)
		child.fd[i] = p->fd[i] < 0 ? i : p->fd[i];
	pid = fork();
	if (!pid)
		become(&child, us);
	return pid < 0 ? -errno : pid;
}

pid_t program_begin(const struct program *p)
{
	struct program sure = *p;
	struct program_failure failure;
	int report[2];
	ssize_t n = 0;
	pid_t pid;

	if (pipe2(report, O_CLOEXEC))
		return -errno;
	sure.report = report[1];
	pid = program_start(&sure);
	close(report[1]);
	while (pid > 0 && (n = read(report[0], &failure, sizeof(failure))) < 0 && errno == EINTR)
		;
	close(report[0]);
	if (pid < 0 || n != sizeof(failure))
		return pid;
	program_wait_end(pid, NULL);
	return -failure.code;
}

pid_t program_wait(pid_t pid, int *status)
{
	struct request q = {.order = ORDER_WAIT, .pid = pid};
	pid_t r = waitpid(pid, status, WNOHANG);
	struct reply reply;

	if (r >= 0 || errno != ECHILD || launcher < 0 || starts_ours)
		return r < 0 ? -errno : r;
	reply = ask(&q, NULL, 0);
	if (status)
		*status = reply.status;
	return reply.pid;
}

pid_t program_wait_end(pid_t pid, int *status)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	pid_t r;

	while ((r = program_wait(pid, status)) == 0 || r == -EINTR)
		nanosleep(&pause, NULL);
	return r;
}
