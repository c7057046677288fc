/* messages.c: see messages.h. */
#include "messages.h"
#include "xxh.h"

#include <errno.h>
#include <string.h>

#define CHECKSUM_AT 20

struct slice slice_of(const char *s)
{
	return (struct slice){(const uint8_t *)s, strlen(s)};
}

static void write_str(struct writer *w, struct slice s)
{
	if (s.n > MSG_STR_MAX)
		s.n = MSG_STR_MAX;
	write_u16(w, (uint16_t)s.n);
	write_bytes(w, s.p, s.n);
}

static struct slice read_str(struct reader *r)
{
	size_t n = read_u16(r);

	if (n > MSG_STR_MAX)
		r->bad = true;
	return read_bytes(r, n);
}

static void read_id(struct reader *r, uint8_t id[16])
{
	struct slice s = read_bytes(r, 16);

	if (s.n)
		memcpy(id, s.p, 16);
	else
		memset(id, 0, 16);
}

#define U8(f)	write_u8(w, m->f);
#define U16(f)	write_u16(w, m->f);
#define U32(f)	write_u32(w, m->f);
#define U64(f)	write_u64(w, m->f);
#define ID(f)	write_bytes(w, m->f, 16);
#define STR(f)	write_str(w, m->f);
#define REST(f) write_bytes(w, m->f.p, m->f.n);
#define MESSAGE(NAME, name, number, fields)                                                                                                \
	void msg_##name##_encode(struct writer *w, const struct msg_##name *m)                                                             \
	{                                                                                                                                  \
		fields                                                                                                                     \
	}
#include "messages.def"
#undef MESSAGE
#undef U8
#undef U16
#undef U32
#undef U64
#undef ID
#undef STR
#undef REST

#define U8(f)	m->f = read_u8(&r);
#define U16(f)	m->f = read_u16(&r);
#define U32(f)	m->f = read_u32(&r);
#define U64(f)	m->f = read_u64(&r);
#define ID(f)	read_id(&r, m->f);
#define STR(f)	m->f = read_str(&r);
#define REST(f) m->f = read_bytes(&r, reader_left(&r));
#define MESSAGE(NAME, name, number, fields)                                                                                                \
	int msg_##name##_decode(struct msg_##name *m, const uint8_t *p, size_t n)                                                          \
	{                                                                                                                                  \
		struct reader r = reader_of(p, n);                                                                                         \
		fields return r.bad || reader_left(&r) ? -EPROTO : 0;                                                                      \
	}
#include "messages.def"
#undef MESSAGE

const char *msg_name(uint16_t type)
{
	switch (type) {
#define MESSAGE(NAME, name, number, fields)                                                                                                \
	case number:                                                                                                                       \
		return #NAME;
#include "messages.def"
#undef MESSAGE
	}
	return NULL;
}

static void header_put(struct writer *w, const struct frame_header *h, uint64_t checksum)
{
	write_u16(w, h->type);
	write_u16(w, h->summed);
	write_u32(w, h->channel);
	write_u64(w, h->sequence);
	write_u32(w, h->length);
	write_u64(w, checksum);
}

/* The number of bytes that the checksum covers. Contents have digests of their own (END), so they need none here. */
static size_t summed(const struct frame_header *h)
{
	bool some = h->summed && h->summed < h->length && (h->type == MSG_DATA || h->type == MSG_DATA_ALSO);

	return FRAME_HEADER_BYTES + (some ? (size_t)h->summed : h->length);
}

void frame_seal(uint8_t *buf, const struct frame_header *h)
{
	struct writer w = writer_of(buf, FRAME_HEADER_BYTES);

	header_put(&w, h, 0);
	w = writer_of(buf + CHECKSUM_AT, 8);
	write_u64(&w, XXH3_64bits(buf, summed(h)));
}

int frame_header_decode(struct frame_header *h, const uint8_t buf[FRAME_HEADER_BYTES])
{
	struct reader r = reader_of(buf, FRAME_HEADER_BYTES);

	h->type = read_u16(&r);
	h->summed = read_u16(&r);
	h->channel = read_u32(&r);
	h->sequence = read_u64(&r);
	h->length = read_u32(&r);
	h->checksum = read_u64(&r);
	return h->length > FRAME_PAYLOAD_MAX ? -EPROTO : 0;
}

bool frame_intact(uint8_t *buf, const struct frame_header *h)
{
	uint64_t sum;

	memset(buf + CHECKSUM_AT, 0, 8);
	sum = XXH3_64bits(buf, summed(h));
	struct writer w = writer_of(buf + CHECKSUM_AT, 8);
	write_u64(&w, h->checksum);
	return sum == h->checksum;
}

bool runs_put(struct writer *w, uint64_t *at, uint64_t start, uint64_t length)
{
	if (writer_left(w) < 20)
		return false;
	write_varint(w, start - *at);
	write_varint(w, length);
	*at = start + length;
	return true;
}

int runs_get(struct reader *r, uint64_t *at, uint64_t limit, uint64_t *start, uint64_t *length)
{
	uint64_t gap, n;

	if (!reader_left(r))
		return r->bad ? -EPROTO : 0;
	gap = read_varint(r);
	n = read_varint(r);
	if (r->bad || !n || gap > limit - *at || n > limit - *at - gap)
		return -EPROTO;
	*start = *at + gap;
	*length = n;
	*at = *start + n;
	return 1;
}
