/*
 * qcow2-end.h: how far the compressed clusters of a qcow2 image reach. qemu-img check and map do not say: a file that ends within such a cluster looks
 * whole to both.
 */
#ifndef VMFERRY_QCOW2_END_H
#define VMFERRY_QCOW2_END_H

#include "err.h"

#include <stddef.h>
#include <stdint.h>

/* Reads n bytes of the image at that place, all of them. 0 or -errno. */
typedef int (*qcow2_read_fn)(void *ctx, void *to, size_t n, uint64_t at, struct err *e);

/*
 * Sets *end to where the last sector of compressed data begins (0: there is none), in a file of size bytes: behind that sector's beginning there is at
 * least one byte. Tables that are not where they may be are passed over, as qemu-img check finds these. 0; -errno: read failed.
 */
int qcow2_compressed_end(qcow2_read_fn read, void *ctx, uint64_t size, uint64_t *end, struct err *e);

#endif
