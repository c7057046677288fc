/*
 * have.h: contents of an older copy of a disk at the destination: a hash of each block, in the order in which the destination reads them.
 *
 * The conductor's thread adds what arrives; the disk reader asks. A hash is only a hint: content that is not sent (KEPT) is verified in
 * full at the destination.
 */
#ifndef VMFERRY_HAVE_H
#define VMFERRY_HAVE_H

#include "err.h"
#include "object.h"

struct have;

/* bytes: the disk's size, in blocks of 1 << shift: HAVE_SHIFT or ALIKE_SHIFT. */
struct have *have_new(uint64_t bytes, unsigned shift);
void have_free(struct have *h);
/* Takes a HAVE message on blocks after the last one's; blocks skipped between are not there. -EPROTO: malformed. */
int have_take(struct have *h, const struct msg_have *m, struct err *e);
/* True if everything before that byte was reported. Any thread. */
bool have_covers(const struct have *h, uint64_t end);
/* Bytes reported, from the disk's beginning on. Any thread. */
uint64_t have_told(const struct have *h);
/* Notes whole blocks in [offset, offset + bytes) of a disk that is being sent, for whoever goes on from it. One thread only. */
void have_note(struct have *h, const struct digest_key *key, uint64_t offset, const uint8_t *data, uint32_t bytes);
/* New object for a disk that now has so many bytes: h's contents, and nothing else. */
struct have *have_resized(const struct have *h, uint64_t bytes);
/* The content of [offset, offset + bytes) on this side, and as many bytes before and behind it, so that blocks that it shares with holes
 * are reported, too. */
struct have_range {
	uint64_t offset;
	const uint8_t *data; /* content at offset */
	uint32_t bytes, before, behind;
};

/* The range of those blocks, up to the end of a disk of that size. */
void have_widen(struct have_range *r, const struct have *h);
/* Length of the first run of the range that the older copy has (*has) or lacks. The range must be covered. */
uint32_t have_run(const struct have *h, const struct digest_key *key, const struct have_range *r, bool *has);

#endif
