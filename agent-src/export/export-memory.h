/*
 * export-memory.h: a running guest's memory, written to a file by its QEMU while it runs; and the moment at the end of that, in which QEMU has
 * stopped it, for its disks.
 *
 * A guest without KVM stands all the time: QEMU's TCG does not always note what is written meanwhile, and would leave it out.
 *
 * A process of its own (the guard) wakes the guest if we die in that moment, and puts back what was changed of QEMU's settings; it does
 * nothing to a guest that somebody else has stopped. From the first change to the last an exporter that is stopped (SIGSTOP) for
 * GUARD_STOPPED_S is killed by it: QEMU stops the guest by itself as soon as its memory is written.
 */
#ifndef VMFERRY_EXPORT_MEMORY_H
#define VMFERRY_EXPORT_MEMORY_H

#include "export-live.h"

bool memory_stops_first(const struct guest *g);
/* 0, or why QEMU cannot do it. */
int memory_check(struct live *x, struct err *e);
/*
 * Writes to that file, which is ours, at most rate bytes a second (0: as fast as can be), until the guest stands; at_rest, which is called then with
 * all disks active, begins what is to be of that moment; and lets the guest run on in any case. 0; -errno: it runs on, unless x->stands.
 */
int memory_copy(struct live *x, const char *file, uint64_t rate, int (*at_rest)(void *ctx, struct err *e), void *ctx, struct err *e);

#endif
