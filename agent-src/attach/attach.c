/* attach.c: see attach.h. */
#include "attach.h"
#include "fault.h"
#include "log.h"
#include "process.h"
#include "qemu-calls.h"
#include "remote-thread.h"
#include "unix-socket.h"
#include "util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STOP_MS	  5000 /* time for its main thread to wait somewhere */
#define TRIES	  20   /* number of tries to find it where it holds no lock */
#define LOCK_MS	  5000 /* time for QEMU's lock; the main loop waits for it in any case */
#define WORK_MS	  5000
#define PAGE	  4096ULL
#define LISTEN_MS 1000

/* An attachment under way. */
struct attempt_to_attach {
	struct remote_thread thread;
	struct qemu_calls calls;
	uint64_t start_time; /* start time of the process */
	uint64_t pages;	     /* two in its memory, of code and of data; 0: not mapped */
	double held_ms;
};

static uint64_t data_at(const struct attempt_to_attach *a)
{
	return a->pages + PAGE;
}

/* ---- what can be told from outside ---- */

static int find_functions(struct qemu_calls *c, pid_t pid, struct err *e)
{
	struct exe_symbols s;
	int r = exe_symbols_open(&s, pid, e);

	if (r)
		return r;
	r = qemu_calls_find(c, &s, e);
	exe_symbols_close(&s);
	return r;
}

int attach_is_possible(const struct guest *g, struct err *e)
{
	struct qemu_calls c;
	int r = guest_check_user(g, e);

	if (r)
		return r;
	if (g->owner_hint)
		return err_set(e, ENOTSUP, "it belongs to %s, which has a monitor of its own", g->owner_hint);
	if (process_is_stopped(g->pid))
		return err_set(e, EBUSY, "its QEMU is stopped (SIGSTOP)");
	return find_functions(&c, g->pid, e);
}

/* ---- stopped in its main loop ---- */

static int stop_thread(struct attempt_to_attach *a, pid_t pid, struct err *e)
{
	int r = remote_thread_open(&a->thread, pid, e);

	if (r)
		return r;
	r = remote_thread_stop(&a->thread, STOP_MS, e);
	if (!r && !remote_thread_is_within(&a->thread, a->calls.main_loop, a->calls.main_loop_bytes))
		r = err_set(e, EBUSY, "its main thread waits somewhere else than in its main loop");
	return r;
}

static void let_thread_go(struct attempt_to_attach *a)
{
	if (a->thread.stopped_ns)
		a->held_ms += (double)(now_ns() - a->thread.stopped_ns) / 1e6;
	remote_thread_close(&a->thread);
}

static int call_kernel(struct attempt_to_attach *a, const char *what, long number, uint64_t x, uint64_t y, uint64_t z, uint64_t flags,
		       int64_t *ret, struct err *e)
{
	const uint64_t args[6] = {x, y, z, flags, (uint64_t)-1, 0};
	int r = remote_thread_syscall(&a->thread, number, args, ret, e);

	if (!r && *ret < 0 && *ret > -(int64_t)PAGE)
		r = err_set(e, (int)-*ret, "QEMU cannot %s: %s", what, strerror((int)-*ret));
	return r;
}

static int map_pages(struct attempt_to_attach *a, struct err *e)
{
	int64_t at, ignored;
	int r = call_kernel(a, "map memory", SYS_mmap, 0, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, &at, e);

	if (r)
		return r;
	a->pages = (uint64_t)at;
	return call_kernel(a, "have memory of which code is run", SYS_mprotect, a->pages, PAGE, PROT_READ | PROT_EXEC, 0, &ignored, e);
}

static int unmap_pages(struct attempt_to_attach *a, struct err *e)
{
	int64_t ignored;
	int r = a->pages ? call_kernel(a, "unmap memory", SYS_munmap, a->pages, 2 * PAGE, 0, 0, &ignored, e) : 0;

	if (!r)
		a->pages = 0;
	return r;
}

static int write_code(struct attempt_to_attach *a, const struct calls_data *data, struct err *e)
{
	uint8_t code[CALLS_CODE_MAX];
	size_t n = qemu_calls_code(&a->calls, &a->thread.regs, data_at(a), code);

	return remote_thread_write(&a->thread, a->pages, code, n, e) ?: remote_thread_write(&a->thread, data_at(a), data, sizeof(*data), e);
}

