/*
 * xva.h: an archive of XenServer's and XCP-ng's: a tar with the guest's description (ova.xml) and, for each disk, a folder Ref:NUMBER of blocks, whose
 * names are their numbers. Blocks of zeros are left out; behind each is its digest (.checksum: SHA-1; .xxhash: XXH64). A stream, read from its
 * beginning to its end. Pure. The format: ocaml/xapi/vm-import-export of xen-api.
 */
#ifndef VMFERRY_IMPORT_XVA_H
#define VMFERRY_IMPORT_XVA_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define XVA_CONFIG     "ova.xml"  /* the first member */
#define XVA_CONFIG_MAX (4u << 20) /* bytes */
#define XVA_BLOCK_MAX  (64u << 20)
#define XVA_HEAD       512u
#define XVA_DISKS_MAX  128

/* Sets n bytes of to. 0; 1: the stream has ended before the first of them; -errno, also where it ends within. */
typedef int (*xva_read_fn)(void *ctx, void *to, size_t n, struct err *e);
/* Takes n bytes of a disk, which are not all zeros. */
typedef int (*xva_write_fn)(void *ctx, unsigned disk, uint64_t at, const uint8_t *p, size_t n, struct err *e);

struct xva_disk {
	unsigned number; /* number of its folder */
	uint64_t bytes;	 /* size that its guest sees */
	uint64_t block;	 /* bytes of its first one: that of each, but for the last; 0: none has come */
	uint64_t next;	 /* the lowest number that a block may have */
	bool is_ended;	 /* the last one has come, which is there also if it is all zeros */
};

struct xva {
	struct xva_disk disks[XVA_DISKS_MAX]; /* disks that are wanted */
	size_t disk_count;
	uint8_t *last; /* the block that waits for its digest */
	size_t last_bytes, last_disk;
	uint64_t last_number;
	bool has_last;
};

/* True if a file that begins so is an XVA. */
bool xva_is(const uint8_t head[XVA_HEAD]);
/* Reads the description, a text of *n bytes; malloc'ed. 0; -EINVAL: it is no such archive, or damaged. */
int xva_read_config(char **config, size_t *n, xva_read_fn read, void *ctx, struct err *e);
/* Reads all disks from the beginning. 0; -EINVAL: the data is damaged or cut off; or what write() returns. Call xva_fini() whatever is
 * returned. */
int xva_read_disks(struct xva *x, xva_read_fn read, xva_write_fn write, void *ctx, struct err *e);
void xva_fini(struct xva *x);

#endif
