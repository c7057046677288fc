/* qemu-launch.c: see qemu-launch.h. */
#include "qemu-launch.h"
#include "log.h"
#include "program.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#define LOG_TAIL_BYTES 700
#define LOG_TAIL_LINES 6
#define RETRY_MS       5
#define END_TIMEOUT_MS 30000
#define QEMU_ENV_NAMES "VMFERRY_QEMU_ENV" /* environment variable: names of further variables that QEMU gets, a blank between two */

extern char **environ;

static bool same_key(const char *a, const char *b)
{
	size_t n = strcspn(a, "=");

	return n == strcspn(b, "=") && !strncmp(a, b, n);
}

/* True if that variable of ours is one that any program is given: agents' sockets, tokens and the like are none of QEMU's business. */
static bool is_passed_on(const char *variable, bool scope)
{
	static const char *const names[] = {"HOME=", "PATH=", "LANG=", "LANGUAGE=", "LC_"},
				 *const for_scope[] = {"XDG_RUNTIME_DIR=", "DBUS_SESSION_BUS_ADDRESS="};
	const char *more = getenv(QEMU_ENV_NAMES), *p;
	size_t i, n = strcspn(variable, "=");

	for (i = 0; i < ARRAY_LEN(names); i++)
		if (!strncmp(variable, names[i], strlen(names[i])))
			return true;
	for (i = 0; scope && i < ARRAY_LEN(for_scope); i++) /* systemd-run finds the user's manager by these */
		if (!strncmp(variable, for_scope[i], strlen(for_scope[i])))
			return true;
	for (p = more; p && *p; p += strspn(p, " ")) {
		size_t length = strcspn(p, " ");

		if (length == n && !strncmp(p, variable, n))
			return true;
		p += length;
	}
	return false;
}

/* QEMU's environment: a part of the agent's, with extra's variables in place of those. The array is malloc'ed, the strings are not. */
static char **make_environment(char *const *extra, bool scope)
{
	size_t ours = 0, added = 0, n = 0, i, k;
	char **env;

	while (environ && environ[ours])
		ours++;
	while (extra && extra[added])
		added++;
	env = xcalloc(ours + added + 1, sizeof(*env));
	for (i = 0; i < ours; i++) {
		for (k = 0; k < added && !same_key(environ[i], extra[k]); k++)
			;
		if (k == added && is_passed_on(environ[i], scope))
			env[n++] = environ[i];
	}
	for (k = 0; k < added; k++)
		env[n++] = extra[k];
	return env;
}

/* The log is a sealed file of a fixed size in memory: no process can make it grow, however long QEMU runs. */
static int new_log(struct err *e)
{
	int fd = memfd_create("qemu.log", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd >= 0 && !ftruncate(fd, LOG_BYTES_MAX) && !fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL))
		return fd;
	err_sys(e, errno, "cannot make a log for QEMU");
	if (fd >= 0)
		close(fd);
	return -e->code;
}

static int read_report(int fd, struct program_failure *f)
{
	ssize_t n;

	do
		n = read(fd, f, sizeof(*f));
	while (n < 0 && errno == EINTR);
	return n == sizeof(*f);
}

/* The scope's words and then ours; the strings are not copied. */
static char **with_scope(char *const *scope, const char *exe, char *const *argv)
{
	size_t k = 0, n = 0, i = 0;
	char **all;

	while (scope && scope[k])
		k++;
	while (argv[n])
		n++;
	all = xcalloc(k + n + 1, sizeof(*all));
	if (k) {
		memcpy(all, scope, k * sizeof(*all));
		all[k + i++] = (char *)exe; /* the scope's program looks it up by this path */
	}
	for (; i < n; i++)
		all[k + i] = argv[i];
	return all;
}

void qemu_let_go(struct qemu_proc *p)
{
	if (p->pidfd >= 0)
		close(p->pidfd);
	if (p->log_fd)
		close(p->log_fd);
	*p = QEMU_PROC_NONE;
}

