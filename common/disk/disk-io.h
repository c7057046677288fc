/*
 * disk-io.h: a disk at either end of a move, whatever holds it: a raw file or a block device (disk-io-raw.c), an export of QEMU's
 * NBD server, which keeps any other format (disk-io-nbd.c). Another kind is another such file, a member of disk_at, and a line in
 * disk_io_open.
 *
 * Asynchronous on a loop, and used only in its thread. A `struct disk_req` is embedded by the caller, who sets `done` and nothing
 * else; it and the buffer belong to the disk until done() is called: exactly once, from the loop (or from disk_io_close), never from
 * inside the call that started it. done() may start further requests, reuse or free this one, and close the disk. Requests end in
 * any order, and any number may be in flight.
 *
 * res is 0 or the negative of what stood in the way, among them
 *   -EINVAL     the request lies beyond the end, is empty, or longer than caps says; nothing was done
 *   -EROFS      a change of a disk that is open for reading; nothing was done
 *   -EIO        a read that found the file's end before the disk's, a write that wrote nothing, the disk's own error
 *   -ECANCELED  disk_io_close
 * and for an NBD export those of nbd.h.
 */
#ifndef VMFERRY_DISK_IO_H
#define VMFERRY_DISK_IO_H

#include "err.h"
#include "loop.h"
#include "nbd.h"

#define DISK_ALIGN	 4096		       /* bytes: what is aligned to it passes the page cache, in files where that is possible */
#define DISK_REQUEST_MAX NBD_MAX_REQUEST       /* bytes of one read or write */
#define DISK_ZERO_MAX	 NBD_MAX_SPAN	       /* bytes of one zero */
#define DISK_FILL_MAX	 (2U * 1024 * 1024)    /* bytes of one fill */
#define DISK_EXTENTS_MAX (2 * NBD_MAX_EXTENTS) /* of a map: those of two contexts, crossed */

struct disk_map;

/* Where a disk is. */
struct disk_at {
	const char *path;	 /* of the file or block device, which has its final size; or of the NBD server's socket */
	const char *export_name; /* of that server; NULL: a file or block device */
	/* NBD: the metadata context whose value is 1 for what a map is to select: a dirty bitmap ("qemu:dirty-bitmap:NAME"), or
	 * qemu:allocation-depth (this image, without those below); NULL: everything. */
	const char *select;
	unsigned depth; /* with qemu:allocation-depth: so many images from the top are selected; 0: the top one alone */
	bool writable;	/* NBD: then it has no map */
	bool cached;	/* a file, open for reading, that nobody writes to: what of it is in the page cache may come from there */
	bool again;	/* a file, open for reading, all of which is read more than once: the page cache keeps it until it is closed */
	bool stays; /* a file, open for reading, that is soon read again, also when it is open no more: likewise, on a local file system, for good */
	bool gathers; /* a file, open for writing, that gets many small writes all over it: the page cache puts them together. There is room for them already */
	bool pads; /* a file that ends within a sector, open for reading: the rest of that sector reads as zero */
	/* The size that a file had when it was looked at, open for reading, to which somebody writes: it is read up to there, and as zeros
	 * where it has become shorter. 0: the file keeps its size. */
	uint64_t was_bytes;
	const struct disk_map *map; /* of a file, open for reading: its map in place of its holes; NULL: those. Stays until it is closed */
};

#define DISK_SECTOR 512

/* The size of a disk that holds so many bytes of a file. */
static inline uint64_t disk_padded(uint64_t bytes)
{
	return (bytes + DISK_SECTOR - 1) & ~(uint64_t)(DISK_SECTOR - 1);
}

/* What this disk is, and what it can do. */
struct disk_caps {
	uint64_t size;	      /* bytes */
	uint32_t align;	      /* a power of two; what is no multiple of it is done, too, but costs more than its bytes */
	uint32_t max_request; /* bytes of one read or write */
	bool read_only;
	bool can_punch; /* what is zeroed may become a hole; false as soon as that has been refused */
	bool can_map;	/* a map shows holes; else it is one extent of data */
	bool selects;	/* it was opened with `select`, and has it */
	bool can_share; /* with others of its file system; false as soon as that has been refused */
};

