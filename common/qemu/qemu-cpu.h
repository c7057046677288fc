/*
 * qemu-cpu.h: what CPU a QEMU gives its guest, as far as it must be the same after a move.
 */
#ifndef VMFERRY_QEMU_CPU_H
#define VMFERRY_QEMU_CPU_H

#include "err.h"
#include "qmp.h"

/* Of the first CPU, a new reference: {"vendor": "GenuineIntel", "words": {"7.0.EBX": bits, …}, "numbers": {"phys-bits": 40, …}}. Words
 * are called by CPUID's input (EAX and ECX, decimal) and register. A CPU without a vendor (not x86) has "". */
int qemu_cpu(struct qmp *q, json_t **cpu, struct err *e);
/* Its words do not tell all. */
bool qemu_cpu_needs_names(const json_t *cpu);
/* Adds to it "features": [names of the CPU's boolean properties that are true]. only: of these features (names), NULL: of all, which
 * takes a while, as QEMU is asked for each. */
int qemu_cpu_names(struct qmp *q, const json_t *only, json_t *cpu, struct err *e);
/* What guest has that host lacks, for people: a new reference to an array of strings. By names, if the guest's are there; the host's
 * need not be more than these. */
json_t *qemu_cpu_missing(const json_t *guest, const json_t *host);

#endif
