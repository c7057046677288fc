/* staying.c: see staying.h. */
#include "staying.h"
#include "util.h"

#include <string.h>

#define BUFS_OF_ONE 2
#define BUFS_OF_ALL 8 /* memory has 16, disks 32 */

struct staying {
	unsigned *count; /* number of buffers, over all channels */
	struct shared_buf *buf[BUFS_OF_ONE];
	unsigned bufs;
	struct frame_tail tail;
};

bool staying_may(struct shared_buf *const *buf, unsigned n, const unsigned *staying)
{
	unsigned bufs = 0, more = 0, i;

	for (i = 0; i < n; i++) {
		if (!buf[i])
			return false;
		if (i && buf[i] == buf[i - 1])
			continue;
		bufs++;
		more += !__atomic_load_n(&buf[i]->stays, __ATOMIC_RELAXED);
	}
	return bufs <= BUFS_OF_ONE && (!more || __atomic_load_n(staying, __ATOMIC_RELAXED) + more <= BUFS_OF_ALL);
}

static void release(struct frame_tail *t)
{
	struct staying *k = container_of(t, struct staying, tail);

	for (unsigned i = 0; i < k->bufs; i++) {
		if (!__atomic_sub_fetch(&k->buf[i]->stays, 1, __ATOMIC_RELAXED))
			__atomic_fetch_sub(k->count, 1, __ATOMIC_RELAXED);
		shared_buf_unref(k->buf[i]);
	}
	free(k);
}

static void take(struct staying *k, struct shared_buf *b)
{
	if (k->bufs && k->buf[k->bufs - 1] == b) {
		shared_buf_unref(b);
		return;
	}
	k->buf[k->bufs++] = b;
	if (!__atomic_fetch_add(&b->stays, 1, __ATOMIC_RELAXED))
		__atomic_fetch_add(k->count, 1, __ATOMIC_RELAXED);
}

struct frame_tail *staying_new(struct shared_buf **buf, unsigned n, const struct iovec *piece, unsigned pieces, unsigned *staying)
{
	struct staying *k = xmalloc(sizeof(*k) + pieces * sizeof(*piece));

	*k = (struct staying){.count = staying, .tail = {.release = release, .n = pieces}};
	for (unsigned i = 0; i < pieces; i++)
		k->tail.bytes += piece[i].iov_len;
	memcpy(k->tail.piece, piece, pieces * sizeof(*piece));
	for (unsigned i = 0; i < n; i++) {
		take(k, buf[i]);
		buf[i] = NULL;
	}
	return &k->tail;
}
