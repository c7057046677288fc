/* lv-xdr.c: see lv-xdr.h. Numbers are big-endian; values are padded to a multiple of four bytes. */
#include "lv-xdr.h"
#include "be.h"
#include "util.h"

#include <stdio.h>
#include <string.h>

static size_t padded(size_t n)
{
	return (n + 3) & ~(size_t)3;
}

struct lv_reader lv_reader_of(const void *p, size_t n)
{
	return (struct lv_reader){.p = p, .end = (const uint8_t *)p + n};
}

size_t lv_reader_left(const struct lv_reader *r)
{
	return r->bad ? 0 : (size_t)(r->end - r->p);
}

bool lv_reader_done(const struct lv_reader *r)
{
	return !r->bad && r->p == r->end;
}

/* Takes n bytes and their padding; NULL and bad if there are fewer. */
static const uint8_t *take(struct lv_reader *r, size_t n)
{
	const uint8_t *p = r->p;

	if (r->bad || padded(n) > lv_reader_left(r)) {
		r->bad = true;
		return NULL;
	}
	r->p += padded(n);
	return p;
}

uint32_t lv_read_u32(struct lv_reader *r)
{
	const uint8_t *p = take(r, 4);

	return p ? be32(p) : 0;
}

int32_t lv_read_i32(struct lv_reader *r)
{
	return (int32_t)lv_read_u32(r);
}

uint64_t lv_read_u64(struct lv_reader *r)
{
	const uint8_t *p = take(r, 8);

	return p ? be64(p) : 0;
}

const uint8_t *lv_read_opaque(struct lv_reader *r, size_t *n)
{
	const uint8_t *p;

	*n = lv_read_u32(r);
	if (*n > LV_STRING_MAX)
		r->bad = true;
	p = take(r, *n);
	if (!p)
		*n = 0;
	return p;
}

char *lv_read_string(struct lv_reader *r)
{
	size_t n;
	const uint8_t *p = lv_read_opaque(r, &n);

	if (p && memchr(p, 0, n)) {
		r->bad = true;
		return NULL;
	}
	return p ? xstrndup((const char *)p, n) : NULL;
}

char *lv_read_optional(struct lv_reader *r)
{
	uint32_t is_there = lv_read_u32(r);

	if (is_there > 1)
		r->bad = true;
	return is_there ? lv_read_string(r) : NULL;
}

void lv_read_uuid(struct lv_reader *r, uint8_t uuid[LV_UUID_LEN])
{
	const uint8_t *p = take(r, LV_UUID_LEN);

	if (p)
		memcpy(uuid, p, LV_UUID_LEN);
	else
		memset(uuid, 0, LV_UUID_LEN);
}

size_t lv_read_count(struct lv_reader *r, size_t max, size_t member_bytes)
{
	size_t count = lv_read_u32(r);

	if (count > max || count > lv_reader_left(r) / member_bytes)
		r->bad = true;
	return r->bad ? 0 : count;
}

void lv_writer_fini(struct lv_writer *w)
{
	free(w->data);
	*w = (struct lv_writer){0};
}

/* Makes room for n more bytes, padded with zeroes; NULL when bad. */
static uint8_t *grow(struct lv_writer *w, size_t n)
{
	uint8_t *p;

	if (w->bad || padded(n) > LV_MESSAGE_MAX - w->n) {
		w->bad = true;
		return NULL;
	}
	if (padded(n) > w->room - w->n) {
		w->room = MAX(MAX(w->room * 2, (size_t)256), w->n + padded(n));
		w->data = xrealloc(w->data, w->room);
	}
	p = w->data + w->n;
	w->n += padded(n);
	memset(p, 0, padded(n));
	return p;
}

void lv_write_u32(struct lv_writer *w, uint32_t v)
{
	uint8_t *p = grow(w, 4);

	if (p)
		put32(p, v);
}

void lv_write_u64(struct lv_writer *w, uint64_t v)
{
	uint8_t *p = grow(w, 8);

	if (p)
		put64(p, v);
}

void lv_write_bytes(struct lv_writer *w, const void *from, size_t n)
{
	uint8_t *p = grow(w, n);

	if (p && n)
		memcpy(p, from, n);
}

void lv_write_opaque(struct lv_writer *w, const void *p, size_t n)
{
	if (n > LV_STRING_MAX)
		w->bad = true;
	lv_write_u32(w, (uint32_t)n);
	lv_write_bytes(w, p, n);
}

void lv_write_string(struct lv_writer *w, const char *s)
{
	lv_write_opaque(w, s, strlen(s));
}

void lv_write_optional(struct lv_writer *w, const char *s)
{
	lv_write_u32(w, s != NULL);
	if (s)
		lv_write_string(w, s);
}

void lv_write_uuid(struct lv_writer *w, const uint8_t uuid[LV_UUID_LEN])
{
	lv_write_bytes(w, uuid, LV_UUID_LEN);
}

/* ---- UUIDs as text ---- */

#define UUID_TEXT 36

bool lv_uuid_parse(const char *text, uint8_t out[LV_UUID_LEN])
{
	size_t i, k = 0;

	if (strlen(text) != UUID_TEXT)
		return false;
	for (i = 0; i < UUID_TEXT; i += 2) {
		unsigned byte;
		char digits[3] = {0};

		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (text[i++] != '-')
				return false;
		}
		memcpy(digits, text + i, 2);
		if (strspn(digits, "0123456789abcdefABCDEF") != 2 || sscanf(digits, "%2x", &byte) != 1)
			return false;
		out[k++] = (uint8_t)byte;
	}
	return k == LV_UUID_LEN;
}
