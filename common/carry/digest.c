/* digest.c: see digest.h. */
#include "digest.h"
#include "cursor.h"
#include "xxh.h"

#include <endian.h>

struct hash128 hash_content(const struct digest_key *k, const void *p, size_t n)
{
	XXH128_hash_t h = XXH3_128bits_withSecret(p, n, k->secret, sizeof(k->secret));

	return (struct hash128){h.low64, h.high64};
}

struct hash128 hash_place(const struct digest_key *k, struct hash128 content, uint32_t object, uint32_t round, uint64_t offset,
			  uint64_t length)
{
	const uint64_t b[] = {htole64(content.lo), htole64(content.hi), htole64(object | (uint64_t)round << 32), htole64(offset),
			      htole64(length)};

	return hash_content(k, b, sizeof(b));
}

void hash_add(struct hash128 *sum, struct hash128 h)
{
	sum->hi += h.hi + __builtin_add_overflow(sum->lo, h.lo, &sum->lo);
}

void hash_sub(struct hash128 *sum, struct hash128 h)
{
	sum->hi -= h.hi + __builtin_sub_overflow(sum->lo, h.lo, &sum->lo);
}

void hash_bytes(struct hash128 h, uint8_t out[16])
{
	struct writer w = writer_of(out, 16);

	write_u64(&w, h.lo);
	write_u64(&w, h.hi);
}
