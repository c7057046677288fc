/* journal-record.c: see journal-record.h. */
#include "journal-record.h"
#include "journal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define VERSION 1

static void put_le(uint8_t *p, uint64_t v, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t get_le(const uint8_t *p, unsigned bytes)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < bytes; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

size_t record_bytes(size_t payload_bytes)
{
	return (RECORD_HEADER_BYTES + payload_bytes + 7) & ~(size_t)7;
}

static uint64_t checksum(const uint8_t head[8], const uint8_t *payload, size_t len)
{
	XXH3_state_t *s = XXH3_createState();
	uint64_t sum;

	if (!s)
		abort();
	XXH3_64bits_reset(s);
	XXH3_64bits_update(s, head, 8);
	XXH3_64bits_update(s, payload, len);
	sum = XXH3_64bits_digest(s);
	XXH3_freeState(s);
	return sum;
}

void record_encode(uint8_t *out, enum record_kind kind, const char *text, size_t len)
{
	put_le(out, len, 4);
	put_le(out + 4, kind, 2);
	put_le(out + 6, VERSION, 2);
	memcpy(out + RECORD_HEADER_BYTES, text, len);
	put_le(out + 8, checksum(out, out + RECORD_HEADER_BYTES, len), 8);
}

bool record_decode(const uint8_t *p, size_t left, struct record *r)
{
	const uint8_t *payload;
	uint64_t len, kind;

	if (left < RECORD_HEADER_BYTES)
		return false;
	payload = p + RECORD_HEADER_BYTES;
	len = get_le(p, 4);
	kind = get_le(p + 4, 2);
	if (!len || len > JOURNAL_PAYLOAD_MAX || record_bytes(len) > left || kind < K_BEGIN || kind > K_NOTE ||
	    get_le(p + 6, 2) != VERSION || get_le(p + 8, 8) != checksum(p, payload, len))
		return false;
	*r = (struct record){.kind = (enum record_kind)kind, .payload = payload, .len = len};
	return true;
}

int record_replay(const uint8_t *buf, size_t size, const char *path, size_t *end, bool *torn,
		  int (*fn)(void *arg, const struct record *r, struct err *e), void *arg, struct err *e)
{
	size_t at = 0;
	struct record r;

	*torn = false;
	while (at < size) {
		size_t next = at;
		int rc;

		if (!record_decode(buf + at, size - at, &r)) {
			for (next = at + 8; next < size && !record_decode(buf + next, size - next, &r);)
				next += 8;
			if (next >= size)
				break;
			if (r.kind != K_TWIN || next - at != record_bytes(r.len))
				return err_set(e, EBADMSG, "journal %s is damaged at byte %zu", path, at);
		}
		rc = fn(arg, &r, e);
		if (rc)
			return err_prefix(e, "journal %s, byte %zu", path, next);
		at = next + record_bytes(r.len);
	}
	*end = at;
	for (; at < size; at++)
		*torn |= buf[at] != 0;
	return 0;
}
