/* process-status.h: what the kernel says of a process in /proc/PID/status (proc_pid_status(5)). */
#ifndef VMFERRY_PROCESS_STATUS_H
#define VMFERRY_PROCESS_STATUS_H

#include <stddef.h>
#include <sys/types.h>

/*
 * The value of a line, cut to what fits; pid: 0 of our own, or that of a thread. out is "" unless 0 is returned. -ESRCH: it has no such line, or has ended;
 * -errno: that cannot be told.
 */
int process_status(pid_t pid, const char *key, char *out, size_t size);

#endif