/* Puts all of it there, and sends the thread. If that fails the pages are unmapped again. */
static int send_thread(struct attempt_to_attach *a, const struct calls_data *data, struct err *e)
{
	struct err ignored;
	int r = map_pages(a, e);

	fault_point("src-attach-mapped");
	r = r ?: write_code(a, data, e);
	fault_point("src-attach-written");
	if (!r) {
		a->held_ms += (double)(now_ns() - a->thread.stopped_ns) / 1e6;
		r = remote_thread_send(&a->thread, a->pages, e);
	}
	fault_point("src-attach-sent");
	if (r)
		unmap_pages(a, &ignored);
	return r;
}

/* ---- while it works, and nobody traces it ---- */

static enum calls_state state_of(const struct attempt_to_attach *a)
{
	uint32_t state;
	struct err ignored;

	return remote_thread_read(&a->thread, data_at(a), &state, sizeof(state), &ignored) ? CALLS_NOT_BEGUN : (enum calls_state)state;
}

static enum calls_state wait_while(const struct attempt_to_attach *a, enum calls_state most, unsigned ms)
{
	uint64_t until = now_ns() + ms * 1000000ULL;
	enum calls_state state;

	while ((state = state_of(a)) <= most && now_ns() < until && !process_is_stopped(a->thread.pid) && !kill(a->thread.pid, 0))
		usleep(200);
	return state;
}

/* Tells code that waits for QEMU's lock for too long to do nothing when it gets it. Code that has the lock already ends what it does. */
static enum calls_state give_up(const struct attempt_to_attach *a)
{
	const uint32_t yes = 1;
	struct err ignored;

	if (remote_thread_write(&a->thread, data_at(a) + offsetof(struct calls_data, give_up), &yes, sizeof(yes), &ignored))
		log_info("%s", ignored.msg);
	return state_of(a);
}

static int outcome(enum calls_state state, const char *path, struct err *e)
{
	switch (state) {
	case CALLS_DONE:
		return 0;
	case CALLS_LOCKED:
		return err_set(e, EBUSY, "its main thread holds QEMU's lock while it waits: something of QEMU's takes long (a disk?)");
	case CALLS_NOT_BEGUN:
	case CALLS_WAIT:
	case CALLS_TOLD_TO_GO:
		return err_set(e, ETIMEDOUT, "QEMU's lock was not free within %u s, so nothing was done: QEMU hangs, or a disk of its does",
			       LOCK_MS / 1000);
	case CALLS_NO_SOCKET:
		return err_set(e, EIO, "QEMU could not make the socket %s (its log says why; AppArmor or SELinux may forbid it)", path);
	case CALLS_NO_MONITOR:
		return err_set(e, EIO,
			       "QEMU made the socket %s, and no monitor on it (its log says why): the socket stays until that QEMU ends",
			       path);
	case CALLS_WORK:
		break;
	}
	return err_set(e, EIO, "QEMU has not ended with making its monitor at %s: it may still do so (vmferry list tells)", path);
}

static int await(struct attempt_to_attach *a, const char *path, struct attached *out, struct err *e)
{
	uint64_t since = now_ns();
	enum calls_state state = wait_while(a, CALLS_WAIT, LOCK_MS);

	if (state <= CALLS_WAIT)
		state = give_up(a);
	if (state == CALLS_WORK)
		state = wait_while(a, CALLS_WORK, WORK_MS);
	if (!calls_state_is_over(state) && !qemu_is_alive(a->thread.pid, a->start_time))
		return err_set(e, ESRCH, "process %d has ended meanwhile", (int)a->thread.pid);
	out->called_ms = (double)(now_ns() - since) / 1e6;
	return outcome(state, path, e);
}

/* Unmaps the pages once the thread is back in its main loop; otherwise they stay, as it may still be in them. */
static void clean_up(struct attempt_to_attach *a, pid_t pid)
{
	bool over = calls_state_is_over(state_of(a));
	struct err e;

	remote_thread_close(&a->thread);
	if (!over || remote_thread_open(&a->thread, pid, &e)) {
		log_info("two pages of memory stay in QEMU");
		return;
	}
	if (remote_thread_stop(&a->thread, STOP_MS, &e) || (remote_thread_at(&a->thread) - a->pages >= 2 * PAGE && unmap_pages(a, &e)))
		log_info("two pages of memory stay in QEMU: %s", e.msg);
	let_thread_go(a);
}

