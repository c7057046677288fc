/*
 * recheck.h: reads the stopped guest's memory again and compares it with what was sent, to find what QEMU left out.
 *
 * QEMU says which pages its guest has written. Under TCG it may be wrong: a write that comes while QEMU looks is not noted (10.0:
 * notdirty_write() in accel/tcg/cputlb.c against the clearing of the bitmap); and for any block of memory but the first it watches the wrong
 * addresses from then on (cpu_physical_memory_sync_dirty_bitmap() takes an offset in the block for one among all). Its own migration loses
 * such writes, and no sum of what it sent can tell. Here they are found, in the last round, and travel as any page does.
 *
 * Each data channel looks at its own places, in its own thread, once everything that QEMU has sent is behind it.
 */
#ifndef VMFERRY_RECHECK_H
#define VMFERRY_RECHECK_H

#include "qemu-memory.h"
#include "ram-blocks.h"
#include "sums.h"

struct recheck;
/* Blocks as QEMU reports them; copied. */
int recheck_new(struct recheck **out, pid_t pid, const struct ram_block_place *told, size_t count, struct err *e);
/* NULL ok. */
void recheck_free(struct recheck *r);
/* Assigns the object to the block of that name and size. Before any channel looks. An unknown block, or another size, is not looked at. */
void recheck_object(struct recheck *r, uint32_t object, const char *name, uint64_t bytes);

/* CPU time, in ns, to read and hash a byte of the guest's memory, missing pages included: from samples, which take a millisecond or two,
 * of other pages each time; the least of the last calls. 0: not known. */
double recheck_sample_ns(struct recheck *r, const struct digest_key *key);
/* Expected time in ms: ns per byte (0: not known), bytes in all, number of threads that share them (0 is 1). */
double recheck_takes_ms(double ns, uint64_t bytes, unsigned threads);

/* Progress of a channel (0-based, of `channels`). */
struct recheck_at {
	unsigned channel, channels;
	unsigned block; /* this and the rest: 0 at first */
	uint64_t page;
	uint64_t read, missed; /* pages looked at so far; of these, present and different from what was sent */
	uint8_t *buf;	       /* MEMORY_PIECE_PAGES */
};

/* Pages of one object that differ from what was sent, and now count as sent; in at->buf until the next call. */
struct recheck_found {
	uint32_t object;
	unsigned pages, n; /* looked at, found */
	struct send_part part[MEMORY_PIECE_PAGES];
};

/* 1: the channel's next piece was looked at; 0: no more; -errno: memory cannot be read, or is not the guest's. */
int recheck_step(const struct recheck *r, struct recheck_at *at, struct sums *sums, struct recheck_found *out, struct err *e);

#endif
