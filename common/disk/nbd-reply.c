/*
 * nbd-reply.c: parses an NBD server's simple and structured replies as bytes arrive: nbd-private.h. No I/O.
 *
 * Headers go through a small stage; data of a read is received into the reader's own buffer. Nothing that the server says is
 * trusted: a reply that breaks the protocol ends the connection.
 */
#include "nbd-private.h"
#include "be.h"
#include "log.h"
#include "peer-error.h"
#include "util.h"

#include <errno.h>
#include <string.h>

#define NBD_SIMPLE_MAGIC 0x67446698u
#define NBD_CHUNK_MAGIC	 0x668e33efu
enum { NBD_CHUNK_NONE = 0, NBD_CHUNK_DATA = 1, NBD_CHUNK_HOLE = 2, NBD_CHUNK_STATUS = 5 };
#define NBD_CHUNK_ERROR 0x8000u /* bit set in every error's type */
#define NBD_CHUNK_DONE	1u

#define SIMPLE_SIZE	 16		       /* size of a simple reply's header */
#define CHUNK_SIZE	 20		       /* size of a structured reply chunk's header */
#define DATA_HEADER	 (CHUNK_SIZE + 8)      /* including the offset of a data chunk */
#define ERROR_CHUNK_MAX	 (6 + 4096 + 8)	       /* payload of an error chunk: code, length, text, offset */
#define STATUS_CHUNK_MAX (4 + 8 * 1024 * 1024) /* payload of a block status chunk: 1 Mi extents */

/* The protocol's error numbers, which happen to be Linux's; unlisted ones mean EINVAL. */
static int errno_of(uint32_t error)
{
	static const int known[] = {EPERM, EIO, ENOMEM, EINVAL, ENOSPC, EOVERFLOW, EOPNOTSUPP, ESHUTDOWN};

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (error == (uint32_t)known[i])
			return known[i];
	return EINVAL;
}

/* Notes that [start, end) of r has arrived. False: some of it already had, or it came in too many pieces. */
static bool piece_add(struct nbd_req *r, uint32_t start, uint32_t end)
{
	unsigned i = 0, k;
	bool left, right;

	while (i < r->npieces && r->piece[i].end < start)
		i++;
	left = i < r->npieces && r->piece[i].end == start;
	k = left ? i + 1 : i;
	if (k < r->npieces && r->piece[k].start < end)
		return false;
	right = k < r->npieces && r->piece[k].start == end;
	if (left && right) {
		r->piece[i].end = r->piece[k].end;
		memmove(&r->piece[k], &r->piece[k + 1], (--r->npieces - k) * sizeof(r->piece[0]));
	} else if (left) {
		r->piece[i].end = end;
	} else if (right) {
		r->piece[k].start = start;
	} else {
		if (r->npieces == NBD_MAX_PIECES)
			return false;
		memmove(&r->piece[i + 1], &r->piece[i], (r->npieces++ - i) * sizeof(r->piece[0]));
		r->piece[i].start = start;
		r->piece[i].end = end;
	}
	return true;
}

static size_t unread(const struct nbd *n)
{
	return n->rx.end - n->rx.pos;
}

/* The parser below works in steps: 1: made progress; 0: needs rx.want bytes in the stage; <0: connection lost. */

static int want(struct nbd *n, size_t bytes)
{
	n->rx.want = bytes;
	return 0;
}

/* r's last chunk is complete. A success must have brought all that was asked for. */
static int end_of_reply(struct nbd *n, struct nbd_req *r)
{
	bool whole = true;

	if (r->type == NBD_CMD_READ)
		whole = r->npieces == 1 && r->piece[0].start == 0 && r->piece[0].end == r->len;
	else if (r->type == NBD_CMD_BLOCK_STATUS)
		whole = r->ctx_seen == (1u << n->session.info.contexts) - 1;
	if (!r->res && !whole)
		return nbd_lose(n, EPROTO, "the NBD server's reply ends before all of it came");
	nbd_replied(n, r, r->res);
	return 1;
}

static int end_of_chunk(struct nbd *n, struct nbd_req *r)
{
	n->rx.state = RX_HEADER;
	n->rx.req = NULL;
	return n->rx.last ? end_of_reply(n, r) : 1;
}

static int begin_data(struct nbd *n, struct nbd_req *r, uint32_t start, uint32_t len)
{
	if (!piece_add(r, start, start + len))
		return nbd_lose(n, EPROTO, "the NBD server sent a part of a read twice, or in too many pieces");
	n->rx.state = RX_DATA;
	n->rx.req = r;
	n->rx.ptr = (unsigned char *)r->buf + start;
	n->rx.left = len;
	return 1;
}

