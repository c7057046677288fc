/*
 * xxh.h: xxHash, as fast as this processor can: on x86 the library's plain entry points use SSE2 only, and those that choose are not in
 * the static library. So the two that matter, checksum and content hash, are compiled once more for AVX2.
 */
#ifndef VMFERRY_XXH_H
#define VMFERRY_XXH_H

#include <xxhash.h>
#ifdef __x86_64__
#include "xxh-avx2.h"

static inline XXH64_hash_t xxh_64bits(const void *p, size_t n)
{
	return __builtin_cpu_supports("avx2") ? xxh_avx2_64bits(p, n) : XXH3_64bits(p, n);
}

static inline XXH128_hash_t xxh_128bits_with_secret(const void *p, size_t n, const void *secret, size_t secret_bytes)
{
	struct xxh_avx2_128 h;

	if (!__builtin_cpu_supports("avx2"))
		return XXH3_128bits_withSecret(p, n, secret, secret_bytes);
	h = xxh_avx2_128bits_with_secret(p, n, secret, secret_bytes);
	return (XXH128_hash_t){.low64 = h.low64, .high64 = h.high64};
}

#define XXH3_64bits		xxh_64bits
#define XXH3_128bits_withSecret xxh_128bits_with_secret
#endif

#endif
