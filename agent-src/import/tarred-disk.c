/* tarred-disk.c: see tarred-disk.h. The map of holes: GNU tar's manual, "Old GNU Format". */
#include "tarred-disk.h"
#include "util.h"

#include <errno.h>
#include <string.h>

#define READ_BYTES (1u << 20)

enum {
	SPARSE = 'S', /* the type of a member with a map */
	/* a header of such a one */
	AT_MAP = 386,
	AT_MORE = 482,
	AT_REAL_SIZE = 483,
	PIECES = 4,
	/* and one that goes on with its map */
	AT_MORE_BEHIND = 504,
	PIECES_BEHIND = 21,
	PIECE_BYTES = 24,
	NUMBER_BYTES = 12
};

struct piece {
	uint64_t at, n;
};

struct map {
	struct piece *pieces;
	size_t count;
	uint64_t end, all; /* of the last piece, and bytes of all */
};

struct stream {
	tarred_read_fn read;
	tarred_write_fn write;
	void *ctx;
	uint8_t *buf; /* READ_BYTES */
};

static bool is_disk(const struct tar_member *m)
{
	const char *name = strncmp(m->name, "./", 2) ? m->name : m->name + 2;

	return !*m->prefix && !strcmp(name, TARRED_DISK) && (m->type == '0' || !m->type || m->type == SPARSE);
}

static bool read_size(const uint8_t head[TAR_BLOCK], const struct tar_member *m, uint64_t *bytes)
{
	*bytes = m->size;
	return m->type != SPARSE || tar_number(head + AT_REAL_SIZE, NUMBER_BYTES, bytes);
}

bool tarred_disk_is(const uint8_t head[TAR_BLOCK], uint64_t *bytes)
{
	struct tar_member m;

	return tar_header_read(head, &m) == 1 && is_disk(&m) && read_size(head, &m, bytes);
}

static int read_all(struct stream *s, void *to, size_t n, struct err *e)
{
	int r = s->read(s->ctx, to, n, e);

	return r == 1 ? err_set(e, EINVAL, "it is cut off") : r;
}

/* ---- the map ---- */

/* Sets *ended where the map has no piece there. Only the last one may end within a block: it is not said how the next would begin. */
static int add_piece(struct map *m, const uint8_t *p, uint64_t bytes, bool *ended, struct err *e)
{
	struct piece piece;

	*ended = !p[NUMBER_BYTES];
	if (*ended)
		return 0;
	if (!tar_number(p, NUMBER_BYTES, &piece.at) || !tar_number(p + NUMBER_BYTES, NUMBER_BYTES, &piece.n))
		return err_set(e, EINVAL, "it is damaged: its map of holes has something that is no number");
	if (!piece.n && piece.at <= bytes) /* where the disk ends with a hole */
		return 0;
	if (piece.at < m->end || piece.at > bytes || piece.n > bytes - piece.at || m->all % TAR_BLOCK)
		return err_set(e, EINVAL, "it is damaged: in its map of holes %llu bytes at %llu are not in their place",
			       (unsigned long long)piece.n, (unsigned long long)piece.at);
	if (m->count == TARRED_PIECES_MAX)
		return err_set(e, EINVAL, "its map of holes has more than %u pieces: pack it without holes (tar without --sparse)",
			       TARRED_PIECES_MAX);
	if (!(m->count & (m->count - 1))) /* a power of two is full */
		m->pieces = xrealloc(m->pieces, (m->count ? 2 * m->count : 1) * sizeof(*m->pieces));
	m->pieces[m->count++] = piece;
	m->end = piece.at + piece.n;
	m->all += piece.n;
	return 0;
}

static int add_pieces(struct map *m, const uint8_t *p, size_t count, uint64_t bytes, struct err *e)
{
	bool ended = false;
	size_t i;
	int r = 0;

	for (i = 0; !r && !ended && i < count; i++)
		r = add_piece(m, p + i * PIECE_BYTES, bytes, &ended, e);
	return r;
}

