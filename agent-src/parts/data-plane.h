/*
 * data-plane.h: the data channels of a transfer, and what their threads and the producers' tell the conductor.
 *
 * Producers (memory, disks) put items into senders; in opaque mode the first `streams` channels carry one stream each, and the disks have
 * the others.
 */
#ifndef VMFERRY_DATA_PLANE_H
#define VMFERRY_DATA_PLANE_H

#include "attempt.h"
#include "data-send.h"
#include "dest-connect.h"
#include "options.h"

/* EVENT_WORKER types: messages from worker threads. */
enum worker_word { WORD_CHANNEL_LOST = 1, WORD_CHANNEL_CUT, WORD_CHANNEL_BACK, WORD_CAPTURE, WORD_DISK_ROUND };

/* Payload of WORD_CHANNEL_CUT and WORD_CHANNEL_BACK. */
struct channel_word {
	unsigned channel;
	uint32_t generation; /* number of the connection that the channel waits for */
	uint64_t received;   /* bytes over all earlier connections */
};

struct data_plane {
	struct attempt *a;
	struct send_shared shared;
	struct sender *senders[CHANNELS_MAX];
	unsigned channels, streams;
	struct queue words;
	/* valid once the senders have ended: */
	struct send_stats sent;
	uint64_t wire_bytes, bytes_again;
};

void data_plane_init(struct data_plane *d, struct attempt *a, const struct move_options *opt);
/* Makes d->channels connections. round_trip_ms: measured round trip to the destination, the quickest of them. */
int data_plane_connect(struct data_plane *d, struct dest *dest, unsigned port, double *round_trip_ms, struct err *e);
/* Posts *ev to the conductor as an event; any thread may call this. */
void data_plane_tell(struct data_plane *d, struct event *ev);
/* Queues the last word about an object, or the RAM blocks (GROUP_RAM), on all its channels. */
void data_plane_end_of(struct data_plane *d, uint32_t object);
/* Bytes of content carried, before compression and without what was left out. */
uint64_t data_plane_contents(const struct data_plane *d);
/* true: all channels survive a lost connection; false: channels that wait for a new connection are lost. */
void data_plane_outlive(struct data_plane *d, bool yes);
/* Bytes that have arrived. */
uint64_t data_plane_acked(const struct data_plane *d);
/* Progress counter: grows with every byte that arrives or is read again. */
uint64_t data_plane_moved(const struct data_plane *d);
/* Bytes that had to be sent again. */
uint64_t data_plane_bytes_again(const struct data_plane *d);
/* Bytes of content handed to the senders and not yet packed. */
uint64_t data_plane_queued(const struct data_plane *d);
/* Bytes sent; bytes in flight or waiting to be sent. */
uint64_t data_plane_wire_bytes(const struct data_plane *d);
uint64_t data_plane_unacked(const struct data_plane *d);
/* Bytes per second; 0: no limit. */
void data_plane_limit(struct data_plane *d, uint64_t bytes_per_s);
uint64_t data_plane_limit_now(const struct data_plane *d);
/* Ends the senders' threads; what they sent is in d->sent. */
void data_plane_stop(struct data_plane *d);

#endif
