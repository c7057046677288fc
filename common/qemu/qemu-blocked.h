/* qemu-blocked.h: what a QEMU cannot migrate of the guest that it has, as it says itself (query-migrate, since 6.0). */
#ifndef VMFERRY_QEMU_BLOCKED_H
#define VMFERRY_QEMU_BLOCKED_H

#include "qmp.h"

/* A sentence of each of its reasons, in words of any QEMU of that version: a new reference to an array of strings. info: what query-migrate said. */
json_t *qemu_blocked(const struct qmp *q, const json_t *info);
/* Only of devices whose state this QEMU can neither give nor take; the other reasons are none to one that waits for a guest. */
json_t *qemu_blocked_devices(const struct qmp *q, const json_t *info);

#endif
