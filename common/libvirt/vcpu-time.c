/* vcpu-time.c: see vcpu-time.h. */
#include "vcpu-time.h"
#include "process-status.h"
#include "util.h"

#include <dirent.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#define RUNNING_NS    1000000 /* more than other work that is charged to a thread */
#define STOPPING_NS   50000   /* a thread that sleeps wakes for SIGSTOP, and for some microseconds */
#define REST_PAUSE_NS 100000
#define LOCK_PART                                                                                                                          \
	16 /* the part of the patience after which a call that goes on is no lock of QEMU's, though it looks like one (as musl's condition variables) */

/* "CPU 3/KVM"; with TCG's single thread "ALL CPUs/TCG". */
static bool is_vcpu(const char *comm)
{
	return !strncmp(comm, "CPU ", 4) || !strncmp(comm, "ALL CPUs/", 9);
}

static bool read_line(char line[VCPU_CALL_SIZE], pid_t pid, const char *thread, const char *name)
{
	char path[96];
	FILE *f;
	bool ok;

	snprintf(path, sizeof(path), "/proc/%d/task/%.16s/%s", (int)pid, thread, name);
	f = fopen(path, "re");
	ok = f && fgets(line, VCPU_CALL_SIZE, f);
	if (f)
		fclose(f);
	return ok;
}

/* "202 0x55f7… 0x189 0x0 …" (proc_pid_syscall(5)) of a thread that sleeps in a system call; "running" of one that does not. */
static void read_call(struct vcpu_thread *t, pid_t pid, const char *thread, bool *locks)
{
	unsigned long op, value;

	t->number = -1;
	if (!read_line(t->call, pid, thread, "syscall"))
		t->call[0] = '\0';
	if (sscanf(t->call, "%ld %*x %lx %lx", &t->number, &op, &value) == 3)
		*locks |= t->number == SYS_futex && (op & FUTEX_CMD_MASK) == FUTEX_WAIT &&
			  value == 2; /* glibc's locks; its condition variables wait otherwise */
}

/* False: the kernel does not report the thread's time. */
static bool read_thread(struct vcpu_thread *t, pid_t pid, const char *thread, bool *locks)
{
	char line[VCPU_CALL_SIZE], sleeps[32], *end;

	t->tid = (pid_t)atoi(thread);
	if (!read_line(line, pid, thread, "schedstat"))
		return false;
	t->ns = strtoull(line, &end, 10);
	process_status(t->tid, "voluntary_ctxt_switches", sleeps, sizeof(sleeps));
	t->sleeps = strtoull(sleeps, NULL, 10);
	read_call(t, pid, thread, locks);
	return end != line && *end == ' ' && t->ns; /* otherwise this kernel does not count */
}

/* locks: whether a thread waits for a lock. */
static void look(pid_t pid, struct vcpu_time *out, bool *locks)
{
	char path[32], comm[VCPU_CALL_SIZE];
	struct dirent *one;
	bool ok = true;
	DIR *d;

	*locks = false;
	out->threads = 0;
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	d = opendir(path);
	while (d && ok && (one = readdir(d))) {
		if (one->d_name[0] == '.')
			continue;
		ok = read_line(comm, pid, one->d_name, "comm");
		if (ok && is_vcpu(comm))
			ok = out->threads < VCPUS_MAX && read_thread(&out->each[out->threads++], pid, one->d_name, locks);
	}
	if (d)
		closedir(d);
	if (!ok)
		out->threads = 0;
}

static bool thread_sleeps(pid_t pid, pid_t thread)
{
	char line[VCPU_CALL_SIZE], name[16], *end;

	snprintf(name, sizeof(name), "%d", (int)thread);
	end = read_line(line, pid, name, "stat") ? strrchr(line, ')') : NULL; /* "12 (CPU 0/KVM) S 1 12 …" */
	return end && !strncmp(end, ") S", 3);
}

