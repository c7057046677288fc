/* vcpu-time.c: see vcpu-time.h. */
#include "vcpu-time.h"
#include "util.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RUNNING_NS    1000000 /* more than other work that is charged to a thread */
#define STOPPING_NS   50000   /* a thread that sleeps wakes for SIGSTOP, and for some microseconds */
#define REST_PAUSE_NS 100000

/* "CPU 3/KVM"; with TCG's single thread "ALL CPUs/TCG". */
static bool is_vcpu(const char *comm)
{
	return !strncmp(comm, "CPU ", 4) || !strncmp(comm, "ALL CPUs/", 9);
}

static bool read_line(char line[64], pid_t pid, const char *thread, const char *name)
{
	char path[96];
	FILE *f;
	bool ok;

	snprintf(path, sizeof(path), "/proc/%d/task/%.16s/%s", (int)pid, thread, name);
	f = fopen(path, "re");
	ok = f && fgets(line, 64, f);
	if (f)
		fclose(f);
	return ok;
}

static bool sleeps(pid_t pid, pid_t thread)
{
	char line[64], name[16], *end;

	snprintf(name, sizeof(name), "%d", (int)thread);
	end = read_line(line, pid, name, "stat") ? strrchr(line, ')') : NULL; /* "12 (CPU 0/KVM) S 1 12 …" */
	return end && !strncmp(end, ") S", 3);
}

/* False: the kernel does not report the thread's time. */
static bool add_thread(struct vcpu_time *t, pid_t pid, const char *thread)
{
	char line[64], *end;
	uint64_t ns;

	if (!read_line(line, pid, thread, "comm"))
		return false;
	if (!is_vcpu(line))
		return true;
	if (!read_line(line, pid, thread, "schedstat"))
		return false;
	ns = strtoull(line, &end, 10);
	if (end == line || *end != ' ' || !ns || t->threads == VCPUS_MAX) /* this kernel does not count */
		return false;
	t->each[t->threads].tid = (pid_t)atoi(thread);
	t->each[t->threads++].ns = ns;
	return true;
}

void vcpu_time_of(pid_t pid, struct vcpu_time *out)
{
	char path[32];
	struct dirent *one;
	bool ok = true;
	DIR *d;

	out->threads = 0;
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	d = opendir(path);
	while (d && ok && (one = readdir(d)))
		ok = one->d_name[0] == '.' || add_thread(out, pid, one->d_name);
	if (d)
		closedir(d);
	if (!ok)
		out->threads = 0;
}

/* The main thread first: what it has for them they are awake for before it sleeps. */
static bool is_at_rest(pid_t pid, const struct vcpu_time *t)
{
	bool yes = sleeps(pid, pid);
	unsigned i;

	for (i = 0; i < t->threads && yes; i++)
		yes = sleeps(pid, t->each[i].tid);
	return yes;
}

void vcpu_time_at_rest(pid_t pid, unsigned patience_ms, struct vcpu_time *out)
{
	const struct timespec pause = {.tv_nsec = REST_PAUSE_NS};
	uint64_t until = now_ns() + patience_ms * 1000000ULL;

	vcpu_time_of(pid, out);
	while (out->threads && !is_at_rest(pid, out) && now_ns() < until)
		nanosleep(&pause, NULL);
	vcpu_time_of(pid, out);
}

/* Nanoseconds that the thread at index i has run since then; UINT64_MAX: it is another thread, or its time went back. */
static uint64_t taken_by(const struct vcpu_time *now, const struct vcpu_time *then, unsigned i)
{
	unsigned k;

	for (k = 0; k < now->threads && now->each[k].tid != then->each[i].tid; k++)
		;
	return k < now->threads && now->each[k].ns >= then->each[i].ns ? now->each[k].ns - then->each[i].ns : UINT64_MAX;
}

enum vcpu_since vcpu_since(pid_t pid, const struct vcpu_time *then)
{
	enum vcpu_since since = VCPU_STOOD;
	struct vcpu_time now;
	unsigned i;

	now.threads = 0;
	if (then->threads)
		vcpu_time_of(pid, &now);
	if (!now.threads || now.threads != then->threads)
		return VCPU_UNKNOWN;
	for (i = 0; i < now.threads; i++) {
		uint64_t taken = taken_by(&now, then, i);

		if (taken == UINT64_MAX)
			return VCPU_UNKNOWN;
		if (taken > RUNNING_NS)
			return VCPU_RAN;
		if (taken > STOPPING_NS)
			since = VCPU_MAY_HAVE_RUN;
	}
	return since;
}
