/*
 * qemu-cpu.h: what CPU a QEMU gives its guest, as far as it must be the same after a move.
 */
#ifndef VMFERRY_QEMU_CPU_H
#define VMFERRY_QEMU_CPU_H

#include "err.h"
#include "qmp.h"

/* {"vendor": "GenuineIntel", "features": [names of the CPU's boolean properties that are true]} of the first CPU; a new
 * reference. A CPU without a vendor (not x86) has "". only: of these features (names), NULL: of all, which takes a while, as QEMU
 * is asked for each. */
int qemu_cpu(struct qmp *q, const json_t *only, json_t **out, struct err *e);
/* The features of guest that host lacks, both as of qemu_cpu(); a new reference to an array of strings. */
json_t *qemu_cpu_missing(const json_t *guest, const json_t *host);

#endif
