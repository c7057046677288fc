/*
 * nbd.h: an NBD client on a loop: reads, writes, zeroes, flushes and block status with many requests in flight.
 *
 * Follows the NBD protocol (github.com/NetworkBlockDevice/nbd doc/proto.md): fixed newstyle, NBD_OPT_GO,
 * structured replies where the server has them, meta contexts. One `struct nbd` is one connection over a unix
 * socket, used only in its loop's thread. Nothing the server says is trusted: a reply that breaks the protocol
 * ends the connection, and with it every request in flight.
 *
 * Requests. A `struct nbd_req` is embedded by the caller, who sets `done` and nothing else; it and the buffer
 * belong to the connection until done() is called, exactly once, from the loop (or from nbd_close), never from
 * inside the call that started the request. done() may start further requests, reuse the same one, free it, and
 * call nbd_close(). Replies come in any order. Any number of requests may be in flight.
 *
 * res is 0, the server's error (EPERM, EIO, ENOMEM, EINVAL, ENOSPC, EOVERFLOW, ENOTSUP, ESHUTDOWN, negative), or
 *   -EINVAL      the request lies outside the export, is empty or is longer than allowed; nothing was sent
 *   -EROFS       a change asked of a read-only export; nothing was sent
 *   -ENOTSUP     the export cannot do this (see nbd_info); nothing was sent
 *   -EPROTO      the server broke the protocol: connection lost
 *   -ECONNRESET  the server closed: connection lost
 *   -ECANCELED   nbd_close()
 * After a lost connection every later request ends with the same error; nbd_error() has the words.
 */
#ifndef VMFERRY_NBD_H
#define VMFERRY_NBD_H

#include "err.h"
#include "loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NBD_MAX_REQUEST	 (32u * 1024 * 1024)	   /* bytes in one read or write */
#define NBD_MAX_SPAN	 (2u * 1024 * 1024 * 1024) /* bytes in one zero or block status */
#define NBD_MAX_CONTEXTS 16			   /* meta contexts of one connection */
#define NBD_MAX_EXTENTS	 (16u * 1024 * 1024)	   /* merged extents nbd_map() is willing to hold */
#define NBD_MAX_NAME	 4096			   /* bytes in an export's or context's name (protocol's limit) */
#define NBD_MAX_PIECES	 8			   /* disjoint out-of-order pieces of one read's reply */

/* Extent flags: base:allocation, and qemu:dirty-bitmap:NAME. */
#define NBD_STATE_HOLE	1u
#define NBD_STATE_ZERO	2u
#define NBD_STATE_DIRTY 1u

struct nbd;

struct nbd_info {
	uint64_t size;
	bool read_only, can_zero, can_flush;
	uint32_t min_block, max_block; /* bytes; max_block limits one read or write */
	unsigned contexts;	       /* meta contexts of this connection */
};

struct nbd_extent {
	uint64_t offset, length;
	uint32_t flags;
};

typedef void nbd_extent_fn(void *arg, unsigned ctx, uint64_t offset, uint64_t length, uint32_t flags);

struct nbd_req {
	void (*done)(struct nbd_req *r, int res); /* 0 or -errno */
	/* the connection's */
	struct nbd_req *next;
	uint64_t cookie, offset;
	void *buf;
	nbd_extent_fn *extent;
	void *extent_arg;
	uint32_t len;
	uint16_t type;
	bool sent, replied;
	uint8_t npieces;
	uint16_t ctx_seen;
	int res;
	struct {
		uint32_t start, end;
	} piece[NBD_MAX_PIECES]; /* the parts of a read that have arrived: sorted, disjoint, not adjacent */
	unsigned char header[28];
};

/* Connects and negotiates, blocking at most timeout_ms. contexts: NULL-terminated meta contexts wanted
 * ("base:allocation", "qemu:dirty-bitmap:NAME"), NULL for none; one the server lacks is an error (ENOENT). */
int nbd_open(struct nbd **out, struct loop *l, const char *socket_path, const char *export_name, const char *const *contexts,
	     unsigned timeout_ms, struct err *e);
const struct nbd_info *nbd_info(const struct nbd *n);
/* Makes every later change end with -EROFS, as if the export were read-only. */
void nbd_set_read_only(struct nbd *n);
/* Drops the connection, as if the server had hung up: requests in flight complete from the loop. */
void nbd_drop(struct nbd *n);
/* The reason why the connection was lost; NULL while it works. */
const struct err *nbd_error(const struct nbd *n);
/* Disconnects politely if nothing is in flight, else drops; pending requests complete with -ECANCELED. When it
 * returns no op of this connection is pending (it pumps the loop if needed) and no done() is to come. NULL ok. */
void nbd_close(struct nbd *n);

/* Reads len bytes (1..min(NBD_MAX_REQUEST, max_block)) at offset straight into buf; holes are zero-filled. */
void nbd_read(struct nbd *n, struct nbd_req *r, void *buf, uint32_t len, uint64_t offset);
void nbd_write(struct nbd *n, struct nbd_req *r, const void *buf, uint32_t len, uint64_t offset);
/* Makes len bytes (1..NBD_MAX_SPAN) read as zero; the server may make them a hole. */
void nbd_zero(struct nbd *n, struct nbd_req *r, uint64_t offset, uint32_t len);
/* Flushes: every write that completed before this call is on stable storage when done(0) comes. */
void nbd_flush(struct nbd *n, struct nbd_req *r);
/* Block status of [offset, offset + len), len 1..NBD_MAX_SPAN: calls extent() for each extent in order, clipped to
 * the range, for each context (ctx: index in `contexts`) before done(). A server may answer for less than was
 * asked: ask again for the rest, per context. extent() must not call into this connection. */
void nbd_block_status(struct nbd *n, struct nbd_req *r, uint64_t offset, uint32_t len, nbd_extent_fn *extent, void *arg);

/* The extents of [from, end), bytes of the export, for one context, adjacent equal flags merged, in order, without gaps; *extents is
 * the caller's to free() (NULL when that is empty). Pumps l, the connection's loop, until it has them: requests of
 * NBD_MAX_SPAN, asking again after short replies. Nothing may nbd_close(n) meanwhile. */
int nbd_map(struct nbd *n, struct loop *l, unsigned ctx, uint64_t from, uint64_t end, struct nbd_extent **extents, size_t *count,
	    struct err *e);

#endif