/* The child is not reaped yet, so its pid is still its own. */
static int name_process(struct qemu_proc *q, struct err *e)
{
	int r;

	q->pidfd = pidfd_open(q->pid, 0);
	if (q->pidfd < 0)
		return err_sys(e, errno, "cannot watch the new QEMU");
	r = process_start_time(q->pid, &q->start_time);
	return r < 0 ? err_sys(e, -r, "cannot read the new QEMU's start time") : 0;
}

/* The child waits at the gate. */
static int let_it_go(const struct qemu_proc *q, int gate, int report, const char *exe, qemu_born_fn born, void *ctx, struct err *e)
{
	struct program_failure f;
	int r = born ? born(ctx, q, e) : 0;

	if (r)
		return r;
	if (write(gate, "", 1) != 1)
		return err_sys(e, errno, "cannot start %s", exe);
	return read_report(report, &f) ? err_sys(e, f.code, "cannot start %s (%s)", exe, f.step) : 0;
}

static int launch(struct qemu_proc *p, const char *exe, char *const *argv, char *const *env, char *const *scope, bool helper,
		  qemu_born_fn born, void *ctx, struct err *e)
{
	struct qemu_proc q = QEMU_PROC_NONE;
	AUTO_CLOSE int log_fd = -1, null_fd = -1, report_r = -1, report_w = -1, gate_r = -1, gate_w = -1;
	AUTO_FREE char **full_env = make_environment(env, scope && *scope), **words = with_scope(scope, exe, argv);
	int r;

	log_fd = new_log(e);
	if (log_fd < 0)
		return log_fd;
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null_fd < 0)
		return err_sys(e, errno, "cannot open /dev/null");
	if (program_pipe(&report_r, &report_w, e) || program_pipe(&gate_r, &gate_w, e))
		return -e->code;
	q.pid = program_start(
		&(struct program){.file = scope ? scope[0] : exe,
				  .argv = words,
				  .env = full_env,
				  .fd = {null_fd, log_fd, log_fd},
				  .gate = gate_r,
				  .report = report_w,
				  .how = PROGRAM_OWN_SESSION | PROGRAM_AT_ROOT | PROGRAM_MANY_FILES | (helper ? PROGRAM_DIES_WITH_US : 0)});
	if (q.pid < 0)
		return err_sys(e, -q.pid, "cannot start a process for QEMU");
	close(report_w);
	report_w = -1;
	close(gate_r);
	gate_r = -1;
	r = name_process(&q, e) ?: let_it_go(&q, gate_w, report_r, exe, born, ctx, e);
	if (r) {
		kill(q.pid, SIGKILL);
		program_wait_end(q.pid, NULL);
		qemu_let_go(&q);
		return r;
	}
	q.log_fd = log_fd;
	log_fd = -1;
	log_info("started %s as pid %d", exe, (int)q.pid);
	*p = q;
	return 0;
}

int qemu_launch(struct qemu_proc *p, const char *exe, char *const *argv, char *const *env, char *const *scope, qemu_born_fn born, void *ctx,
		struct err *e)
{
	return launch(p, exe, argv, env, scope, false, born, ctx, e);
}

int qemu_launch_helper(struct qemu_proc *p, const char *exe, char *const *argv, char *const *env, struct err *e)
{
	return launch(p, exe, argv, env, NULL, true, NULL, NULL, e);
}

#define WAITS_FOR_US "info: QEMU waiting for connection on"