static bool is_same(const struct vcpu_thread *a, const struct vcpu_thread *b)
{
	return a->tid == b->tid && a->ns == b->ns && a->sleeps == b->sleeps && !strcmp(a->call, b->call);
}

/* A look at all threads that count: those of the processors, and the main thread, which gives them things to do. */
struct seen {
	struct vcpu_time *vcpus;
	struct vcpu_thread main;
	bool locks;
};

static void look_at_all(pid_t pid, struct seen *s)
{
	bool of_main = false;
	char name[16];

	snprintf(name, sizeof(name), "%d", (int)pid);
	if (!read_thread(&s->main, pid, name, &of_main))
		s->main.tid = 0;
	look(pid, s->vcpus, &s->locks);
	s->locks |= of_main;
}

/* Answers that nothing happened between two looks, at the end of which every thread slept. */
static bool is_at_rest(pid_t pid, const struct seen *before, const struct seen *now)
{
	const struct vcpu_time *then = before->vcpus, *t = now->vcpus;
	bool yes = then->threads == t->threads && is_same(&before->main, &now->main) && thread_sleeps(pid, pid);

	for (unsigned i = 0; i < t->threads && yes; i++)
		yes = is_same(&then->each[i], &t->each[i]) && thread_sleeps(pid, t->each[i].tid);
	return yes;
}

void vcpu_time_of(pid_t pid, struct vcpu_time *out)
{
	bool locks;

	look(pid, out, &locks);
}

void vcpu_time_at_rest(pid_t pid, unsigned patience_ms, struct vcpu_time *out)
{
	const struct timespec pause = {.tv_nsec = REST_PAUSE_NS};
	uint64_t from = now_ns(), until = from + patience_ms * 1000000ULL, until_locks = from + patience_ms * 1000000ULL / LOCK_PART;
	AUTO_FREE struct vcpu_time *last = xcalloc(1, sizeof(*last));
	struct seen before = {.vcpus = last}, now = {.vcpus = out};

	look_at_all(pid, &before);
	for (look_at_all(pid, &now); out->threads && now_ns() < until; look_at_all(pid, &now)) {
		if (is_at_rest(pid, &before, &now) && (!now.locks || now_ns() > until_locks))
			break;
		*last = *out;
		before = now;
		before.vcpus = last;
		nanosleep(&pause, NULL);
	}
}

/* The thread of now that is that one; NULL: it is none, or its time went back. */
static const struct vcpu_thread *same_thread(const struct vcpu_time *now, const struct vcpu_thread *then)
{
	unsigned k;

	for (k = 0; k < now->threads && now->each[k].tid != then->tid; k++)
		;
	return k < now->threads && now->each[k].ns >= then->ns ? &now->each[k] : NULL;
}

static enum vcpu_since thread_since(const struct vcpu_thread *then, const struct vcpu_thread *now)
{
	uint64_t taken = now->ns - then->ns;

	if (taken > RUNNING_NS)
		return VCPU_RAN;
	if (then->number >= 0 && !strcmp(now->call, then->call) && now->sleeps - then->sleeps <= 1)
		return VCPU_STOOD;
	/* a thread in the call that runs the guest, or in none, is not where it slept before */
	return taken <= STOPPING_NS && (then->number < 0 || now->number == then->number) ? VCPU_STOOD : VCPU_MAY_HAVE_RUN;
}

enum vcpu_since vcpu_since(pid_t pid, const struct vcpu_time *then)
{
	enum vcpu_since since = VCPU_STOOD, one;
	AUTO_FREE struct vcpu_time *now = xcalloc(1, sizeof(*now));
	const struct vcpu_thread *same;

	now->threads = 0;
	if (then->threads)
		vcpu_time_of(pid, now);
	if (!now->threads || now->threads != then->threads)
		return VCPU_UNKNOWN;
	for (unsigned i = 0; i < now->threads; i++) {
		same = same_thread(now, &then->each[i]);
		if (!same)
			return VCPU_UNKNOWN;
		one = thread_since(&then->each[i], same);
		since = MAX(since, one);
	}
	return since;
}