static int parse_simple(struct nbd *n, const unsigned char *p)
{
	uint32_t error = be32(p + 4);
	struct nbd_req *r = nbd_find(n, be64(p + 8));

	if (!r)
		return nbd_lose(n, EPROTO, "the NBD server replied to a request that does not exist");
	n->rx.pos += SIMPLE_SIZE;
	n->rx.last = true;
	if (error) {
		nbd_replied(n, r, -errno_of(error));
		return 1;
	}
	if (r->type == NBD_CMD_BLOCK_STATUS || (r->type == NBD_CMD_READ && n->session.structured))
		return nbd_lose(n, EPROTO, "the NBD server sent a simple reply where a structured one is due");
	return r->type == NBD_CMD_READ ? begin_data(n, r, 0, r->len) : end_of_reply(n, r);
}

/* Finds where in r a chunk's [offset, offset + len) lies; false: not within it. */
static bool within(const struct nbd_req *r, uint64_t offset, uint64_t len, uint32_t *start)
{
	if (!len || offset < r->offset || offset - r->offset > r->len || len > r->len - (offset - r->offset))
		return false;
	*start = (uint32_t)(offset - r->offset);
	return true;
}

static int parse_data(struct nbd *n, struct nbd_req *r, const unsigned char *p, uint32_t len)
{
	uint32_t start;

	if (r->type != NBD_CMD_READ || len <= 8)
		return nbd_lose(n, EPROTO, "the NBD server sent a data chunk of %u bytes where none is due", len);
	if (unread(n) < DATA_HEADER)
		return want(n, DATA_HEADER);
	if (!within(r, be64(p + CHUNK_SIZE), len - 8, &start))
		return nbd_lose(n, EPROTO, "the NBD server sent data outside of the request");
	n->rx.pos += DATA_HEADER;
	return begin_data(n, r, start, len - 8);
}

static int parse_hole(struct nbd *n, struct nbd_req *r, const unsigned char *p, uint32_t len)
{
	uint32_t start, size;

	if (r->type != NBD_CMD_READ || len != 12)
		return nbd_lose(n, EPROTO, "the NBD server sent a hole chunk of %u bytes where none is due", len);
	if (unread(n) < CHUNK_SIZE + 12)
		return want(n, CHUNK_SIZE + 12);
	size = be32(p + CHUNK_SIZE + 8);
	if (!within(r, be64(p + CHUNK_SIZE), size, &start))
		return nbd_lose(n, EPROTO, "the NBD server sent a hole outside of the request");
	if (!piece_add(r, start, start + size))
		return nbd_lose(n, EPROTO, "the NBD server sent a part of a read twice, or in too many pieces");
	memset((char *)r->buf + start, 0, size);
	n->rx.pos += CHUNK_SIZE + 12;
	return end_of_chunk(n, r);
}

static int parse_status(struct nbd *n, struct nbd_req *r, const unsigned char *p, uint32_t len)
{
	unsigned ctx;

	if (r->type != NBD_CMD_BLOCK_STATUS || len < 12 || len > STATUS_CHUNK_MAX || (len - 4) % 8)
		return nbd_lose(n, EPROTO, "the NBD server sent a block status chunk of %u bytes where none is due", len);
	if (unread(n) < CHUNK_SIZE + 4)
		return want(n, CHUNK_SIZE + 4);
	for (ctx = 0; ctx < n->session.info.contexts && n->session.context_id[ctx] != be32(p + CHUNK_SIZE); ctx++)
		;
	if (ctx == n->session.info.contexts || (r->ctx_seen & 1u << ctx))
		return nbd_lose(n, EPROTO, "the NBD server sent block status of a context not asked for, or twice");
	r->ctx_seen |= (uint16_t)(1u << ctx);
	n->rx.pos += CHUNK_SIZE + 4;
	n->rx.state = RX_EXTENTS;
	n->rx.req = r;
	n->rx.ctx = ctx;
	n->rx.offset = r->offset;
	n->rx.left = len - 4;
	return 1;
}

static int parse_error(struct nbd *n, struct nbd_req *r, const unsigned char *p, uint32_t len)
{
	uint32_t text_len;
	char text[200];

	if (len < 6 || len > ERROR_CHUNK_MAX)
		return nbd_lose(n, EPROTO, "the NBD server sent an error chunk of %u bytes", len);
	if (unread(n) < CHUNK_SIZE + len)
		return want(n, CHUNK_SIZE + len);
	p += CHUNK_SIZE;
	text_len = be16(p + 4);
	if (!be32(p) || text_len > len - 6)
		return nbd_lose(n, EPROTO, "the NBD server sent a malformed error chunk");
	peer_words(text, sizeof(text), (struct slice){p + 6, text_len});
	log_debug("nbd: request type %u at %llu failed at the server: error %u %s", r->type, (unsigned long long)r->offset, be32(p), text);
	if (!r->res)
		r->res = -errno_of(be32(p));
	n->rx.pos += CHUNK_SIZE + len;
	return end_of_chunk(n, r);
}

