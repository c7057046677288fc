/*
 * disk-io.h: a disk at either end of a move: a raw file or a block device (disk-io-raw.c), or an export of QEMU's NBD server, which
 * handles all other formats (disk-io-nbd.c). A new kind needs another such file, a member of disk_at, and a line in disk_io_open.
 *
 * Asynchronous on a loop, and used only in its thread. A `struct disk_req` is embedded by the caller, who sets `done` and nothing
 * else; it and the buffer belong to the disk until done() is called: exactly once, from the loop (or from disk_io_close), never from
 * inside the call that started it. done() may start further requests, reuse or free this one, and close the disk. Requests end in
 * any order, and any number may be in flight.
 *
 * res is 0 or a negative errno, among them
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

#define DISK_ALIGN	 4096		       /* bytes: aligned requests bypass the page cache, in files where that is possible */
#define DISK_REQUEST_MAX NBD_MAX_REQUEST       /* bytes of one read or write */
#define DISK_ZERO_MAX	 NBD_MAX_SPAN	       /* bytes of one zero */
#define DISK_FILL_MAX	 (2U * 1024 * 1024)    /* bytes of one fill */
#define DISK_EXTENTS_MAX (2 * NBD_MAX_EXTENTS) /* extents in a map: those of two contexts, crossed */

struct disk_map;

/* A disk's location, and how to use it. */
struct disk_at {
	const char *path;	 /* path of the file or block device, which has its final size; or of the NBD server's socket */
	const char *export_name; /* name of the server's export; NULL: a file or block device */
	/* NBD: the metadata context whose value is 1 for the ranges that a map selects: a dirty bitmap ("qemu:dirty-bitmap:NAME"), or
	 * qemu:allocation-depth (this image, without those below); NULL: everything. */
	const char *select;
	unsigned depth; /* number of images from the top that are selected, for qemu:allocation-depth; 0: the top one alone */
	bool writable;	/* an NBD export that is writable has no map */
	bool cached;	/* a file, open for reading, that nobody writes to: it may be read from the page cache */
	bool again;	/* a file, open for reading, all of which is read more than once: the page cache keeps it until it is closed */
	bool stays;   /* a file, open for reading, that is soon read again, also after closing: a local file system's page cache keeps it */
	bool gathers; /* a file, open for writing and allocated, that gets many scattered small writes: the page cache collects them */
	bool pads;    /* a file that ends within a sector, open for reading: the rest of that sector reads as zero */
	/* Size, when it was examined, of a file that is open for reading and that another process writes to. The file is read up to
	 * there, and as zeros where it has become shorter. 0: the file keeps its size. */
	uint64_t was_bytes;
	const struct disk_map *map; /* map that replaces the holes of a file open for reading; NULL: the holes. It must outlive the disk */
};

#define DISK_SECTOR 512

/* The size of a disk that holds so many bytes of a file. */
static inline uint64_t disk_padded(uint64_t bytes)
{
	return (bytes + DISK_SECTOR - 1) & ~(uint64_t)(DISK_SECTOR - 1);
}

/* The properties of an open disk. */
struct disk_caps {
	uint64_t size;	      /* bytes */
	uint32_t align;	      /* a power of two; unaligned requests work, too, but cost more */
	uint32_t max_request; /* bytes of one read or write */
	bool read_only;
	bool can_punch; /* zeroed ranges may become holes; false as soon as that was refused */
	bool can_map;	/* a map shows holes; else it is one extent of data */
	bool selects;	/* the disk was opened with `select`, and has it */
	bool can_share; /* blocks can be shared with files of its file system; false as soon as that was refused */
};

enum disk_content {
	DISK_DATA,
	DISK_ZERO, /* allocated, and reads as zero */
	DISK_HOLE, /* range that is not allocated, and reads as zero */
};

struct disk_extent {
	uint64_t offset, length;
	enum disk_content content; /* DISK_DATA for anything that a dirty bitmap does not select */
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

/* The functions that a kind of disk implements. The request is filled in, and not yet checked. */
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

/* Opens a disk. Blocks, for an NBD handshake at most 10 s. The strings need not outlive the call. */
int disk_io_open(struct disk_io **out, struct loop *l, const struct disk_at *at, struct err *e);
/* Fills *m, for disk_map_free(); it is empty after an error. Pumps the loop; nothing may close d meanwhile. If the disk changes
 * meanwhile, each part of the map was true at some moment. */
int disk_io_map(struct disk_io *d, struct disk_map *m, struct err *e);
void disk_map_free(struct disk_map *m);
void disk_io_read(struct disk_io *d, struct disk_req *r, void *buf, uint32_t bytes, uint64_t offset);
void disk_io_write(struct disk_io *d, struct disk_req *r, const void *buf, uint32_t bytes, uint64_t offset);
/* Makes the range read as zero, and a hole where possible. */
void disk_io_zero(struct disk_io *d, struct disk_req *r, uint64_t offset, uint32_t bytes);
/* Fills the range with allocated zeros, at most DISK_FILL_MAX bytes, as if it was preallocated or written with zeros. */
void disk_io_fill(struct disk_io *d, struct disk_req *r, uint64_t offset, uint32_t bytes);
/* Makes the range share its blocks with `from`, if the file system can share blocks between files (FICLONERANGE). Takes effect at once,
 * without a request. -errno: the caller must write the range. */
int disk_io_share(struct disk_io *to, struct disk_io *from, uint64_t offset, uint32_t bytes);
/* Syncs the disk: every write and zero that completed before this call is on stable storage when done(0) comes. */
void disk_io_sync(struct disk_io *d, struct disk_req *r);
/* The reason why all further requests fail (the connection is lost); NULL while they may succeed. */
const struct err *disk_io_error(const struct disk_io *d);
/* Closes the disk. Requests in flight end first, with -ECANCELED unless the kernel is already at work on them. Pumps the loop. NULL ok. */
void disk_io_close(struct disk_io *d);

/* ---- for the kinds ---- */

extern const uint8_t disk_zeros[DISK_FILL_MAX]; /* aligned to DISK_ALIGN */

int disk_io_open_raw(struct disk_io **out, struct loop *l, const struct disk_at *at, struct err *e);
int disk_io_open_nbd(struct disk_io **out, struct loop *l, const struct disk_at *at, struct err *e);
/* Appends an extent to m, joined with the last one if they are alike. */
int disk_map_add(struct disk_map *m, uint64_t length, enum disk_content content, bool selected, struct err *e);

#endif
