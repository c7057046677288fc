/* vcpu-time.c: see vcpu-time.h. */
#include "vcpu-time.h"
#include "util.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STOPPING_NS 300000 /* a thread that sleeps wakes for SIGSTOP, and for some microseconds */

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

/* False: what it has taken is not told. */
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
	if (end == line || *end != ' ' || !ns) /* this kernel does not count */
		return false;
	t->threads++;
	t->ns += ns;
	return true;
}

struct vcpu_time vcpu_time_of(pid_t pid)
{
	struct vcpu_time t = {.threads = 0};
	char path[32];
	struct dirent *one;
	bool ok = true;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	d = opendir(path);
	while (d && ok && (one = readdir(d)))
		ok = one->d_name[0] == '.' || add_thread(&t, pid, one->d_name);
	if (d)
		closedir(d);
	return ok ? t : (struct vcpu_time){.threads = 0};
}

bool vcpu_stood_since(pid_t pid, const struct vcpu_time *then)
{
	struct vcpu_time now = then->threads ? vcpu_time_of(pid) : *then;

	return now.threads && now.threads == then->threads && now.ns >= then->ns && now.ns - then->ns <= STOPPING_NS;
}
