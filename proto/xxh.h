/*
 * xxh.h: xxHash, as fast as this processor can: on x86 the library's plain entry points use SSE2 only. The others are in the
 * shared library alone, so a static program does without.
 */
#ifndef VMFERRY_XXH_H
#define VMFERRY_XXH_H

#include <xxhash.h>
#if defined(__x86_64__) && !defined(VMFERRY_STATIC) && __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h>
#endif

#endif
