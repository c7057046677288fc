/*
 * disk-read.h: copies rounds of disks, as a rule out of the source QEMU's NBD exports, into the data channels.
 *
 * One thread for all disks, with many reads in flight. What a round is (which export, which dirty bitmap) is the
 * conductor's decision; disk-read only reads and sends it.
 */
#ifndef VMFERRY_DISK_READ_H
#define VMFERRY_DISK_READ_H

#include "data-send.h"
#include "disk-io.h"
#include "have.h"

/* One round of one disk: as it is asked for, and then what became of it. */
struct disk_round {
	uint32_t object;
	uint32_t number;   /* 0: bulk */
	struct disk_at at; /* what it selects is copied; without, everything allocated */
	const char *name;  /* of the object, announced with round 0 */
	uint64_t size;
	/* Send chunks of zeros as zeros. Of qcow2 only where they are written as contents are: QEMU may lose a write beside zeros within one cluster. */
	bool detect_zeros;
	/* Bulk: what this goes into is no new image. What is no data is told, too, if it is whole units of so many bytes, and read if not: beside
	 * zeros within one, as above. 0: it is new. */
	uint32_t fills;
	/* Bulk: what an old copy has, NULL: there is none. It is told from the disk's beginning on; meanwhile the disk is sent from its end, as far as the
	 * network has nothing else to do, and they meet. */
	const struct have *have;
	bool compares;	    /* all of it is, however long that takes: what is sent is what differs */
	bool alike;	    /* have is of ALIKE_SHIFT, and complete: what images there had was written into this disk there */
	bool knows;	    /* have is as an earlier round of this disk left it: nobody tells any more, and all is compared */
	struct have *notes; /* gets what the destination has when the round is durable; NULL: nobody asks */

	/* the result */
	struct qnode node;
	uint64_t dirty_bytes; /* in the extents of the round */
	uint64_t read_bytes;
	struct err err; /* code 0: every block has been queued */

	/* disk-read.c's */
	struct disk_reader *reader;
	struct disk_round *next;
	struct disk_io *io;
	struct disk_map map;
	size_t extent;	     /* of the map: being read */
	uint64_t offset;     /* within it */
	size_t back;	     /* extents from here on were read, from the end on */
	uint64_t back_bytes; /* of the one before, that are left */
	uint64_t began_ns;
	unsigned in_flight, back_in_flight; /* the latter are among the former */
};

struct disk_reader;
/* results: of the conductor's loop; gets each struct disk_round when it is over, whose receiver frees it (free()); of what was asked
 * its strings are gone. */
int disk_reader_start(struct disk_reader **out, struct sender **senders, unsigned sender_count, struct send_shared *shared,
		      struct queue *results, struct err *e);
/* From the conductor's thread; the round and its strings are copied. Rounds of different disks run side by side. */
void disk_reader_round(struct disk_reader *r, const struct disk_round *round);
/* More is known of what an old copy has. Any thread. */
void disk_reader_go_on(struct disk_reader *r);
/* Bytes read so far of all disks, and bytes of the current rounds still to read. Any thread. */
void disk_reader_progress(const struct disk_reader *r, uint32_t object, uint64_t *done, uint64_t *left);
/* Ends the thread; disk_reader_free once the senders have stopped. NULL ok. */
void disk_reader_stop(struct disk_reader *r);
void disk_reader_free(struct disk_reader *r);

#endif
