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

/* A round of a disk: the request, and then its result. */
/* Private to disk-read.c. */
struct disk_round_work {
	struct disk_reader *reader;
	struct disk_round *next;
	struct disk_io *io;
	struct disk_map map;
	size_t extent;	     /* index of the extent being read */
	uint64_t offset;     /* within that extent */
	size_t back;	     /* extents from this one on were read from the end */
	uint64_t back_bytes; /* bytes left of the one before it */
	uint64_t began_ns;
	unsigned in_flight, back_in_flight; /* the latter are among the former */
};

struct disk_round {
	uint32_t object;
	uint32_t number;   /* 0: bulk */
	struct disk_at at; /* location; its selection is copied; without one, everything allocated */
	const char *name;  /* the object's, announced with round 0 */
	uint64_t size;
	/* Sends chunks of zeros as zeros. For qcow2 only if zeros are written like contents: QEMU may lose a write beside zeros in the
	 * same cluster. */
	bool detect_zeros;
	/* Bulk: unit in bytes if the target image is not new; 0: it is new. Holes of whole units are sent, too; smaller ones are read,
	 * as beside zeros above. */
	uint32_t fills;
	/* Bulk: contents of an older copy; NULL: none. Reported from the disk's beginning on; meanwhile the disk is sent from its end
	 * while the network is idle, until both meet. */
	const struct have *have;
	bool compares;	    /* everything is compared, however long that takes: only differences are sent */
	bool alike;	    /* have is complete, with ALIKE_SHIFT: blocks found in other images there were written into this disk */
	bool knows;	    /* have is what an earlier round of this disk left: no more reports come, and all is compared */
	struct have *notes; /* gets what the destination has once the round is durable; NULL: not needed */

	/* the result */
	struct qnode node;
	uint64_t dirty_bytes; /* bytes in the extents of the round */
	uint64_t read_bytes;
	struct err err; /* code 0: every block has been queued */

	/* private to disk-read.c */
	struct disk_round_work work;
};

struct disk_reader;
/* results: queue of the conductor's loop; gets each struct disk_round when it is over. Its receiver frees it with free(); the strings of
 * the request are gone then. */
int disk_reader_start(struct disk_reader **out, struct sender **senders, unsigned sender_count, struct send_shared *shared,
		      struct queue *results, struct err *e);
/* Starts a round; the round and its strings are copied. From the conductor's thread. Rounds of different disks run side by side. */
void disk_reader_round(struct disk_reader *r, const struct disk_round *round);
/* Continues, as more is known about an older copy. Any thread. */
void disk_reader_go_on(struct disk_reader *r);
/* Bytes of the object read so far, and bytes of the current round still to read. Any thread. */
void disk_reader_progress(const struct disk_reader *r, uint32_t object, uint64_t *done, uint64_t *left);
/* Ends the thread; disk_reader_free once the senders have stopped. NULL ok. */
void disk_reader_stop(struct disk_reader *r);
void disk_reader_free(struct disk_reader *r);

#endif
