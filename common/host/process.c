/* process.c: see process.h. */
#include "process.h"
#include "process-status.h"
#include "program-run.h"
#include "same-file.h"
#include "util.h"
#include "deadline.h"

#include <errno.h>
#include <unistd.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

/* proc_pid_stat(5): the command in parentheses may itself hold spaces and parentheses; state is
 * field 3. */
static int read_stat(pid_t pid, char *state, pid_t *parent, uint64_t *start_time)
{
	char path[64], buf[1024], *p;
	AUTO_CLOSE int fd = -1;
	ssize_t n;

	if (pid <= 0)
		return -ESRCH;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	n = read(fd, buf, sizeof(buf) - 1);
	if (n < 0)
		return -errno;
	buf[n] = '\0';
	p = strrchr(buf, ')');
	if (!p || p[1] != ' ')
		return -EPROTO;
	p += 2;
	*state = *p;
	*parent = (pid_t)atoi(p + 1);
	for (int field = 3; field < 22 && p; field++) {
		p = strchr(p, ' ');
		p = p ? p + 1 : NULL;
	}
	return p && sscanf(p, "%" SCNu64, start_time) == 1 ? 0 : -EPROTO;
}

int process_start_time(pid_t pid, uint64_t *out)
{
	pid_t parent;
	char state;

	return read_stat(pid, &state, &parent, out);
}

time_t process_started_at(uint64_t start_time)
{
	struct timespec since_boot;

	clock_gettime(CLOCK_BOOTTIME, &since_boot);
	return time(NULL) - since_boot.tv_sec + (time_t)(start_time / (uint64_t)sysconf(_SC_CLK_TCK));
}

pid_t process_parent(pid_t pid)
{
	uint64_t start_time;
	pid_t parent;
	char state;

	return read_stat(pid, &state, &parent, &start_time) ? 0 : parent;
}

bool process_is_stopped(pid_t pid)
{
	uint64_t start_time;
	pid_t parent;
	char state;

	return !read_stat(pid, &state, &parent, &start_time) && state == 'T';
}

/* 1; 0: it does not; -errno: that cannot be told, as no descriptor is left, say. */
static int lives(pid_t pid, uint64_t start_time)
{
	uint64_t found;
	pid_t parent;
	char state;
	int r = read_stat(pid, &state, &parent, &found);

	if (r)
		return r == -ESRCH ? 0 : r;
	return found == start_time && state != 'Z' && state != 'X';
}

bool qemu_is_alive(pid_t pid, uint64_t start_time)
{
	return lives(pid, start_time) != 0;
}

/* The pidfd becomes readable when the process has ended, whether it was reaped or not. */
static int wait_end(int pidfd, unsigned timeout_ms)
{
	struct pollfd p = {.fd = pidfd, .events = POLLIN};
	uint64_t until_ns = now_ns() + (uint64_t)timeout_ms * 1000000;
	int r;

	do
		r = poll(&p, 1, ms_left(until_ns));
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r > 0 ? 0 : -ETIMEDOUT;
}

