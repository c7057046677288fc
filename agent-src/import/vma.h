/*
 * vma.h: an archive of Proxmox VE's (vzdump): a header with the guest's configuration and a list of its disks, and extents of what is on them, in
 * whatever order. A stream, read from its beginning to its end. Pure.
 *
 * The format: vma_spec.txt of Proxmox VE's QEMU. Digests of it are of headers alone: of what is on the disks the compression around it tells.
 */
#ifndef VMFERRY_IMPORT_VMA_H
#define VMFERRY_IMPORT_VMA_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VMA_MAGIC      "VMA" /* magic, and a zero */
#define VMA_DEVICES    256
#define VMA_DEVICE_MAX (64ULL << 40) /* bytes of a disk */
#define VMA_CLUSTER    65536u

struct vma_device {
	char *name; /* "drive-scsi0"; NULL: there is none of that number */
	uint64_t bytes;
	uint8_t *seen; /* a bit a cluster */
	uint64_t clusters;
};

struct vma {
	char *config; /* qemu-server.conf; NULL: it has none */
	size_t config_bytes;
	uint8_t uuid[16];
	struct vma_device devices[VMA_DEVICES];
};

/* Sets n bytes of to. 0; 1: the stream has ended before the first of them; -errno, also where it ends within. */
typedef int (*vma_read_fn)(void *ctx, void *to, size_t n, struct err *e);
/* Takes n bytes of a device, which are not all zeros. */
typedef int (*vma_write_fn)(void *ctx, unsigned device, uint64_t at, const uint8_t *p, size_t n, struct err *e);

/* 0; -EINVAL: it is no such archive, or damaged. vma_fini() whatever is returned. */
int vma_read_header(struct vma *v, vma_read_fn read, void *ctx, struct err *e);
/* Reads all extents that follow. 0; -EINVAL: the data is damaged or cut off; or what write() returns. */
int vma_read_extents(struct vma *v, vma_read_fn read, vma_write_fn write, void *ctx, struct err *e);
void vma_fini(struct vma *v);

#endif