char *qemu_log_tail(const struct qemu_proc *p)
{
	char buf[LOG_TAIL_BYTES + 1], *line, *save = NULL, *tail = xstrdup(""), *longer;
	off_t end = p->log_fd ? lseek(p->log_fd, 0, SEEK_CUR) : 0; /* the offset at which QEMU writes next: the position is shared */
	unsigned lines = 0, skip, i = 0;
	ssize_t n;

	n = end > 0 ? pread(p->log_fd, buf, MIN(end, LOG_TAIL_BYTES), MAX(0, end - LOG_TAIL_BYTES)) : 0;
	if (n <= 0)
		return tail;
	buf[n] = '\0';
	for (line = buf; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
		lines++;
	skip = lines > LOG_TAIL_LINES ? lines - LOG_TAIL_LINES : 0;
	for (line = strtok_r(buf, "\r\n", &save); line; line = strtok_r(NULL, "\r\n", &save)) {
		if (i++ < skip || strstr(line, WAITS_FOR_US))
			continue;
		longer = xasprintf("%s%s%s", tail, *tail ? " / " : "", line);
		free(tail);
		tail = longer;
	}
	return tail;
}

static bool has_exited(const struct qemu_proc *p)
{
	struct pollfd pfd = {.fd = p->pidfd, .events = POLLIN};

	return poll(&pfd, 1, 0) == 1;
}

/* Reaps an exited QEMU and says how and why it ended. */
static int report_exit(struct qemu_proc *p, struct err *e)
{
	AUTO_FREE char *tail = qemu_log_tail(p);
	const char *why = *tail ? tail : "it wrote nothing to its log";
	int status = 0;

	if (program_wait(p->pid, &status) != p->pid)
		err_set(e, ECHILD, "QEMU ended while starting: %s", why);
	else if (WIFSIGNALED(status))
		err_set(e, ECHILD, "QEMU was killed by signal %d (%s) while starting: %s", WTERMSIG(status), strsignal(WTERMSIG(status)),
			why);
	else
		err_set(e, ECHILD, "QEMU ended with status %d while starting: %s", WEXITSTATUS(status), why);
	qemu_let_go(p);
	return -e->code;
}

/* The socket is missing so far, or nothing listens at it yet; EPIPE: QEMU is just ending. */
static bool may_come(int code)
{
	return code == ENOENT || code == ECONNREFUSED || code == EPIPE || code == ECONNRESET;
}

int qemu_launch_wait_qmp(struct qemu_proc *p, struct loop *l, const char *qmp_path, unsigned timeout_ms, const struct qmp_handlers *h,
			 void *ctx, struct qmp **out, struct err *e)
{
	uint64_t until_ns = now_ns() + (uint64_t)timeout_ms * 1000000, now;
	struct err step;
	int r;

	for (;;) {
		now = now_ns();
		r = qmp_open(out, l, qmp_path, now < until_ns ? (unsigned)((until_ns - now) / 1000000) + 1 : 1, h, ctx, e);
		if (r == 0 && qmp_peer_pid(*out) && qmp_peer_pid(*out) != p->pid) {
			r = err_set(e, EBUSY, "%s is served by process %d, not by the QEMU started here (%d)", qmp_path,
				    (int)qmp_peer_pid(*out), (int)p->pid);
			qmp_close(*out);
			*out = NULL;
			return r;
		}
		if (r == 0)
			return 0;
		if (has_exited(p))
			return report_exit(p, e);
		if (!may_come(e->code) && e->code != EBUSY && e->code != ETIMEDOUT)
			return r;
		if (now_ns() >= until_ns) {
			AUTO_FREE char *tail = qemu_log_tail(p);

			return err_set(e, ETIMEDOUT, "QEMU (pid %d) does not answer on %s after %u ms%s%s", (int)p->pid, qmp_path,
				       timeout_ms, *tail ? "; its log says: " : "", tail);
		}
		r = loop_step(l, RETRY_MS, &step);
		if (r < 0) {
			*e = step;
			return r;
		}
	}
}

void qemu_end(struct qemu_proc *p)
{
	struct err e;

	if (process_end(p->pid, p->start_time, END_TIMEOUT_MS, &e) < 0)
		log_error("%s", e.msg);
	qemu_let_go(p);
}
