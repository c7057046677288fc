/*
 * guarded.h: foreign bytes for a reader: they end where a page begins that nobody may read, so that a reader that goes on behind their end ends
 * its test. No sanitizer is needed for that.
 */
#ifndef VMFERRY_TEST_GUARDED_H
#define VMFERRY_TEST_GUARDED_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct guarded {
	uint8_t *p; /* n bytes, without a zero behind them */
	size_t n;
	void *map;
	size_t mapped;
};

/* A copy of n bytes, or with p NULL of zeros. guarded_free(). */
static inline struct guarded guarded_copy(const void *p, size_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), whole = (n + page - 1) / page * page;
	struct guarded g = {.n = n, .mapped = whole + page};

	g.map = mmap(NULL, g.mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(g.map != MAP_FAILED);
	g.p = (uint8_t *)g.map + whole - n;
	if (p && n)
		memcpy(g.p, p, n);
	assert_int_equal(mprotect((uint8_t *)g.map + whole, page, PROT_NONE), 0);
	return g;
}

static inline void guarded_free(struct guarded *g)
{
	munmap(g->map, g->mapped);
}

#endif
