/*
 * recheck.h: the memory of the guest that has stopped, read once more and compared with what was carried of it, to find what QEMU left out.
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
/* Blocks as QEMU tells of them; copied. */
int recheck_new(struct recheck **out, pid_t pid, const struct ram_block_place *told, size_t count, struct err *e);
/* NULL ok. */
void recheck_free(struct recheck *r);
/* That block of so many bytes is this object. Before any channel looks. One that was not told of, or of another size, is not looked at. */
void recheck_object(struct recheck *r, uint32_t object, const char *name, uint64_t bytes);

/* What a byte of the guest's memory takes to be read and hashed, in ns of CPU time, what is not there included: by samples, which take a
 * millisecond or two, of other pages each time: the least of the last calls. 0: not known. */
double recheck_sample_ns(struct recheck *r, const struct digest_key *key);
/* How long it takes, in ms, if a byte takes so many ns (0: not known) and so many threads (0 is 1) look at so many bytes between them. */
double recheck_takes_ms(double ns, uint64_t bytes, unsigned threads);

/* How far a channel (0-based, of so many) has come. */
struct recheck_at {
	unsigned channel, channels;
	unsigned block; /* from here on 0 at first */
	uint64_t page;
	uint64_t read, missed; /* pages, so far: that were looked at; of these other than carried, and there */
	uint8_t *buf;	       /* MEMORY_PIECE_PAGES */
};

/* Pages of one object that are other than they were carried, and count as carried now; in at->buf until the next call. */
struct recheck_found {
	uint32_t object;
	unsigned pages, n; /* looked at, found */
	struct send_part part[MEMORY_PIECE_PAGES];
};

/* The channel's next piece: 1; 0: that was all; -errno: it cannot be looked at, or what is there is not the guest's memory. */
int recheck_step(const struct recheck *r, struct recheck_at *at, struct sums *sums, struct recheck_found *out, struct err *e);

#endif
