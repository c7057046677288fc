/*
 * digest.h: what both agents count to prove that all content arrived: keyed 128-bit hashes that add up.
 *
 * The digest of an object is the sum (mod 2^128) of one hash per unit or write, bound to its place, so it does not
 * depend on order and can be kept incrementally. Pure.
 */
#ifndef VMFERRY_DIGEST_H
#define VMFERRY_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGEST_SECRET_BYTES 192

struct hash128 {
	uint64_t lo, hi;
};

struct digest_key {
	uint8_t secret[DIGEST_SECRET_BYTES];
};

struct hash128 hash_content(const struct digest_key *k, const void *p, size_t n);
/* The same content at a place: object, byte offset, length, and (for a disk) the round. */
struct hash128 hash_place(const struct digest_key *k, struct hash128 content, uint32_t object, uint32_t round, uint64_t offset,
			  uint64_t length);
static inline bool hash_equal(struct hash128 a, struct hash128 b)
{
	return a.lo == b.lo && a.hi == b.hi;
}
void hash_add(struct hash128 *sum, struct hash128 h);
void hash_sub(struct hash128 *sum, struct hash128 h);
/* Little endian, low half first. */
void hash_bytes(struct hash128 h, uint8_t out[16]);

#endif
