/* first-start.c: see first-start.h. */
#include "first-start.h"
#include "child.h"
#include "fault.h"
#include "life.h"
#include "loop.h"
#include "process.h"
#include "qmp.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define START_MS  60000
#define RETRY_MS  20
#define END_MS	  10000
#define LOG_BYTES (256u << 10)
#define TAIL	  600

/* What it says, in memory, as long as there is room: a guest that talks without end fills nothing. */
static int new_log(void)
{
	int fd = memfd_create("qemu.log", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd >= 0 && (ftruncate(fd, LOG_BYTES) || fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static void child(const char *exe, char *const *argv, int log)
{
	int null_fd = open("/dev/null", O_RDWR), s;
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
	if (setsid() < 0 || chdir("/") || dup2(null_fd, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0)
		_exit(127);
	close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
	execv(exe, argv);
	dprintf(2, "cannot start %s: %s\n", exe, strerror(errno));
	_exit(127);
}

static char *tail(int log)
{
	off_t end = lseek(log, 0, SEEK_CUR); /* where it writes next */
	char *text = xcalloc(1, TAIL + 1);
	ssize_t n = end > 0 ? pread(log, text, (size_t)MIN(end, TAIL), MAX(0, end - TAIL)) : 0;

	while (n > 0 && text[n - 1] == '\n')
		text[--n] = '\0';
	text_make_printable(text, false);
	return text;
}

static int wait_for_monitor(struct loop *l, pid_t pid, const char *path, int log, struct qmp **q, struct err *e)
{
	uint64_t until = now_ns() + START_MS * 1000000ull;
	int r, status;

	for (;;) {
		r = qmp_open_of(q, l, path, pid, 1000, NULL, NULL, e);
		if (!r)
			return 0;
		if (waitpid(pid, &status, WNOHANG) == pid) {
			AUTO_FREE char *said = tail(log);

			return err_set(e, ECHILD, "QEMU does not start: %s", *said ? said : "it said nothing");
		}
		if (life_interrupted())
			return err_set(e, ECANCELED, "interrupted");
		if (now_ns() > until)
			return err_prefix(e, "QEMU does not answer");
		r = loop_step(l, RETRY_MS, e);
		if (r < 0)
			return r;
	}
}

/* Until all of it is loaded; QEMU ends if it does not take it. */
static int load(struct loop *l, struct qmp *q, const char *memory, struct err *e)
{
	json_t *channel =
		json_pack("{s:s,s:{s:s,s:s,s:i}}", "channel-type", "main", "addr", "transport", "file", "filename", memory, "offset", 0);
	int r = qmp_call(q, "migrate-incoming", json_pack("{s:[o]}", "channels", channel), NULL, e);

	while (!r) {
		json_t *state;
		const char *is;
		bool done;

		r = qmp_call(q, "query-migrate", NULL, &state, e);
		if (r)
			break;
		is = json_string_value(json_object_get(state, "status"));
		done = is && !strcmp(is, "completed");
		if (is && !strcmp(is, "failed"))
			r = err_set(e, EIO, "QEMU does not load it");
		json_decref(state);
		if (done)
			return 0;
		if (!r && life_interrupted())
			r = err_set(e, ECANCELED, "interrupted");
		if (!r && (r = loop_step(l, RETRY_MS, e)) > 0)
			r = 0;
	}
	return err_prefix(e, "the guest's memory");
}

static int let_go_on(struct qmp *q, bool paused, struct err *e)
{
	json_t *state = NULL;
	const char *is;
	int r = paused ? 0 : qmp_call(q, "cont", NULL, NULL, e);

	if (!r)
		r = qmp_call(q, "query-status", NULL, &state, e);
	if (r)
		return r;
	is = json_string_value(json_object_get(state, "status"));
	if (!is || (strcmp(is, paused ? "prelaunch" : "running") && strcmp(is, "paused")))
		r = err_set(e, EIO, "the guest is '%s' after its start", is ? is : "?");
	json_decref(state);
	return r;
}

int first_start(const char *exe, char *const *argv, const char *qmp, const char *memory, bool paused, pid_t *pid, struct err *e)
{
	AUTO_CLOSE int log = new_log();
	struct qmp *q = NULL;
	struct loop *l = NULL;
	uint64_t born = 0;
	struct err why;
	int r;

	if (log < 0)
		return err_sys(e, errno, "cannot make a log for QEMU");
	r = loop_new(&l, 64, e);
	if (r)
		return r;
	*pid = fork();
	if (!*pid)
		child(exe, argv, log);
	if (*pid < 0) {
		r = err_sys(e, errno, "cannot fork for QEMU");
	} else {
		process_start_time(*pid, &born);
		r = life_own(life_now(), FIRST_QEMU, json_pack("{s:i,s:I}", "pid", (int)*pid, "start_time", (json_int_t)born), e);
		fault_point("first-start");
		if (!r)
			r = wait_for_monitor(l, *pid, qmp, log, &q, e);
		if (!r && memory)
			r = load(l, q, memory, e);
		if (!r)
			r = let_go_on(q, paused, e);
	}
	qmp_close(q);
	loop_free(l);
	if (r && memory && *pid > 0) { /* why it does not take it */
		AUTO_FREE char *said = tail(log);

		if (*said && r != -ECHILD)
			err_prefix(e, "%s", said);
	}
	if (r && r != -ECHILD && *pid > 0 && process_end(*pid, born, END_MS, &why)) {
		struct err first = *e;

		err_set(e, first.code, "%s. Its QEMU, process %d, is still there: %s", first.msg, (int)*pid, why.msg);
	}
	return r;
}
