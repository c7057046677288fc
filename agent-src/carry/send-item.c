/* send-item.c: see send-item.h. */
#include "send-item.h"
#include "util.h"

#include <string.h>

void shared_buf_ref(struct shared_buf *b)
{
	__atomic_fetch_add(&b->refs, 1, __ATOMIC_RELAXED);
}

void shared_buf_unref(struct shared_buf *b)
{
	if (b && __atomic_sub_fetch(&b->refs, 1, __ATOMIC_ACQ_REL) == 0)
		b->release(b);
}

struct send_item *send_item_new(enum send_kind kind, uint32_t object, unsigned parts)
{
	struct send_item *it = xmalloc(sizeof(*it) + parts * sizeof(struct send_part));

	memset(it, 0, sizeof(*it));
	it->kind = kind;
	it->object = object;
	return it;
}

struct send_item *send_mark_new(uint16_t message, const void *payload, size_t n)
{
	struct send_item *it = xmalloc(sizeof(*it) + n);

	memset(it, 0, sizeof(*it));
	it->kind = SEND_MARK;
	it->message = message;
	it->n = (unsigned)n;
	if (n)
		memcpy(it->u.bytes, payload, n);
	return it;
}

size_t send_item_bytes(const struct send_item *it)
{
	size_t sum = 0;

	if (it->kind == SEND_MARK)
		return 0;
	for (unsigned i = 0; i < it->n; i++)
		sum += it->u.part[i].data ? it->u.part[i].bytes : 0;
	return sum;
}

void send_item_free(struct send_item *it)
{
	if (it->buf)
		shared_buf_unref(it->buf);
	free(it->seeds);
	free(it);
}
