/*
 * reconnect.h: makes connections again for channels that have lost theirs, in a thread of its own: nobody waits for a network that is gone.
 * The dest belongs to it as long as it exists.
 */
#ifndef VMFERRY_RECONNECT_H
#define VMFERRY_RECONNECT_H

#include "dest-connect.h"
#include "queue.h"

#define RECONNECT_CHANNELS_MAX 32

struct reconnect;

/* The receiver frees it. */
struct reconnected {
	struct qnode node;
	unsigned channel;
	struct link link; /* none: given up, e says why: the agent that answers does not know the session */
	uint32_t generation;
	uint64_t peer_received;
	struct err e;
};

/* cfg and results outlive it. port: of the destination's data channels. */
int reconnect_start(struct reconnect **out, struct dest *dest, const struct dest_config *cfg, unsigned port, struct queue *results,
		    struct err *e);
/* Reconnects channel `number`, from this generation on; received: the last frame taken. Tries until it succeeds, the agent that answers
 * has not known us for some time, or reconnect_stop(). */
void reconnect_channel(struct reconnect *r, unsigned number, uint32_t generation, uint64_t received);
/* Makes attempts short and the first refusal final, or ends that: a stopped guest is in a hurry. */
void reconnect_hurry(struct reconnect *r, bool yes);
/* Ends after the current attempt: some seconds at most. NULL ok. */
void reconnect_stop(struct reconnect *r);

#endif
