/* have-tell.c: see have-tell.h. */
#include "have-tell.h"
#include "cursor.h"
#include "data-receive.h"
#include "util.h"

#include <string.h>

#define GAP_MAX 4 /* a message of its own has as many bytes as so many hashes */

static void tell(struct have_teller *t, bool last)
{
	size_t n = t->count * TELL_HASH;
	struct receive_event *ev = xcalloc(1, sizeof(*ev) + n);

	ev->kind = RECEIVE_HAVE;
	ev->group = t->object;
	ev->offset = t->block;
	ev->number = last;
	ev->n = n;
	memcpy(ev->data, t->hashes, n);
	queue_put(t->events, &ev->node);
	t->block += t->count;
	t->count = 0;
}

static void append(struct have_teller *t, uint64_t hash)
{
	struct writer w = writer_of(t->hashes + t->count++ * TELL_HASH, TELL_HASH);

	write_u64(&w, hash);
}

void have_teller_begin(struct have_teller *t, struct queue *events, uint32_t object)
{
	t->events = events;
	t->object = object;
	t->block = 0;
	t->count = 0;
}

void have_teller_put(struct have_teller *t, uint64_t block, uint64_t hash)
{
	uint64_t next = t->block + t->count;

	if (t->count && (block - next > GAP_MAX || t->count + (block - next) >= TELL_BLOCKS))
		tell(t, false);
	if (!t->count)
		t->block = block;
	while (t->block + t->count < block)
		append(t, 0);
	append(t, hash);
}

void have_teller_end(struct have_teller *t)
{
	tell(t, true);
}
