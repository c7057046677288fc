/* kept-ahead.c: see kept-ahead.h. */
#include "kept-ahead.h"
#include "util.h"

#define AHEAD_MAX (32 * MIB) /* a destination has that in a fraction of a second, and no network has a longer one */

struct kept {
	uint64_t *ahead;
	uint32_t bytes;
	struct frame_tail tail;
};

static void release(struct frame_tail *t)
{
	struct kept *k = container_of(t, struct kept, tail);

	__atomic_fetch_sub(k->ahead, k->bytes, __ATOMIC_RELAXED);
	free(k);
}

bool kept_may(const uint64_t *ahead)
{
	return __atomic_load_n(ahead, __ATOMIC_RELAXED) < AHEAD_MAX;
}

struct frame_tail *kept_named(uint64_t *ahead, uint32_t bytes)
{
	struct kept *k = xmalloc(sizeof(*k));

	*k = (struct kept){.ahead = ahead, .bytes = bytes, .tail = {.release = release}};
	__atomic_fetch_add(ahead, bytes, __ATOMIC_RELAXED);
	return &k->tail;
}