int process_end(pid_t pid, uint64_t start_time, unsigned timeout_ms, struct err *e)
{
	AUTO_CLOSE int pidfd = -1;
	uint64_t found;
	int r;

	if (pid <= 0)
		return 0;
	pidfd = pidfd_open(pid, 0);
	if (pidfd < 0)
		return errno == ESRCH ? 0 : err_sys(e, errno, "cannot watch process %d", (int)pid);
	/* the pidfd holds the process that has the pid now, so check the start time only afterwards */
	r = process_start_time(pid, &found);
	if (r && r != -ESRCH)
		return err_sys(e, -r, "cannot tell whether process %d is the one to be ended", (int)pid);
	if (r || found != start_time)
		return 0;
	if (pidfd_send_signal(pidfd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
		return err_sys(e, errno, "cannot end process %d", (int)pid);
	r = wait_end(pidfd, timeout_ms);
	if (r < 0)
		return err_sys(e, -r, "process %d did not end within %u ms of SIGKILL", (int)pid, timeout_ms);
	program_wait(pid, NULL); /* -ECHILD when it is not ours */
	return 0;
}

/* ---- holding ---- */

bool process_is_held(pid_t pid, uint64_t start_time)
{
	bool all = lives(pid, start_time) == 1;
	char path[32];
	struct dirent *x;
	DIR *d;
	int r;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	d = opendir(path);
	all = all && d;
	while (all && (x = readdir(d))) {
		uint64_t born;
		pid_t parent;
		char state;

		r = x->d_name[0] == '.' ? -ESRCH : read_stat((pid_t)atoi(x->d_name), &state, &parent, &born);
		if (r != -ESRCH)
			all = !r && strchr("TtZX", state);
	}
	if (d)
		closedir(d);
	return all;
}

#define HOLD_PAUSE_NS 50000

int process_hold(pid_t pid, uint64_t start_time, unsigned timeout_ms, struct err *e)
{
	uint64_t until_ns = now_ns() + (uint64_t)timeout_ms * 1000000;
	const struct timespec pause = {.tv_nsec = HOLD_PAUSE_NS};
	int r = lives(pid, start_time);

	if (r < 0)
		return err_sys(e, -r, "cannot tell whether process %d is the one to be stopped", (int)pid);
	if (!r)
		return 0;
	if (kill(pid, SIGSTOP) && errno != ESRCH)
		return err_sys(e, errno, "cannot stop process %d", (int)pid);
	while (!process_is_held(pid, start_time) && qemu_is_alive(pid, start_time)) {
		if (now_ns() > until_ns)
			return err_set(e, ETIMEDOUT, "process %d did not stop within %u ms of SIGSTOP", (int)pid, timeout_ms);
		nanosleep(&pause, NULL);
	}
	return 0;
}

bool process_awaits_signal(pid_t pid, int signal)
{
	char pending[32];

	process_status(pid, "ShdPnd", pending, sizeof(pending));
	return strtoull(pending, NULL, 16) >> (signal - 1) & 1;
}

/* ---- running a program ---- */

/* Keeps as much output as fits. */
static void keep_output(void *ctx, const char *text, size_t n)
{
	struct process_output *out = ctx;
	size_t have = strlen(out->text), more = MIN(n, sizeof(out->text) - 1 - have);

	memcpy(out->text + have, text, more);
	out->text[have + more] = '\0';
}

int process_run(char *const *argv, unsigned timeout_ms, struct process_output *out, struct err *e)
{
	const struct program_run run = {.argv = argv, .output = keep_output, .output_ctx = out, .timeout_ms = timeout_ms};
	int status, r;

	*out = (struct process_output){.status = 0};
	r = program_run(&run, &status, e);
	if (!r)
		out->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	return r;
}

/* pid 0: our own. */
static uint64_t status_bytes(pid_t pid, const char *key)
{
	char kib[32];

	process_status(pid, key, kib, sizeof(kib));
	return strtoull(kib, NULL, 10) * 1024;
}

uint64_t own_rss_anon(void)
{
	return status_bytes(0, "RssAnon");
}

uint64_t process_resident_bytes(pid_t pid)
{
	return status_bytes(pid, "VmRSS");
}

int process_open_standard(void)
{
	static const int modes[] = {O_RDONLY, O_RDONLY, O_RDWR};
	int fd, r = 0;

	for (fd = 0; fd < 3 && r >= 0; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			r = open("/dev/null", modes[fd]) == fd ? 0 : -errno; /* the lowest number that is free */
	return r;
}

void process_keep_to_itself(void)
{
#ifndef __SANITIZE_ADDRESS__ /* LeakSanitizer searches with ptrace */
	prctl(PR_SET_DUMPABLE, 0);
#endif
}

int process_user(pid_t pid, uid_t *out)
{
	unsigned user[4], i;
	char users[64];
	int r = process_status(pid, "Uid", users, sizeof(users));

	if (!r && sscanf(users, "%u %u %u %u", &user[0], &user[1], &user[2], &user[3]) != 4)
		r = -ESRCH;
	for (i = 0; !r && i < 3 && user[i] == geteuid(); i++)
		;
	if (!r)
		*out = user[i];
	return r;
}

/* 1: it is in our namespace of that kind; 0: in another; -errno: cannot be told. */
static int shares_namespace(pid_t pid, const char *kind)
{
	struct stat ours, its;
	char path[48];

	snprintf(path, sizeof(path), "/proc/self/ns/%s", kind);
	if (stat(path, &ours))
		return errno == ENOENT ? 1 : -errno; /* this kernel has none of that kind */
	snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, kind);
	if (stat(path, &its))
		return -errno;
	return ours.st_dev == its.st_dev && ours.st_ino == its.st_ino;
}

int process_is_ours(pid_t pid)
{
	uid_t user;
	int r = process_user(pid, &user);

	if (r || user != geteuid())
		return MIN(r, 0);
	r = shares_namespace(pid, "pid");
	return r > 0 ? shares_namespace(pid, "user") : r;
}

bool process_shares_network(pid_t pid)
{
	return shares_namespace(pid, "net") != 0;
}

bool process_sees(pid_t pid, const char *path)
{
	AUTO_FREE char *real = realpath(path, NULL); /* a link's target would be looked up from our root */
	AUTO_FREE char *inside = xasprintf("/proc/%d/root%s", (int)pid, real ?: path);

	return paths_lead_to_one(path, inside);
}

/* "flags:\t0100002", octal, in /proc/PID/fdinfo/FD; true, too, if that cannot be told. */
static bool is_for_writing(pid_t pid, const char *fd)
{
	AUTO_FREE char *path = xasprintf("/proc/%d/fdinfo/%s", (int)pid, fd);
	FILE *f = fopen(path, "re");
	unsigned flags = O_RDWR;
	char line[128];

	while (f && fgets(line, sizeof(line), f) && sscanf(line, "flags: %o", &flags) != 1)
		;
	if (f)
		fclose(f);
	return (flags & O_ACCMODE) != O_RDONLY;
}

/* A block device may have several nodes. */
static bool is_same(const struct stat *a, const struct stat *b)
{
	return S_ISBLK(a->st_mode) && S_ISBLK(b->st_mode) ? a->st_rdev == b->st_rdev : a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static bool has_open(pid_t pid, const struct stat *file, bool for_writing)
{
	struct dirent *x;
	struct stat st;
	bool yes = false;
	char dir[32];
	DIR *d;

	snprintf(dir, sizeof(dir), "/proc/%d/fd", (int)pid);
	d = opendir(dir);
	if (!d) /* the process has ended, or is another user's; other errors leave the question open */
		return errno != ENOENT && errno != ESRCH && errno != EACCES && errno != EPERM;
	while (!yes && (x = readdir(d)))
		yes = !fstatat(dirfd(d), x->d_name, &st, 0) && is_same(&st, file) && (!for_writing || is_for_writing(pid, x->d_name));
	closedir(d);
	return yes;
}

bool process_has_open(pid_t pid, const char *path)
{
	struct stat st;

	return !stat(path, &st) && has_open(pid, &st, false);
}

static bool may_run_from(pid_t pid, const struct stat *file)
{
	return has_open(pid, file, false) && (process_is_ours(pid) > 0 || has_open(pid, file, true));
}

bool process_may_run_from(pid_t pid, const char *path)
{
	struct stat st;

	return !stat(path, &st) && may_run_from(pid, &st);
}

bool process_shows_files(pid_t pid)
{
	char dir[64];

	snprintf(dir, sizeof(dir), "/proc/%d/fd", (int)pid);
	return !access(dir, R_OK | X_OK);
}

static bool opened(pid_t pid, const struct stat *file)
{
	return has_open(pid, file, false);
}

static pid_t find(bool (*is)(pid_t pid, const struct stat *file), const char *path, pid_t but, pid_t nor)
{
	DIR *d = opendir("/proc");
	bool told = d != NULL;
	struct dirent *x;
	struct stat st;
	pid_t found = 0;

	if (stat(path, &st)) {
		told = told && (errno == ENOENT || errno == ENOTDIR);
		found = -1;
	}
	while (d && !found && (x = readdir(d))) {
		pid_t pid = (pid_t)atoi(x->d_name);

		if (pid > 0 && pid != getpid() && pid != but && pid != nor && is(pid, &st))
			found = pid;
	}
	if (d)
		closedir(d);
	return told && found < 0 ? 0 : told ? found : -1;
}

pid_t process_that_opened(const char *path, pid_t but)
{
	return find(opened, path, but, 0);
}

char *process_text(pid_t pid)
{
	return pid > 0 ? xasprintf("process %d", (int)pid) : xstrdup("a process that cannot be told");
}

pid_t process_that_may_run_from(const char *path, pid_t but, pid_t nor)
{
	return find(may_run_from, path, but, nor);
}

/* "ns that it ran, ns that it waited to, …" (Documentation/scheduler/sched-stats.rst). */
static void add_times(int tasks, const char *tid, uint64_t *ran_ns, uint64_t *waited_ns)
{
	AUTO_FREE char *path = xasprintf("%s/schedstat", tid);
	AUTO_CLOSE int fd = openat(tasks, path, O_RDONLY | O_CLOEXEC);
	char text[128];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	unsigned long long ran, waited;

	if (n <= 0)
		return;
	text[n] = '\0';
	if (sscanf(text, "%llu %llu", &ran, &waited) != 2)
		return;
	*ran_ns += ran;
	*waited_ns += waited;
}

void process_times(pid_t pid, uint64_t *ran_ns, uint64_t *waited_ns)
{
	AUTO_FREE char *path = xasprintf("/proc/%d/task", (int)pid);
	DIR *d = opendir(path);
	struct dirent *entry;

	*ran_ns = *waited_ns = 0;
	while (d && (entry = readdir(d)))
		if (*entry->d_name != '.')
			add_times(dirfd(d), entry->d_name, ran_ns, waited_ns);
	if (d)
		closedir(d);
}

/* "7 (a name) R 1 …" (proc_pid_stat(5)); the name may have anything in it. */
static bool is_runnable(int tasks, const char *tid)
{
	AUTO_FREE char *path = xasprintf("%s/stat", tid);
	AUTO_CLOSE int fd = openat(tasks, path, O_RDONLY | O_CLOEXEC);
	char text[128], *end;
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n <= 0)
		return false;
	text[n] = '\0';
	end = strrchr(text, ')');
	return end && end[1] == ' ' && end[2] == 'R';
}

unsigned process_runnable_threads(pid_t pid)
{
	AUTO_FREE char *path = xasprintf("/proc/%d/task", (int)pid);
	DIR *d = opendir(path);
	struct dirent *entry;
	unsigned n = 0;

	while (d && (entry = readdir(d)))
		n += *entry->d_name != '.' && is_runnable(dirfd(d), entry->d_name);
	if (d)
		closedir(d);
	return n;
}

unsigned own_processors(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) ? 1 : (unsigned)CPU_COUNT(&set);
}

char *boot_id(void)
{
	AUTO_CLOSE int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	char buf[64];
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);

	if (n <= 0)
		return NULL;
	buf[n] = 0;
	buf[strcspn(buf, "\n")] = 0;
	return xstrdup(buf);
}

bool is_this_boot(const char *id)
{
	AUTO_FREE char *now = boot_id();

	return id && now && !strcmp(id, now);
}
