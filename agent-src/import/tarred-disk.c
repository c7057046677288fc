/* tarred-disk.c: see tarred-disk.h. The map of holes: GNU tar's manual, "Old GNU Format" and "PAX Format, Version 1.0". */
#include "tarred-disk.h"
#include "pax.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define READ_BYTES (1u << 20)

enum {
	SPARSE = 'S', /* the type of a member with a map */
	/* a header of such a one */
	AT_MAP = 386,
	AT_MORE = 482,
	AT_REAL_SIZE = 483,
	PIECES = 4,
	/* offset of the flag that another header goes on with the map */
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
	uint64_t end, all; /* end of the last piece, and bytes of all pieces */
};

struct stream {
	tarred_read_fn read;
	tarred_write_fn write;
	void *ctx;
	uint8_t *buf; /* READ_BYTES */
};

/* Everything of a member before its contents. */
struct head {
	struct tar_member m;
	uint64_t size, bytes;	       /* bytes of its contents in the archive, and of the disk */
	char name[TAR_NAME_MAX + 1];   /* "": as the member is called */
	bool has_size, has_map_within; /* has_map_within: the contents begin with the map */
	uint64_t real_size, major;
};

static bool is_disk(const struct head *h)
{
	const char *said = *h->name ? h->name : h->m.name, *name = strncmp(said, "./", 2) ? said : said + 2;

	return (*h->name || !*h->m.prefix) && !strcmp(name, TARRED_DISK) && (h->m.type == '0' || !h->m.type || h->m.type == SPARSE);
}

static int take_record(struct head *h, const char *key, const char *value, struct err *e)
{
	uint64_t minor;

	if (!strcmp(key, "path") && !*h->name)
		snprintf(h->name, sizeof(h->name), "%s", value);
	if (!strcmp(key, "size")) {
		h->has_size = true;
		return pax_number(value, &h->size, e);
	}
	if (strncmp(key, "GNU.sparse.", 11))
		return 0;
	h->has_map_within = true;
	key += 11;
	if (!strcmp(key, "name"))
		snprintf(h->name, sizeof(h->name), "%s", value);
	else if (!strcmp(key, "realsize"))
		return pax_number(value, &h->real_size, e);
	else if (!strcmp(key, "major"))
		return pax_number(value, &h->major, e);
	else if (strcmp(key, "minor") != 0 || pax_number(value, &minor, e) || minor)
		return err_set(e, EINVAL, "the map of holes is of a version that is not known");
	return 0;
}

static bool read_records(struct head *h, const uint8_t *p, size_t n)
{
	AUTO_FREE char *text = xcalloc(1, n + 1);
	const char *key, *value;
	struct err ignored;
	char *at = text;
	int r;

	memcpy(text, p, n);
	while ((r = pax_next(&at, text + n, &key, &value, &ignored)) == 1)
		if (take_record(h, key, value, &ignored))
			return false;
	return !r && (!h->has_map_within || h->major == 1);
}

/* Bytes of the header that this block begins, with the one behind an extended one. */
static size_t head_bytes(const uint8_t *p)
{
	struct tar_member m;
	bool is_extended = tar_header_read(p, &m) == 1 && m.type == 'x' && m.size < TARRED_HEAD;

	return is_extended ? TAR_BLOCK + m.size + tar_padding(m.size) + TAR_BLOCK : TAR_BLOCK;
}

static bool read_head(struct head *h, const uint8_t *p, size_t n)
{
	size_t all = n < TAR_BLOCK ? TAR_BLOCK : head_bytes(p);

	*h = (struct head){.size = 0};
	if (n < all || all > TARRED_HEAD || tar_header_read(p, &h->m) != 1)
		return false;
	if (all > TAR_BLOCK && (!read_records(h, p + TAR_BLOCK, h->m.size) || tar_header_read(p + all - TAR_BLOCK, &h->m) != 1))
		return false;
	if (!h->has_size)
		h->size = h->m.size;
	h->bytes = h->has_map_within ? h->real_size : h->size;
	return is_disk(h) && (h->m.type != SPARSE || tar_number(p + all - TAR_BLOCK + AT_REAL_SIZE, NUMBER_BYTES, &h->bytes)) &&
	       !(h->has_map_within && h->m.type == SPARSE);
}

