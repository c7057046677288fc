/* resume.c: see resume.h. */
#include "resume.h"
#include "conn-link.h"
#include "conn.h"
#include "util.h"

/* Reports the loss if no newer connection has replaced the old one. */
static int failed(struct channel *c, uint32_t generation, const struct err *e)
{
	if (channel_generation(c) == generation)
		channel_lost(c, e);
	return -e->code;
}

int resume_answer(struct loop *l, struct channel *c, struct link link, const struct hello *theirs, struct err *e)
{
	struct hello mine = *theirs;

	if (channel_detach(c, theirs->generation, &mine.received, e)) {
		hello_refuse(&link, e->msg);
		link_close(&link);
		return -e->code;
	}
	if (hello_send_resume(&link, &mine, 0, e)) {
		link_close(&link);
		return failed(c, theirs->generation, e);
	}
	return channel_attach(c, conn_link_new(l, link), theirs->generation, theirs->received, e) ? failed(c, theirs->generation, e) : 0;
}

int resume_attach(struct loop *l, struct channel *c, struct link link, uint32_t generation, uint64_t peer_received, struct err *e)
{
	uint64_t received;

	if (generation > channel_generation(c) && channel_detach(c, generation, &received, e)) {
		link_close(&link);
		return -e->code;
	}
	return channel_attach(c, conn_link_new(l, link), generation, peer_received, e) ? failed(c, generation, e) : 0;
}

void next_link_put(struct queue *q, struct link link, const struct hello *said)
{
	struct next_link *next = xcalloc(1, sizeof(*next));

	next->link = link;
	next->said = *said;
	queue_put(q, &next->node);
}

void next_link_drop_all(struct queue *q)
{
	struct next_link *next;
	struct qnode *n;

	while ((n = queue_take(q))) {
		next = container_of(n, struct next_link, node);
		link_close(&next->link);
		free(next);
	}
}
