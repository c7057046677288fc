/*
 * nbd-wire.h: what an NBD server says and hears, byte by byte, for unit tests that play one: the words are here, when they are said is the
 * test's. NBD's doc/proto.md.
 */
#ifndef VMFERRY_TEST_NBD_WIRE_H
#define VMFERRY_TEST_NBD_WIRE_H

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define NBD_GREETING	  "NBDMAGICIHAVEOPT\0\3" /* fixed newstyle, no zeroes; 18 bytes, which the client answers by 4 */
#define NBD_OPTION_HEAD	  16			 /* bytes before an option's data */
#define NBD_REQUEST_BYTES 28

enum { NBD_OPT_GO = 7, NBD_OPT_STRUCTURED = 8, NBD_OPT_CONTEXT = 10 };
enum { NBD_REP_ACK = 1, NBD_REP_INFO = 3, NBD_REP_CONTEXT = 4 };
#define NBD_REP_UNSUPPORTED 0x80000001U
#define NBD_REP_UNKNOWN	    0x80000006U
enum { NBD_CMD_READ, NBD_CMD_DISC = 2, NBD_CMD_STATUS = 7 };
enum { NBD_CHUNK_NONE, NBD_CHUNK_DATA, NBD_CHUNK_HOLE, NBD_CHUNK_STATUS = 5 };
#define NBD_CHUNK_ERROR 0x8001

struct wire { /* bytes about to be sent */
	unsigned char b[320 * 1024];
	size_t n;
};

struct asked { /* a request as the server sees it */
	uint16_t flags, type;
	uint64_t cookie, offset;
	uint32_t len;
};

static inline void w_bytes(struct wire *w, const void *p, size_t len)
{
	if (len > sizeof(w->b) - w->n)
		abort();
	memcpy(w->b + w->n, p, len);
	w->n += len;
}

static inline void w16(struct wire *w, uint16_t v)
{
	v = htobe16(v);
	w_bytes(w, &v, sizeof(v));
}

static inline void w32(struct wire *w, uint32_t v)
{
	v = htobe32(v);
	w_bytes(w, &v, sizeof(v));
}

static inline void w64(struct wire *w, uint64_t v)
{
	v = htobe64(v);
	w_bytes(w, &v, sizeof(v));
}

static inline uint32_t nbd_u32(const unsigned char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return be32toh(v);
}

/* ---- the handshake ---- */

/* A reply to an option, with so many bytes behind it. */
static inline void w_option(struct wire *w, uint32_t option, uint32_t type, uint32_t len)
{
	w64(w, 0x0003e889045565a9ULL);
	w32(w, option);
	w32(w, type);
	w32(w, len);
}

static inline void w_context(struct wire *w, uint32_t id, const char *name)
{
	w_option(w, NBD_OPT_CONTEXT, NBD_REP_CONTEXT, (uint32_t)(4 + strlen(name)));
	w32(w, id);
	w_bytes(w, name, strlen(name));
}

/* The description of the export: one of the replies to NBD_OPT_GO. */
static inline void w_export(struct wire *w, uint64_t size, uint16_t flags)
{
	w_option(w, NBD_OPT_GO, NBD_REP_INFO, 12);
	w16(w, 0);
	w64(w, size);
	w16(w, flags);
}

/* ---- requests and replies ---- */

static inline void asked_decode(struct asked *a, const unsigned char h[NBD_REQUEST_BYTES])
{
	memcpy(&a->flags, h + 4, 2);
	memcpy(&a->type, h + 6, 2);
	memcpy(&a->cookie, h + 8, 8);
	memcpy(&a->offset, h + 16, 8);
	a->flags = be16toh(a->flags);
	a->type = be16toh(a->type);
	a->cookie = be64toh(a->cookie);
	a->offset = be64toh(a->offset);
	a->len = nbd_u32(h + 24);
}

static inline void w_simple(struct wire *w, uint64_t cookie, uint32_t error)
{
	w32(w, 0x67446698);
	w32(w, error);
	w64(w, cookie);
}

static inline void w_chunk(struct wire *w, uint64_t cookie, bool done, uint16_t type, uint32_t len)
{
	w32(w, 0x668e33ef);
	w16(w, done);
	w16(w, type);
	w64(w, cookie);
	w32(w, len);
}

static inline void w_content(struct wire *w, uint64_t cookie, bool done, uint64_t offset, uint32_t len, const void *p)
{
	w_chunk(w, cookie, done, NBD_CHUNK_DATA, len + 8);
	w64(w, offset);
	w_bytes(w, p, len);
}

static inline void w_hole(struct wire *w, uint64_t cookie, bool done, uint64_t offset, uint32_t len)
{
	w_chunk(w, cookie, done, NBD_CHUNK_HOLE, 12);
	w64(w, offset);
	w32(w, len);
}

static inline void w_error(struct wire *w, uint64_t cookie, uint32_t error)
{
	w_chunk(w, cookie, true, NBD_CHUNK_ERROR, 6);
	w32(w, error);
	w16(w, 0);
}

#endif