bool tarred_disk_is(const uint8_t *head, size_t n, uint64_t *bytes)
{
	struct head h;
	bool is = read_head(&h, head, n);

	*bytes = h.bytes;
	return is;
}

static int read_all(struct stream *s, void *to, size_t n, struct err *e)
{
	int r = s->read(s->ctx, to, n, e);

	return r == 1 ? err_set(e, EINVAL, "cut off") : r;
}

/* ---- the map ---- */

/* Adds a piece. Only the last one may end within a block, as nothing says how the next one would begin. */
static int add_piece(struct map *m, struct piece piece, uint64_t bytes, struct err *e)
{
	if (!piece.n && piece.at <= bytes) /* where the disk ends with a hole */
		return 0;
	if (piece.at < m->end || piece.at > bytes || piece.n > bytes - piece.at || m->all % TAR_BLOCK)
		return err_set(e, EINVAL, "damaged: in its map of holes %llu bytes at %llu are not in their place",
			       (unsigned long long)piece.n, (unsigned long long)piece.at);
	if (m->count == TARRED_PIECES_MAX)
		return err_set(e, EINVAL, "the map of holes has more than %u pieces: pack it without holes (tar without --sparse)",
			       TARRED_PIECES_MAX);
	if (!(m->count & (m->count - 1))) /* a power of two is full */
		m->pieces = xrealloc(m->pieces, (m->count ? 2 * m->count : 1) * sizeof(*m->pieces));
	m->pieces[m->count++] = piece;
	m->end = piece.at + piece.n;
	m->all += piece.n;
	return 0;
}

static int not_a_number(struct err *e)
{
	return err_set(e, EINVAL, "damaged: its map of holes has something that is no number");
}

static int add_pieces(struct map *m, const uint8_t *p, size_t count, uint64_t bytes, struct err *e)
{
	int r = 0;

	for (size_t i = 0; !r && i < count && p[NUMBER_BYTES]; i++, p += PIECE_BYTES) { /* a piece without a length is none */
		struct piece piece;

		if (!tar_number(p, NUMBER_BYTES, &piece.at) || !tar_number(p + NUMBER_BYTES, NUMBER_BYTES, &piece.n))
			return not_a_number(e);
		r = add_piece(m, piece, bytes, e);
	}
	return r;
}

/* Headers that go on for ever with pieces of no bytes are none of a disk's. */
static int read_map(struct map *m, const uint8_t head[TAR_BLOCK], uint64_t bytes, struct stream *s, struct err *e)
{
	int r = add_pieces(m, head + AT_MAP, PIECES, bytes, e), more = head[AT_MORE];
	uint8_t h[TAR_BLOCK];

	for (size_t i = 0; !r && more; i++) {
		r = i == TARRED_PIECES_MAX / PIECES_BEHIND ? err_set(e, EINVAL, "damaged: its map of holes does not end")
							   : read_all(s, h, sizeof(h), e);
		if (r)
			return r;
		r = add_pieces(m, h, PIECES_BEHIND, bytes, e);
		more = h[AT_MORE_BEHIND];
	}
	return r;
}

/* Decimal numbers, a line each, at the beginning of the member: how many pieces there are, and where and how long each is. They end with their block. */
struct lines {
	struct stream *s;
	uint8_t block[TAR_BLOCK];
	size_t at;	/* position in the block */
	uint64_t taken; /* bytes of the member */
};

static int next_number(struct lines *l, uint64_t *out, struct err *e)
{
	char digits[21];
	size_t n = 0;
	int r;

	for (;;) {
		if (l->at == TAR_BLOCK) {
			r = read_all(l->s, l->block, TAR_BLOCK, e);
			if (r)
				return r;
			l->at = 0;
			l->taken += TAR_BLOCK;
		}
		if (n == sizeof(digits))
			return not_a_number(e);
		digits[n++] = (char)l->block[l->at++];
		if (digits[n - 1] == '\n')
			break;
	}
	digits[n - 1] = '\0';
	return pax_number(digits, out, e) ? not_a_number(e) : 0;
}