/* Headers that go on for ever with pieces of no bytes are none of a disk's. */
static int read_map(struct map *m, const uint8_t head[TAR_BLOCK], uint64_t bytes, struct stream *s, struct err *e)
{
	int r = add_pieces(m, head + AT_MAP, PIECES, bytes, e), more = head[AT_MORE];
	uint8_t h[TAR_BLOCK];
	size_t i;

	for (i = 0; !r && more; i++) {
		r = i == TARRED_PIECES_MAX / PIECES_BEHIND ? err_set(e, EINVAL, "it is damaged: its map of holes does not end")
							   : read_all(s, h, sizeof(h), e);
		if (r)
			return r;
		r = add_pieces(m, h, PIECES_BEHIND, bytes, e);
		more = h[AT_MORE_BEHIND];
	}
	return r;
}

/* ---- the disk ---- */

static bool is_zero(const uint8_t *p, size_t n)
{
	return !n || (!*p && !memcmp(p, p + 1, n - 1));
}

static int copy_piece(struct stream *s, const struct piece *p, struct err *e)
{
	uint64_t done;
	size_t n;
	int r = 0;

	for (done = 0; !r && done < p->n; done += n) {
		n = (size_t)MIN(p->n - done, READ_BYTES);
		r = read_all(s, s->buf, n, e);
		if (!r && !is_zero(s->buf, n))
			r = s->write(s->ctx, p->at + done, s->buf, n, e);
	}
	return r;
}

static int copy_disk(struct stream *s, const uint8_t head[TAR_BLOCK], const struct tar_member *member, uint64_t bytes, struct err *e)
{
	struct map m = {.count = 0};
	const struct piece whole = {0, member->size};
	size_t i;
	int r = 0;

	if (member->type != SPARSE)
		return copy_piece(s, &whole, e);
	r = read_map(&m, head, bytes, s, e);
	if (!r && m.all != member->size)
		r = err_set(e, EINVAL, "it is damaged: its map of holes has %llu bytes that are none, and its header says %llu",
			    (unsigned long long)m.all, (unsigned long long)member->size);
	for (i = 0; !r && i < m.count; i++)
		r = copy_piece(s, &m.pieces[i], e);
	free(m.pieces);
	return r;
}

/* The archive must end, and is read to where its compression ends, whose digest is compared there. */
static int read_end(struct stream *s, uint64_t size, struct err *e)
{
	struct tar_member m;
	uint8_t h[TAR_BLOCK];
	int r = tar_padding(size) ? read_all(s, h, tar_padding(size), e) : 0;

	if (!r)
		r = read_all(s, h, sizeof(h), e);
	if (r)
		return r;
	r = tar_header_read(h, &m);
	if (r)
		return r < 0 ? err_set(e, EINVAL, "it is damaged: invalid tar header behind the disk")
			     : err_set(e, EINVAL, "it has '%.100s' behind %s: an image of Google Compute Engine's has the disk alone",
				       m.name, TARRED_DISK);
	do
		r = s->read(s->ctx, h, sizeof(h), e);
	while (!r);
	return r == 1 ? 0 : r;
}

int tarred_disk_read(uint64_t bytes, tarred_read_fn read, tarred_write_fn write, void *ctx, struct err *e)
{
	AUTO_FREE uint8_t *buf = xmalloc(READ_BYTES);
	struct stream s = {.read = read, .write = write, .ctx = ctx, .buf = buf};
	uint8_t head[TAR_BLOCK];
	struct tar_member m;
	uint64_t is;
	int r = read_all(&s, head, sizeof(head), e);

	if (r)
		return r;
	if (tar_header_read(head, &m) != 1 || !is_disk(&m) || !read_size(head, &m, &is) || is != bytes || m.size > bytes)
		return err_set(e, EINVAL, "it does not begin with %s, a disk of %llu bytes", TARRED_DISK, (unsigned long long)bytes);
	r = copy_disk(&s, head, &m, bytes, e);
	return r ? r : read_end(&s, m.size, e);
}
