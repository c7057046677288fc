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

/* What threads tell: EVENT_WORKER types. */
enum worker_word { WORD_CHANNEL_LOST = 1, WORD_CHANNEL_CUT, WORD_CHANNEL_BACK, WORD_CAPTURE, WORD_DISK_ROUND };

/* The bytes of WORD_CHANNEL_CUT and WORD_CHANNEL_BACK. */
struct channel_word {
	unsigned channel;
	uint32_t generation; /* of the connection that is waited for */
	uint64_t received;   /* over those before */
};

struct data_plane {
	struct attempt *a;
	struct send_shared shared;
	struct sender *senders[CHANNELS_MAX];
	unsigned channels, streams;
	struct queue words;
	/* once the senders have ended */
	struct send_stats sent;
	uint64_t wire_bytes, bytes_again;
};

void data_plane_init(struct data_plane *d, struct attempt *a, const struct move_options *opt);
/* Makes d->channels connections. round_trip_ms: to the destination, as the quickest of them took. */
int data_plane_connect(struct data_plane *d, struct dest *dest, unsigned port, double *round_trip_ms, struct err *e);
/* From any thread: becomes an event of the conductor's. */
void data_plane_tell(struct data_plane *d, struct event *ev);
/* Queues the last word about an object, or the RAM blocks (GROUP_RAM), on all its channels. */
void data_plane_end_of(struct data_plane *d, uint32_t object);
/* Contents that were carried: not what was left out, and before they were compressed. */
uint64_t data_plane_contents(const struct data_plane *d);
/* All channels outlive their connections, or those that wait for another are lost. */
void data_plane_outlive(struct data_plane *d, bool yes);
/* Bytes that have arrived. */
uint64_t data_plane_acked(const struct data_plane *d);
/* Grows as long as anything is done: what has arrived, and what was read once more. */
uint64_t data_plane_moved(const struct data_plane *d);
/* Bytes that had to be sent again. */
uint64_t data_plane_bytes_again(const struct data_plane *d);
/* Contents that were given to the senders, and are not packed yet. */
uint64_t data_plane_queued(const struct data_plane *d);
/* Bytes that were sent, and those that are on their way, or wait to be. */
uint64_t data_plane_wire_bytes(const struct data_plane *d);
uint64_t data_plane_unacked(const struct data_plane *d);
/* Bytes per second; 0: no limit. */
void data_plane_limit(struct data_plane *d, uint64_t bytes_per_s);
uint64_t data_plane_limit_now(const struct data_plane *d);
/* Ends the senders' threads; what they sent is in d->sent. */
void data_plane_stop(struct data_plane *d);

#endif
