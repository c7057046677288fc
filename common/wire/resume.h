/*
 * resume.h: lets a channel go on over another connection. In the channel's thread; the channel owns the link, or it is closed, whatever
 * happens. After a failure on.lost() is called again, unless the channel is closed or has a newer connection.
 */
#ifndef VMFERRY_RESUME_H
#define VMFERRY_RESUME_H

#include "channel.h"
#include "hello.h"
#include "link.h"
#include "loop.h"
#include "queue.h"

/* The destination waits so much longer for a connection than the source, which reports by itself that it has given up, if it lives; the
 * guard waits as long for the destination. */
#define OUTAGE_MARGIN_MS 15000

/* Answers RESUME on the side that received it. theirs: what the peer said on this link. */
int resume_answer(struct loop *l, struct channel *c, struct link link, const struct hello *theirs, struct err *e);
/* Attaches the link on the side that sent RESUME, with what the peer has received. */
int resume_attach(struct loop *l, struct channel *c, struct link link, uint32_t generation, uint64_t peer_received, struct err *e);

/* The next connection of a channel that has a thread of its own, on its way there: to be freed by who takes it. */
struct next_link {
	struct qnode node;
	struct link link;
	struct hello said; /* generation, and what was received; where RESUME was said, all of HELLO */
};
/* Adds a link; may be called from any thread. */
void next_link_put(struct queue *q, struct link link, const struct hello *said);
/* Closes those that were not taken. */
void next_link_drop_all(struct queue *q);

#endif
