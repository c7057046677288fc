/*
 * reconnect.h: makes connections again for channels that have lost theirs, in a thread of its own: nobody waits for a network that is gone.
 * As long as it exists the dest is its own.
 */
#ifndef VMFERRY_RECONNECT_H
#define VMFERRY_RECONNECT_H

#include "dest-connect.h"
#include "queue.h"

#define RECONNECT_CHANNELS_MAX 32

struct reconnect;

/* The taker frees it. */
struct reconnected {
	struct qnode node;
	unsigned channel;
	struct link link; /* none: it will not be, as e says: for some time whoever answered there has known nothing of the session */
	uint32_t generation;
	uint64_t peer_received;
	struct err e;
};

/* cfg and results outlive it. port: where the destination takes them. */
int reconnect_start(struct reconnect **out, struct dest *dest, const struct dest_config *cfg, unsigned port, struct queue *results,
		    struct err *e);
/* number, from this generation on; received: the last frame that was taken. Until it is there, or whoever answers has known nothing of us for
 * some time, or reconnect_stop(). */
void reconnect_channel(struct reconnect *r, unsigned number, uint32_t generation, uint64_t received);
/* Somebody waits who must not wait for long: attempts are short, and who is refused is refused. */
void reconnect_hurry(struct reconnect *r, bool yes);
/* Waits for the attempt that is under way: some seconds at most. NULL ok. */
void reconnect_stop(struct reconnect *r);

#endif
