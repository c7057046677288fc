/*
 * virtio-rings.h: how long the rings of a QEMU's virtio devices are. A QEMU that gives a device shorter ones than the guest uses cannot
 * load the guest's state: QEMU 10.0.13 makes all of them 1024 entries long, whatever the command line says, and QEMU 11.1 makes them as
 * told.
 *
 * QEMU's commands for this are for its developers, and dangerous: x-query-virtio-status ends QEMU 11.1.3, and x-query-virtio-queue-status
 * stops the ring of a vhost-user device. So the first is never used, and only a QEMU of a version that was tried is asked, about devices
 * that QEMU itself serves.
 */
#ifndef VMFERRY_VIRTIO_RINGS_H
#define VMFERRY_VIRTIO_RINGS_H

#include "err.h"
#include "qmp.h"

/*
 * An array of {"device": "virtio-blk", "path": QEMU's object path, "entries": [of each ring]}, a new reference.
 * virtio_rings_used: as long as the guest has them, asked of the guest's QEMU; NULL unless that is known to make them too long, and is safe to
 * ask.
 * virtio_rings_longest: as long as they can be, asked of a QEMU that has no guest yet.
 * An error is one of the monitor: no answer.
 */
int virtio_rings_used(struct qmp *q, json_t **rings, struct err *e);
int virtio_rings_longest(struct qmp *q, json_t **rings, struct err *e);
/* A sentence about the first ring of used that is too long for the same one of longest, malloc'ed; NULL: there is none. used comes from a
 * peer. */
char *virtio_rings_misfit(const json_t *used, const json_t *longest);

#endif
