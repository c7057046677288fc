/* frame.c: see frame.h. */
#include "frame.h"
#include "util.h"

#include <string.h>

#define POOL_MIN (16 * 1024)
/* The memory of a frame besides its payload, counted so that many small frames do not outgrow the window. */
#define OVERHEAD (sizeof(struct frame) + FRAME_HEADER_BYTES + 16)

/* ---- memory ---- */

size_t frame_tail_bytes(const struct frame *f)
{
	return f->tail ? f->tail->bytes : 0;
}

static void drop_tail(struct frame *f)
{
	if (f->tail)
		f->tail->release(f->tail);
	f->tail = NULL;
}

void frame_release(struct frame_memory *m, struct frame *f)
{
	m->held_bytes -= f->cap + OVERHEAD + frame_tail_bytes(f);
	drop_tail(f);
	if (f->cap == FRAME_POOL_CAP) {
		f->next = m->pool;
		m->pool = f;
	} else {
		free(f);
	}
}

struct frame *frame_get(struct frame_memory *m, size_t cap)
{
	bool pooled = cap > POOL_MIN && cap <= FRAME_POOL_CAP;
	struct frame *f = pooled ? m->pool : NULL;

	cap = pooled ? FRAME_POOL_CAP : cap;
	m->held_bytes += cap + OVERHEAD;
	if (f) {
		m->pool = f->next;
		return f;
	}
	f = xmalloc(sizeof(*f) + FRAME_HEADER_BYTES + cap);
	f->cap = cap;
	f->tail = NULL;
	return f;
}

struct frame *frame_with_tail(struct frame_memory *m, struct frame *f, size_t len, struct frame_tail *tail)
{
	struct frame *small = frame_get(m, len);

	memcpy(small->buf + FRAME_HEADER_BYTES, f->buf + FRAME_HEADER_BYTES, len);
	frame_release(m, f);
	small->tail = tail;
	m->held_bytes += tail->bytes;
	return small;
}

/* ---- pieces ---- */

/* Cuts *skip bytes off the piece. False: nothing is left of it; *skip is reduced by its length. */
static bool is_left(struct iovec *piece, size_t *skip)
{
	size_t passed = MIN(*skip, piece->iov_len);

	*skip -= passed;
	piece->iov_base = (uint8_t *)piece->iov_base + passed;
	piece->iov_len -= passed;
	return piece->iov_len > 0;
}

unsigned frame_pieces(struct frame *f, size_t skip, struct iovec *iov, unsigned max)
{
	unsigned n = 0, i;

	iov[n] = (struct iovec){f->buf, f->bytes - frame_tail_bytes(f)};
	n += is_left(&iov[n], &skip);
	for (i = 0; f->tail && i < f->tail->n && n < max; i++) {
		iov[n] = f->tail->piece[i];
		n += is_left(&iov[n], &skip);
	}
	return n;
}

/* ---- lists ---- */

void frame_list_init(struct frame_list *l)
{
	l->head = NULL;
	l->tail = &l->head;
}

void frame_list_add(struct frame_list *l, struct frame *f)
{
	f->next = NULL;
	*l->tail = f;
	l->tail = &f->next;
}

struct frame *frame_list_take(struct frame_list *l)
{
	struct frame *f = l->head;

	if (f && !(l->head = f->next))
		l->tail = &l->head;
	return f;
}

void frame_list_join(struct frame_list *l, struct frame_list *first)
{
	if (!first->head)
		return;
	*first->tail = l->head;
	if (!l->head)
		l->tail = first->tail;
	l->head = first->head;
	frame_list_init(first);
}

void frame_free_all(struct frame *f)
{
	struct frame *next;

	for (; f; f = next) {
		next = f->next;
		drop_tail(f);
		free(f);
	}
}
