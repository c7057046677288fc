/*
 * have.h: what an old copy of a disk at the destination has: a hash of each block, as the destination reads them, in order.
 *
 * The conductor's thread adds what it hears; the disk reader's asks. A hash only says what is worth a try: content that is not sent (KEPT) is
 * verified at the destination, in full.
 */
#ifndef VMFERRY_HAVE_H
#define VMFERRY_HAVE_H

#include "err.h"
#include "object.h"

struct have;

/* bytes: of the disk, in blocks of 1 << shift: HAVE_SHIFT or ALIKE_SHIFT. */
struct have *have_new(uint64_t bytes, unsigned shift);
void have_free(struct have *h);
/* A HAVE message, of blocks behind those of the last; what is left out between them is not there. -EPROTO: it is not so. */
int have_take(struct have *h, const struct msg_have *m, struct err *e);
/* Has everything before that byte been told of? Any thread. */
bool have_covers(const struct have *h, uint64_t end);
/* Bytes of the disk, from its beginning on, that have been told of. Any thread. */
uint64_t have_told(const struct have *h);
/* Of a disk that is sent now, for who goes on from that: its whole blocks in [offset, offset + bytes). From one thread. */
void have_note(struct have *h, const struct digest_key *key, uint64_t offset, const uint8_t *data, uint32_t bytes);
/* A new one of a disk of so many bytes by now, of which all is told that h has, and all else is not there. */
struct have *have_resized(const struct have *h, uint64_t bytes);
/* The length of the first run of [offset, offset + bytes) that the old copy has (*has), or has not. Covered; data is what is there here. */
uint32_t have_run(const struct have *h, const struct digest_key *key, uint64_t offset, const uint8_t *data, uint32_t bytes, bool *has);

#endif
