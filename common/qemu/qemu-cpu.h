/*
 * qemu-cpu.h: what CPU a QEMU gives its guest, as far as it must be the same after a move.
 */
#ifndef VMFERRY_QEMU_CPU_H
#define VMFERRY_QEMU_CPU_H

#include "err.h"
#include "qmp.h"

/* The first CPU, a new reference: {"vendor": "GenuineIntel", "words": {"7.0.EBX": bits, …}, "numbers": {"phys-bits": 40, …}}. A word is
 * named after CPUID's input (EAX and ECX, decimal) and register. The vendor of a CPU without one (not x86) is "". */
int qemu_cpu(struct qmp *q, json_t **cpu, struct err *e);
/* True if the CPU has features that its CPUID words do not show. */
bool qemu_cpu_needs_names(const json_t *cpu);
/* Adds "features": [names of the CPU's boolean properties that are true]. only: the features (names) to ask for; NULL: all, which takes a
 * while, as QEMU is asked for each. */
int qemu_cpu_names(struct qmp *q, const json_t *only, json_t *cpu, struct err *e);
/* The features of guest that host lacks, for people: a new reference to an array of strings. They are compared by name if guest has names;
 * host then needs no other names than guest's. */
json_t *qemu_cpu_missing(const json_t *guest, const json_t *host);

#endif
