/*
 * qemu-cpu.h: what CPU a QEMU gives its guest, as far as it must be the same after a move.
 */
#ifndef VMFERRY_QEMU_CPU_H
#define VMFERRY_QEMU_CPU_H

#include "err.h"
#include "qmp.h"

/* Of the first CPU, a new reference: {"vendor": "GenuineIntel", "words": {"7.0.EBX": bits, …}}, by CPUID's input (EAX and ECX, decimal)
 * and register; or as qemu_cpu_names() where those words do not tell all. A CPU without a vendor (not x86) has "". */
int qemu_cpu(struct qmp *q, json_t **out, struct err *e);
/* Nothing in the guest's words is missing in the host's, which may have more. */
bool qemu_cpu_covers(const json_t *guest, const json_t *host);

/* {"vendor": "GenuineIntel", "features": [names of the CPU's boolean properties that are true]}; a new reference. only: of these
 * features (names), NULL: of all, which takes a while, as QEMU is asked for each. */
int qemu_cpu_names(struct qmp *q, const json_t *only, json_t **out, struct err *e);
/* The features of guest that host lacks, both as of qemu_cpu_names(); a new reference to an array of strings. */
json_t *qemu_cpu_missing(const json_t *guest, const json_t *host);

#endif
