/*
 * disk-write.h: where one disk's blocks go, as one data channel sees it: a raw file, or a writable NBD export of the
 * destination QEMU (which keeps any other format). One vtable, one file per kind.
 */
#ifndef VMFERRY_DISK_WRITE_H
#define VMFERRY_DISK_WRITE_H

#include "err.h"
#include "loop.h"
#include "nbd.h"

#define DISK_ALIGN 4096

struct disk_out;

/* One request; embedded by the caller, who keeps buf until done. */
struct disk_req {
	void (*done)(struct disk_req *r, int res); /* 0 or -errno; from the loop */
	/* private */
	struct disk_out *out;
	struct op op;
	struct nbd_req nbd;
	const uint8_t *buf;
	uint64_t offset;
	uint32_t bytes, written;
};

struct disk_out_ops {
	void (*write)(struct disk_out *o, struct disk_req *r);
	void (*zero)(struct disk_out *o, struct disk_req *r);
	void (*sync)(struct disk_out *o, struct disk_req *r);
	void (*close)(struct disk_out *o);
};

struct disk_out {
	const struct disk_out_ops *ops;
	struct loop *loop;
};

/* path: a raw file that exists at its final size. Written past the page cache where that is possible. */
int disk_out_raw(struct disk_out **out, struct loop *l, const char *path, struct err *e);
int disk_out_nbd(struct disk_out **out, struct loop *l, const char *socket, const char *export_name, struct err *e);

/* buf: aligned to DISK_ALIGN. */
void disk_out_write(struct disk_out *o, struct disk_req *r, const uint8_t *buf, uint32_t bytes, uint64_t offset);
/* Reads as zero afterwards, and is a hole where that can be. bytes ≤ 2 MiB. */
void disk_out_zero(struct disk_out *o, struct disk_req *r, uint64_t offset, uint32_t bytes);
void disk_out_sync(struct disk_out *o, struct disk_req *r);
void disk_out_close(struct disk_out *o);

#endif