enum disk_content {
	DISK_DATA,
	DISK_ZERO, /* allocated, and reads as zero */
	DISK_HOLE, /* not allocated, and reads as zero */
};

struct disk_extent {
	uint64_t offset, length;
	enum disk_content content; /* of what a dirty bitmap does not select: DISK_DATA, whatever it is */
	bool selected;
};

/* The whole disk, in order, without gaps; no two neighbours are alike. */
struct disk_map {
	struct disk_extent *extent;
	size_t count;
};

struct disk_io;

struct disk_req {
	void (*done)(struct disk_req *r, int res); /* 0 or -errno */
	/* the disk's; done() may read these two */
	uint64_t offset;
	uint32_t bytes;
	/* private */
	struct disk_io *io;
	uint8_t *buf;
	struct nbd_req nbd;
	struct op op;
	struct iovec iov;
	uint32_t moved; /* bytes of it that are done */
	bool reads;
	int res;
};

/* What a kind of disk implements. The request is filled in, and not yet checked. */
struct disk_io_ops {
	int (*map)(struct disk_io *d, struct disk_map *m, struct err *e);
	void (*read)(struct disk_io *d, struct disk_req *r);
	void (*write)(struct disk_io *d, struct disk_req *r);
	void (*zero)(struct disk_io *d, struct disk_req *r);
	void (*fill)(struct disk_io *d, struct disk_req *r);
	void (*sync)(struct disk_io *d, struct disk_req *r);
	int (*share)(struct disk_io *to, struct disk_io *from, uint64_t offset, uint32_t bytes); /* NULL: it cannot */
	const struct err *(*error)(const struct disk_io *d);
	void (*close)(struct disk_io *d);
};

struct disk_io {
	const struct disk_io_ops *ops;
	struct loop *loop;
	struct disk_caps caps;
};

/* Blocks, an NBD handshake at most 10 s. The strings are needed only meanwhile. */
int disk_io_open(struct disk_io **out, struct loop *l, const struct disk_at *at, struct err *e);
/* Fills *m, for disk_map_free(); it is empty after an error. Pumps the loop; nothing may close d meanwhile. A disk that changes at the
 * same time gives a map of what was there at some time. */
int disk_io_map(struct disk_io *d, struct disk_map *m, struct err *e);
void disk_map_free(struct disk_map *m);
void disk_io_read(struct disk_io *d, struct disk_req *r, void *buf, uint32_t bytes, uint64_t offset);
void disk_io_write(struct disk_io *d, struct disk_req *r, const void *buf, uint32_t bytes, uint64_t offset);
/* Reads as zero afterwards, and is a hole where that can be. */
void disk_io_zero(struct disk_io *d, struct disk_req *r, uint64_t offset, uint32_t bytes);
/* Zeros, at most DISK_FILL_MAX bytes, that have their blocks: as one that was preallocated, or written with zeros. */
void disk_io_fill(struct disk_io *d, struct disk_req *r, uint64_t offset, uint32_t bytes);
/* The range has what it has in `from` in this moment, and where the file system can share its blocks between files, none is written (FICLONERANGE).
 * At once, without a request. -errno: the range is to be written. */
int disk_io_share(struct disk_io *to, struct disk_io *from, uint64_t offset, uint32_t bytes);
/* What was written and zeroed, and done before this call, is on stable storage when done(0) comes. */
void disk_io_sync(struct disk_io *d, struct disk_req *r);
/* Why no request succeeds any more (the connection is lost); NULL while they may. */
const struct err *disk_io_error(const struct disk_io *d);
/* Requests in flight end first, with -ECANCELED unless the kernel is already at work on them: it pumps the loop. NULL ok. */
void disk_io_close(struct disk_io *d);

/* ---- for the kinds ---- */

extern const uint8_t disk_zeros[DISK_FILL_MAX]; /* aligned to DISK_ALIGN */

int disk_io_open_raw(struct disk_io **out, struct loop *l, const struct disk_at *at, struct err *e);
int disk_io_open_nbd(struct disk_io **out, struct loop *l, const struct disk_at *at, struct err *e);
/* Behind what m has, to which it is joined if they are alike. */
int disk_map_add(struct disk_map *m, uint64_t length, enum disk_content content, bool selected, struct err *e);

#endif
