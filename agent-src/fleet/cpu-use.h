/* cpu-use.h: measures how many processors a process uses between two looks. */
#ifndef VMFERRY_CPU_USE_H
#define VMFERRY_CPU_USE_H

#include <stdint.h>
#include <sys/types.h>

struct cpu_use {
	pid_t pid; /* 0: not started */
	uint64_t at_ns, ran_ns;
};

/* Takes the first look; a second call does nothing. */
void cpu_use_begin(struct cpu_use *u, pid_t pid);
/* Processors in use; 0: not started, process ended, or not known. */
double cpu_use_end(const struct cpu_use *u);

#endif
