/* cpu-use.h: how many processors a process uses, between two looks. */
#ifndef VMFERRY_CPU_USE_H
#define VMFERRY_CPU_USE_H

#include <stdint.h>
#include <sys/types.h>

struct cpu_use {
	pid_t pid; /* 0: not begun */
	uint64_t at_ns, ran_ns;
};

/* The first look; a second call changes nothing. */
void cpu_use_begin(struct cpu_use *u, pid_t pid);
/* 0: it was not begun, has ended, or cannot be told. */
double cpu_use_end(const struct cpu_use *u);

#endif
