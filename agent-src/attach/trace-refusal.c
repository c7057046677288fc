/* trace-refusal.c: see trace-refusal.h. */
#include "trace-refusal.h"
#include "file-number.h"
#include "process-status.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- what decides ---- */

/* A number behind that name in /proc/PID/status; 0: it has none. */
static uint64_t status_of(pid_t pid, const char *name, int base)
{
	char value[64];

	process_status(pid, name, value, sizeof(value));
	return strtoull(value, NULL, base);
}

static void read_label(char label[LABEL_MAX], pid_t pid)
{
	AUTO_FREE char *path = xasprintf("/proc/%d/attr/current", (int)pid);
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, label, LABEL_MAX - 1);

	label[n > 0 ? n : 0] = '\0';
	label[strcspn(label, "\n")] = '\0';
	if (!strcmp(label, "unconfined"))
		*label = '\0';
}

void trace_rules_read(struct trace_rules *r, pid_t pid)
{
	uint64_t own = status_of(getpid(), "CapEff", 16);

	*r = (struct trace_rules){.tracer = (pid_t)status_of(pid, "TracerPid", 10),
				  .yama = (int)file_number("/proc/sys/kernel/yama/ptrace_scope"),
				  .has_right = own >> CAP_SYS_PTRACE & 1,
				  .is_root = !geteuid()};
	read_label(r->own, getpid());
	read_label(r->its, pid);
}

/* ---- words ---- */

static int of_yama(const struct trace_rules *r, pid_t pid, struct err *e)
{
	const char *how =
		r->yama > 2 ? "no process may trace another one until this host is booted with another value"
		: r->is_root
			? "only a process with the capability CAP_SYS_PTRACE may trace it, and vmferry does not have that: run vmferry "
			  "outside its container"
		: r->yama > 1
			? "only root may trace it: run vmferry as root"
			: "only root, and who has started it, may trace it: run vmferry as root, or set it to 0 for as long as that takes (sysctl)";

	return err_set(e, EPERM, "process %d may not be traced: kernel.yama.ptrace_scope is %d, with which %s", (int)pid, r->yama, how);
}

static int of_labels(const struct trace_rules *r, pid_t pid, struct err *e)
{
	AUTO_FREE char *its = text_shown(*r->its ? r->its : "unconfined"), *own = text_shown(*r->own ? r->own : "unconfined");

	if (strstr(r->its, " (") || strstr(r->own, " ("))
		return err_set(
			e, EPERM,
			"process %d may not be traced: AppArmor confines it (%s), or vmferry (%s), and the profile of each must have it as \"ptrace\" "
			"(the kernel's log has the rule that was missing: apparmor=\"DENIED\")",
			(int)pid, its, own);
	return err_set(
		e, EPERM,
		"process %d may not be traced: SELinux may forbid it (it is %s, vmferry is %s; ausearch -m AVC tells, and whether the boolean "
		"deny_ptrace is on, getsebool)",
		(int)pid, its, own);
}

int trace_refusal(const struct trace_rules *r, pid_t pid, int error, struct err *e)
{
	if (r->tracer)
		return err_set(e, EBUSY, "process %d is traced by process %d (a debugger?) already", (int)pid, (int)r->tracer);
	if (error != EPERM && error != EACCES)
		return err_sys(e, error, "process %d cannot be traced (ptrace)", (int)pid);
	if (r->yama > 2 || (r->yama && !r->has_right))
		return of_yama(r, pid, e);
	if (*r->its || *r->own)
		return of_labels(r, pid, e);
	return err_set(e, EPERM,
		       "process %d may not be traced: something forbids ptrace to vmferry, such as the filter of a container that it is in",
		       (int)pid);
}
