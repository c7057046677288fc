/* have-tell.h: HAVE messages of one disk, block by block in ascending order, for the conductor's thread to send. Whose blocks they are, and of how many bytes, is
 * their reader's affair. */
#ifndef VMFERRY_HAVE_TELL_H
#define VMFERRY_HAVE_TELL_H

#include "queue.h"

#include <stdint.h>

#define TELL_BLOCKS 256
#define TELL_HASH   8 /* bytes */

struct have_teller {
	struct queue *events;
	uint32_t object;
	uint64_t block; /* the first of these */
	uint8_t hashes[TELL_BLOCKS * TELL_HASH];
	unsigned count;
};

void have_teller_begin(struct have_teller *t, struct queue *events, uint32_t object);
void have_teller_put(struct have_teller *t, uint64_t block, uint64_t hash);
/* Bytes behind the last block are not there. */
void have_teller_end(struct have_teller *t);

#endif
