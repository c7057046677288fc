/* remote-thread.c: see remote-thread.h. */
#include "remote-thread.h"
#include "trace-refusal.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#ifdef __x86_64__

#define STACK_WORDS	 512
#define ERESTARTNOHAND	 514 /* the kernel's, of a wait that a signal has ended */
#define ERESTART_RESTART 516
#define SYSCALL_OPCODE	 0x050f /* little-endian */
#define SYSCALL_BYTES	 2
#define LOOK_AGAIN_US	 1000

/* ---- being traced ---- */

static int say_why_not(pid_t pid, int error, struct err *e)
{
	struct trace_rules rules;

	trace_rules_read(&rules, pid);
	return trace_refusal(&rules, pid, error, e);
}

int remote_thread_open(struct remote_thread *t, pid_t pid, struct err *e)
{
	AUTO_FREE char *path = xasprintf("/proc/%d/mem", (int)pid);

	*t = (struct remote_thread){.pid = pid, .memory = open(path, O_RDWR | O_CLOEXEC)};
	if (t->memory < 0)
		return say_why_not(pid, errno, e);
	/* TRACESYSGOOD: a tracer that dies at a system call's stop leaves no SIGTRAP behind */
	if (ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD)) {
		say_why_not(pid, errno, e);
		close(t->memory);
		t->memory = -1;
		return -e->code;
	}
	t->traced = true;
	return 0;
}

/* True if the thread was stopped because it is about to get a signal. */
static bool is_signal(int status)
{
	return !(status >> 16) && WSTOPSIG(status) != SIGTRAP && WSTOPSIG(status) != (SIGTRAP | 0x80);
}

static int wait_for_stop(struct remote_thread *t, int *status, struct err *e)
{
	pid_t r;

	do
		r = waitpid(t->pid, status, __WALL);
	while (r < 0 && errno == EINTR);
	if (r == t->pid && WIFSTOPPED(*status)) {
		if (is_signal(*status))
			t->signal = WSTOPSIG(*status);
		return 0;
	}
	t->traced = false;
	return err_set(e, ESRCH, "process %d has ended meanwhile", (int)t->pid);
}

/* Ends the tracing. A signal that came while the thread was stopped is delivered now. */
static void detach(struct remote_thread *t)
{
	t->stopped_ns = 0;
	t->traced = ptrace(PTRACE_DETACH, t->pid, 0, 0) != 0;
	if (!t->traced && t->signal)
		syscall(SYS_tgkill, t->pid, t->pid, t->signal);
	if (!t->traced)
		t->signal = 0;
}

/* Registers with which it waits again, by itself: the kernel does that for a thread which was stopped in its wait, and not after another call. */
static struct user_regs_struct waiting_again(const struct remote_thread *t)
{
	struct user_regs_struct regs = t->regs;

	regs.rip -= SYSCALL_BYTES;
	regs.rax = SYS_ppoll;
	regs.orig_rax = (unsigned long)-1;
	return regs;
}

/* Lets it go on where it was stopped. */
static void go_on(struct remote_thread *t)
{
	struct user_regs_struct regs = waiting_again(t);

	if (!t->traced || !t->stopped_ns)
		return;
	ptrace(PTRACE_SETREGS, t->pid, 0, &regs);
	detach(t);
}

void remote_thread_close(struct remote_thread *t)
{
	struct err ignored;
	int status;

	go_on(t);
	if (t->traced) {
		ptrace(PTRACE_INTERRUPT, t->pid, 0, 0); /* a thread must be stopped to be let go of */
		if (!wait_for_stop(t, &status, &ignored))
			detach(t);
	}
	t->traced = false;
	if (t->memory >= 0)
		close(t->memory);
	t->memory = -1;
}

/* ---- stopped ---- */

/* True if the thread waits in ppoll, so that the kernel would begin that wait again. */
static bool is_waiting(const struct user_regs_struct *r)
{
	return (long)r->orig_rax == SYS_ppoll && ((long)r->rax == -ERESTARTNOHAND || (long)r->rax == -ERESTART_RESTART);
}

/* Lets the thread run, with the signal that it was stopped for. */
static void let_run(struct remote_thread *t)
{
	ptrace(PTRACE_CONT, t->pid, 0, t->signal);
	t->signal = 0;
}

/* Stops that came before we asked for one: a signal's. Each that is left would be taken for ours. */
static int let_run_before(struct remote_thread *t, struct err *e)
{
	int status;

	while (waitpid(t->pid, &status, __WALL | WNOHANG) == t->pid) {
		if (!WIFSTOPPED(status)) {
			t->traced = false;
			return err_set(e, ESRCH, "process %d has ended meanwhile", (int)t->pid);
		}
		t->signal = is_signal(status) ? WSTOPSIG(status) : 0;
		let_run(t);
	}
	return 0;
}

static int look_once(struct remote_thread *t, bool *there, struct err *e)
{
	uint16_t opcode = 0;
	int status, r = let_run_before(t, e);

	if (r)
		return r;
	if (ptrace(PTRACE_INTERRUPT, t->pid, 0, 0))
		return err_sys(e, errno, "cannot stop process %d", (int)t->pid);
	r = wait_for_stop(t, &status, e);
	if (r)
		return r;
	t->stopped_ns = now_ns();
	*there = status >> 16 == PTRACE_EVENT_STOP && WSTOPSIG(status) == SIGTRAP && !ptrace(PTRACE_GETREGS, t->pid, 0, &t->regs) &&
		 is_waiting(&t->regs) && !remote_thread_read(t, t->regs.rip - SYSCALL_BYTES, &opcode, sizeof(opcode), e) &&
		 opcode == SYSCALL_OPCODE;
	if (!*there) {
		t->stopped_ns = 0;
		let_run(t);
	}
	return 0;
}

