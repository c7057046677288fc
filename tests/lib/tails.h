/* tails.h: contents of frames that stay where they are, until the channel gives them back. Included by one test program each. */
#ifndef VMFERRY_TESTS_TAILS_H
#define VMFERRY_TESTS_TAILS_H

#include "channel.h"
#include "util.h"

#include <stdlib.h>
#include <string.h>

#define TAIL_PIECES 3

struct copied_tail {
	uint8_t *bytes;
	struct frame_tail tail;
};

static int tails; /* tails that are not given back */

/* Overwrites a released tail, so that a sender that still uses it sends other bytes. */
static void tail_release(struct frame_tail *t)
{
	struct copied_tail *k = container_of(t, struct copied_tail, tail);

	memset(k->bytes, 0xee, t->bytes);
	free(k->bytes);
	free(k);
	tails--;
}

/* A copy of these n > TAIL_PIECES bytes, in pieces. */
static struct frame_tail *tail_of(const uint8_t *p, size_t n)
{
	struct copied_tail *k = xmalloc(sizeof(*k) + TAIL_PIECES * sizeof(struct iovec));
	size_t at = 0, part;
	unsigned i;

	k->bytes = xmalloc(n);
	memcpy(k->bytes, p, n);
	k->tail.release = tail_release;
	k->tail.bytes = n;
	k->tail.n = TAIL_PIECES;
	for (i = 0; i < TAIL_PIECES; i++, at += part) {
		part = i + 1 < TAIL_PIECES ? n / (TAIL_PIECES + 1) : n - at;
		k->tail.piece[i] = (struct iovec){k->bytes + at, part};
	}
	tails++;
	return &k->tail;
}

#endif
