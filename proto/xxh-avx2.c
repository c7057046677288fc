/* xxh-avx2.c: see xxh.h. Compiled for processors with AVX2, and only called on such. */
#ifdef __AVX2__
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "xxh-avx2.h"

uint64_t xxh_avx2_64bits(const void *p, size_t n)
{
	return XXH3_64bits(p, n);
}

struct xxh_avx2_128 xxh_avx2_128bits_with_secret(const void *p, size_t n, const void *secret, size_t secret_bytes)
{
	XXH128_hash_t h = XXH3_128bits_withSecret(p, n, secret, secret_bytes);

	return (struct xxh_avx2_128){h.low64, h.high64};
}
#else
typedef int nothing_here; /* ISO C wants something in a file */
#endif
