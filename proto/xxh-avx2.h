/* xxh-avx2.h: for xxh.h only. */
#ifndef VMFERRY_XXH_AVX2_H
#define VMFERRY_XXH_AVX2_H

#include <stddef.h>
#include <stdint.h>

struct xxh_avx2_128 {
	uint64_t low64, high64;
};

uint64_t xxh_avx2_64bits(const void *p, size_t n);
struct xxh_avx2_128 xxh_avx2_128bits_with_secret(const void *p, size_t n, const void *secret, size_t secret_bytes);

#endif