static int parse_chunk(struct nbd *n, const unsigned char *p)
{
	struct nbd_req *r;
	unsigned type;
	uint32_t len;

	if (unread(n) < CHUNK_SIZE)
		return want(n, CHUNK_SIZE);
	type = be16(p + 6);
	len = be32(p + 16);
	n->rx.last = be16(p + 4) & NBD_CHUNK_DONE;
	r = nbd_find(n, be64(p + 8));
	if (!r)
		return nbd_lose(n, EPROTO, "the NBD server replied to a request that does not exist");
	if (type & NBD_CHUNK_ERROR)
		return parse_error(n, r, p, len);
	if (type == NBD_CHUNK_DATA)
		return parse_data(n, r, p, len);
	if (type == NBD_CHUNK_HOLE)
		return parse_hole(n, r, p, len);
	if (type == NBD_CHUNK_STATUS)
		return parse_status(n, r, p, len);
	if (type != NBD_CHUNK_NONE || len || !n->rx.last)
		return nbd_lose(n, EPROTO, "the NBD server sent a chunk of unknown type %u and %u bytes", type, len);
	n->rx.pos += CHUNK_SIZE;
	return end_of_chunk(n, r);
}

static int step_header(struct nbd *n)
{
	const unsigned char *p = n->rx.stage + n->rx.pos;

	if (unread(n) < SIMPLE_SIZE)
		return want(n, SIMPLE_SIZE);
	if (be32(p) == NBD_SIMPLE_MAGIC)
		return parse_simple(n, p);
	if (be32(p) == NBD_CHUNK_MAGIC && n->session.structured)
		return parse_chunk(n, p);
	return nbd_lose(n, EPROTO, "the NBD server's reply does not start like one (%#x)", be32(p));
}

/* Takes data that came through the stage with a header; the rest is received in place. */
static int step_data(struct nbd *n)
{
	size_t have = MIN(unread(n), (size_t)n->rx.left);

	memcpy(n->rx.ptr, n->rx.stage + n->rx.pos, have);
	n->rx.pos += have;
	n->rx.ptr += have;
	n->rx.left -= (uint32_t)have;
	return n->rx.left ? want(n, 0) : end_of_chunk(n, n->rx.req);
}

static int step_extent(struct nbd *n)
{
	struct nbd_req *r = n->rx.req;
	uint64_t left = r->offset + r->len - n->rx.offset;
	const unsigned char *p = n->rx.stage + n->rx.pos;
	uint64_t len;

	if (!n->rx.left)
		return end_of_chunk(n, r);
	if (unread(n) < 8)
		return want(n, 8);
	len = be32(p);
	if (!len || !left)
		return nbd_lose(n, EPROTO, "the NBD server sent an empty extent, or one outside of the request");
	len = MIN(len, left); /* the last extent may go on behind the request */
	r->extent(r->extent_arg, n->rx.ctx, n->rx.offset, len, be32(p + 4));
	n->rx.offset += len;
	n->rx.left -= 8;
	n->rx.pos += 8;
	return 1;
}

static int step(struct nbd *n)
{
	switch (n->rx.state) {
	case RX_HEADER:
		return step_header(n);
	case RX_DATA:
		return step_data(n);
	case RX_EXTENTS:
		return step_extent(n);
	}
	return 0;
}

void nbd_reply_room(struct nbd *n)
{
	size_t room;

	memmove(n->rx.stage, n->rx.stage + n->rx.pos, unread(n));
	n->rx.end -= n->rx.pos;
	n->rx.pos = 0;
	room = STAGE_SIZE - n->rx.end;
	if (n->slots.reads_in_flight)
		room = MIN(room, n->rx.want > n->rx.end ? n->rx.want - n->rx.end : (size_t)DATA_HEADER);
	n->rx.iov[0] = (struct iovec){n->rx.ptr, n->rx.state == RX_DATA ? n->rx.left : 0};
	n->rx.iov[1] = (struct iovec){n->rx.stage + n->rx.end, room};
}

void nbd_reply_take(struct nbd *n, size_t bytes)
{
	size_t direct = MIN(bytes, n->rx.iov[0].iov_len);

	if (direct) {
		n->rx.ptr += direct;
		n->rx.left -= (uint32_t)direct;
	}
	n->rx.end += bytes - direct;
	while (step(n) > 0)
		;
}
