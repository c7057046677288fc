/*
 * pacer.h: a bandwidth limit shared by any number of connections in any threads. Pure.
 */
#ifndef VMFERRY_PACER_H
#define VMFERRY_PACER_H

#include <stddef.h>
#include <stdint.h>

/* The most that may be reserved at once: a reservation further ahead was made at a lower rate, and no longer counts. */
#define PACER_BATCH_MAX (2 * 1024 * 1024)

struct pacer {
	uint64_t bytes_per_s; /* 0: unlimited. Atomic. */
	uint64_t free_at_ns;  /* time when the next byte may leave. Atomic. */
};

/* 0: so many bytes may leave now, and are counted; else milliseconds to wait before asking again. */
uint64_t pacer_reserve(struct pacer *p, size_t bytes, uint64_t now_ns);

#endif
