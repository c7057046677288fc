/* cursor.c: see cursor.h. */
#include "cursor.h"

#include <string.h>

struct reader reader_of(const void *p, size_t n)
{
	return (struct reader){.p = p, .end = (const uint8_t *)p + n};
}

struct slice read_bytes(struct reader *r, size_t n)
{
	struct slice s = {NULL, 0};

	if (r->bad || (size_t)(r->end - r->p) < n) {
		r->bad = true;
		return s;
	}
	s.p = r->p;
	s.n = n;
	r->p += n;
	return s;
}

static uint64_t read_le(struct reader *r, unsigned n)
{
	struct slice s = read_bytes(r, n);
	uint64_t v = 0;

	for (unsigned i = 0; i < s.n; i++)
		v |= (uint64_t)s.p[i] << (8 * i);
	return v;
}

uint8_t read_u8(struct reader *r)
{
	return (uint8_t)read_le(r, 1);
}

uint16_t read_u16(struct reader *r)
{
	return (uint16_t)read_le(r, 2);
}

uint32_t read_u32(struct reader *r)
{
	return (uint32_t)read_le(r, 4);
}

uint64_t read_u64(struct reader *r)
{
	return read_le(r, 8);
}

uint64_t read_varint(struct reader *r)
{
	uint64_t v = 0;
	uint8_t b;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		b = read_u8(r);
		if (shift == 63 && b > 1)
			break;
		v |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80))
			return r->bad ? 0 : v;
	}
	r->bad = true;
	return 0;
}

size_t reader_left(const struct reader *r)
{
	return r->bad ? 0 : (size_t)(r->end - r->p);
}

struct writer writer_of(void *p, size_t n)
{
	return (struct writer){.start = p, .p = p, .end = (uint8_t *)p + n};
}

void write_bytes(struct writer *w, const void *p, size_t n)
{
	if (w->bad || (size_t)(w->end - w->p) < n) {
		w->bad = true;
		return;
	}
	if (n)
		memcpy(w->p, p, n);
	w->p += n;
}

static void write_le(struct writer *w, uint64_t v, unsigned n)
{
	uint8_t b[8];

	for (unsigned i = 0; i < n; i++)
		b[i] = (uint8_t)(v >> (8 * i));
	write_bytes(w, b, n);
}

void write_u8(struct writer *w, uint8_t v)
{
	write_le(w, v, 1);
}

void write_u16(struct writer *w, uint16_t v)
{
	write_le(w, v, 2);
}

void write_u32(struct writer *w, uint32_t v)
{
	write_le(w, v, 4);
}

void write_u64(struct writer *w, uint64_t v)
{
	write_le(w, v, 8);
}

void write_varint(struct writer *w, uint64_t v)
{
	do {
		write_u8(w, (uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0)));
		v >>= 7;
	} while (v);
}

size_t writer_len(const struct writer *w)
{
	return (size_t)(w->p - w->start);
}

size_t writer_left(const struct writer *w)
{
	return w->bad ? 0 : (size_t)(w->end - w->p);
}
