/* trace-refusal.h: why a process may not be traced, in words that say what can be done. ptrace(2), "Ptrace access mode checking". */
#ifndef VMFERRY_TRACE_REFUSAL_H
#define VMFERRY_TRACE_REFUSAL_H

#include "err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define LABEL_MAX 128

/* Facts that decide whether a process may be traced. */
struct trace_rules {
	pid_t tracer;		 /* process that traces it; 0: none */
	int yama;		 /* kernel.yama.ptrace_scope; 0: or there is no Yama */
	bool has_right, is_root; /* CAP_SYS_PTRACE; this user */
	char own[LABEL_MAX];	 /* our profile of AppArmor's ("NAME (enforce)"), or SELinux's context; "": none */
	char its[LABEL_MAX];	 /* the process's profile or context; "": none */
};

void trace_rules_read(struct trace_rules *r, pid_t pid);
/* Fills e for an attempt that failed with that error; returns -errno. */
int trace_refusal(const struct trace_rules *r, pid_t pid, int error, struct err *e);

#endif