/* ---- sockets that are left ---- */

void attach_sweep(const char *runtime_dir)
{
	DIR *dir = opendir(runtime_dir);
	struct dirent *d;
	int pid, end;

	while (dir && (d = readdir(dir))) {
		AUTO_FREE char *path = xasprintf("%s/%s", runtime_dir, d->d_name);

		end = 0;
		if (sscanf(d->d_name, ATTACHED_PREFIX "%d" ATTACHED_SUFFIX "%n", &pid, &end) == 1 && end && !d->d_name[end] &&
		    !unix_is_bound(path))
			unlink(path);
	}
	if (dir)
		closedir(dir);
}

/* ---- all of it ---- */

/* A terminal's: were we stopped while QEMU is, it would stand for as long. */
static void hold_signals(sigset_t *before)
{
	static const int held[] = {SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGTTIN, SIGTTOU};
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LEN(held); i++)
		sigaddset(&set, held[i]);
	sigprocmask(SIG_BLOCK, &set, before);
}

unsigned attach_number(void)
{
	return (unsigned)(now_ns() / 10000);
}

/* -EBUSY: the thread held QEMU's lock, as it does while a disk is drained. */
int attach_try(pid_t pid, const struct qemu_calls *calls, const char *path, struct attached *out, struct err *e)
{
	struct attempt_to_attach a = {.calls = *calls, .thread.memory = -1};
	struct calls_data data;
	sigset_t before;
	int r = qemu_calls_fill(calls, &data, path, attach_number(), e);

	if (!r && process_start_time(pid, &a.start_time))
		r = err_set(e, ESRCH, "process %d has ended meanwhile", (int)pid);
	hold_signals(&before);
	r = r ?: stop_thread(&a, pid, e);
	fault_point("src-attach-stopped");
	r = r ?: send_thread(&a, &data, e);
	if (!r) {
		r = await(&a, path, out, e);
		clean_up(&a, pid);
	}
	let_thread_go(&a);
	sigprocmask(SIG_SETMASK, &before, NULL);
	out->held_ms += a.held_ms;
	return r;
}

static bool listens(const struct guest *g, const char *path)
{
	uint64_t until = now_ns() + LISTEN_MS * 1000000ULL;

	while (!process_has_socket(g->pid, path)) {
		if (now_ns() > until)
			return false;
		poll(NULL, 0, 5);
	}
	return true;
}

int attach_guest(const struct guest *g, const char *runtime_dir, struct attached *out, struct err *e)
{
	AUTO_CLOSE int lock = open(runtime_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct qemu_calls calls;
	unsigned tries = 0;
	uint64_t start;
	int r = attach_is_possible(g, e);

	*out = (struct attached){.path = NULL};
	if (r)
		return r;
	if (lock < 0 || flock(lock, LOCK_EX)) /* each of several that attach at once finds what the one before has made */
		return err_sys(e, errno, "cannot lock %s", runtime_dir);
	out->path = guest_attached_path(g->pid);
	out->was_there = out->path && !fault_point("src-attach-again");
	if (out->was_there)
		return 0;
	free(out->path);
	out->path = NULL;
	if (!process_sees(g->pid, runtime_dir))
		return err_set(e, ENOTSUP,
			       "its QEMU does not see the directory %s, where its socket would be (a mount namespace or chroot of its own)",
			       runtime_dir);
	out->path = xasprintf("%s/" ATTACHED_PREFIX "%d" ATTACHED_SUFFIX, runtime_dir, (int)g->pid);
	r = find_functions(&calls, g->pid, e);
	if (!r && (process_start_time(g->pid, &start) || start != g->start_time))
		r = err_set(e, ESRCH, "process %d has ended meanwhile", (int)g->pid);
	if (!r && !unix_is_bound(out->path))
		unlink(out->path); /* an earlier process of that number may have left the socket */
	while (!r && (r = attach_try(g->pid, &calls, out->path, out, e)) == -EBUSY && ++tries < TRIES) {
		poll(NULL, 0, 20);
		r = 0;
	}
	if (!r && !listens(g, out->path))
		r = err_set(e, EIO, "QEMU says that it has made the monitor %s, and does not listen there", out->path);
	return r;
}
