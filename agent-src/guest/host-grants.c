/* host-grants.c: see host-grants.h. */
#include "host-grants.h"
#include "process.h"
#include "process-status.h"
#include "util.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { IO_CLASS_SHIFT = 13, IO_OF_PROCESS = 1 }; /* ioprio_get(2) */

static void add(char **list, char *what)
{
	char *longer = *list ? xasprintf("%s, %s", *list, what) : xstrdup(what);

	free(what);
	free(*list);
	*list = longer;
}

static void add_priority(char **list, pid_t qemu)
{
	static const char *const policies[] =
		{[SCHED_FIFO] = "real-time (FIFO)", [SCHED_RR] = "real-time (RR)", [SCHED_BATCH] = "batch", [SCHED_IDLE] = "idle"};
	static const char *const classes[] = {NULL, "real-time", NULL, "idle"};
	int nice, policy = sched_getscheduler(qemu);
	long io = syscall(SYS_ioprio_get, IO_OF_PROCESS, qemu);

	errno = 0;
	nice = getpriority(PRIO_PROCESS, (id_t)qemu);
	if (!errno && nice && nice != getpriority(PRIO_PROCESS, 0))
		add(list, xasprintf("nice %d", nice));
	if (policy > 0 && (size_t)policy < ARRAY_LEN(policies) && policies[policy])
		add(list, xasprintf("the scheduling policy '%s'", policies[policy]));
	if (io > 0 && io >> IO_CLASS_SHIFT < (long)ARRAY_LEN(classes) && classes[io >> IO_CLASS_SHIFT])
		add(list, xasprintf("the priority '%s' for disks", classes[io >> IO_CLASS_SHIFT]));
}

/* Processors and memory nodes that it may use, as of taskset, numactl or a cpuset. */
static void add_places(char **list, pid_t qemu)
{
	static const char *const keys[][2] = {{"Cpus_allowed_list", "processors"}, {"Mems_allowed_list", "memory nodes"}};
	char its[200], ours[200];

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		process_status(qemu, keys[i][0], its, sizeof(its));
		process_status(0, keys[i][0], ours, sizeof(ours));
		if (*its && *ours && strcmp(its, ours) != 0)
			add(list, xasprintf("%s %s", keys[i][1], its));
	}
}

/* The control group (version 2) of a process; malloc'ed, NULL: it has none. */
static char *group_of(const char *process)
{
	AUTO_FREE char *path = xasprintf("/proc/%s/cgroup", process);
	char line[512], *group = NULL;
	FILE *f = fopen(path, "re");

	while (f && !group && fgets(line, sizeof(line), f))
		if (!strncmp(line, "0::/", 4))
			group = xasprintf("%.*s", (int)strcspn(line + 3, "\n"), line + 3);
	if (f)
		fclose(f);
	return group;
}

/* Adds the limits of QEMU's own cgroup, unless that is ours, too. */
static void add_limits(char **list, pid_t qemu)
{
	static const char *const files[] = {"memory.max", "cpu.max"};
	AUTO_FREE char *number = xasprintf("%d", (int)qemu), *its = group_of(number), *ours = group_of("self");
	char value[64];

	for (size_t i = 0; its && (!ours || strcmp(its, ours) != 0) && i < ARRAY_LEN(files); i++) {
		AUTO_FREE char *name = xasprintf("/sys/fs/cgroup%s/%s", its, files[i]);
		FILE *f = fopen(name, "re");

		if (f && fgets(value, sizeof(value), f) && strncmp(value, "max", 3) != 0)
			add(list, xasprintf("%s %.*s of its control group", files[i], (int)strcspn(value, "\n"), value));
		if (f)
			fclose(f);
	}
}

void host_grants_note(struct guest *g, pid_t qemu)
{
	AUTO_FREE char *list = NULL;

	add_priority(&list, qemu);
	add_places(&list, qemu);
	add_limits(&list, qemu);
	if (list)
		guest_note(g,
			   "vmferry does not carry along what the guest's QEMU has of this host: %s. Set it up in what starts the guest "
			   "there (its NAME.sh, or a unit)",
			   list);
	if (!process_shares_network(qemu))
		guest_note(g, "the guest's QEMU is in a network namespace of its own here, which does not go along: there its network, "
			      "and what listens for it, are in the host's namespace");
}