static int read_map_within(struct map *m, const struct head *h, struct stream *s, uint64_t *taken, struct err *e)
{
	struct lines l = {.s = s, .at = TAR_BLOCK};
	uint64_t count, i;
	int r = next_number(&l, &count, e);

	for (i = 0; !r && i < count; i++) {
		struct piece piece;

		r = next_number(&l, &piece.at, e) ?: next_number(&l, &piece.n, e);
		if (!r && l.taken > h->size)
			r = err_set(e, EINVAL, "damaged: its map of holes is longer than what has it");
		r = r ?: add_piece(m, piece, h->bytes, e);
	}
	*taken = l.taken;
	return r;
}

/* ---- the disk ---- */

static int copy_piece(struct stream *s, const struct piece *p, struct err *e)
{
	size_t n;
	int r = 0;

	for (uint64_t done = 0; !r && done < p->n; done += n) {
		n = (size_t)MIN(p->n - done, READ_BYTES);
		r = read_all(s, s->buf, n, e);
		if (!r && !bytes_are_zero(s->buf, n))
			r = s->write(s->ctx, p->at + done, s->buf, n, e);
	}
	return r;
}

/* block: its header, without an extended one before it. */
static int copy_disk(struct stream *s, const uint8_t block[TAR_BLOCK], const struct head *h, struct err *e)
{
	struct map m = {.count = 0};
	const struct piece whole = {0, h->size};
	uint64_t taken = 0;
	int r;

	if (h->m.type != SPARSE && !h->has_map_within)
		return copy_piece(s, &whole, e);
	r = h->has_map_within ? read_map_within(&m, h, s, &taken, e) : read_map(&m, block, h->bytes, s, e);
	if (!r && m.all != h->size - taken)
		r = err_set(e, EINVAL, "damaged: its map of holes has %llu bytes that are none, and its header says %llu",
			    (unsigned long long)m.all, (unsigned long long)(h->size - taken));
	for (size_t i = 0; !r && i < m.count; i++)
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

	r = r ?: read_all(s, h, sizeof(h), e);
	if (r)
		return r;
	r = tar_header_read(h, &m);
	if (r)
		return r < 0 ? err_set(e, EINVAL, "damaged: invalid tar header behind the disk")
			     : err_set(e, EINVAL,
				       "the archive has '%.100s' behind %s: an image of Google Compute Engine's has the disk alone", m.name,
				       TARRED_DISK);
	do
		r = s->read(s->ctx, h, sizeof(h), e);
	while (!r);
	return r == 1 ? 0 : r;
}

int tarred_disk_read(uint64_t bytes, tarred_read_fn read, tarred_write_fn write, void *ctx, struct err *e)
{
	AUTO_FREE uint8_t *buf = xmalloc(READ_BYTES);
	struct stream s = {.read = read, .write = write, .ctx = ctx, .buf = buf};
	uint8_t begin[TARRED_HEAD];
	struct head h;
	size_t n = TAR_BLOCK;
	int r = read_all(&s, begin, n, e);

	if (!r && head_bytes(begin) > n && head_bytes(begin) <= sizeof(begin)) {
		n = head_bytes(begin);
		r = read_all(&s, begin + TAR_BLOCK, n - TAR_BLOCK, e);
	}
	if (r)
		return r;
	if (!read_head(&h, begin, n) || h.bytes != bytes || (!h.has_map_within && h.size > bytes))
		return err_set(e, EINVAL, "the archive does not begin with %s, a disk of %llu bytes", TARRED_DISK,
			       (unsigned long long)bytes);
	return copy_disk(&s, begin + n - TAR_BLOCK, &h, e) ?: read_end(&s, h.size, e);
}