int remote_thread_stop(struct remote_thread *t, unsigned ms, struct err *e)
{
	uint64_t until = now_ns() + ms * 1000000ULL;
	bool there = false;
	int r;

	while (!(r = look_once(t, &there, e)) && !there) {
		if (now_ns() > until)
			return err_set(e, ETIMEDOUT, "the main thread of process %d did not wait for anything within %u s", (int)t->pid,
				       ms / 1000);
		usleep(LOOK_AGAIN_US);
	}
	return r;
}

int remote_thread_send(struct remote_thread *t, uint64_t rip, struct err *e)
{
	struct user_regs_struct regs = t->regs;

	regs.rip = rip;
	regs.rax = 0;
	regs.orig_rax = (unsigned long)-1; /* the kernel must not begin a system call again */
	if (ptrace(PTRACE_SETREGS, t->pid, 0, &regs))
		return err_sys(e, errno, "cannot set the registers of process %d", (int)t->pid);
	detach(t);
	return 0;
}

/* Lets the process run to the beginning or end of its next system call. */
static int step_call(struct remote_thread *t, struct err *e)
{
	int status, r;

	if (ptrace(PTRACE_SYSCALL, t->pid, 0, 0))
		return err_sys(e, errno, "cannot have process %d make a system call", (int)t->pid);
	r = wait_for_stop(t, &status, e);
	if (!r && WSTOPSIG(status) != (SIGTRAP | 0x80))
		r = err_set(e, EBUSY, "process %d was stopped by signal %d where it should have made a system call", (int)t->pid,
			    WSTOPSIG(status));
	return r;
}

int remote_thread_syscall(struct remote_thread *t, long number, const uint64_t args[6], int64_t *ret, struct err *e)
{
	struct user_regs_struct regs = waiting_again(t), after = regs;
	int r;

	regs.rax = (unsigned long)number;
	regs.rdi = args[0];
	regs.rsi = args[1];
	regs.rdx = args[2];
	regs.r10 = args[3];
	regs.r8 = args[4];
	regs.r9 = args[5]; /* 0 in every call of ours: the C library keeps 0 there while it waits, should we die just now */
	if (ptrace(PTRACE_SETREGS, t->pid, 0, &regs))
		return err_sys(e, errno, "cannot set the registers of process %d", (int)t->pid);
	r = step_call(t, e) ?: step_call(t, e);
	if (!r && ptrace(PTRACE_GETREGS, t->pid, 0, &regs))
		r = err_sys(e, errno, "cannot read the registers of process %d", (int)t->pid);
	if (t->traced && ptrace(PTRACE_SETREGS, t->pid, 0, &after) && !r)
		r = err_sys(e, errno, "cannot set the registers of process %d", (int)t->pid);
	*ret = (int64_t)regs.rax;
	return r;
}

/* ---- memory ---- */

int remote_thread_read(const struct remote_thread *t, uint64_t at, void *to, size_t n, struct err *e)
{
	ssize_t r = pread(t->memory, to, n, (off_t)at);

	return r == (ssize_t)n ? 0 : err_sys(e, r < 0 ? errno : EIO, "cannot read the memory of process %d", (int)t->pid);
}

int remote_thread_write(const struct remote_thread *t, uint64_t at, const void *from, size_t n, struct err *e)
{
	ssize_t r = pwrite(t->memory, from, n, (off_t)at);

	return r == (ssize_t)n ? 0 : err_sys(e, r < 0 ? errno : EIO, "cannot write to the memory of process %d", (int)t->pid);
}

uint64_t remote_thread_at(const struct remote_thread *t)
{
	return t->regs.rip;
}

bool remote_thread_is_within(const struct remote_thread *t, uint64_t from, uint64_t n)
{
	uint64_t words[STACK_WORDS];
	ssize_t got = pread(t->memory, words, sizeof(words), (off_t)t->regs.rsp);

	for (size_t i = 0; got > 0 && i < (size_t)got / sizeof(words[0]); i++)
		if (words[i] - from < n)
			return true;
	return false;
}

#else

int remote_thread_open(struct remote_thread *t, pid_t pid, struct err *e)
{
	*t = (struct remote_thread){.pid = pid, .memory = -1};
	return err_set(e, ENOTSUP, "vmferry attaches to QEMUs of x86_64 hosts alone");
}
int remote_thread_stop(struct remote_thread *t, unsigned ms, struct err *e)
{
	(void)ms;
	return err_set(e, ENOTSUP, "process %d cannot be attached to here", (int)t->pid);
}
uint64_t remote_thread_at(const struct remote_thread *t)
{
	return t->regs.pc;
}
int remote_thread_send(struct remote_thread *t, uint64_t rip, struct err *e)
{
	(void)rip;
	return remote_thread_stop(t, 0, e);
}
int remote_thread_syscall(struct remote_thread *t, long number, const uint64_t args[6], int64_t *ret, struct err *e)
{
	(void)number;
	(void)args;
	(void)ret;
	return remote_thread_stop(t, 0, e);
}
int remote_thread_read(const struct remote_thread *t, uint64_t at, void *to, size_t n, struct err *e)
{
	(void)at;
	(void)to;
	(void)n;
	return remote_thread_stop((struct remote_thread *)t, 0, e);
}
int remote_thread_write(const struct remote_thread *t, uint64_t at, const void *from, size_t n, struct err *e)
{
	(void)at;
	(void)from;
	(void)n;
	return remote_thread_stop((struct remote_thread *)t, 0, e);
}
bool remote_thread_is_within(const struct remote_thread *t, uint64_t from, uint64_t n)
{
	(void)t;
	(void)from;
	(void)n;
	return false;
}
void remote_thread_close(struct remote_thread *t)
{
	(void)t;
}

#endif
