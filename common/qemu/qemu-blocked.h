/* qemu-blocked.h: the reasons for which a QEMU cannot migrate its guest, as it reports them itself (query-migrate, since 6.0). */
#ifndef VMFERRY_QEMU_BLOCKED_H
#define VMFERRY_QEMU_BLOCKED_H

#include "qmp.h"

/* A sentence for each reason, which names QEMU's version: a new reference to an array of strings. info: the answer to query-migrate. */
json_t *qemu_blocked(const struct qmp *q, const json_t *info);
/* Returns only the reasons about devices whose state this QEMU can neither save nor load: the others do not concern a QEMU that waits for a
 * guest. */
json_t *qemu_blocked_devices(const struct qmp *q, const json_t *info);

#endif
