/*
 * data-receive.h: one data channel of the destination: a thread that checks, unpacks and places what arrives.
 *
 * The mirror of agent-src/data-send. RAM goes into QEMU at once, disk blocks are written with many requests in flight,
 * streams are handed to the main thread (thin stream) or to QEMU's own sockets (opaque mode).
 */
#ifndef VMFERRY_DATA_RECEIVE_H
#define VMFERRY_DATA_RECEIVE_H

#include "channel.h"
#include "cpu-stage.h"
#include "disk-io.h"
#include "hello.h"
#include "link.h"
#include "object.h"
#include "queue.h"
#include "ram-place.h"

/* The destination of a disk's blocks. */
struct disk_target {
	uint64_t bytes;
	struct disk_at at;
	const char *name;   /* name for messages; NULL: no such disk in this move */
	struct disk_at old; /* an old copy of it; no path: there is none */
	const char *old_name;
	unsigned bitmaps; /* number of the guest's dirty bitmaps that come along, and record what is written meanwhile */
	bool replaces;	  /* old goes when the guest runs here: its blocks may be shared with the new disk */
	bool fills;	  /* zeros that arrive have blocks at the source, and are to have them here */
	bool known;	  /* the source knows what old has: it is not told */
	bool alike;	  /* the source does not know that, but the file was filled from other images here: alike-fill.h */
	bool begun;	  /* old is this file itself, which has some of the disk: its blocks exist already, and it must be told of all */
};

#define THIN_MAX (32 * MIB) /* bytes of the thin stream that are held until QEMU takes them */

struct receiver;

struct receive_shared {
	struct digest_key key;
	unsigned channels;
	unsigned streams;      /* opaque: so many first channels carry one stream each and nothing else */
	struct ram_place *ram; /* NULL in opaque mode */
	struct disk_target disk[OBJECT_DISK_MAX + 1];
	/* opaque mode: QEMU's incoming socket; the main stream is connected first */
	const char *incoming;
	bool ram_begun;				  /* a page of QEMU's own migration has come: no more seeds; atomic */
	unsigned seeded;			  /* number of channels that have placed their seeds (atomic, release) */
	bool main_connected;			  /* atomic */
	struct receiver *receivers[CHANNELS_MAX]; /* atomic; they wake each other */
	struct queue *events;			  /* queue of the main loop: struct receive_event */
	struct alike_fill *alike;		  /* NULL: nothing is looked for in other images */
	unsigned busy;				  /* channels that are, with writing disks; atomic */
	bool resumes;				  /* channels outlive their connections */
	/* disk contents that have arrived are to last, whatever ends this: they are synced now and then */
	bool saves;
	struct cpu_meter *cpu; /* measures the receivers' threads; NULL: nothing does */
};

enum receive_kind {
	RECEIVE_APPLIED,     /* group, number: this channel's part of a round is in place */
	RECEIVE_DURABLE,     /* group, number: this channel's part of a round is on stable storage */
	RECEIVE_COMPLETE,    /* RAM and disks of this channel are here, digests equal */
	RECEIVE_STREAM,	     /* bytes of the thin stream */
	RECEIVE_STREAM_MARK, /* offset: where held pages go into the thin stream */
	RECEIVE_STREAM_END,  /* a stream is whole, its digest equal; object */
	RECEIVE_STREAM_OPEN, /* a stream was announced; object */
	RECEIVE_RETURN_PATH, /* opaque: QEMU's answer */
	RECEIVE_HAVE,	     /* group, offset, number (1: the last), data: HAVE, of old-read.h or alike-fill.h */
	RECEIVE_BITMAP,	     /* group, number (which), offset (enum bitmap_what), data: BITMAP, its runs checked */
	RECEIVE_DELTA,	     /* group, data: what of a disk that has bitmaps is written anew; the runs, checked */
	RECEIVE_LOST,	     /* the channel broke or its content is wrong: err */
	RECEIVE_CUT,	     /* the channel's connection is gone, and it waits for another: err */
	RECEIVE_BACK,	     /* the channel has another connection */
};

/* The receiver of the event frees it. */
struct receive_event {
	struct qnode node;
	enum receive_kind kind;
	unsigned channel;
	uint32_t group, number;
	uint64_t offset;
	uint16_t rp_type;
	uint32_t rp_value;
	struct err err;
	size_t n;
	uint8_t data[];
};

struct receive_stats {
	uint64_t pages, zero_pages, disk_bytes;
};

int receiver_start(struct receiver **out, struct link link, unsigned number, struct receive_shared *shared, struct err *e);
/* Lets the channel go on over this link; theirs: the HELLO that came on it. */
void receiver_resume(struct receiver *r, struct link link, const struct hello *theirs);
/* Ends the wait of a channel for another connection: RECEIVE_LOST. */
void receiver_let_go(struct receiver *r);
/* Ends the thread. Threads post to each other: all are ended before the first is freed. NULL and a second call are fine. */
void receiver_end(struct receiver *r);
/* Stops the thread (receiver_end) and frees r. */
void receiver_stop(struct receiver *r);
void receiver_stats(const struct receiver *r, struct receive_stats *sum /* added to */);

#endif
